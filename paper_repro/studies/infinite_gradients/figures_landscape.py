"""Figure 3 of Dai, Wenliang and Wipf (NeurIPS 2021): slices of the VAE's loss at several gammas.

`figure3` draws slices of a linear VAE with its encoder at the optimum, along directions that we
chose (the paper's are unknown); `figure3_trained` scales the latents of a trained nonlinear VAE.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.drawing import style
from paper_repro.drawing.study_rows import StudyRows
from paper_repro.results.frames import Results
from paper_repro.studies.infinite_gradients.figures_theory import GAMMA, STUDY

COLOURS = (style.SKY, style.GREEN, style.AMBER, style.RED)  # from the largest gamma to the smallest
DASHED = (0, (3, 2))
TICKS = (0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000)  # nats
TITLES = {"a": "(a) both directions move", "b": "(b) one direction stays"}


def figure3(results: Results) -> Figure:
    """Panels a and b: one curve per gamma, dashed lines at the minimisers."""
    frame, lost = StudyRows(results, STUDY).with_lost("landscape")
    arrays = StudyRows(results, STUDY).arrays(frame)
    made, (row,) = style.figure(1, 2, 2.9)
    for axes, (name, title) in zip(row, TITLES.items(), strict=True):
        axes.set_title(title)
        if not arrays:
            style.not_run(axes, f"landscape ({name})")
            continue
        _slice(axes, arrays, name, pick(frame, metric="minimiser", slice=name))
    style.legend(made, row, 4)
    where = style.mark(made, frame, lost, "curves of one seed: rotations change none")
    text = f"""Loss of a linear VAE (eq. 3, encoder at its optimum) along a straight line of
    decoders from the optimal sparse representation (t = 0, two active latents) to one that
    reconstructs as well with three (t = 1), for four gamma; each curve minus its least value,
    dashed lines at its minimiser. As gamma falls the curves sharpen, a second minimum appears, and
    the best one moves to t = 0. d = 20, kappa = 5, r = 2; dimensions and directions are our choice
    ({where})."""
    return style.caption(made, text)


def _slice(axes: Axes, arrays: dict[str, np.ndarray], name: str, minimisers: DataFrame) -> None:
    for place, gamma in enumerate(arrays["gamma"]):
        colour = COLOURS[place % len(COLOURS)]
        curve = arrays[f"curve_{name}"][place]
        axes.plot(arrays["t"], curve, color=colour, label=f"{GAMMA} = {gamma:g}")
        for best in pick(minimisers, gamma=gamma)["value"].unique()[:1]:
            axes.axvline(best, color=colour, linewidth=0.9, linestyle=DASHED, zorder=1)
    axes.set(xlabel="t", ylabel="loss - minimum (nats, eq. 3)", ylim=(-0.3, None))


def figure3_trained(results: Results) -> Figure:
    """One panel per gamma: slices of every latent of a trained network."""
    frame, lost = StudyRows(results, STUDY).with_lost("landscape_trained")
    arrays = StudyRows(results, STUDY).arrays(frame)
    made, grid = style.figure(2, 2, 4.4)
    times = arrays["times"].tolist() if arrays else [1, 10, 100, 1000]
    for place, (axes, factor) in enumerate(zip(grid.flat, times, strict=True)):
        name = f"{GAMMA} as trained" if factor == 1 else f"{factor:g} {GAMMA}"
        axes.set_title(name)
        if arrays:
            _latents(axes, arrays, place)
        else:
            style.not_run(axes, f"landscape_trained ({factor:g} times the gamma reached)")
    for axes in grid[1] if arrays else ():
        axes.set_xlabel("scale s of the latent")
    for axes in grid[:, 0] if arrays else ():
        axes.set_ylabel("loss - minimum (nats)")
    style.legend(made, grid.flat, 3)
    where = style.mark(made, frame, lost, "curves of one seed")
    text = f"""A nonlinear VAE trained with learned gamma; all that makes one latent is multiplied
    by s: as trained at s = 1, carrying nothing at s = 0. One line per latent: the loss (eq. 3)
    minus its least value on the slice, with the gamma that training reached and, same weights,
    larger ones. With the small gamma a latent in use has a sharp minimum at s = 1 and often
    another, shallow one near s = 0; with large ones only s = 0 is left. Data and sizes are our
    choice, after the first author's earlier code ({where})."""
    return style.caption(made, text)


def _latents(axes: Axes, arrays: dict[str, np.ndarray], place: int) -> None:
    kinds = ((True, style.RED, "latents in use"), (False, style.GREY, "latents not in use"))
    for used, colour, label in kinds:
        for curve in arrays["curves"][arrays["used"] == used, place]:
            axes.plot(arrays["scale"], curve, color=colour, linewidth=0.9, alpha=0.7, label=label)
    axes.axvline(1, color="black", linewidth=0.7, linestyle=DASHED, zorder=1, label="as trained")
    axes.set_yscale("asinh", linear_width=1)  # linear near zero, logarithmic beyond
    top = float(arrays["curves"][:, place].max())
    axes.set_yticks([tick for tick in TICKS if tick <= top], minor=False)
    axes.set_yticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0, 1.1 * top)
