"""What must go together in a check of a claims.yaml, beyond its schema and the names it mentions.

A rule that means nothing to its statistic, a comparison without a pairing or of rows with
themselves would still give a verdict. Imports neither torch nor pandas, so that the workflow checks
claims before anything trains; `verdicts` explains the keys, `checks` holds the statistics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paper_repro.errors import UserError, quoted
from paper_repro.results.row_names import equal, within

REGIONS = {"below", "above", "within", "outside"}
BOUNDS = frozenset({"at_least", "at_most"})
PAIRINGS = ("difference", "ratio", "log_ratio", "reach")
SHARED = ("seed", "tier", "steps")  # by partners, whatever the units: see `selection.COMMON`


@dataclass(frozen=True)
class Statistic:
    """How to say the rule of a statistic, and the keys it needs and allows beside a region.

    `words` may name {region}, {bound} ("at least 8 of 10"), {x} and {interval}.
    """

    words: str
    needs: frozenset[str] = frozenset()
    allows: frozenset[str] = frozenset()


STATISTICS = {
    "every": Statistic("every value {region}"),
    "count": Statistic("{bound} values {region}", frozenset({"of"}), BOUNDS),
    "significant": Statistic(
        "{bound} units with their {interval} {region}", frozenset({"of"}), BOUNDS | {"seeds"}
    ),
    "mean": Statistic("mean {region} ({interval})", allows=frozenset({"of", "seeds"})),
    "each": Statistic(
        "mean of every unit {region} ({interval})", allows=frozenset({"of", "seeds"})
    ),
    "slope": Statistic(
        "exponent in {x} {region} ({interval})", frozenset({"x"}), frozenset({"seeds"})
    ),
    "minimax": Statistic(
        "largest over units at the best single {x} {region} ({interval})",
        frozenset({"x"}), frozenset({"of", "seeds"}),
    ),
}  # fmt: skip
# These look at every value, whatever unit it belongs to; the others need one per unit and seed.
COUNTING = {"every", "count"}


def check_deciding(claim: Mapping[str, Any], where: str) -> None:
    """Something must decide a claim, and what it is on condition of does."""
    decides = {check["name"]: check.get("decides", True) for check in claim["checks"]}
    if not any(decides.values()):
        raise UserError(f"{where}: decides: none of its checks decides")
    for check in claim["checks"]:
        if check.get("condition") and not decides[check["name"]]:
            place = f"{where}.{check['name']}"
            raise UserError(f"{place}: condition: goes with a check that decides alone")


def check_together(check: Mapping[str, Any], where: str) -> None:
    """What the schema cannot say: the rule's keys, and what goes together."""
    statistic, rule = check["statistic"], check["rule"]
    if len(REGIONS & rule.keys()) != 1:
        raise UserError(f"{where}: a rule names one of {', '.join(sorted(REGIONS))}")
    needs, allows = STATISTICS[statistic].needs, STATISTICS[statistic].allows
    extra = rule.keys() - REGIONS - {"better"}
    if odd := sorted(extra - needs - allows):
        raise UserError(f"{where}: rule key {odd[0]!r} means nothing to {statistic!r}")
    if lacking := sorted(needs - extra):
        raise UserError(f"{where}: {statistic!r} needs rule key {lacking[0]!r}")
    if allows >= BOUNDS and len(BOUNDS & extra) != 1:
        raise UserError(f"{where}: {statistic!r} needs one of at_least, at_most")
    held = check["select"].get(rule["x"]) if "x" in rule else None
    if held is not None and not isinstance(held, dict | list):
        raise UserError(f"{where}: rule.x: select holds {rule['x']!r} at {held!r}")
    _check_reach(check, where)
    _check_span(check, where)
    _check_along(check, where)
    _check_pair(check, where)


def _check_reach(check: Mapping[str, Any], where: str) -> None:
    """What pairing 'reach' requires and forbids, and `better`, which it alone takes."""
    if check.get("pairing") != "reach":
        if "better" in check["rule"]:
            raise UserError(f"{where}: rule key 'better' goes with pairing 'reach' alone")
        return
    if "better" not in check["rule"]:
        raise UserError(f"{where}: pairing 'reach' needs rule key 'better'")
    if "versus" not in check:
        raise UserError(f"{where}: pairing 'reach' needs versus")
    if {"kind", "progress", "step"} & check["select"].keys():
        raise UserError(f"{where}: pairing 'reach' looks at all of a curve; select no part of it")
    if check["statistic"] not in COUNTING:  # what never gets there has no mean
        raise UserError(
            f"{where}: pairing 'reach' goes with {', '.join(sorted(COUNTING))}, "
            f"not {check['statistic']!r}"
        )


def _check_span(check: Mapping[str, Any], where: str) -> None:
    """A span is a stretch of a curve: {min, max} of `progress`, on either side of a pair."""
    sides = {**check["select"], **check.get("versus", {})}
    split = isinstance(sides.get("progress"), str)
    if split != ("crossing" in check) or (split and "span" not in check):
        raise UserError(f"{where}: crossing, progress before or after, and span go together")
    if "span" not in check:
        return
    if check.get("pairing") == "reach" or sides.get("kind") == "final":
        raise UserError(f"{where}: span looks at a stretch of a curve; no reach, no final rows")
    if not (split or isinstance(sides.get("progress", {}), dict)):
        raise UserError(f"{where}: span needs progress as {{min, max}}")


def _check_along(check: Mapping[str, Any], where: str) -> None:
    """A curve has runs to go through, and a height may be infinite, which has no mean."""
    if "along" not in check:
        return
    if "versus" not in check or "reported" in check["versus"] or "pairing" in check:
        raise UserError(f"{where}: along needs versus, of our runs, and no pairing")
    if check["statistic"] not in COUNTING:
        raise UserError(f"{where}: along goes with {', '.join(sorted(COUNTING))}")


def _check_pair(check: Mapping[str, Any], where: str) -> None:
    """Two sides are paired in a way that is said, and no row is on both of them."""
    versus = check.get("versus")
    if versus is None:
        if "pairing" in check:
            raise UserError(f"{where}: pairing {check['pairing']!r} needs versus")
        return
    if "along" not in check and "pairing" not in check:
        raise UserError(f"{where}: versus needs pairing, one of {', '.join(PAIRINGS)}")
    if "reported" in versus:
        if others := sorted(versus.keys() - {"reported"}):
            raise UserError(f"{where}: versus.{others[0]}: reported stands alone")
        return
    mine = {"kind": "curve" if "span" in check else "final", **check["select"]}
    theirs = {**mine, **versus}
    if not any(_apart(column, mine[column], theirs[column]) for column in mine):
        raise UserError(
            f"{where}: versus: rows of select are on that side too; some column of both must tell "
            "them apart, or they are compared with themselves"
        )
    shared = [*check.get("units", []), *(() if "experiment" in versus else SHARED)]
    for column in shared:
        if column in versus and column in mine and _apart(column, mine[column], theirs[column]):
            raise UserError(
                f"{where}: versus.{column}: partners share their {column}, so rows of "
                f"{quoted(mine[column])} and {quoted(theirs[column])} are never paired"
            )


def _apart(column: str, one: Any, other: Any) -> bool:
    """Whether no value passes both filters. Stretches of a curve may touch: each is reduced."""
    if isinstance(one, dict) and isinstance(other, dict):
        low = max(side.get("min", -math.inf) for side in (one, other))
        high = min(side.get("max", math.inf) for side in (one, other))
        return low > high or (column == "progress" and low == high)
    if isinstance(one, dict):
        one, other = other, one
    values = one if isinstance(one, list) else [one]
    if isinstance(other, dict):
        return not any(within(value, other) for value in values)
    return not any(
        equal(value, theirs)
        for value in values
        for theirs in (other if isinstance(other, list) else [other])
    )
