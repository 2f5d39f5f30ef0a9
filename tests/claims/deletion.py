"""Rows taken away, and whether a verdict is then more decided than it was: it must never be.

What a claim rests on is planned in cells and runs; rows of metrics and curves and the numbers of
runs may be missing. Of each check its two p values and whether it holds are compared: from these
alone verdicts follow, by rules that are monotone in them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from paper_repro.claims.borders import CONTRADICTED, SUPPORTED
from paper_repro.claims.check import Check, Claim
from paper_repro.claims.evidence import gather, tier_of
from paper_repro.claims.judge import Rules, check_verdict, judge, outcome
from paper_repro.errors import UserError
from paper_repro.results.files import MISSING
from paper_repro.results.frames import FINISHED, Results

DECIDED = (SUPPORTED, CONTRADICTED)
ROUNDING = 1e-9


@dataclass(frozen=True)
class Strength:
    """How far a check is decided; `holds` is None for a finding and for what is open."""

    support: float
    refute: float
    holds: bool | None
    verdict: str


def strength(results: Results, check: Check, tier: str) -> Strength:
    """What the rows say to a check at a tier."""
    evidence = gather(results, check, tier)
    found = outcome(evidence, Rules())
    verdict = check_verdict(evidence, found)
    holds = {SUPPORTED: True, CONTRADICTED: False}.get(verdict) if evidence.fact else None
    return Strength(found.support, found.refute, holds, verdict)


def more_decided(before: Strength, after: Strength) -> str:
    """In what a check became more decided; "" if in nothing."""
    if after.support < before.support * (1 - ROUNDING):
        return f"support {before.support:.3g} -> {after.support:.3g}"
    if after.refute < before.refute * (1 - ROUNDING):
        return f"refute {before.refute:.3g} -> {after.refute:.3g}"
    if after.holds is not None and after.holds != before.holds:
        return f"holds {before.holds} -> {after.holds}"
    if after.verdict in DECIDED and after.verdict != before.verdict:
        return f"{before.verdict} -> {after.verdict}"
    return ""


def turned(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Claims whose verdicts are more decided than before."""
    return [
        f"{claim}: {before[claim]} -> {verdict}"
        for claim, verdict in after.items()
        if verdict in DECIDED and verdict != before[claim]
    ]


def verdicts(results: Results, claims: Sequence[Claim]) -> dict[str, str]:
    """The verdict of every claim."""
    collected = []
    for claim in claims:
        tier = tier_of(results, claim)
        evidence = tuple(gather(results, check, tier) for check in claim.checks)
        collected.append((claim, tier, evidence))
    return {one.claim.id: one.decision.verdict for one in judge(collected)}


@dataclass(frozen=True)
class Lost:
    """What is taken away, by index of `metrics` and `curves`, and runs as (cell, seed)."""

    what: str
    metrics: pd.Index
    curves: pd.Index
    runs: tuple[tuple[str, int], ...] = ()


def without(results: Results, lost: Lost) -> Results:
    """Results that lack these rows, their plan unchanged; a lost run stays planned, as missing."""
    gone = set(lost.runs)
    metrics, curves = results.metrics.drop(lost.metrics), results.curves.drop(lost.curves)
    runs = results.runs
    if gone:
        metrics, curves = (rows[~_of(rows, gone)] for rows in (metrics, curves))
        runs = runs.assign(status=runs["status"].mask(_of(runs, gone), MISSING))
    return replace(results, metrics=metrics, curves=curves, runs=runs)


def _of(rows: pd.DataFrame, runs: set[tuple[str, int]]) -> pd.Series:
    found = [key in runs for key in zip(rows["cell"], rows["seed"], strict=True)]
    return pd.Series(found, rows.index, dtype=bool)


def subsets(results: Results, rng: np.random.Generator, many: int) -> Iterator[Lost]:
    """Random sets of rows and runs: few of them, many, or those that share a value."""
    done = results.runs[results.runs["status"] == FINISHED]
    keys = [*zip(done["cell"], done["seed"].astype(int), strict=True)]
    for i in range(many):
        share = rng.choice([0.01, 0.05, 0.3, 0.9])
        picked = [
            rows.index[rng.random(len(rows)) < share] for rows in (results.metrics, results.curves)
        ]
        if i % 3 == 1:  # a single row of one table
            which = int(rng.random() < 0.5 and len(results.curves) > 0)
            rows = (results.curves if which else results.metrics).index
            one = rows[[int(rng.integers(len(rows)))]] if len(rows) else rows
            picked = [rows[:0], one] if which else [one, rows[:0]]
        runs: tuple[tuple[str, int], ...] = ()
        if i % 3 == 2:  # whole runs
            picked = [rows[:0] for rows in picked]
            many_runs = int(rng.integers(1, 5))  # as many as there are
            runs = tuple(keys[j] for j in rng.permutation(len(keys))[:many_runs])
        yield Lost(f"random set {i}", picked[0], picked[1], runs)


def targeted(
    results: Results, columns: Sequence[str] = ("metric", "seed", "estimator", "cell")
) -> Iterator[Lost]:
    """Everything of one value of a column: a metric, a seed, an arm, a cell, a data set, ..."""
    return (everything_of(results, *one) for one in values_of(results, columns))


def values_of(results: Results, columns: Sequence[str]) -> list[tuple[str, object]]:
    """The columns with each value that a row has there."""
    tables = (results.metrics, results.curves)
    return [
        (column, value)
        for column in columns
        for value in dict.fromkeys(itertools.chain(*(rows[column].unique() for rows in tables)))
    ]


def everything_of(results: Results, column: str, value: object) -> Lost:
    """All rows that have this value."""
    tables = (results.metrics, results.curves)
    return Lost(f"{column} {value}", *(rows.index[rows[column] == value] for rows in tables))


def faults(
    results: Results, claims: Sequence[Claim], losses: Iterator[Lost], whole: bool = False
) -> list[str]:
    """What became more decided by any of the losses; with `whole` also the claims themselves."""
    tiers = {claim.id: tier_of(results, claim) for claim in claims}
    checks = [(check, tiers[claim.id]) for claim in claims for check in claim.checks]
    before = {check.where: strength(results, check, tier) for check, tier in checks}
    decided = verdicts(results, claims) if whole else {}
    found = []
    for lost in losses:
        fewer = without(results, lost)
        for check, tier in checks:
            try:
                fault = more_decided(before[check.where], strength(fewer, check, tier))
            except UserError:  # an error by name decides nothing
                continue
            if fault:
                found.append(f"{check.where}, without {lost.what}: {fault}")
        if whole:
            found += [
                f"{one}, without {lost.what}" for one in turned(decided, verdicts(fewer, claims))
            ]
    return found
