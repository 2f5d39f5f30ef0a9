"""What must go together in a check of a claims.yaml, beyond its schema and the names it mentions.

A rule that means nothing to its statistic, a comparison without a pairing or of rows with
themselves would still give a verdict. Imports neither torch nor pandas, so that the workflow checks
claims before anything trains.
"""

from __future__ import annotations

import math
from typing import Any

from paper_repro.claims.check import FACT, Check, Claim
from paper_repro.errors import UserError, quoted
from paper_repro.results.row_names import equal, within

REGIONS = frozenset({"below", "above", "within", "outside"})
WITH_ERROR = frozenset({"equals", "differs"})
WITH_MARGIN = frozenset({"superior", "not_worse", "equivalent"})
NUMBERS = frozenset({"below", "above"})
SHARED = ("seed", "tier", "steps")  # by partners, whatever the units: see `selection.COMMON`


def check_claim(claim: Claim) -> None:
    """UserError unless something decides the claim and its checks make sense."""
    where = f"{claim.study}/claims.yaml: {claim.id}"
    if not claim.required:
        raise UserError(f"{where}: decides: none of its checks decides")
    for check in claim.checks:
        check_rule(check)
        _check_numbers(check)
        _check_span(check)
        _check_pair(check)


def check_rule(check: Check) -> None:
    """The rule's keys are those that its kind and statistic need."""
    where, rule = check.where, check.rule
    if check.precondition:
        allowed, forms = {"within"}, {"within"}
        if check.statistic != "every":
            raise UserError(f"{where}: a precondition is asked of every pair: no statistic")
        if not check.decides:
            raise UserError(f"{where}: a precondition decides: no decides: false")
    elif check.kind == FACT:
        allowed = forms = {*REGIONS, *WITH_ERROR}
        if check.statistic != "every":
            raise UserError(f"{where}: a fact is asked of every value: no statistic")
        if check.error == check.select["metric"]:
            raise UserError(f"{where}: error: {check.error} is no error of itself")
        if bool(check.error) != bool(WITH_ERROR & rule.keys()):
            raise UserError(f"{where}: error goes with equals and differs, and they with it")
        if check.of is None and not isinstance(check.units, dict) and not check.sample:
            what = "how many values a planned run has, or units with their values"
            raise UserError(f"{where}: a fact needs of, {what}")
    elif check.statistic == "every":
        raise UserError(
            f"{where}: statistic: 'every' has no error rate where seeds are noisy; a finding has "
            "mean, all, at_least or count"
        )
    elif check.statistic == "count":
        forms = {*REGIONS} - {"outside"}
        allowed = {*forms, "share"}
        if "share" not in rule:
            raise UserError(f"{where}: 'count' needs rule key 'share'")
    else:
        forms = {*WITH_MARGIN, *NUMBERS}
        allowed = {*forms, "margin"}
        if check.statistic == "at_least":
            allowed.add("at_least")
            if "at_least" not in rule:
                raise UserError(f"{where}: 'at_least' needs rule key 'at_least'")
    if odd := sorted(rule.keys() - allowed):
        what = "precondition" if check.precondition else f"{check.kind} of {check.statistic!r}"
        raise UserError(f"{where}: rule key {odd[0]!r} means nothing to a {what}")
    if len(forms & rule.keys()) != 1:
        raise UserError(f"{where}: a rule names one of {', '.join(sorted(forms))}")
    if bool(WITH_MARGIN & rule.keys()) != ("margin" in rule):
        raise UserError(f"{where}: margin goes with {', '.join(sorted(WITH_MARGIN))}")
    if "margin" in rule and not check.why.strip():
        raise UserError(f"{where}: a margin needs why: why this much matters")


def _check_numbers(check: Check) -> None:
    """Intervals run upwards, counts fit into what they count, and lists name a value once."""
    where, rule = check.where, check.rule
    for name in ("within", "outside"):
        if name in rule and not rule[name][0] < rule[name][1]:
            raise UserError(f"{where}: rule.{name}: {rule[name]} does not run upwards")
    if "at_least" in rule and isinstance(check.of, int) and rule["at_least"] > check.of:
        raise UserError(f"{where}: rule.at_least: {rule['at_least']} is more than of, {check.of}")
    sides = {"select": check.select, "versus": check.versus or {}}
    if check.tuned:
        sides["tuned.select"] = check.tuned["select"]
    for side, filters in sides.items():
        for column, wanted in filters.items():
            if isinstance(wanted, dict):
                if wanted.get("min", -math.inf) > wanted.get("max", math.inf):
                    raise UserError(f"{where}: {side}.{column}: min is above max")
            elif isinstance(wanted, list):
                _check_once(wanted, f"{where}: {side}.{column}")
    if odd := {"seed", "tier"} & set(check.columns):
        raise UserError(
            f"{where}: units: {sorted(odd)[0]} is no unit; the seed is what is repeated"
        )
    if isinstance(check.units, dict):
        for column, values in check.units.items():
            _check_once(values, f"{where}: units.{column}")
            if column in check.select and not any(
                not _apart(column, value, check.select[column]) for value in values
            ):
                raise UserError(f"{where}: units.{column}: select has none of its values")


def _check_once(values: Any, where: str) -> None:
    for place, value in enumerate(values):
        if any(equal(value, other) for other in values[:place]):
            raise UserError(f"{where}: {quoted(value)} is there twice")


def _check_span(check: Check) -> None:
    """A span is a stretch of a curve: {min, max} of `progress`, on either side of a pair."""
    if not check.span:
        return
    sides = check.other
    if sides.get("kind") == "final":
        raise UserError(f"{check.where}: span looks at a stretch of a curve; no final rows")
    if not isinstance(sides.get("progress", {}), dict):
        raise UserError(f"{check.where}: span needs progress as {{min, max}}")


def _check_pair(check: Check) -> None:
    """Two sides are paired in a way that is said, and no row is on both of them."""
    where, versus = check.where, check.versus
    if versus is None:
        if check.pairing and not check.sample:
            raise UserError(f"{where}: pairing {check.pairing!r} needs versus")
        return
    if not check.pairing and not check.sample:
        raise UserError(f"{where}: versus needs pairing, one of difference, log_ratio, ratio")
    if check.pairing == "ratio" and not (check.kind == FACT or check.precondition):
        raise UserError(
            f"{where}: pairing: means of raw ratios are not taken; 'log_ratio', margins in logs"
        )
    if "reported" in versus:
        if others := sorted(k for k, v in versus.items() if k != "reported" and v is not None):
            raise UserError(f"{where}: versus.{others[0]}: reported stands alone")
        return
    mine = {"kind": "curve" if check.span else "final", **check.select}
    theirs = {"kind": mine["kind"], **check.other}
    columns = mine.keys() & theirs.keys()
    if not any(_apart(column, mine[column], theirs[column]) for column in columns):
        raise UserError(
            f"{where}: versus: rows of select are on that side too; some column of both must tell "
            "them apart, or they are compared with themselves"
        )
    shared = [*check.columns, *(() if "experiment" in versus else SHARED)]
    for column in shared:
        if column in versus and column in columns and _apart(column, mine[column], theirs[column]):
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
