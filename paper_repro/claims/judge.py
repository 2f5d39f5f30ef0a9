"""Judging: the claims of a study with the evidence on them, by some rules.

Evidence is collected once; verdicts follow from it by `Rules`, those of this suite or, to see what
hangs on them (`robustness`), others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from paper_repro.claims import combine, power
from paper_repro.claims import names as claim_names
from paper_repro.claims.borders import (
    ALPHA,
    CONTRADICTED,
    INCONCLUSIVE,
    NOT_RUN,
    SUPPORTED,
    Border,
    Outcome,
)
from paper_repro.claims.borders import verdict as alone
from paper_repro.claims.check import FACT, Check, Claim
from paper_repro.claims.evidence import Evidence, gather, tier_of
from paper_repro.claims.family import Decision, Part, decide
from paper_repro.results.frames import Results

Collected = Sequence[tuple[Claim, str, tuple[Evidence, ...]]]
HOLDS = {SUPPORTED: True, CONTRADICTED: False}


@dataclass(frozen=True)
class Rules:
    """What could defensibly be chosen otherwise; the defaults are the rules of this suite."""

    alpha: float = ALPHA
    holm: bool = True
    margins: float = 1.0  # factor on every margin
    test: str = "t"


@dataclass(frozen=True)
class Judged:
    """A claim with its evidence at one tier, the outcome of each check, and the decision."""

    claim: Claim
    tier: str
    evidence: tuple[Evidence, ...]
    outcomes: tuple[Outcome, ...]
    decision: Decision


def collected(results: Results, study: str, folder: Path) -> Collected:
    """The claims of a study, each with its tier and the evidence on every check."""
    found = []
    for claim in claim_names.read(folder / "claims.yaml", study):
        tier = tier_of(results, claim)
        evidence = tuple(gather(results, check, tier) for check in claim.checks)
        found.append((claim, tier, evidence))
    return found


def judge(claims: Collected, rules: Rules | None = None) -> list[Judged]:
    """The verdicts of the claims of a study by some rules."""
    rules = rules or Rules()
    outcomes = {
        claim.id: tuple(outcome(one, rules) for one in evidence) for claim, _, evidence in claims
    }
    parts = {
        claim.id: [
            _part(one, found) for one, found in zip(evidence, outcomes[claim.id], strict=True)
        ]
        for claim, _, evidence in claims
    }
    if rules.holm:
        decisions = decide(parts, rules.alpha)
    else:  # each claim by itself
        decisions = {name: decide({name: one}, rules.alpha)[name] for name, one in parts.items()}
    return [
        Judged(claim, tier, evidence, outcomes[claim.id], decisions[claim.id])
        for claim, tier, evidence in claims
    ]


def outcome(evidence: Evidence, rules: Rules) -> Outcome:
    """What the rows say by the rule of the check; p = 1 both ways where nothing is decided."""
    check = evidence.check
    if fact := evidence.fact:
        return Outcome(fact.estimate, math.nan, math.nan, 1.0, 1.0, fact.n, _notes(fact, evidence))
    if evidence.table.empty or check.kind == FACT or check.precondition:
        note = joined(*evidence.notes, evidence.open) or "nothing of it is planned at this tier"
        return Outcome(math.nan, math.nan, math.nan, 1.0, 1.0, 0, note)
    table = evidence.table
    given = (None, rules.alpha, rules.margins, rules.test)
    match check.statistic:
        case "mean":
            found = combine.mean(_shared(table), Border.of(check.rule), *given)
        case "all":
            found = combine.all_units(table, Border.of(check.rule), *given)
        case "at_least":
            border = Border.of(check.rule)
            found = combine.at_least(table, border, check.rule["at_least"], *given)
        case _:
            found = combine.count(table, check.rule, alpha=rules.alpha)
    if evidence.open:
        found = replace(found, support=1.0, refute=1.0)
    note = joined(found.note, *evidence.notes, evidence.open)
    return replace(found, note=note)


def _shared(table: pd.DataFrame) -> pd.DataFrame:
    """The seeds that are planned for every unit: only of these is there a mean over units."""
    planned = table.groupby("seed")["unit"].nunique()
    return table[table["seed"].isin(planned[planned == table["unit"].nunique()].index)]


def _part(evidence: Evidence, found: Outcome) -> Part:
    check, holds = evidence.check, None
    if evidence.fact and not evidence.open:
        holds = HOLDS.get(evidence.fact.verdict)
    return Part(
        check.name, check.kind, check.role, found.support, found.refute, holds, evidence.ran
    )


def border_of(check: Check) -> Border:
    """The borders of a finding: of a count those of a share of seeds."""
    counted = check.statistic == "count"
    return combine.count_border(check.rule) if counted else Border.of(check.rule)


def tests_in(evidence: Evidence, found: Outcome, findings: int) -> int:
    """By how much the p of what was seen is multiplied before Holm: for the units of its check and,
    where it would refute, for the `findings` that decide its claim."""
    check, units = evidence.check, evidence.table["unit"].nunique()
    supports = power.leans_to_support(found, border_of(check))
    if check.statistic not in ("all", "at_least"):
        return 1 if supports else max(1, findings)
    u = check.rule.get("at_least", units)
    return max(1, units - u + 1 if supports else u * findings)


def check_verdict(evidence: Evidence, found: Outcome, alpha: float = ALPHA) -> str:
    """The verdict of a check by itself, before it is one of many."""
    if not evidence.ran:
        return NOT_RUN
    if evidence.fact:
        return INCONCLUSIVE if evidence.open else evidence.fact.verdict
    return alone(found, alpha)


def _notes(fact: Any, evidence: Evidence) -> str:
    return joined(fact.note, *evidence.notes, evidence.open)


def joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
