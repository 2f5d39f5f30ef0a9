"""E2 and E4: the ELBO along training with data in other units, and the evidence gap (ours)."""

from __future__ import annotations

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing import panels, style
from paper_repro.drawing.style import Look
from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again import methods, trained_panels
from paper_repro.studies.there_and_back_again.methods import BAGGINS, BOTH, LOOKS, VAE
from paper_repro.studies.there_and_back_again.trained_panels import SMALL

METHODS = {VAE: "VAE, variance learned from 1", BAGGINS: BAGGINS, BOTH: BOTH}
MARKERS = "osD^v"
LINEAR, FAR = 1.0, -10.0  # nats/value: an axis to below FAR is linear within +- LINEAR


def scale(results: Results) -> Figure:
    """ELBO per value of the pixels against steps, a panel per method, a line per unit."""
    frame = methods.progress(results, "units", "elbo_per_value", evaluation="native")
    lost = methods.lost(results, "units")
    made, grid = trained_panels.figure(3, 1, 4.5)
    for axes, (name, title) in zip(grid[:, 0], METHODS.items(), strict=True):
        mine = pick(frame, method=name)
        if mine.empty:
            style.not_run(axes, f"units, {name}")
            continue
        _lines(axes, mine)
        axes.set(title=title, ylabel="nats/value")
        trained_panels.steps(axes, label=axes is grid[-1, 0])
    where = trained_panels.sign(made, frame, lost)
    data = " and ".join(map(shown, methods.datasets(frame))) or "not run"
    text = f"""E2 (ours), {data}: native test ELBO per value of the pixels, ELBO + D ln c over D,
    along training on the pixels times c. The networks see standardised data in any unit. An axis
    that reaches below {FAR:g} is linear within {LINEAR:g} of 0, logarithmic beyond. Written in each
    panel: largest less smallest mean at the end. Lines: means over seeds, bands: 95 % t intervals
    ({where})."""
    return style.caption(made, text)


def _lines(axes: Axes, frame: DataFrame) -> None:
    units = sorted(frame["units"].unique())
    looks = []
    for place, unit in enumerate(units):
        colour = to_hex(colormaps["viridis"](0.8 * place / max(1, len(units) - 1)))
        looks.append((pick(frame, units=unit), Look(_shown(unit), colour, "-", MARKERS[place % 5])))
    ends = trained_panels.lines(axes, looks, log=False)
    for place, one in enumerate(axes.lines):  # those that coincide are seen beneath each other
        below = len(axes.lines) - 1 - place
        one.set(linewidth=1 + 0.8 * below, markersize=3 + 1.2 * below)
    if len(ends) > 1:
        last = [end.y for end in ends]
        apart = f"apart at the end by {max(last) - min(last):.2g}"
        panels.text_at(axes, apart, (0.98, 0.06), xycoords="axes fraction", ha="right",
                       fontsize=SMALL)  # fmt: skip
    low, high = axes.dataLim.intervaly
    if low < -(LINEAR**2):
        trained_panels.symmetric(axes, "y", LINEAR, low, high)
    trained_panels.name_ends(axes, ends)


def _shown(unit: float) -> str:
    return "c = " + (f"1/{1 / unit:.0f}" if unit < 0.05 else f"{unit:g}")


def gap(results: Results) -> Figure:
    """The importance bound less the ELBO against steps, a panel per data set."""
    frame = methods.progress(results, "elbo", "gap", evaluation="native")
    lost = methods.lost(results, "elbo")
    sets = methods.datasets(frame, lost)
    made, grid = trained_panels.figure(max(1, len(sets)), 1, 0.5 + 1.2 * max(1, len(sets)))
    if not sets:
        style.not_run(grid[0, 0], "elbo (gap)")
    for axes, dataset in zip(grid[:, 0], sets, strict=False):
        mine = pick(frame, dataset=dataset)
        if mine.empty:
            style.not_run(axes, f"elbo (gap), {shown(dataset)}")
            continue
        ends = trained_panels.lines(axes, trained_panels.by_method(mine, LOOKS), log=True)
        axes.set(title=shown(dataset), ylabel="nats/image")
        trained_panels.logarithmic(axes, "y")
        trained_panels.steps(axes, label=dataset == sets[-1])
        trained_panels.name_ends(axes, ends)
    where = trained_panels.sign(made, frame, lost)
    samples = sorted(set(frame["importance_samples"])) if len(frame) else []
    draws = " or ".join(f"{int(n):,}" for n in samples) or "no"
    text = f"""E4 (ours): the importance bound on log p(x) of {draws} draws less the ELBO of these
    draws, on test images, under each method's own prior and variance: a lower bound on the evidence
    gap, in nats per image, at marks of training and at its end; {trained_panels.INTERVALS} of the
    logarithm ({where})."""
    return style.caption(made, text)
