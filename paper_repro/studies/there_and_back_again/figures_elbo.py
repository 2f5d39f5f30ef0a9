"""E1: the ELBO of six methods beside that of the VAE, and whether the VAE has arrived (ours)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing import panels, style
from paper_repro.drawing.labels import NOT_RUN
from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again import arrival, methods, trained_panels
from paper_repro.studies.there_and_back_again.methods import LOOKS, VAE
from paper_repro.studies.there_and_back_again.trained_panels import SMALL

EVALUATIONS = ("native", "common")
LINEAR = 0.01  # nats/value: the axis is linear within, logarithmic beyond
OTHERS = {name: look for name, look in LOOKS.items() if name != VAE}


def elbo(results: Results) -> Figure:
    """Differences of the test ELBO to the VAE's, a row of panels per data set."""
    values = {e: methods.finals(results, "elbo", "elbo_per_value", evaluation=e)
              for e in EVALUATIONS}  # fmt: skip
    apart = {name: methods.differences(frame) for name, frame in values.items()}
    lost = methods.lost(results, "elbo")
    sets = methods.datasets(*values.values(), lost)
    arrivals = arrival.arrivals(results)
    height = 0.75 + 1.05 * max(1, len(sets))
    made, grid = trained_panels.figure(max(1, len(sets)), 2, height, sharex="row")
    if not sets:
        for axes, name in zip(grid[0], EVALUATIONS, strict=True):
            style.not_run(axes, f"elbo ({name})")
    for row, dataset in zip(grid, sets, strict=False):
        for axes, name in zip(row, EVALUATIONS, strict=True):
            _rows(axes, pick(apart[name], dataset=dataset), pick(lost, dataset=dataset))
        low, high = np.array([axes.dataLim.intervalx for axes in row]).T
        trained_panels.symmetric(row[0], "x", LINEAR, low.min(), high.max())
        row[1].tick_params(labelleft=False)
        row[0].set_title(arrival.label(dataset, arrivals))
    if sets:
        for axes, name in zip(grid[-1], EVALUATIONS, strict=True):
            axes.set_xlabel(f"{name} (nats/value)")
        made.suptitle("test ELBO less that of the VAE", x=0.012, ha="left", fontsize=SMALL)
    where = trained_panels.sign(made, pd.concat(values.values()), lost)
    text = f"""E1 (ours): test ELBO less that of the VAE of the same seed, in nats per value of the
    pixels, to the right: better. Left, native: each method under its own prior and variance,
    settled by the training set. Right, common: all under one scalar variance, the training set's
    mean squared error, and the best diagonal Gaussian prior. The axis is linear within {LINEAR:g},
    logarithmic beyond. Marks: means over seeds with 95 % t intervals, dots: seeds ({where}).
    {_arrived(sets, arrivals)}"""
    return style.caption(made, text)


def _arrived(sets: list[str], arrivals: dict[str, arrival.Arrival]) -> str:
    """What cut short means, where a set is, and of which sets nothing is known."""
    short = any(one.short for one in arrivals.values())
    said = "Cut short: the VAE's ELBO moves on by more than the limit of figure convergence."
    asked = [name for name, one in arrivals.items() if one.known]
    unknown = ", ".join(shown(dataset) for dataset in sets if dataset not in asked)
    never = f"Whether the VAE has arrived is not known: {unknown}." if unknown else ""
    return " ".join(filter(None, [said if short else "", never]))


def _rows(axes: Axes, frame: DataFrame, lost: DataFrame) -> None:
    panels.listed(axes, list(OTHERS), room=0.6)
    axes.axvline(0, color=LOOKS[VAE].colour, linewidth=0.8, zorder=1)
    for place, (name, look) in enumerate(OTHERS.items()):
        values = pick(frame, method=name)["value"].dropna().to_numpy()
        if len(values):
            trained_panels.seeds(axes, place, values, look)
        missing = style.lost_text(pick(lost, method=name))
        none = "no VAE" if len(pick(lost, method=VAE)) else NOT_RUN
        trained_panels.remark(axes, place, missing or ("" if len(values) else none))


def convergence(results: Results) -> Figure:
    """The VAE's test ELBO along training, less its own at twice the steps."""
    far = methods.finals(results, "twice", "elbo", evaluation="native")
    lost = methods.lost(results, "twice")
    sets = methods.datasets(far, lost)
    rows = -(-len(sets) // 2) or 1
    made, grid = trained_panels.figure(rows, 2 if len(sets) > 1 else 1, 0.55 + 1.5 * rows)
    flat = grid.reshape(-1)
    if not sets:
        style.not_run(flat[0], "twice")
    for axes in flat[max(1, len(sets)) :]:
        axes.remove()
    for axes, dataset in zip(flat, sets, strict=False):
        _remaining(axes, results, dataset, pick(far, dataset=dataset))
    where = trained_panels.sign(made, far, lost)
    limits = " or ".join(f"{arrival.LIMITS[name]:g} {unit}" for name, unit in arrival.UNITS.items())
    text = f"""Has the VAE of E1 arrived (ours)? Its native test ELBO at marks of its training and
    at the end, less its ELBO of the same seed after twice the steps (hollow, 0 by definition). Grey
    band: within {limits}, the limits for MNIST and Fashion-MNIST and for others. The axis is linear
    within the band, logarithmic beyond. Marks: means over seeds with 95 % t intervals
    ({where})."""
    return style.caption(made, text)


def _remaining(axes: Axes, results: Results, dataset: str, far: DataFrame) -> None:
    pairs, named = arrival.remaining(results, dataset), arrival.metric(dataset)
    if pairs.empty:
        style.not_run(axes, shown(dataset))
        return
    limit, look = arrival.LIMITS[named], LOOKS[VAE]
    axes.axhspan(-limit, limit, color="#d9d9d9", linewidth=0, zorder=0)
    x, values = panels.by_seed(pairs, "step")
    panels.bars(axes, x, values, fmt=f"{look.marker}-", color=look.colour, **panels.BARS)
    end = float(far["steps"].max())
    axes.plot(end, 0, look.marker, mfc="white", mec=look.colour)
    panels.text_at(axes, "twice", (end, 0), xytext=(3, -4), ha="right", va="top", fontsize=SMALL)
    trained_panels.symmetric(axes, "y", limit, *axes.dataLim.intervaly)
    axes.set_title(trained_panels.wrapped(shown(dataset)))
    axes.set_ylabel(arrival.UNITS[named])
    trained_panels.steps(axes)
