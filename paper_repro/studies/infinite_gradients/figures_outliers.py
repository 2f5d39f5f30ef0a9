"""Outliers and dimensions: Figure 1 of Dai, Wenliang and Wipf (NeurIPS 2021), and what it says.

Figure 1 is a sketch in the paper; here it is drawn from runs. The experiment on Fashion-MNIST and
MNIST stood in a supplement that we have not found: its claim is the paper's, everything else ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from paper_repro.analysis import panels, style
from paper_repro.analysis.filters import matches
from paper_repro.analysis.results import Results
from paper_repro.studies.infinite_gradients import outlier_rows
from paper_repro.studies.infinite_gradients.outlier_rows import (
    ACTIVE,
    LEARNED,
    ONE,
    PCA,
    PLAIN,
    SHOWN,
    STUDY,
    of,
)

Array = NDArray[np.float64]

CURVE = ((PCA, 1), (PCA, 2), (LEARNED, 2), (LEARNED, 5), (ONE, 2))  # columns of Figure 1
TITLES = {
    PCA: "PCA-{}",
    LEARNED: r"$\gamma$ learned, $\kappa$ = {}",
    ONE: r"$\gamma = 1$, $\kappa$ = {}",
    PLAIN: r"autoencoder, $\kappa$ = {}",
}
EVERY = (LEARNED, ONE, PLAIN, PCA)
DENSE = (LEARNED, ONE)  # what has a density and posterior variances
INLIERS, OUTLIERS = style.BLUE, style.RED
DRAWN = 300  # points of each set
PAPER_DIMS, PAPER_COMPONENTS, PAPER_DATA = 15, 100, "mnist"
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
    grid[0, 0].set_ylabel("in the inliers' plane")
    grid[1, 0].set_ylabel("share of points")
    grid[1, len(CURVE) // 2].set_xlabel("squared reconstruction error")
    style.legend(made, grid.reshape(-1), 4)
    where = style.origin(area, gone)
    style.mark(made, where, "three quarters of a circle in R^20" if len(area) else "")
    return style.caption(
        made,
        f"""Figure 1, a sketch in the paper, from runs of ours: inliers on a curve in a plane of
        R^20 and outliers in the same plane, at least 0.2 away from it. Top: test points (faint) and
        their reconstructions (first seed), in the plane of the inliers' first two principal axes.
        Bottom: histograms of the squared reconstruction error over all seeds, each on its own
        vertical scale, errors below 1e-6 in the first bin; AUROC of the error, {STATISTICS}
        ({where}). Two principal components reconstruct everything in the plane and tell nothing
        apart.""",
    )


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
    _against_dims(third, active, DENSE, "active dims")
    _against_dims(last, own, EVERY, "mean error", log=True)
    for run in EVERY:
        _line(last, of(other, run), run, log=True, faint=True)
    style.legend(made, [*top, first, last], 6)
    where = style.origin(area, gone)
    pair = outlier_rows.pair(area)
    style.mark(made, where, pair)
    return style.caption(
        made,
        f"""Outlier screening ({pair or "not run"}). Top: histograms over seeds of the squared
        reconstruction error of test images (z at its posterior mean), each on its own vertical
        scale, each method at the number of dimensions named. Bottom, against the number kappa of
        latent dimensions or components: AUROC of that error and of the negative ELBO; latent
        dimensions whose posterior variance is below {ACTIVE} on average; mean error of inliers
        (faint: of outliers). {STATISTICS.capitalize()} ({where}); PCA draws nothing at random. The
        paper says that unneeded dimensions switch off and that separation does not degrade as kappa
        grows; its numbers and network are not known to us.""",
    )


def informative(results: Results) -> Figure:
    """Informative dimensions of a VAE against principal components."""
    counts = results.finals(STUDY, "informative_dims", "informative_units")
    errors = results.finals(STUDY, "informative_dims", "sse")
    errors = errors[matches(errors, {"z": "mean", "split": "test"})]
    needed = results.finals(STUDY, "informative_pca", "components_needed")
    pca = results.finals(STUDY, "informative_pca", "sse")
    gone = pd.concat([results.unfinished(STUDY, f"informative_{n}") for n in ("dims", "pca")])
    made, ((left, middle, right),) = style.figure(1, 3, 2.3)
    every = [frame for frame in (counts, needed) if len(frame)]
    name = SHOWN.get(every[0]["dataset"].iloc[0], "") if every else ""
    _explained(left, results, needed)
    _errors(middle, pca, errors, counts)
    _counts(right, counts)
    style.legend(made, (left, middle, right), 4)
    where = style.origin(pd.concat([counts, needed]), gone)
    style.mark(made, where, name)
    return style.caption(
        made,
        f"""Dimensions needed ({name or "not run"}). Left: variance that the first k principal
        components explain, with the numbers needed for three fractions. Middle: squared
        reconstruction error of test images left by k components, and that of a VAE with learned
        gamma at its number of active dimensions (posterior variance below {ACTIVE} on average).
        Right: such dimensions at three thresholds. {STATISTICS.capitalize()} ({where}). Dotted:
        the paper's "about 15" dimensions and "about 100" components, said of MNIST alone and
        without a criterion.""",
    )


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
    four[0].set_ylabel("share of images")


def _against_dims(
    axes: Axes, frame: pd.DataFrame, runs: Sequence[str], name: str, log: bool = False
) -> None:
    """A number of every kind of run against its dimensions."""
    present = [run for run in runs if len(of(frame, run))]
    if not present:
        style.not_run(axes, f"screening ({name})")
        return
    for run in present:
        _line(axes, of(frame, run), run, log)
    axes.set_xscale("log", base=2)
    ticks = sorted({int(dim) for dim in frame["dim"].dropna()})
    axes.xaxis.set_major_locator(FixedLocator([t for t in ticks if t in (2, 10, 64)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set(xlabel=r"$\kappa$", title=name)
    axes.title.set_fontsize(7)
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif name == "active dims":
        axes.set_ylim(bottom=0)


def _line(
    axes: Axes, frame: pd.DataFrame, run: str, log: bool = False, faint: bool = False
) -> None:
    """Means against `dim` with intervals, of logarithms if `log`, joined by a line."""
    if frame.empty:
        return
    look = style.look(run)
    at, values = panels.by_seed(frame, "dim")
    mean, low, high = panels.student(values, log)
    arms = np.nan_to_num(np.stack([mean - low, high - mean]), nan=0.0)
    axes.errorbar(at, mean, yerr=arms, color=look.colour, linestyle=look.dash, marker=look.marker,
                  markersize=2.5 if faint else 3.5, alpha=0.45 if faint else 1, capsize=1.5,
                  linewidth=0.9, label=None if faint else look.label, zorder=3)  # fmt: skip


def _explained(axes: Axes, results: Results, needed: pd.DataFrame) -> None:
    """Explained variance against the number of components, with the numbers needed."""
    if needed.empty:
        style.not_run(axes, "informative_pca")
        return
    first = needed.iloc[0]
    spectrum = results.arrays(STUDY, first["cell"], int(first["seed"])).get("spectrum")
    look = style.look(PCA)
    if spectrum is not None:  # its tail is cut
        total = _total(results, spectrum)
        share = spectrum.cumsum() / total
        axes.plot(np.arange(1, len(share) + 1), share, color=look.colour, label=look.label)
    for fraction, count in needed[["explained", "value"]].itertuples(index=False):
        axes.plot([count], [fraction], look.marker, color=look.colour)
        axes.annotate(f"{count:g}", (count, fraction), xytext=(-3, 3), textcoords="offset points",
                      fontsize=6.5, ha="right")  # fmt: skip
    if first["dataset"] == PAPER_DATA:
        axes.axvline(PAPER_COMPONENTS, color=style.GREY, linestyle=":", linewidth=0.9)
    axes.set(xscale="log", xlabel="components", title="explained variance", ylim=(0, 1.08))


def _total(results: Results, spectrum: Array) -> float:
    """Total variance of the training images."""
    rows = results.finals(STUDY, "informative_pca", "total_variance")
    return float(rows["value"].iloc[0]) if len(rows) else float(spectrum.sum())


def _errors(axes: Axes, pca: pd.DataFrame, vae: pd.DataFrame, counts: pd.DataFrame) -> None:
    """Error against the number of components, and the VAE at its number of active dimensions."""
    active = counts[matches(counts, {"threshold": ACTIVE, "split": "test"})]
    if pca.empty and vae.empty:
        style.not_run(axes, "informative_dims, informative_pca (sse)")
        return
    look = style.look(PCA)
    if len(pca):
        line = pca.sort_values("dim")
        axes.plot(line["dim"], line["value"], look.marker, linestyle="-", color=look.colour,
                  markersize=2.5, label=look.label)  # fmt: skip
    both = active.merge(vae, on=["cell", "seed"], suffixes=("_dims", ""))
    if len(both):
        look = style.look(LEARNED)
        (x, a), (y, b) = (_mean_and_arms(both[n]) for n in ("value_dims", "value"))
        axes.errorbar([x], [y], xerr=a, yerr=b, fmt=look.marker, color=look.colour, capsize=2,
                      label=f"VAE, {look.label}", zorder=4)  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="components or active dims", title=SCORE)
    if len(pca):
        axes.set_xlim(0.8, 1.2 * max(pca["dim"].max(), active["value"].max() if len(active) else 0))


def _counts(axes: Axes, counts: pd.DataFrame) -> None:
    """Informative dimensions at the three thresholds."""
    mine = counts[matches(counts, {"split": "test"})]
    if mine.empty:
        style.not_run(axes, "informative_dims")
        return
    thresholds, values = panels.by_seed(mine, "threshold")
    places = np.arange(len(thresholds), dtype=float)
    panels.points(axes, places, values, LEARNED)
    if mine["dataset"].iloc[0] == PAPER_DATA:
        axes.axhline(PAPER_DIMS, color=style.GREY, linestyle=":", linewidth=0.9)
    axes.set_xticks(places, [f"{t:g}" for t in thresholds])
    axes.set(xlabel=r"threshold on $\sigma^2$", title="informative dims", ylim=(0, None))
    axes.set_xlim(-0.5, len(places) - 0.5)


def _mean_and_arms(values: pd.Series) -> tuple[float, Array]:
    """Mean and lengths of the error bar [2, 1], on a logarithmic axis."""
    mean, low, high = (float(end[0]) for end in panels.student(values.to_numpy(float)[None], True))
    return mean, np.nan_to_num(np.array([[mean - low], [high - mean]]), nan=0.0)
