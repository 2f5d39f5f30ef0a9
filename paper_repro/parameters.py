"""The settings of a cell, each judged by its rule before anything is imported, let alone trained.

A task's literal PARAMS holds a JSON-schema rule with a default for each parameter; a rule with
``"schedule": True`` also takes a schedule (`training.schedules`), and a parameter in RUN_INPUTS the
description of another run's number (`run_inputs`). A list names a value once: what a run does at
each would be done twice; ``"uniqueItems": False`` lets it repeat. It is empty only where
that is its default: a run would do nothing at none. The options of a part, such as
`likelihood_options`, are those in the part's literal OPTIONS (networks: SIZES), of their defaults'
types; its RULES say what a type does not, such as a range. Numbers among the options of an
estimator or objective may follow a schedule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from paper_repro import registry
from paper_repro.errors import UserError, unknown
from paper_repro.schemas import check_schema
from paper_repro.training.schedules import curve

Rule = dict[str, Any]
# Parameters that every task understands; a task's own PARAMS are added to these.
COMMON: dict[str, Rule] = {
    "dataset": {"type": "string", "default": ""},
    "model": {"type": "string", "default": ""},
    "estimator": {"type": "string", "default": ""},
    "objective": {"type": "string", "default": ""},
    "likelihood": {"type": "string", "default": ""},
    # estimators whose gradients are measured side by side on the weights of one run
    "compare": {"type": "array", "items": {"type": "string"}, "default": []},
    "steps": {"type": "integer", "minimum": 0, "maximum": 10**9, "default": 0},
    "curve_points": {"type": "integer", "minimum": 1, "maximum": 200, "default": 100},
}
# Whose options a parameter holds: the room, the parameters that name the part, the part's literal.
OPTIONS_OF = {
    "sizes": ("models", ("model", "decoder"), "SIZES"),
    "latent_options": ("latents", ("latent",), "OPTIONS"),
    "likelihood_options": ("likelihoods", ("likelihood",), "OPTIONS"),
    "objective_options": ("objectives", ("objective",), "OPTIONS"),
    "estimator_options": ("estimators", ("estimator",), "OPTIONS"),
}
NESTED = ("first", "second")  # options of an estimator that name other estimators
SCHEDULED = ("objective_options", "estimator_options")
IMPLIED = {bool: "boolean", int: "integer", float: "number", str: "string"}


def complete(study: str, task: str, params: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check a cell's parameters against its task and fill in the task's defaults.

    UserError names the parameter and what is allowed.
    """
    if task not in (known := registry.names("tasks", study)):
        raise UserError(unknown(f"{where}: task", task, known))
    own = rules_of(study, task, params.get("protocol"))
    named, protocols = params.get("protocol"), registry.names("protocols")
    if "protocol" in own and named is not None and named not in protocols:
        raise UserError(unknown(f"{where}: protocol", named, protocols))
    rules = {
        name: {"uniqueItems": True, "minItems": int(rule.get("default") != []), **rule}
        for name, rule in own.items()
    }
    may = registry.constant("tasks", task, "RUN_INPUTS", study) or ()
    received = {name for name in may if _from_another_run(params.get(name))}
    plain = {name: value for name, value in params.items() if name not in received}
    required = [n for n, rule in rules.items() if "default" not in rule and n not in received]
    steps = params.get("steps", rules["steps"].get("default"))
    _check_mapping(plain, rules, where, required=required, steps=steps)
    for name in required:
        if plain[name] == "":
            raise UserError(f"{where}: {name}: has no value")
    return {name: params.get(name, rule.get("default")) for name, rule in rules.items()}


def rules_of(study: str, task: str, protocol: object = None) -> dict[str, Rule]:
    """The rules of a task's parameters, with those of the protocol that a cell of task vae names,
    by default the first; of a protocol that there is not, none."""
    found: dict[str, Rule] = {**COMMON, **(registry.constant("tasks", task, "PARAMS", study) or {})}
    if "protocol" in found:
        name = found["protocol"]["default"] if protocol is None else protocol
        if name in registry.names("protocols"):
            found |= registry.constant("protocols", str(name), "PARAMS")
    return found


def check_options(params: Mapping[str, Any], where: str) -> None:
    """Check the options of every part that a cell names; the parts themselves must exist."""
    for key, (room, named, literal) in OPTIONS_OF.items():
        given = params.get(key)
        parts = [params[name] for name in named if isinstance(params.get(name), str)]
        if not given or not any(parts):
            continue
        options = {
            name: value for part in parts if part for name, value in rules(room, part, literal)
        }
        if room == "estimators":
            (estimator,) = parts
            defaults = registry.constant(room, estimator, literal) or {}
            inner = [{**defaults, **given}[name] for name in NESTED if name in defaults]
            options |= dict(pair for part in inner for pair in rules(room, part, literal))
        if key in SCHEDULED:
            options = {name: {"schedule": True, **rule} for name, rule in options.items()}
        _check_mapping(given, options, f"{where}: {key}", steps=params["steps"])


def rules(room: str, part: str, literal: str) -> Iterable[tuple[str, Rule]]:
    """The options of a part, each with its rule: that of its default's type, and RULES."""
    defaults = registry.constant(room, part, literal) or {}
    stated = registry.constant(room, part, "RULES") or {}
    for name in {**defaults, **stated}:
        implied = _implied(defaults[name]) if name in defaults else {}
        yield name, {**implied, **stated.get(name, {})}


def _implied(default: Any) -> Rule:
    if isinstance(default, list | tuple):
        return {"type": "array", "items": _implied(default[0])}
    return {"type": IMPLIED[type(default)]}


def _check_mapping(
    given: Mapping[str, Any],
    rules: Mapping[str, Rule],
    where: str,
    *,
    required: Iterable[str] = (),
    steps: Any,
) -> None:
    """Check a mapping by the rules of its keys, schedules among its values included."""
    moving = {
        name: value
        for name, value in given.items()
        if isinstance(value, Mapping) and rules.get(name, {}).get("schedule")
    }
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in required if name not in moving],
        "properties": dict(rules),
    }
    check_schema({name: v for name, v in given.items() if name not in moving}, schema, where)
    for name, value in moving.items():
        curve(f"{where}: {name}", value, max(1, steps))
        for end in value.keys() & {"from", "to"}:
            check_schema(value[end], rules[name], f"{where}: {name}.{end}")


def _from_another_run(value: object) -> bool:
    return isinstance(value, Mapping) and "schedule" not in value
