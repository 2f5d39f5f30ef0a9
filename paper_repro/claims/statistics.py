"""Statistics for few seeds: Student t intervals, tests against a region, equivalence, Holm.

Runs of two methods that share a seed share initial weights, data order and noise (common random
numbers), so methods are compared by the differences within seeds. There are no bootstrap
intervals: at the three to twenty seeds of these studies they cover too rarely.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

ALPHA = 0.05  # intervals cover 95 %; a decision errs at most this often (2.5 % to each side)


@dataclass(frozen=True)
class Interval:
    """A mean with its two-sided Student t interval; `low` and `high` are nan for one value."""

    mean: float
    low: float
    high: float
    se: float
    n: int

    @property
    def half_width(self) -> float:
        """Half the length of the interval."""
        return (self.high - self.low) / 2


def t_interval(values: ArrayLike, alpha: float = ALPHA) -> Interval:
    """Mean of independent values and its 1 - alpha Student t interval.

    ValueError if there is no value or one is not finite: a failed run must not shrink a sample.
    """
    x = _finite(values)
    mean = float(x.mean())
    if len(x) == 1:
        return Interval(mean, math.nan, math.nan, math.nan, 1)
    se = float(x.std(ddof=1) / math.sqrt(len(x)))
    half = float(stats.t.ppf(1 - alpha / 2, len(x) - 1)) * se
    return Interval(mean, mean - half, mean + half, se, len(x))


def tost(found: Interval, low: float, high: float) -> float:
    """p value of Schuirmann's two one-sided t tests that the true mean lies within (low, high);
    an infinite end makes it the ordinary one-sided test. nan for a single value."""
    if found.n < 2:
        return math.nan
    if found.se == 0:
        return 0.0 if low < found.mean < high else 1.0
    above = float(stats.t.sf((found.mean - low) / found.se, found.n - 1))
    below = float(stats.t.sf((high - found.mean) / found.se, found.n - 1))
    return max(above, below)


def boundary_p(found: Interval, low: float, high: float) -> float:
    """Two-sided p value of "the true mean lies on the border of (low, high)".

    It is below alpha exactly when the 1 - alpha interval lies clear of the border: all inside
    (each of the two one-sided tests then rejects at alpha / 2) or all beyond the nearest end.
    nan for a single value.
    """
    if found.n < 2:
        return math.nan
    if low < found.mean < high:
        return min(1.0, 2 * tost(found, low, high))
    distance = low - found.mean if found.mean <= low else found.mean - high
    if found.se == 0:
        return 0.0 if distance > 0 else 1.0
    return min(1.0, 2 * float(stats.t.sf(distance / found.se, found.n - 1)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the order given; nan stays nan and is not counted."""
    order = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    running = 0.0
    for rank, (p, i) in enumerate(order):
        running = max(running, min(1.0, (len(order) - rank) * p))
        adjusted[i] = running
    return adjusted


def loglog_slope(x: ArrayLike, y: ArrayLike) -> float:
    """Least-squares slope of log y on log x: the exponent of a power law."""
    u, v = np.asarray(x, float), np.asarray(y, float)
    if len(np.unique(u)) < 2:
        raise ValueError("a slope needs two different abscissae")
    if (u <= 0).any() or (v <= 0).any():
        raise ValueError("a power law needs positive values")
    return float(np.polynomial.polynomial.polyfit(np.log(u), np.log(v), 1)[1])


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(values, dtype=float).reshape(-1)
    if not len(x):
        raise ValueError("no values")
    if not np.isfinite(x).all():
        raise ValueError("values must be finite")
    return x
