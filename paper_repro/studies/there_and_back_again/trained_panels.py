"""Panels of the trained methods: a column of text wide, with names beside what they name."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.drawing import panels, style, ticks
from paper_repro.drawing.style import Look

WIDTH = 3.25  # inches: one of two columns, so that nothing is shrunk
SMALL = 7.0  # points, the smallest text
SPACING = 9.0  # points from one name to the next
NAMES = (1.07, 1.11)  # where marks and names stand beside a panel, of its width
INTERVALS = "lines are means over seeds, bands 95 % t intervals"


class End(NamedTuple):
    """The point, in data units, where something ends, and how that looks."""

    x: float
    y: float
    look: Look


def figure(rows: int, columns: int, height: float, **how: Any) -> tuple[Figure, Any]:
    """A figure of one column and its axes [rows, columns]; `how` as `Figure.subplots` has it."""
    made = style.canvas(height, WIDTH)
    return made, made.subplots(rows, columns, squeeze=False, **how)


def sign(made: Figure, frame: DataFrame, lost: DataFrame) -> str:
    """The footer (`style.mark`) in no smaller text than the rest."""
    where = style.mark(made, frame, lost)
    made.supxlabel(made.get_supxlabel(), x=0.995, ha="right", fontsize=SMALL)
    return where


def lines(
    axes: Axes,
    parts: Iterable[tuple[DataFrame, Look]],
    *,
    x: str = "step",
    log: bool,
    markers: bool = True,
) -> list[End]:
    """A line over column `x` of each part that has values, and where it ends."""
    ends = []
    for mine, look in parts:
        if len(mine := mine.dropna(subset="value")):
            panels.line(axes, mine, look, x=x, log=log, markers=markers)
            end, value = np.asarray(axes.lines[-1].get_xydata(), float)[-1]
            ends.append(End(end, value, look))
    return ends


def name_ends(axes: Axes, ends: Sequence[End]) -> None:
    """Marks and names to the right of a panel whose limits are final, each as near to its end as
    the others allow, with a line to it."""
    ends = sorted(ends, key=lambda end: end.y)
    low, high = axes.get_ylim()
    points = [(end.x, min(max(end.y, low), high)) for end in ends]
    wanted = [(axes.transData - axes.transAxes).transform(point)[1] for point in points]
    height = 72 * axes.bbox.height / axes.figure.dpi
    for end, point, place in zip(ends, points, spread(wanted, SPACING / height), strict=True):
        beside: dict[str, Any] = {"color": end.look.colour, "transform": axes.transAxes}
        axes.plot(NAMES[0], place, end.look.marker, clip_on=False, label="_", **beside)
        arrow = {"arrowstyle": "-", "color": end.look.colour, "linewidth": 0.7, "shrinkB": 2,
                 "linestyle": (0, (1, 1))}  # fmt: skip
        axes.annotate("", point, (NAMES[0], place), textcoords="axes fraction", arrowprops=arrow,
                      annotation_clip=False)  # fmt: skip
        axes.annotate(end.look.label, (NAMES[1], place), xycoords="axes fraction", va="center",
                      fontsize=SMALL, annotation_clip=False)  # fmt: skip


def spread(wanted: Sequence[float], spacing: float) -> list[float]:
    """Rising places in [0, 1] at least `spacing` apart, with the least squared distance to those
    `wanted`, which rise: neighbours too near to each other move as one block."""
    blocks: list[list[float]] = []  # of what is wanted, less the spacing below
    for place, at in enumerate(wanted):
        blocks.append([at - place * spacing])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    most = max(0.0, 1 - (len(wanted) - 1) * spacing)
    bases = [min(max(float(np.mean(block)), 0), most) for block in blocks for _ in block]
    return [base + place * spacing for place, base in enumerate(bases)]


def steps(axes: Axes, label: bool = True) -> None:
    """Training steps along x, from 0, in thousands."""
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    ticks.iterations(axes.xaxis)
    if label:
        axes.set_xlabel("training steps")


def logarithmic(axes: Axes, along: str) -> None:
    """A logarithmic axis, "x" or "y", with numbers in plain digits where it shows little."""
    {"x": axes.set_xscale, "y": axes.set_yscale}[along]("log")
    axis = {"x": axes.xaxis, "y": axes.yaxis}[along]
    low, high = axis.get_view_interval()
    if high < 100 * low:
        ticks.few(axis, low, high)
        axis.set_ticks(axis.get_ticklocs()[:: 1 + len(axis.get_ticklocs()) // 5])
    axis.set_minor_formatter(NullFormatter())


def symmetric(axes: Axes, along: str, linear: float, low: float, high: float) -> None:
    """Limits about 0 and [low, high] of an axis, "x" or "y", that is linear within +- `linear` and
    logarithmic beyond, with numbers at 0 and at some powers of ten."""
    low, high = 1.6 * min(low, -linear), 1.6 * max(high, linear)
    axes.set(**{f"{along}lim": (low, high)})
    {"x": axes.set_xscale, "y": axes.set_yscale}[along]("symlog", linthresh=linear)
    axis = {"x": axes.xaxis, "y": axes.yaxis}[along]
    powers = linear * 10.0 ** np.arange(8)
    above, below = powers[powers <= high], powers[powers <= -low]
    every = 2 if along == "x" or len(above) + len(below) > 6 else 1
    shown, others = above[::-1][::every], below[::-1][::every]
    if along == "x" and len(shown) + len(others) > 3:
        others = others[:1]
    axis.set_ticks(sorted([*-others, 0.0, *shown]))
    axis.set_ticks([*-below, *above], minor=True)
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(lambda value, _: f"{value:g}")


def seeds(axes: Axes, place: float, values: panels.Array, look: Look, *, log: bool = False) -> None:
    """A row: the mean of `values` [seeds] with its interval, and the seeds as dots beneath."""
    mean, low, high = panels.student(values[None], log)
    axes.plot(values, np.full(len(values), place + 0.26), ".", color=look.colour, markersize=2.5)
    axes.errorbar(mean, [place], xerr=panels.arms(mean, low, high), fmt=look.marker,
                  color=look.colour, **panels.BARS)  # fmt: skip


def name_row(axes: Axes, place: float, look: Look) -> None:
    """Mark and name of a row to the right of the panel."""
    where = axes.get_yaxis_transform()
    axes.plot(1.03, place, look.marker, color=look.colour, transform=where, clip_on=False)
    panels.text_at(axes, look.label, (1.06, place), xycoords=where, va="center", fontsize=SMALL)


def remark(axes: Axes, place: float, text: str) -> None:
    """What is missing of a row, at its right end."""
    panels.text_at(axes, text, (0.98, place), xycoords=("axes fraction", "data"), ha="right",
                   va="center", fontsize=SMALL, color=style.GREY)  # fmt: skip


def wrapped(name: str) -> str:
    """The name of a data set in lines that fit over a narrow panel."""
    return textwrap.fill(name, 14, break_on_hyphens=False)


def by_method(frame: DataFrame, looks: dict[str, Look]) -> list[tuple[DataFrame, Look]]:
    """The rows of each method."""
    return [(pick(frame, method=name), look) for name, look in looks.items()]
