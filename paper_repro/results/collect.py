"""From the folders of runs to tidy tables: one row per number, per run, per cell.

Every cell and seed of the grid has its row: a run that is not there, or that was trained with
other settings than the grid now asks for, stands as ``missing``, one that diverged as
``diverged``. A table is never shorter than its grid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paper_repro import record
from paper_repro.cell import Cell
from paper_repro.errors import UserError
from paper_repro.results import csvfile, measured, overwriting, registrations, sound
from paper_repro.results.csvfile import Readable, Record
from paper_repro.results.files import COLUMNS, MISSING, RunKey, Tables, arrays_of, csv_text
from paper_repro.results.keeping import write_csv
from paper_repro.results.staged import write_results

MAX_POINTS = 200  # of one curve of one run
SHORT = 12  # hex digits of a fingerprint
ROW_COLUMNS = ("split", "step", "metric", "value", "unit", "at", "estimator", "kind", "status")


def collect(cells: Sequence[Cell], runs_root: Path, out: Path, tier: str) -> None:
    """Gather ``runs_root/<study>/<cell>/seed<k>/`` of every cell and seed into tables under `out`.

    UserError for a run whose files are damaged or that lies in the folder of another, for a cell
    whose seeds were trained by different code or on different data, for cells of another tier, and
    for an `out` that holds other rows (`overwriting`).
    """
    overwriting.check_folder(out, {(cell.study, tier) for cell in cells})
    tables: Tables = {table: [] for table in COLUMNS}
    arrays: dict[RunKey, Readable] = {}
    for cell in sorted(cells, key=lambda cell: (cell.study, cell.experiment, cell.id)):
        if cell.tier != tier:
            raise UserError(f"cell {cell.id}: of tier {cell.tier!r}, not {tier!r}")
        runs = [_read_run(cell, seed, runs_root) for seed in sorted(cell.seeds)]
        if fault := record.mixed([run.record for run in runs if run.record]):
            raise UserError(f"{runs[0].folder.parent}: {fault}; snakemake, called again, mends it")
        for run in runs:
            final, curves = _rows(run)
            tables["metrics"] += final
            tables["curves"] += curves
            tables["runs"].append(_run_row(run))
            tables["registrations"] += registrations.lines(run.record.get("registered", {}))
            if record.ARRAYS in run.files:
                arrays[cell.study, cell.id, str(run.seed)] = run.folder / record.ARRAYS
        params = json.dumps(dict(cell.params), sort_keys=True)
        address = (cell.study, cell.experiment, cell.id, cell.tier)
        tables["cells"].append((*address, cell.task, params))
        tables["costs"] += [(*address, *cost) for cost in _costs(runs)]
    tables["registrations"] = registrations.used(tables)
    sound.check(tables, out)
    write_results(tables, arrays, out)


def merge(roots: Sequence[Path], out: Path) -> None:
    """Join collected folders of different studies into one.

    UserError for a folder that is not there or damaged, for two that hold the same study, for rows
    of different tiers, and for an `out` that holds other rows (`overwriting`).
    """
    tables: Tables = {table: [] for table in COLUMNS}
    arrays: dict[RunKey, Readable] = {}
    homes: dict[str, Path] = {}
    for root in roots:
        found = sound.read(root)
        for study in dict.fromkeys(row[0] for row in found["cells"]):
            if study in homes:
                raise UserError(f"{root}: study {study} is in {homes[study]} too")
            homes[study] = root
        for table, records in found.items():
            tables[table] += records
        arrays |= arrays_of(root, found)
    tables["registrations"] = registrations.used(tables)
    owners = overwriting.owners_of(tables)
    overwriting.check_tiers(owners, *roots)
    overwriting.check_folder(out, owners, roots)
    write_results(tables, arrays, out)


def concatenate(files: Sequence[Path], out: Path) -> None:
    """Join CSV files; UserError where one cannot be read or is named twice, their columns differ, a
    line or a verdict stands there twice, or `out` is one of them or holds something else. The file
    there stays if it says the same (`keeping`)."""
    columns: Record = ()
    records: list[Record] = []
    seen = set[Path]()
    places: dict[Record, str] = {}
    for path in files:
        if path.resolve() in seen:
            raise UserError(f"{path}: named twice")
        seen.add(path.resolve())
        head, *rest = csvfile.read(path)
        if columns and head != columns:
            raise UserError(f"{path}: its columns differ from those of {files[0]}")
        columns = head
        for line, row in enumerate(rest, start=2):
            key = row[:3] if columns[:3] == ("study", "claim", "check") else row
            if key in places:
                what = " ".join(filter(None, key)) if len(key) < len(row) else "the line"
                raise UserError(f"{path}, line {line}: {what} is in {places[key]} too")
            places[key] = f"{path}, line {line},"
        records += rest
    overwriting.check_csv(out, columns, files)
    write_csv(out, csv_text(columns, records))


@dataclass(frozen=True)
class _Run:
    cell: Cell
    seed: int
    folder: Path
    record: Mapping[str, Any]  # run.json; empty for a missing run
    files: Mapping[str, bytes]  # the files beside it

    @property
    def status(self) -> str:
        return str(self.record["status"]) if self.record else MISSING


def _read_run(cell: Cell, seed: int, root: Path) -> _Run:
    folder = root / cell.study / cell.id / f"seed{seed}"
    try:
        found = record.read(folder)
    except record.Damaged as damage:
        raise UserError(f"{damage}; snakemake, called again, makes it anew") from None
    if found and (other := record.misplaced(found.record, cell.study, cell.id, folder.name)):
        raise UserError(
            f"{folder}: its {record.RECORD} is of {other}; rename or remove the folder (snakemake, "
            "called again, makes it anew)"
        )
    if not found or not record.answers(found.record, cell, seed):
        return _Run(cell, seed, folder, {}, {})
    return _Run(cell, seed, folder, found.record, found.files)


def _rows(run: _Run) -> tuple[list[Record], list[Record]]:
    """Final rows and thinned curve rows of a run; one final row if it is missing."""
    params, record = run.cell.params, run.record
    shared = {
        "study": run.cell.study,
        "experiment": run.cell.experiment,
        "cell": run.cell.id,
        **{name: params.get(name, "") for name in ("dataset", "model", "objective")},
        "seed": run.seed,
        "run_id": record.get("run_id", ""),
        "tier": run.cell.tier,
        "device": record.get("device", ""),
        "steps": params.get("steps", ""),
        "torch": record.get("torch", ""),
        "fingerprint": str(record.get("fingerprint", ""))[:SHORT],
    }
    own = str(params.get("estimator", ""))
    if not record:
        return [_record("metrics", {**shared, "estimator": own, "status": MISSING})], []
    final: list[Record] = []
    curves: dict[tuple[str, ...], list[Record]] = {}
    for row in _read_rows(run):
        line = _record("metrics", {**shared, **row, "estimator": row["estimator"] or own})
        if row["kind"] == "curve":
            series = (row["metric"], row["split"], row["at"], row["estimator"])
            curves.setdefault(series, []).append(line)
        else:
            final.append(line)
    return final, [line for points in curves.values() for line in thin(points)]


def _read_rows(run: _Run) -> list[dict[str, str]]:
    text, path = run.files[record.METRICS], run.folder / record.METRICS
    rows = measured.rows_of_run(text, ROW_COLUMNS, run.status, path)
    return [dict(zip(ROW_COLUMNS, row, strict=True)) for row in rows]


def thin(points: Sequence[Record], most: int = MAX_POINTS) -> list[Record]:
    """At most `most` of the points, evenly spaced, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    last = len(points) - 1
    return [points[(2 * i * last + most - 1) // (2 * (most - 1))] for i in range(most)]


def _run_row(run: _Run) -> Record:
    record = run.record
    found = {name: record.get(name, "") for name in COLUMNS["runs"]}
    return _record(
        "runs",
        {
            **found,
            "study": run.cell.study,
            "experiment": run.cell.experiment,
            "cell": run.cell.id,
            "seed": run.seed,
            "tier": run.cell.tier,
            "seconds": _seconds(record) if record else "",
            "fingerprint": str(found["fingerprint"])[:SHORT],
            "status": run.status,
            "registered": registrations.digest(record.get("registered", {})),
        },
    )


def _costs(runs: Sequence[_Run]) -> list[Record]:
    """Per device: its name, runs, seconds and FLOPs of all of them, mean steps per second, largest
    memory; a single row without a device where nothing was run."""
    devices: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for run in runs:
        if run.record:
            device = (run.record["device"], run.record["device_name"])
            devices.setdefault(device, []).append(run.record)
    rows: list[Record] = []
    for device, records in sorted(devices.items()):
        speeds = [float(r["steps_per_second"]) for r in records]
        rows.append(
            (
                *device,
                str(len(records)),
                _text(sum(_seconds(r) for r in records)),
                _text(sum(speeds) / len(speeds)),
                _text(max(float(r["peak_memory_mib"]) for r in records)),
                str(sum(int(r["flops"]) for r in records)),
            )
        )
    return rows or [("", "", "0", "", "", "", "")]


def _seconds(record: Mapping[str, Any]) -> float:
    """Time of a run, training and evaluation."""
    return float(record["seconds"]) + float(record["evaluation_seconds"])


def _record(table: str, row: Mapping[str, Any]) -> Record:
    return tuple(_text(row.get(column, "")) for column in COLUMNS[table])


def _text(value: Any) -> str:
    """Numbers of a run's own text stay as they are; times and speeds need no more digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
