"""Panels that figures of every study are made of: curves, points and rows with seed intervals.

Intervals are two-sided 95 % Student t intervals over seeds. On a logarithmic axis mean and interval
are those of the logarithm, so that a band never reaches below zero; with one seed there is a line
or a point and no interval.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from pandas import DataFrame

from paper_repro.analysis import style
from paper_repro.analysis.statistics import t_interval

Array = NDArray[np.float64]


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
    estimator: str,
    *,
    x: str = "step",
    log: bool = True,
    markers: bool = False,
    label: str = "",
) -> None:
    """Mean over seeds of `frame` against column `x`, with its interval as a band."""
    if frame.empty:
        return
    look = style.look(estimator)
    where, values = by_seed(frame, x)
    mean, low, high = student(values, log)
    axes.plot(
        where,
        mean,
        color=look.colour,
        linestyle=look.dash,
        marker=look.marker if markers else None,
        label=label or look.label,
        zorder=3,
    )
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


def points(
    axes: Axes, at: Sequence[float] | Array, values: Array, estimator: str, *, log: bool = False
) -> None:
    """Mean with interval at each coordinate, and the seeds behind as faint dots;
    ``values`` [points, seeds]."""
    look = style.look(estimator)
    mean, low, high = student(values, log)
    for place, seeds in zip(at, values, strict=True):
        axes.plot(
            np.full(len(seeds), place), seeds, ".", color=look.colour, alpha=0.35, markersize=2.5
        )
    axes.errorbar(
        np.asarray(at, dtype=float),
        mean,
        yerr=_arms(mean, low, high),
        fmt=look.marker,
        color=look.colour,
        capsize=2,
        linewidth=1,
        zorder=4,
    )


def rows(
    axes: Axes,
    at: Sequence[float] | Array,
    values: Array,
    estimator: str,
    *,
    label: str = "",
    colour: str = "",
) -> None:
    """As `points`, lying: one row per entry of `at` (vertical places), ``values`` [rows, seeds]."""
    look = style.look(estimator)
    mean, low, high = student(values)
    for place, seeds in zip(at, values, strict=True):
        axes.plot(
            seeds,
            np.full(len(seeds), place),
            ".",
            color=colour or look.colour,
            alpha=0.35,
            markersize=2.5,
        )
    axes.errorbar(
        mean,
        np.asarray(at, dtype=float),
        xerr=_arms(mean, low, high),
        fmt=look.marker,
        color=colour or look.colour,
        capsize=2,
        linewidth=1,
        label=label or look.label,
        zorder=4,
    )


def guide(axes: Axes, slope: float, start: tuple[float, float], until: float, text: str) -> None:
    """A thin straight line of given slope on doubly logarithmic axes, `text` below its middle."""
    x, y = start
    axes.plot(
        [x, until],
        [y, y * (until / x) ** slope],
        color=style.GREY,
        linewidth=0.8,
        linestyle=(0, (1, 1)),
        zorder=1,
    )
    middle = float(np.sqrt(x * until))
    axes.annotate(
        text,
        (middle, y * (middle / x) ** slope),
        xytext=(-2 if slope < 0 else 2, -1),
        textcoords="offset points",
        fontsize=6.5,
        color=style.GREY,
        ha="right" if slope < 0 else "left",
        va="top",
    )


def _arms(mean: Array, low: Array, high: Array) -> Array:
    """Lengths of error bars, 0 where there is no interval."""
    return np.nan_to_num(np.stack([mean - low, high - mean]), nan=0.0)


def pick(frame: DataFrame, **wanted: object) -> DataFrame:
    """Rows of `frame` whose columns equal `wanted`; none where a column does not exist."""
    for column, value in wanted.items():
        if column not in frame:
            return frame.iloc[:0]
        frame = frame[frame[column] == value]
    return frame
