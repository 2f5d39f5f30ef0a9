"""The two drawings of docs/verdicts.md, drawn by the rules that they explain.

Run ``python docs/drawings.py`` after a change of `claims/borders.py`, `combine.py` or `family.py`.
Every interval, p value, verdict and its words come from these modules; a number that is drawn is
the number that a claim would get.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from paper_repro.claims import borders, combine, family
from paper_repro.claims.borders import Border
from paper_repro.claims.family import Part
from paper_repro.claims.words import words
from paper_repro.drawing import style

HERE = Path(__file__).parent
LOOKS = {  # colours of the report's badges
    borders.SUPPORTED: ("#00664d", "✓"),
    borders.CONTRADICTED: ("#ab4500", "✗"),
    borders.INCONCLUSIVE: ("#5d6167", "?"),
}
SEEDS = 3
MEANS = "mean of three seeds (ticks) with its 95 % interval"
# Title, the rule as in claims.yaml, and intervals (low, high) to judge by it.
RULES: list[tuple[str, dict[str, Any], list[tuple[float, float]]]] = [
    (
        "a gain of at least 0.5 (superiority with a smallest effect that matters)",
        {"superior": "higher", "margin": 0.5},
        [(0.35, 1.25), (-0.2, 1.4), (0.1, 0.75), (0.08, 0.4), (-0.3, 0.35), (-0.8, -0.15)],
    ),
    (
        "above a stated number, 0.5",
        {"above": 0.5},
        [(0.62, 1.1), (0.2, 0.95), (-0.25, 0.4)],
    ),
    (
        "not worse by more than 0.5 (non-inferiority)",
        {"not_worse": "higher", "margin": 0.5},
        [(-0.35, 0.6), (-0.75, 0.3), (-1.2, -0.6)],
    ),
    (
        "within 0.5 of zero (equivalence: a null that can be shown)",
        {"equivalent": 0.0, "margin": 0.5},
        [(-0.3, 0.4), (-0.35, 0.85), (0.6, 1.2)],
    ),
]


def seeds(low: float, high: float) -> np.ndarray:
    """Three values whose mean has the 95 % t interval from `low` to `high`."""
    half = (high - low) / 2
    spread = half * np.sqrt(SEEDS) / stats.t.ppf(1 - borders.ALPHA / 2, SEEDS - 1)
    return (low + high) / 2 + spread * np.array([-1.0, 0.0, 1.0])


def judged(border: Border, values: np.ndarray) -> borders.Outcome:
    """One value a seed against a border."""
    return borders.t_outcome(values, values, border)


def intervals() -> Figure:
    """Intervals against the border of support and that of refutation, one panel a kind of rule."""
    made = Figure(figsize=(7.6, 6.1), layout="constrained")
    heights = [len(shown) + 0.9 for _, _, shown in RULES]
    panels = made.subplots(len(RULES), 1, sharex=True, height_ratios=heights)
    for axes, (title, rule, shown) in zip(panels, RULES, strict=True):
        _against(axes, title, Border.of(rule), shown)
    panels[-1].set_xlabel("difference, in the unit of the check (nats, log ratio, ...)", x=0.26)
    lines = [
        Line2D([], [], color=LOOKS[borders.SUPPORTED][0], label="border of support"),
        Line2D([], [], color=LOOKS[borders.CONTRADICTED][0], label="border of refutation"),
        Line2D([], [], color=LOOKS[borders.INCONCLUSIVE][0], marker="o", label=MEANS),
    ]
    made.legend(handles=lines, loc="outside upper left", ncols=3, fontsize=8)
    return made


def _against(axes: Axes, title: str, border: Border, shown: list[tuple[float, float]]) -> None:
    axes.set_title(title, fontsize=8.5)
    support = sorted({number for number, _ in border.supports()})
    refute = sorted({number for number, _ in border.refutes()})
    for number in dict.fromkeys([*support, *refute]):
        both = number in support and number in refute
        colour = LOOKS[borders.SUPPORTED if number in support else borders.CONTRADICTED][0]
        axes.axvline(number, color=colour, linewidth=1.2, zorder=1)
        if both:
            other = LOOKS[borders.CONTRADICTED][0]
            axes.axvline(number, color=other, linewidth=1.2, linestyle=(0, (3, 3)), zorder=2)
    for place, (low, high) in enumerate(shown):
        values = seeds(low, high)
        found = judged(border, values)
        verdict = borders.verdict(found)
        colour, symbol = LOOKS[verdict]
        axes.plot([found.low, found.high], [place, place], color=colour, linewidth=2.2, zorder=3)
        axes.plot(values, np.full(SEEDS, place), "|", color=colour, markersize=6, zorder=3)
        axes.plot(found.estimate, place, "o", color=colour, markersize=4.5, zorder=4)
        said = f"{symbol} {verdict}: {words(found, border, verdict)}"
        axes.text(1.62, place, said, color=colour, va="center", fontsize=8)
    axes.set(
        xlim=(-1.4, 3.9), ylim=(len(shown) - 0.4, -0.7), yticks=[], xticks=[-1, -0.5, 0, 0.5, 1]
    )
    axes.grid(False)
    axes.spines[["left", "bottom"]].set_visible(False)


# Drawing 2: differences of one claim's two checks by unit, one number a seed, and the supporting p
# of the study's other findings, one of which has not run.
GAIN = Border.of({"superior": "higher", "margin": 0.5})
SAME = Border.of({"equivalent": 0.0, "margin": 0.5})
NOISE = np.array([-1.1, -0.5, 0.1, 0.4, 1.1])
UNITS = {"MNIST": 0.9 + 0.35 * NOISE, "Omniglot": 1.3 - 0.6 * NOISE, "CIFAR-10": 1.0 + 0.3 * NOISE}
ALIKE = 0.05 + 0.22 * NOISE
OTHERS = {"claim 1": 0.0004, "claim 3": 0.012, "claim 4, not run": 1.0}
MINE = "claim 2"
LEFT = -0.75


def claim() -> Figure:
    """From units to a check, from checks to a claim, from claims to verdicts; complete and with a
    run missing."""
    made = Figure(figsize=(7.6, 4.9), layout="constrained")
    grid = made.subplots(3, 2, sharex="row", height_ratios=[3.4, 1.7, 3.4])
    for column, (title, missing) in zip(
        grid.T, (("all runs are there", ""), ("one run is missing", "CIFAR-10")), strict=True
    ):
        _claim(column, title, missing)
    return made


def _claim(column: Any, title: str, missing: str) -> None:
    """One column: the units of check `gain`, check `error`, and the study's claims."""
    table = pd.DataFrame(
        [
            {"unit": unit, "seed": seed, "value": value}
            for unit, values in UNITS.items()
            for seed, value in enumerate(values)
        ]
    )
    table.loc[(table["unit"] == missing) & (table["seed"] == 1), "value"] = np.nan
    table = table.assign(low=table["value"], high=table["value"])
    gain = combine.all_units(table, GAIN)
    top, middle, bottom = column
    top.set_title(title, fontsize=10)
    top.text(LEFT, -1.1, "check gain, in all data sets: above 0, at least 0.5", fontsize=8)
    for place, (unit, rows) in enumerate(table.groupby("unit", sort=False)):
        _unit(top, place, str(unit), rows, GAIN)
    said = f"p of the check: the largest, {_p(gain.support)}"
    top.text(LEFT, len(UNITS) + 0.3, said, va="center", fontsize=8, weight="bold")
    alike = pd.DataFrame({"unit": "", "seed": range(len(ALIKE)), "low": ALIKE, "high": ALIKE})
    error = combine.mean(alike, SAME)
    middle.text(LEFT, -1.1, "check error, mean: within 0.5 of zero", fontsize=8)
    _unit(middle, 0, "", alike, SAME)
    parts = [
        Part("gain", "finding", support=gain.support, refute=gain.refute),
        Part("error", "finding", support=error.support, refute=error.refute),
    ]
    p, _ = family.claim_p(parts)
    middle.text(LEFT, 1.3, f"p of the claim: the largest, {_p(p)}", va="center", fontsize=8,
                weight="bold")  # fmt: skip
    for axes, rows in ((top, len(UNITS)), (middle, 1)):
        axes.set(xlim=(LEFT, 3.2), ylim=(rows + 0.6, -1.6), yticks=[], xticks=[])
        axes.grid(False)
        axes.spines[["left", "bottom"]].set_visible(False)
    _holm(bottom, {**OTHERS, MINE: p})


def _unit(axes: Axes, place: float, name: str, rows: pd.DataFrame, border: Border) -> None:
    """One unit by itself: seeds, interval, p; with a gap p is 1 and there is no interval."""
    outcome = combine.all_units(rows, border)
    verdict = borders.verdict(outcome)
    colour, _ = LOOKS[verdict]
    for number in {number for number, _ in (*border.supports(), *border.refutes())}:
        axes.plot([number] * 2, [place - 0.5, place + 0.5], color="#c8c8c8", linewidth=1, zorder=1)
        if place == 0:
            axes.text(number, -0.55, f"{number:g}", ha="center", fontsize=7, color="#909090")
    known = rows.dropna()
    axes.plot(known["low"], np.full(len(known), place), "|", color=colour, markersize=6)
    if len(known) == len(rows):
        axes.plot([outcome.low, outcome.high], [place, place], color=colour, linewidth=2.2)
        axes.plot(outcome.estimate, place, "o", color=colour, markersize=4.5)
        said = f"p = {_p(outcome.support)}"
    else:
        said = "a gap: p = 1"
    axes.text(
        2.15, place, ": ".join(filter(None, (name, said))), va="center", fontsize=8, color=colour
    )


def _holm(axes: Axes, p: dict[str, float]) -> None:
    """The study's claims by their p, and what Holm makes of them."""
    m = len(p)
    adjusted = dict(zip(p, family.holm(list(p.values()), m), strict=True))
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(m - 0.2, -1.6))
    axes.text(0, -1.0, f"p by Holm, over the m = {m} findings of the study", fontsize=8)
    for place, name in enumerate(sorted(p, key=lambda name: p[name])):
        verdict = borders.SUPPORTED if adjusted[name] < borders.ALPHA else borders.INCONCLUSIVE
        said = "not run" if "not run" in name else f"{LOOKS[verdict][1]} {verdict}"
        colour = LOOKS[verdict][0]
        weight = "bold" if name == MINE else "normal"
        entries = [(0.0, name.partition(",")[0]), (0.2, f"{_p(p[name])} x {m - place}")]
        entries += [(0.44, f"= {_p(adjusted[name])}"), (0.66, said)]
        for x, text in entries:
            axes.text(x, place, text, va="center", fontsize=8, weight=weight, color=colour)


def _p(value: float) -> str:
    return f"{value:.2g}" if value < 1 else "1"


DRAWINGS = {"verdicts-borders": intervals, "verdicts-claim": claim}


def main(out: Path) -> None:
    """Write the drawings as SVG into a folder; texts are drawn as outlines, so that they look and
    fit alike everywhere, and stand in comments."""
    with style.settings():
        for name, draw in DRAWINGS.items():
            made = draw()
            made.savefig(out / f"{name}.svg", facecolor="white", metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
