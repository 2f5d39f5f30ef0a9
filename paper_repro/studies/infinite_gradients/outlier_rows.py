"""Rows of the runs that screen for outliers, as figures and tables ask for them.

A run has one of the names of NAMES; its number of latent dimensions (components, for PCA) is its
`dim`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing import style
from paper_repro.drawing.study_rows import StudyRows
from paper_repro.drawing.style import Look
from paper_repro.results.frames import Results
from paper_repro.studies.infinite_gradients import gamma_rows

STUDY = gamma_rows.STUDY
LEARNED, ONE, PLAIN, PCA = "gamma_learned", "gamma_one", "plain_autoencoder", "pca"
NAMES = {  # in tables
    LEARNED: "VAE, gamma learned",
    ONE: "VAE, gamma = 1",
    PLAIN: "autoencoder",
    PCA: "PCA",
}
LOOKS = {  # in figures
    LEARNED: gamma_rows.LOOKS[LEARNED],
    ONE: Look(r"$\gamma = 1$", "#000000", (0, (2.5, 2.5)), "s"),
    PLAIN: Look("autoencoder", style.GREEN, (0, (4, 1.2)), ">"),
    PCA: Look("PCA", style.AMBER, (0, (5, 1, 1, 1)), "D"),
}
DIMS, COMPONENTS = "informative_dims", "informative_pca"  # experiments
ACTIVE = 0.5  # of the prior's variance: a dimension below it counts as active
SCORES = {"sse": "error", "elbo": "negative ELBO"}


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows or lost runs of a screening experiment with the name of the run as column `run`;
    those of a task that is none of NAMES are left out."""
    rates = pd.to_numeric(_column(frame, "rates.likelihood"), errors="coerce") == 0
    plain = _column(frame, "objective") == "autoencoder"
    pca = _column(frame, "model") == ""
    names = np.select([pca, plain, rates], [PCA, PLAIN, ONE], LEARNED)
    dims = pd.to_numeric(_column(frame, "dim"), errors="coerce")
    return frame.assign(run=pd.Series(names, frame.index, dtype=object), dim=dims)


def finals(results: Results, family: str, metric: str, **at: Any) -> pd.DataFrame:
    """Final values of ``family`` and ``family_pca`` on test data; `at` are columns."""
    rows = StudyRows(results, STUDY)
    return named(rows.finals(family, f"{family}_pca", metric=metric, split="test", **at))


def lost(results: Results, family: str) -> pd.DataFrame:
    """Runs planned for both experiments that left no numbers."""
    return named(StudyRows(results, STUDY).lost(family, f"{family}_pca"))


def of(frame: pd.DataFrame, run: str, dim: int | None = None) -> pd.DataFrame:
    """Rows of one kind of run, of one number of dimensions if it is given."""
    return pick(frame, run=run) if dim is None else pick(frame, run=run, dim=dim)


def dims(frame: pd.DataFrame, run: str) -> list[int]:
    """Numbers of dimensions that a kind of run has rows for."""
    return sorted({int(dim) for dim in of(frame, run)["dim"].dropna()})


def histogram(
    results: Results, rows: pd.DataFrame, coarser: int = 4
) -> dict[str, NDArray[np.float64]]:
    """Histograms of the error over all runs of `rows`, which agree in kind and number: ``edges``,
    and the share of ``inliers`` and ``outliers`` in every bin; empty where none was saved."""
    total: dict[str, Any] = {}
    for saved, suffix in _arrays(results, rows):
        if f"score_inliers{suffix}" in saved:
            total["edges"] = saved["score_edges"][::coarser]
            for name in ("inliers", "outliers"):
                counts = saved[f"score_{name}{suffix}"].reshape(-1, coarser).sum(1)
                total[name] = total.get(name, 0) + counts
    return {n: v if n == "edges" else v / v.sum() for n, v in total.items()}


def points(results: Results, rows: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Points and reconstructions of the first run of `rows` that saved some: ``points_<set>``
    and ``mapped_<set>`` [N, D]."""
    for saved, suffix in _arrays(results, rows):
        if "points_inliers" in saved:
            found = {n: saved[n] for n in ("points_inliers", "points_outliers")}
            return found | {n: saved[f"{n}{suffix}"] for n in ("mapped_inliers", "mapped_outliers")}
    return {}


def pair(frame: pd.DataFrame) -> str:
    """Inliers and outliers in words, "" where there are no rows."""
    if frame.empty:
        return ""
    names = (frame["dataset"].iloc[0], _column(frame, "outliers").iloc[0])
    return " against ".join(shown(str(name)) for name in names)


def _arrays(results: Results, rows: pd.DataFrame) -> list[tuple[dict[str, NDArray[Any]], str]]:
    """What each run saved, in the order of seeds, and the ending of its arrays' names."""
    runs = rows[["cell", "seed", "run", "dim"]].drop_duplicates().sort_values(["seed", "cell"])
    return [
        (results.arrays(STUDY, cell, seed), f"_{int(dim)}" if run == PCA else "")
        for cell, seed, run, dim in runs.itertuples(index=False)
    ]


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[name] if name in frame else pd.Series("", frame.index, dtype=object)
