"""What the tables of trained networks are made of: entries of a data set's methods, and notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing.style import seeds_text
from paper_repro.drawing.tables import Entry, estimate
from paper_repro.studies.there_and_back_again import methods

OURS = (
    "Experiments, data sets, networks, rates and lengths are ours; no number of the paper is "
    "known to us."
)
METHODS = (
    "VAE: one learned variance per channel (of binarised pixels none), prior N(0, I). Variance "
    "head: a variance per pixel from the decoder. Fitted prior: the zero-mean diagonal one that "
    "fits the posteriors. BILBO: that, and one posterior variance for all images. BAGGINS: the VAE "
    "with a bounded variance."
)


def places(*frames: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Data sets, and the methods of each, of rows or lost runs, in the order of tables."""
    for dataset in methods.datasets(*frames):
        for method in methods.methods(*(pick(frame, dataset=dataset) for frame in frames)):
            yield dataset, method


def data_name(dataset: str, preprocessing: str) -> str:
    """How tables call a data set: binarised, it is another one."""
    return shown(dataset) + (", binarised" if preprocessing == "binarised" else "")


def by_run(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per run, with the mean of its rows: of channels."""
    run = ["cell", "seed"]
    return frame.assign(value=frame.groupby(run)["value"].transform("mean")).drop_duplicates(run)


def measured(frame: pd.DataFrame, lost: pd.DataFrame, **where: Any) -> Entry:
    """Mean over seeds of one number per run, of the rows and lost runs with these settings."""
    return estimate(pick(frame, **where)["value"], list(pick(lost, **where)["status"]))


def compared(
    differences: pd.DataFrame, lost: pd.DataFrame, method: str, to: str, **where: Any
) -> Entry:
    """Mean of paired differences of a method to another; a seed lost on either side counts once."""
    both = pick(lost, **where)
    both = both[both["method"].isin((method, to))].drop_duplicates("seed")
    return estimate(pick(differences, method=method, **where)["value"], list(both["status"]))


def origin(*frames: pd.DataFrame) -> str:
    """Where numbers come from: tier, steps and seeds of each data set, and that all is ours."""
    known = [frame for frame in frames if len(frame)]
    if not known:
        return f"Not run. {OURS}"
    parts = []
    keys = ["dataset", "preprocessing", "tier", "steps"]
    groups = list(pd.concat(known).groupby(keys, sort=False))
    order = methods.datasets(*known)
    for names, rows in sorted(groups, key=lambda group: order.index(str(group[0][0]))):
        dataset, preprocessing, tier, steps = map(str, names)
        name = data_name(dataset, preprocessing)
        parts.append(f"{name}: tier {tier}, {int(steps):,} steps, {seeds_text(rows)}")
    return (
        f"Our runs ({'; '.join(parts)}); mean ± half width of the 95 % t interval over seeds. "
        f"{OURS}"
    )
