"""Figure of what theory fixes exactly: closed forms, an unbiased limit, and known variances.

On small models, where sums over all states or quadrature give the truth: the silent gradient
is the limit of the unbiased estimators (error of a mean of R gradients falls as R to the -1/2) and
not of the relaxed ones (Jang et al. and Maddison et al., ICLR 2017), and single-sample variances
have formulas.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.drawing import panels, style
from paper_repro.results.frames import Results
from paper_repro.studies.silent_gradients import methods, scores
from paper_repro.studies.silent_gradients.figures_rows import SHORT, compared, look
from paper_repro.studies.silent_gradients.scores import STUDY

EXACTNESS = "exactness"
CLOSE = 0.05  # a measured variance may be off by so much of its formula
LIMIT = 1e-9  # and a closed form, relatively, from enumeration or quadrature
FLOOR = 1e-17  # smaller errors are drawn here
DOTTED = (0, (1, 1.5))


def exactness(results: Results) -> Figure:
    """Errors against the number of draws, variances against formulas, closed forms against sums."""
    frame = compared(results.finals(STUDY, EXACTNESS))
    made, grid = style.figure(2, 2, 5.0)
    for axes, family in zip(grid[0], ("Gaussian", "Bernoulli"), strict=True):
        axes.set_title(f"{family}: error of a mean")
        _errors(axes, pick(frame, metric="relative_error", family=family), family)
    grid[1, 0].set_title("Variance, measured / formula")
    _ratios(grid[1, 0], pick(frame, metric="variance_ratio"))
    grid[1, 1].set_title("Closed forms")
    _closed_forms(grid[1, 1], pick(frame, metric="closed_form_relative_error"))
    style.legend(made, grid[0], 4)
    where = style.mark(made, frame, scores.lost(results, EXACTNESS))
    text = f"""What holds exactly, on small models (float64, another model per seed). Top: distance
    of a mean of R single-sample gradients from the silent gradient, relative to its length: that of
    an unbiased estimator falls as the inverse root of R (dotted slope), that of a biased one levels
    off at its bias. Lines: mean logarithm over seeds; bands: 95 % t intervals. Bottom left:
    single-sample variance over its formula, summed over the parameters named; the band is
    ±{CLOSE:.0%}, within which they are to agree. Bottom right: largest relative error of every
    closed form of an expected log-likelihood against enumeration or quadrature, one dot per latent
    and seed; dotted: {LIMIT:g}, the limit. G: Gaussian, B: Bernoulli, C: categorical ({where})."""
    return style.caption(made, text)


def _errors(axes: Axes, frame: DataFrame, family: str) -> None:
    """Relative error of means against their number of draws, one line per estimator."""
    if frame.empty:
        style.not_run(axes, f"{EXACTNESS} ({family})")
        return
    found = sorted(set(frame["method"]), key=lambda name: methods.order(family, name))
    for method in found:
        mine = pick(frame, method=method)
        panels.line(axes, mine, look(method), x="draws", markers=True, label=method)
        axes.lines[-1].set_markersize(2.8)
    axes.set(xscale="log", yscale="log", xlabel="draws R", ylabel="error / length")
    first, last = frame["draws"].min(), frame["draws"].max()
    lowest = pick(frame, draws=first)["value"].min()
    panels.guide(axes, -0.5, (first, 0.6 * lowest), last, "R$^{-1/2}$")


def _ratios(axes: Axes, frame: DataFrame) -> None:
    """One row per latent, estimator and parameter that has a formula."""
    if frame.empty:
        style.not_run(axes, f"{EXACTNESS} (variance_ratio)")
        return
    axes.axvspan(1 - CLOSE, 1 + CLOSE, color="#ececec", linewidth=0, zorder=0)
    axes.axvline(1.0, color="black", linewidth=0.8, zorder=1)
    kinds = frame[["family", "method", "parameter"]].drop_duplicates().to_numpy(str).tolist()
    kinds.sort(key=lambda kind: methods.order(kind[0], kind[1]))
    names = []
    for place, (family, method, parameter) in enumerate(kinds):
        rows = pick(frame, family=family, method=method, parameter=parameter)
        panels.rows(axes, [place], rows["value"].to_numpy(float)[None], look(method))
        names.append(f"{SHORT[family]}: {method}, {parameter.replace('_', ' ')}")
    panels.listed(axes, names, 0.6)
    axes.tick_params(axis="y", labelsize=6)
    axes.set_xlabel("ratio")


def _closed_forms(axes: Axes, frame: DataFrame) -> None:
    """Relative error of every formula, one dot per latent and seed."""
    if frame.empty:
        style.not_run(axes, f"{EXACTNESS} (closed_form_relative_error)")
        return
    names = list(dict.fromkeys(frame["formula"]))
    for place, formula in enumerate(names):
        values = np.clip(pick(frame, formula=formula)["value"].to_numpy(float), FLOOR, None)
        axes.plot(values, np.full(len(values), place), "o", color=style.look("silent").colour,
                  markersize=2.5, alpha=0.6, clip_on=False, zorder=4)  # fmt: skip
    panels.listed(axes, names, 0.6)
    axes.tick_params(axis="y", labelsize=6)
    axes.axvline(LIMIT, color=style.GREY, linewidth=0.8, linestyle=DOTTED)
    axes.set(xscale="log", xlabel="relative error")
    axes.set_xlim(FLOOR, max(1e-7, 3 * float(frame["value"].max())))
    axes.xaxis.set_major_locator(LogLocator(numticks=5))
    axes.minorticks_off()
