"""The verdicts of a study's claims, which are many and are tested together.

All checks that decide a claim must hold, so the largest of their supporting p is the claim's
(Berger 1982); it is refuted by any one of them, so its refuting p is the smallest times their
number (Bonferroni). Both are adjusted over the study by Holm (1979, "A simple sequentially
rejective multiple test procedure"), each direction by itself: at 2.5 % a direction, 5 % for both.
The family is all claims that rest on a finding, run or not: none gains by what another one lost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paper_repro.claims.borders import (
    ALPHA,
    CONTRADICTED,
    INCONCLUSIVE,
    NOT_RUN,
    SUPPORTED,
)

DECIDES, PRECONDITION, BESIDE = "decides", "precondition", "beside"
FACT, FINDING = "fact", "finding"


@dataclass(frozen=True)
class Part:
    """What a check brings to its claim: a finding its two p values, a fact or a precondition
    whether it holds (None: open). `run`: some run of it has finished."""

    name: str
    kind: str  # fact or finding
    role: str = DECIDES
    support: float = 1.0
    refute: float = 1.0
    holds: bool | None = None
    run: bool = True


@dataclass(frozen=True)
class Decision:
    """A claim's verdict, the check that shows it, and p values (nan for facts) as they are and by
    Holm; `m` is the size of the family."""

    verdict: str
    deciding: str
    support: float
    refute: float
    holm_support: float
    holm_refute: float
    m: int
    note: str = ""

    @property
    def p_holm(self) -> float:
        """The adjusted p of the verdict's direction, of an open one the smaller."""
        of = {SUPPORTED: self.holm_support, CONTRADICTED: self.holm_refute}
        return of.get(self.verdict, min(self.holm_support, self.holm_refute))


def holm(p: Sequence[float], m: int | None = None) -> list[float]:
    """Holm's step-down adjusted p values, in the order given, of a family of `m` (at least as many
    as are given, which is what it is without `m`); those not given have p = 1."""
    m = len(p) if m is None else m
    if m < len(p) or any(math.isnan(value) for value in p):
        raise ValueError(f"{len(p)} p values, none of them nan, in a family of {m}")
    adjusted, running = [1.0] * len(p), 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        running = max(running, min(1.0, (m - rank) * p[i]))
        adjusted[i] = running
    return adjusted


def claim_p(parts: Sequence[Part]) -> tuple[float, float]:
    """Supporting and refuting p of a claim. Both are 1 where a precondition does not hold; a fact
    counts as 0 or, failing or open, as 1 for support, and not at all for refutation."""
    if any(part.role == PRECONDITION and not part.holds for part in parts):
        return 1.0, 1.0
    deciding = [part for part in parts if part.role == DECIDES]
    findings = [part.refute for part in deciding if part.kind == FINDING]
    support = max((_support(part) for part in deciding), default=1.0)
    return support, min(1.0, len(findings) * min(findings, default=1.0))


def family_size(claims: Mapping[str, Sequence[Part]]) -> int:
    """How many claims rest on a finding."""
    return sum(map(_rests_on_findings, claims.values()))


def decide(claims: Mapping[str, Sequence[Part]], alpha: float = ALPHA) -> dict[str, Decision]:
    """The decision on every claim of a study, by id, from its checks in their order.

    ValueError for a claim that no check decides.
    """
    tested = [name for name, parts in claims.items() if _rests_on_findings(parts)]
    pairs = [claim_p(claims[name]) for name in tested]
    m = len(tested)
    adjusted = [holm([pair[side] for pair in pairs], m) for side in (0, 1)]
    nothing = (math.nan,) * 4
    p = {
        name: (*pair, support, refute)
        for name, pair, support, refute in zip(tested, pairs, *adjusted, strict=True)
    }
    return {name: _decide(parts, p.get(name, nothing), m, alpha) for name, parts in claims.items()}


def _decide(
    parts: Sequence[Part], p: tuple[float, float, float, float], m: int, alpha: float
) -> Decision:
    deciding = [part for part in parts if part.role == DECIDES]
    if not deciding:
        raise ValueError("a claim needs a check that decides")
    findings = [part for part in deciding if part.kind == FINDING]

    def decision(verdict: str, by: Part, note: str = "") -> Decision:
        return Decision(verdict, by.name, *p, m=m, note=note)

    if not any(part.run for part in deciding):
        return decision(NOT_RUN, deciding[0])
    for part in parts:
        if part.role == PRECONDITION and not part.holds:
            state = "open" if part.holds is None else "not met"
            return decision(INCONCLUSIVE, part, f"precondition {part.name} is {state}")
    for part in deciding:
        if part.kind == FACT and part.holds is False:
            return decision(CONTRADICTED, part)
    hardest = max(deciding, key=_support)
    weakest = min(findings, key=lambda part: part.refute, default=hardest)
    if not findings:
        return decision(SUPPORTED if _support(hardest) == 0 else INCONCLUSIVE, hardest)
    support, refute, holm_support, holm_refute = p
    if holm_support < alpha:
        return decision(SUPPORTED, max(findings, key=_support))
    if holm_refute < alpha:
        return decision(CONTRADICTED, weakest)
    if support < alpha:
        note = f"supported alone, not by Holm among {m} claims (p = {holm_support:.2g})"
        return decision(INCONCLUSIVE, max(findings, key=_support), note)
    if weakest.refute < alpha:
        among = f"{len(findings)} checks" if refute >= alpha else f"{m} claims"
        by = "the correction" if refute >= alpha else "Holm"
        reached = refute if refute >= alpha else holm_refute
        note = f"{weakest.name} contradicts alone, not by {by} among {among} (p = {reached:.2g})"
        return decision(INCONCLUSIVE, weakest, note)
    return decision(INCONCLUSIVE, next(part for part in deciding if _support(part) >= alpha))


def _rests_on_findings(parts: Sequence[Part]) -> bool:
    return any(part.role == DECIDES and part.kind == FINDING for part in parts)


def _support(part: Part) -> float:
    """A fact that holds has p = 0, and one that fails or is open 1."""
    if part.kind == FINDING:
        return part.support
    return 0.0 if part.holds else 1.0
