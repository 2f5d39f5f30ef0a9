"""Trained runs as points in the plane of KL and reconstruction error, for figures and tables.

Rezende and Viola, "Taming VAEs" (arXiv 1810.00597), Figure 4: one point per run, the mean over the
last 5 % of its training, on training batches with z sampled as it is trained.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from paper_repro.claims.curve_summaries import reduced
from paper_repro.claims.filters import pick
from paper_repro.drawing import study_rows, style
from paper_repro.drawing.study_rows import RUN, Setting, StudyRows, of
from paper_repro.drawing.style import Look
from paper_repro.results.frames import Results

STUDY = "taming_vaes"
END = {"min": 0.95}  # of training, as in the claims
ROTATED = ("mnist_rotate", "digits_rotate")
DATASETS = (  # in the order of figures and tables
    *("mnist", "fashion_mnist", "color_mnist", "cifar10", "celeba_half_64", "mnist_rotate"),
    *("digits", "sprites", "patches", "color_digits", "digits_rotate"),
)
MODELS = ("conditional ConvDRAW", "ConvDRAW", "VAE+NVP", "MLP VAE+NVP", "VAE", "MLP VAE")
METHODS = {"elbo": "elbo", "gqn": "gqn", "beta_ramp": "beta_elbo"}  # with their objectives
LOOKS = {
    "geco": Look("GECO", style.BLUE, "-", "h"),
    "elbo": Look("ELBO", style.GREEN, (0, (4, 1.2)), "D"),
    "gqn": Look("ELBO, annealed by hand", style.RED, (0, (3, 1)), "v"),
    "beta_ramp": Look(r"ELBO, $\beta$ ramp", style.AMBER, (0, (5, 1, 1, 1)), "P"),
    "capacity": Look("lowest error reached", style.GREY, (0, (4, 2)), "_"),
    "water_filling": Look("PCA bound", "#000000", (0, (1, 1.5)), "|"),
}


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
    return named(StudyRows(results, STUDY).curves(experiment, metric=metric))


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


def lost(results: Results, *experiments: str) -> pd.DataFrame:
    """Runs planned for experiments that left no numbers."""
    return named(StudyRows(results, STUDY).lost(*experiments))


def settings(*frames: pd.DataFrame) -> list[Setting]:
    """The settings of rows or lost runs, by model and data set in the order of MODELS and
    DATASETS."""
    return study_rows.settings(*frames, datasets=DATASETS, models=MODELS)


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
