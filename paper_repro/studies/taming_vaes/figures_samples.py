"""Samples of the prior over the thresholds, and how near they are to the data (Figures 7 and 9).

Both are ours: the paper's Figures 7 and 9 are not known to us. Holes of the prior show as samples
far from every image; collapse shows as samples that are near, but alike.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing import panels, style
from paper_repro.drawing import picture_rows as strips
from paper_repro.drawing.labels import NOT_RUN
from paper_repro.drawing.study_rows import StudyRows, of
from paper_repro.results.frames import Results
from paper_repro.studies.taming_vaes import plane_rows
from paper_repro.studies.taming_vaes.plane_rows import STUDY

RADIUS = 2  # coverage counts samples within so many times a threshold of an image
EACH = 2  # samples a threshold
MARKS = "hDv^sPo<>X*"
LOOKS = {
    name: (style.COLOURS[place % len(style.COLOURS)], MARKS[place % len(MARKS)])
    for place, name in enumerate(plane_rows.DATASETS)
}


def figure7(results: Results) -> Figure:
    """Figure 7 (ours): coverage over the thresholds."""
    cover = {n: _at_radius(results, n) for n in ("sweep", "baselines")}
    near = plane_rows.finals(results, "sweep", "nearest")
    lost = plane_rows.lost(results, "sweep", "baselines")
    models = list(dict.fromkeys(s.model for s in plane_rows.settings(cover["sweep"], near)))
    made, grid = style.figure(2, max(1, len(models)), 4.3)
    for (upper, lower), model in zip(grid.T, models or [""], strict=True):
        _coverage(upper, {n: pick(f, shown_model=model) for n, f in cover.items()})
        _nearest(lower, pick(near, shown_model=model))
        if model:
            upper.set_title(model, fontsize=7)
    for axes, label in zip(
        grid[:, 0], (f"share within {RADIUS}" + r"$\kappa$", "RMS to nearest image"), strict=True
    ):
        if axes.lines:
            axes.set_ylabel(label)
    first = grid[0, 0]
    if first.lines:
        first.plot([], [], "o", color=style.GREY, linestyle=(0, (3, 2)), linewidth=1,
                   markerfacecolor="white", label="ELBO at the same radii")  # fmt: skip
    style.legend(made, grid.reshape(-1), 4)
    every = pd.concat([*cover.values(), near])
    where = style.mark(made, every, lost)
    text = f"""Figure 7. Coverage: the share of draws from the prior that decode to something within
    an RMS distance per pixel of {RADIUS} kappa of a training image (top), and their mean distance
    to the nearest one (bottom; dotted: {RADIUS} kappa). Solid: GECO trained at kappa; hollow and
    dashed: one model trained by the ELBO with variance 1 at the same radii. Intervals: 95 % t over
    seeds ({where}). A share of 1 is also reached by a model that draws nothing but the mean image.
    The measure is ours; the paper's Figure 7 is not known to us."""
    return style.caption(made, text)


def _at_radius(results: Results, experiment: str) -> pd.DataFrame:
    """Coverage with the threshold asked at as `kappa`: of GECO's runs, their own alone."""
    rows = plane_rows.finals(results, experiment, "coverage")
    if rows.empty:
        return rows
    asked = rows["radius"].astype(float) / RADIUS
    if experiment == "sweep":
        return rows[np.isclose(asked, rows["kappa"].astype(float), rtol=1e-4)]
    return plane_rows.of_method(rows.assign(kappa=asked), "elbo")


def _coverage(axes: Axes, frames: dict[str, pd.DataFrame]) -> None:
    for name, frame in frames.items():
        for dataset, mine in _by_set(frame):
            _line(axes, mine, dataset, hollow=name == "baselines")
    if not axes.lines:
        style.not_run(axes, "sweep (coverage)")
        return
    axes.set(ylim=(-0.04, 1.04))


def _nearest(axes: Axes, frame: pd.DataFrame) -> None:
    for dataset, mine in _by_set(frame):
        _line(axes, mine, dataset)
    if not axes.lines:
        style.not_run(axes, "sweep (nearest)")
        return
    ends = np.array([min(plane_rows.kappas(frame)), max(plane_rows.kappas(frame))])
    axes.plot(ends, RADIUS * ends, color=style.GREY, linestyle=(0, (1, 1)), linewidth=0.9)
    axes.set(xlabel=r"$\kappa$", ylim=(0, None))


def _by_set(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(s.dataset, of(frame, s)) for s in plane_rows.settings(frame)]


def _line(axes: Axes, frame: pd.DataFrame, dataset: str, *, hollow: bool = False) -> None:
    colour, marker = LOOKS.get(dataset, (style.GREY, "o"))
    panels.bars(axes, *panels.by_seed(frame, "kappa"), color=colour, marker=marker, capsize=1.5,
                linestyle=(0, (3, 2)) if hollow else "-", linewidth=1,
                markerfacecolor="white" if hollow else colour,
                label="_" if hollow else shown(dataset))  # fmt: skip


def figure9(results: Results) -> Figure:
    """Figure 9 (ours): samples of the prior over the thresholds."""
    rate = plane_rows.finals(results, "sweep", "rate")
    lost = plane_rows.lost(results, "sweep")
    thresholds, rows, drawn = plane_rows.kappas(rate), StudyRows(results, STUDY), []
    for setting in plane_rows.settings(rate, lost):
        mine, parts = of(rate, setting), []
        for kappa in thresholds:
            parts.append(rows.pictures(pick(mine, kappa=kappa), "samples", EACH))
        shapes = {part.shape[1:] for part in parts if len(part)}
        missing, pictures = style.lost_text(of(lost, setting)), strips.NOTHING
        if shapes:
            blank = np.full((EACH, *next(iter(shapes))), 235, dtype=np.uint8)  # a run that lacks
            pictures = np.concatenate([part if len(part) else blank for part in parts])
        label = f"{shown(setting.dataset)}\n{setting.model.replace('conditional', 'cond.')}"
        text = missing or ("" if shapes else NOT_RUN)
        drawn.append(strips.Strip(label, pictures, text.replace(", ", "\n")))
    blank_strip = strips.Strip("samples", strips.NOTHING, "not run: sweep")
    listed = ", ".join(f"{kappa:g}" for kappa in thresholds)
    made = strips.figure(drawn or [blank_strip], f"draws from the prior, {EACH} for each kappa\n")
    for place, kappa in enumerate(thresholds):
        middle = (place + 0.5) * EACH * (1 + strips.GAP) - strips.GAP / 2
        made.axes[0].text(middle, 1.08, rf"$\kappa$ = {kappa:g}", ha="center", va="bottom",
                          fontsize=6.5)  # fmt: skip
    where = style.mark(made, rate, lost)
    text = f"""Figure 9. Two draws from the prior of a model trained by GECO at each threshold, from
    left to right kappa = {listed or "not run"}; conditional models draw under the conditions of the
    first test images. First seed ({where}). The paper's Figure 9 is not known to us."""
    return style.caption(made, text)
