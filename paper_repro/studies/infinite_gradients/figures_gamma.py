"""Figure 4 of Dai, Wenliang and Wipf (NeurIPS 2021), and what belongs to it.

Learned against fixed gamma: reconstruction error, MMD and gradient norms on CelebA (or `faces`,
its procedural stand-in at small scale); how fast gamma is annealed; a gamma that is too large.
Original photographs are never drawn, only what the models make of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from paper_repro.analysis import panels, strips, style
from paper_repro.analysis.files import MISSING
from paper_repro.analysis.results import Results
from paper_repro.analysis.tables import NOT_RUN
from paper_repro.studies.infinite_gradients import gamma_rows
from paper_repro.studies.infinite_gradients.gamma_rows import (
    CLOSED,
    FAST,
    FIXED,
    HUNDRED,
    LEARNED,
    MMD_NOTE,
    SLOW,
    STUDY,
    TEN,
    UNITS_NOTE,
    Setting,
)

PAIR = (LEARNED, FIXED)
SPEEDS = (SLOW, LEARNED, FAST, CLOSED, FIXED)
SIZES = (LEARNED, FIXED, TEN, HUNDRED)
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
MINIATURE = "tanh_manifold"  # of the three noise levels the one shown beside CelebA
SSE, MMD, ACTIVE = "squared error per image", "MMD x 1000", "active dims"
STATISTICS = "means over seeds, 95 % t intervals, faint dots seeds"


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
    where = style.origin(error, lost)
    style.mark(made, where, "grey: the paper's, one run each" if drawn else "")
    return style.caption(
        made,
        f"""Figure 4. (a) Reconstruction error (squared error summed over the pixels of a test
        image in [0, 1], at a sampled z) and MMD with gamma learned and with gamma fixed, from the
        start, at the value it was learned to have; {STATISTICS} ({where}). {MMD_NOTE}.
        {UNITS_NOTE}; they are drawn in grey where the data are CelebA at 128x128. (b) Mean over the
        batch of the norm of the gradient of the negative ELBO (half of equation 3) at a sampled z;
        bands: 95 % t intervals over seeds. Which norm the paper shows is not known to us.""",
    )


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
    where = style.origin(every, pd.concat([lost for _, _, lost, _ in blocks]))
    style.mark(made, where)
    return style.caption(
        made,
        f"""Gradient norms over training by every convention that Figure 4(b) may follow: mean over
        the batch of an image's norm, of the negative ELBO and of equation (3), which is twice that;
        Frobenius norm of the gradient of the batch's mean; and the gradients of the decoder's
        first and the encoder's last weight, which the paper says behave alike. Last panel of each
        block: fixed over learned gamma, paired by seed. Lines: mean logarithms over seeds; bands:
        95 % t intervals ({where}).""",
    )


def anneal(results: Results) -> Figure:
    """How fast gamma falls, and what comes of it (ours; claim A10)."""
    made, grid = style.figure(2, 3, 4.4)
    seen = []
    for (left, middle, right), family in zip(grid, ("celeba", "miniature"), strict=True):
        path = _gammas(results, family)
        mmd, error = (scores(results, family, SPEEDS, name) for name in ("mmd", "sse"))
        lost = gamma_rows.lost(results, family, SPEEDS)
        seen.append((mmd, lost))
        setting = shown_setting(family, mmd, lost)
        if setting is None:
            for axes, what in ((left, "gamma"), (middle, "mmd"), (right, "sse")):
                style.not_run(axes, f"{family}_anneal ({what})")
            continue
        progress(left, path, lost, setting, SPEEDS, r"$\gamma$")
        rows(middle, mmd, lost, setting, SPEEDS, MMD, labels=False)
        rows(right, error, lost, setting, SPEEDS, SSE, labels=False)
        left.set_title(str(setting))
    style.legend(made, grid[:, 0], 3)
    where = style.origin(*(pd.concat(part) for part in zip(*seen, strict=True)))
    style.mark(made, where)
    return style.caption(
        made,
        f"""Speed of the anneal (an ablation of ours): gamma over training, MMD and reconstruction
        error of test images (summed over pixels in [0, 1], sampled z), with gamma fixed at its
        final value, set to its optimum in every batch (equation 6), and learned at ten times, once
        and a tenth of the usual rate; {STATISTICS} ({where}). {MMD_NOTE}.""",
    )


def over_regularised(results: Results) -> Figure:
    """A gamma fixed far above its optimum (claim A11)."""
    made, grid = style.figure(2, 3, 3.6)
    seen = []
    for row, family in zip(grid, ("celeba", "miniature"), strict=True):
        error, mmd = (scores(results, family, SIZES, name) for name in ("sse", "mmd"))
        active = scores(results, family, SIZES, "informative_units", threshold=0.5)
        lost = gamma_rows.lost(results, family, SIZES)
        seen.append((error, lost))
        setting = shown_setting(family, error, lost)
        for axes, frame, name in zip(row, (error, active, mmd), (SSE, ACTIVE, MMD), strict=True):
            if setting is None:
                style.not_run(axes, f"{family}_over ({name})")
            else:
                rows(axes, frame, lost, setting, SIZES, name, labels=axes is row[0])
        if setting is not None:
            row[0].set_title(str(setting))
            if family == "miniature":
                true_dims(row[1])
    where = style.origin(*(pd.concat(part) for part in zip(*seen, strict=True)))
    style.mark(made, where)
    return style.caption(
        made,
        f"""Gamma fixed at 1, 10 and 100 times the value it is learned to have, and learned:
        reconstruction error of test images (summed over pixels in [0, 1], sampled z), latent
        dimensions whose posterior variance is below 0.5 on average (dotted: true dimensions of the
        miniature's data), and MMD; {STATISTICS} ({where}). {MMD_NOTE}.""",
    )


def celeba_pictures(results: Results) -> Figure:
    """Reconstructions by the models of CelebA (or faces); no originals."""
    error = scores(results, "celeba", SIZES, "sse", z="mean")
    lost = gamma_rows.lost(results, "celeba", SIZES)
    setting = shown_setting("celeba", error, lost)
    drawn = []
    for name in SIZES:
        label = style.look(name).label
        if setting is None:
            drawn.append(strips.Strip(label, _none(), f"not run: {name}"))
            continue
        mine, gone = (gamma_rows.of(frame, setting, name) for frame in (error, lost))
        pictures = _saved(results, mine)
        mean, low, _ = panels.student(mine["value"].to_numpy()[None])
        number = f"{mean[0]:.4g}" if len(mine) else ""
        number += f"\n± {mean[0] - low[0]:.2g}" if np.isfinite(low[0]) else ""
        drawn.append(
            strips.Strip(label, pictures, number if len(pictures) else _missing(gone) or NOT_RUN)
        )
    made = strips.figure(drawn, f"{setting}, test images" if setting else "Reconstructions")
    where = style.origin(error if setting is None else gamma_rows.of(error, setting), lost)
    style.mark(made, where)
    return style.caption(
        made,
        f"""Test images of {setting or "CelebA"} as reconstructed with gamma learned and fixed at 1,
        10 and 100 times the value it was learned to have: the decoder's mean at the posterior's
        mean, of the first seed. Beside each row: squared error summed over pixels in [0, 1], mean
        over all test images evaluated and over seeds ± half width of the 95 % t interval ({where}).
        Original images of CelebA are not reprinted.""",
    )


def scores(
    results: Results, family: str, names: Sequence[str], metric: str, **at: Any
) -> pd.DataFrame:
    """Final values on test images as figures show them: sums of squares of a sampled z, MMD times
    1000."""
    where: dict[str, Any] = {"z": "sampled", **at} if metric == "sse" else at
    found = gamma_rows.finals(results, family, names, metric, **where)
    scale = gamma_rows.MILLI if metric == "mmd" else 1
    return found.assign(value=found["value"] * scale)


def shown_setting(family: str, *frames: pd.DataFrame) -> Setting | None:
    """The setting that a figure of one setting shows; None where there is none."""
    found = gamma_rows.settings(*frames)
    if family == "miniature":
        found = [s for s in found if s.dataset == MINIATURE] or found
    return found[0] if found else None


def rows(
    axes: Axes,
    frame: pd.DataFrame,
    lost: pd.DataFrame,
    setting: Setting,
    names: Sequence[str],
    label: str,
    *,
    labels: bool = True,
) -> None:
    """One lying row per run, the first on top, and what is missing in its place."""
    axes.set_yticks(range(len(names)), [style.look(n).label for n in names] if labels else [])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.12)
    axes.set_xlabel(label)
    for place, name in enumerate(names):
        values = gamma_rows.of(frame, setting, name)["value"].dropna().to_numpy()
        if len(values):
            panels.rows(axes, [place], values[None], name)
        missing = _missing(gamma_rows.of(lost, setting, name)) or ("" if len(values) else NOT_RUN)
        colour = style.GREY if labels else style.look(name).colour  # else it names the run
        axes.annotate(missing, (0.98, place), xycoords=("axes fraction", "data"), ha="right",
                      va="bottom", xytext=(0, 3), textcoords="offset points", fontsize=6,
                      color=colour)  # fmt: skip


def progress(
    axes: Axes,
    frame: pd.DataFrame,
    lost: pd.DataFrame,
    setting: Setting,
    names: Sequence[str],
    label: str,
    *,
    log: bool = True,
) -> None:
    """One curve over iterations per run that has one."""
    mine = gamma_rows.of(frame, setting)
    if mine.empty:
        style.not_run(axes, _missing(gamma_rows.of(lost, setting)) or label)
        return
    for name in names:
        panels.line(axes, mine[mine["run"] == name], name, log=log)
    _iterations(axes, label, log=log)
    if missing := _missing(gamma_rows.of(lost, setting)):
        axes.set_title(missing, loc="right", fontsize=6, fontweight="normal", color=style.GREY)


def _iterations(axes: Axes, label: str, *, log: bool) -> None:
    """Iterations in thousands along x, `label` along y."""
    axes.set(xlabel="iterations", ylabel=label, yscale="log" if log else "linear")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(lambda n, _: f"{n / 1000:g}k" if n >= 1000 else f"{n:g}")
    if log:
        axes.yaxis.set_minor_formatter(NullFormatter())


def true_dims(axes: Axes) -> None:
    """Where the number of active dimensions would be that of the data."""
    axes.axvline(
        gamma_rows.TRUE_DIMS, color="black", linewidth=0.9, linestyle=(0, (1, 1)), zorder=1
    )


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
        sides = [
            gamma_rows.of(norms[name], setting, run).set_index(["step", "seed"])["value"]
            for run in (FIXED, LEARNED)
        ]
        ratio = (sides[0] / sides[1]).dropna().rename("value").reset_index()
        if len(ratio):
            step, values = panels.by_seed(ratio, "step")
            mean, low, high = panels.student(values, log=True)
            axes.plot(step, mean, color=colour, linewidth=1, label=f"ratio, {NORMS[name]}")
            axes.fill_between(step, low, high, color=colour, alpha=0.12, linewidth=0)
    if not axes.lines:
        style.not_run(axes, f"{family}: fixed / learned")
        return
    axes.axhline(1.0, color="black", linewidth=0.8, zorder=1)
    _iterations(axes, "fixed / learned", log=True)
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
    keys = ["cell", "seed"]
    dims = (total.set_index(keys)["value"] / each.set_index(keys)["value"]).round().rename("dims")
    closed = closed.merge(dims.reset_index(), on=keys)
    closed["value"] = np.exp(2 * closed["value"] / closed["dims"] - 1) / (2 * np.pi)
    return pd.concat([known, closed], ignore_index=True)


def _missing(gone: pd.DataFrame) -> str:
    """``2 runs missing, 1 run diverged``; "" where none are."""
    counts = gone["status"].value_counts().sort_index(key=lambda s: s != MISSING)
    return ", ".join(f"{n} run{'s' * (n != 1)} {status}" for status, n in counts.items())


def _saved(results: Results, frame: pd.DataFrame) -> NDArray[np.uint8]:
    """Pictures of test images [n, C, H, W] of the first run of `frame` that saved some."""
    for cell, seed in frame.sort_values("seed")[["cell", "seed"]].itertuples(index=False):
        saved = results.arrays(STUDY, cell, seed)
        if "pictures_test" in saved:
            return saved["pictures_test"][: strips.PICTURES]
    return _none()


def _none() -> NDArray[np.uint8]:
    return np.empty((0, 1, 1, 1), dtype=np.uint8)
