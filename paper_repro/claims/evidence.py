"""What the rows say to a check before any rule: its planned table, or the fact it states."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd

from paper_repro import grid, registry
from paper_repro.claims import facts, planned
from paper_repro.claims.check import FACT, Check, Claim
from paper_repro.claims.facts import Fact
from paper_repro.claims.selection import ended, table
from paper_repro.claims.settled import open_runs
from paper_repro.errors import UserError
from paper_repro.results.frames import FINISHED, Results

SHOWN = 4  # runs and units that a note names before it only counts them
Sampler = Callable[[Results, Check], pd.DataFrame]


@dataclass(frozen=True)
class Evidence:
    """The rows behind a check at one tier.

    `table` has a row per planned unit and seed (`unit`, `seed`, `low`, `high`, NaN in a gap,
    `diverged`, `run`); `fact` takes its place for facts and preconditions. `open` says why nothing
    is decided whatever the numbers are; `all_excepted`, that a rule excepts every unit. `runs`
    holds the finished ones used, as cell:seed, `looked` those besides that were candidates.
    """

    check: Check
    table: pd.DataFrame
    fact: Fact | None = None
    of: str = ""
    open: str = ""
    notes: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    all_excepted: bool = False
    looked: tuple[str, ...] = ()

    @property
    def ran(self) -> bool:
        """Whether a run of it has finished."""
        return bool(self.runs) and not self.all_excepted


def tier_of(results: Results, claim: Claim) -> str:
    """The largest tier at which all that decides a claim is planned, or else some of it; "" where
    none of it is. The plan decides, never the rows."""
    each = [_tiers(results, one) for one in claim.checks if one.role != "beside"]
    shared = set.intersection(*each) or set.union(*each)
    return max(shared, key=grid.TIERS.index, default="")


def _tiers(results: Results, check: Check) -> set[str]:
    sides = [check.select]
    if check.versus and "reported" not in check.versus:
        sides.append(check.other)
    found = [set(planned.cells(results, check, side)["tier"]) for side in sides]
    return set.intersection(*found)


def gather(results: Results, check: Check, tier: str) -> Evidence:
    """The evidence on a check at a tier."""
    nothing = pd.DataFrame(columns=["unit", "seed", "low", "high", "diverged", "run"])
    if not tier or tier not in _tiers(results, check):
        return Evidence(check, nothing)
    rows = results.at(tier)
    asked = check.kind == FACT or check.precondition
    if asked and not check.sample:
        found_fact = facts.judge(rows, check, tier)
        runs, moved = _settle(rows, check, found_fact.runs)
        return Evidence(check, nothing, found_fact, found_fact.of, moved, runs=runs)
    found = _sampled(rows, check) if check.sample else table(rows, check)
    excepted = found["excepted"].fillna("") if "excepted" in found else pd.Series("", found.index)
    notes = _excepted(found, excepted)
    kept = _bounded(found[excepted == ""])
    finished = ended(rows, check.study, FINISHED)
    used = finished & {run for runs in kept["run"] for run in runs.split()}
    looked = finished & {run for runs in kept.get("looked", ()) for run in runs.split()}
    runs, moved = _settle(rows, check, used)
    wanting = _miscounted(check, found["unit"].nunique(), tier)
    lost = sorted(set(kept.loc[kept["low"].isna(), "run"]))
    if lost:
        notes.append(f"missing or diverged: {some(lost, 'runs')}")
    of = next((str(one) for one in kept.get("of", ()) if one), "")
    every = len(found) > 0 and kept.empty
    fact = facts.sampled(check, kept) if asked else None
    undecided = "; ".join(filter(None, [wanting, moved]))
    others = tuple(sorted(looked - set(runs)))
    return Evidence(check, kept, fact, of, undecided, tuple(notes), runs, every, others)


def _settle(results: Results, check: Check, runs: Iterable[str]) -> tuple[tuple[str, ...], str]:
    """The runs, and why they decide nothing where some have not settled."""
    known = tuple(sorted(runs))
    if not check.settled or not known:
        return known, ""
    moved, unknown = open_runs(results, check, set(known))
    parts = [f"not settled: {some(moved, 'runs')}"] if moved else []
    parts += [f"not known to be settled: {some(unknown, 'runs')}"] if unknown else []
    return known, "; ".join(parts)


def _bounded(rows: pd.DataFrame) -> pd.DataFrame:
    """With `low` and `high` for every row, and `diverged`."""
    if "low" not in rows:
        rows = rows.assign(low=rows["value"], high=rows["value"])
    gap = rows[["low", "high"]].isna().any(axis=1)
    rows = rows.assign(low=rows["low"].mask(gap), high=rows["high"].mask(gap))
    return rows if "diverged" in rows else rows.assign(diverged=False)


def _sampled(results: Results, check: Check) -> pd.DataFrame:
    """The table that a study's own function makes. UserError where it is none."""
    path = registry.STUDIES / check.study / "samples.py"
    made: Sampler = getattr(importlib.import_module(registry.module_name(path)), check.sample)
    return as_planned(made(results, check), results, check)


def as_planned(found: pd.DataFrame, results: Results, check: Check) -> pd.DataFrame:
    """What a sample returned, with a gap for every planned seed that a unit lacks. UserError for
    what is no table of planned units and seeds."""

    def refuse(what: str) -> UserError:
        return UserError(f"{check.where}: sample {check.sample} returns {what}")

    numbers = [name for name in ("value", "low", "high") if name in found]
    lacking = {"unit", "seed", "run"} - set(found.columns)
    lacking |= set() if {"low", "high"} <= set(numbers) else {"value"} - set(numbers)
    if lacking:
        raise refuse(f"no {sorted(lacking)[0]}")
    if found.duplicated(["unit", "seed"]).any():
        raise refuse("a unit and seed twice")
    if found.empty:  # nothing of it is planned
        return found
    for name in numbers:
        if found[name].dtype.kind not in "fi":
            raise refuse(f"a {name} that is no number")
    if {"low", "high"} <= set(numbers) and (found["low"] > found["high"]).any():
        raise refuse("a low above its high")
    texts = [name for name in ("unit", "run", "excepted") if name in found]
    if not all(isinstance(entry, str) for name in texts for entry in found[name]):
        raise refuse(f"something else than texts in {', '.join(texts)}")
    some_seeds = found.get("excepted", pd.Series("", found.index)).groupby(found["unit"])
    if (some_seeds.min() != some_seeds.max()).any():
        raise refuse("a unit that is excepted at some seeds alone")
    known = set(results.runs["cell"] + ":" + results.runs["seed"].astype(str))
    named = [runs.split() for runs in found["run"]]
    if odd := next((run for runs in named for run in runs if run not in known), ""):
        raise refuse(f"{odd}, which is no planned run")
    if not all(named):
        raise refuse("a row that names no run")
    seeds = planned.seeds(results, check)
    if odd_seeds := sorted(set(found["seed"]) - seeds):
        raise refuse(f"seed {odd_seeds[0]}, which is not planned")
    every = pd.MultiIndex.from_product([found["unit"].unique(), sorted(seeds)])
    whole = found.set_index(["unit", "seed"]).reindex(every)
    for name in ("run", "excepted"):  # what a unit lacks a seed of is one of the others' cells
        if name in whole:
            whole[name] = whole[name].fillna("")
    return whole.rename_axis(["unit", "seed"]).reset_index()


def _excepted(found: pd.DataFrame, excepted: pd.Series) -> list[str]:
    names = sorted(set(found.loc[excepted != "", "unit"]))
    reasons = sorted(set(excepted) - {""})
    return [f"excepted by rule ({'; '.join(reasons)}): {some(names, 'units')}"] if names else []


def _miscounted(check: Check, units: int, tier: str) -> str:
    of = check.of_at(tier)
    return f"{units} of {of} units planned" if of is not None and units != of else ""


def some(names: list[str], what: str) -> str:
    """The first names, and how many more."""
    more = f" +{len(names) - SHOWN} {what}" if len(names) > SHOWN else ""
    return " ".join(names[:SHOWN]) + more
