"""Figures of training on images: Table 1 of Roeder, Wu & Duvenaud (NIPS 2017), drawn.

Reported numbers stand in ``reported.csv``, each with its source; they are drawn in grey beneath
ours, hollow where our training schedule is shorter than theirs. Ours are negative log-likelihoods
of the test set by importance sampling (Burda et al. 2016, equation 8), in nats per image.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray
from pandas import DataFrame, concat

from paper_repro.claims.filters import pick
from paper_repro.drawing import panels, style, ticks
from paper_repro.drawing.labels import METRICS
from paper_repro.drawing.study_rows import reported_numbers
from paper_repro.results.frames import Results

STUDY = "sticking_the_landing"
CELL = ["layers", "objective", "k"]  # rows of Table 1
FULL_SCHEDULE = 8  # stages of 3^i epochs: 3,280 epochs (Burda et al. 2016)
SOURCES = {"burda2016": ("Burda et al. 2016", "D"), "nbip": ("nbip/IWAE on GitHub", "^")}


def table1_differences(results: Results) -> Figure:
    """Forest plot of the paired differences of Table 1."""
    frame = _nll(results, "fixed", ["total", "path"])
    made, row, keys = _forest(frame)
    reported = _reported_differences()
    for axes, dataset in row:
        chosen = pick(frame, dataset=dataset)
        _beneath(axes, pick(reported, dataset=dataset), keys, "others, path - total")
        for place, key in enumerate(keys):
            panels.rows(axes, [place], _differences(chosen, key), "path",
                        label="_" if place else "ours, path - total")  # fmt: skip
        axes.axvline(0.0, color="black", linewidth=0.9, zorder=1)
        axes.set(xlabel="difference of test NLL (nats/image)\n← path better · total better →")
    style.legend(made, [axes for axes, _ in row])
    origin = style.mark(made, frame, results.unfinished(STUDY, "table1"))
    text = f"""Table 1 as paired differences: test NLL of the path derivative minus that of the
    total derivative on common seeds, data order and evaluation noise; marks are means with 95 % t
    intervals, faint dots seeds ({origin}). Left of zero the path derivative is better. Grey:
    differences that follow from reproductions by others (sources in reported.csv), with other
    schedules. The path column of the paper's own table is not known to us."""
    return style.caption(made, text)


def table1_levels(results: Results) -> Figure:
    """Our NLL of each estimator beside the reported ones."""
    offsets = {"total": -0.2, "path": 0.0, "path_code": 0.2}
    frame = _nll(results, "fresh", offsets)
    frame = frame if len(frame) else _nll(results, "fixed", offsets)
    made, row, keys = _forest(frame)
    unlike = False
    for axes, dataset in row:
        comparable = _comparable(pick(frame, dataset=dataset))
        for source, (label, marker) in SOURCES.items():
            known = reported_numbers(
                STUDY, metric="nll", estimator="total", by=source, dataset=dataset
            )
            drawn = _beneath(axes, known, keys, label, marker, hollow=not comparable)
            unlike |= drawn and not comparable
        for estimator, offset in offsets.items():
            _levels(axes, pick(frame, dataset=dataset, estimator=estimator), keys, offset)
        axes.set(xlabel=METRICS["nll"])
    style.legend(made, [axes for axes, _ in row], 3)
    lost = [results.unfinished(STUDY, name) for name in ("table1", "table1_code")]
    origin = style.mark(
        made, frame, concat(lost), "hollow: does not compare with ours" if unlike else ""
    )
    text = f"""Table 1 as levels: test NLL (importance sampling) of the estimators, means with 95 %
    t intervals over seeds ({origin}); for two layers also the variant that the authors released,
    which blocks more than its own derivation asks. Grey marks: reported numbers for the total
    derivative where there are any for the data set; hollow where they do not compare with ours,
    because their training was longer (3,280 epochs) or, for Omniglot, because their file is another
    one (and the numbers are quoted from memory): there only our own marks compare with each
    other."""
    return style.caption(made, text)


def _comparable(frame: DataFrame) -> bool:
    """Whether reported levels compare with ours: MNIST at the full schedule."""
    full = "lr.stages" in frame and bool((frame["lr.stages"] >= FULL_SCHEDULE).all())
    return full and set(frame["dataset"]) == {"mnist"}


def _forest(frame: DataFrame) -> tuple[Figure, list[tuple[Axes, str]], list[dict[str, object]]]:
    """A figure with one panel per data set and one row per cell of Table 1, first on top; returns
    the figure, the panels with their data sets, and the keys of the rows."""
    if frame.empty:
        made, ((axes,),) = style.figure(1, 1, 1.6)
        style.not_run(axes, "table1 (nll)")
        return made, [], []
    datasets = sorted(set(frame["dataset"]))
    found = frame[CELL].drop_duplicates().sort_values(CELL)
    keys = [dict(zip(CELL, values, strict=True)) for values in found.itertuples(index=False)]
    made, (row,) = style.figure(1, len(datasets), 1.5 + 0.2 * len(keys))
    for axes, dataset in zip(row, datasets, strict=True):
        panels.listed(axes, [_name(**key) for key in keys])
        axes.tick_params(axis="y", labelleft=axes is row[0])
        axes.margins(x=0.08)
        axes.set_title(dataset)
    return made, list(zip(row, datasets, strict=True)), keys


def _name(layers: float, objective: str, k: float) -> str:
    bound = "VAE" if objective == "elbo" else "IWAE"
    return f"{layers:g} layer{'s' * (layers > 1)}, {bound} k = {k:g}"


def training_variance(results: Results) -> Figure:
    """Ratio of the encoder gradient's variances during training."""
    frame = results.frame(STUDY, "training_variance", "encoder_gradient_variance", kind="curve")
    datasets = sorted(set(frame["dataset"])) if len(frame) else [""]
    made, (row,) = style.figure(1, len(datasets), 2.6)
    for axes, dataset in zip(row, datasets, strict=True):
        _ratios(axes, pick(frame, dataset=dataset))
        axes.set_title(dataset or None)
    style.legend(made, row)
    origin = style.mark(made, frame, results.unfinished(STUDY, "training_variance"))
    text = f"""Variance of the encoder's gradient with the path derivative over that with the total
    derivative, both measured at the same weights while training goes on; below 1 the path
    derivative is quieter. Lines: mean logarithm over seeds; bands: 95 % t intervals ({origin}). Not
    in the paper: our check of what its estimator does in training."""
    return style.caption(made, text)


def _ratios(axes: Axes, frame: DataFrame) -> None:
    """One line per cell: measured variance of path over total at each step."""
    if frame.empty:
        style.not_run(axes, "training_variance")
        return
    for _, rows in frame.groupby("cell"):
        path, total = (pick(rows, estimator=name) for name in ("path", "total"))
        trained = str(rows["cell_estimator"].iloc[0])
        label = f"trained with {style.look(trained).label}"
        panels.line(axes, panels.ratio(path, total, "step"), trained, label=label)
    axes.axhline(1.0, color="black", linewidth=0.8, zorder=1)
    axes.set(yscale="log", xlabel="training step", ylabel="variance, path / total")
    ticks.plain(axes.yaxis, 1, 2, 5)
    axes.yaxis.set_minor_locator(NullLocator())


def _nll(results: Results, binarisation: str, estimators: Iterable[str]) -> DataFrame:
    """Test NLL rows of the main grid and of the released code's variant."""
    experiments = [results.frame(STUDY, name, "nll", "final") for name in ("table1", "table1_code")]
    frame = pick(concat(experiments), split="test", binarisation=binarisation)
    return frame[frame["estimator"].isin(list(estimators))]


def _levels(axes: Axes, frame: DataFrame, keys: list[dict[str, object]], offset: float) -> None:
    """One estimator's NLL in the rows of `keys` that it has."""
    found = [(i, pick(frame, **key)["value"].to_numpy()) for i, key in enumerate(keys)]
    found = [(place, values) for place, values in found if len(values)]
    for count, (place, values) in enumerate(found):
        panels.rows(axes, [place + offset], values[None], str(frame["estimator"].iloc[0]),
                    label="_" if count else "")  # fmt: skip


def _differences(frame: DataFrame, key: dict[str, object]) -> NDArray[np.float64]:
    """Path minus total on common seeds, shape [1, seeds]."""
    cell = pick(frame, **key)
    table = cell.pivot_table(index="seed", columns="estimator", values="value")
    table = table.reindex(columns=["path", "total"]).dropna()
    return (table["path"] - table["total"]).to_numpy()[None]


def _reported_differences() -> DataFrame:
    """Differences path - total within one reported source; at k = 1 DReG is the path derivative."""
    frame = reported_numbers(STUDY, metric="nll")
    same = (frame["estimator"] == "dreg") & (frame["k"] == 1)
    frame.loc[same, "estimator"] = "path"
    table = frame.pivot_table(index=["by", "dataset", *CELL], columns="estimator", values="value")
    return (table["path"] - table["total"]).dropna().rename("value").reset_index()


def _beneath(
    axes: Axes,
    reported: DataFrame,
    keys: list[dict[str, object]],
    label: str,
    marker: str = "D",
    hollow: bool = True,
) -> bool:
    """Draw reported numbers in grey in the rows of `keys`; False if there are none."""
    found = [(v, i) for i, key in enumerate(keys) for v in pick(reported, **key)["value"]]
    if found:
        values, places = zip(*found, strict=True)
        axes.plot(values, places, marker, color=style.GREY, markersize=4.5,
                  mfc="none" if hollow else style.GREY, label=label, zorder=2)  # fmt: skip
    return bool(found)
