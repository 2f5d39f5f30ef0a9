"""Figure of E2: what the silent gradient of a guiding linear decoder adds to each estimator.

Each mark is a paired difference over seeds of test bits/dim (E and the nonlinear decoder alone,
hard samples), with silent minus without: "consistently improves" (Shao, Liu and Van den Broeck,
2025) would be nine cells with every mark left of zero.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing import panels, style
from paper_repro.drawing.labels import NOT_RUN
from paper_repro.results.frames import Results
from paper_repro.studies.silent_gradients import methods, scores
from paper_repro.studies.silent_gradients.figures_rows import look, of_cells
from paper_repro.studies.silent_gradients.scores import LEARNED

MARKS = {"5 %": 0.05, "20 %": 0.2, "50 %": 0.5, "end": 1.0}
BEST = "best"
LINEAR = 0.01  # bits/dim: the axis is linear within, logarithmic beyond
DATASETS = ("mnist", "tiny_imagenet32", "cifar10")


def learned_variance(results: Results) -> Figure:
    """Paired differences of test bits/dim per data set, estimator and moment."""
    every = scores.tuned(results, LEARNED)
    test, validation = (
        scores.judged(results, LEARNED, split=split) for split in ("test", "validation")
    )
    test = of_cells(test, every)
    known = set(every["dataset"])
    datasets = [name for name in DATASETS if name in known] + sorted(known - set(DATASETS))
    made, (row,) = style.figure(1, max(1, len(datasets)), 4.1 if datasets else 1.8)
    gone = of_cells(scores.lost(results, LEARNED), every)
    for axes, dataset in zip(row, datasets or [""], strict=True):
        mine = [pick(rows, dataset=dataset) for rows in (test, validation)]
        _panel(axes, dataset, mine[0], mine[1], gone)
        axes.tick_params(axis="y", labelleft=axes is row[0])
    where = style.mark(made, test, gone)
    text = f"""Second experiment (nonlinear decoder with learned variance): test bits/dim with the
    silent gradient of a linear guide, annealed away early, minus those of the same estimator
    without it, paired over seeds, each method at its best learning rate on validation images; left
    of zero the silent gradient helps. Rows: moments of training, and the step at which each run's
    validation score was best. Faint dots: seeds; marks with bars: means with 95 % t intervals. The
    axis is linear up to ±{LINEAR:g} (grey band) and logarithmic beyond. Each of the paper's data
    sets and estimators is a verdict of its own. Tiny-ImageNet at 32x32 is not the paper's ImageNet,
    and digits and patches only stand in at small scale ({where})."""
    return style.caption(made, text)


def _panel(
    axes: Axes, dataset: str, test: DataFrame, validation: DataFrame, gone: DataFrame
) -> None:
    """Rows of one data set: three estimators, five moments each."""
    axes.set_title(shown(dataset))
    if test.empty:
        style.not_run(axes, LEARNED)
        return
    axes.axvspan(-LINEAR, LINEAR, color="#ececec", linewidth=0, zorder=0)
    axes.axvline(0.0, color="black", linewidth=0.9, zorder=1)
    ticks: list[tuple[float, str]] = []
    largest = LINEAR
    for block, (family, name, helped) in enumerate(methods.PAIRS):
        top = block * (len(MARKS) + 2.2)
        mine, with_silent = (pick(test, family=family, method=m) for m in (name, helped))
        axes.text(0.01, top, name, fontsize=6.5, fontweight="bold", va="center",
                  transform=axes.get_yaxis_transform(), color=style.look(look(name)).colour,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})  # fmt: skip
        missing = pick(gone, dataset=dataset, family=family)
        missing = missing[missing["method"].isin([name, helped])]
        if len(missing):
            text = style.lost_text(missing)
            axes.text(0.99, top, text, fontsize=5.5, va="center", ha="right", color=style.RED,
                      transform=axes.get_yaxis_transform())  # fmt: skip
        for place, moment in enumerate([*MARKS, BEST], 1):
            ticks.append((top + place, moment))
            values = _differences(moment, with_silent, mine, validation)
            if not len(values):
                why = "not measured" if len(mine) and len(with_silent) else NOT_RUN
                axes.text(0.97, top + place, why, fontsize=5.5, color=style.GREY, ha="right",
                          va="center", transform=axes.get_yaxis_transform())  # fmt: skip
                continue
            panels.rows(axes, [top + place], values[None], look(name))
            largest = max(largest, float(np.nanmax(np.abs(panels.student(values[None])))))
    axes.set_yticks([at for at, _ in ticks], [text for _, text in ticks])
    axes.set_ylim(max(at for at, _ in ticks) + 0.7, -0.8)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    _scale(axes, largest)


def _differences(
    moment: str, rows: DataFrame, other: DataFrame, validation: DataFrame
) -> np.ndarray:
    """With silent minus without, a finite value per seed [seeds]."""
    if moment == BEST:
        rows, other = (scores.at_best(side, validation) for side in (rows, other))
    else:
        rows, other = (scores.at_mark(side, MARKS[moment]) for side in (rows, other))
    if rows.empty or other.empty:
        return np.empty(0)
    values = scores.paired(rows, other).to_numpy(float)
    return values[np.isfinite(values)]


def _scale(axes: Axes, largest: float) -> None:
    """The same to both sides of zero, linear near it."""
    axes.set_xscale("symlog", linthresh=LINEAR, linscale=0.6)
    edge = 1.6 * largest
    powers = [p for p in (0.01, 0.1, 1.0, 10.0, 100.0) if p < edge]
    axes.set_xlim(-edge, edge)
    axes.xaxis.set_major_locator(FixedLocator([*(-p for p in reversed(powers)), 0.0, *powers]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("0.", "."))
    axes.set_xlabel("difference (bits/dim)\n← silent better · worse →")
