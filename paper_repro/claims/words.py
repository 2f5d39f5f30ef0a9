"""A verdict in words: what was found of a border, as "a gain, but smaller than 0.5"."""

from __future__ import annotations

from collections.abc import Callable

from paper_repro.claims.borders import (
    CONTRADICTED,
    IDENTICAL,
    INCONCLUSIVE,
    NOT_RUN,
    SUPPORTED,
    Border,
    Outcome,
)
from paper_repro.claims.borders import verdict as alone


def words(outcome: Outcome, border: Border, verdict: str) -> str:
    """A verdict in words, as "a gain, but smaller than 0.5"; "" for a check that has not run."""
    if verdict == NOT_RUN:
        return ""
    if verdict == INCONCLUSIVE and outcome.note.startswith(IDENTICAL):
        return IDENTICAL
    by_itself = alone(outcome)
    if verdict == INCONCLUSIVE and by_itself != INCONCLUSIVE:  # withheld among many claims
        return f"{_WORDS[border.test](outcome, border, by_itself)}, judged alone"
    return _WORDS[border.test](outcome, border, verdict)


def _of_superiority(found: Outcome, border: Border, verdict: str) -> str:
    low, high = sorted((border.side * found.low, border.side * found.high))
    beyond = f" beyond {border.margin:g}" if border.margin else ""
    if verdict == SUPPORTED:
        return f"a gain, estimated at {border.margin:g} or more" if border.margin else "a gain"
    if verdict == CONTRADICTED:
        if high < 0:
            return "reversed"
        return f"a gain, but smaller than {border.margin:g}" if low > 0 else f"no gain{beyond}"
    return (
        f"a gain, but not surely one{beyond}" if low > 0 and beyond else f"a gain{beyond} is open"
    )


def _of_number(found: Outcome, border: Border, verdict: str) -> str:
    sides = {1: "above", -1: "below"}
    if verdict == INCONCLUSIVE:
        return f"not surely {sides[border.side]} {border.number:g}"
    return f"{sides[border.side if verdict == SUPPORTED else -border.side]} {border.number:g}"


def _of_noninferiority(found: Outcome, border: Border, verdict: str) -> str:
    worse = f"worse by more than {border.margin:g}" if border.margin else "worse"
    before = {SUPPORTED: "not ", CONTRADICTED: "", INCONCLUSIVE: "perhaps "}
    return before[verdict] + worse


def _of_equivalence(found: Outcome, border: Border, verdict: str) -> str:
    of = f" {border.number:g}" if border.number else " zero"
    if verdict == SUPPORTED:
        return f"within {border.margin:g} of{of}"
    if verdict == CONTRADICTED:
        side = "above" if found.estimate > border.number else "below"
        return f"more than {border.margin:g} {side}{of}"
    return f"not surely within {border.margin:g} of{of}"


_WORDS: dict[str, Callable[[Outcome, Border, str], str]] = {
    "superiority": _of_superiority,
    "number": _of_number,
    "noninferiority": _of_noninferiority,
    "equivalence": _of_equivalence,
}
