"""The tidy files of a results folder: their columns, and reading and writing them as text.

Numbers pass through as the text the run wrote, so collecting and merging change no digit. Equal
rows give equal bytes: no dates, Unix line ends, gzip without a time stamp.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from paper_repro import atomic
from paper_repro.errors import UserError

Record = tuple[str, ...]
Tables = dict[str, list[Record]]
RunKey = tuple[str, str, str]  # study, cell, seed

_ROW = (
    *("study", "experiment", "cell", "dataset", "model", "estimator", "objective", "seed", "split"),
    *("step", "metric", "value", "unit", "status", "run_id", "at", "tier", "device", "steps"),
    *("torch", "fingerprint"),
)
COLUMNS: dict[str, Record] = {
    "metrics": _ROW,
    "curves": _ROW,
    "cells": ("study", "experiment", "cell", "tier", "task", "params"),
    "runs": (
        *("run_id", "study", "experiment", "cell", "seed", "tier", "device", "device_name"),
        *("steps", "seconds", "steps_per_second", "torch", "python", "fingerprint", "commit"),
        *("status", "started", "finished"),
    ),
    "costs": (
        *("study", "experiment", "cell", "tier", "device", "device_name", "runs", "seconds"),
        *("steps_per_second", "peak_memory_mib", "flops"),
    ),
}
NAMES = {
    "metrics": "metrics.csv",
    "curves": "curves.csv.gz",
    "cells": "cells.csv",
    "runs": "runs.csv",
    "costs": "costs.csv",
}
ARRAYS = "arrays"
MISSING = "missing"  # status of a run that the grid asks for and nobody made


def read_tables(root: Path) -> Tables:
    """The five tables of a results folder as text; UserError where one is missing or foreign."""
    tables = {}
    for table, columns in COLUMNS.items():
        path = root / NAMES[table]
        if not path.is_file():
            raise UserError(f"{path}: not there; collect the runs first (snakemake does)")
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        reader = csv.reader(io.StringIO(raw.decode("utf-8"), newline=""))
        head = tuple(next(reader, []))
        if head != columns:
            odd = sorted(set(head) ^ set(columns)) or ["their order"]
            raise UserError(f"{path}: columns differ from what this version writes: {odd[0]}")
        tables[table] = [tuple(record) for record in reader]
    return tables


def write_tables(tables: Tables, root: Path) -> None:
    """Write the five tables under `root`, creating it."""
    root.mkdir(parents=True, exist_ok=True)
    for table, columns in COLUMNS.items():
        raw = csv_text(columns, tables[table]).encode()
        if NAMES[table].endswith(".gz"):
            raw = gzip.compress(raw, compresslevel=9, mtime=0)
        atomic.write_bytes(root / NAMES[table], raw)


def csv_text(columns: Sequence[str], records: Iterable[Sequence[str]]) -> str:
    """CSV text with a header line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(records)
    return buffer.getvalue()


def array_path(root: Path, key: RunKey) -> Path:
    """Where the arrays of a run lie under a results folder."""
    study, cell, seed = key
    return root / ARRAYS / study / cell / f"seed{seed}.npz"


def replace_arrays(sources: dict[RunKey, Path], root: Path) -> None:
    """Make the arrays under `root` exactly those of `sources`; nothing stale stays behind.

    Sources may lie under `root` themselves: the new folder is complete before the old one goes.
    """
    root.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=root, prefix=f".{ARRAYS}."))
    try:
        (fresh / ARRAYS).mkdir()
        for key, source in sorted(sources.items()):
            target = array_path(fresh, key)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        shutil.rmtree(root / ARRAYS, ignore_errors=True)
        os.replace(fresh / ARRAYS, root / ARRAYS)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def arrays_of(root: Path, tables: Tables) -> dict[RunKey, Path]:
    """Arrays that exist under `root` for the runs of its tables."""
    column = COLUMNS["runs"].index
    keys = {(r[column("study")], r[column("cell")], r[column("seed")]) for r in tables["runs"]}
    return {key: path for key in keys if (path := array_path(root, key)).is_file()}
