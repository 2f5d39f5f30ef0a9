"""Whether a training curve has all its points: a lost one would move a mean or hide an extreme.

When a run records is known from its parameters: the loop every so many steps and at the end
(`training.loop.Schedule`), an evaluation at the run's `marks`, of which the last may be a final
row, or from the start at every multiple of a setting called ..._every. Which of these a curve
follows shows in the seeds of its cell taken together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from paper_repro.claims.curve_summaries import SERIES
from paper_repro.results.frames import Results
from paper_repro.results.places import MOST


def whole(results: Results, study: str, rows: pd.DataFrame) -> pd.Series:
    """Per row of `rows` (of curves) whether its curve has every point it should have, all of them
    numbers."""
    curve = rows.groupby(SERIES, dropna=False, sort=False).ngroup()
    points = rows["step"].groupby(curve).transform("nunique")
    wanted = np.full(len(rows), -1)
    alike = [name for name in SERIES if name != "seed"]
    cell, step, steps = (rows[name].to_numpy() for name in ("cell", "step", "steps"))
    for seeds in rows.groupby(alike, dropna=False, sort=False).indices.values():
        recorded = frozenset(step[seeds])
        params = results.parameters(study, str(cell[seeds[0]]))
        if recorded in _schedules(params, int(steps[seeds[0]])):
            wanted[seeds] = len(recorded)
    finite = pd.Series(np.isfinite(rows["value"].to_numpy(float)), rows.index)
    return (points == wanted) & finite.groupby(curve).transform("all")


def _schedules(params: Mapping[str, Any], steps: int) -> Iterator[frozenset[int]]:
    """The steps at which a run may record: each of the sets is that of some of its curves."""
    points = max(1, min(params.get("curve_points", MOST), MOST))
    yield frozenset({*_multiples(max(1, -(-steps // points)), steps), steps})
    if marks := {round(mark * steps) for mark in params.get("marks") or ()}:
        yield frozenset(marks - {steps})
        yield frozenset(marks | {steps})
    for name, value in params.items():
        if name.endswith("_every") and value:
            yield frozenset({0, *_multiples(value, steps), steps})


def _multiples(every: int, steps: int) -> range:
    return range(every, steps + 1, every)
