"""Verdicts as a reader is shown them: lines of claims.csv in words, for report, README and plan.

What a claim shows is the check that decides it: the claim's line repeats the numbers of that check
and names it under ``deciding``. A fact holds or fails; a finding is supported, contradicted or
inconclusive, and says over how many seeds (docs/verdicts.md). All entries are texts, as in the
file; columns are those of `claims.verdicts.CLAIM_COLUMNS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from paper_repro.claims.robustness import HELD, STATED

Row = Mapping[Any, Any]  # a text by the name of its column, as pandas types it

ABSENT = "\N{EN DASH}"
SYMBOLS = {"supported": "✓", "contradicted": "✗", "inconclusive": "?", "not run": ABSENT}
OF_FACTS = {"supported": "holds", "contradicted": "fails"}
DETAILS = ("decides: ", "excepted by rule")  # parts of a note that leave nothing undecided
WITHOUT_SEED = "without seed "  # as rules of tables/robustness.csv begin that leave a seed out


def word(row: Row) -> str:
    """The verdict of a claim or check in its own words."""
    verdict = str(row["verdict"])
    return OF_FACTS.get(verdict, verdict) if row["kind"] == "fact" else verdict


def badge(row: Row) -> str:
    """What stands behind the numbers of a check: ``identity checked``, ``replicated over 3 seeds``;
    "" where nothing was decided by an identity, or nothing was run."""
    if row["role"] == "precondition":
        return ""
    if row["kind"] == "fact":
        return "identity checked" if row["verdict"] in OF_FACTS else ""
    seeds = row["n"]
    if seeds == "1":
        return "one seed, not replicated"
    return f"replicated over {seeds} seeds" if seeds not in ("", "0") else ""


def estimate(row: Row) -> str:
    """``-0.27 [-0.31, -0.23] nats/image``; without an interval where there is none."""
    if not row["estimate"]:
        return ABSENT
    low, high = row["ci_low"], row["ci_high"]
    interval = f" [{short(low)}, {short(high)}]" if low and high else ""
    unit = f" {row['unit']}" if row["unit"] not in ("", "1") else ""
    return short(row["estimate"]) + interval + unit


def short(number: str) -> str:
    """Three digits of a number; "" for none."""
    return f"{float(number):.3g}" if number else ""


def decided(row: Row, checks: Sequence[Row]) -> str:
    """What decides a claim, in one line: ``drop: -0.27 [-0.31, -0.23] nats, n = 3: reversed``.
    The check is named where the claim has several."""
    if row["verdict"] == "not run":
        return row["note"] or ABSENT
    name = f"{row['deciding']}: " if row["deciding"] and len(checks) > 1 else ""
    measured = f"{estimate(row)}, n = {row['n']}" if row["estimate"] else ""
    return name + ": ".join(part for part in (measured, words(row, checks)) if part)


def words(row: Row, checks: Sequence[Row]) -> str:
    """The verdict of a claim in words: those of the check that decides it, of a fact its rule;
    where nothing could be decided, or a clear check does not make a clear claim, why."""
    by = decider(row, checks)
    if by["role"] == "precondition":
        return by["words"] or row["note"].partition("; ")[0]
    if row["verdict"] == "inconclusive" and by["verdict"] in OF_FACTS:
        return row["note"].partition("; ")[0].removeprefix(f"{row['deciding']} ")
    if row["verdict"] == "inconclusive" and by["p_support"] == by["p_refute"] == "1":
        parts = (part for part in by["note"].split("; ") if not part.startswith(DETAILS))
        if why := next(parts, "").partition(":")[0]:  # the runs are named in the note
            return why
    return by["rule"].rpartition(": ")[2] if by["kind"] == "fact" else row["words"]


def checks_of(row: Row, rows: Iterable[Row]) -> list[Row]:
    """The checks of a claim, in the order of the file."""
    return [r for r in rows if r["check"] and r["claim"] == row["claim"]]


def decider(row: Row, checks: Sequence[Row]) -> Row:
    """The check that decides a claim; the claim itself where it names none."""
    return next((check for check in checks if check["check"] == row["deciding"]), row)


def tally(claims: Iterable[Row]) -> str:
    """``5 facts: 4 hold, 1 fails; 9 findings: 6 supported, 3 inconclusive``, of claims' lines."""
    found = list(claims)
    return "; ".join(
        f"{len(own)} {kind if len(own) == 1 else kind + 's'}: {_counts(own)}"
        for kind in ("fact", "finding")
        if (own := [row for row in found if row["kind"] == kind])
    )


def _counts(claims: Sequence[Row]) -> str:
    parts = []
    for verdict in SYMBOLS:
        if own := [row for row in claims if row["verdict"] == verdict]:
            several = {"holds": "hold", "fails": "fail"} if len(own) > 1 else {}
            said = word(own[0])
            parts.append(f"{len(own)} {several.get(said, said)}")
    return ", ".join(parts)


def registration(claims: Iterable[Row]) -> str:
    """Whether the rules were fixed before the runs, as far as the runs of the `claims` prove it."""
    found = Counter(row["registered"] for row in claims if row["registered"])
    if not (known := sum(found.values())):
        return "No claim rests on a run yet."
    if found["before"] == known:
        return (
            "Every rule and margin was fixed before the runs that it judges; they carry its hash."
        )
    if found["unknown"] == known:
        return (
            f"When the rules were fixed is on no record: the runs of all {known} claims have none."
        )
    said = f"Fixed before the runs, on record, are the rules of {found['before']} of {known} claims"
    if found["after"]:
        said += f"; {found['after']} are judged by a rule that changed after their runs"
    if found["unknown"]:
        said += f"; the runs of {found['unknown']} carry no record of the rules of their time"
    return f"{said}."


def power(row: Row) -> str:
    """What n and spread of a finding would have detected, and the seeds that it needs."""
    if not row["detects"]:
        return ""
    unit = f" {row['unit']}" if row["unit"] not in ("", "1") else ""
    said = (
        f"This n and spread detect, with 80 % power, {short(row['detects'])}{unit} beyond a border"
    )
    if row["detects_holm"]:
        said += f" ({short(row['detects_holm'])} after Holm's correction)"
    if row["verdict"] == "inconclusive" and row["seeds_needed"] not in ("", "inf"):
        said += f"; an effect as observed needs {row['seeds_needed']} seeds"
    return f"{said}."


def robustness(verdict: str, by_rule: Mapping[str, str]) -> str:
    """How far a `verdict` hangs on its rules, from the verdicts `by_rule` (`claims.robustness`):
    ``supported under 11 of 12 other rules; hangs on seed 2; held from 3 seeds on``."""
    others = {rule: found for rule, found in by_rule.items() if rule not in (STATED, HELD)}
    if not others:
        return ""
    astray = [rule for rule, found in others.items() if found != verdict]
    seeds = [rule.removeprefix(WITHOUT_SEED) for rule in astray if rule.startswith(WITHOUT_SEED)]
    said = f"{verdict} under {len(others) - len(astray)} of {len(others)} other rules"
    if seeds:
        left_out = [rule for rule in others if rule.startswith(WITHOUT_SEED)]
        which = "every seed" if len(seeds) == len(left_out) else f"seed {', '.join(seeds)}"
        said += f"; hangs on {which}"
    if rules := [rule for rule in astray if not rule.startswith(WITHOUT_SEED)]:
        said += f"; not under: {', '.join(rules)}"
    return said + (f"; held from {by_rule[HELD]} seeds on" if HELD in by_rule else "")
