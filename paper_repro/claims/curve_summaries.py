"""One number per run for a stretch of its training curve: its mean, extremes, or whether it rises.

Curves are thinned to at most 200 points a run; a point is the mean of the steps since the point
before. A stretch is given as fractions of the run, and a point belongs to it if any of its steps
does: the first 1 % of a run with a point every 5 % is then its first point, never nothing. A run
whose points are further apart than the stretch is long is so judged by more steps than were asked
for; it is blurred, not left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

SERIES = ["study", "cell", "seed", "metric", "split", "at", "estimator"]
FEWEST = 3  # points that have an order worth a coefficient


def reduced(curves: pd.DataFrame, stretch: Mapping[str, float], span: str) -> pd.DataFrame:
    """One row per curve of `curves` (as `Results.frame` gives them, points of any order).

    `stretch` holds `min` and `max`, fractions of the run (0 and 1 where absent). `span` names the
    number in `value`: "mean", over the steps of the points in the stretch; "spearman", the rank
    correlation (Spearman 1904) of value and step there, nan for fewer than three points or a
    constant; "lowest" and "highest", the extreme points. All else is that of the curve's last
    point in the stretch. A value that is not finite makes the number nan.
    """
    low, high = stretch.get("min", 0.0), stretch.get("max", 1.0)
    if curves.empty:
        return curves
    ordered = curves.sort_values("step", kind="stable")
    begin = ordered.groupby(SERIES)["step"].shift(fill_value=0)
    first, last = (np.round(end * ordered["steps"], 6) for end in (low, high))
    inside = (begin < last) & (ordered["step"] > first)
    kept = ordered[inside]
    step, value = (kept[name].to_numpy(float) for name in ("step", "value"))
    length = step - begin[inside].to_numpy(float)
    places = list(kept.groupby(SERIES).indices.values())
    numbers = [SPANS[span](step[i], value[i], length[i]) for i in places]
    return kept.iloc[[i[-1] for i in places]].assign(value=numbers)


Points = NDArray[np.float64]


def _mean(step: Points, value: Points, length: Points) -> float:
    """Mean over steps: the last point of a run may stand for fewer of them."""
    return float(np.average(value, weights=length)) if length.sum() else float(value.mean())


def _spearman(step: Points, value: Points, length: Points) -> float:
    if len(value) < FEWEST or not np.isfinite(value).all() or np.ptp(value) == 0:
        return math.nan
    return float(stats.spearmanr(step, value).statistic)


def _lowest(step: Points, value: Points, length: Points) -> float:
    return float(value.min())


def _highest(step: Points, value: Points, length: Points) -> float:
    return float(value.max())


SPANS: dict[str, Callable[[Points, Points, Points], float]] = {
    "mean": _mean,
    "spearman": _spearman,
    "lowest": _lowest,
    "highest": _highest,
}
