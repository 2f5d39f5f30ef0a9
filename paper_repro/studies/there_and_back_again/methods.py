"""Names, looks and rows of the trained methods, as figures and tables ask for them.

Fyffe, "There and Back Again" (arXiv 1912.10309). The six rows of E1 are ours: a VAE with one
learned variance per channel, and what changes its decoder's variance, its prior, its posterior's
variance, or two of these.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from paper_repro.claims.filters import matches
from paper_repro.drawing import style
from paper_repro.drawing.study_rows import StudyRows
from paper_repro.drawing.style import Look
from paper_repro.results.frames import Results

STUDY = "there_and_back_again"
VAE, HEAD, FITTED = "VAE", "variance head", "fitted prior"
BILBO, BAGGINS, BOTH = "BILBO", "BAGGINS", "BILBO + BAGGINS"
# Whether the objective fits the prior, whether one posterior variance serves all images, and the
# likelihood -> name.
NAMES = {
    (False, False, "gaussian_channel"): VAE,
    (False, False, "gaussian_pixel"): HEAD,
    (True, False, "gaussian_channel"): FITTED,
    (True, True, "gaussian_channel"): BILBO,
    (False, False, "baggins"): BAGGINS,
    (True, True, "baggins"): BOTH,
    (False, False, "bernoulli"): VAE,
    (True, False, "bernoulli"): FITTED,
    (True, True, "bernoulli"): BILBO,
}
LOOKS = {  # in the order of figures and tables
    VAE: Look(VAE, "#000000", "-", "o"),
    HEAD: Look(HEAD, style.GREY, (0, (4, 1.2)), "v"),
    FITTED: Look(FITTED, style.SKY, (0, (3, 1)), "D"),
    BILBO: Look(BILBO, style.BLUE, "-", "s"),
    BAGGINS: Look(BAGGINS, style.AMBER, (0, (5, 1, 1, 1)), "^"),
    BOTH: Look(BOTH, style.GREEN, "-", "P"),
}
DATASETS = (  # in the order of figures and tables, with what stands in for each at small scale
    *("mnist", "fashion_mnist", "cifar10", "celeba_half_32"),
    *("digits", "sprites", "patches", "faces"),
)


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows, or lost runs, with the name of their method as column `method`; "" for a run that is
    none of the six."""
    lacking: list[Any] = [None] * len(frame)
    columns = ("objective", "latent_options.scale", "likelihood")
    settings = zip(*(frame.get(c, lacking) for c in columns), strict=True)
    names = [NAMES.get((o == "bilbo", pd.notna(v), kind), "") for o, v, kind in settings]
    absent = {} if "dataset" in frame else {"dataset": ""}  # of no runs
    return frame.assign(method=pd.Series(names, frame.index, dtype=object), **absent)


def finals(
    results: Results, experiment: str, metric: str, split: str = "test", **where: Any
) -> pd.DataFrame:
    """Final values of the runs that ended well; `where` are coordinates and settings."""
    return named(StudyRows(results, STUDY).finals(experiment, metric=metric, split=split, **where))


def progress(
    results: Results, experiment: str, metric: str, split: str = "test", **where: Any
) -> pd.DataFrame:
    """Values of the runs that ended well at the marks of their training and at its end."""
    found = named(results.ended(STUDY, experiment, metric))
    return found[matches(found, {"split": split, **where})]


def lost(results: Results, *experiments: str, **where: Any) -> pd.DataFrame:
    """Runs planned for experiments that left no numbers."""
    return named(StudyRows(results, STUDY).lost(*experiments, **where))


def datasets(*frames: pd.DataFrame) -> list[str]:
    """The data sets of rows or lost runs in the order of DATASETS, others last."""
    found = {name for frame in frames for name in frame["dataset"]} - {""}
    order = list(DATASETS)
    return sorted(found, key=lambda name: (order.index(name) if name in order else 99, name))


def methods(*frames: pd.DataFrame) -> list[str]:
    """The methods of rows or lost runs in the order of LOOKS."""
    found = {name for frame in frames for name in frame["method"]}
    return [name for name in LOOKS if name in found]


def differences(frame: pd.DataFrame, to: str = VAE) -> pd.DataFrame:
    """Rows of one number per run, less that of the run of method `to` with the same seed, steps and
    data; runs without such a partner, and those of `to` itself, are left out."""
    keys = ["dataset", "seed", "tier", "steps", "fingerprint"]
    other = frame.loc[frame["method"] == to, [*keys, "value"]]
    pairs = frame[frame["method"] != to].merge(other, on=keys, suffixes=("", "_other"))
    return pairs.assign(value=pairs["value"] - pairs["value_other"])
