"""Ticks of logarithmic axes that show a decade or less, and of iterations."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator


def plain(axis: Axis, *steps: float) -> None:
    """Numbers without powers on a logarithmic axis, at `steps` of each decade if they are given."""
    if steps:
        axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def few(axis: Axis, low: float, high: float) -> None:
    """Numbers without powers at about five places of a logarithmic axis that shows [low, high]."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8), (1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1,)):
        places = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [place for place in places if low <= place <= high]
        if len(ticks) <= 6:
            break
    if len(ticks) < 2:  # the axis shows so little that it is as good as linear
        ticks = [place for place in MaxNLocator(4).tick_values(low, high) if low <= place <= high]
    axis.set_ticks(ticks[:: 1 + len(ticks) // 7])
    axis.set_minor_locator(NullLocator())
    plain(axis)


def iterations(axis: Axis, low: float = 0.0, high: float = 0.0) -> None:
    """Iterations in thousands; on a logarithmic axis that shows [low, high], where they are given,
    at powers of ten, or at few other places if those are fewer than two."""
    if high:
        powers = 10.0 ** np.arange(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
        few(axis, low, high)
        if len(powers) > 1:
            axis.set_ticks(list(powers))
    axis.set_major_formatter(lambda n, _: f"{n / 1000:g}k" if n >= 1000 else f"{n:g}")
