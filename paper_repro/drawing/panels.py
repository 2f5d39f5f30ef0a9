"""Panels that figures of every study are made of: curves, points and rows with seed intervals.

Intervals are two-sided 95 % Student t intervals over seeds. On a logarithmic axis mean and interval
are those of the logarithm, so that a band never reaches below zero; with one seed there is a line
or a point and no interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.claims.statistics import t_interval
from paper_repro.drawing import style
from paper_repro.drawing.style import Look

Array = NDArray[np.float64]
FAINT: dict[str, Any] = {"alpha": 0.35, "markersize": 2.5}
BARS: dict[str, Any] = {"capsize": 2, "linewidth": 1, "zorder": 4}


def student(values: Array, log: bool = False) -> tuple[Array, Array, Array]:
    """Mean, lower and upper end of the 95 % Student t interval of each row of ``values``
    [points, seeds].

    Missing seeds (nan) are left out; with fewer than two, the interval is nan. ``log`` takes them
    of log(values) and returns them exponentiated; values <= 0 are then missing.
    """
    if log:
        values = np.log(values, out=np.full(values.shape, np.nan), where=values > 0)
    bounds = np.full((3, len(values)), np.nan)
    for place, row in enumerate(values):
        if len(known := row[np.isfinite(row)]):
            found = t_interval(known)
            bounds[:, place] = found.mean, found.low, found.high
    mean, low, high = np.exp(bounds) if log else bounds
    return mean, low, high


def by_seed(frame: DataFrame, x: str) -> tuple[Array, Array]:
    """Coordinates [points] and values [points, seeds] of `frame`, sorted by column `x`."""
    table = frame.pivot_table(index=x, columns="seed", values="value", dropna=False).sort_index()
    return table.index.to_numpy(dtype=float), table.to_numpy(dtype=float)


def line(
    axes: Axes,
    frame: DataFrame,
    of: str | Look,
    *,
    x: str = "step",
    log: bool = True,
    markers: bool = False,
    label: str = "",
) -> None:
    """Mean over seeds of `frame` against column `x`, with its interval as a band, in the look of an
    estimator or whatever else it is `of`."""
    if frame.empty:
        return
    look = style.look(of)
    where, values = by_seed(frame, x)
    mean, low, high = student(values, log)
    axes.plot(where, mean, color=look.colour, linestyle=look.dash, label=label or look.label,
              marker=look.marker if markers else None, zorder=3)  # fmt: skip
    axes.fill_between(where, low, high, color=look.colour, alpha=0.17, linewidth=0, zorder=2)


def curves(
    axes: Axes,
    frame: DataFrame,
    estimators: Sequence[str],
    what: str,
    *,
    x: str = "step",
    log: bool = True,
    markers: bool = False,
) -> bool:
    """One `line` per estimator present in `frame`; the statement "not run: `what`", and False, if
    none is."""
    present = [name for name in estimators if len(pick(frame, estimator=name))]
    for name in present:
        line(axes, pick(frame, estimator=name), name, x=x, log=log, markers=markers)
    if log and present:
        axes.set_yscale("log")
    if not present:
        style.not_run(axes, what)
    return bool(present)


def bars(
    axes: Axes, at: Sequence[float] | Array, values: Array, *, log: bool = False, **how: Any
) -> None:
    """Means with interval at coordinates `at`, ``values`` [points, seeds]; `how` as `Axes.errorbar`
    has it."""
    mean, low, high = student(values, log)
    axes.errorbar(np.asarray(at, float), mean, yerr=arms(mean, low, high), **how)


def points(
    axes: Axes, at: Sequence[float] | Array, values: Array, of: str | Look, *, log: bool = False
) -> None:
    """Mean with interval at each coordinate, and the seeds behind as faint dots;
    ``values`` [points, seeds]."""
    look = style.look(of)
    for place, seeds in zip(at, values, strict=True):
        axes.plot(np.full(len(seeds), place), seeds, ".", color=look.colour, **FAINT)
    bars(axes, at, values, log=log, fmt=look.marker, color=look.colour, **BARS)


def rows(
    axes: Axes,
    at: Sequence[float] | Array,
    values: Array,
    of: str | Look,
    *,
    label: str = "",
) -> None:
    """Horizontal `points`: one row per entry of `at` (places), ``values`` [rows, seeds]."""
    look = style.look(of)
    mean, low, high = student(values)
    for place, seeds in zip(at, values, strict=True):
        axes.plot(seeds, np.full(len(seeds), place), ".", color=look.colour, **FAINT)
    axes.errorbar(mean, np.asarray(at, float), xerr=arms(mean, low, high), fmt=look.marker,
                  color=look.colour, label=label or look.label, **BARS)  # fmt: skip


def listed(axes: Axes, names: Sequence[str], room: float = 0.5) -> None:
    """Names of the rows of a panel, the first on top, with room above and below them."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 1 + room, -room)
    axes.tick_params(axis="y", length=0)


def text_at(axes: Axes, text: str, at: tuple[float, float], **how: Any) -> None:
    """A small remark at a point; `how` as `Axes.annotate` has it, `xytext` in points from there."""
    axes.annotate(
        text, at, **{"xytext": (0, 0), "textcoords": "offset points", "fontsize": 6.5, **how}
    )


def guide(axes: Axes, slope: float, start: tuple[float, float], until: float, text: str) -> None:
    """A thin straight line of given slope on doubly logarithmic axes, `text` below its middle."""
    x, y = start
    axes.plot([x, until], [y, y * (until / x) ** slope], color=style.GREY, linewidth=0.8,
              linestyle=(0, (1, 1)), zorder=1)  # fmt: skip
    middle = float(np.sqrt(x * until))
    text_at(axes, text, (middle, y * (middle / x) ** slope), color=style.GREY, va="top",
            xytext=(-2 if slope < 0 else 2, -1), ha="right" if slope < 0 else "left")  # fmt: skip


def arms(mean: Array, low: Array, high: Array) -> Array:
    """Lengths of error bars [2, points], 0 where there is no interval."""
    return np.nan_to_num(np.stack([mean - low, high - mean]), nan=0.0)


def ratio(rows: DataFrame, other: DataFrame, x: str) -> DataFrame:
    """`rows` over `other`, paired by seed and column `x`: columns `x`, `seed` and `value`."""
    sides = [side.set_index([x, "seed"])["value"] for side in (rows, other)]
    return (sides[0] / sides[1]).dropna().rename("value").reset_index()
