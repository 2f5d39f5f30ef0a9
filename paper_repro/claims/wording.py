"""The rule of a check in words, made from the rule that is applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paper_repro.claims.check import FACT, Check

INTERVAL = "95 % t interval over seeds"
OVER = {"difference": "minus", "log_ratio": "over", "ratio": "over"}


def describe(check: Check) -> str:
    """Numbers, filters, statistic and rule of a check in one line."""
    text = f"{_what(check)}: {_rule(check)}"
    if check.settled:
        rule = check.settled
        text += (
            f", once {rule['metric']} has settled (by {100 * rule['within']:g} % over the last "
            f"{100 * rule['last']:g} % of the run)"
        )
    return text + (f", {_tuning(check.tuned)}" if check.tuned else "")


def _what(check: Check) -> str:
    select, versus = check.select, check.versus or {}
    what, said = select["metric"], {"experiment", "metric", "kind"}
    if check.span:
        what, said = _spanned(what, check.span, select.get("progress")), {*said, "progress"}
    where = {n: v for n, v in select.items() if n not in said and n not in versus}
    if where:
        what += f" [{_list(where)}]"
    if versus:
        mine, theirs = _side(select, versus), _side(versus, versus)
        what += f" of {mine}" if mine else ""
        what += f" {OVER.get(check.pairing, 'against')} that of {theirs}"
        what = f"log of {what}" if check.pairing == "log_ratio" else what
    if check.sample:
        what = f"{check.sample.replace('_', ' ')} of {what}"
    return what


def _rule(check: Check) -> str:
    rule = check.rule
    if check.precondition:
        return f"every pair {_region(rule)}, or nothing is decided"
    if check.kind == FACT:
        if "equals" in rule:
            return f"every value within 6 standard errors ({check.error}) of {rule['equals']:g}"
        if "differs" in rule:
            return f"every value beyond 6 standard errors ({check.error}) of {rule['differs']:g}"
        return f"every value {_region(rule)}"
    if check.statistic == "count":
        every = f" in every {_units(check)}" if check.units else ""
        share = f"more than {100 * rule['share']:g} % of seeds"
        return f"{share} {_region(rule)}{every} (exact binomial test)"
    units = _units(check)
    what = {
        "mean": f"mean over {units}s" if units else "mean",
        "all": f"mean in every {units}" if units else "mean",
        "at_least": f"mean in at least {rule.get('at_least')} of the {units}s",
    }[check.statistic]
    return f"{what} {_border(rule)} ({INTERVAL})"


def _units(check: Check) -> str:
    return " x ".join(check.columns)


def _border(rule: Mapping[str, Any]) -> str:
    if "superior" in rule:
        side, sign = ("above", "") if rule["superior"] == "higher" else ("below", "-")
        return f"{side} 0, by an estimate of {sign}{rule['margin']:g} or beyond"
    if "not_worse" in rule:
        higher = rule["not_worse"] == "higher"
        return f"above -{rule['margin']:g}" if higher else f"below {rule['margin']:g}"
    if "equivalent" in rule:
        return f"within {rule['equivalent']:g} +- {rule['margin']:g}"
    return _region(rule)


def _region(rule: Mapping[str, Any]) -> str:
    if "below" in rule:
        return f"< {rule['below']:g}"
    if "above" in rule:
        return f"> {rule['above']:g}"
    kind = "within" if "within" in rule else "outside"
    low, high = rule[kind]
    return f"{kind} [{low:g}, {high:g}]"


def _spanned(metric: str, span: str, stretch: Mapping[str, float] | None) -> str:
    """As "mean grad_z at progress <= 0.01"; "rank correlation of grad_z with the step"."""
    ordered = f"rank correlation of {metric} with the step"
    what = ordered if span == "spearman" else f"{span} {metric}"
    return f"{what} at progress {_words(stretch)}" if stretch else what


def _tuning(tuned: Mapping[str, Any]) -> str:
    """How the cells compared were chosen, as "at the learning rate best on validation (...)"."""
    where = {name: value for name, value in tuned["select"].items() if name != "split"}
    score = " ".join([tuned["best"], tuned["metric"], *([f"at {_list(where)}"] if where else [])])
    over = "learning rate" if tuned["over"].partition(".")[0] == "lr" else tuned["over"]
    return f"at the {over} best on validation ({score})"


def _list(filters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_words(value)}" for name, value in filters.items())


def _words(value: Any) -> str:
    """A filter's value in words."""
    if isinstance(value, list):
        return " or ".join(map(str, value))
    if isinstance(value, dict):
        signs = {"min": ">=", "max": "<="}
        return " and ".join(f"{signs[end]} {bound:g}" for end, bound in value.items())
    return str(value)


def _side(filters: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    listed = [(n, _words(filters[n])) for n in names if filters.get(n) is not None]
    return ", ".join(f"{name} {value}" if value else f"no {name}" for name, value in listed)
