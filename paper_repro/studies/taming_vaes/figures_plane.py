"""Figures 3 to 5 of Rezende and Viola (2018): runs in the plane of KL and reconstruction error.

What is known of them are their captions: an information-plane trajectory of conditional ConvDRAW
(3), the plane for several models and data sets (4), and the KL of ELBO and GECO at equal error (5).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing import panels, style, ticks
from paper_repro.drawing.labels import METRICS
from paper_repro.drawing.study_rows import Setting, of
from paper_repro.results.frames import Results
from paper_repro.studies.taming_vaes import plane_rows
from paper_repro.studies.taming_vaes.plane_rows import LOOKS, METHODS

Array = NDArray[np.float64]
COLUMNS = 3
KL, RMS = METRICS["rate"], METRICS["rmse"]
UNITS = """KL in nats per image and RMS error per pixel, of images in [0, 1], at the sampled z on
training batches"""
NLL = """NLL = D/2 ln(2 pi e MSE), the negative log-likelihood under the best single variance, is
our reading of the paper's axis"""


def figure3(results: Results) -> Figure:
    """Figure 3: where a run moves in the plane, its beta and its error."""
    metrics = ("rate", "mse", "multiplier_RE")
    rate, mse, multiplier = (plane_rows.curves(results, "trajectory", name) for name in metrics)
    lost = plane_rows.lost(results, "trajectory")
    found = plane_rows.settings(rate) if len(rate) and len(mse) and len(multiplier) else []
    made, grid = style.figure(1, 3, 2.35)
    left, middle, right = grid[0]
    where = style.mark(made, rate, lost)
    text = "Figure 3. Conditional ConvDRAW under RE while it trains: not run."
    if not found:
        for axes, what in zip(grid[0], metrics, strict=True):
            style.not_run(axes, f"trajectory ({what})")
    else:
        setting = found[0]
        tables = [panels.by_seed(of(f, setting), "step") for f in (rate, mse, multiplier)]
        step = tables[0][0]
        kl, error, lagrange = (values for _, values in tables)
        dims = plane_rows.pixels(results, "trajectory", setting)
        (kappa,) = plane_rows.kappas(of(rate, setting))[:1] or [float("nan")]
        nll = 0.5 * dims * np.log(2 * np.pi * np.e * error)
        norm = LogNorm(step[0], step[-1])
        drawn = _path(left, kl, nll, step, norm, log=False)
        _path(middle, np.tile(step[:, None], kl.shape[1]), 1 / lagrange, step, norm)
        _path(right, np.tile(step[:, None], kl.shape[1]), np.sqrt(error), step, norm)
        left.set(xlabel=KL, ylabel="NLL (nats/image)", title=shown(setting.dataset))
        middle.set(xlabel="iteration", ylabel=r"$\beta = 1/\lambda$", title=r"$\beta$")
        right.set(xlabel="iteration", ylabel=RMS, title="error")
        right.axhline(kappa, color="black", linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
        for axes in (middle, right):
            ticks.iterations(axes.xaxis, *axes.get_xlim())
            ticks.few(axes.yaxis, *axes.get_ylim())
        label = rf"$\kappa$ = {kappa:g}"
        panels.text_at(right, label, (step[-1], kappa), xytext=(0, 2), ha="right", va="bottom")
        crossed = _crossing(step, error, kappa)
        for axes in (middle, right):
            if np.isfinite(crossed):
                axes.axvline(crossed, color=style.GREY, linewidth=0.8, linestyle=(0, (1, 1)))
        bar = made.colorbar(drawn, ax=list(grid[0]), pad=0.01, fraction=0.03, aspect=25)
        bar.set_label("iteration")
        ticks.iterations(bar.ax.yaxis, step[0], step[-1])
        text = f"""Figure 3. Conditional ConvDRAW under RE at kappa = {kappa:g} while it trains,
        coloured by iteration: negative log-likelihood against KL; beta = 1 / lambda, with lambda
        that of the squared error summed over pixels; RMS error per pixel at the sampled z, with
        kappa dashed. Dotted: the iteration at which the mean error is first below kappa. Points are
        means over seeds of the steps since the point before (geometric ones of beta and error),
        grey lines the seeds ({where}). {NLL}. Data, sizes and steps are ours."""
    return style.caption(made, text)


def _path(axes: Axes, x: Array, y: Array, step: Array, norm: LogNorm, *, log: bool = True) -> Any:
    """Seeds as grey lines and their mean as points coloured by iteration; [points, seeds]."""
    axes.plot(x, y, color="#bdbdbd", linewidth=0.6, zorder=2)
    mean_y = panels.student(y, log)[0]
    drawn = axes.scatter(
        x.mean(axis=1), mean_y, c=step, norm=norm, cmap="viridis", s=7, linewidths=0, zorder=3
    )
    if log:
        axes.set(xscale="log", yscale="log")
    return drawn


def _crossing(step: Array, error: Array, kappa: float) -> float:
    """First recorded step at which the seeds' mean error is below kappa; nan if there is none."""
    below = np.flatnonzero(error.mean(axis=1) < kappa**2)
    return float(step[below[0]]) if len(below) else float("nan")


def figure4(results: Results) -> Figure:
    """Figure 4: GECO's points and the baselines in the plane, a panel per data set and model."""
    sweep, baselines, floor = (
        plane_rows.points(results, name) for name in ("sweep", "baselines", "floor")
    )
    lost = plane_rows.lost(results, "sweep", "baselines", "floor")
    found: list[Setting | None] = [*plane_rows.settings(sweep, baselines, lost)] or [None]
    rows = -(-len(found) // COLUMNS)
    made, grid = style.figure(rows, COLUMNS, 0.75 + 1.75 * rows)
    flat = grid.reshape(-1)
    for axes in flat[len(found) :]:
        axes.remove()
    for axes, setting in zip(flat, found, strict=False):
        if setting is None:
            style.not_run(axes, "sweep, baselines, floor")
            continue
        geco, others, low = (of(frame, setting) for frame in (sweep, baselines, floor))
        if not len(geco) + len(others):
            style.not_run(axes, str(setting))
            continue
        _plane(axes, geco, others, low, plane_rows.bound(results, setting.dataset))
        axes.set_title(f"{shown(setting.dataset)}\n{setting.model}", fontsize=7)
    for axes in grid[:, 0]:
        if axes.lines:
            axes.set_ylabel(RMS)
    for place, axes in enumerate(flat[: len(found)]):
        if axes.lines and place + COLUMNS >= len(found):
            axes.set_xlabel(KL)
    style.legend(made, flat[: len(found)], 3)
    every = pd.concat([sweep, baselines, floor]).assign(value=1.0)
    where = style.mark(made, every, lost)
    text = f"""Figure 4. {UNITS}, means over the last 5 % of training: GECO at five thresholds kappa
    (grey lines), joined; the ELBO with variance 1, annealed by hand as in GQN, and with beta rising
    from 0.001 to 1. Dashed: the lowest error that the same network reaches in the same steps with
    beta near 0, below which no kappa can be met. Dotted: the least KL at that error of any linear
    encoder and decoder (reverse water-filling of the training images, ours); conditional models
    have no such bound. Small dots: seeds; crosses: 95 % t intervals ({where}). {NLL}: a step of a
    factor 2 in RMS error is D ln 2 nats. Data sets, sizes and steps are ours."""
    return style.caption(made, text)


def _plane(
    axes: Axes,
    sweep: pd.DataFrame,
    baselines: pd.DataFrame,
    floor: pd.DataFrame,
    bound: pd.DataFrame,
) -> None:
    for kappa in plane_rows.kappas(sweep):
        axes.axhline(kappa, color="#cfcfcf", linewidth=0.7, zorder=0)
    axes.grid(False)
    means = [_mark(axes, group, "geco") for _, group in sweep.groupby("kappa")]
    look = LOOKS["geco"]
    if means:
        axes.plot(*np.array(means).T, color=look.colour, marker=look.marker, label=look.label)
    for method in METHODS:
        mine = plane_rows.of_method(baselines, method)
        if len(mine):
            look = LOOKS[method]
            x, y = _mark(axes, mine, method)
            axes.plot(x, y, look.marker, color=look.colour, label=look.label, markersize=5)
    widest = max([1.0, *axes.dataLim.intervalx]) * 1.08
    if len(floor):
        look = LOOKS["capacity"]
        axes.axhline(
            float(floor["rmse"].mean()), color=look.colour, linestyle=look.dash, label=look.label,
            linewidth=1,
        )  # fmt: skip
    low, high = _heights(sweep, baselines, floor)
    if len(bound):
        look = LOOKS["water_filling"]
        axes.plot(
            bound["value"], bound["kappa"], color=look.colour, linestyle=look.dash,
            label=look.label, linewidth=1, zorder=1,
        )  # fmt: skip
    axes.set(yscale="log", xlim=(-0.03 * widest, widest), ylim=(low, high))
    ticks.few(axes.yaxis, low, high)


def _mark(axes: Axes, runs: pd.DataFrame, method: str) -> tuple[float, float]:
    """Seeds as dots and intervals as a cross; returns the mean KL and geometric mean error."""
    colour = LOOKS[method].colour
    (x,), (x0,), (x1,) = panels.student(runs["rate"].to_numpy(float)[None])
    (y,), (y0,), (y1,) = panels.student(runs["rmse"].to_numpy(float)[None], log=True)
    axes.plot(runs["rate"], runs["rmse"], ".", color=colour, alpha=0.35, markersize=2.5)
    if len(runs) > 1:
        axes.plot([x0, x1], [y, y], [x, x], [y0, y1], color=colour, linewidth=0.8, zorder=3)
    return float(x), float(y)


def _heights(*frames: pd.DataFrame) -> tuple[float, float]:
    """Ends of the axis of errors, with room at both."""
    errors = pd.concat([frame["rmse"] for frame in frames]).dropna()
    targets = [kappa for frame in frames for kappa in plane_rows.kappas(frame)]
    return min([*errors, *targets]) / 1.15, max([*errors, *targets]) * 1.15


def figure5(results: Results) -> Figure:
    """Figure 5: KL and error of ELBO and GECO over iterations, at equal error."""
    names = {"elbo": "same_error_elbo", "geco": "same_error_geco"}
    lost = plane_rows.lost(results, *names.values())
    made, grid = style.figure(2, 1, 3.5)
    upper, lower = grid[:, 0]
    rate = {name: plane_rows.curves(results, e, "rate") for name, e in names.items()}
    error = {name: plane_rows.curves(results, e, "mse") for name, e in names.items()}
    found = plane_rows.settings(*rate.values())
    title = str(found[0]) if found else "not run"
    for axes, frames, log, label in ((upper, rate, False, KL), (lower, error, True, RMS)):
        for name, frame in frames.items():
            if found and len(mine := of(frame, found[0])):
                mine = mine.assign(value=np.sqrt(mine["value"])) if log else mine
                panels.line(axes, mine, LOOKS[name], log=log)
        if not axes.lines:
            style.not_run(axes, f"same_error_elbo, same_error_geco ({label})")
            continue
        axes.set(ylabel=label, yscale="log" if log else "linear", xlim=(0, None))
    ends = {n: plane_rows.points(results, e) for n, e in names.items()}
    if upper.lines:
        upper.set_title(title)
        upper.tick_params(labelbottom=False)
        lower.set_xlabel("iteration")
        ticks.iterations(lower.xaxis)
        if lower.get_yscale() == "log":
            ticks.few(lower.yaxis, *lower.get_ylim())
        reached = pick(ends["elbo"], dataset=found[0].dataset)
        for axes, column in ((upper, "rate"), (lower, "rmse")):
            if len(reached):
                axes.axhline(
                    float(reached[column].mean()), color="black", linewidth=0.9,
                    linestyle=(0, (1, 1.5)), label="ELBO at the end", zorder=1,
                )  # fmt: skip
    style.legend(made, [upper, lower])
    where = style.mark(made, pd.concat(rate.values()), lost)
    text = f"""Figure 5. Average KL (nats/image) and RMS error per pixel of ConvDRAW over
    iterations, trained by the ELBO with one learned variance for all pixels (green), and by GECO
    with kappa = the error which the ELBO run of the same seed ended with (blue). Dotted: means of
    the ELBO runs over the last 5 % of training. Where the ELBO ends is a stationary point of GECO
    too (lambda = 1 / (2 MSE)), so that equal KL at equal error is what to expect unless GECO finds
    a better optimum. Bands: 95 % t intervals over seeds ({where}). Data and sizes are ours below
    tier paper; the paper's error of 0.00029 was reached by another network."""
    return style.caption(made, text)
