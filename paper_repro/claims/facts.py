"""Facts: every planned value meets a stated tolerance, or lies within six standard errors.

An identity, a closed form or a theorem's number holds in any right program, so that one value
outside contradicts it whatever is missing, and it holds only if nothing is. The replicate is the
problem instance (a planned run), of which each may have many values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paper_repro.claims import planned
from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.check import Check
from paper_repro.claims.selection import pair, table, unit_of, values
from paper_repro.errors import UserError
from paper_repro.results.frames import Results

STANDARD_ERRORS = 6.0  # Monte-Carlo values: a right program is beyond by 2e-9 a value
ROW = ["cell", "seed", "split", "at", "estimator", "step"]  # tells rows of one metric apart
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Fact:
    """Verdict of a fact; `estimate` is the value nearest to failing, `n` counts instances."""

    verdict: str
    estimate: float
    n: int
    note: str
    of: str
    runs: tuple[str, ...]


def judge(results: Results, check: Check, tier: str) -> Fact:
    """Ask every value of a fact, or every pair of a precondition."""
    by_unit = check.precondition or isinstance(check.units, Mapping)
    rows = table(results, check) if by_unit else _rows(results, check)
    if by_unit:
        gaps = rows[rows["value"].isna()]
        lacking = [f"{u} {r}".strip() for u, r in zip(gaps["unit"], gaps["run"], strict=True)]
        plan = {run for runs in rows["run"] for run in runs.split()}
        done = rows[rows["value"].notna()]
    else:
        plan, lacking = _lacking(results, check, rows, tier)
        done = rows[np.isfinite(rows["value"])]
    runs = tuple(sorted({f"{c}:{s}" for c, s in zip(done["cell"], done["seed"], strict=True)}))
    unit = str(done["of"].iloc[0]) if len(done) else ""
    numbers = done["value"].to_numpy(float)
    depth = inside(check.rule, numbers, done.get("error"))
    return _fact(numbers, depth, len(plan), lacking, unit, runs)


def sampled(check: Check, rows: pd.DataFrame) -> Fact:
    """Ask every value of a sample, `low` and `high` of rows (see `evidence`)."""
    gaps = rows["low"].isna()
    lacking = [f"{u} {r}".strip() for u, r in rows.loc[gaps, ["unit", "run"]].to_numpy()]
    done = rows[~gaps]
    low, high = (done[name].to_numpy(float) for name in ("low", "high"))
    depth = np.minimum(inside(check.rule, low), inside(check.rule, high))
    runs = tuple(sorted({run for runs in done["run"] for run in runs.split()}))
    unit = next((str(one) for one in done.get("of", ())), "")
    return _fact((low + high) / 2, depth, len(rows), lacking, unit, runs)


def _fact(
    numbers: Numbers, depth: Numbers, n: int, lacking: list[str], unit: str, runs: tuple[str, ...]
) -> Fact:
    if not len(numbers):
        return Fact(NOT_RUN, np.nan, 0, _some(lacking), unit, runs)
    note = f"values {numbers.min():.3g} to {numbers.max():.3g}"
    if lacking:
        note += f"; {_some(lacking)}"
    verdict = CONTRADICTED if (depth < 0).any() else INCONCLUSIVE if lacking else SUPPORTED
    return Fact(verdict, float(numbers[depth.argmin()]), n, note, unit, runs)


def inside(rule: Mapping[str, Any], numbers: Numbers, error: Any = None) -> Numbers:
    """Signed distance of each number from the border of its region, below 0 outside; of a rule
    with standard errors, in standard errors."""
    if "equals" in rule or "differs" in rule:
        wanted = rule.get("equals", rule.get("differs"))
        off = np.abs(numbers - wanted)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(off == 0, 0.0, off / np.asarray(error, float))
        return STANDARD_ERRORS - z if "equals" in rule else _strictly(z - STANDARD_ERRORS)
    if "below" in rule:
        return _strictly(rule["below"] - numbers)
    if "above" in rule:
        return _strictly(numbers - rule["above"])
    low, high = rule.get("within", rule.get("outside"))
    depth = np.minimum(numbers - low, high - numbers)
    return depth if "within" in rule else _strictly(-depth)


def _strictly(depth: Numbers) -> Numbers:
    """The border itself is outside."""
    return np.where(depth == 0, -np.finfo(float).tiny, depth)


def _rows(results: Results, check: Check) -> pd.DataFrame:
    """The values of a fact whose planned runs have a stated number of them each."""
    plain = check.but(units=())
    rows = values(results, plain, check.select)
    rows = rows.assign(unit=planned.labels(rows, check.columns))
    _once(rows, ROW, check)
    if check.error:
        errors = values(results, plain, {**check.select, "metric": check.error})
        errors = errors[[*ROW, "value"]].rename(columns={"value": "error"})
        rows = rows.merge(errors, on=ROW, how="left")
        rows["value"] = rows["value"].where(np.isfinite(rows["error"]))
    if check.versus is None:
        rows["of"] = unit_of(rows, check)
        return rows
    other = values(results, plain, check.other)
    other = other.assign(unit=planned.labels(other, check.columns))
    on = ["unit"] if planned.one_for_all_seeds(results, check) else ["unit", "seed"]
    _once(other, on, check)
    partner = other[[*on, "value", "cell"]]
    unit = unit_of(pd.concat([rows, other]), check)
    rows = rows.merge(partner, on=on, how="left", suffixes=("", "_other"))
    pair(rows, check, unit)
    return rows


def _lacking(
    results: Results, check: Check, rows: pd.DataFrame, tier: str
) -> tuple[set[str], list[str]]:
    """The planned runs, and those that lack some of their values. UserError for one with more."""
    cells = planned.cells(results, check, check.select)
    names = set(cells["cell"]) | set(rows["cell"])
    runs = results.runs[(results.runs["study"] == check.study) & results.runs["cell"].isin(names)]
    plan = [f"{cell}:{seed}" for cell, seed in zip(runs["cell"], runs["seed"], strict=True)]
    if (each := check.of_at(tier)) is None:
        return set(plan), [f"of does not say how many values a run has at tier {tier}"]
    done = rows[np.isfinite(rows["value"])]
    found = (done["cell"] + ":" + done["seed"].astype(str)).value_counts()
    for run, many in found.items():
        if many > each:
            raise UserError(f"{check.where}: {run} has {many} values, {each} by its of")
    return set(plan), [run for run in plan if found.get(run, 0) < each]


def _once(rows: pd.DataFrame, on: list[str], check: Check) -> None:
    twice = rows[rows.duplicated(on)]
    if len(twice):
        row = twice.iloc[0]
        raise UserError(f"{check.where}: two rows of {row['cell']}:{row['seed']} at {row['at']!r}")


def _some(names: list[str]) -> str:
    more = f" +{len(names) - 4} more" if len(names) > 4 else ""
    return f"missing or diverged: {' '.join(names[:4])}{more}" if names else ""
