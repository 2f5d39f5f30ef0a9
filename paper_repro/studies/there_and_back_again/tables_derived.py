"""The numbers that the specification derives, beside ours. None is a number of the paper."""

from __future__ import annotations

from decimal import Decimal
from statistics import stdev

from paper_repro.claims.filters import pick
from paper_repro.drawing.labels import NOT_RUN
from paper_repro.drawing.tables import NONE, Entry, Table, estimate, origin
from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again.derived_numbers import (
    DERIVED,
    DIGITS,
    SAMPLE,
    Derived,
)

STUDY = "there_and_back_again"


def derived(results: Results) -> Table:
    """What is stated, what we measure, by how much they differ in percent, and why."""
    experiments = sorted({entry.experiment for entry in DERIVED})
    frames = {name: results.finals(STUDY, name) for name in experiments}
    rows: list[list[Entry]] = []
    for entry in DERIVED:
        found = pick(frames[entry.experiment], metric=entry.metric, **entry.at)
        values = found["value"].abs() if entry.bound else found["value"]
        rows.append(_row(entry, values.tolist()))
    return Table(
        ["quantity (section of the specification)", "stated", "here", "difference", "why"],
        rows,
        [
            "Stated numbers are those of the specification of this study, derived on toys; none "
            "is the paper's. Means over seeds with 95 % t intervals. Nats, but for 1.3 and the "
            "last five. A bound is held against the largest value of all seeds.",
            origin(*frames.values()),
        ],
    )


def _row(entry: Derived, values: list[float]) -> list[Entry]:
    stated = f"{'< ' if entry.bound else ''}{entry.stated}"
    if not values:
        return [entry.what, stated, NOT_RUN, NOT_RUN, NOT_RUN]
    number = float(entry.stated)
    if entry.bound:
        worst = max(values)
        held = "within the bound" if worst <= number else "beyond the bound"
        return [entry.what, stated, f"{worst:.2g}", NONE, f"{held}; {entry.why}"]
    mean = sum(values) / len(values)
    why = entry.why if entry.why != DIGITS or agrees(entry.stated, mean) else "differs"
    if why == SAMPLE and len(values) > 1:
        why += f", of which one scatters by {100 * stdev(values) / abs(mean):.0f} %"
    return [entry.what, stated, estimate(values), f"{100 * (mean / number - 1):+.1f} %", why]


def agrees(stated: str, ours: float) -> bool:
    """Whether ours rounds to the digits that are stated."""
    exponent = Decimal(stated).as_tuple().exponent
    return abs(ours - float(stated)) <= 0.5 * 10.0 ** int(exponent)
