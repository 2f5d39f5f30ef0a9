"""A run against the curve that other runs of its seed trace in a plane, by interpolation.

Methods that end at different reconstruction errors are compared at equal error: the rate of one
against the rate that a sweep of the other (one run per constraint threshold) has at that error.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def height(points: pd.DataFrame, curve: pd.DataFrame, on: Sequence[str]) -> NDArray[np.float64]:
    """For each row of `points` its `value` minus that of the curve of rows of `curve` that agree
    with it in the columns `on`, at the same `x`.

    Both have columns `x` > 0 and `value`; a curve is linear between its points in ln x. Beyond the
    curve's largest x a point is compared with nothing: +inf, since the sweep does not go there.
    Below its smallest x, and without a curve of two points, nan.
    """
    found = np.full(len(points), np.nan)
    curves = dict(list(curve.groupby(list(on), sort=False)))
    for place, row in enumerate(points[[*on, "x", "value"]].itertuples(index=False, name=None)):
        *key, x, value = row
        mine = curves.get(tuple(key))
        if mine is None or len(mine) < 2:
            continue
        line = mine.sort_values("x")
        xs = np.log(line["x"].to_numpy(float))
        if np.log(x) > xs[-1]:
            found[place] = np.inf
        elif np.log(x) >= xs[0]:
            found[place] = value - np.interp(np.log(x), xs, line["value"].to_numpy(float))
    return found
