"""Whether the plan lets a claim be decided: a rule that no tier can meet is refused, not run.

At the largest tier at which everything that decides a claim is planned there must be two seeds for
a finding, as many units as the claim asks for, enough seeds for a count of all of them to be
significant in the study's family, and a number of values for every fact. Imports neither torch nor
pandas.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from paper_repro import grid
from paper_repro.claims.check import FACT, Check, Claim, family_size
from paper_repro.errors import UserError
from paper_repro.results.row_names import equal, experiment

ALPHA = 0.05  # as in `borders`, which imports scipy
Cell = dict[str, list[Any]]


def check(claims: list[Claim], study: str) -> None:
    """UserError for the first check that could not be supported at the largest tier."""
    m = max(1, family_size(claims))
    for claim in claims:
        tier = largest(claim)
        for one in claim.checks:
            if one.role == "decides" and (why := _lacks(one, tier, m)):
                raise UserError(f"{one.where}: out of reach of tier {tier}, the largest: {why}")


def largest(claim: Claim) -> str:
    """The largest tier at which all that decides a claim is planned, or else some of it."""
    tiers = [_tiers(one) for one in claim.checks if one.role != "beside"]
    shared = set.intersection(*tiers) or set.union(*tiers)
    return max(shared, key=grid.TIERS.index, default=grid.TIERS[-1])


def _tiers(one: Check) -> set[str]:
    sides = [one.select, one.other] if one.versus and "reported" not in one.versus else [one.select]
    found = [{cell["tier"][0] for cell in _cells(one, side)} for side in sides]
    return set.intersection(*found)


def _cells(one: Check, filters: Any, tier: str | None = None) -> Iterable[Cell]:
    """The cells that pass filters, at a tier; as `results.row_names` knows them."""
    found = experiment(one.study, filters["experiment"])
    cells = found.check_cells(filters, one.where)
    return [cell for cell in cells if tier in (None, cell["tier"][0])]


def _lacks(one: Check, tier: str, m: int) -> str:
    """What a check would need and the plan does not have; "" for nothing."""
    cells = list(_cells(one, one.select, tier))
    seeds = min((len(cell["seed"]) for cell in cells), default=0)
    if one.kind == FACT:
        named = one.sample or isinstance(one.units, dict) or one.of_at(tier) is not None
        return "" if named else f"of does not say how many values a run has at tier {tier}"
    if seeds < 2:
        return f"{seeds} seeds"
    if one.statistic == "count":
        p = 2 * one.rule["share"] ** seeds
        if p > ALPHA / m:
            return f"{seeds} of {seeds} seeds have p = {p:.2g}, above {ALPHA:g}/{m}"
    if one.sample:
        return ""  # its units are what its function returns
    if isinstance(one.units, dict):
        return _unplanned(one, cells)
    ids: dict[tuple[str, ...], set[str]] = {}
    for cell in cells:
        unit = tuple(str(cell.get(name, "")) for name in one.columns)
        ids.setdefault(unit, set()).add(cell["cell"][0])
    of = one.of_at(tier)
    if of is not None and len(ids) < of:
        return f"{len(ids)} of {of} units"
    if not one.tuned and (several := next((ids[u] for u in ids if len(ids[u]) > 1), None)):
        first, second, *_ = sorted(several)
        return f"{first} and {second} are one unit; add columns to units or select"
    return ""


def _unplanned(one: Check, cells: list[Cell]) -> str:
    """A named unit that no cell has, as far as its columns are settings."""
    for point in itertools.product(*one.units.values()):  # type: ignore[union-attr]
        wanted = dict(zip(one.units, point, strict=True))
        if not any(
            all(
                name not in cell or any(equal(value, v) for v in cell[name])
                for name, value in wanted.items()
            )
            for cell in cells
        ):
            shown = ", ".join(f"{name} {value}" for name, value in wanted.items())
            return f"no cell has {shown}"
    return ""
