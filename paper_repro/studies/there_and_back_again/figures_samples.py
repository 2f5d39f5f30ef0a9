"""E8: samples of the priors of VAE and BILBO, and reconstructions (ours)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing import style
from paper_repro.drawing.study_rows import StudyRows
from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again import methods, trained_panels
from paper_repro.studies.there_and_back_again.methods import BILBO, STUDY, VAE
from paper_repro.studies.there_and_back_again.trained_panels import SMALL, WIDTH

ACROSS = 8  # pictures, at most
PRIORS = {VAE: "N(0, I)", BILBO: "fitted prior"}
EMPTY = 0.4  # height of a panel without pictures, of its width
Pictures = NDArray[np.uint8]


class Sheet(NamedTuple):
    """Pictures side by side, [H, W, C], None where there are none, and what they are."""

    title: str
    picture: Pictures | None

    @property
    def height(self) -> float:
        """Of the width."""
        return EMPTY if self.picture is None else len(self.picture) / self.picture.shape[1]


def samples(results: Results) -> Figure:
    """Per data set, of VAE and BILBO: samples, and below them test images as reconstructed."""
    frame = methods.finals(results, "elbo", "elbo", evaluation="native")
    both = [VAE, BILBO]
    frame, lost = (f[f["method"].isin(both)] for f in (frame, methods.lost(results, "elbo")))
    grid = []
    for dataset in methods.datasets(frame, lost):
        columns = [_sheets(results, frame, dataset, name) for name in both]
        grid += [list(row) for row in zip(*columns, strict=True)]
    heights = [max(sheet.height for sheet in row) for row in grid] or [EMPTY]
    tall = 0.35 + 0.46 * WIDTH * sum(heights) + 0.2 * len(heights)
    made, panes = trained_panels.figure(len(heights), 2, tall, height_ratios=heights)
    made.get_layout_engine().set(hspace=0, h_pad=0.02)  # type: ignore[union-attr, call-arg]
    nothing = [[Sheet(f"elbo, {name}", None) for name in both]]
    for row, sheets in zip(panes, grid or nothing, strict=True):
        for axes, sheet in zip(row, sheets, strict=True):
            _show(axes, sheet)
    where = trained_panels.sign(made, frame, lost)
    text = f"""E8 (ours): samples E[x|z] of the first seed, of the VAE with z from N(0, I), and of
    BILBO with z from N(0, diag(m2 + v)), fitted to the training set; below them E[x|z] of test
    images at the posterior's mean, under their originals where these may be shown ({where})."""
    return style.caption(made, text)


def _sheets(results: Results, frame: DataFrame, dataset: str, name: str) -> list[Sheet]:
    """Of the first seed: samples, and reconstructions, beneath the originals where these may be
    shown."""
    rows = pick(frame, dataset=dataset, method=name)
    saved = StudyRows(results, STUDY).arrays(rows, "samples")
    title = f"{shown(dataset)}\n{name}, {PRIORS[name]}"
    if not saved:
        return [Sheet(title, None), Sheet(f"{shown(dataset)}, {name}", None)]
    across = min(ACROSS, len(saved["samples"]))
    parts = [saved[key][:across] for key in ("originals_test", "pictures_test") if key in saved]
    below = "test images, reconstructed" if len(parts) == 2 else "reconstructions"
    return [
        Sheet(title, mosaic(saved["samples"], across)),
        Sheet(below, mosaic(np.concatenate(parts), across)),
    ]


def mosaic(pictures: Pictures, across: int) -> Pictures:
    """Pictures [n, C, H, W] in rows of `across` with a white pixel between them, [H', W', C]; what
    does not fill a row is left out."""
    count, channels, height, width = pictures.shape
    down = count // across
    padded = np.full((down, across, height + 1, width + 1, channels), 255, dtype=np.uint8)
    own = pictures[: down * across].transpose(0, 2, 3, 1)
    padded[:, :, :-1, :-1] = own.reshape(down, across, height, width, channels)
    joined = padded.transpose(0, 2, 1, 3, 4)
    return joined.reshape(down * (height + 1), across * (width + 1), channels)[:-1, :-1]


def _show(axes: Axes, sheet: Sheet) -> None:
    if sheet.picture is None:
        style.not_run(axes, sheet.title)
        return
    grey = sheet.picture.shape[-1] == 1
    axes.imshow(sheet.picture[..., 0] if grey else sheet.picture, cmap="gray", vmin=0, vmax=255,
                interpolation="nearest")  # fmt: skip
    axes.axis("off")
    first = "\n" in sheet.title
    axes.set_title(sheet.title, fontsize=SMALL, fontweight="bold" if first else "normal")
