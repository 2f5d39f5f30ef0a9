"""Figures of gradients: bias, variance and direction on the way, and what theory fixes exactly."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing import panels, style, ticks
from paper_repro.results.frames import Results
from paper_repro.studies.silent_gradients import methods, scores
from paper_repro.studies.silent_gradients.figures_rows import compared, families, look
from paper_repro.studies.silent_gradients.scores import STUDY

GRADIENTS = "gradients"
VARIANCE, BIAS, COSINE = (
    f"encoder_gradient_{name}" for name in ("relative_variance", "relative_bias", "cosine")
)
NOISE = f"{BIAS}_noise"
MOMENTS = {0.0: "start", 0.5: "middle", 1.0: "end"}
ROUNDING = 1e-12  # relative variances below it are zero but for rounding
TWICE = 2.0  # times its noise level, below which a bias is not seen
SHIFT = 0.035  # between estimators at one moment


def gradients(results: Results) -> Figure:
    """Variance, bias and cosine of every estimator's gradient of the same encoder."""
    frame = compared(results.frame(STUDY, GRADIENTS))
    frame = frame[(frame["status"] == "ok") & frame["metric"].isin([VARIANCE, BIAS, COSINE, NOISE])]
    frame = frame.drop_duplicates(["cell", "seed", "step", "metric", "estimator"])
    found = families(frame)
    made, grid = style.figure(len(found), 3, 0.7 + 1.95 * len(found))
    for family, axes in zip(found, grid, strict=True):
        _row(axes, pick(frame, family=family), family)
    style.legend(made, grid.flat, 4)
    datasets = ", ".join(shown(name) for name in dict.fromkeys(frame["dataset"]))
    where = style.mark(made, frame, scores.lost(results, GRADIENTS), datasets)
    text = f"""Gradients of the encoder at the start, in the middle and at the end of one run
    (trained with the silent gradient), for all estimators at the same weights and on the same
    images. Left: trace of the covariance of one gradient over the squared length of the exact one
    (logarithmic; the silent gradient has none, drawn on the axis as 0). Middle: length of the bias
    over that of the exact gradient; hollow where it is not above twice what a mean of so many draws
    shows without bias. Right: mean cosine of one gradient with the exact one. Marks: means over
    seeds, bars: 95 % t intervals; moments are drawn a little apart for each estimator ({where})."""
    return style.caption(made, text)


def _row(axes: np.ndarray, frame: DataFrame, family: str) -> None:
    """The three panels of one family of latents."""
    titles = {VARIANCE: "noise to signal", BIAS: "relative bias", COSINE: "cosine"}
    found = sorted(set(frame["method"]), key=lambda name: methods.order(family, name))
    for panel, (metric, title) in zip(axes, titles.items(), strict=True):
        panel.set_title(f"{family}: {title}" if metric == VARIANCE else title.capitalize())
        rows = pick(frame, metric=metric)
        if rows.empty:
            style.not_run(panel, f"{GRADIENTS} ({family})")
            continue
        log = metric != COSINE
        if log:
            panel.set_yscale("log")
        for place, method in enumerate(found):
            mine = pick(rows, method=method)
            noise = pick(frame, metric=NOISE, method=method) if metric == BIAS else mine.iloc[:0]
            shift = SHIFT * (place - (len(found) - 1) / 2)
            _series(panel, mine, noise, method, shift, log=log)
        panel.set_xticks(list(MOMENTS), list(MOMENTS.values()))
        panel.set_xlim(-0.15, 1.15)
        panel.xaxis.set_minor_locator(NullLocator())
        if log:
            _room(panel)


def _room(axes: Axes) -> None:
    """Plain numbers on a short logarithmic axis, and room for what stands at its foot."""
    low, high = axes.get_ylim()
    span = max(high / low, 10.0)
    axes.set_ylim(low / span**0.12, high * span**0.03)
    if span < 300:
        ticks.plain(axes.yaxis, 1, 3)
    axes.yaxis.set_minor_formatter(NullFormatter())


def _series(
    axes: Axes, rows: DataFrame, noise: DataFrame, method: str, shift: float, *, log: bool
) -> None:
    """One estimator at the moments measured; zeros at the foot of the axis."""
    if rows.empty:
        return
    drawn = style.look(look(method))
    where, values = panels.by_seed(rows, "progress")
    silent = np.nanmax(np.abs(values), axis=1) < ROUNDING if log else np.zeros(len(where), bool)
    mean, low, high = panels.student(values, log=log)
    known = np.isfinite(mean) & ~silent
    arms = panels.arms(mean, low, high)[:, known]
    axes.errorbar(where[known] + shift, mean[known], yerr=arms, color=drawn.colour, label=method,
                  linestyle=drawn.dash, marker=drawn.marker, linewidth=0.9,
                  elinewidth=0.8)  # fmt: skip
    if len(noise):
        level = noise.groupby("progress")["value"].mean().reindex(where).to_numpy(float)
        drowned = known & (mean < TWICE * level)
        if drowned.any():
            axes.plot(where[drowned] + shift, mean[drowned], drawn.marker, color=drawn.colour,
                      markerfacecolor="white", zorder=4)  # fmt: skip
    foot = axes.get_xaxis_transform()
    for x in where[silent]:
        axes.plot([x + shift], [0.0], drawn.marker, color=drawn.colour, transform=foot,
                  clip_on=False, zorder=5)  # fmt: skip
        panels.text_at(axes, "0", (x + shift, 0.0), xycoords=foot, xytext=(0, 3.5), fontsize=6,
                       ha="center", color=drawn.colour)  # fmt: skip
