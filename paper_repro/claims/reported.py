"""A study's reported.csv, read strictly: the numbers that papers and others' code report.

Tables, figures and claims draw the same rows, and a slip of the hand in one would move a verdict.
So every name must exist, every number be one, and no source give a number twice. Imports no pandas
until rows are wanted as a frame: the workflow checks the file before anything trains.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paper_repro import registry
from paper_repro.data.names import DATASETS
from paper_repro.errors import UserError, unknown
from paper_repro.results import csvfile, source_names
from paper_repro.units import UNITS

if TYPE_CHECKING:
    import pandas as pd

FIRST, LAST = ("study", "id"), ("metric", "value", "unit", "error", "source", "sourced")
# What tells the numbers of one source apart; a file has the columns of these that it needs.
COORDINATES = ("dataset", "model", "layers", "objective", "k", "estimator", "run")
COUNTS = ("layers", "k")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
WHOLE = re.compile(r"0|[1-9][0-9]{0,8}")


def read(path: Path, study: str) -> list[dict[str, Any]]:
    """The rows of a reported.csv by column: `value` a number, counts whole ones or "", the rest
    text. UserError, naming file and line, for the first that cannot be right."""
    head, *records = csvfile.read(path)
    between = head[len(FIRST) : -len(LAST)]
    for name in head:
        if name not in (*FIRST, *COORDINATES, *LAST):
            known = (*FIRST, *COORDINATES, *LAST)
            raise UserError(unknown(f"{path}, line 1: column", name, known))
    if head != (*FIRST, *between, *LAST) or len(set(head)) < len(head):
        wanted = ",".join((*FIRST, "...", *LAST))
        raise UserError(f"{path}, line 1: the columns are not {wanted}, each once")
    rows = [dict(zip(head, record, strict=True)) for record in records]
    named = [*between, "metric"]
    values = {row[name] for row in rows for name in named} - {""}
    seen = set[tuple[str, ...]]()
    for line, row in enumerate(rows, 2):
        keys = [("id", row["id"]), (source_of(row), row["metric"], *(row[c] for c in between))]
        fault = _fault(row, study) or _contradiction(row, named, values)
        if not fault and not seen.isdisjoint(keys):
            fault = f"a number of {source_of(row)} that stands there twice"
        if fault:
            raise UserError(f"{path}, line {line}: {fault}")
        seen.update(keys)
    return [_typed(row) for row in rows]


def frame(path: Path, study: str) -> pd.DataFrame:
    """As `read`, with the file's columns where it has no rows too."""
    import pandas as pd

    return pd.DataFrame(read(path, study), columns=list(csvfile.read(path)[0]))


def source_of(row: dict[str, Any]) -> str:
    """Who reports the number: the id up to its first dash."""
    return str(row["id"]).partition("-")[0]


def _typed(row: dict[str, str]) -> dict[str, Any]:
    counts = {name: int(row[name]) for name in COUNTS if row.get(name)}
    return {**row, **counts, "value": float(row["value"])}


def _fault(row: dict[str, str], study: str) -> str:
    """What is wrong with a row; "" for nothing."""
    known: dict[str, Sequence[str]] = {
        "study": [study],
        "dataset": list(DATASETS),
        "estimator": registry.names("estimators"),
        "objective": registry.names("objectives"),
        "model": registry.names("models"),
        "unit": sorted(UNITS),
        "sourced": ["yes", "memory"],
    }
    for name, allowed in known.items():
        if row.get(name, "") not in ("", *allowed):
            return unknown(name, row[name], allowed)
    for name in ("study", "metric", "unit", "source", "sourced"):
        if not row[name]:
            return f"no {name}"
    if not re.fullmatch(r"[^-]+-.+", row["id"]):
        return f"id {row['id']!r} is not of the form source-..."
    for name in ("value", "error"):
        if (name == "value" or row[name]) and not _finite(row[name]):
            return f"{name} {row[name]!r} is no finite number"
    if row["error"].startswith("-"):
        return f"error {row['error']!r} is negative"
    for name in COUNTS:
        if row.get(name) and not WHOLE.fullmatch(row[name]):
            return f"{name} {row[name]!r} is no whole number"
    if (units := _units(study).get(row["metric"])) and row["unit"] not in units:
        return unknown(f"unit, as rows of {row['metric']} bear it", row["unit"], sorted(units))
    words = _words(study)
    for name in ("metric", "run"):
        if words and row.get(name) and row[name] not in words:
            return unknown(f"{name}, as the study's sources name it", row[name], words)
    return ""


def _contradiction(row: dict[str, str], columns: Sequence[str], known: set[str]) -> str:
    """What an id says otherwise than its row: of its parts after the source, those that are values
    `known` in the file's columns must be the row's own, in their order. "" for nothing."""
    own = iter([row[name] for name in columns])
    for part in row["id"].split("-")[1:]:
        if part in known and part not in own:  # goes on behind where the last part was found
            shown = "-".join(row[name] for name in columns if row[name])
            return f"id {row['id']!r} says {part!r} where its columns say {shown}"
    return ""


def _finite(text: str) -> bool:
    return bool(NUMBER.fullmatch(text)) and math.isfinite(float(text))


@cache
def _units(study: str) -> dict[str, set[str]]:
    """The units that a study's tasks give a metric, where they write them beside its name."""
    found: dict[str, set[str]] = {}
    for path in registry.closure(_tasks(study)):
        for metric, unit in source_names.units(path):
            found.setdefault(metric, set()).add(unit)
    return found


def _tasks(study: str) -> list[Path]:
    """Files of the study's tasks, and of the parts of task vae, which it finds by name."""
    return [
        registry.path_of(room, name, study)
        for room in ("tasks", "protocols", "parts")
        for name in registry.names(room, study)
    ]


@cache
def _words(study: str) -> list[str]:
    """Names in quotes in the study's sources and in what its tasks import; none of a study that is
    not there, as tests make them up."""
    folder = registry.STUDIES / study
    files: Iterable[Path] = {*folder.rglob("*.py"), *registry.closure(_tasks(study))}
    if not folder.is_dir():
        return []
    texts = (re.findall(r"[\"'](\w+)[\"']", path.read_text(encoding="utf-8")) for path in files)
    return sorted(set().union(*texts))
