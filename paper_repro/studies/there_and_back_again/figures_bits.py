"""BAGGINS in three variants and with bounds of 2 to 8 bits a value (ours)."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing import panels, style
from paper_repro.drawing.style import Look
from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again import methods, trained_panels
from paper_repro.studies.there_and_back_again.methods import BAGGINS, LOOKS, VAE

VARIANTS = {
    "A": Look("A, noisy sample", LOOKS[BAGGINS].colour, LOOKS[BAGGINS].dash, LOOKS[BAGGINS].marker),
    "B": Look("B, hard", style.BROWN, "-", "<"),
    "C": Look("C, total", style.PINK, (0, (3, 1)), ">"),
}
OPTIONS = ("likelihood_options.variant", "likelihood_options.bits")
DEFAULTS = ("A", 8.0)  # of a likelihood that names neither: that of E1


def bits(results: Results) -> Figure:
    """Test ELBO of clean data, and gamma, against the bound."""
    elbo = _both(results, "elbo_per_value", "test")
    gamma = _both(results, "gamma", "train")
    lost = methods.lost(results, "bits")
    made, grid = trained_panels.figure(2, 1, 3.6)
    for axes, frame, metric, title, unit in (
        (grid[0, 0], elbo, "elbo_per_value", "test ELBO, clean data", "nats/value"),
        (grid[1, 0], gamma, "gamma", r"likelihood variance $\gamma$", "squared pixels"),
    ):
        if pick(frame, experiment="bits").empty:
            style.not_run(axes, f"bits ({metric})")
            continue
        ends = _against(axes, frame, log=metric == "gamma")
        axes.set(title=title, ylabel=unit)
        trained_panels.name_ends(axes, ends)
        axes.set_xlabel("bound (bits/value)")
    where = trained_panels.sign(made, pd.concat([elbo, gamma]), lost)
    data = " and ".join(map(shown, methods.datasets(pick(elbo, experiment="bits")))) or "not run"
    text = f"""BAGGINS (ours), {data}, by variant and by the information that a batch may tell of
    its examples. Top: ELBO of clean test images under the variance frozen from the training set;
    dotted: the VAE of E1. Bottom: that variance, of pixels in [0, 1]. A at 8 bits is BAGGINS of E1.
    Marks: means over seeds with 95 % t intervals ({where})."""
    return style.caption(made, text)


def _both(results: Results, metric: str, split: str) -> DataFrame:
    """Native rows of the sweep, and those of the VAE and of BAGGINS in E1 on the same data after as
    many steps, with variant and bits as columns."""
    where = {"evaluation": "native"}
    sweep = methods.finals(results, "bits", metric, split, **where)
    first = methods.finals(results, "elbo", metric, split, **where)
    for column in ("dataset", "steps"):
        first = first[first[column].isin(sweep[column])]
    first = first[first["method"].isin([VAE, BAGGINS])]
    found = pd.concat([sweep, first], ignore_index=True)
    for name, default in zip(OPTIONS, DEFAULTS, strict=True):
        values = found[name] if name in found else pd.Series(None, found.index, dtype=object)
        found[name.rpartition(".")[2]] = values.where(values.notna(), default)
    return found.assign(bits=found["bits"].astype(float))


def _against(axes: Axes, frame: DataFrame, *, log: bool) -> list[trained_panels.End]:
    ends = []
    for variant, look in VARIANTS.items():
        mine = pick(frame, method=BAGGINS, variant=variant)
        if len(mine):
            x, values = panels.by_seed(mine, "bits")
            mean = panels.student(values, log)[0]
            panels.bars(axes, x, values, log=log, fmt=look.marker, color=look.colour,
                        linestyle=look.dash, **panels.BARS)  # fmt: skip
            ends.append(trained_panels.End(x[-1], mean[-1], look))
    if log:
        trained_panels.logarithmic(axes, "y")
    axes.set_xticks(sorted(frame["bits"].unique()))
    vae = pick(frame, method=VAE)["value"].dropna()
    if len(vae):
        look = LOOKS[VAE]
        mean = panels.student(vae.to_numpy()[None], log)[0][0]
        axes.axhline(mean, color=look.colour, linewidth=0.9, linestyle=(0, (1, 1)), zorder=1)
        ends.append(trained_panels.End(axes.get_xlim()[1], mean, look))
    return ends
