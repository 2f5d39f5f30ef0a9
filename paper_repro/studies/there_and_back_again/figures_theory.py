"""What remains between the ELBO and its limits on toys, as the likelihood's variance falls.

Fyffe, "There and Back Again" (arXiv 1912.10309); toys and figure are ours.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.drawing import panels, style
from paper_repro.drawing.study_rows import StudyRows
from paper_repro.results.frames import Results

STUDY = "there_and_back_again"
SIGMA = r"$\sigma$"
DOTTED = (0, (1, 1.5))
POSTERIORS = {  # of the flow -> label, colour, marker
    "formula": ("V by its formula", style.AMBER, "s"),
    "best": ("best posterior", style.BLUE, "o"),
}


def theory(results: Results) -> Figure:
    """The evidence gap and the penalty on a curve (T4, T5), the flow limit (T11, T14)."""
    frame, lost = StudyRows(results, STUDY).with_lost("evidence", "limits")
    made, (row,) = style.figure(1, 3, 2.7)
    titles = ("Evidence - ELBO", "One variance for all", "Flow - ELBO")
    for axes, title in zip(row, titles, strict=True):
        axes.set_title(title)
    _gap(row[0], frame)
    _penalty(row[1], frame)
    _flow(row[2], frame)
    where = style.mark(made, frame, lost, "limits: exact, one run is all there is")
    text = f"""Left: log evidence less ELBO on a curve in the plane, decoder fixed, mean and
    variance of every point at their best; 150 points a seed. Middle: what one variance for all
    points costs there, measured and by 1/2 (ln E H - E ln H). Right: change of variables less ELBO
    of clean data, two latents for two values, with the posterior covariance (I + J^T J /
    sigma^2)^-1 at the mode and with the best one. Dotted: sigma^2. Marks of the curve are means
    over seeds with 95 % t intervals ({where})."""
    return style.caption(made, text)


def _gap(axes: Axes, frame: DataFrame) -> None:
    mine = pick(frame, metric="evidence_gap")
    if mine.empty:
        style.not_run(axes, "evidence")
        return
    x, values = panels.by_seed(mine, "sigma")
    panels.bars(axes, x, values, log=True, fmt="o", color=style.BLUE, **panels.BARS)
    _square(axes, x, float(panels.student(values, True)[0][0]))
    _decades(axes, "nats per point")


def _penalty(axes: Axes, frame: DataFrame) -> None:
    if pick(frame, metric="penalty").empty:
        style.not_run(axes, "evidence (penalty)")
        return
    for metric, label, colour, marker, side in (
        ("penalty", "measured", style.BLUE, "o", 0.97),
        ("penalty_formula", "formula", style.AMBER, "s", 1.03),
    ):
        x, values = panels.by_seed(pick(frame, metric=metric), "sigma")
        panels.bars(axes, side * x, values, fmt=marker, color=colour, label=label, **panels.BARS)
    axes.set(xscale="log", xlabel=SIGMA, ylabel="nats per point")
    axes.set_ylim(bottom=0, top=1.45 * axes.get_ylim()[1])
    _sigmas(axes)
    axes.legend(loc="upper right")


def _flow(axes: Axes, frame: DataFrame) -> None:
    errors = pick(frame, metric="flow_error")
    if errors.empty:
        style.not_run(axes, "limits")
        return
    for posterior, (label, colour, marker) in POSTERIORS.items():
        x, values = panels.by_seed(pick(errors, posterior=posterior), "sigma")
        axes.plot(x, -values.mean(1), marker, color=colour, label=label)
        if posterior == "best":
            _square(axes, x, float(-values.mean(1)[0]))
    _decades(axes, "nats per point")
    axes.set_ylim(top=10 * float(-errors["value"].min()))
    axes.legend(loc="upper left", borderaxespad=0.2)


def _square(axes: Axes, x: panels.Array, first: float) -> None:
    """A line of slope 2 through the value at the smallest sigma."""
    axes.plot(x, first * (x / x[0]) ** 2, color=style.GREY, linestyle=DOTTED, zorder=1)


def _decades(axes: Axes, ylabel: str) -> None:
    axes.set(xscale="log", yscale="log", xlabel=SIGMA, ylabel=ylabel)
    _sigmas(axes)


def _sigmas(axes: Axes) -> None:
    low, high = axes.get_xlim()
    ticks = [tick for tick in (0.025, 0.05, 0.1, 0.2, 0.5) if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
