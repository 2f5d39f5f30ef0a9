"""A mean with its Student t interval over seeds, as figures and tables show it.

Runs of two methods that share a seed share initial weights, data order and noise (common random
numbers), so methods are compared by the differences within seeds. There are no bootstrap
intervals: at the three to twenty seeds of these studies they cover too rarely. What decides a claim
is in `borders`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from paper_repro.claims.borders import ALPHA


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


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(values, dtype=float).reshape(-1)
    if not len(x):
        raise ValueError("no values")
    if not np.isfinite(x).all():
        raise ValueError("values must be finite")
    return x
