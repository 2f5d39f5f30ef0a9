"""How many seeds a finding needs: from rows there are, published or of a pilot.

With the spread over seeds that was measured, the smallest effect that so many seeds would show in
four of five repetitions, and the seeds after which the margin, or the effect that was seen, would
be shown. An effect smaller than the margin must be within reach, or the margin decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paper_repro import grid, registry
from paper_repro.claims import check as claim_check
from paper_repro.claims import power
from paper_repro.claims.borders import ALPHA, Border, Outcome
from paper_repro.claims.check import FINDING, Check, family_size
from paper_repro.claims.judge import Judged, border_of, collected, judge, tests_in
from paper_repro.errors import UserError
from paper_repro.results.frames import load
from paper_repro.results.row_names import experiment


@dataclass(frozen=True)
class Need:
    """What a finding's check would take; `sd` is the spread over seeds of the unit that decides,
    NaN of a count."""

    check: Check
    m: int
    unit: str
    n: int
    sd: float
    margin: float
    as_seen: int | None  # the seeds that would find what was seen among the m claims

    def detects(self, n: int | None = None, m: int = 1) -> float:
        """The smallest effect that `n` seeds (those there are) find with 80 % power at 0.05/m."""
        return power.detectable(self.n if n is None else n, ALPHA / m) * self.sd

    def seeds(self, effect: float) -> int | None:
        """The seeds that find an effect among the m claims of the study."""
        return power.seeds_needed(effect / self.sd, ALPHA / self.m) if effect > 0 else None


def needs(study: str, root: Path) -> list[Need]:
    """The findings that decide claims of a study and have two seeds, from the rows under `root`."""
    folder = registry.STUDIES / study
    judged = judge(collected(load(root), study, folder))
    m = max(1, family_size([one.claim for one in judged]))
    return [need for one in judged for need in _needs(one, m)]


def _needs(one: Judged, m: int) -> Iterator[Need]:
    for evidence, found in zip(one.evidence, one.outcomes, strict=True):
        check = evidence.check
        counted = check.statistic == "count"
        tested = check.kind == FINDING and check.role == "decides" and found.n > 1
        sd = math.nan if counted else power.spread(found)
        if tested and (counted or (sd > 0 and math.isfinite(sd))):
            border = border_of(check)
            alpha = ALPHA / m / tests_in(evidence, found, one.claim.findings)
            needed = power.seeds_as_seen(found, border, counted, alpha)
            unit = "share of seeds" if counted else evidence.of.removeprefix("1")
            yield Need(check, m, unit, found.n, sd, border.margin, needed)


def lines(studies: Iterable[str], root: Path) -> Iterator[str]:
    """The findings of studies and the seeds they need, as the command prints them."""
    for study in studies:
        found = needs(study, _part(root, study))
        m = found[0].m if found else 0
        yield f"{study}: {len(found)} checks of findings have numbers; {m} claims rest on findings"
        if not found:
            continue
        yield (
            f"  {'check':<44} {'seeds':>5} {'sd':>9} {'finds':>9} {'of m':>9} {'margin':>9} "
            f"{'for it':>6} {'as seen':>7}  unit"
        )
        for need in found:
            name = f"{need.check.claim}.{need.check.name}"
            yield (
                f"  {name:<44} {need.n:>5} {_or_none(need.sd):>9} {_or_none(need.detects()):>9} "
                f"{_or_none(need.detects(m=m)):>9} {_or_none(need.margin):>9} "
                f"{_count(need.seeds(need.margin)) if need.margin else '-':>6} "
                f"{_count(need.as_seen):>7}  {need.unit}"
            )
    yield (
        "seeds, sd: those there are and their spread. finds: the smallest effect found in four of "
        "five repetitions at 0.05, and at 0.05 over the m claims. for it, as seen: the seeds after "
        "which an effect as large as the margin, or as that seen, would be found among the m claims"
    )


def warnings(rows: Iterable[Mapping[Any, Any]], study: str, tier: str) -> Iterator[str]:
    """One line per finding whose margin is below what the seeds of a tier could find, judging by
    the spread behind the intervals in `rows` of a claims.csv."""
    found = {(row["claim"], row["check"]): row for row in rows if row["study"] == study}
    claims = claim_check.read(registry.STUDIES / study / "claims.yaml", study)
    m = max(1, family_size(claims))
    for check in (check for claim in claims for check in claim.required):
        row = found[check.claim, check.name]
        if check.kind != FINDING or check.statistic == "count" or not row["ci_low"]:
            continue
        mean, low, high = (float(row[name]) for name in ("estimate", "ci_low", "ci_high"))
        outcome = Outcome(mean, low, high, support=1.0, refute=1.0, n=int(row["n"]))
        border, sd, n = Border.of(check.rule), power.spread(outcome), _seeds(check, tier)
        unit = "" if row["unit"] == "1" else row["unit"]
        need = Need(check, m, unit, outcome.n, sd, border.margin, None)
        if n and sd > 0 and need.margin and (least := need.detects(n)) > need.margin:
            shown = f"{least:.3g} {unit}".strip()
            yield (
                f"{check.claim}.{check.name}: {n} seeds find effects from {shown} on; its margin "
                f"is {need.margin:g} ({_count(need.seeds(need.margin))} seeds would find it)"
            )


def _seeds(check: Check, tier: str) -> int:
    """The seeds that a tier plans for a check; 0 where it plans none of it."""
    cells = experiment(check.study, check.select["experiment"]).check_cells(
        check.select, check.where, check.beyond_tiers
    )
    return min((len(c["seed"]) for c in cells if c["tier"] == [tier]), default=0)


def _part(root: Path, study: str) -> Path:
    """The folder that holds a study's tables."""
    if study not in grid.folders():
        raise UserError(f"{study}: no such study")
    inside = root / "studies" / study
    return inside if (inside / "runs.csv").is_file() else root


def _count(seeds: int | None) -> str:
    return "many" if seeds is None else str(seeds)


def _or_none(number: float) -> str:
    return f"{number:.3g}" if number and not math.isnan(number) else "-"
