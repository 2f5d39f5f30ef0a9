"""Trained runs as points in the plane of KL and reconstruction error, for figures and tables.

Rezende and Viola, "Taming VAEs" (arXiv 1810.00597), Figure 4: one point per run, the mean over the
last 5 % of its training, on training batches with z sampled as it is trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from paper_repro.analysis.panels import pick
from paper_repro.analysis.results import FINISHED, Results
from paper_repro.analysis.spans import reduced

STUDY = "taming_vaes"
END = {"min": 0.95}  # of training, as in the claims
RUN = ["cell", "seed"]
ROTATED = ("mnist_rotate", "digits_rotate")
SETS = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "color_mnist": "Color-MNIST",
    "cifar10": "CIFAR-10",
    "celeba_half_64": "CelebA 64x64 (half)",
    "mnist_rotate": "MNIST-rotate",
    "digits": "digits",
    "sprites": "sprites",
    "patches": "patches",
    "color_digits": "Color-digits",
    "digits_rotate": "digits-rotate",
}
MODELS = ("conditional ConvDRAW", "ConvDRAW", "VAE+NVP", "MLP VAE+NVP", "VAE", "MLP VAE")
# Names of methods, which are those of their looks in `analysis.style`, and of their objectives.
METHODS = {"elbo": "elbo", "gqn": "gqn", "beta_ramp": "beta_elbo"}


class Setting(NamedTuple):
    """A data set and the model trained on it, under the names that readers see."""

    dataset: str
    model: str

    def __str__(self) -> str:
        return f"{shown(self.dataset)}, {self.model}"


def shown(dataset: str) -> str:
    """A data set's name as readers know it."""
    return SETS.get(dataset, dataset.replace("_", " "))


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with the model's shown name as column `shown_model`."""
    frame = frame.assign(**{n: "" for n in ("dataset", "model") if n not in frame})  # of no runs
    prior = frame["prior"] if "prior" in frame else pd.Series("", frame.index, dtype=object)
    columns = zip(frame["model"], prior, frame["dataset"], strict=True)
    return frame.assign(shown_model=[_model(*each) for each in columns])


def _model(model: str, prior: str, dataset: str) -> str:
    if model == "convdraw":
        return "conditional ConvDRAW" if dataset in ROTATED else "ConvDRAW"
    return ("MLP " if model == "mlp" else "") + ("VAE+NVP" if prior == "flow" else "VAE")


def curves(results: Results, experiment: str, metric: str) -> pd.DataFrame:
    """Training curves of the runs of an experiment that ended well."""
    rows = results.frame(STUDY, experiment, metric, "curve")
    rows = rows[(rows["status"] == FINISHED) & (rows["split"] == "train")]
    gone = pd.MultiIndex.from_frame(results.unfinished(STUDY, experiment)[RUN])
    return named(rows[~pd.MultiIndex.from_frame(rows[RUN]).isin(gone)])


def ends(results: Results, experiment: str, metric: str) -> pd.DataFrame:
    """One row per run: the mean of a training curve over its last 5 %."""
    return reduced(curves(results, experiment, metric), END, "mean")


def finals(
    results: Results, experiment: str, metric: str, split: str = "test", **at: object
) -> pd.DataFrame:
    """Final values of the runs that ended well; `at` are coordinates."""
    return named(pick(results.finals(STUDY, experiment, metric), split=split, **at))


def points(results: Results, experiment: str) -> pd.DataFrame:
    """One row per run with its settings and `rate` (nats/image), `rmse` (RMS error per pixel) and
    `multiplier` (of RE in sum units, nan where there is none)."""
    found = ends(results, experiment, "rate").rename(columns={"value": "rate"})
    for name, metric in (("mse", "mse"), ("multiplier", "multiplier_RE")):
        other = ends(results, experiment, metric)[[*RUN, "value"]]
        found = found.merge(other.rename(columns={"value": name}), on=RUN, how="left")
    return found.assign(rmse=np.sqrt(found["mse"].astype(float)))


def of_method(frame: pd.DataFrame, method: str) -> pd.DataFrame:
    """The rows of `baselines` of one of METHODS."""
    return pick(frame, objective=METHODS[method])


def lost(results: Results, experiments: Iterable[str]) -> pd.DataFrame:
    """Runs planned for experiments that left no numbers."""
    return pd.concat(
        [named(results.unfinished(STUDY, name)).assign(experiment=name) for name in experiments],
        ignore_index=True,
    )


def settings(*frames: pd.DataFrame) -> list[Setting]:
    """The settings of rows or lost runs, by model and data set in the order of MODELS and SETS."""
    pairs = [frame[["dataset", "shown_model"]] for frame in frames]
    found = {Setting(*pair) for frame in pairs for pair in frame.itertuples(index=False)}
    order = [*SETS]
    return sorted(
        found,
        key=lambda s: (MODELS.index(s.model), order.index(s[0]) if s[0] in order else 99, s),
    )


def of(frame: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Rows of a setting."""
    return pick(frame, dataset=setting.dataset, shown_model=setting.model)


def pixels(results: Results, experiment: str, setting: Setting) -> float:
    """Values per image D, from the two units of an error; nan where no run has both."""
    total, each = (
        of(finals(results, experiment, name, z="sampled"), setting).set_index(RUN)["value"]
        for name in ("sse", "mse")
    )
    ratio = (total / each).dropna()
    return float(ratio.iloc[0].round()) if len(ratio) else float("nan")


def bound(results: Results, dataset: str) -> pd.DataFrame:
    """The PCA reverse-water-filling curve of a data set: `kappa` and `value`, nats/image, by
    rising kappa; empty where it was not computed."""
    found = pick(results.finals(STUDY, "water_filling", "water_filling_rate"), dataset=dataset)
    if found.empty:
        return pd.DataFrame({"kappa": [], "value": []}, dtype=float)
    return found[["kappa", "value"]].astype(float).sort_values("kappa").drop_duplicates("kappa")


def kappas(frame: pd.DataFrame) -> Sequence[float]:
    """The thresholds of RE in `frame`, rising."""
    values = pd.to_numeric(frame["kappa"], errors="coerce") if "kappa" in frame else pd.Series()
    return sorted(float(value) for value in values.dropna().unique() if value > 0)


def missing(gone: pd.DataFrame) -> str:
    """``2 runs missing, 1 run diverged``; "" where none are."""
    counts = gone["status"].value_counts().sort_index(ascending=False)
    return ", ".join(f"{n} run{'s' * (n != 1)} {status}" for status, n in counts.items())
