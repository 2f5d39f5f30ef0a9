"""Whether a run had arrived at its end: training that has not decides nothing.

A multiplier that still rises, or a loss that still falls, says where a run is and not where it
ends. The rule is asked of each run's own curve.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from paper_repro.claims import planned
from paper_repro.claims.check import Check
from paper_repro.claims.selection import values
from paper_repro.claims.whole_curves import whole
from paper_repro.results.frames import Results

FEWEST = 2  # points that a line is fitted to
PLACES = ("experiment", "progress", "step", "kind", "metric", "split", "z", "side")


def open_runs(results: Results, check: Check, runs: set[str]) -> tuple[list[str], list[str]]:
    """Of `runs` (cell:seed) that a check's `settled` is asked of, those that have not settled, and
    those of which it is not known because points of their curve are missing."""
    rule = dict(check.settled or {})
    side = rule.get("of", "select")
    moved, unknown = list[str](), list[str]()
    for filters in [check.select] * (side != "versus") + [check.other] * (side != "select"):
        change = _changes(results, check, filters, rule)
        planned_cells = set(planned.cells(results, check, filters)["cell"])
        mine = {run for run in runs if run.rpartition(":")[0] in planned_cells}
        for run in sorted(mine):
            if run not in change or np.isnan(change[run]):
                unknown.append(run)
            elif change[run] > rule["within"]:
                moved.append(f"{run} ({100 * change[run]:.2g} %)")
    return moved, unknown


def _changes(
    results: Results, check: Check, filters: Mapping[str, Any], rule: Mapping[str, Any]
) -> dict[str, float]:
    """Per run the relative change of the metric along its last stretch, from end to end of the line
    that fits it best."""
    kept = {name: want for name, want in filters.items() if name not in PLACES}
    asked = {**kept, **rule.get("select", {}), "metric": rule["metric"], "kind": "curve"}
    asked["experiment"] = filters["experiment"]
    curve = values(results, check.but(span="", units=(), tuned=None), asked)
    curve = curve[whole(results, check.study, curve)]
    found = {}
    for (cell, seed), rows in curve.groupby(["cell", "seed"]):
        progress, value = (rows[name].to_numpy(float) for name in ("progress", "value"))
        last = progress > 1 - rule["last"]
        if last.sum() < FEWEST:  # too few points to see a change
            found[f"{cell}:{seed}"] = np.nan
            continue
        slope, start = np.polyfit(progress[last] - (1 - rule["last"]), value[last], 1)
        found[f"{cell}:{seed}"] = abs(slope * rule["last"] / start) if start else np.nan
    return found
