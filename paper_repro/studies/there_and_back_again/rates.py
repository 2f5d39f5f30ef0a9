"""The learning rate of every method: the one of the grid that validation images prefer.

Each method has one rate for all data sets. A rate is judged by the mean over the data sets of the
native ELBO per value of validation images; the highest is chosen, of equals the smallest rate. One
of which a run diverged, or was never run, on any data set is out of the race.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from paper_repro.claims.filters import pick
from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again import methods

SCORE = {"metric": "elbo_per_value", "split": "validation", "evaluation": "native"}


class Candidate(NamedTuple):
    """A method at one learning rate: its score by data set and their mean in nats/value, NaN where
    a run has none; status of the lost runs by data set."""

    method: str
    rate: float
    scores: dict[str, float]
    lost: dict[str, list[str]]

    @property
    def mean(self) -> float:
        """What it is judged by."""
        return sum(self.scores.values()) / len(self.scores) if self.scores else math.nan


def rate(frame: pd.DataFrame) -> pd.Series:
    """The learning rates of rows or cells, at the start of a schedule."""
    lacking = pd.Series(math.nan, frame.index)
    return frame.get("lr.from", lacking).fillna(frame.get("lr", lacking)).astype(float)


def candidates(results: Results) -> list[Candidate]:
    """Every method at every rate of the grid, by method and rate."""
    rows = methods.finals(results, "learning_rates", **SCORE)
    lost = methods.lost(results, "learning_rates")
    rows, lost = rows.assign(rate=rate(rows)), lost.assign(rate=rate(lost))
    found = []
    for method in methods.methods(rows, lost):
        mine, gone = pick(rows, method=method), pick(lost, method=method)
        for value in sorted({*mine["rate"], *gone["rate"]}):
            at, without = pick(mine, rate=value), pick(gone, rate=value)
            scores: dict[str, float] = {}
            status: dict[str, list[str]] = {}
            for dataset in methods.datasets(rows, lost):
                finite = pick(at, dataset=dataset)["value"].map(_finite)
                status[dataset] = list(pick(without, dataset=dataset)["status"])
                whole = len(finite) > 0 and not status[dataset]
                scores[dataset] = float(finite.mean(skipna=False)) if whole else math.nan
            found.append(Candidate(method, value, scores, status))
    return found


def chosen(found: Sequence[Candidate]) -> dict[str, float]:
    """The rate of every method that has a complete candidate."""
    complete = [one for one in found if not math.isnan(one.mean)]
    best = {}
    for method in dict.fromkeys(one.method for one in complete):
        own = [one for one in complete if one.method == method]
        best[method] = max(own, key=lambda one: (one.mean, -one.rate)).rate
    return best


def of_e1(results: Results) -> dict[str, list[float]]:
    """The rates of every method that E1 is planned with: one each, if the grid is right."""
    cells = methods.named(results.settings(methods.STUDY, "elbo"))
    cells = cells.assign(rate=rate(cells))
    return {
        method: sorted(pick(cells, method=method)["rate"].unique())
        for method in methods.methods(cells)
    }


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.nan
