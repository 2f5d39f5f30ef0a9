"""Checks of what users write (config, grids, claims) against JSON schemas, more strictly than they.

A mistake becomes one line that names the key and what is allowed. As in YAML, true is no number,
10.0 no whole number, and a number is finite: what is written is what a run's identity covers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from paper_repro import strict_yaml
from paper_repro.errors import UserError, quoted, unknown, unknown_key

CHANGES_NO_NUMBER = True

PACKAGE = Path(__file__).parent
SCHEMAS = PACKAGE / "schema"
# Refusals of the first kinds say most: a wrong key explains the one that is missing.
ORDER = ("additionalProperties", "type", "enum")
TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


@cache
def schema(name: str) -> dict[str, Any]:
    """The schema `paper_repro/schema/<name>.schema.yaml`."""
    return read_yaml(SCHEMAS / f"{name}.schema.yaml")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; UserError in one line with file, line and column.

    Messages call a study's own file ``<study>/<file>``.
    """
    studies = PACKAGE / "studies"
    name = path.relative_to(studies) if path.is_relative_to(studies) else path
    return strict_yaml.read(path, str(name))


def check_schema(value: Any, schema: Mapping[str, Any], where: str) -> None:
    """Validate against a JSON schema; UserError in one line naming the key and what is allowed."""
    errors = list(_Strict(schema).iter_errors(value))
    if errors:
        error = min(errors, key=_rank)
        place = [where, *(str(part) for part in error.absolute_path)]
        raise UserError(_line(error, ".".join(part for part in place if part)))


def holds(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a value follows a JSON schema."""
    return _holds(json.dumps([value, schema]))


@cache  # of thousands of cells the same few rules are asked about the same few values
def _holds(asked: str) -> bool:
    value, schema = json.loads(asked)
    return bool(_Strict(schema).is_valid(value))


def _rank(error: jsonschema.ValidationError) -> tuple[int, list[str]]:
    kind = str(error.validator)
    return (
        ORDER.index(kind) if kind in ORDER else len(ORDER),
        [str(part) for part in error.absolute_path],
    )


def _line(error: jsonschema.ValidationError, place: str) -> str:
    """One line for a refusal: by what kind of rule, what is allowed."""
    rule: Any = error.validator_value
    context: Any = error.context
    around: Any = error.schema
    given: Any = error.instance
    kind = str(error.validator)
    shown = quoted(given)
    if given is None:
        return f"{place}: has no value"
    if kind == "additionalProperties":
        known = sorted(around.get("properties", {}))
        wrong = min(str(key) for key in given if key not in known)
        return unknown_key(place, wrong, known)
    if kind == "enum":
        return unknown(place, given, rule)
    if kind == "not" or (kind == "anyOf" and not isinstance(given, dict)):
        return f"{place}: {shown} is not {around.get('description', 'allowed here')}"
    if kind == "anyOf":  # a mapping that is none of the mappings allowed
        inner = [e for e in context if e.validator != "type"]
        return _line(inner[0], place) if inner else f"{place}: {shown} is not allowed here"
    if kind == "type":
        wanted = " or ".join(TYPES[name] for name in ([rule] if isinstance(rule, str) else rule))
        return f"{place}: {shown} is not {wanted}{_hint(given, rule)}"
    return f"{place}: {error.message}"


def _hint(given: object, rule: object) -> str:
    """How to write what was probably meant."""
    if rule == "integer" and isinstance(given, float) and given.is_integer():
        return f"; write {int(given)}"
    if rule == "boolean" and str(given).lower() in ("yes", "on", "no", "off"):
        return f"; write {str(given).lower() in ('yes', 'on')}".lower()
    if rule == "string" and isinstance(given, int | float):
        return "; quote it"
    if rule in ("integer", "number") and reads_as_number(given):
        return "; leave the quotes away"
    return ""


def reads_as_number(given: object) -> bool:
    """Whether something is a text that would be a number without its quotes."""
    try:
        return isinstance(given, str) and math.isfinite(float(given))
    except ValueError:
        return False


def _integer(checker: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _finite(checker: object, value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return _integer(checker, value)


def _enum(
    validator: object, allowed: list[Any], value: object, schema: Mapping[str, Any]
) -> Iterator[jsonschema.ValidationError]:
    """One of `allowed` in type too: neither true nor 1.0 is 1."""
    if not any(type(one) is type(value) and one == value for one in allowed):
        yield jsonschema.ValidationError("")


_checker = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _integer)
_Strict = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {"enum": _enum},
    type_checker=_checker.redefine("number", _finite),
)
