"""The dimensions that a VAE uses beside the principal components of the same images.

Dai, Wenliang and Wipf (NeurIPS 2021), section 3.3, after Dai et al. (2018), who name about 15 and
about 100 on MNIST.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paper_repro.claims.filters import matches
from paper_repro.data.names import shown
from paper_repro.drawing import panels, style
from paper_repro.drawing.study_rows import StudyRows
from paper_repro.results.frames import Results
from paper_repro.studies.infinite_gradients.figures_outliers import SCORE, STATISTICS
from paper_repro.studies.infinite_gradients.outlier_rows import (
    ACTIVE,
    COMPONENTS,
    DIMS,
    LEARNED,
    LOOKS,
    PCA,
    STUDY,
)

PAPER_DIMS, PAPER_COMPONENTS, PAPER_DATA = 15, 100, "mnist"


def informative(results: Results) -> Figure:
    """Informative dimensions of a VAE against principal components."""
    rows = StudyRows(results, STUDY)
    counts = rows.finals(DIMS, metric="informative_units")
    errors = rows.finals(DIMS, metric="sse", z="mean", split="test")
    needed, pca = (rows.finals(COMPONENTS, metric=m) for m in ("components_needed", "sse"))
    made, ((left, middle, right),) = style.figure(1, 3, 2.3)
    every = [frame for frame in (counts, needed) if len(frame)]
    name = shown(every[0]["dataset"].iloc[0]) if every else ""
    _explained(left, rows, needed)
    _errors(middle, pca, errors, counts)
    _counts(right, counts)
    style.legend(made, (left, middle, right), 4)
    where = style.mark(made, pd.concat([counts, needed]), rows.lost(DIMS, COMPONENTS), name)
    text = f"""Dimensions needed ({name or "not run"}). Left: variance that the first k principal
    components explain, with the numbers needed for three fractions. Middle: squared reconstruction
    error of test images left by k components, and that of a VAE with learned gamma at its number of
    active dimensions (posterior variance below {ACTIVE} on average). Right: such dimensions at
    three thresholds. {STATISTICS.capitalize()} ({where}). Dotted: the paper's "about 15" dimensions
    and "about 100" components, said of MNIST alone and without a criterion."""
    return style.caption(made, text)


def _explained(axes: Axes, rows: StudyRows, needed: pd.DataFrame) -> None:
    """Explained variance against the number of components, with the numbers needed."""
    if needed.empty:
        style.not_run(axes, "informative_pca")
        return
    spectrum, look = rows.arrays(needed).get("spectrum"), LOOKS[PCA]
    if spectrum is not None:  # its tail is cut
        total = rows.finals(COMPONENTS, metric="total_variance")["value"]
        share = spectrum.cumsum() / (total.iloc[0] if len(total) else spectrum.sum())
        axes.plot(np.arange(1, len(share) + 1), share, color=look.colour, label=look.label)
    for fraction, count in needed[["explained", "value"]].itertuples(index=False):
        axes.plot([count], [fraction], look.marker, color=look.colour)
        panels.text_at(axes, f"{count:g}", (count, fraction), xytext=(-3, 3), ha="right")
    if needed["dataset"].iloc[0] == PAPER_DATA:
        axes.axvline(PAPER_COMPONENTS, color=style.GREY, linestyle=":", linewidth=0.9)
    axes.set(xscale="log", xlabel="components", title="explained variance", ylim=(0, 1.08))


def _errors(axes: Axes, pca: pd.DataFrame, vae: pd.DataFrame, counts: pd.DataFrame) -> None:
    """Error against the number of components, and the VAE at its number of active dimensions."""
    active = counts[matches(counts, {"threshold": ACTIVE, "split": "test"})]
    if pca.empty and vae.empty:
        style.not_run(axes, "informative_dims, informative_pca (sse)")
        return
    look = LOOKS[PCA]
    if len(pca):
        line = pca.sort_values("dim")
        axes.plot(line["dim"], line["value"], look.marker, linestyle="-", color=look.colour,
                  markersize=2.5, label=look.label)  # fmt: skip
    both = active.merge(vae, on=["cell", "seed"], suffixes=("_dims", ""))
    if len(both):
        look = LOOKS[LEARNED]
        sides = both[["value_dims", "value"]].to_numpy(float).T
        mean, low, high = panels.student(sides, log=True)
        x, y = panels.arms(mean, low, high).T[..., None]
        axes.errorbar(mean[:1], mean[1:], xerr=x, yerr=y, fmt=look.marker, color=look.colour,
                      capsize=2, label=f"VAE, {look.label}", zorder=4)  # fmt: skip
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
    panels.points(axes, places, values, LOOKS[LEARNED])
    if mine["dataset"].iloc[0] == PAPER_DATA:
        axes.axhline(PAPER_DIMS, color=style.GREY, linestyle=":", linewidth=0.9)
    axes.set_xticks(places, [f"{t:g}" for t in thresholds])
    axes.set(xlabel=r"threshold on $\sigma^2$", title="informative dims", ylim=(0, None))
    axes.set_xlim(-0.5, len(places) - 0.5)
