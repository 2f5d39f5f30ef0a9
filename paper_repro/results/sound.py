"""What the rows of a results folder must satisfy: each by itself, and the tables together.

Keys are unique; every cell has its runs and its costs, every run its rows, and no row belongs to
anything else; statuses and units are known, numbers are numbers, and what two tables say of a run
or a cell is the same. Rows are checked when tables are made and when they come from another
machine (then `plausible` looks at them too); those that only lie there are known by their hashes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from paper_repro.errors import UserError, unknown
from paper_repro.results import registrations, staged, sums
from paper_repro.results.csvfile import Readable, Record
from paper_repro.results.files import (
    COLUMNS,
    MISSING,
    NAMES,
    Tables,
    parts,
    paths,
    read_tables,
    require,
)
from paper_repro.results.measured import ENDED, MEASURED, SERIES, WHOLE, fault_of_row

REMEDY = "restore it (git checkout), or delete the tables and collect or import them again"
AMOUNT = re.compile(r"[0-9]+(\.[0-9]*)?(e[+-]?[0-9]+)?")
ORIGIN = ("experiment", "tier", "run_id", "device", "torch", "fingerprint")  # as in runs.csv
MADE = (  # what a missing run has not
    *("device", "device_name", "steps", "seconds", "steps_per_second", "torch", "python"),
    *("fingerprint", "commit", "started", "finished", "registered"),
)
DEVICE_OF = itemgetter(*map(COLUMNS["runs"].index, ("study", "cell", "status", "device_name")))
SETTINGS = ("dataset", "model", "objective", "steps")  # as among the params in cells.csv


def read(root: Path, owner: str = "") -> Tables:
    """The tables of a results folder, whole and checked, those of several studies joined; UserError
    names file and line. A folder of the study `owner` may hold no other's cells."""
    joined: Tables = {table: [] for table in COLUMNS}
    for part in parts(root):
        verify(part, paths(part))
        tables = read_tables(part)
        check(tables, part)
        home = owner if part == root else part.name
        for i, (study, *_) in enumerate(tables["cells"]):
            if home and study != home:
                _refuse(part, "cells")(i, f"a cell of {study!r} in the folder of {home!r}")
        for table, records in tables.items():
            joined[table] += records
    joined["registrations"] = registrations.used(joined)
    return joined


def verify(root: Readable, names: Sequence[str]) -> None:
    """UserError if the files `names` are not all that `root` holds, as they were written.

    Only hashes are computed, unless one differs: then the rows are read to name the line.
    """
    listed = (root / sums.NAME).is_file()
    fault = sums.fault(root, names) if listed else f"{root / sums.NAME}: not there"
    if fault and staged.interrupted(root):
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
    _all_there(cells, tables, "runs", root)
    devices: dict[Cell, set[str]] = {}
    for study, cell, status, device in map(DEVICE_OF, tables["runs"]):
        if status != MISSING:
            devices.setdefault((study, cell), set()).add(device)
    _costs(tables["costs"], cells, devices, _refuse(root, "costs"))
    _all_there(cells, tables, "costs", root)
    registrations.check(tables, {t: _refuse(root, t) for t in ("runs", "registrations")})
    said = [_measured(tables[t], t, runs, _refuse(root, t)) for t in ("metrics", "curves")]
    for i, (run, (ended, *_)) in enumerate(runs.items()):
        if not (found := said[0].get(run, set()) | said[1].get(run, set())):
            _refuse(root, "runs")(i, f"{_name(run)} has no row in {NAMES['metrics']}")
        if ended not in found:
            _refuse(root, "runs")(
                i, f"{_name(run)} is {ended!r}, but no row in {NAMES['metrics']} says so"
            )


Refuse = Callable[[int, str], None]
Cell = tuple[str, str]  # study, id
Cells = dict[Cell, tuple[Record, Record]]
Run = tuple[str, str, str]  # study, cell, seed


def _refuse(root: Readable, table: str) -> Refuse:
    def refuse(index: int, fault: str) -> None:
        raise UserError(f"{root / NAMES[table]}, line {index + 2}: {fault}")

    return refuse


def _name(run: Run) -> str:
    return f"run {run[0]}/{run[1]} seed {run[2]}"


def _all_there(cells: Iterable[Cell], tables: Tables, table: str, root: Readable) -> None:
    """UserError for a cell without a row in a table."""
    owner = itemgetter(*map(COLUMNS[table].index, ("study", "cell")))
    have = set(map(owner, tables[table]))
    for i, key in enumerate(cells):
        if key not in have:
            _refuse(root, "cells")(i, f"cell {'/'.join(key)} has no row in {NAMES[table]}")


def _cells(records: Sequence[Record], refuse: Refuse) -> Cells:
    """Experiment and tier, and what its rows repeat of its params, by cell."""
    found: Cells = {}
    for i, (study, experiment, cell, tier, task, params) in enumerate(records):
        if not (study and experiment and cell and tier and task):
            refuse(i, "study, experiment, cell, tier and task must be there")
        if any(name in (".", "..") or "/" in name or "\\" in name for name in (study, cell)):
            refuse(i, f"{study!r}, {cell!r}: not names of folders")
        if (study, cell) in found:
            refuse(i, f"cell {study}/{cell} stands there twice")
        if (settings := _object(params)) is None:
            refuse(i, f"params of {study}/{cell} are no JSON object")
            continue
        repeated = tuple(str(settings.get(name, "")) for name in SETTINGS)
        if not WHOLE.fullmatch(repeated[-1]):
            refuse(i, f"steps {repeated[-1]!r} in the params of {study}/{cell} is no whole number")
        found[study, cell] = (experiment, tier), repeated
    return found


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _runs(
    records: Sequence[Record], cells: Cells, refuse: Refuse
) -> dict[Run, tuple[str, int, Record, Record]]:
    """Status, steps, origin and settings by run."""
    found: dict[Run, tuple[str, int, Record, Record]] = {}
    origin_of = itemgetter(*map(COLUMNS["runs"].index, ORIGIN))
    for i, record in enumerate(records):
        row = dict(zip(COLUMNS["runs"], record, strict=True))
        settings = _of_cell(i, row, cells, refuse)
        run = (row["study"], row["cell"], row["seed"])
        if not WHOLE.fullmatch(row["seed"]):
            refuse(i, f"seed {row['seed']!r} is no whole number")
        if run in found:
            refuse(i, f"{_name(run)} stands there twice")
        if row["status"] not in (*ENDED, MISSING):
            refuse(i, unknown("status", row["status"], (*ENDED, MISSING)))
        if (row["status"] == MISSING) != (not row["run_id"]):
            refuse(i, f"run_id {row['run_id']!r} of a run that is {row['status']}")
        steps = 0
        if row["status"] == MISSING:
            for name in MADE:
                if row[name]:
                    refuse(i, f"{name} {row[name]!r} of a run that is missing")
        else:
            _numbers(i, row, ("steps", "seconds", "steps_per_second"), refuse)
            steps, planned = int(row["steps"]), int(settings[-1])
            if steps > planned or (row["status"] == "ok" and steps < planned):
                refuse(i, f"{_name(run)} is {row['status']} after {steps} steps of {planned}")
        found[run] = (row["status"], steps, origin_of(record), settings)
    return found


def _costs(
    records: Sequence[Record],
    cells: Cells,
    devices: dict[Cell, set[str]],
    refuse: Refuse,
) -> None:
    """`devices` are those of a cell's finished runs; a cell without any has costs of none."""
    seen = set()
    for i, record in enumerate(records):
        row = dict(zip(COLUMNS["costs"], record, strict=True))
        _of_cell(i, row, cells, refuse)
        if (key := (row["study"], row["cell"], row["device_name"])) in seen:
            refuse(i, f"costs of {key[0]}/{key[1]} on {key[2]!r} stand there twice")
        seen.add(key)
        _numbers(i, row, ("runs",), refuse)
        known = devices.get(key[:2], set())
        if (row["runs"] != "0") != bool(known) or (known and key[2] not in known):
            shown = ", ".join(sorted(known)) or "nowhere"
            fault = f"costs of {row['runs']} runs on {key[2]!r}; by {NAMES['runs']} the cell ran on"
            refuse(i, f"{fault} {shown}")
        if row["runs"] != "0":
            numbers = ("seconds", "steps_per_second", "peak_memory_mib", "flops")
            _numbers(i, row, numbers, refuse)


def _of_cell(i: int, row: dict[str, str], cells: Cells, refuse: Refuse) -> Record:
    """What the cell of a row says of its params."""
    cell = (row["study"], row["cell"])
    if cell not in cells:
        refuse(i, f"cell {'/'.join(cell)} is not in {NAMES['cells']}")
    address, settings = cells[cell]
    if (here := (row["experiment"], row["tier"])) != address:
        refuse(i, f"experiment and tier are {here}, in {NAMES['cells']} {address}")
    return settings


def _numbers(i: int, row: dict[str, str], columns: Iterable[str], refuse: Refuse) -> None:
    """Counts must be whole numbers, and times, speeds, memory and FLOPs amounts."""
    for name in columns:
        if name in ("runs", "steps"):
            if not WHOLE.fullmatch(row[name]):
                refuse(i, f"{name} {row[name]!r} is no whole number")
        elif not AMOUNT.fullmatch(row[name]) or float(row[name]) == math.inf:
            refuse(i, f"{name} {row[name]!r} is no number from 0 upwards")


def _measured(
    records: Sequence[Record], table: str, runs: dict[Run, Any], refuse: Refuse
) -> dict[Run, set[str]]:
    """The statuses of the rows in a table of numbers, by run."""
    index = COLUMNS[table].index
    run_of = itemgetter(*map(index, ("study", "cell", "seed")))
    origin_of, measured = itemgetter(*map(index, ORIGIN)), itemgetter(*map(index, MEASURED))
    series_of, settings_of = itemgetter(*map(index, SERIES)), itemgetter(*map(index, SETTINGS))
    status_at, step_at = index("status"), index("step")
    seen: dict[Run, set[Record]] = {run: set() for run in runs}
    said: dict[Run, set[str]] = {}
    for i, record in enumerate(records):
        run, series, status = run_of(record), series_of(record), record[status_at]
        if run not in runs:
            refuse(i, f"{_name(run)} is not in {NAMES['runs']}")
        ended, steps, *known = runs[run]
        for names, found, right, where in (
            (ORIGIN, origin_of(record), known[0], "runs"),
            (SETTINGS, settings_of(record), known[1], "cells"),
        ):
            if found != right:
                odd = next(c for c, a, b in zip(names, found, right, strict=True) if a != b)
                refuse(i, f"{odd} of {_name(run)} differs from that in {NAMES[where]}")
        if status not in (ended, *(["ok"] if ended in ENDED else [])):
            refuse(i, f"status {status!r} of {_name(run)}, which is {ended!r}")
        if ended == MISSING:
            if table == "curves" or any(measured(record)):
                refuse(i, f"a number of {_name(run)}, which is missing")
        elif fault := fault_of_row(*measured(record)):
            refuse(i, fault)
        elif int(record[step_at]) > steps:
            refuse(i, f"step {record[step_at]} of {_name(run)}, which ended at step {steps}")
        elif table == "curves" and status != "ok":
            refuse(i, f"status {status!r} of a point of a curve")
        if series in seen[run]:
            refuse(i, f"the row stands there twice ({_name(run)})")
        seen[run].add(series)
        said.setdefault(run, set()).add(status)
    return said
