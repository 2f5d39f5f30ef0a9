"""E3 and E10: learned posterior variances against the decoder's Hessian, and its spread (ours)."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.drawing import panels, style
from paper_repro.drawing.labels import NOT_RUN
from paper_repro.drawing.study_rows import StudyRows
from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again import methods, trained_panels
from paper_repro.studies.there_and_back_again.methods import BILBO, LOOKS, STUDY, VAE
from paper_repro.studies.there_and_back_again.table_rows import data_name
from paper_repro.studies.there_and_back_again.trained_panels import SMALL

USED = 0.5  # of the prior's variance, which is 1: a latent with less on average is in use
COLUMNS = 3
WHERE = {"split": "train", "z": "sampled"}  # what the saved arrays are of


class Setting(NamedTuple):
    """An experiment and a data set."""

    experiment: str
    dataset: str

    def __str__(self) -> str:
        kind = "binarised" if self.experiment == "bernoulli" else ""
        return data_name(self.dataset, kind)


def hessian(results: Results) -> Figure:
    """V against 1 / H of the VAE, and the curvature penalty of VAE- and BILBO-trained decoders."""
    experiments = ("elbo", "bernoulli")
    frames = {e: _both(methods.finals(results, e, "curvature_penalty", **WHERE))
              for e in experiments}  # fmt: skip
    lost = {e: _both(methods.lost(results, e)) for e in experiments}
    found = [Setting(e, d) for e in experiments for d in methods.datasets(frames[e], lost[e])]
    points = {setting: _arrays(results, frames, setting) for setting in found}
    rows = -(-len(found) // COLUMNS) if any(points.values()) else 1
    heights = [0.3 + 1.15 * rows, 0.7 + 0.33 * max(2, len(found))]
    made = style.canvas(sum(heights) + 0.1, trained_panels.WIDTH)
    halves: Any = made.subfigures(2, 1, height_ratios=heights)
    _points(halves[0], rows, points)
    _penalties(halves[1].subplots(), found, frames, lost)
    every = pd.concat(frames.values())
    where = trained_panels.sign(made, every, pd.concat(lost.values()))
    text = f"""E3 and, of binary pixels, E10 (ours). Top: variance V of the VAE's posterior against
    1 / H, the diagonal of H = P0 + E[J^T G J] of its own decoder, a point per training image and
    latent, first seed; grey: latents whose mean V is {USED:g} or more. The line is V = 1 / H, which
    holds where the ELBO is stationary, but for terms that vanish with the residual. Bottom: spread
    of the Hessian, 1/2 (ln det E H - E ln det H), of VAE- and BILBO-trained decoders, which is what
    one posterior variance for all images costs. Marks: geometric means over seeds with 95 % t
    intervals of the logarithm, dots beneath: seeds ({where})."""
    return style.caption(made, text)


def _both(frame: DataFrame) -> DataFrame:
    return frame[frame["method"].isin([VAE, BILBO])]


def _arrays(
    results: Results, frames: dict[str, DataFrame], setting: Setting
) -> dict[str, panels.Array]:
    """What the VAE's first run saved; empty where none did."""
    mine = pick(frames[setting.experiment], dataset=setting.dataset, method=VAE)
    return StudyRows(results, STUDY).arrays(mine, "posterior_variance")


def _points(made: Any, rows: int, points: dict[Setting, dict[str, panels.Array]]) -> None:
    """A panel for each setting, of common axes."""
    if not any(points.values()):
        style.not_run(made.subplots(), "elbo, bernoulli (posterior_variance)")
        return
    grid = made.subplots(rows, COLUMNS, squeeze=False, sharex=True, sharey=True)
    for axes in grid.reshape(-1)[len(points) :]:
        axes.remove()
    for axes, (setting, arrays) in zip(grid.reshape(-1), points.items(), strict=False):
        axes.set_title(trained_panels.wrapped(str(setting)), fontsize=SMALL)
        if arrays:
            _scatter(axes, arrays["inverse_curvature"], arrays["posterior_variance"])
        else:  # the axes are those of the others
            panels.text_at(axes, NOT_RUN, (0.5, 0.5), xycoords="axes fraction", ha="center",
                           fontsize=SMALL, color=style.GREY)  # fmt: skip
    for axes in grid[:, 0]:
        axes.set_ylabel("V")
    for axes in grid[-1][: len(points) - COLUMNS * (rows - 1)]:
        axes.set_xlabel("1 / H")
    panels.text_at(grid[0, 0], "V = 1 / H", (0.97, 0.06), xycoords="axes fraction", ha="right",
                   fontsize=SMALL, color=style.RED)  # fmt: skip


def _scatter(axes: Axes, inverse: panels.Array, variance: panels.Array) -> None:
    used = variance.mean(0) < USED
    for chosen, colour in ((~used, "#b0b0b0"), (used, LOOKS[VAE].colour)):
        axes.plot(inverse[:, chosen].ravel(), variance[:, chosen].ravel(), ".", color=colour,
                  markersize=1.2, markeredgewidth=0)  # fmt: skip
    ends = [min(inverse.min(), variance.min()), max(inverse.max(), variance.max())]
    axes.plot(ends, ends, color=style.RED, linewidth=0.8, zorder=3)
    axes.set(xscale="log", yscale="log")


def _penalties(
    axes: Axes, found: list[Setting], frames: dict[str, DataFrame], lost: dict[str, DataFrame]
) -> None:
    if not any(len(frame) for frame in frames.values()):
        style.not_run(axes, "elbo, bernoulli (curvature_penalty)")
        return
    panels.listed(axes, [str(setting) for setting in found], room=0.7)
    axes.set_xlabel("spread of the Hessian (nats/image)")
    for place, setting in enumerate(found):
        for name, shift in ((VAE, -0.25), (BILBO, 0.15)):
            where = {"dataset": setting.dataset, "method": name}
            values = pick(frames[setting.experiment], **where)["value"].dropna().to_numpy()
            if len(values):
                trained_panels.seeds(axes, place + shift, values, LOOKS[name], log=True)
            missing = style.lost_text(pick(lost[setting.experiment], **where))
            trained_panels.remark(axes, place + shift, missing or ("" if len(values) else NOT_RUN))
            if place == 0:
                trained_panels.name_row(axes, shift, LOOKS[name])
    trained_panels.logarithmic(axes, "x")
