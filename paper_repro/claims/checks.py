"""The statistics a check may name, and the region its number must lie in.

A statistic is a function of a `Sample` and a rule that returns a `Finding`; its entries in
`FUNCTIONS` and in `claim_rules.STATISTICS` make it available to every claims.yaml. Verdicts follow
from intervals (or, for exact bounds, from the values) alone: inside the region supports, outside
contradicts, anything else, and any incomplete comparison that could still turn, is inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from paper_repro.claims.selection import Sample
from paper_repro.claims.statistics import (
    ALPHA,
    Interval,
    boundary_p,
    loglog_slope,
    t_interval,
)

SUPPORTED, CONTRADICTED = "supported", "contradicted"
INCONCLUSIVE, NOT_RUN = "inconclusive", "not run"


@dataclass(frozen=True)
class Finding:
    """What a check found; nan where a number does not apply."""

    verdict: str
    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    n: int = 0
    note: str = ""


@dataclass(frozen=True)
class Region:
    """The open interval (low, high) in which a number must lie, or its strict outside."""

    low: float
    high: float
    outside: bool = False

    @staticmethod
    def of(rule: Mapping[str, Any]) -> Region:
        """The region a rule names: below, above, within [low, high] or outside [low, high]."""
        if "below" in rule:
            return Region(-math.inf, rule["below"])
        if "above" in rule:
            return Region(rule["above"], math.inf)
        low, high = rule["outside"] if "outside" in rule else rule["within"]
        return Region(low, high, "outside" in rule)

    def margin(self, values: ArrayLike) -> NDArray[np.float64]:
        """Signed distance to the border, positive inside."""
        x = np.asarray(values, dtype=float)
        # an infinite bound is infinitely far, even from an infinite value
        below, above = (
            np.full_like(x, np.inf) if math.isinf(end) else sign * (x - end)
            for end, sign in ((self.low, 1), (self.high, -1))
        )
        depth = np.minimum(below, above)
        return -depth if self.outside else depth

    def judge(self, found: Interval) -> str:
        """Verdict of an interval: clear of the border, inside or outside, or neither."""
        p = boundary_p(found, self.low, self.high)
        if not p < ALPHA:  # nan, from a single seed, decides nothing
            return INCONCLUSIVE
        return SUPPORTED if self.margin(found.mean) > 0 else CONTRADICTED

    def __str__(self) -> str:
        if math.isinf(self.low):
            return f"< {self.high:g}"
        if math.isinf(self.high):
            return f"> {self.low:g}"
        return f"{'outside' if self.outside else 'within'} [{self.low:g}, {self.high:g}]"


def every(sample: Sample, rule: Mapping[str, Any]) -> Finding:
    """Every single value lies in the region; the estimate is the value nearest to failing."""
    values = sample.rows["value"].to_numpy(float)
    margins = Region.of(rule).margin(values)
    found = Finding(
        INCONCLUSIVE if sample.gaps else SUPPORTED,
        estimate=float(values[margins.argmin()]),
        n=len(values),
        note=f"values {values.min():.3g} to {values.max():.3g}",
    )
    return found if (margins > 0).all() else replace(found, verdict=CONTRADICTED)


def count(sample: Sample, rule: Mapping[str, Any]) -> Finding:
    """At least or at most so many values, of a number fixed beforehand, lie in the region."""
    margins = Region.of(rule).margin(sample.rows["value"])
    return _counted(int((margins > 0).sum()), len(margins), rule, "values in the region")


def significant(sample: Sample, rule: Mapping[str, Any]) -> Finding:
    """At least or at most so many units have an interval that lies wholly in the region."""
    region = Region.of(rule)
    units = {u: i for u, i in _by_unit(sample).items() if i.n >= _seeds(rule)}
    inside = [unit for unit, found in units.items() if region.judge(found) == SUPPORTED]
    found = _counted(len(inside), len(units), rule, "units tested")
    return replace(found, note="; ".join([found.note, *inside])) if inside else found


def mean(sample: Sample, rule: Mapping[str, Any]) -> Finding:
    """Mean over units, then over seeds. Units share their seeds, so they are averaged within
    each seed first; a seed that some unit lacks is left out and named."""
    table = sample.rows.pivot_table("value", "seed", "unit", dropna=False)
    whole = table.dropna()
    notes = [f"seeds {_listed(table.index.difference(whole.index))} not in every unit"]
    return _judged(
        whole.mean(axis=1).to_numpy(float),
        rule,
        sample,
        table.shape[1],
        notes if len(whole) < len(table) else [],
    )


def each(sample: Sample, rule: Mapping[str, Any]) -> Finding:
    """The mean over seeds of every unit lies in the region; the estimate is the worst unit's.

    All must hold, so the largest p value of the units tests the whole (intersection-union test);
    one unit outside is enough to contradict, and its p value is multiplied by the units searched.
    """
    region, units = Region.of(rule), _by_unit(sample)
    worst = min(units, key=lambda unit: float(region.margin(units[unit].mean)))
    p = {unit: boundary_p(found, region.low, region.high) for unit, found in units.items()}
    failed = [p[u] for u, found in units.items() if region.margin(found.mean) <= 0]
    joint = min(1.0, len(p) * min(failed)) if failed else max(p.values())
    found = units[worst]
    finding = Finding(
        SUPPORTED if not failed else CONTRADICTED,
        found.mean,
        found.low,
        found.high,
        joint if min(i.n for i in units.values()) > 1 else math.nan,
        found.n,
        f"worst: {worst}",
    )
    finding = _enough(finding, min(i.n for i in units.values()), rule, sample, len(units))
    return finding if finding.p < ALPHA else replace(finding, verdict=INCONCLUSIVE)


def slope(sample: Sample, rule: Mapping[str, Any]) -> Finding:
    """Exponent of a power law: per seed the least-squares slope of log value on log `rule.x`."""
    slopes = {
        seed: loglog_slope(rows[rule["x"]], rows["value"])
        for seed, rows in sample.rows.groupby("seed")
        if len(set(rows[rule["x"]])) > 1 and (rows["value"] > 0).all()
    }
    finding = _judged(np.array(list(slopes.values())), rule, sample, 1, [])
    if lost := sample.rows["seed"].nunique() - len(slopes):
        return replace(
            finding, verdict=INCONCLUSIVE, p=math.nan, note=f"{lost} seeds without a slope"
        )
    return finding


def minimax(sample: Sample, rule: Mapping[str, Any]) -> Finding:
    """The best that one setting does for all units: per seed the largest value over units at every
    value of `rule.x`, and of these the smallest.

    Of a comparison by ratio it is the ratio of two such numbers: the best single setting's worst
    unit over the worst unit of the partner. A seed that lacks a unit at some setting counts for
    nothing and is named: the worst of fewer units is no worse.
    """
    rows = sample.rows
    paired = "value_other" in rows
    own = rows.pivot_table("value_own" if paired else "value", "seed", ["unit", rule["x"]])
    whole = own.dropna()
    units, settings = (own.columns.get_level_values(i).nunique() for i in (0, 1))
    if own.shape[1] < units * settings:
        return Finding(INCONCLUSIVE, note=f"not every unit has all {settings} settings")
    found = whole.T.groupby(level=1).max().min()
    if paired:
        found = found / rows.groupby("seed")["value_other"].max()[found.index]
    lost = _listed(own.index.difference(whole.index))
    notes = [f"seeds {lost} not in every unit and setting"] if lost else []
    return _judged(found.to_numpy(float), rule, sample, units, notes)


INTERVAL = f"{100 * (1 - ALPHA):g} % t interval over seeds"
FUNCTIONS: dict[str, Callable[[Sample, Mapping[str, Any]], Finding]] = {
    "every": every,
    "count": count,
    "significant": significant,
    "mean": mean,
    "each": each,
    "slope": slope,
    "minimax": minimax,
}


def _judged(
    per_seed: NDArray[np.float64],
    rule: Mapping[str, Any],
    sample: Sample,
    units: int,
    notes: list[str],
) -> Finding:
    """Finding from one number per seed."""
    if not len(per_seed):
        return Finding(INCONCLUSIVE, note="; ".join([*notes, "no complete seed"]))
    region, found = Region.of(rule), t_interval(per_seed)
    p = boundary_p(found, region.low, region.high)
    finding = Finding(
        region.judge(found), found.mean, found.low, found.high, p, found.n, "; ".join(notes)
    )
    return _enough(finding, found.n, rule, sample, units)


def _enough(
    finding: Finding, seeds: int, rule: Mapping[str, Any], sample: Sample, units: int
) -> Finding:
    """Withhold a decision, and its p value, where seeds, units or runs are missing."""
    lacking = []
    if seeds < _seeds(rule):
        lacking.append(f"{seeds} of at least {_seeds(rule)} seeds")
    if units < rule.get("of", 0):
        lacking.append(f"{units} of {rule['of']} units")
    if sample.gaps:
        lacking.append("runs without a value")
    if not lacking:
        return finding
    note = "; ".join(filter(None, [finding.note, *lacking]))
    return replace(finding, verdict=INCONCLUSIVE, p=math.nan, note=note)


def _counted(hits: int, tested: int, rule: Mapping[str, Any], what: str) -> Finding:
    """Decide a count of hits; what is not yet tested might still go either way, and of more than
    were to be tested nothing was said beforehand."""
    of = rule["of"]
    if tested > of:
        note = f"{hits} of {tested} {what}, but the rule is for {of}"
        return Finding(INCONCLUSIVE, estimate=float(hits), n=tested, note=note)
    note = f"{hits} of {tested} {what}" + (f", {of} needed" if tested < of else "")
    possible = hits + max(of - tested, 0)
    if "at_least" in rule:
        won, lost = hits >= rule["at_least"], possible < rule["at_least"]
    else:
        won, lost = possible <= rule["at_most"], hits > rule["at_most"]
    verdict = SUPPORTED if won else CONTRADICTED if lost else INCONCLUSIVE
    return Finding(verdict, estimate=float(hits), n=tested, note=note)


def _by_unit(sample: Sample) -> dict[str, Interval]:
    return {str(unit): t_interval(rows["value"]) for unit, rows in sample.rows.groupby("unit")}


def _seeds(rule: Mapping[str, Any]) -> int:
    return max(2, int(rule.get("seeds", 2)))


def _listed(values: pd.Index) -> str:
    return " ".join(str(v) for v in values)
