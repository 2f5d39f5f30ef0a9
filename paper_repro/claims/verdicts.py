"""Verdicts: every claim of a study judged by machine from its rows.

A claim's checks (`check`) are joined with the rows (`evidence`), which gives each check two p
values (`combine`, `borders`) or, of a fact, whether it holds (`facts`), and the claims of a study
their verdicts (`family`). docs/verdicts.md explains what these mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from paper_repro import atomic, registry
from paper_repro.claims import power, registration
from paper_repro.claims.borders import (
    ALPHA,
    CONTRADICTED,
    INCONCLUSIVE,
    NOT_RUN,
    SUPPORTED,
    Border,
    Outcome,
)
from paper_repro.claims.check import FACT, FINDING, Claim
from paper_repro.claims.evidence import Evidence, some
from paper_repro.claims.family import PRECONDITION
from paper_repro.claims.judge import (
    Collected,
    Judged,
    border_of,
    check_verdict,
    collected,
    joined,
    judge,
    tests_in,
)
from paper_repro.claims.wording import describe
from paper_repro.claims.words import words
from paper_repro.results import overwriting
from paper_repro.results.files import csv_text
from paper_repro.results.frames import Results, load

CLAIM_COLUMNS = (
    *("study", "claim", "check", "statement", "source", "by", "figure", "kind", "role", "rule"),
    *("unit", "estimate", "ci_low", "ci_high", "n", "p_support", "p_refute", "p_holm", "verdict"),
    *("words", "deciding", "registered", "detects", "detects_holm", "seeds_needed", "tier", "runs"),
    "note",
)


def judge_study(study: str, root: Path, out: Path) -> Collected:
    """Write the verdicts of a study's claims on the rows under `root` to the CSV file `out`; what
    they rest on. UserError if that file holds something else than verdicts."""
    overwriting.check_csv(out, CLAIM_COLUMNS)
    results, folder = load(root), registry.STUDIES / study
    claims = collected(results, study, folder)
    found = _frame(results, claims, folder)
    records = [[_text(row[name]) for name in CLAIM_COLUMNS] for row in found.to_dict("records")]
    atomic.write_text(out, csv_text(CLAIM_COLUMNS, records))
    return claims


def evaluate(results: Results, study: str, folder: Path) -> pd.DataFrame:
    """One row per claim, without a `check`, followed by one per check. `folder` holds claims.yaml
    and, if a check compares with it, reported.csv."""
    return _frame(results, collected(results, study, folder), folder)


def _frame(results: Results, claims: Collected, folder: Path) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for one in judge(claims):
        rows += _rows(one, _registered(results, one, folder))
    return pd.DataFrame(rows, columns=CLAIM_COLUMNS)


def _rows(judged: Judged, registered: str) -> Iterable[dict[str, Any]]:
    """The rows of claims.csv of a claim: its own, then its checks'."""
    claim, decision = judged.claim, judged.decision
    m = max(1, decision.m)
    checks = [
        _check_row(claim, one, found, judged.tier, m)
        for one, found in zip(judged.evidence, judged.outcomes, strict=True)
    ]
    runs = sorted({run for one in judged.evidence for run in one.runs})
    at = [row["check"] for row in checks].index(decision.deciding)
    deciding = checks[at]
    said = deciding["words"]  # of what does not compare, whatever the claim's verdict
    if deciding["role"] != PRECONDITION:
        said = _words(judged.evidence[at], judged.outcomes[at], decision.verdict)
    shown = ("rule", "unit", "estimate", "ci_low", "ci_high", "n")
    power_ = ("detects", "detects_holm", "seeds_needed")
    yield {
        **_stated(claim),
        **{name: deciding[name] for name in (*shown, *power_)},
        "check": "",
        "kind": claim.kind,
        "role": "",
        "p_support": decision.support,
        "p_refute": decision.refute,
        "p_holm": decision.p_holm,
        "verdict": decision.verdict,
        "words": said,
        "deciding": decision.deciding,
        "registered": registered,
        "tier": judged.tier if decision.verdict != NOT_RUN else "",
        "runs": _counted(runs),
        "note": joined(decision.note, deciding["note"]),
    }
    yield from checks


def _check_row(
    claim: Claim, evidence: Evidence, found: Outcome, tier: str, m: int
) -> dict[str, Any]:
    check, verdict = evidence.check, check_verdict(evidence, found)
    finding = check.kind == FINDING and not check.precondition
    return {
        **_stated(claim),
        "check": check.name,
        "kind": check.kind,
        "role": check.role,
        "rule": describe(check),
        "unit": "share of seeds" if check.statistic == "count" else evidence.of,
        "estimate": found.estimate,
        "ci_low": found.low,
        "ci_high": found.high,
        "n": found.n,
        "p_support": found.support if finding and evidence.ran else math.nan,
        "p_refute": found.refute if finding and evidence.ran else math.nan,
        "p_holm": math.nan,
        "verdict": verdict,
        "words": _words(evidence, found, verdict),
        "deciding": "",
        "registered": "",
        **_power(evidence, found, verdict, m, claim.findings),
        "tier": tier if evidence.ran else "",
        "runs": _counted(evidence.runs),
        "note": joined(f"decides: {found.unit}" if found.unit else "", found.note),
    }


def _stated(claim: Claim) -> dict[str, str]:
    keys = ("statement", "source", "by", "figure")
    return {"study": claim.study, "claim": claim.id, **{key: getattr(claim, key) for key in keys}}


def _words(evidence: Evidence, found: Outcome, verdict: str) -> str:
    check = evidence.check
    if check.precondition:
        off = f"{check.select['metric']} {found.estimate:.3g}"
        said = {SUPPORTED: "comparable", CONTRADICTED: f"not comparable: {off}"}
        return said.get(verdict, "")
    if check.kind == FACT:
        return {SUPPORTED: "holds", CONTRADICTED: "fails"}.get(verdict, "")
    if check.statistic == "count":
        return f"{found.note.partition(';')[0]}" if verdict != NOT_RUN else ""
    return words(found, Border.of(check.rule), verdict)


def _power(
    evidence: Evidence, found: Outcome, verdict: str, m: int, findings: int
) -> dict[str, float]:
    """The smallest effects that the seeds and their spread would show, and the seeds that an open
    finding would need; NaN where there is no spread to go by."""
    names = ("detects", "detects_holm", "seeds_needed")
    check, sd = evidence.check, power.spread(found)
    if evidence.fact or check.kind == FACT or found.n < 2:
        return dict.fromkeys(names, math.nan)
    counted = check.statistic == "count"
    seen = [math.nan, math.nan]
    if sd > 0 and math.isfinite(sd) and not counted:
        seen = [power.detectable(found.n, alpha) * sd for alpha in (ALPHA, ALPHA / m)]
    seeds = math.nan
    if verdict == INCONCLUSIVE:
        border = border_of(check)
        alpha = ALPHA / m / tests_in(evidence, found, findings)
        seeds = power.seeds_as_seen(found, border, counted, alpha) or math.inf
    return dict(zip(names, (*seen, seeds), strict=True))


def _registered(results: Results, judged: Judged, folder: Path) -> str:
    """Whether the claim's rules stood before the runs that decide it; "" where none has run."""
    runs = {
        (run.rpartition(":")[0], int(run.rpartition(":")[2]))
        for one in judged.evidence
        if one.check.role != "beside"
        for run in (*one.runs, *one.looked)
    }
    if not runs:
        return ""
    claim = judged.claim
    return registration.standing(results, claim.study, claim.id, runs, folder)


def _counted(runs: Sequence[str]) -> str:
    """Runs as ``cell:number``, the first few cells."""
    counts: dict[str, int] = {}
    for run in runs:
        cell = run.rpartition(":")[0]
        counts[cell] = counts.get(cell, 0) + 1
    return some([f"{cell}:{many}" for cell, many in counts.items()], "cells")


def _text(value: Any) -> str:
    """Numbers with six digits, nothing where there is none, texts on one line."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return " ".join(str(value).split())
