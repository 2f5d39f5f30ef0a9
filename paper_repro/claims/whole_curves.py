"""Whether a training curve has all its points: a lost one would move a mean or hide an extreme.

When a run records is known from its parameters: every so many steps (`training.loop.Schedule`), at
its `marks`, or at every multiple of a setting called ..._every.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from paper_repro.claims.curve_summaries import SERIES
from paper_repro.results.frames import Results
from paper_repro.results.places import MOST


def whole(results: Results, study: str, rows: pd.DataFrame) -> pd.Series:
    """Per row of `rows` (of curves) whether its curve has every point it should have."""
    found = pd.Series(False, index=rows.index)
    schedules: dict[tuple[str, int], list[frozenset[int]]] = {}
    for _, part in rows.groupby(SERIES, dropna=False, sort=False):
        key = (str(part["cell"].iloc[0]), int(part["steps"].iloc[0]))
        if key not in schedules:
            schedules[key] = [*_schedules(results.parameters(study, key[0]), key[1])]
        found[part.index] = frozenset(part["step"]) in schedules[key]
    return found


def _schedules(params: Mapping[str, Any], steps: int) -> Iterator[frozenset[int]]:
    """The steps at which a run may record: each of the sets is that of some of its curves."""
    points = max(1, min(params.get("curve_points", MOST), MOST))
    marks = {round(mark * steps) for mark in params.get("marks") or ()}
    some = [{*_multiples(max(1, -(-steps // points)), steps), steps}, marks]
    some += [
        {*_multiples(value, steps), steps}
        for name, value in params.items()
        if name.endswith("_every") and value
    ]
    for recorded in filter(None, some):  # the start may be a point, and the end may be none
        for taken in (recorded | {0}, recorded):
            yield frozenset(taken | {steps})
            yield frozenset(taken - {steps})


def _multiples(every: int, steps: int) -> range:
    return range(every, steps + 1, every)
