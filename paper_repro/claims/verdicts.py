"""Verdicts: every claim of a study judged by machine from its rows.

A study's claims.yaml fixes beforehand what decides each claim:

- `id`, `statement`, `source`, `by` (whose claim: paper or ours), `figure` (one or more to look at);
- `checks`, each with a `name`, the rows it looks at (`select`, `versus`, `pairing`, `units`,
  `span`: see `selection.sample`), a `statistic` (`checks.FUNCTIONS`) and a `rule`: one region
  (`below`, `above`, `within`, `outside`) and, where the statistic asks for them, `at_least` or
  `at_most` so many `of` a fixed number, `seeds` (the fewest that may decide) and `x` (abscissa of
  a slope; setting of which a minimax takes the best one for all units, as if tuned once);
  where the pairing is reach, which values are `better` (lower or higher);
- a check may be `tuned`: {`over` a parameter, by `metric`, on the rows of `select`, `best` lowest
  or highest}; of cells that differ in that parameter alone, only the one best on validation data
  counts (`tuning.chosen`);
- `given` excepts runs by a rule: those count for which another selection's number, at the same
  units and seed, passes a filter; `crossing` splits training curves where a run first gets below a
  number, for `progress: before` and `after`; `along` compares with a curve through the other
  side's runs, by interpolation at one's own x (`selection.sample`);
- a check with `supports_only: true` compares bounds: what it does not support it leaves open;
- of a claim whose check with `condition: true` is not supported nothing is decided: without it the
  others mean nothing;
- of two sides the `pairing` is always said, and some column of both tells their rows apart;
- some cell of the grid has what a check selects, at one tier or another, and a row at its
  `progress` or `step`; one of runs longer than any tier's says `beyond_tiers: true`;
- a count of more values or units than its `of` decides nothing;
- a check with `decides: false` is reported with its verdict and does not count for the claim's;
- `coordinates`: the names under which rows carry coordinates, so that a typo is found.

A check is supported, contradicted, inconclusive, or not run. p values are adjusted by Holm within
the study before a verdict that rests on one counts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from paper_repro import atomic, registry
from paper_repro.claims import names as claim_names
from paper_repro.claims.checks import (
    CONTRADICTED,
    FUNCTIONS,
    INCONCLUSIVE,
    NOT_RUN,
    SUPPORTED,
    Finding,
)
from paper_repro.claims.selection import Sample, sample
from paper_repro.claims.statistics import ALPHA, holm
from paper_repro.claims.wording import describe
from paper_repro.results import overwriting
from paper_repro.results.files import csv_text
from paper_repro.results.frames import Results, load

CLAIM_COLUMNS = (
    *("study", "claim", "statement", "source", "rule", "estimate", "ci_low", "ci_high"),
    *("p_value", "n", "verdict", "figure", "runs", "p_holm", "by", "tier", "note"),
)
SHOWN = 4  # cells, gaps and checks that a row names before it only counts them


def judge_study(study: str, root: Path, out: Path) -> None:
    """Write the verdicts of a study's claims on the rows under `root` to the CSV file `out`.
    UserError if that holds something else than verdicts."""
    overwriting.check_csv(out, CLAIM_COLUMNS)
    found = evaluate(load(root), study, registry.STUDIES / study)
    records = [[_text(row[name]) for name in CLAIM_COLUMNS] for row in found.to_dict("records")]
    atomic.write_text(out, csv_text(CLAIM_COLUMNS, records))


def evaluate(results: Results, study: str, folder: Path) -> pd.DataFrame:
    """One row per claim and, where a claim has several checks, one per check (``B11.mean``)
    before it. `folder` holds claims.yaml and, if a check compares with it, reported.csv."""
    claims = claim_names.read(folder / "claims.yaml", study)["claims"]
    pairs = [(claim, check) for claim in claims for check in claim["checks"]]
    judged = [_judge(results, study, check, folder / "reported.csv") for _, check in pairs]
    adjusted = holm([finding.p for finding, _ in judged])
    decided = [
        (_after_holm(finding, p), p, used)
        for (finding, used), p in zip(judged, adjusted, strict=True)
    ]
    rows: list[dict[str, Any]] = []
    for claim in claims:
        parts = [part for (owner, _), part in zip(pairs, decided, strict=True) if owner is claim]
        alone = len(parts) == 1
        for check, (finding, p, used) in zip(claim["checks"], parts, strict=True):
            name = claim["id"] if alone else f"{claim['id']}.{check['name']}"
            numbers = {"rule": describe(check), "p_holm": p, **_columns(finding)}
            rows.append(_row(study, claim, name, numbers, [used]))
        if not alone:
            found = {
                check["name"]: finding.verdict
                for check, (finding, _, _) in zip(claim["checks"], parts, strict=True)
            }
            verdicts = _deciding(claim, found)
            whole: dict[str, Any] = {
                "rule": f"all of {', '.join(verdicts)}",
                "verdict": combined(claim, found),
                "note": _summary(verdicts),
            }
            whole["n"] = max(finding.n for finding, _, _ in parts)
            rows.append(_row(study, claim, claim["id"], whole, [used for _, _, used in parts]))
    return pd.DataFrame(rows, columns=CLAIM_COLUMNS)


def combined(claim: Mapping[str, Any], verdicts: Mapping[str, str]) -> str:
    """Verdict of a claim of several checks from theirs, by name."""
    return combine(list(_deciding(claim, verdicts).values()), _conditions(claim, verdicts))


def _deciding(claim: Mapping[str, Any], verdicts: Mapping[str, str]) -> dict[str, str]:
    return {c["name"]: verdicts[c["name"]] for c in claim["checks"] if c.get("decides", True)}


def combine(verdicts: list[str], conditions: Sequence[str] = ()) -> str:
    """Verdict of a claim from those of its checks, of which `conditions` must be supported."""
    if len(set(verdicts)) == 1 and (not conditions or verdicts[0] != CONTRADICTED):
        return verdicts[0]
    if CONTRADICTED in verdicts and all(verdict == SUPPORTED for verdict in conditions):
        return CONTRADICTED
    return INCONCLUSIVE


def _conditions(claim: Mapping[str, Any], verdicts: Mapping[str, str]) -> list[str]:
    named = [check["name"] for check in claim["checks"] if check.get("condition")]
    return [verdicts[name] for name in named]


def _summary(verdicts: Mapping[str, str]) -> str:
    """The verdict of each check, or, of many, how many have which: "5 of 9 supported, 4 ..."."""
    if len(verdicts) <= SHOWN:
        return "; ".join(f"{name} {verdict}" for name, verdict in verdicts.items())
    found = Counter(verdicts.values())
    kinds = (CONTRADICTED, INCONCLUSIVE, NOT_RUN)
    others = [f"{found[kind]} {kind}" for kind in kinds if found[kind]]
    return ", ".join([f"{found[SUPPORTED]} of {len(verdicts)} {SUPPORTED}", *others])


def _judge(
    results: Results, study: str, check: Mapping[str, Any], reported: Path
) -> tuple[Finding, Sample]:
    used = sample(results, study, check, reported)
    if used.rows.empty:
        note = "" if used.gaps or used.left_out else _absent(results, study, check["select"])
        finding = Finding(NOT_RUN, note=note)
    else:
        finding = FUNCTIONS[check["statistic"]](used, check["rule"])
    if check.get("supports_only") and finding.verdict == CONTRADICTED:
        note = _joined(finding.note, "bounds overlap, which decides nothing")
        finding = replace(finding, verdict=INCONCLUSIVE, p=math.nan, note=note)
    if used.left_out:
        left = _some(used.left_out, "units")
        finding = replace(finding, note=_joined(finding.note, f"excluded by rule: {left}"))
    if used.gaps:
        gaps = _some(used.gaps, "runs")
        finding = replace(finding, note=_joined(finding.note, f"missing or diverged: {gaps}"))
    return finding, used


def _absent(results: Results, study: str, select: Mapping[str, Any]) -> str:
    """Why a selection is empty: where its experiment has run, a metric that no row has is named."""
    experiment, metric = select["experiment"], select["metric"]
    if len(results.frame(study, experiment)) and not len(results.frame(study, experiment, metric)):
        return f"{experiment} has run, but no row of it has metric {metric}"
    return "no such rows at this tier"


def _after_holm(finding: Finding, p: float) -> Finding:
    """A decision that rests on a p value must survive its adjustment."""
    decided = finding.verdict in (SUPPORTED, CONTRADICTED)
    if decided and not math.isnan(p) and p >= ALPHA:
        note = f"{finding.verdict} alone, not after Holm's correction"
        return replace(finding, verdict=INCONCLUSIVE, note=_joined(finding.note, note))
    return finding


def _columns(finding: Finding) -> dict[str, Any]:
    return {
        "estimate": finding.estimate,
        "ci_low": finding.low,
        "ci_high": finding.high,
        "p_value": finding.p,
        "n": finding.n,
        "verdict": finding.verdict,
        "note": finding.note,
    }


def _row(
    study: str,
    claim: Mapping[str, Any],
    name: str,
    found: Mapping[str, Any],
    used: Sequence[Sample],
) -> dict[str, Any]:
    """A row of claims.csv; `runs` lists the cells behind it as ``cell:runs``."""
    counts: dict[str, int] = {}
    for cell, runs in (pair for part in used for pair in part.cells):
        counts[cell] = max(runs, counts.get(cell, 0))
    return {
        **dict.fromkeys(CLAIM_COLUMNS, math.nan),
        "study": study,
        "claim": name,
        **{key: claim[key] for key in ("statement", "source", "by", "figure")},
        **found,
        "runs": _some([f"{cell}:{runs}" for cell, runs in counts.items()], "cells"),
        "tier": " ".join(sorted({tier for part in used for tier in part.tiers})),
    }


def _some(names: Sequence[str], what: str) -> str:
    more = f" +{len(names) - SHOWN} {what}" if len(names) > SHOWN else ""
    return " ".join(names[:SHOWN]) + more


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _text(value: Any) -> str:
    """Numbers with six digits, nothing where there is none, texts on one line."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return " ".join(str(value).split())
