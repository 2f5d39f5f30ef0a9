"""What the rows of a results folder must satisfy: each by itself, and the tables together.

Keys are unique; every cell has its runs and its costs, every run its rows, and no row belongs to
anything else; statuses and units are known, numbers are numbers. Rows are checked when tables are
made and when they come from another machine; those that only lie there are known by their hashes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from operator import itemgetter
from pathlib import Path

from paper_repro.analysis import csvfile, staged, sums
from paper_repro.analysis.csvfile import Readable, Record
from paper_repro.analysis.files import COLUMNS, MISSING, NAMES, Tables, paths, read_tables, require
from paper_repro.errors import UserError, unknown
from paper_repro.units import UNITS

REMEDY = "restore it (git checkout), or delete the tables and collect or import them again"
ENDED = ("ok", "diverged")
WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")  # as Python writes it: 00 would be another seed than 0
NUMBER = re.compile(r"-?([0-9]+(\.[0-9]*)?(e[+-]?[0-9]+)?|inf)|nan")
COORDINATES = re.compile(r"[^,=]+=[^,=]*(,[^,=]+=[^,=]*)*")
MEASURED = ("metric", "value", "unit", "step", "at")
SERIES = ("split", "step", "metric", "at", "estimator")  # with its run: the key of a row
ORIGIN = ("experiment", "tier", "run_id", "device", "torch", "fingerprint")  # as in runs.csv


def read(root: Path) -> Tables:
    """The tables of a results folder, whole and checked; UserError names file and line."""
    verify(root, paths(root))
    tables = read_tables(root)
    check(tables, root)
    return tables


def verify(root: Readable, names: Sequence[str]) -> None:
    """UserError if the files `names` are not all that `root` holds, as they were written.

    Only hashes are computed, unless one differs: then the rows are read to name the line.
    """
    listed = (root / sums.NAME).is_file()
    fault = sums.fault(root, names) if listed else f"{root / sums.NAME}: not there"
    if fault and (root / staged.VALID).is_dir():
        raise UserError(f"{root}: a write was interrupted here; give the same command again")
    require(root)
    if not fault:
        return
    try:
        check(read_tables(root), root)
    except UserError as error:
        fault = str(error)
    raise UserError(f"{fault}; {REMEDY if isinstance(root, Path) else 'export the rows again'}")


def check(tables: Tables, root: Readable) -> None:
    """UserError for the first row that cannot be right, with its file under `root` and line."""
    cells = _cells(tables["cells"], _refuse(root, "cells"))
    runs = _runs(tables["runs"], cells, _refuse(root, "runs"))
    _costs(tables["costs"], cells, _refuse(root, "costs"))
    have = _owners(tables["runs"], "runs"), _owners(tables["costs"], "costs")
    for i, key in enumerate(cells):
        for found, name in zip(have, ("runs", "costs"), strict=True):
            if key not in found:
                _refuse(root, "cells")(i, f"cell {'/'.join(key)} has no row in {NAMES[name]}")
    seen = set[Run]()
    for table in ("metrics", "curves"):
        seen |= _measured(tables[table], table, runs, _refuse(root, table))
    for i, run in enumerate(runs):
        if run not in seen:
            _refuse(root, "runs")(i, f"{_name(run)} has no row in {NAMES['metrics']}")


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


Refuse = Callable[[int, str], None]
Cell = tuple[str, str]  # study, id
Run = tuple[str, str, str]  # study, cell, seed


def _refuse(root: Readable, table: str) -> Refuse:
    def refuse(index: int, fault: str) -> None:
        raise UserError(f"{root / NAMES[table]}, line {index + 2}: {fault}")

    return refuse


def _name(run: Run) -> str:
    return f"run {run[0]}/{run[1]} seed {run[2]}"


def _owners(records: Iterable[Record], table: str) -> set[Cell]:
    return set(map(itemgetter(*map(COLUMNS[table].index, ("study", "cell"))), records))


def _cells(records: Sequence[Record], refuse: Refuse) -> dict[Cell, Record]:
    """Experiment and tier by cell."""
    found: dict[Cell, Record] = {}
    for i, (study, experiment, cell, tier, task, params) in enumerate(records):
        if not (study and experiment and cell and tier and task):
            refuse(i, "study, experiment, cell, tier and task must be there")
        if any(name in (".", "..") or "/" in name or "\\" in name for name in (study, cell)):
            refuse(i, f"{study!r}, {cell!r}: not names of folders")
        if (study, cell) in found:
            refuse(i, f"cell {study}/{cell} stands there twice")
        if not _is_object(params):
            refuse(i, f"params of {study}/{cell} are no JSON object")
        found[study, cell] = (experiment, tier)
    return found


def _is_object(params: str) -> bool:
    try:
        return isinstance(json.loads(params), dict)
    except (ValueError, RecursionError):
        return False


def _runs(
    records: Sequence[Record], cells: dict[Cell, Record], refuse: Refuse
) -> dict[Run, tuple[str, Record]]:
    """Status and origin by run."""
    found: dict[Run, tuple[str, Record]] = {}
    origin_of = itemgetter(*map(COLUMNS["runs"].index, ORIGIN))
    for i, record in enumerate(records):
        row = dict(zip(COLUMNS["runs"], record, strict=True))
        _of_cell(i, row, cells, refuse)
        run = (row["study"], row["cell"], row["seed"])
        if not WHOLE.fullmatch(row["seed"]):
            refuse(i, f"seed {row['seed']!r} is no whole number")
        if run in found:
            refuse(i, f"{_name(run)} stands there twice")
        if row["status"] not in (*ENDED, MISSING):
            refuse(i, unknown("status", row["status"], (*ENDED, MISSING)))
        if (row["status"] == MISSING) != (not row["run_id"]):
            refuse(i, f"run_id {row['run_id']!r} of a run that is {row['status']}")
        if row["status"] != MISSING:
            _numbers(i, row, ("steps", "seconds", "steps_per_second"), refuse)
        found[run] = (row["status"], origin_of(record))
    return found


def _costs(records: Sequence[Record], cells: dict[Cell, Record], refuse: Refuse) -> None:
    seen = set()
    for i, record in enumerate(records):
        row = dict(zip(COLUMNS["costs"], record, strict=True))
        _of_cell(i, row, cells, refuse)
        if (key := (row["study"], row["cell"], row["device_name"])) in seen:
            refuse(i, f"costs of {key[0]}/{key[1]} on {key[2]!r} stand there twice")
        seen.add(key)
        _numbers(i, row, ("runs",), refuse)
        if row["runs"] != "0":
            numbers = ("seconds", "steps_per_second", "peak_memory_mib", "flops")
            _numbers(i, row, numbers, refuse)


def _of_cell(i: int, row: dict[str, str], cells: dict[Cell, Record], refuse: Refuse) -> None:
    cell = (row["study"], row["cell"])
    if cell not in cells:
        refuse(i, f"cell {'/'.join(cell)} is not in {NAMES['cells']}")
    if (here := (row["experiment"], row["tier"])) != cells[cell]:
        refuse(i, f"experiment and tier are {here}, in {NAMES['cells']} {cells[cell]}")


def _numbers(i: int, row: dict[str, str], columns: Iterable[str], refuse: Refuse) -> None:
    for name in columns:
        whole = name in ("runs", "steps")
        if not (WHOLE if whole else NUMBER).fullmatch(row[name]):
            refuse(i, f"{name} {row[name]!r} is no {'whole ' if whole else ''}number")


def _measured(
    records: Sequence[Record], table: str, runs: dict[Run, tuple[str, Record]], refuse: Refuse
) -> set[Run]:
    """The runs that have rows in a table of numbers."""
    index = COLUMNS[table].index
    run_of = itemgetter(*map(index, ("study", "cell", "seed")))
    origin_of, measured = itemgetter(*map(index, ORIGIN)), itemgetter(*map(index, MEASURED))
    series_of, status_at, steps_at = (
        itemgetter(*map(index, SERIES)),
        index("status"),
        index("steps"),
    )
    seen: dict[Run, set[Record]] = {run: set() for run in runs}
    for i, record in enumerate(records):
        run, series = run_of(record), series_of(record)
        if run not in runs:
            refuse(i, f"{_name(run)} is not in {NAMES['runs']}")
        ended, origin = runs[run]
        if origin_of(record) != origin:
            odd = next(
                c for c, a, b in zip(ORIGIN, origin_of(record), origin, strict=True) if a != b
            )
            refuse(i, f"{odd} of {_name(run)} differs from that in {NAMES['runs']}")
        if record[status_at] not in (ended, *(["ok"] if ended in ENDED else [])):
            refuse(i, f"status {record[status_at]!r} of {_name(run)}, which is {ended!r}")
        if record[steps_at] and not WHOLE.fullmatch(record[steps_at]):
            refuse(i, f"steps {record[steps_at]!r} is no whole number")
        if ended == MISSING:
            if table == "curves" or any(measured(record)):
                refuse(i, f"a number of {_name(run)}, which is missing")
        elif fault := fault_of_row(*measured(record)):
            refuse(i, fault)
        if series in seen[run]:
            refuse(i, f"the row stands there twice ({_name(run)})")
        seen[run].add(series)
    return {run for run, found in seen.items() if found}
