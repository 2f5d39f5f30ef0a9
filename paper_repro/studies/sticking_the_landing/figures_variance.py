"""Figures of gradient variances at given points (Roeder, Wu & Duvenaud, NIPS 2017).

`poster_surface` repeats the panels of the authors' workshop poster. `variance_path` and
`variance_map` measure where the path derivative wins; their theory lines are closed forms of our
own derivation. `snr` is the toy of Rainforth et al. (ICML 2018), with the doubly reparameterised
gradient of Tucker et al. (ICLR 2019).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.drawing import panels, style
from paper_repro.drawing.labels import METRICS
from paper_repro.drawing.study_rows import StudyRows
from paper_repro.results.frames import Results

STUDY = "sticking_the_landing"
FIXED_Z = 1.5  # off the points where a gradient of the score vanishes, 0 and 1
FLOOR = 0.01  # nats^2: what is smaller, down to an exact zero, is drawn here
PLACES = (0.0, 0.5, 1.0, 1.5)  # ticks along the path of parameters
TRACE = METRICS["gradient_variance_trace"]


def poster_surface(results: Results) -> Figure:
    """The poster's surface, and the gradients at one fixed z along the path of parameters."""
    found = results.frame(STUDY, "surface")
    made = style.canvas(3.1)
    places = made.add_gridspec(1, 2, width_ratios=(1.15, 1))
    left, right = places[0], places[1]
    saved = StudyRows(results, STUDY).arrays(found)
    arrays = {name: array.astype(np.float64) for name, array in saved.items()}
    if not arrays:
        style.not_run(made.add_subplot(left), "surface")
        style.not_run(made.add_subplot(right), "surface (gradients)")
    else:
        _surface(made.add_subplot(left, projection="3d"), arrays)
        halves = right.subgridspec(2, 1)
        upper, lower = made.add_subplot(halves[0]), made.add_subplot(halves[1])
        _gradients(upper, arrays, 0, "m")
        _gradients(lower, arrays, 1, "log s")
        upper.set(title=f"Gradients at z = {FIXED_Z:g}", xlabel="")
        style.legend(made, [upper])
    origin = style.mark(
        made, found, results.unfinished(STUDY, "surface"), "no noise: one run is all there is"
    )
    text = f"""Left: log p(x, z) - log q(z) for q = N(m, s²) and the true posterior N(0, 1) along a
    straight path of (m, log s) from (1.5, log 2) at t = 0 through the truth at t = 1 (black), where
    the surface is flat in z. Right: gradients of a sample that falls on z = {FIXED_Z:g}. At the
    truth the total derivative is minus the score, the path derivative is zero. The path, and z, are
    our choice ({origin})."""
    return style.caption(made, text)


def _surface(axes: Any, arrays: dict[str, NDArray[np.float64]]) -> None:
    """Surface over z and t on three-dimensional axes, with the line at the truth."""
    near = np.abs(arrays["z"]) <= 3
    t, z, value = arrays["t"], arrays["z"][near], arrays["value"][:, near]
    truth = int(np.abs(t - 1).argmin())
    across, along = np.meshgrid(z, t)
    limit = float(np.abs(value).max())
    axes.plot_surface(
        across, along, value, cmap="coolwarm", vmin=-limit, vmax=limit, alpha=0.75, linewidth=0.15,
        edgecolor="#00000040", rcount=24, ccount=24,
    )  # fmt: skip
    axes.plot(z, np.full_like(z, t[truth]), value[truth], color="black", linewidth=1.8, zorder=10)
    axes.view_init(elev=24, azim=-58)
    axes.set_box_aspect((1, 1, 0.75), zoom=0.9)
    axes.set(xlabel="z", ylabel="t", title="log p(x, z) - log q(z) (nats)", yticks=PLACES)
    axes.tick_params(pad=-2)
    axes.xaxis.labelpad = axes.yaxis.labelpad = -5


def _gradients(
    axes: Axes, arrays: dict[str, NDArray[np.float64]], entry: int, parameter: str
) -> None:
    """Total, path and score along t at the fixed z, for one parameter."""
    place = int(np.abs(arrays["z"] - FIXED_Z).argmin())
    for name in ("total", "path", "score"):
        look = style.look(name)
        values = arrays[f"gradient_{name}"][:, place, entry]
        axes.plot(arrays["t"], values, color=look.colour, linestyle=look.dash, label=look.label)
    axes.axvline(1.0, color="black", linewidth=0.8, zorder=1)
    axes.axhline(0.0, color=style.GREY, linewidth=0.6, zorder=1)
    axes.set(xlabel="t (truth at 1)", ylabel=f"∂/∂{parameter} (nats)", xticks=PLACES)


def variance_path(results: Results) -> Figure:
    """Gradient variance along the straight path to the truth."""
    frame = results.frame(STUDY, "path_to_truth")
    trace = pick(frame, metric="gradient_variance_trace")
    shown = trace.assign(value=trace["value"].clip(lower=FLOOR))
    made, ((axes,),) = style.figure(1, 1, 2.7, width=3.6)
    if panels.curves(axes, shown, ["total", "path"], "path_to_truth", x="a", markers=True):
        fisher = pick(frame, metric="fisher_trace")
        if len(fisher):
            axes.plot(fisher["a"].mean(), np.exp(np.log(fisher["value"]).mean()), "*",
                      color="black", zorder=5, markersize=7,
                      label="trace of Fisher information")  # fmt: skip
        axes.set(xlabel="a, from the start (0) to the truth (1)", ylabel=TRACE)
        axes.set_ylim(bottom=0.6 * FLOOR)
        style.legend(made, [axes], 3)
    origin = style.mark(
        made,
        trace,
        results.unfinished(STUDY, "path_to_truth"),
        f"values below {FLOOR:g} drawn there",
    )
    text = f"""Trace of the gradient covariance at the points a · (parameters of the truth), between
    a standard normal (a = 0) and the truth (a = 1), where the path derivative has no variance and
    the total derivative has that of the score, the Fisher information. Values below {FLOOR:g} are
    drawn there. Means over pairs of Gaussians of the logarithm, with 95 % t intervals ({origin}).
    The poster makes the statement in words; the points are our choice."""
    return style.caption(made, text)


def variance_map(results: Results) -> Figure:
    """Variance of both gradients against the posterior's variance, in one dimension."""
    frame = results.frame(STUDY, "variance_map")
    made, grid = style.figure(2, 2, 4.6)
    cases = [("mu", 0.0, "μ"), ("log_s", 0.0, "log s, m = 0"), ("log_s", 1.0, "log s, m = 1")]
    for axes, (parameter, m, title) in zip(grid.flat, cases, strict=False):
        chosen = pick(frame, parameter=parameter, m=m)
        _variances(axes, chosen, f"variance_map, {parameter}, m = {m:g}")
        axes.set(title=f"Gradient of {title}")
    _optimal_weights(grid[1, 1], frame)
    for axes in grid.flat if len(frame) else ():
        axes.set(xscale="log", xlabel="posterior / target variance s²/σ²")
        axes.set_xticks([0.1, 0.2, 0.5, 1, 2, 4], ["0.1", "0.2", "0.5", "1", "2", "4"])
        axes.minorticks_off()
    style.legend(made, [grid[0, 0]])
    origin = style.mark(
        made,
        frame,
        results.unfinished(STUDY, "variance_map"),
        "lines: closed form, marks: measured",
    )
    text = f"""Variance of the one-sample gradients for a Gaussian N(m, s²) and the target N(0, σ²)
    against s²/σ²; lines are the closed forms of our derivation, marks are measured. The path
    derivative wins where s² > σ²/2 (dotted), for both parameters. Bottom right: the weight of the
    score that minimises the variance is s²/σ² itself. Axes are linear below 0.01 ({origin})."""
    return style.caption(made, text)


def _variances(axes: Axes, frame: DataFrame, what: str) -> None:
    measured = pick(frame, metric="gradient_variance")
    theory = pick(frame, metric="gradient_variance_theory")
    if measured.empty:
        style.not_run(axes, what)
        return
    for estimator in ("total", "path", "optimal_c"):
        look = style.look(estimator)
        x, values = panels.by_seed(pick(theory, estimator=estimator), "s2")
        axes.plot(x, values.mean(-1), color=look.colour, linestyle=look.dash, label=look.label)
        x, values = panels.by_seed(pick(measured, estimator=estimator), "s2")
        axes.plot(x, values.mean(-1), look.marker, color=look.colour, markersize=3, zorder=4)
    axes.set_yscale("symlog", linthresh=0.01)
    axes.set(ylim=(-0.0015, 2 * measured["value"].max()), ylabel=METRICS["gradient_variance"])
    _crossing(axes)


def _optimal_weights(axes: Axes, frame: DataFrame) -> None:
    measured = pick(frame, metric="c_star")
    if measured.empty:
        style.not_run(axes, "variance_map (c_star)")
        return
    look = style.look("optimal_c")
    x, values = panels.by_seed(pick(frame, metric="c_star_theory", parameter="mu", m=0.0), "s2")
    axes.plot(x, values.mean(-1), color=look.colour, linestyle=look.dash)
    for parameter, name, m, marker in (
        *(("mu", "μ", 0.0, "o"), ("log_s", "log s", 0.0, "s"), ("log_s", "log s", 1.0, "x")),
    ):
        x, values = panels.by_seed(pick(measured, parameter=parameter, m=m), "s2")
        axes.plot(x, values.mean(-1), marker, color="black", mfc="none", markersize=3.2,
                  label=f"{name}, m = {m:g}")  # fmt: skip
    axes.set(ylabel="best weight c* of the score", title="Optimal control variate")
    axes.legend(loc="upper left", handletextpad=0.2, borderpad=0)
    for name, c in (("path", 1.0), ("total", 0.0)):
        axes.axhline(c, color=style.look(name).colour, linewidth=0.8)
        panels.text_at(axes, f"{name}, c = {c:g}", (0.98, c), xycoords=("axes fraction", "data"),
                       ha="right", va="bottom", color=style.look(name).colour)  # fmt: skip
    _crossing(axes)


def _crossing(axes: Axes) -> None:
    axes.axvline(0.5, color=style.GREY, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1)
    panels.text_at(axes, "½", (0.5, 1.0), xycoords=("data", "axes fraction"), xytext=(2, -1),
                   va="top", fontsize=7, color=style.GREY)  # fmt: skip


def snr(results: Results) -> Figure:
    """Signal-to-noise ratio of encoder and decoder gradients against k."""
    frame = results.frame(STUDY, "snr", "snr")
    made, (row,) = style.figure(1, 2, 2.7)
    for axes, group in zip(row, ("encoder", "decoder"), strict=True):
        chosen = pick(frame, group=group)
        panels.curves(axes, chosen, ["total", "dreg", "path"], f"snr, {group}", x="k", markers=True)
        if chosen.empty:
            continue
        axes.set(
            xscale="log", xlabel="importance samples k", title=f"{group.capitalize()} gradient"
        )
        axes.set_ylabel(METRICS["snr"])
        _slopes(axes, chosen, (-0.5, 0.5) if group == "encoder" else (0.5,))
    style.legend(made, row)
    origin = style.mark(made, frame, results.unfinished(STUDY, "snr"))
    text = f"""Signal-to-noise ratio of the gradient of the importance-weighted bound against the
    number of samples k, on the linear-Gaussian toy of Rainforth et al. (2018), mean over
    parameters. Dotted: slopes k^(1/2) and k^(-1/2), the rates of the theory for DReG and for the
    standard encoder gradient; the decoder's gradient is the same in all three. For k > 1 the path
    derivative is biased: its high ratio is that of a wrong mean ({origin})."""
    return style.caption(made, text)


def _slopes(axes: Axes, frame: DataFrame, slopes: tuple[float, ...]) -> None:
    """Guides through the middle of the total's (falling) and the path's (rising) points."""
    ks = np.sort(frame["k"].unique()).astype(float)
    anchor = ks[len(ks) // 3]
    for slope in slopes:
        estimator = "total" if slope < 0 or len(slopes) == 1 else "dreg"
        found = pick(frame, estimator=estimator, k=anchor)["value"]
        if len(found):
            start = (anchor, 0.6 * float(found.mean()))
            panels.guide(axes, slope, start, ks[-1], "k$^{%s1/2}$" % ("+" if slope > 0 else "-"))
