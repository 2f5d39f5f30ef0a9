"""Figure of what theory fixes exactly: zeros at q = p, and biases in standard errors.

Roeder, Wu & Duvenaud (NIPS 2017): the path derivative is unbiased for the ELBO and zero at the
truth. Tucker et al. (ICLR 2019): for the importance-weighted bound with k > 1 it is biased, and
DReG is not. Dotted lines are the limits of our verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.drawing import panels, style
from paper_repro.drawing.labels import METRICS
from paper_repro.results.frames import Results

STUDY = "sticking_the_landing"
Z_LIMIT = 4.5  # standard errors within which a mean counts as unbiased
TRACE = METRICS["gradient_variance_trace"]
Line = tuple[str, str, NDArray[np.float64]]  # label, estimator, values of the seeds


def exactness(results: Results) -> Figure:
    """Zeros and biases of all estimators."""
    frame = results.frame(STUDY, "exactness", kind="final")
    made, grid = style.figure(2, 2, 4.9)
    zeros, bias, variance, ratio = grid.flat
    _dots(zeros, _zeros(frame), "exactness: path_gradient_max_abs", "largest entry", 1e-18)
    _dots(bias, _biases(frame), "exactness: bias_z", "|z| of the mean (standard errors)", 0.1)
    _dots(variance, _variances(frame), "exactness: variance_at_optimum", TRACE, 1e-34)
    _ratio(ratio, pick(frame, metric="bias_ratio"))
    zeros.set_title("Path gradient at q = p")
    bias.set_title("Bias")
    variance.set_title("Variance at q = p")
    if len(frame):
        zeros.axvline(1e-10, color=style.GREY, linewidth=0.8, linestyle=(0, (1, 1.5)))
        bias.axvline(Z_LIMIT, color=style.GREY, linewidth=0.8, linestyle=(0, (1, 1.5)))
    origin = style.mark(made, frame, results.unfinished(STUDY, "exactness"))
    text = f"""What theory fixes exactly, as measured in float64. Top left: the largest entry of any
    single-sample path gradient where q is the true posterior, for four kinds of posterior. Top
    right: bias in standard errors against the exact gradient (one sample, ELBO), between estimators
    that must agree at k = 1, and against the standard gradient of the importance-weighted bound
    (IWAE), where the path derivative must fail for k > 1. Bottom left: gradient variance at q = p,
    also in the first of two stochastic layers, where the variant of the released code keeps some.
    Bottom right: size of the path derivative's mean relative to the unbiased one near the optimum
    of the toy of Rainforth et al. (2018). Dotted: limits of our verdicts ({origin})."""
    return style.caption(made, text)


def _zeros(frame: DataFrame) -> list[Line]:
    found = pick(frame, metric="path_gradient_max_abs")
    posteriors = {"gaussian": "Gaussian", "mixture": "mixture", "vae_linear": "linear VAE",
                  "flow": "flow"}  # fmt: skip
    return _lines(found, "posterior", [(text, "path", name) for name, text in posteriors.items()])


def _biases(frame: DataFrame) -> list[Line]:
    names = ("total", "path", "exact_entropy", "exact_kl", "control_variate")
    plain = pick(frame, metric="bias_z_max")
    lines = _lines(plain, "estimator", [(style.look(n).label, n, n) for n in names])
    pairs = {"total-path": "total against path", "total-dreg": "total against DReG",
             "path-dreg": "path against DReG"}  # fmt: skip
    agree = pick(frame, metric="agreement_z")
    lines += _lines(agree, "pair", [(text, "score", pair) for pair, text in pairs.items()])
    bound = pick(frame, metric="bias_z", point="wrong")
    for name in ("dreg", "path"):
        found = pick(bound, estimator=name)
        ks = sorted(k for k in set(found["k"]) if k > 1) if len(found) else []
        lines += _lines(
            found, "k", [(f"IWAE {style.look(name).label}, k = {k:g}", name, k) for k in ks]
        )
    return lines


def _variances(frame: DataFrame) -> list[Line]:
    lines: list[Line] = []
    optimum = pick(frame, metric="variance_at_optimum")
    for name in ("total", "path", "dreg"):
        found = pick(optimum, estimator=name)
        label = style.look(name).label
        lines += _lines(found, "k", [(f"{label}, k = {k}", name, k) for k in (1, 8)])
    layer = pick(frame, metric="layer1_variance")
    variants = (("total", "total"), ("code", "path_code"), ("exact", "path"))
    return lines + _lines(
        layer, "variant", [(f"layer 1, {variant}", name, variant) for variant, name in variants]
    )


def _lines(frame: DataFrame, column: str, wanted: Sequence[tuple[str, str, object]]) -> list[Line]:
    """Label, estimator and values for each wanted entry of `column` that has rows."""
    found = [(text, name, pick(frame, **{column: key})) for text, name, key in wanted]
    return [(text, name, rows["value"].to_numpy()) for text, name, rows in found if len(rows)]


def _dots(axes: Axes, lines: list[Line], what: str, label: str, linear_below: float) -> None:
    """One row per line, |value| on an axis that is logarithmic but shows zero."""
    if not lines:
        style.not_run(axes, what)
        return
    for place, (_, name, values) in enumerate(lines):
        look = style.look(name)
        where = np.full(len(values), place)
        axes.plot(np.abs(values), where, look.marker, color=look.colour, clip_on=False, zorder=4)
    panels.listed(axes, [text for text, _, _ in lines])
    axes.set_xscale("symlog", linthresh=linear_below, linscale=0.4)
    top = max(float(np.abs(values).max()) for _, _, values in lines)
    decades = np.arange(np.ceil(np.log10(linear_below)), np.log10(max(top, 1e-9)) + 1)
    shown = decades[:: max(1, len(decades) // 4)][1 if len(decades) > 4 else 0 :]
    axes.set_xticks([0.0, *(10.0**shown)])
    axes.minorticks_off()
    axes.set_xlabel(label)
    axes.set_xlim(-0.3 * linear_below, 4 * 10.0 ** decades[-1])


def _ratio(axes: Axes, frame: DataFrame) -> None:
    """Mean path over mean DReG gradient against k."""
    if frame.empty:
        style.not_run(axes, "exactness (bias_ratio)")
        return
    panels.line(axes, frame, "path", x="k", markers=True)
    axes.axhline(1.0, color=style.look("dreg").colour, linewidth=0.9, linestyle=(0, (4, 1.2)))
    axes.annotate("unbiased (DReG)", (0.98, 1.0), xycoords=("axes fraction", "data"), ha="right",
                  va="bottom", fontsize=6.5, color=style.look("dreg").colour)  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="importance samples k")
    axes.set(ylabel="mean path / mean DReG", title="Bias of path grows with k")
