"""Outliers and dimensions: Figure 1 of Dai, Wenliang and Wipf (NeurIPS 2021), and what it says.

Figure 1 is a sketch in the paper; here it is drawn from runs. The experiment on Fashion-MNIST and
MNIST stood in a supplement that we have not found: its claim is the paper's, everything else ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from paper_repro.claims.filters import matches
from paper_repro.drawing import panels, style
from paper_repro.drawing.labels import METRICS
from paper_repro.results.frames import Results
from paper_repro.studies.infinite_gradients import outlier_rows
from paper_repro.studies.infinite_gradients.outlier_rows import (
    ACTIVE,
    LEARNED,
    LOOKS,
    ONE,
    PCA,
    PLAIN,
    of,
)

Array = NDArray[np.float64]

CURVE = ((PCA, 1), (PCA, 2), (LEARNED, 2), (LEARNED, 5), (ONE, 2))  # columns of Figure 1
EVERY = (LEARNED, ONE, PLAIN, PCA)
TITLES = {
    PCA: "PCA-{}",
    LEARNED: r"$\gamma$ learned, $\kappa$ = {}",
    ONE: r"$\gamma = 1$, $\kappa$ = {}",
    PLAIN: r"autoencoder, $\kappa$ = {}",
}
DENSE = (LEARNED, ONE)  # what has a density and posterior variances
INLIERS, OUTLIERS = style.BLUE, style.RED
DRAWN = 300  # points of each set
SCORE = "squared error"
STATISTICS = "means over seeds with 95 % t intervals"


def figure1(results: Results) -> Figure:
    """Figure 1: outliers in the plane of a curve, by principal components and by VAEs."""
    area, gone = outlier_rows.finals(results, "curve", "auroc"), outlier_rows.lost(results, "curve")
    made, grid = style.figure(2, len(CURVE), 3.0)
    for (top, bottom), (run, dim) in zip(grid.T, CURVE, strict=True):
        rows = of(area, run, dim)
        title = TITLES[run].format(dim)
        saved = outlier_rows.points(results, rows)
        if not saved:
            for axes in (top, bottom):
                style.not_run(axes, title)
            continue
        _in_plane(top, saved)
        _histograms(bottom, outlier_rows.histogram(results, rows), _area(rows))
        bottom.set(xlim=(1e-6, 10), yticks=[])
        bottom.xaxis.set_major_locator(FixedLocator([1e-6, 1e-3, 1]))
        top.set_title(title, fontsize=7)
    if all(axes.has_data() for axes in grid.flat):
        grid[0, 0].set_ylabel("in the inliers' plane")
        grid[1, 0].set_ylabel("share of points")
        grid[1, len(CURVE) // 2].set_xlabel("squared reconstruction error")
    style.legend(made, grid.reshape(-1), 4)
    where = style.mark(made, area, gone, "three quarters of a circle in R^20" if len(area) else "")
    text = f"""Figure 1, a sketch in the paper, from runs of ours: inliers on a curve in a plane of
    R^20 and outliers in the same plane, at least 0.2 away from it. Top: test points (faint) and
    their reconstructions (first seed), in the plane of the inliers' first two principal axes.
    Bottom: histograms of the squared reconstruction error over all seeds, each on its own vertical
    scale, errors below 1e-6 in the first bin; AUROC of the error, {STATISTICS} ({where}). Two
    principal components reconstruct everything in the plane and tell nothing apart."""
    return style.caption(made, text)


def screening(results: Results) -> Figure:
    """Fashion-MNIST inliers, MNIST outliers (digits and manifold at small scale)."""
    area = outlier_rows.finals(results, "screening", "auroc", score="sse")
    active = outlier_rows.finals(results, "screening", "informative_units", threshold=ACTIVE)
    own = outlier_rows.finals(results, "screening", "sse")
    own = own[(own["run"] == PCA) | matches(own, {"z": "mean"})]
    other = outlier_rows.finals(results, "screening", "outlier_sse")
    gone = outlier_rows.lost(results, "screening")
    bound = outlier_rows.finals(results, "screening", "auroc", score="elbo")
    made, (top, (first, second, third, last)) = style.figure(2, 4, 3.7)
    _four_histograms(results, top, area)
    _against_dims(first, area, EVERY, "AUROC, error")
    _against_dims(second, bound, DENSE, r"AUROC, $-$ELBO")
    _against_dims(third, active, DENSE, METRICS["informative_units"])
    _against_dims(last, own, EVERY, "mean error", log=True)
    for run in EVERY:
        _line(last, of(other, run), run, log=True, faint=True)
    style.legend(made, [*top, first, last], 6)
    pair = outlier_rows.pair(area)
    where = style.mark(made, area, gone, pair)
    text = f"""Outlier screening ({pair or "not run"}). Top: histograms over seeds of the squared
    reconstruction error of test images (z at its posterior mean), each on its own vertical scale,
    each method at the number of dimensions named. Bottom, against the number kappa of latent
    dimensions or components: AUROC of that error and of the negative ELBO; latent dimensions whose
    posterior variance is below {ACTIVE} on average; mean error of inliers (faint: of outliers).
    {STATISTICS.capitalize()} ({where}); PCA draws nothing at random. The paper says that unneeded
    dimensions switch off and that separation does not degrade as kappa grows; its numbers and
    network are not known to us."""
    return style.caption(made, text)


def _in_plane(axes: Axes, saved: dict[str, NDArray[np.float32]]) -> None:
    """Points and reconstructions in the plane of the inliers' first two principal axes."""
    centre = saved["points_inliers"].mean(0)
    plane = np.linalg.svd(saved["points_inliers"] - centre, full_matrices=False)[2][:2].T
    for name, colour in (("outliers", OUTLIERS), ("inliers", INLIERS)):
        for kind, alpha, size in (("points", 0.25, 1.2), ("mapped", 0.8, 1.2)):
            x, y = ((saved[f"{kind}_{name}"][:DRAWN] - centre) @ plane).T
            axes.plot(x, y, ".", color=colour if kind == "mapped" else _pale(colour),
                      markersize=size, alpha=alpha if kind == "mapped" else 1,
                      zorder=3 if kind == "mapped" else 1, markeredgewidth=0.5)  # fmt: skip
    edge = 1.15 * np.abs((saved["points_outliers"] - centre) @ plane).max()
    axes.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal", xticks=[], yticks=[])


def _pale(colour: str) -> str:
    """The colour mixed with three parts of white."""
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{(part + 3 * 255) // 4:02x}" for part in parts)


def _histograms(axes: Axes, found: dict[str, Array], text: str) -> None:
    """Shares of both sets per bin of the error, on a logarithmic axis."""
    edges = found["edges"]
    for name, colour in (("inliers", INLIERS), ("outliers", OUTLIERS)):
        axes.stairs(found[name], edges, color=colour, fill=True, alpha=0.35, label=name)
        axes.stairs(found[name], edges, color=colour, linewidth=0.8)
    filled = np.flatnonzero(found["inliers"] + found["outliers"])
    axes.set_xscale("log")
    axes.set_xlim(edges[max(filled[0] - 1, 0)], edges[min(filled[-1] + 2, len(edges) - 1)])
    axes.set_ylim(0, 1.3 * max(found["inliers"].max(), found["outliers"].max()))
    axes.set_title(text, fontsize=6, fontweight="normal", loc="center", pad=2)
    axes.xaxis.set_minor_locator(NullLocator())


def _area(rows: pd.DataFrame) -> str:
    """``AUROC .987 ± .002``, of the error."""
    values = rows[matches(rows, {"score": "sse"})]["value"].to_numpy(float)
    mean, low, _ = (float(end[0]) for end in panels.student(values[None]))
    half = f" ± {mean - low:.3f}" if np.isfinite(low) else ""
    return f"AUROC {mean:.3f}{half}"


def _four_histograms(results: Results, four: Sequence[Axes], area: pd.DataFrame) -> None:
    """Histograms of each kind of run at the dimensions that VAE and autoencoder share, of PCA at
    the most it has up to there."""
    shared = set(outlier_rows.dims(area, LEARNED))
    for other in (ONE, PLAIN):
        shared &= set(outlier_rows.dims(area, other)) or shared
    most = 64 if 64 in shared else max(shared, default=64)
    for axes, run in zip(four, EVERY, strict=True):
        dim = max((d for d in outlier_rows.dims(area, run) if d <= most), default=most)
        rows = of(area, run, dim)
        found = outlier_rows.histogram(results, rows)
        if not found:
            style.not_run(axes, TITLES[run].format(most))
            continue
        _histograms(axes, found, f"{TITLES[run].format(dim)}\n{_area(rows)}")
        axes.set_xlabel(SCORE)
        axes.set_yticks([])
    four[0].set_ylabel("share of images" if four[0].has_data() else "")


def _against_dims(
    axes: Axes, frame: pd.DataFrame, runs: Sequence[str], name: str, log: bool = False
) -> None:
    """A number of every kind of run against its dimensions."""
    present = [run for run in runs if len(of(frame, run))]
    if not present:
        style.not_run(axes, f"outlier screening ({name})")
        return
    for run in present:
        _line(axes, of(frame, run), run, log)
    axes.set_xscale("log", base=2)
    ticks = sorted({int(dim) for dim in frame["dim"].dropna()})
    axes.xaxis.set_major_locator(FixedLocator([t for t in ticks if t in (2, 10, 64)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel=r"$\kappa$", title=name)
    axes.title.set_fontsize(7)
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif name == METRICS["informative_units"]:
        axes.set_ylim(bottom=0)


def _line(
    axes: Axes, frame: pd.DataFrame, run: str, log: bool = False, faint: bool = False
) -> None:
    """Means against `dim` with intervals, of logarithms if `log`, joined by a line."""
    if frame.empty:
        return
    look = LOOKS[run]
    how: dict[str, Any] = (
        {"markersize": 2.5, "alpha": 0.45} if faint else {"markersize": 3.5, "label": look.label}
    )
    panels.bars(axes, *panels.by_seed(frame, "dim"), log=log, color=look.colour, capsize=1.5,
                linestyle=look.dash, marker=look.marker, linewidth=0.9, zorder=3,
                **how)  # fmt: skip
