"""Figures of *Sticking the Landing* (Roeder, Wu & Duvenaud, NIPS 2017): the fits, and the index.

`fig1` repeats the paper's Figure 1; `mixture` and `flow` its extensions to richer posteriors;
`control_variate` what lies between the two gradients. Variances at given points are drawn in
`figures_variance`, exact facts in `figures_exact`, training on images in `figures_images`.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame, concat

from paper_repro.claims.filters import pick
from paper_repro.drawing import panels, style
from paper_repro.drawing.draw import Figures
from paper_repro.drawing.labels import METRICS
from paper_repro.results.frames import Results
from paper_repro.studies.sticking_the_landing import (
    figures_exact,
    figures_images,
    figures_variance,
)

STUDY = "sticking_the_landing"
BAND = "Lines: means over seeds of the logarithm; bands: their 95 % t intervals"


def fig1(results: Results) -> Figure:
    """Figure 1 of the paper, with Adam."""
    return _gaussian_fit(results, "adam")


def fig1_sgd(results: Results) -> Figure:
    """The same fit with plain gradient descent: the paper does not name its optimiser."""
    return _gaussian_fit(results, "sgd")


def _gaussian_fit(results: Results, optimizer: str) -> Figure:
    estimators = ["total", "exact_kl", "path", "exact_entropy"]
    frame = pick(results.frame(STUDY, "gaussian_fit", kind="curve"), optimizer=optimizer)
    frame = concat([pick(frame, estimator=name) for name in estimators])
    made, (axes,) = style.figure(1, 2, 2.6)
    _fit_row(axes, frame, estimators, f"gaussian_fit with {optimizer}")
    style.legend(made, axes)
    lost = pick(results.unfinished(STUDY, "gaussian_fit"), optimizer=optimizer)
    origin = style.mark(made, frame, lost, f"optimiser {optimizer}")
    text = f"""Fitting a diagonal Gaussian in {_text(frame, "dim")} dimensions to another Gaussian,
    one sample per step, {optimizer}. Left: exact KL to the truth; right: trace of the covariance of
    the gradient. The exact-entropy gradient equals the total one sample by sample, so their curves
    coincide. {BAND} ({origin}). The paper names neither its optimiser nor its two Gaussians: both
    are our choice."""
    return style.caption(made, text)


def mixture(results: Results) -> Figure:
    """Mixture posterior fitted inside and outside its own family."""
    estimators = ["total", "partial", "path"]
    frame = results.frame(STUDY, "mixture_fit", kind="curve")
    targets = {"same_family": "same family", "banana": "banana"}
    made, grid = style.figure(2, 2, 4.3)
    for axes, (target, title) in zip(grid, targets.items(), strict=True):
        _fit_row(axes, pick(frame, target=target), estimators, f"mixture_fit, {target}", title)
    style.legend(made, grid.flat)
    origin = style.mark(made, frame, results.unfinished(STUDY, "mixture_fit"))
    text = f"""A mixture of Gaussians fitted to a mixture of the same family (top) and to a banana
    outside it (bottom): KL to the target (Monte Carlo estimate; estimates below zero are left out)
    and trace of the gradient covariance. Partial: one component is drawn and only its own score
    removed. Outside the family no estimator reaches zero. {BAND} ({origin}). Targets are our
    choice: the paper's are not known to us."""
    return style.caption(made, text)


def flow(results: Results) -> Figure:
    """Flow posterior fitted to a flow."""
    frame = results.frame(STUDY, "flow_fit", kind="curve")
    made, (axes,) = style.figure(1, 2, 2.6)
    _fit_row(axes, frame, ["total", "path"], "flow_fit")
    style.legend(made, axes)
    origin = style.mark(made, frame, results.unfinished(STUDY, "flow_fit"))
    text = f"""An affine-coupling flow fitted to a flow of the same family: KL to the target (Monte
    Carlo estimate; estimates below zero are left out) and trace of the gradient covariance. {BAND}
    ({origin}). Our extension; the paper has no experiment with flows."""
    return style.caption(made, text)


def _fit_row(
    axes: np.ndarray, frame: DataFrame, estimators: list[str], what: str, title: str = ""
) -> None:
    """The two panels of Figure 1: KL and gradient variance against iteration."""
    where = f", {title}" if title else ""
    drawn = {"kl": "KL to the truth", "gradient_variance_trace": "Gradient variance"}
    for panel, (metric, name) in zip(axes, drawn.items(), strict=True):
        panel.set_title(name + where)
        if panels.curves(panel, pick(frame, metric=metric), estimators, what):
            panel.set(xlabel="iteration", ylabel=METRICS[metric])


def control_variate(results: Results) -> Figure:
    """Final KL against the weight of the score."""
    frame = pick(results.frame(STUDY, "gaussian_fit", "kl_last100"), optimizer="adam")
    weights = [("0\n(total)", pick(frame, estimator="total"), "total")]
    weighted = pick(frame, estimator="control_variate")
    fixed = pick(weighted, score="fixed")
    for c in sorted(set(fixed["c"])) if len(fixed) else []:
        weights.append((f"{c:g}", pick(fixed, c=c), "control_variate"))
    weights.append(("1\n(path)", pick(frame, estimator="path"), "path"))
    for score, text in (("schedule", "schedule\n0 → 1"), ("running", "running\noptimum")):
        weights.append((text, pick(weighted, score=score), "control_variate"))
    made, ((axes,),) = style.figure(1, 1, 2.6)
    if frame.empty:
        style.not_run(axes, "gaussian_fit (kl_last100)")
    else:
        _weights(axes, weights)
    lost = pick(results.unfinished(STUDY, "gaussian_fit"), optimizer="adam")
    origin = style.mark(made, frame, lost)
    text = f"""KL to the truth, mean of the last 100 steps, when the gradient is total + c · score
    (Figure 1's fit, Adam): c = 0 is the total and c = 1 the path derivative; the schedule moves c
    from 0 to 1, the running optimum estimates the best c per parameter on the way. Faint dots are
    seeds, marks their mean logarithm with its 95 % t interval ({origin})."""
    return style.caption(made, text)


def _weights(axes: Axes, weights: list[tuple[str, DataFrame, str]]) -> None:
    """One column per weight of the score; those without rows are marked as such."""
    for place, (_, found, estimator) in enumerate(weights):
        if found.empty:
            axes.text(place, 0.5, "not run", transform=axes.get_xaxis_transform(), rotation=90,
                      ha="center", va="center", color=style.GREY, fontsize=6.5)  # fmt: skip
            continue
        panels.points(axes, [place], found[["value"]].to_numpy().T, estimator, log=True)
    axes.set_yscale("log")
    axes.set_xticks(range(len(weights)), [text for text, _, _ in weights])
    axes.set(xlim=(-0.5, len(weights) - 0.5), xlabel="weight c of the score term")
    axes.set(ylabel=f"final {METRICS['kl']}", title="Between total and path, and beyond")


def _text(frame: DataFrame, column: str) -> str:
    values = sorted(set(frame[column].dropna())) if column in frame else []
    return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values) or "?"


FIGURES: Figures = {
    "fig1": fig1,
    "fig1_sgd": fig1_sgd,
    "poster_surface": figures_variance.poster_surface,
    "variance_path": figures_variance.variance_path,
    "variance_map": figures_variance.variance_map,
    "mixture": mixture,
    "flow": flow,
    "control_variate": control_variate,
    "table1_differences": figures_images.table1_differences,
    "table1_levels": figures_images.table1_levels,
    "training_variance": figures_images.training_variance,
    "snr": figures_variance.snr,
    "exactness": figures_exact.exactness,
}
