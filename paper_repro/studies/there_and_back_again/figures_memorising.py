"""E7: gradients while images are memorised, and what keeps the variance from zero (ours)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing import panels, style
from paper_repro.drawing.study_rows import RUN, StudyRows
from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again import methods, trained_panels
from paper_repro.studies.there_and_back_again.methods import LOOKS, STUDY
from paper_repro.studies.there_and_back_again.trained_panels import SMALL

NORMS = {  # metric -> title, unit
    "grad_decoder": ("gradient, decoder's first weight", "nats/image"),
    "grad_z": ("gradient, z", "nats/image"),
}
BITS = 8.0  # of a bounded likelihood that names none


def memorising(results: Results) -> Figure:
    """Gradient norms and gamma against steps, with and without BAGGINS."""
    parts = {name: _curves(results, name) for name in NORMS}
    gamma = pd.concat([_curves(results, "gamma"), solved(results)], ignore_index=True)
    lost = methods.lost(results, "memorising")
    made, grid = trained_panels.figure(3, 1, 4.7)
    for axes, (name, (title, unit)) in zip(grid[:, 0], NORMS.items(), strict=False):
        _panel(axes, parts[name], f"memorising ({name})", title, unit)
    floor = smallest(results)
    title = r"likelihood variance $\gamma$"
    _panel(grid[-1, 0], gamma, "memorising (gamma)", title, "squared pixels", floor)
    where = trained_panels.sign(made, pd.concat([*parts.values(), gamma]), lost)
    data = " and ".join(map(shown, methods.datasets(gamma))) or "not run"
    text = f"""E7 (ours), {data}: norms of the gradient of the mean loss of the batch, nats per
    image, with respect to the decoder's first weight, and of an image's loss with respect to its z,
    mean over the batch; below, the likelihood's variance, of pixels in [0, 1]. That of BAGGINS
    follows from its distortion. Points are means over the steps since the point before;
    {trained_panels.INTERVALS} of the logarithm ({where})."""
    return style.caption(made, text)


def _panel(
    axes: Axes, frame: DataFrame, what: str, title: str, unit: str, floor: float = math.nan
) -> None:
    """Lines of the methods; with a floor, where it is dotted."""
    if frame.empty:
        style.not_run(axes, what)
        return
    parts = trained_panels.by_method(frame, LOOKS)
    ends = trained_panels.lines(axes, parts, log=True, markers=False)
    if math.isfinite(floor):
        axes.axhline(floor, color=style.GREY, linewidth=0.9, linestyle=(0, (1, 1)), zorder=1)
        where = ("axes fraction", "data")
        panels.text_at(axes, "bound of BAGGINS", (0.02, floor), xytext=(0, 2), xycoords=where,
                       va="bottom", fontsize=SMALL, color=style.GREY)  # fmt: skip
    axes.set(title=title, ylabel=unit)
    trained_panels.logarithmic(axes, "y")
    trained_panels.steps(axes, label=what.endswith("(gamma)"))
    trained_panels.name_ends(axes, ends)


def _curves(results: Results, metric: str) -> DataFrame:
    """Training curves, without what was measured of all images at marks."""
    rows = StudyRows(results, STUDY)
    return methods.named(rows.curves("memorising", metric=metric, evaluation=""))


def solved(results: Results) -> DataFrame:
    """Curves of gamma where every batch solves for it as variant A does: there the distortion of an
    image is D / 2 (ln(2 pi gamma) + 1). The geometric mean of the steps of a point."""
    curves = pick(_curves(results, "distortion"), likelihood="baggins")
    counts = StudyRows(results, STUDY).finals("memorising", metric="decoder_outputs")
    dims = counts[[*RUN, "value"]].rename(columns={"value": "dims"})
    curves = curves.merge(dims, on=RUN)
    curves["value"] = np.exp(2 * curves["value"] / curves["dims"] - 1) / (2 * np.pi)
    return curves


def smallest(results: Results) -> float:
    """The bound on BAGGINS' gamma, s2 / (2^(2 bits) - 1), with the variance s2 of the images from
    what a variance gamma lets them tell, 1/2 log2(1 + s2 / gamma); nan without such runs."""
    gamma, bits = (
        pick(methods.finals(results, "memorising", name, "train", evaluation="native"),
             likelihood="baggins").set_index(RUN)["value"]
        for name in ("gamma", "information")
    )  # fmt: skip
    variance = (gamma * (2 ** (2 * bits) - 1)).dropna()
    return float(variance.mean() / (2 ** (2 * BITS) - 1)) if len(variance) else math.nan
