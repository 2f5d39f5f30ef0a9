"""The rule of a check in words, made from the rule that is applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paper_repro.claims.checks import INTERVAL, Region
from paper_repro.claims.rules import BOUNDS, STATISTICS

WORSE = {"lower": "higher", "higher": "lower"}


def describe(check: Mapping[str, Any]) -> str:
    """Numbers, filters, statistic and region of a check in one line."""
    rule, select = check["rule"], check["select"]
    what, said = select["metric"], {"experiment", "metric", "kind"}
    if span := check.get("span"):
        what, said = _spanned(what, span, select.get("progress")), {*said, "progress"}
    if crossing := check.get("crossing"):
        what += f" (where {crossing['metric']} is first below {crossing['below']:g})"
    where = {n: v for n, v in select.items() if n not in said}
    where = {n: v for n, v in where.items() if n not in check.get("versus", {})}
    if where:
        what += f" [{_list(where)}]"
    if versus := check.get("versus"):
        sides = [_said(select, versus), _said(versus, versus)]
        what += f" of {sides[0]}" if sides[0] else ""
        if check.get("pairing") == "reach":
            what = f"progress at which {what} is no longer {WORSE[rule['better']]} than the final"
            what += f" one of {sides[1]}"
        else:
            over = "minus" if check.get("pairing", "difference") == "difference" else "over"
            what += f" {over} that of {sides[1]}"
            what = f"log of {what}" if check.get("pairing") == "log_ratio" else what
        if along := check.get("along"):
            what += f" (interpolated at the same {along['metric']})"
    if given := check.get("given"):
        where = {n: v for n, v in given["select"].items() if n != "metric"}
        what += f", given {given['select']['metric']} [{_list(where)}] {_words(given['value'])}"
    bound = "at least" if "at_least" in rule else "at most"
    bound += f" {rule.get('at_least', rule.get('at_most'))} of {rule.get('of')}"
    text = STATISTICS[check["statistic"]].words.format(
        region=Region.of(rule), bound=bound, x=rule.get("x"), interval=INTERVAL
    )
    if "of" in rule and not BOUNDS & rule.keys():
        text += f", {rule['of']} units"
    text += f", at least {rule['seeds']} seeds" if "seeds" in rule else ""
    text += ", otherwise inconclusive" if check.get("supports_only") else ""
    return f"{what}: {text}" + (f", {_tuning(tuned)}" if (tuned := check.get("tuned")) else "")


def _spanned(metric: str, span: str, stretch: Mapping[str, float] | str | None) -> str:
    """As "mean grad_z at progress <= 0.01"; "rank correlation of grad_z with the step"."""
    ordered = f"rank correlation of {metric} with the step"
    what = ordered if span == "spearman" else f"{span} {metric}"
    if isinstance(stretch, str):
        return f"{what} {stretch} the crossing"
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


def _said(filters: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    listed = [(name, _words(filters[name])) for name in names if name in filters]
    return ", ".join(f"{name} {value}" if value else f"no {name}" for name, value in listed)
