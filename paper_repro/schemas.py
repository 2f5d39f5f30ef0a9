"""Checks of what users write (config, grids, claims) against the schemas of paper_repro/schema.

A mistake becomes one line that names the key and what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from paper_repro.errors import UserError

SCHEMAS = Path(__file__).parent / "schema"


@cache
def schema(name: str) -> dict[str, Any]:
    """The schema `paper_repro/schema/<name>.schema.yaml`."""
    found: dict[str, Any] = read_yaml(SCHEMAS / f"{name}.schema.yaml")
    return found


def read_yaml(path: Path) -> Any:
    """The content of a YAML file, read by libyaml where there is one: ten times as fast."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


def check_schema(value: Any, schema: Mapping[str, Any], where: str) -> None:
    """Validate against a JSON schema; UserError in one line naming the key and what is allowed."""
    errors = sorted(
        jsonschema.Draft202012Validator(schema).iter_errors(value), key=lambda e: list(e.path)
    )
    if not errors:
        return
    error = errors[0]
    place = ".".join([where, *(str(part) for part in error.absolute_path)])
    if error.validator == "additionalProperties":
        allowed = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(allowed))
        raise UserError(f"{place}: unknown key {unknown[0]!r}; allowed: {', '.join(allowed)}")
    if error.validator == "enum":
        choices = ", ".join(repr(v) if v == "" else str(v) for v in error.validator_value)
        raise UserError(f"{place}: {error.instance!r} is not one of {choices}")
    raise UserError(f"{place}: {error.message.splitlines()[0]}")
