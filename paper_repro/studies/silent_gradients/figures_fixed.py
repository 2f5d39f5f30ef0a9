"""Figures of E1: one linear decoder of fixed variance, and the ceiling of its training ELBO.

Tipping and Bishop (Probabilistic Principal Component Analysis, JRSS B 1999) give the largest mean
log-likelihood of a linear decoder with Gaussian latents and noise of one fixed variance; no ELBO
of the same images is above it. For other latents it is no bound and only drawn to compare.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pandas import DataFrame, Series, concat

from paper_repro.claims.filters import pick
from paper_repro.drawing import panels, style, ticks
from paper_repro.drawing.study_rows import StudyRows
from paper_repro.results.frames import Results
from paper_repro.studies.silent_gradients import figures_rows, scores
from paper_repro.studies.silent_gradients.figures_rows import (
    SHORT,
    by_method,
    families,
    look,
    main,
    of_cells,
    setting,
    warn,
)
from paper_repro.studies.silent_gradients.scores import FIXED, STUDY, VARIANCE

CEILING = "ceiling"
GAP = 2.0  # percent of the gap that the silent gradient may leave by our claim
ROUNDING = 1e-9  # nats: what an eigenvalue below the variance adds
DASHED, DOTTED = (0, (4, 2)), (0, (1, 1.5))


def fixed_variance_curves(results: Results) -> Figure:
    """ELBO of every method over training: below the ceiling, and on validation images."""
    every = main(scores.tuned(results, FIXED))
    training, validation = (
        of_cells(scores.judged(results, FIXED, split=split), every)
        for split in ("train", "validation")
    )
    ceilings = _ceilings(results, every)
    shown = families(every)
    made, grid = style.figure(2, len(shown), 4.8)
    for family, (upper, lower) in zip(shown, grid.T, strict=True):
        mine = pick(every, family=family)
        upper.set_title(family.capitalize())
        _gaps(upper, mine, training, ceilings)
        _bits(lower, mine, validation, ceilings)
    for axes, text in zip(
        grid[:, 0], ("training ELBO below ceiling\n(nats/image)", "validation, nominal bits/dim"),
        strict=True,
    ):  # fmt: skip
        axes.set_ylabel(text if axes.has_data() else "")
    style.legend(made, grid.flat, 4)
    gone = of_cells(scores.lost(results, FIXED), every)
    where = style.mark(made, concat([training, validation]), gone, setting(every))
    where = "; ".join(filter(None, (where, setting(every))))
    text = f"""First experiment (linear decoder, fixed variance): ELBO by its closed form, whatever
    gradient a method trains with, each at its best learning rate on validation images. Top: how far
    the training ELBO lies below the largest value that a linear decoder with as many Gaussian
    latents can have on these images (probabilistic PCA; dashed in the lower panels). For Gaussian
    latents nothing can pass it; for the others it is no bound. Bottom: ELBO of validation images as
    nominal bits/dim (pixels in [0, 1] counted as if 256 levels had been dequantised). Lines: means
    over seeds, at the top of the logarithm; bands: 95 % t intervals ({where}). Data,
    sizes and rates are our choice; the paper's are not known to us."""
    return style.caption(made, text)


def _ceilings(results: Results, every: DataFrame) -> Series:
    """The ceiling by number of latents, from 0 on, for data and variance of the cells; empty where
    it was not computed. Between the numbers computed it adds what each eigenvalue adds."""
    if every.empty:
        return Series(dtype=float)
    dataset, variance = every[["dataset", VARIANCE]].iloc[0]
    at = {"dataset": dataset, "variance": variance}
    empty = figures_rows.ceiling(results, "ceiling_empty", **at)
    if empty.empty:
        return Series(dtype=float)
    ratios = np.maximum(_spectrum(results, empty) / float(variance), 1.0)
    more = np.append(0.0, (0.5 * (ratios - 1 - np.log(ratios))).cumsum())
    found = Series(float(empty["value"].iloc[0]) + more)
    computed = figures_rows.ceiling(results, "ceiling_elbo", **at).set_index("dim")["value"]
    return computed.combine_first(found).sort_index()


def _spectrum(results: Results, rows: DataFrame) -> NDArray[np.float64]:
    """Largest eigenvalues, falling, of the covariance that the ceiling of `rows` is about; none
    where they were not saved."""
    return StudyRows(results, STUDY).arrays(rows).get("spectrum_evaluated", np.empty(0))


def _gaps(axes: Axes, every: DataFrame, training: DataFrame, ceilings: Series) -> None:
    """Distance of each method to the ceiling over training."""
    above = 0
    for cell, rows in by_method(every, training):
        gaps = rows[rows["step"] > 0].assign(
            value=ceilings.get(cell["dim"], np.nan) - rows["value"]
        )
        above += int((gaps["value"] < 0).sum())
        if gaps["value"].notna().any():
            _curve(axes, gaps, cell["method"], log=True)
    if not axes.has_data():
        style.not_run(axes, f"{FIXED} and {CEILING}")
        return
    if above:
        warn(axes, f"{above} values above it, not drawn")
    axes.set_yscale("log")
    ticks.plain(axes.yaxis, 1, 2, 5)
    _time(axes)


def _bits(axes: Axes, every: DataFrame, validation: DataFrame, ceilings: Series) -> None:
    """Nominal bits per dimension of each method over training."""
    limits = []
    for cell, rows in by_method(every, validation):
        _curve(axes, scores.bits(rows[rows["step"] > 0]), cell["method"], log=False)
        limits.append(rows.iloc[:1].assign(value=ceilings.get(cell["dim"], np.nan)))
    if not limits:
        style.not_run(axes, FIXED)
        return
    level = float(scores.bits(limits[0])["value"].iloc[0])
    if np.isfinite(level):
        axes.axhline(level, color="black", linewidth=0.8, linestyle=DASHED, zorder=1,
                     label="ceiling")  # fmt: skip
    _time(axes)


def _curve(axes: Axes, rows: DataFrame, method: str, *, log: bool) -> None:
    panels.line(axes, rows, look(method), x="progress", log=log, markers=True, label=method)
    axes.lines[-1].set(markersize=2.8)
    if " K=" in method:  # more samples of the same estimator
        axes.lines[-1].set(linewidth=0.8, markerfacecolor="white", markeredgewidth=0.7)


def _time(axes: Axes) -> None:
    axes.set(xscale="log", xlabel="share of training (%)")
    ticks.plain(axes.xaxis, 1, 2, 5)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}")


def ceiling(results: Results) -> Figure:
    """The ceiling against the number of latents, every method's training ELBO, what is left."""
    every = main(scores.tuned(results, FIXED))
    training = of_cells(scores.last(scores.judged(results, FIXED, split="train")), every)
    made, ((left, right),) = style.figure(1, 2, 3.1)
    left.set_title("Training ELBO and its ceiling")
    right.set_title("Gap left at the end")
    ceilings = _ceilings(results, every)
    if ceilings.empty:
        style.not_run(left, CEILING)
    else:
        _under(left, ceilings, every, training)
    _left_over(right, ceilings, pick(every, family="Gaussian"), training)
    style.legend(made, [left], 3)
    gone = concat([of_cells(scores.lost(results, FIXED), every), scores.lost(results, CEILING)])
    where = style.mark(made, training, gone, setting(every))
    where = "; ".join(filter(None, (where, setting(every))))
    text = f"""The ceiling of the first experiment. Left, line: the largest mean log-likelihood of
    the training images under a linear decoder with Gaussian latents and fixed noise variance,
    against the number of latents (probabilistic PCA on the covariance of the same images); dotted:
    further eigenvalues are below the variance, and their latents do not pay. Marks: training ELBO
    (closed form) of each method at the end, mean over seeds; hollow for latents that the line does
    not bound (G: Gaussian, B: Bernoulli, C: categorical). Right: what each method with Gaussian
    latents leaves of the distance from no latents to the ceiling; dotted at {GAP:g} %, where our
    claim draws the line. Faint dots: seeds; marks with bars: means with 95 % t intervals
    ({where})."""
    return style.caption(made, text)


def _under(axes: Axes, ceilings: Series, every: DataFrame, training: DataFrame) -> None:
    """The ceiling from no latents on, and every method at its own number of latents."""
    shown = ceilings[ceilings.index <= 1.05 * every["dim"].max()]
    axes.plot(shown.index, shown.to_numpy(), color="black", linewidth=1, label=CEILING)
    useful = shown.index[shown.diff().fillna(1.0) > ROUNDING].max()
    if useful < shown.index.max():
        axes.axvline(useful, color=style.GREY, linewidth=0.8, linestyle=DOTTED, zorder=1)
    for cell, rows in by_method(every, training):
        drawn, bounded = style.look(look(cell["method"])), cell["family"] == "Gaussian"
        axes.plot(
            [float(cell["dim"])],
            [rows["value"].mean()],
            drawn.marker,
            color=drawn.colour,
            markersize=4.5,
            markerfacecolor=drawn.colour if bounded else "none",
            label=f"{SHORT[cell['family']]}: {cell['method']}",
            zorder=4,
        )
    axes.set(xlabel="latents", ylabel="nats/image")


def _left_over(axes: Axes, ceilings: Series, every: DataFrame, training: DataFrame) -> None:
    """One row per method: (ceiling - ELBO) / (ceiling - no latents), in percent."""
    names: list[str] = []
    above = 0
    for cell, rows in by_method(every, training):
        top, empty = (ceilings.get(dim, np.nan) for dim in (cell["dim"], 0))
        share = 100 * (top - rows["value"].to_numpy(float)) / (top - empty)
        if np.isfinite(share).any():
            panels.rows(axes, [len(names)], share[None], look(cell["method"]))
            names.append(cell["method"])
            above += int((share < 0).sum())
    if not names:
        style.not_run(axes, f"{FIXED} and {CEILING}")
        return
    panels.listed(axes, names, 0.6)
    axes.axvline(GAP, color=style.GREY, linewidth=0.8, linestyle=DOTTED)
    axes.set(xscale="log", xlabel="share of the gap left (%)")
    ticks.plain(axes.xaxis, 1, 2, 5)
    if above:
        warn(axes, f"{above} runs above the ceiling")
