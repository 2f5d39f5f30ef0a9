"""E3 and E10: learned posterior variances against the decoder's Hessian, and its spread (ours)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing import panels, style
from paper_repro.drawing.labels import NOT_RUN
from paper_repro.drawing.study_rows import StudyRows
from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again import methods, trained_panels
from paper_repro.studies.there_and_back_again.methods import BILBO, LOOKS, STUDY, VAE
from paper_repro.studies.there_and_back_again.trained_panels import SMALL

USED = 0.5  # of the prior's variance, which is 1: a latent with less on average is in use
COLUMNS = 3
WHERE = {"split": "train", "z": "sampled"}  # what the saved arrays are of


class Setting(NamedTuple):
    """An experiment and a data set."""

    experiment: str
    dataset: str

    def __str__(self) -> str:
        more = ", binary" if self.experiment == "bernoulli" else ""
        return shown(self.dataset) + more


def hessian(results: Results) -> Figure:
    """V against 1 / H of the VAE, and the curvature penalty of VAE- and BILBO-trained decoders."""
    frames = {e: methods.finals(results, e, "curvature_penalty", **WHERE)
              for e in ("elbo", "bernoulli")}  # fmt: skip
    lost = {e: methods.lost(results, e) for e in frames}
    found = [Setting(e, d) for e, frame in frames.items() for d in methods.datasets(frame, lost[e])]
    rows = -(-len(found) // COLUMNS) or 1
    below = 0.7 + 0.33 * max(2, len(found))
    made = style.canvas(0.4 + 1.15 * rows + below, trained_panels.WIDTH)
    halves: Any = made.subfigures(2, 1, height_ratios=[1.15 * rows + 0.3, below])
    upper, lower = halves
    grid = upper.subplots(rows, COLUMNS if found else 1, squeeze=False, sharex=True, sharey=True)
    penalty = lower.subplots()
    _points(results, grid, found, frames)
    _penalties(penalty, found, frames, lost)
    every = pd.concat(frames.values())
    every = every[every["method"].isin([VAE, BILBO])]
    where = trained_panels.sign(made, every, pd.concat(lost.values()))
    text = f"""E3 and, of binary pixels, E10 (ours). Top: variance V of the VAE's posterior against
    1 / H, the diagonal of H = P0 + E[J^T G J] of its own decoder, a point per training image and
    latent, first seed; grey: latents whose mean V is {USED:g} or more. The line is V = 1 / H, which
    holds where the ELBO is stationary, but for terms that vanish with the residual. Bottom: spread
    of the Hessian, 1/2 (ln det E H - E ln det H), of VAE- and BILBO-trained decoders, which is what
    one posterior variance for all images costs. Marks: geometric means over seeds with 95 % t
    intervals of the logarithm, faint dots seeds ({where})."""
    return style.caption(made, text)


def _points(
    results: Results, grid: np.ndarray, found: list[Setting], frames: dict[str, DataFrame]
) -> None:
    flat = grid.reshape(-1)
    if not found:
        style.not_run(flat[0], "elbo, bernoulli (posterior_variance)")
        return
    for place, axes in enumerate(flat):
        if place >= len(found):
            axes.remove()
            continue
        setting = found[place]
        mine = pick(frames[setting.experiment], dataset=setting.dataset, method=VAE)
        arrays = StudyRows(results, STUDY).arrays(mine, "posterior_variance")
        axes.set_title(trained_panels.wrapped(str(setting)), fontsize=SMALL)
        if arrays:
            _scatter(axes, arrays["inverse_curvature"], arrays["posterior_variance"])
        else:  # its axes are shared
            panels.text_at(axes, NOT_RUN, (0.5, 0.5), xycoords="axes fraction", ha="center",
                           fontsize=SMALL, color=style.GREY)  # fmt: skip
        if place % COLUMNS == 0:
            axes.set_ylabel("V")
        if place // COLUMNS == (len(found) - 1) // COLUMNS:
            axes.set_xlabel("1 / H")
    panels.text_at(flat[0], "V = 1 / H", (0.97, 0.06), xycoords="axes fraction", ha="right",
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
    named: set[str] = set()
    for place, setting in enumerate(found):
        for name, shift in ((VAE, -0.25), (BILBO, 0.15)):
            where = {"dataset": setting.dataset, "method": name}
            values = pick(frames[setting.experiment], **where)["value"].dropna().to_numpy()
            if len(values):
                mean = trained_panels.seeds(axes, place + shift, values, LOOKS[name], log=True)
                if name not in named:
                    named.add(name)
                    panels.text_at(axes, name, (mean, place + shift), xytext=(0, 4), ha="center",
                                   va="bottom", fontsize=SMALL)  # fmt: skip
            missing = style.lost_text(pick(lost[setting.experiment], **where))
            trained_panels.remark(axes, place + shift, missing or ("" if len(values) else NOT_RUN))
    trained_panels.logarithmic(axes, "x")
