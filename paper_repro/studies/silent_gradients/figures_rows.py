"""What the study's figures share: the setting they show, its ceiling, and how a method looks."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.axes import Axes
from pandas import DataFrame, Series

from paper_repro.claims.filters import matches
from paper_repro.data.names import shown
from paper_repro.drawing import style
from paper_repro.results.frames import Results
from paper_repro.studies.silent_gradients import methods, scores
from paper_repro.studies.silent_gradients.scores import STUDY, VARIANCE

SHORT = {"Gaussian": "G", "Bernoulli": "B", "categorical": "C"}


def look(method: str) -> str:
    """The estimator whose look in `style` a method has; with silent it is that of its baseline."""
    base = method.removesuffix(f" + {methods.SILENT}").partition(" K=")[0]
    known = {name: estimator for estimator, name in methods.NAMES.items()}
    return known.get(base, "silent" if base == methods.SILENT_ONLY else base)


def main(every: DataFrame) -> DataFrame:
    """Cells of the setting that most of them have: data set, then variance, then each family's
    number of latents. What else was varied stands in the tables."""
    for column in ("dataset", VARIANCE):
        every = every[every[column] == _commonest(every[column])] if len(every) else every
    sizes = {name: _commonest(found["dim"]) for name, found in every.groupby("family")}
    return every[every["dim"] == every["family"].map(sizes)]


def _commonest(values: Series) -> object:
    counts = values.value_counts(sort=False)  # of equally common ones the first
    return counts.index[int(counts.to_numpy().argmax())]


def by_method(every: DataFrame, rows: DataFrame) -> Iterator[tuple[Series, DataFrame]]:
    """Cells that have rows, in the order of display, with them."""
    for cell in scores.in_order(every):
        if len(found := scores.of(rows, cell)):
            yield cell, found


def ceiling(results: Results, metric: str, **at: object) -> DataFrame:
    """Rows of the ceiling at some data set and coordinates, for the very training images that runs
    are evaluated on, one of each kind: all seeds have the same."""
    rows = results.finals(STUDY, "ceiling", metric)
    return rows[matches(rows, {"images": "evaluated", **at})].drop_duplicates("at")


def families(frame: DataFrame) -> list[str]:
    """Families of latents in the frame, those of the paper where it is empty."""
    found = set(frame["family"])
    return [name for name in methods.FAMILIES.values() if name in found] or [
        "Gaussian",
        "Bernoulli",
    ]


def compared(frame: DataFrame) -> DataFrame:
    """The frame with columns `method`, of each row's own estimator, and `family`."""
    return frame.assign(method=methods.label(frame), family=methods.family(frame))


def setting(every: DataFrame) -> str:
    """``MNIST, variance 0.1``; "" of no cells."""
    if every.empty:
        return ""
    return f"{shown(every['dataset'].iloc[0])}, variance {every[VARIANCE].iloc[0]:g}"


def of_cells(rows: DataFrame, every: DataFrame) -> DataFrame:
    """Rows, or lost runs, of the cells."""
    return rows[matches(rows, {"cell": list(every["cell"])})] if len(every) else rows.iloc[:0]


def warn(axes: Axes, text: str) -> None:
    """State in a panel what must not happen, in red."""
    axes.text(0.98, 0.97, text, transform=axes.transAxes, ha="right", va="top", color=style.RED,
              fontsize=6.5, fontweight="bold")  # fmt: skip
