"""The planned table of a check: every unit and seed it means, joined with the numbers there are.

A value that a check needs and that does not exist (run missing or diverged, row missing, not a
number, partner missing, candidate of a tuned setting without a score) is NaN, a gap. Gaps are
never skipped: survivors alone prove nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from paper_repro import registry
from paper_repro.claims import planned
from paper_repro.claims import reported as reported_numbers
from paper_repro.claims.check import Check
from paper_repro.claims.curve_summaries import reduced
from paper_repro.claims.filters import matches
from paper_repro.claims.tuning import chosen
from paper_repro.claims.whole_curves import whole
from paper_repro.errors import UserError, unknown
from paper_repro.results.frames import Results

# Two runs are comparable only at the same seed, scale and data.
COMMON = ["seed", "tier", "steps", "fingerprint"]
USED = ["unit", "seed", "value", "cell", "of", "steps", "fingerprint"]
DIVERGED = "diverged"


def table(results: Results, check: Check) -> pd.DataFrame:
    """One row per planned unit and seed of a check without a sample.

    Columns `unit`, `seed`, `value` (NaN for a gap), `run` ("cell:seed ..." of both sides),
    `diverged` (whether a gap is one because a run diverged), `of` (unit of the value) and, of a
    pair, `value_own` and `value_other`. UserError for several rows of one unit and seed, for values
    of different units, and for a column that no row has.
    """
    asked = (check.study, check.select, check.versus, check.pairing, check.units)
    key = repr(("table", asked, check.span, check.tuned))
    if key not in results.memory:
        results.memory[key] = _table(results, check)
    found: pd.DataFrame = results.memory[key]
    return found.copy()


def _table(results: Results, check: Check) -> pd.DataFrame:
    units = planned.units(results, check)
    plan = [
        (unit.name, seed, unit.runs[seed], unit.cells, unit.other)
        for unit in units
        for seed in unit.seeds
    ]
    base = pd.DataFrame(plan, columns=["unit", "seed", "run", "cells", "others"])
    base["seed"] = base["seed"].astype(int)
    meant = {unit.name for unit in units}
    own = values(results, check, check.select, meant)[USED]
    _once(own, ["unit", "seed"], check)
    joined = base.merge(own, on=["unit", "seed"], how="left", validate="one_to_one")
    if check.versus is None:
        joined["of"] = unit_of(own, check)
    elif "reported" in check.versus:
        other = _reported(check, set(own["of"]))
        joined = joined[joined["unit"].isin(set(other["unit"]))]  # nobody reported the others
        joined = joined.merge(other, on="unit", how="left", suffixes=("", "_other"))
        pair(joined, check, unit_of(own, check))
    else:
        other = values(results, check, check.other, meant)[USED]
        by_data = planned.one_for_all_seeds(results, check)
        on = ["unit"] if by_data else ["unit", "seed"]
        _once(other, on, check)
        if by_data:
            other = other.drop(columns="seed")
        joined = joined.merge(other, on=on, how="left", suffixes=("", "_other"))
        same = joined["fingerprint"] == joined["fingerprint_other"]
        same &= by_data | (joined["steps"] == joined["steps_other"])
        joined["value_other"] = joined["value_other"].where(same)
        pair(joined, check, unit_of(pd.concat([own, other]), check))
    joined["value"] = joined["value"].where(np.isfinite(joined["value"]))
    lost = ended(results, check.study, DIVERGED)
    if check.tuned:
        joined = _of_candidates(joined, lost)
    else:
        joined["diverged"] = [any(run in lost for run in runs.split()) for runs in joined["run"]]
    joined["diverged"] &= joined["value"].isna()
    return joined.drop(columns=["cells", "others"]).reset_index(drop=True)


def _of_candidates(joined: pd.DataFrame, lost: Collection[str]) -> pd.DataFrame:
    """With the runs of the cells that tuning chose, or of all candidates where none was, and with
    `diverged` where that is because every candidate diverged."""
    out = {run.rpartition(":")[0] for run in lost}
    runs, failed = [], []
    for row in joined.to_dict("records"):
        sides = [(row["cell"], row["cells"]), (row.get("cell_other"), row["others"])]
        used = [[one] if isinstance(one, str) else [*candidates] for one, candidates in sides]
        cells = dict.fromkeys(itertools.chain(*used))
        runs.append(" ".join(f"{cell}:{row['seed']}" for cell in cells))
        open_ = [candidates for one, candidates in sides if not isinstance(one, str)]
        failed.append(any(candidates and out.issuperset(candidates) for candidates in open_))
    diverged = np.array(failed, bool)
    return joined.assign(looked=joined["run"], run=runs, diverged=diverged)


def values(
    results: Results, check: Check, filters: Mapping[str, Any], meant: Collection[str] = ()
) -> pd.DataFrame:
    """The rows of one side, with `unit` (the name of their unit), of units that are `meant`.

    Rows of finished runs alone; of a `span`, one per complete curve, NaN for an incomplete one; of
    cells that were `tuned`, those of the chosen one, or none where a candidate lacks a score.
    """
    wanted = dict(filters)
    experiment, metric = wanted.pop("experiment"), wanted.pop("metric")
    kind = wanted.pop("kind", "curve" if check.span else "final")
    stretch = wanted.pop("progress", {}) if check.span else {}
    if kind == "final":
        rows = results.finals(check.study, experiment, metric)
        rows = rows[rows["step"] == rows["steps"]]  # not what stood before a number that is lost
    else:
        rows = results.ended(check.study, experiment, metric, "curve")
    _known(results, check, rows, wanted, experiment)
    rows = rows[matches(rows, wanted, check.where)]
    if check.span:
        complete = whole(results, check.study, rows)
        rows = reduced(rows, stretch, check.span)
        rows["value"] = rows["value"].where(complete[rows.index])
    if check.tuned:
        picked = _tuned(results, check, experiment)
        rows = rows[rows["cell"].isin(picked)]
    rows = rows.assign(unit=planned.labels(rows, check.columns), of=rows["unit"])
    return rows[rows["unit"].isin(meant)] if check.columns else rows


def curves(results: Results, check: Check) -> pd.DataFrame:
    """Training curves of a selection, of planned runs: columns unit, seed, run, step, progress,
    value; a curve that is incomplete or not there is one row of NaN."""
    units = planned.units(results, check.but(versus=None))
    one = check.but(span="", select={"kind": "curve"})
    rows = values(results, one, one.select, {unit.name for unit in units})
    complete = whole(results, check.study, rows)
    rows = rows[complete[rows.index]]
    plan = [(unit.name, seed, unit.runs[seed]) for unit in units for seed in unit.seeds]
    base = pd.DataFrame(plan, columns=["unit", "seed", "run"])
    found = rows[["unit", "seed", "step", "progress", "value"]]
    return base.merge(found, on=["unit", "seed"], how="left")


def _tuned(results: Results, check: Check, experiment: str) -> set[str]:
    """The chosen cells. Where a candidate lacks a score though none of its runs diverged none is
    chosen: what is missing might have been the best."""
    tuned = dict(check.tuned or {})
    key = repr(("tuned", check.study, experiment, tuned))
    if key not in results.memory:
        names = {name: tuned[name] for name in ("over", "metric", "best")}
        found = chosen(results, check.study, experiment, filters=tuned["select"], **names)
        lost = ended(results, check.study, DIVERGED)
        out = {run.rpartition(":")[0] for run in lost}  # a diverged candidate is out of the race
        open_ = [any(run.rpartition(":")[0] not in out for run in runs) for runs in found["lost"]]
        results.memory[key] = set(found["cell"][~np.array(open_, bool)]) - {""}
    chosen_cells: set[str] = results.memory[key]
    return chosen_cells


def ended(results: Results, study: str, status: str) -> frozenset[str]:
    """Runs that ended with a status, as cell:seed."""
    if (key := f"ended {study} {status}") not in results.memory:
        runs = results.runs[(results.runs["study"] == study) & (results.runs["status"] == status)]
        pairs = zip(runs["cell"], runs["seed"], strict=True)
        results.memory[key] = frozenset(f"{cell}:{seed}" for cell, seed in pairs)
    found: frozenset[str] = results.memory[key]
    return found


def pair(joined: pd.DataFrame, check: Check, unit: str) -> None:
    """Set the value of every pair. UserError for a logarithm of what is not positive."""
    mine, theirs = joined["value"].to_numpy(float), joined["value_other"].to_numpy(float)
    joined["value_own"] = mine
    both = np.isfinite(mine) & np.isfinite(theirs)
    if check.pairing == "log_ratio" and ((mine <= 0) | (theirs <= 0))[both].any():
        raise UserError(f"{check.where}: a value is not positive and has no logarithm: difference")
    with np.errstate(divide="ignore", invalid="ignore"):
        if check.pairing == "difference":
            joined["value"] = mine - theirs
        else:
            ratio = np.where(both, mine / theirs, np.nan)
            joined["value"] = np.log(ratio) if check.pairing == "log_ratio" else ratio
    joined["of"] = unit if check.pairing == "difference" else check.pairing.replace("_", " ")


def unit_of(rows: pd.DataFrame, check: Check) -> str:
    """The one unit that values are in. UserError where there are two."""
    found = sorted(set(rows["of"].dropna())) if len(rows) else []
    if len(found) > 1:
        raise UserError(f"{check.where}: values in {found[0]!r} and in {found[1]!r} do not compare")
    return str(found[0]) if found else ""


def _known(
    results: Results, check: Check, rows: pd.DataFrame, wanted: Mapping[str, Any], experiment: str
) -> None:
    """UserError for a filter on a column that no row of the experiment has."""
    absent = [name for name, want in wanted.items() if name not in rows and want != ""]
    if absent and len(rows):
        every = results.frame(check.study, experiment)
        if lost := [name for name in absent if name not in every]:
            raise UserError(f"{check.where}: {lost[0]!r} is no coordinate of any row")


def _once(rows: pd.DataFrame, on: list[str], check: Check) -> None:
    twice = rows[rows.duplicated(on, keep=False)]
    if len(twice):
        unit = twice["unit"].iloc[0]
        raise UserError(
            f"{check.where}: several rows for {unit or 'one seed'} "
            f"({' '.join(list(dict.fromkeys(twice['cell']))[:2])}); add columns to select or units"
        )


def _reported(check: Check, measured: set[str]) -> pd.DataFrame:
    """Published numbers of one source as rows with `unit` and `value`; UserError if they are not in
    one of the units that are planned."""
    path = registry.STUDIES / check.study / "reported.csv"
    source = (check.versus or {})["reported"]
    rows = reported_numbers.frame(path, check.study)
    rows = rows[rows["id"].str.startswith(f"{source}-")]
    if rows.empty:
        raise UserError(f"{path}: no id begins with {source}-")
    known = {name: check.select[name] for name in ("metric", "estimator") if name in check.select}
    rows = rows[matches(rows, known)]
    if measured and (odd := sorted({*rows["unit"]} - measured)):
        what = f"{path}: unit of {source}'s {check.select['metric']}, as our rows bear it"
        raise UserError(unknown(what, odd[0], sorted(measured)))
    rows = rows.assign(unit=planned.labels(rows, check.columns))
    return rows[["unit", "value"]].reset_index(drop=True)
