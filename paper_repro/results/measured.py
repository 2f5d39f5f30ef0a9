"""What a measured number must be to stand in a table, whoever measured it."""

from __future__ import annotations

import re
from functools import cache
from operator import itemgetter

from paper_repro.errors import UserError, unknown
from paper_repro.results import csvfile
from paper_repro.results.csvfile import Readable, Record
from paper_repro.units import UNITS

ENDED = ("ok", "diverged")
WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")  # as Python writes it: 00 would be another seed than 0
NUMBER = re.compile(r"-?([0-9]+(\.[0-9]*)?(e[+-]?[0-9]+)?|inf)|nan")
COORDINATES = re.compile(r"[^,=]+=[^,=]*(,[^,=]+=[^,=]*)*")
MEASURED = ("metric", "value", "unit", "step", "at")
SERIES = ("split", "step", "metric", "at", "estimator")  # with its run: the key of a row


def rows_of_run(raw: bytes, columns: Record, status: str, path: Readable) -> list[Record]:
    """The rows of a run's metrics.csv; UserError, naming `path` and the line, for what a run that
    ended as `status` cannot have."""
    rows = csvfile.parse(raw, path, columns)[1:]
    measured = itemgetter(*map(columns.index, MEASURED))
    series = itemgetter(*map(columns.index, (*SERIES, "kind")))
    kind_at, status_at = columns.index("kind"), columns.index("status")
    seen: set[Record] = set()
    if status not in ENDED:
        raise UserError(f"{path}: {unknown('status of the run', status, ENDED)}")
    for i, row in enumerate(rows):
        fault = fault_of_row(*measured(row))
        if row[kind_at] not in ("final", "curve"):
            fault = unknown("kind", row[kind_at], ("final", "curve"))
        if row[status_at] not in ("ok", status):
            fault = f"status {row[status_at]!r} in a run that ended as {status!r}"
        if series(row) in seen:
            fault = "stands there twice"
        if fault:
            raise UserError(f"{path}, line {i + 2}: {fault}")
        seen.add(series(row))
    if not rows:
        raise UserError(f"{path}: no row of the run")
    if status not in {row[status_at] for row in rows}:
        raise UserError(f"{path}: no row says that the run {status}")
    return rows


def fault_of_row(metric: str, value: str, unit: str, step: str, at: str) -> str:
    """What is wrong with a measured number; "" for nothing."""
    if not metric:
        return "no metric"
    if not NUMBER.fullmatch(value):
        return f"value {value!r} is no number"
    if unit not in UNITS:
        return unknown("unit", unit, sorted(UNITS))
    if not WHOLE.fullmatch(step):
        return f"step {step!r} is no whole number"
    return "" if not at or _coordinates(at) else f"at {at!r}: not of the form name=value,..."


@cache
def _coordinates(at: str) -> bool:
    return COORDINATES.fullmatch(at) is not None
