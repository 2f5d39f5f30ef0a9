"""Rows of the runs that differ in gamma alone, as figures and tables ask for them.

A run has one of the names of RUNS. A family is a group of experiments with one network and data set
each per setting: ``celeba`` (Figure 4 of Dai, Wenliang and Wipf, NeurIPS 2021, and its stand-in
`faces`) or ``miniature``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from paper_repro.claims.filters import pick
from paper_repro.drawing import study_rows, style
from paper_repro.drawing.study_rows import Setting, StudyRows
from paper_repro.drawing.style import Look
from paper_repro.results.frames import Results

STUDY = "infinite_gradients"
LEARNED, FIXED, TEN, HUNDRED = "gamma_learned", "gamma_fixed", "gamma_10", "gamma_100"
FAST, SLOW, CLOSED = "gamma_fast", "gamma_slow", "gamma_closed"
PAIR = (LEARNED, FIXED)
SPEEDS = (SLOW, LEARNED, FAST, CLOSED, FIXED)
SIZES = (LEARNED, FIXED, TEN, HUNDRED)
# Name of a run -> the end of its experiment's name, and what picks it there. The rate of log gamma
# is twice that of the networks on CelebA, where the authors' code learns log sqrt(gamma).
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    LEARNED: ("learned", {}),
    FIXED: ("fixed", {}),
    TEN: ("over", {"gamma.times": 10}),
    HUNDRED: ("over", {"gamma.times": 100}),
    SLOW: ("anneal", {"rates.likelihood": [0.1, 0.2]}),
    FAST: ("anneal", {"rates.likelihood": [10, 20]}),
    CLOSED: ("anneal", {"likelihood": "gaussian_closed_form"}),
}
NAMES = {  # in tables
    LEARNED: "gamma learned",
    FIXED: "fixed at gamma*",
    TEN: "fixed at 10 gamma*",
    HUNDRED: "fixed at 100 gamma*",
    SLOW: "learned, rate x 0.1",
    FAST: "learned, rate x 10",
    CLOSED: "optimal in each batch",
}
LOOKS = {  # in figures; gamma*: what the learned run ends with
    LEARNED: Look(r"$\gamma$ learned", style.BLUE, "-", "o"),
    FIXED: Look(r"$\gamma$ fixed at $\gamma^*$", style.RED, "-", "s"),
    TEN: Look(r"$\gamma$ fixed at $10\,\gamma^*$", style.AMBER, (0, (5, 1, 1, 1)), "<"),
    HUNDRED: Look(r"$\gamma$ fixed at $100\,\gamma^*$", style.BROWN, (0, (1.2, 1.2)), "v"),
    FAST: Look(r"$\gamma$ learned, rate x 10", style.SKY, (0, (4, 1.2)), "h"),
    SLOW: Look(r"$\gamma$ learned, rate x 0.1", style.GREEN, (0, (3, 1)), "P"),
    CLOSED: Look(r"$\gamma$ optimal in each batch", style.PINK, (0, (2.5, 2.5)), "X"),
}
DATASETS = (
    *("celeba128", "celeba_half_64"),
    *("tanh_manifold_clean", "tanh_manifold", "tanh_manifold_noisy"),
)
TRUE_DIMS = 5  # of the miniature's data
MILLI = 1000  # MMD is shown times this
MMD_NOTE = """MMD: squared maximum mean discrepancy of q(z) to N(0, I), times 1000, by the unbiased
statistic and kernels of WAE (Tolstikhin et al. 2018) on one draw of z per test image; the paper
does not say which it uses"""
UNITS_NOTE = """The paper's numbers are of one run each and without units: 352.8 and 349.9 are read
as squared errors summed over pixels in [0, 1], 93.3 and 291.8 as an MMD times 1000, of a kernel
that is not stated"""


def finals(
    results: Results, family: str, names: Iterable[str], metric: str, split: str = "test", **at: Any
) -> pd.DataFrame:
    """Final values of the runs named, with the name as column `run`; `at` are coordinates."""
    rows = StudyRows(results, STUDY).finals
    return _each(family, names, lambda name, w: rows(name, metric=metric, split=split, **at, **w))


def curves(results: Results, family: str, names: Iterable[str], metric: str) -> pd.DataFrame:
    """Training curves of the runs named that ended well."""
    rows = StudyRows(results, STUDY).curves
    return _each(family, names, lambda name, where: rows(name, metric=metric, **where))


def lost(results: Results, family: str, names: Iterable[str]) -> pd.DataFrame:
    """Runs planned under these names that left no numbers."""
    rows = StudyRows(results, STUDY).lost
    return _each(family, names, lambda name, where: rows(name, **where))


def settings(*frames: pd.DataFrame) -> list[Setting]:
    """The settings of rows or lost runs, those of the paper's data set first."""
    return study_rows.settings(*frames, datasets=DATASETS)


def of(frame: pd.DataFrame, setting: Setting, run: str = "") -> pd.DataFrame:
    """Rows of a setting, of one run if it is named."""
    mine = study_rows.of(frame, setting)
    return pick(mine, run=run) if run else mine


def reported(metric: str, run: str, dataset: str) -> float | None:
    """The paper's number, None where it has none for the data set."""
    found = study_rows.reported_numbers(STUDY, metric=metric, run=run, dataset=dataset)
    return float(found["value"].iloc[0]) if len(found) else None


def _each(
    family: str, names: Iterable[str], read: Callable[[str, dict[str, Any]], pd.DataFrame]
) -> pd.DataFrame:
    """What `read` finds of each run, by its experiment, as ``celeba_fixed``, and what picks it."""
    parts = [read(f"{family}_{RUNS[n][0]}", RUNS[n][1]).assign(run=n) for n in names]
    found = pd.concat(parts, ignore_index=True)
    lacking = {name: "" for name in ("dataset", "model") if name not in found}  # of no runs at all
    found = found.assign(**lacking)
    return found.assign(shown_model=found["model"])
