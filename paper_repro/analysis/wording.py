"""The rule of a check in words, made from the rule that is applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paper_repro.analysis.checks import BOUNDS, INTERVAL, STATISTICS, Region


def describe(check: Mapping[str, Any]) -> str:
    """Numbers, filters, statistic and region of a check in one line."""
    rule, select = check["rule"], check["select"]
    what = select["metric"]
    where = {n: v for n, v in select.items() if n not in {"experiment", "metric", "kind"}}
    where = {n: v for n, v in where.items() if n not in check.get("versus", {})}
    if where:
        what += f" [{', '.join(f'{name} {_words(value)}' for name, value in where.items())}]"
    if versus := check.get("versus"):
        sides = [_said(select, versus), _said(versus, versus)]
        over = "over" if check.get("pairing") == "ratio" else "minus"
        what = f"{what}{f' of {sides[0]}' if sides[0] else ''} {over} that of {sides[1]}"
    bound = "at least" if "at_least" in rule else "at most"
    bound += f" {rule.get('at_least', rule.get('at_most'))} of {rule.get('of')}"
    text = STATISTICS[check["statistic"]].words.format(
        region=Region.of(rule), bound=bound, x=rule.get("x"), interval=INTERVAL
    )
    if "of" in rule and not BOUNDS & rule.keys():
        text += f", {rule['of']} units"
    return f"{what}: {text}" + (f", at least {rule['seeds']} seeds" if "seeds" in rule else "")


def _words(value: Any) -> str:
    """A filter's value in words."""
    if isinstance(value, list):
        return " or ".join(map(str, value))
    if isinstance(value, dict):
        signs = {"min": ">=", "max": "<="}
        return " and ".join(f"{signs[end]} {bound:g}" for end, bound in value.items())
    return str(value)


def _said(filters: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {filters[name]}" for name in names if name in filters)
