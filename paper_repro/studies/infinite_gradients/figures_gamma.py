"""Figure 4 of Dai, Wenliang and Wipf (NeurIPS 2021), and what belongs to it.

Learned against fixed gamma: reconstruction error, MMD and gradient norms on CelebA (or `faces`,
its procedural stand-in at small scale); how fast gamma is annealed; a gamma that is too large.
Original photographs are never drawn, only what the models make of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paper_repro.drawing import panels, style
from paper_repro.drawing import picture_rows as strips
from paper_repro.drawing.labels import NOT_RUN
from paper_repro.drawing.study_rows import RUN, Setting, StudyRows
from paper_repro.results.frames import Results
from paper_repro.studies.infinite_gradients import gamma_rows
from paper_repro.studies.infinite_gradients.gamma_panels import (
    ACTIVE,
    MMD,
    SSE,
    STATISTICS,
    families,
    iterations,
    mark,
    progress,
    rows,
    scores,
    shown_setting,
    true_dims,
)
from paper_repro.studies.infinite_gradients.gamma_rows import (
    CLOSED,
    FIXED,
    LEARNED,
    LOOKS,
    MMD_NOTE,
    PAIR,
    SIZES,
    SPEEDS,
    STUDY,
    UNITS_NOTE,
)

NORMS = {
    "grad_z": "z, per image",
    "grad_z_eq3": "z, per image, eq. (3)",
    "grad_z_batch": "z, of batch mean",
    "grad_decoder": "decoder",
    "grad_encoder": "encoder",
}
RATIO_COLOURS = {
    "grad_z": "#000000",
    "grad_z_batch": style.GREY,
    "grad_decoder": style.AMBER,
    "grad_encoder": style.GREEN,
}  # the ratio of grad_z_eq3 is that of grad_z


def figure4(results: Results) -> Figure:
    """Figure 4: (a) reconstruction error and MMD, (b) the gradient norm over training."""
    error, mmd = scores(results, "celeba", PAIR, "sse"), scores(results, "celeba", PAIR, "mmd")
    norms = gamma_rows.curves(results, "celeba", PAIR, "grad_z")
    lost = gamma_rows.lost(results, "celeba", PAIR)
    found: Sequence[Setting | None] = gamma_rows.settings(error, mmd, norms, lost) or [None]
    made, grid = style.figure(len(found), 3, 0.55 + 1.6 * len(found))
    drawn = False
    for (left, middle, right), setting in zip(grid, found, strict=True):
        if setting is None:
            for axes, what in zip((left, middle, right), ("sse", "mmd", "grad_z"), strict=True):
                style.not_run(axes, f"celeba_learned, celeba_fixed ({what})")
            continue
        for axes, metric, frame, name in ((left, "sse", error, SSE), (middle, "mmd", mmd, MMD)):
            rows(axes, frame, lost, setting, PAIR, name)
            drawn |= _reported(axes, metric, setting)
        middle.tick_params(labelleft=False)
        progress(right, norms, lost, setting, PAIR, "gradient magnitude", log=False)
        left.set_title(f"(a) {setting}")
        right.set_title("(b)")
    style.legend(made, grid[0])
    where = style.mark(made, error, lost, "grey: the paper's, one run each" if drawn else "")
    text = f"""Figure 4. (a) Reconstruction error (squared error summed over the pixels of a test
    image in [0, 1], at a sampled z) and MMD with gamma learned and with gamma fixed, from the
    start, at the value it was learned to have; {STATISTICS} ({where}). {MMD_NOTE}. {UNITS_NOTE};
    they are drawn in grey where the data are CelebA at 128x128. (b) Mean over the batch of the norm
    of the gradient of the negative ELBO (half of equation 3) at a sampled z; bands: 95 % t
    intervals over seeds. Which norm the paper shows is not known to us."""
    return style.caption(made, text)


def gradient_conventions(results: Results) -> Figure:
    """Figure 4(b) by every norm that it may show, on CelebA (or faces) and the miniature."""
    blocks = []
    for family in ("celeba", "miniature"):
        norms = {name: gamma_rows.curves(results, family, PAIR, name) for name in NORMS}
        lost = gamma_rows.lost(results, family, PAIR)
        blocks.append((family, norms, lost, shown_setting(family, *norms.values(), lost)))
    made, grid = style.figure(4, 3, 6.6)
    for place, (family, norms, lost, setting) in enumerate(blocks):
        six = grid[2 * place : 2 * place + 2].reshape(-1)
        for axes, (name, title) in zip(six, NORMS.items(), strict=False):
            if setting is None:
                style.not_run(axes, f"{family}_learned, {family}_fixed ({name})")
                continue
            progress(axes, norms[name], lost, setting, PAIR, "norm")
            axes.set_title(title)
        _ratios(six[5], norms, setting, family)
        if setting is not None:
            six[0].set_title(f"{setting}\n{NORMS['grad_z']}")
    style.legend(made, grid.reshape(-1), 3)
    every = pd.concat([f for _, norms, _, _ in blocks for f in norms.values()])
    where = style.mark(made, every, pd.concat([lost for _, _, lost, _ in blocks]))
    text = f"""Gradient norms over training by every convention that Figure 4(b) may follow: mean
    over the batch of an image's norm, of the negative ELBO and of equation (3), which is twice
    that; Frobenius norm of the gradient of the batch's mean; and the gradients of the decoder's
    first and the encoder's last weight, which the paper says behave alike. Last panel of each
    block: fixed over learned gamma, paired by seed. Lines: mean logarithms over seeds; bands: 95 %
    t intervals ({where})."""
    return style.caption(made, text)


def anneal(results: Results) -> Figure:
    """How fast gamma falls, and what comes of it (ours; claim infinite-A10)."""
    made, grid = style.figure(2, 3, 4.4)
    shown = families(results, SPEEDS, ("mmd", "sse"))
    for (left, middle, right), (family, found, lost, setting) in zip(grid, shown, strict=True):
        if setting is None:
            for axes, what in ((left, "gamma"), (middle, "mmd"), (right, "sse")):
                style.not_run(axes, f"{family}_anneal ({what})")
            continue
        progress(left, _gammas(results, family), lost, setting, SPEEDS, r"$\gamma$")
        rows(middle, found["mmd"], lost, setting, SPEEDS, MMD, labels=False)
        rows(right, found["sse"], lost, setting, SPEEDS, SSE, labels=False)
        left.set_title(str(setting))
    style.legend(made, grid[:, 0], 3)
    where = mark(made, shown, "mmd")
    text = f"""Speed of the anneal (an ablation of ours): gamma over training, MMD and
    reconstruction error of test images (summed over pixels in [0, 1], sampled z), with gamma fixed
    at its final value, set to its optimum in every batch (equation 6), and learned at ten times,
    once and a tenth of the usual rate; {STATISTICS} ({where}). {MMD_NOTE}."""
    return style.caption(made, text)


def over_regularised(results: Results) -> Figure:
    """A gamma fixed far above its optimum (claim infinite-A11)."""
    made, grid = style.figure(2, 3, 3.6)
    columns = {"sse": SSE, "informative_units": ACTIVE, "mmd": MMD}
    shown = families(results, SIZES, tuple(columns))
    for row, (family, found, lost, setting) in zip(grid, shown, strict=True):
        for axes, (metric, name) in zip(row, columns.items(), strict=True):
            if setting is None:
                style.not_run(axes, f"{family}_over ({name})")
            else:
                rows(axes, found[metric], lost, setting, SIZES, name, labels=axes is row[0])
        if setting is not None:
            row[0].set_title(str(setting))
            if family == "miniature":
                true_dims(row[1])
    where = mark(made, shown, "sse")
    text = f"""Gamma fixed at 1, 10 and 100 times the value it is learned to have, and learned:
    reconstruction error of test images (summed over pixels in [0, 1], sampled z), latent dimensions
    whose posterior variance is below 0.5 on average (dotted: true dimensions of the miniature's
    data), and MMD; {STATISTICS} ({where}). {MMD_NOTE}."""
    return style.caption(made, text)


def celeba_pictures(results: Results) -> Figure:
    """Reconstructions by the models of CelebA (or faces); no originals."""
    error = scores(results, "celeba", SIZES, "sse", z="mean")
    lost = gamma_rows.lost(results, "celeba", SIZES)
    setting = shown_setting("celeba", error, lost)
    drawn = []
    for name in SIZES:
        label = LOOKS[name].label
        if setting is None:
            drawn.append(strips.Strip(label, strips.NOTHING, f"not run: {name}"))
            continue
        mine, gone = (gamma_rows.of(frame, setting, name) for frame in (error, lost))
        pictures = StudyRows(results, STUDY).pictures(mine, "pictures_test", strips.PICTURES)
        text = style.lost_text(gone) or NOT_RUN
        if len(pictures):
            text = strips.number(mine["value"], "{:.4g}", "{:.2g}")
        drawn.append(strips.Strip(label, pictures, text))
    made = strips.figure(drawn, f"{setting}, test images" if setting else "Reconstructions")
    where = style.mark(made, error if setting is None else gamma_rows.of(error, setting), lost)
    text = f"""Test images of {setting or "CelebA"} as reconstructed with gamma learned and fixed at
    1, 10 and 100 times the value it was learned to have: the decoder's mean at the posterior's
    mean, of the first seed. Beside each row: squared error summed over pixels in [0, 1], mean over
    all test images evaluated and over seeds ± half width of the 95 % t interval ({where}). Original
    images of CelebA are not reprinted."""
    return style.caption(made, text)


def _reported(axes: Axes, metric: str, setting: Setting) -> bool:
    """The paper's numbers in grey beneath ours, where they are of these data."""
    found = False
    name = "mmd_times_1000" if metric == "mmd" else metric
    for place, run in enumerate(("learned", "fixed")):
        if (value := gamma_rows.reported(name, run, setting.dataset)) is not None:
            axes.plot(value, place + 0.28, "D", color=style.GREY, markersize=4.5, mfc="none",
                      label="_" if found else "the paper's", zorder=2)  # fmt: skip
            found = True
    return found


def _ratios(
    axes: Axes, norms: dict[str, pd.DataFrame], setting: Setting | None, family: str
) -> None:
    """Fixed over learned, paired by seed and step, a line per norm."""
    for name, colour in RATIO_COLOURS.items():
        if setting is None:
            continue
        fixed, learned = (gamma_rows.of(norms[name], setting, run) for run in (FIXED, LEARNED))
        ratio = panels.ratio(fixed, learned, "step")
        if len(ratio):
            step, values = panels.by_seed(ratio, "step")
            mean, low, high = panels.student(values, log=True)
            axes.plot(step, mean, color=colour, linewidth=1, label=f"ratio, {NORMS[name]}")
            axes.fill_between(step, low, high, color=colour, alpha=0.12, linewidth=0)
    if not axes.lines:
        style.not_run(axes, f"{family}: fixed / learned")
        return
    axes.axhline(1.0, color="black", linewidth=0.8, zorder=1)
    iterations(axes, "fixed / learned", log=True)
    axes.set_title("ratio")


def _gammas(results: Results, family: str) -> pd.DataFrame:
    """Curves of gamma. Where it is optimal in each batch it follows from the distortion, which is
    (d / 2) (log(2 pi gamma) + 1): the geometric mean of the steps of a point."""
    others = [name for name in SPEEDS if name != CLOSED]
    known = gamma_rows.curves(results, family, others, "gamma")
    closed = gamma_rows.curves(results, family, [CLOSED], "distortion")
    total, each = (
        gamma_rows.finals(results, family, [CLOSED], metric, z="sampled")
        for metric in ("sse", "mse")
    )
    dims = (total.set_index(RUN)["value"] / each.set_index(RUN)["value"]).round().rename("dims")
    closed = closed.merge(dims.reset_index(), on=RUN)
    closed["value"] = np.exp(2 * closed["value"] / closed["dims"] - 1) / (2 * np.pi)
    return pd.concat([known, closed], ignore_index=True)
