"""Panels of the runs that differ in gamma: their numbers in rows, their curves, and their ratio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from paper_repro.drawing import panels, style, ticks
from paper_repro.drawing.labels import METRICS, NOT_RUN
from paper_repro.drawing.study_rows import Setting
from paper_repro.results.frames import Results
from paper_repro.studies.infinite_gradients import gamma_rows
from paper_repro.studies.infinite_gradients.gamma_rows import LOOKS

MINIATURE = "tanh_manifold"  # of the three noise levels the one shown beside CelebA
SSE, MMD, ACTIVE = (METRICS[name] for name in ("sse", "mmd", "informative_units"))
STATISTICS = "means over seeds, 95 % t intervals, faint dots seeds"


class Family(NamedTuple):
    """Runs of a family: by metric their numbers or curves, those lost, and the setting that a
    figure of one setting shows, None where there is none."""

    name: str
    found: dict[str, pd.DataFrame]
    lost: pd.DataFrame
    setting: Setting | None


def families(results: Results, names: Sequence[str], metrics: Sequence[str]) -> list[Family]:
    """Final values of the runs `names` on CelebA (or faces), then on the miniature."""
    listed = []
    for family in ("celeba", "miniature"):
        found = {metric: scores(results, family, names, metric) for metric in metrics}
        lost = gamma_rows.lost(results, family, names)
        listed.append(Family(family, found, lost, shown_setting(family, found[metrics[0]], lost)))
    return listed


def mark(made: Figure, shown: Sequence[Family], metric: str) -> str:
    """The footer of a figure by its numbers of one metric (`style.mark`)."""
    frames = [one.found[metric] for one in shown]
    return style.mark(made, pd.concat(frames), pd.concat([one.lost for one in shown]))


def scores(
    results: Results, family: str, names: Sequence[str], metric: str, z: str = "sampled"
) -> pd.DataFrame:
    """Final values on test images as figures show them: sums of squares at `z`, MMD times 1000,
    dimensions whose posterior variance is below 0.5."""
    where: dict[str, dict[str, Any]] = {"sse": {"z": z}, "informative_units": {"threshold": 0.5}}
    found = gamma_rows.finals(results, family, names, metric, **where.get(metric, {}))
    return found.assign(value=found["value"] * (gamma_rows.MILLI if metric == "mmd" else 1))


def shown_setting(family: str, *frames: pd.DataFrame) -> Setting | None:
    """The setting that a figure of one setting shows; None where there is none."""
    found = gamma_rows.settings(*frames)
    if family == "miniature":
        found = [s for s in found if s.dataset == MINIATURE] or found
    return found[0] if found else None


def rows(
    axes: Axes,
    frame: pd.DataFrame,
    lost: pd.DataFrame,
    setting: Setting,
    names: Sequence[str],
    label: str,
    *,
    labels: bool = True,
) -> None:
    """One horizontal row per run, the first on top, and what is missing in its place."""
    panels.listed(axes, [LOOKS[name].label if labels else "" for name in names])
    axes.margins(x=0.12)
    axes.set_xlabel(label)
    for place, name in enumerate(names):
        values = gamma_rows.of(frame, setting, name)["value"].dropna().to_numpy()
        if len(values):
            panels.rows(axes, [place], values[None], LOOKS[name])
        missing = style.lost_text(gamma_rows.of(lost, setting, name))
        colour = style.GREY if labels else LOOKS[name].colour  # else it names the run
        panels.text_at(axes, missing or ("" if len(values) else NOT_RUN), (0.98, place),
                       xycoords=("axes fraction", "data"), xytext=(0, 3), ha="right", va="bottom",
                       fontsize=6, color=colour)  # fmt: skip


def progress(
    axes: Axes,
    frame: pd.DataFrame,
    lost: pd.DataFrame,
    setting: Setting,
    names: Sequence[str],
    label: str,
    *,
    log: bool = True,
) -> None:
    """One curve over iterations per run that has one."""
    mine, missing = gamma_rows.of(frame, setting), style.lost_text(gamma_rows.of(lost, setting))
    if mine.empty:
        style.not_run(axes, missing or label)
        return
    for name in names:
        panels.line(axes, mine[mine["run"] == name], LOOKS[name], log=log)
    iterations(axes, label, log=log)
    if missing:
        axes.set_title(missing, loc="right", fontsize=6, fontweight="normal", color=style.GREY)


def iterations(axes: Axes, label: str, *, log: bool) -> None:
    """Iterations in thousands along x, `label` along y."""
    axes.set(xlabel="iterations", ylabel=label, yscale="log" if log else "linear")
    axes.set_xlim(left=0)
    ticks.iterations(axes.xaxis)
    if log:
        axes.yaxis.set_minor_formatter(NullFormatter())


def true_dims(axes: Axes) -> None:
    """Where the number of active dimensions would be that of the data."""
    dims = gamma_rows.TRUE_DIMS
    axes.axvline(dims, color="black", linewidth=0.9, linestyle=(0, (1, 1)), zorder=1)
