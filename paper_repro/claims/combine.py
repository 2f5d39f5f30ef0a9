"""One outcome of several units (data sets, k, thresholds), and of counted seeds.

Each function takes the planned table of a check: columns `unit`, `seed`, `low` and `high`, one row
for every planned unit and seed, the bounds being equal where there is one value and nan where it is
missing (a gap). Nothing missing turns a verdict: a gap gives its unit p = 1 both ways, and counts
once as a failure and once as a success where seeds are counted.

`mean` averages the units within each seed. The others test partial conjunctions, "in at least u of
n units" (Benjamini & Heller 2008, "Screening for partial conjunction hypotheses"): n - u + 1 times
the u-th smallest p, whatever the dependence between units. Of all units that is the largest p
(an intersection-union test, Berger 1982, which needs no correction); the claim is refuted where
n - u + 1 units are: u times the (n - u + 1)-th smallest p of those.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from paper_repro.claims.borders import (
    ALPHA,
    CONTRADICTED,
    Array,
    Border,
    Outcome,
    sign_outcome,
    t_outcome,
    verdict,
)

TESTS = {"t": t_outcome, "sign": sign_outcome}
KEYS = ("seed", "unit")
SHOWN = 4  # gaps that a note names before it only counts them


def mean(
    table: pd.DataFrame,
    border: Border,
    of: int | None = None,
    alpha: float = ALPHA,
    margins: float = 1.0,
    test: str = "t",
) -> Outcome:
    """The mean over units, which share their seeds: averaged within each seed, then tested.

    `of`: how many units there must be. A gap anywhere leaves it undecided; the estimate is then
    that of the seeds without one. ValueError where a unit has a seed twice, here and below.
    """
    _checked(table)
    if table.empty:
        return _withheld(_nothing(), table, "no seed")
    low, high = (_by_seed(table, column) for column in ("low", "high"))
    whole = ~(np.isnan(low) | np.isnan(high)).any(axis=1)
    with np.errstate(invalid="ignore"):  # of inf and -inf nothing is known
        x, y = (side[whole].mean(axis=1) for side in (low, high))
    x, y = np.where(np.isnan(x), -np.inf, x), np.where(np.isnan(y), np.inf, y)
    found = TESTS[test](x, y, border, alpha, margins)
    return _withheld(found, table, _miscounted(low.shape[1], of), bool(whole.all()))


def _by_seed(table: pd.DataFrame, column: str) -> Array:
    """A column as an array [seeds, units], both sorted, NaN where a pair is not there."""
    keys = (np.unique(table[name].to_numpy(object), return_inverse=True) for name in KEYS)
    (seeds, row), (units, place) = keys
    found = np.full((len(seeds), len(units)), np.nan)
    found[row, place] = table[column].to_numpy(float)
    return found


def all_units(
    table: pd.DataFrame,
    border: Border,
    of: int | None = None,
    alpha: float = ALPHA,
    margins: float = 1.0,
    test: str = "t",
) -> Outcome:
    """In every unit: supported by the largest p, refuted by the smallest times their number."""
    return at_least(table, border, table["unit"].nunique(), of, alpha, margins, test)


def at_least(
    table: pd.DataFrame,
    border: Border,
    u: int,
    of: int | None = None,
    alpha: float = ALPHA,
    margins: float = 1.0,
    test: str = "t",
) -> Outcome:
    """In at least `u` of the planned units, each tested by itself.

    Estimate, interval and n are those of the unit whose p decides. Fewer than `u` units, or not
    `of` of them, decide nothing.
    """
    _checked(table)
    units = {
        str(unit): _one(rows, border, alpha, margins, test)
        for unit, rows in table.groupby("unit", sort=True)
    }
    names, n = list(units), len(units)
    wrong = _miscounted(n, of) or (f"{n} of at least {u} units" if n < u else "")
    if not n or wrong:
        return _withheld(_nothing(), table, wrong or "no unit")
    support, refute = (
        np.array([getattr(units[k], p) for k in names]) for p in ("support", "refute")
    )
    p, q = (float(conjunction(support, u)), float(conjunction(refute, n - u + 1)))
    if verdict(Outcome(0, 0, 0, p, q, n), alpha) == CONTRADICTED:
        deciding = names[sorted(range(n), key=lambda i: refute[i])[n - u]]
    else:  # of equal ones that which is nearest to refutation, and has a number to show
        deciding = names[sorted(range(n), key=lambda i: (support[i], -refute[i]))[u - 1]]
    shown = replace(units[deciding], support=p, refute=q, unit=deciding)
    return replace(shown, note=_joined(shown.note, _gaps(table)))


def conjunction(p: ArrayLike, u: int) -> Array:
    """p (..., n) of n units -> p (...) that fewer than `u` of them have the effect."""
    each = np.sort(np.asarray(p, float), -1)
    return np.minimum(1.0, (each.shape[-1] - u + 1) * each[..., u - 1])


def count(
    table: pd.DataFrame, rule: Mapping[str, Any], of: int | None = None, alpha: float = ALPHA
) -> Outcome:
    """The share of seeds whose value lies in the region of `rule` in every unit.

    Exact binomial test against `count_border`, with the interval of Clopper & Pearson (1934). A
    seed fails by any unit that is outside, or that `diverged` (a column of the table, if there is
    one). What may be in or out, a gap or bounds on both sides of an end of the region, counts once
    as a failure and once as a success; `n` and the estimate are of the other seeds.
    """
    _checked(table)
    lost = table.get("diverged", pd.Series(False, table.index)).to_numpy(bool)
    inside = np.where(lost, 0.0, hits(table["low"], table["high"], rule))
    seeds = pd.Series(inside).groupby(table["seed"].to_numpy())
    failed, sure = seeds.min().eq(0), seeds.apply(lambda one: bool((one == 1).all()))
    n, known, hit = len(failed), int((failed | sure).sum()), int(sure.sum())
    wrong = _miscounted(table["unit"].nunique(), of) or (
        f"{n} of at least 2 seeds" if n < 2 else ""
    )
    if not n:
        return _withheld(_nothing(), table, wrong)
    found = count_tests(hit, hit + n - known, n, count_border(rule).number, alpha)
    note = f"{hit} of {known} seeds" + (f", {n - known} open" if n > known else "")
    outcome = Outcome(hit / known if known else math.nan, *found, n=known, note=note)
    return _withheld(outcome, table[~lost], wrong)


def count_border(rule: Mapping[str, Any]) -> Border:
    """A share of seeds, one half unless the rule says another."""
    return Border("number", 1, float(rule.get("share", 0.5)))


def hits(low: ArrayLike, high: ArrayLike, rule: Mapping[str, Any]) -> Array:
    """1 where both bounds lie in the region `above` a number, `below` one or `within` two (ends
    included), 0 where all between them lies outside, nan where that is open."""
    x, y = np.asarray(low, float), np.asarray(high, float)
    if "within" in rule:
        a, b = rule["within"]
        inside, outside = (x >= a) & (y <= b), (y < a) | (x > b)
    elif "above" in rule:
        inside, outside = x > rule["above"], y <= rule["above"]
    else:
        inside, outside = y < rule["below"], x >= rule["below"]
    return np.where(inside, 1.0, np.where(outside, 0.0, np.nan))


def count_tests(
    least: int, most: int, n: int, border: float, alpha: float = ALPHA
) -> tuple[float, float, float, float]:
    """Interval (low, high) of a share and p of its lying above and below `border`, when between
    `least` and `most` of `n` seeds are successes."""
    low = float(stats.beta.ppf(alpha / 2, least, n - least + 1)) if least else 0.0
    high = float(stats.beta.ppf(1 - alpha / 2, most + 1, n - most)) if most < n else 1.0
    support = min(1.0, 2 * float(stats.binom.sf(least - 1, n, border)))
    return low, high, support, min(1.0, 2 * float(stats.binom.cdf(most, n, border)))


def _one(rows: pd.DataFrame, border: Border, alpha: float, margins: float, test: str) -> Outcome:
    """One unit by itself; with a gap it decides nothing."""
    whole = rows[["low", "high"]].notna().all(axis=1)
    some = rows[whole]
    found = TESTS[test](some["low"], some["high"], border, alpha, margins)
    return found if whole.all() else replace(found, support=1.0, refute=1.0)


def _checked(table: pd.DataFrame) -> None:
    twice = table.duplicated(["unit", "seed"])
    if twice.any():
        unit, seed = table.loc[twice, ["unit", "seed"]].iloc[0]
        raise ValueError(f"unit {unit!r} has seed {seed} twice")


def _miscounted(units: int, of: int | None) -> str:
    """Of fewer units than were named nothing follows, and of more nothing was said."""
    return f"{units} units, but the rule is for {of}" if of is not None and units != of else ""


def _withheld(found: Outcome, table: pd.DataFrame, wrong: str, whole: bool = True) -> Outcome:
    """An outcome with its note, undecided where something is wrong or missing."""
    if wrong or not whole:
        found = replace(found, support=1.0, refute=1.0)
    return replace(found, note=_joined(found.note, wrong, _gaps(table)))


def _nothing() -> Outcome:
    return Outcome(math.nan, math.nan, math.nan, 1.0, 1.0, 0)


def _gaps(table: pd.DataFrame) -> str:
    """The planned values that are missing, as "no value: mnist seed 3, seed 4 and 2 more"."""
    rows = table[table[["low", "high"]].isna().any(axis=1)]
    named = [
        f"{unit} seed {seed}".strip()
        for unit, seed in zip(rows["unit"][:SHOWN], rows["seed"][:SHOWN], strict=True)
    ]
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return f"no value: {', '.join(named)}{more}" if named else ""


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
