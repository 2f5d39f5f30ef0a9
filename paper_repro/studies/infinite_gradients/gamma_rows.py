"""Rows of the runs that differ in gamma alone, as figures and tables ask for them.

A run has one of the names of RUNS, which are also those of its look in `analysis.style`. A family
is a group of experiments with one network and data set each per setting: ``celeba`` (Figure 4 of
Dai, Wenliang and Wipf, NeurIPS 2021, and its stand-in `faces`) or ``miniature``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from paper_repro.analysis import reported as reported_numbers
from paper_repro.analysis.filters import matches
from paper_repro.analysis.results import FINISHED, Results

STUDY = "infinite_gradients"
REPORTED = Path(__file__).with_name("reported.csv")
LEARNED, FIXED, TEN, HUNDRED = "gamma_learned", "gamma_fixed", "gamma_10", "gamma_100"
FAST, SLOW, CLOSED = "gamma_fast", "gamma_slow", "gamma_closed"
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
SHOWN = {
    "celeba128": "CelebA 128x128",
    "celeba_half_64": "CelebA 64x64 (half)",
    "tanh_manifold_clean": "manifold, noise 0",
    "tanh_manifold": "manifold, noise 0.1",
    "tanh_manifold_noisy": "manifold, noise 0.2",
}
TRUE_DIMS = 5  # of the miniature's data
MILLI = 1000  # MMD is shown times this
MMD_NOTE = """MMD: squared maximum mean discrepancy of q(z) to N(0, I), times 1000, by the unbiased
statistic and kernels of WAE (Tolstikhin et al. 2018) on one draw of z per test image; the paper
does not say which it uses"""
UNITS_NOTE = """The paper's numbers are of one run each and without units: 352.8 and 349.9 are read
as squared errors summed over pixels in [0, 1], 93.3 and 291.8 as an MMD times 1000, of a kernel
that is not stated"""


class Setting(NamedTuple):
    """A data set and the networks trained on it."""

    dataset: str
    model: str

    def __str__(self) -> str:
        name = SHOWN.get(self.dataset, self.dataset.replace("_", " "))
        return name if self.dataset.startswith("tanh") else f"{name}, {self.model}"


def finals(
    results: Results, family: str, names: Iterable[str], metric: str, split: str = "test", **at: Any
) -> pd.DataFrame:
    """Final values of the runs named, with the name as column `run`; `at` are coordinates."""
    wanted = {"split": split, **at}
    return _joined(
        [
            (name, rows[matches(rows, {**RUNS[name][1], **wanted})])
            for name in names
            for rows in [results.finals(STUDY, experiment(family, name), metric)]
        ]
    )


def curves(results: Results, family: str, names: Iterable[str], metric: str) -> pd.DataFrame:
    """Training curves of the runs named that ended well."""
    found = []
    for name in names:
        rows = results.frame(STUDY, experiment(family, name), metric, "curve")
        rows = rows[matches(rows, {**RUNS[name][1], "split": "train", "status": FINISHED})]
        gone = pd.MultiIndex.from_frame(lost(results, family, [name])[["cell", "seed"]])
        found.append((name, rows[~pd.MultiIndex.from_frame(rows[["cell", "seed"]]).isin(gone)]))
    return _joined(found)


def lost(results: Results, family: str, names: Iterable[str]) -> pd.DataFrame:
    """Runs planned under these names that left no numbers."""
    return _joined(
        [
            (name, rows[matches(rows, RUNS[name][1])])
            for name in names
            for rows in [results.unfinished(STUDY, experiment(family, name))]
        ]
    )


def experiment(family: str, name: str) -> str:
    """Experiment of a run, as ``celeba_fixed``."""
    return f"{family}_{RUNS[name][0]}"


def settings(*frames: pd.DataFrame) -> list[Setting]:
    """The settings of rows or lost runs, those of the paper's data set first."""
    found = {
        Setting(*pair)
        for frame in frames
        for pair in frame[["dataset", "model"]].itertuples(index=False)
    }
    order = [*SHOWN]
    return sorted(found, key=lambda s: (order.index(s[0]) if s[0] in order else 99, s))


def of(frame: pd.DataFrame, setting: Setting, run: str = "") -> pd.DataFrame:
    """Rows of a setting, of one run if it is named."""
    mine = frame[(frame["dataset"] == setting.dataset) & (frame["model"] == setting.model)]
    return mine[mine["run"] == run] if run else mine


def reported(metric: str, run: str, dataset: str) -> float | None:
    """The paper's number, None where it has none for the data set."""
    table = reported_numbers.frame(REPORTED, STUDY)
    which = (table["metric"] == metric) & (table["run"] == run) & (table["dataset"] == dataset)
    values = table.loc[which, "value"]
    return float(values.iloc[0]) if len(values) else None


def _joined(parts: Sequence[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    found = pd.concat([rows.assign(run=name) for name, rows in parts], ignore_index=True)
    lacking = {name: "" for name in Setting._fields if name not in found}  # of no runs at all
    return found.assign(**lacking)
