"""Mistakes in reading a stretch of a training curve: what would lose or borrow steps."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paper_repro.claims.curve_summaries import SERIES, reduced
from paper_repro.rows import Row
from tests.results.made_runs import cell, results
from tests.wrong_on_purpose.case import Case

# 100 steps, a point every 20: each the mean of the steps before it.
VALUES = (10.0, 20.0, 30.0, 50.0, 40.0)


def _curves() -> pd.DataFrame:
    def make(one: Any, seed: int) -> Any:
        return [
            Row("grad", value + seed, "1", step=20 * (i + 1), kind="curve")
            for i, value in enumerate(VALUES)
        ]

    with tempfile.TemporaryDirectory() as folder:
        found = results(Path(folder), [cell(estimator="path", seeds=2, curve_points=5)], make)
        return found.frame("made", "fit", "grad", "curve")


def _by_points_alone(curves: pd.DataFrame, stretch: Any, span: str) -> pd.DataFrame:
    low, high = stretch.get("min", 0), stretch.get("max", 1)
    return reduced(curves[curves["progress"].between(low, high)], {}, span)


def _over_runs(curves: pd.DataFrame, stretch: Any, span: str) -> pd.DataFrame:
    pooled = curves.groupby("step").agg(
        dict.fromkeys([*SERIES[:3], *SERIES[4:], "split", "steps"], "first") | {"value": "mean"}
    )
    return reduced(pooled.reset_index().assign(metric="grad"), stretch, span)


def _to_the_end(curves: pd.DataFrame, stretch: Any, span: str) -> pd.DataFrame:
    return reduced(curves, {**stretch, "max": 1.0}, span)


def _reads_wrongly(read: Any) -> bool:
    curves = _curves()
    right = [10.0, 11.0, 25.0, 26.0, 1.0, 1.0]
    found = read(curves, {"max": 0.01}, "mean")["value"].tolist()
    found += read(curves, {"min": 0.2, "max": 0.6}, "mean")["value"].tolist()
    found += read(curves, {"max": 0.8}, "spearman")["value"].tolist()
    return len(found) != len(right) or not np.allclose(found, right)


CASES = [
    Case("points at the end of their steps alone", reduced, _by_points_alone, _reads_wrongly),
    Case("runs averaged before they are read", reduced, _over_runs, _reads_wrongly),
    Case("a stretch that never ends", reduced, _to_the_end, _reads_wrongly),
]
