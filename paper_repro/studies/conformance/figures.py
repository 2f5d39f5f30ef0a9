"""The figure of the conformance study: bias, variance and cost of every estimator, per latent.

One row per estimator, one block per latent and bound. All estimators of a block have the same
draws of noise and the same number of samples per gradient, so a row differs from its neighbour by
the estimator alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.drawing import panels, style, ticks
from paper_repro.drawing.draw import Figures
from paper_repro.results.frames import Results

STUDY, EXPERIMENT = "conformance", "estimators"
Z_LIMIT = 6.0  # standard errors within which a mean counts as unbiased
# Axes end here; what lies further out is drawn at the edge.
Z_RANGE, VARIANCE_RANGE, COST_RANGE = (0.3, 5e4), (3e-3, 3e3), (0.4, 2.6)
ROW = 0.135  # inches per estimator


class Block(NamedTuple):
    """Estimators of one latent and bound: the problems with a network and a linear decoder."""

    title: str
    problem: str
    bound: str
    linear: bool = False


BLOCKS = (
    Block("Gaussian", "gaussian", "elbo", linear=True),
    Block("Gaussian, IWAE", "gaussian", "iwae", linear=True),
    Block("Gaussian mixture", "mixture", "elbo"),
    Block("Two Gaussian layers", "two_layer", "elbo"),
    Block("Flow", "flow", "elbo"),
    Block("Bernoulli", "bernoulli", "elbo", linear=True),
    Block("Categorical", "categorical", "elbo", linear=True),
)
ORDER = (
    *("silent", "exact_kl", "total", "exact_entropy", "path", "path_code", "partial"),
    *("control_variate", "dreg", "score_function", "reinforce", "rloo", "gumbel_softmax"),
    *("gumbel_softmax_st", "straight_through", "annealed"),
)


def conformance(results: Results) -> Figure:
    """Bias, variance and cost of every estimator, and what a temperature trades."""
    frame = results.finals(STUDY, EXPERIMENT)
    blocks = [(block, rows) for block in BLOCKS if (rows := estimators(frame, block))]
    heights = [ROW * len(rows) for _, rows in blocks] or [2.0]
    upper = sum(heights) + 0.22 * len(heights) + 0.5
    made = style.canvas(upper + 2.1)
    halves: Any = made.subfigures(2, 1, height_ratios=[upper, 2.1])
    top, bottom = halves
    grid = top.subplots(
        len(heights), 3, squeeze=False, sharex="col", gridspec_kw={"height_ratios": heights}
    )
    for axes, (block, rows) in zip(grid, blocks, strict=False):
        _block(axes, frame, block, rows)
    if blocks:
        _head(grid)
    else:
        for axes in grid.flat:
            style.not_run(axes, EXPERIMENT)
    _temperatures(bottom.subplots(1, 2), frame)
    _legend(top)
    origin = style.mark(made, frame, results.unfinished(STUDY, EXPERIMENT))
    text = f"""Every gradient estimator of the suite against exact gradients, on small random
    problems (one per seed), two samples per gradient everywhere. Filled marks, the lower of two:
    linear decoder with Gaussian noise; open marks: a small tanh network. Left: largest bias over
    all parameters of encoder and decoder in standard errors; within the grey band (six) a mean
    counts as exact. Where an estimator is biased, the numbers are the length of its bias relative
    to the exact gradient of the encoder (network / linear decoder). Middle: trace of the covariance
    of the encoder's gradient over the squared length of the exact one (noise to signal, 1 / SNR²);
    a mark at the left edge with 0 has none. Right: seconds per gradient of a VAE on digits
    (64-128-128-16, batch of 100) relative to the plainest unbiased estimator of its block (dotted
    line). Below: what the temperature of a relaxation trades, network decoder. Marks are medians
    over seeds, lines their range: other seeds are other problems ({origin})."""
    return style.caption(made, text)


def estimators(frame: DataFrame, block: Block) -> list[str]:
    """Names of the estimators that have rows in a block, in the figure's order."""
    names = {name for _, found in _problems(frame, block) for name in set(found["estimator"])}
    known = [name for name in ORDER if name in names]
    return known + sorted(names - set(known))


def _problems(frame: DataFrame, block: Block) -> list[tuple[str, DataFrame]]:
    """Rows of the block's bias, by the name of the problem: network first, linear second."""
    names = [block.problem, *([f"{block.problem}_linear"] if block.linear else [])]
    biased = pick(frame, metric="bias_z_max", bound=block.bound)
    return [(name, pick(biased, problem=name)) for name in names]


def _block(axes: np.ndarray, frame: DataFrame, block: Block, names: list[str]) -> None:
    """One row of panels: a block's bias, variance and cost."""
    bias, variance, cost = axes
    bias.axvspan(Z_RANGE[0], Z_LIMIT, color="#ececec", linewidth=0, zorder=0)
    cost.axvline(1.0, color=style.GREY, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1)
    for problem, _ in _problems(frame, block):
        filled = problem.endswith("_linear") or not block.linear
        rows = pick(frame, problem=problem, bound=block.bound)
        for place, name in enumerate(names):
            mine = pick(rows, estimator=name)
            shift = 0.0 if not block.linear else 0.17 if filled else -0.17
            at, look = place + shift, (name, filled)
            worst = pick(mine, metric="bias_z_max").groupby("seed")["value"].max()
            _dots(bias, at, worst.to_numpy(), look, Z_RANGE)
            scatter = pick(mine, metric="relative_variance", group="encoder")["value"].to_numpy()
            _dots(variance, at, scatter, look, VARIANCE_RANGE)
            _dots(cost, at, pick(mine, metric="cost_ratio")["value"].to_numpy(), look, COST_RANGE)
    for place, name in enumerate(names):
        bias.annotate(_sizes(frame, block, name), (0.99, place), ha="right", va="center",
                      xycoords=("axes fraction", "data"), fontsize=5)  # fmt: skip
    for panel in axes:
        panels.listed(panel, [""] * len(names), 0.6)
        panel.tick_params(axis="x", which="both", labelbottom=False, length=0)
    bias.set_yticks(range(len(names)), [style.look(name).label for name in names])
    bias.tick_params(axis="y", labelsize=6)
    bias.set_title(block.title, fontsize=7, pad=2)


def _sizes(frame: DataFrame, block: Block, name: str) -> str:
    """Relative biases of an estimator that is biased: ``12 / 9 %``, network and linear decoder."""
    sizes = []
    for problem, found in _problems(frame, block):
        rows = pick(frame, problem=problem, bound=block.bound, estimator=name, group="encoder")
        size = pick(rows, metric="relative_bias")["value"]
        if pick(found, estimator=name)["value"].median() > Z_LIMIT:
            sizes.append(f"{100 * size.mean():.0f}")
    return " / ".join(sizes) + " %" if sizes else ""


def _dots(
    axes: Axes, at: float, values: np.ndarray, look: tuple[str, bool], edges: tuple[float, float]
) -> None:
    """The median over seeds and their range; what lies beyond `edges` is drawn on them."""
    values = values[np.isfinite(values)]
    if not len(values):
        return
    (name, filled), shown = look, np.clip(values, *edges)
    colour, marker = style.look(name).colour, style.look(name).marker
    axes.plot([shown.min(), shown.max()], [at, at], color=colour, linewidth=0.9, alpha=0.6)
    face = colour if filled or marker == "x" else "white"
    axes.plot([np.median(shown)], [at], marker, color=colour, markerfacecolor=face, markersize=3.4,
              markeredgewidth=0.8, clip_on=False, zorder=5)  # fmt: skip
    if edges is VARIANCE_RANGE and values.max() < edges[0]:
        panels.text_at(axes, "0", (edges[0], at), xytext=(4, 0), va="center", fontsize=5)


def _head(grid: np.ndarray) -> None:
    """Scales and labels that a whole column of panels shares."""
    for panel, edges in zip(grid[0, :2], (Z_RANGE, VARIANCE_RANGE), strict=True):
        panel.set_xscale("log")
        panel.set_xlim(*edges)
    grid[0, 2].set_xlim(*COST_RANGE)
    labels = ("bias: |z| (standard errors)", "noise to signal", "cost (relative)")
    for panel, label in zip(grid[-1], labels, strict=True):
        panel.tick_params(axis="x", labelbottom=True, length=3)
        panel.set_xlabel(label)


def _legend(made: Figure) -> None:
    faces = {"network decoder (upper of two)": "white", "linear, or the only one": style.GREY}
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=3.4, color=style.GREY,
               markerfacecolor=face, label=label)
        for label, face in faces.items()
    ]  # fmt: skip
    made.legend(handles=handles, loc="outside upper right", ncols=2)


def _temperatures(axes: np.ndarray, frame: DataFrame) -> None:
    """Bias and variance against the temperature, on the problems with a network decoder."""
    titles = {"relative_bias": "Temperature: bias", "relative_variance": "Temperature: variance"}
    labels = ("bias / exact gradient", "noise to signal")
    for panel, (metric, title), label in zip(axes, titles.items(), labels, strict=True):
        panel.set_title(title)
        found = pick(frame, metric=f"temperature_{metric}")
        if found.empty:
            style.not_run(panel, f"{EXPERIMENT} (temperature)")
            continue
        for problem, dash in (("bernoulli", "-"), ("categorical", (0, (3, 1.5)))):
            for name in ("gumbel_softmax", "gumbel_softmax_st"):
                _sweep(panel, pick(found, problem=problem, estimator=name), name, problem, dash)
        panel.set(xscale="log", yscale="log", xlabel="temperature", ylabel=label)
        for axis in (panel.xaxis, panel.yaxis):
            ticks.plain(axis, 1, 2, 5)
    if handles := axes[0].get_legend_handles_labels()[0]:
        axes[0].figure.legend(handles=handles, loc="outside lower center", ncols=2)


def _sweep(axes: Axes, rows: DataFrame, name: str, problem: str, dash: Any) -> None:
    """One relaxation against the temperature: seeds faint, their median on top."""
    if rows.empty:
        return
    look, (where, values) = style.look(name), panels.by_seed(rows, "temperature")
    axes.plot(where, values, color=look.colour, linestyle=dash, linewidth=0.5, alpha=0.3)
    label = f"{look.label}, {problem.capitalize()}"
    axes.plot(where, np.nanmedian(values, axis=1), color=look.colour, linestyle=dash,
              marker=look.marker, label=label, zorder=4)  # fmt: skip


FIGURES: Figures = {"conformance": conformance}
