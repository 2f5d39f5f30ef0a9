"""Runs of experiment `constraints` by what they are constrained by, for figures and tables.

Rezende and Viola (2018), Table 1, as far as it is known: the names RE, FRE, CLA and PNCC. Formulas
and thresholds are our reading (`objectives.constraints`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from paper_repro.drawing import style
from paper_repro.drawing.study_rows import Setting, of
from paper_repro.drawing.style import Look
from paper_repro.results.frames import Results
from paper_repro.studies.taming_vaes import plane_rows

EXPERIMENT = "constraints"
NAMES = ("RE", "FRE", "CLA", "PNCC")
FORMULAS = {
    "RE": "mean over pixels of (x - g)^2 <= kappa^2",
    "FRE": "mean over features of (f(x) - f(g))^2 <= kappa^2",
    "CLA": "probability of the label for g >= kappa",
    "PNCC": "mean correlation of patches of x and g >= kappa",
}
# What a constraint holds down (RMS errors) or up (probability, correlation): metric, and whether
# its square root is meant. The test of CLA is of accuracy, as in claim taming-C12.
REACHED = {
    "RE": ("mse", True),
    "FRE": ("feature_error", True),
    "CLA": ("class_probability", False),
    "PNCC": ("patch_correlation", False),
}
LOOKS = {
    "RE": Look("RE", style.BLUE, "-", "^"),
    "FRE": Look("FRE", style.AMBER, (0, (4, 1.2)), "s"),
    "CLA": Look("CLA", style.GREEN, (0, (5, 1, 1, 1)), "o"),
    "PNCC": Look("PNCC", style.PINK, (0, (1.2, 1.2)), "P"),
}
SLACK, MARGIN = 1.05, 0.02  # met: within 5 % of an error, 0.02 of a probability or correlation


class Bounds(NamedTuple):
    """The thresholds of a run, in the order of NAMES."""

    entries: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        return " + ".join(f"{name} {kappa:g}" for name, kappa in self.entries)

    @property
    def alone(self) -> str:
        """The constraint's name if there is but one, else ""."""
        return self.entries[0][0] if len(self.entries) == 1 else ""


def bounds(frame: pd.DataFrame) -> pd.Series:
    """What each row's run is constrained by."""
    columns = [_kappa(frame, name) for name in NAMES]
    listed = [
        Bounds(
            tuple(
                (name, float(kappa))
                for name, kappa in zip(NAMES, kappas, strict=True)
                if kappa > 0  # nan: no such constraint
            )
        )
        for kappas in zip(*columns, strict=True)
    ]
    return pd.Series(listed, frame.index, dtype=object)


def _kappa(frame: pd.DataFrame, name: str) -> pd.Series:
    column = "kappa" if name == "RE" else f"constraints.{name}"
    if column not in frame:
        return pd.Series(math.nan, frame.index)
    return pd.to_numeric(frame[column], errors="coerce")


def groups(*frames: pd.DataFrame) -> list[Bounds]:
    """All constraints in rows or lost runs: single ones first, in the order of NAMES."""
    found = {entry for frame in frames if len(frame) for entry in bounds(frame)}
    order = NAMES.index
    return sorted(
        (entry for entry in found if entry.entries),
        key=lambda b: (len(b.entries), [(order(name), kappa) for name, kappa in b.entries]),
    )


def under(frame: pd.DataFrame, wanted: Bounds) -> pd.DataFrame:
    """Rows of the runs constrained by exactly these."""
    if frame.empty:
        return frame
    return frame[[entry == wanted for entry in bounds(frame)]]


def singles(found: list[Bounds]) -> dict[str, Bounds]:
    """One of each constraint alone: where several thresholds were tried, the middle one."""
    listed = {name: [b for b in found if b.alone == name] for name in NAMES}
    return {name: all_[len(all_) // 2] for name, all_ in listed.items() if all_}


def relative_violation(
    results: Results, name: str, wanted: Bounds, setting: Setting
) -> pd.DataFrame:
    """Curves of a constraint's violation over its threshold: 0 is met, -1 the most there can be of
    an error."""
    curves = plane_rows.curves(results, EXPERIMENT, f"violation_{name}")
    mine = under(of(curves, setting), wanted)
    kappa = dict(wanted.entries)[name]
    scale = kappa if name in ("CLA", "PNCC") else kappa**2
    if name == "RE":
        scale *= plane_rows.pixels(results, EXPERIMENT, setting)
    return mine.assign(value=mine["value"] / scale)


def met(name: str, kappa: float, value: float) -> bool:
    """Whether a reached RMS error, probability or correlation meets its threshold."""
    return value >= kappa - MARGIN if name in ("CLA", "PNCC") else value <= SLACK * kappa
