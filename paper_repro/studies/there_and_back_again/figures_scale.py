"""E2: the same training with the data in other units (ours)."""

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
from paper_repro.studies.there_and_back_again.methods import BAGGINS, BOTH, VAE
from paper_repro.studies.there_and_back_again.trained_panels import SMALL

METHODS = {VAE: "VAE, variance learned from 1", BAGGINS: BAGGINS, BOTH: BOTH}
MARKERS = "osD^v"


def scale(results: Results) -> Figure:
    """ELBO per value of the pixels against steps, a panel per method, a line per unit."""
    frame = methods.progress(results, "units", "elbo_per_value", evaluation="native")
    lost = methods.lost(results, "units")
    made, grid = trained_panels.figure(3, 1, 4.4, sharex=True)
    for axes, (name, title) in zip(grid[:, 0], METHODS.items(), strict=True):
        mine = pick(frame, method=name)
        if mine.empty:
            style.not_run(axes, f"units, {name}")
            continue
        _lines(axes, mine)
        axes.set(title=title, ylabel="nats/value")
    if len(frame):
        trained_panels.steps(grid[-1, 0])
    where = trained_panels.sign(made, frame, lost)
    data = " and ".join(map(shown, methods.datasets(frame))) or "not run"
    text = f"""E2 (ours), {data}: native test ELBO per value of the pixels, ELBO + D ln c over D,
    along training on the pixels times c. The networks see standardised data in any unit."""
    return style.caption(made, f"{text} {trained_panels.INTERVALS} ({where}).")


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
    last = [end.y for end in ends]
    apart = f"apart at the end by {max(last) - min(last):.2g}"
    panels.text_at(axes, apart, (0.98, 0.06), xycoords="axes fraction", ha="right", fontsize=SMALL)
    trained_panels.name_ends(axes, ends)


def _shown(unit: float) -> str:
    return "c = " + (f"1/{1 / unit:.0f}" if unit < 0.05 else f"{unit:g}")
