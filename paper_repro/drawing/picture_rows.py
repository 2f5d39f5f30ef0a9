"""Figures of pictures: one strip per row, with a label before and a number behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from paper_repro.drawing import style
from paper_repro.drawing.panels import student

PICTURES = 10  # a row, at most
NOTHING: NDArray[np.uint8] = np.empty((0, 1, 1, 1), dtype=np.uint8)
# White between two pictures, room for the labels and for the numbers, in widths of a picture.
GAP, LABEL, NUMBER = 0.1, 3.2, 2.1


class Strip(NamedTuple):
    """Pictures uint8 [n, C, H, W] and what is written about them; with n = 0 `text` stands in
    their place."""

    label: str
    pictures: NDArray[np.uint8]
    text: str


def number(values: ArrayLike, mean: str, half: str) -> str:
    """Mean over seeds and, on a second line, ± half width of its 95 % t interval, in formats like
    ``{:.4g}``; "" without seeds."""
    seeds = np.asarray(values, float)
    (middle,), (low,), _ = student(seeds[None])
    text = mean.format(middle) if len(seeds) else ""
    return text + (f"\n± {half.format(middle - low)}" if np.isfinite(low) else "")


def figure(strips: Sequence[Strip], title: str) -> Figure:
    """The strips below each other under a title."""
    count = max(len(strip.pictures) for strip in strips) or PICTURES
    width = LABEL + count * (1 + GAP) + NUMBER
    made, grid = style.figure(len(strips), 1, 0.5 + len(strips) * (style.WIDTH / width + 0.06))
    made.get_layout_engine().set(hspace=0, h_pad=0.03)  # type: ignore[union-attr, call-arg]
    for axes, strip in zip(grid[:, 0], strips, strict=True):
        axes.set(xlim=(-LABEL, width - LABEL), ylim=(0, 1), xticks=[], yticks=[], aspect="equal")
        axes.axis("off")
        _draw(axes, *strip, count)
    made.suptitle(title, x=0.012, ha="left", fontsize=8, fontweight="bold")
    return made


def _draw(axes: Axes, label: str, pictures: NDArray[np.uint8], text: str, count: int) -> None:
    axes.text(-0.25, 0.5, label, ha="right", va="center", fontsize=6.5)
    for place, picture in enumerate(pictures):
        image, left = picture.transpose(1, 2, 0), place * (1 + GAP)
        axes.imshow(
            image if image.shape[-1] == 3 else image[..., 0],
            cmap="gray",
            vmin=0,
            vmax=255,
            extent=(left, left + 1, 0, 1),
            interpolation="nearest",
            zorder=2,
        )
    width = count * (1 + GAP) - GAP
    axes.set(xlim=(-LABEL, width + NUMBER), ylim=(0, 1))  # imshow has moved them
    if len(pictures):
        axes.text(width + 0.25, 0.5, text, ha="left", va="center", fontsize=6.5)
        return
    frame = Rectangle((0, 0.02), width, 0.96, facecolor="#f6f6f6", edgecolor="#a0a0a0",
                      linestyle=(0, (3, 3)), linewidth=0.7)  # fmt: skip
    axes.add_patch(frame)
    axes.text(width / 2, 0.5, text, ha="center", va="center", fontsize=7, color=style.GREY)
