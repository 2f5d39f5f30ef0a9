"""The tidy files of a results folder: what they are called, their columns, and their bytes.

Numbers pass through as the text the run wrote, so collecting and merging change no digit. Equal
rows give equal bytes: no dates, Unix line ends, gzip without a time stamp. `parts` and `paths`
alone know where the files lie.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paper_repro import atomic
from paper_repro.errors import UserError
from paper_repro.results import csvfile
from paper_repro.results.csvfile import Readable, Record

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
        *("status", "started", "finished", "registered"),
    ),
    "costs": (
        *("study", "experiment", "cell", "tier", "device", "device_name", "runs", "seconds"),
        *("steps_per_second", "peak_memory_mib", "flops"),
    ),
    "registrations": ("digest", "study", "claim", "hash"),
}
NAMES = {
    "metrics": "metrics.csv",
    "curves": "curves.csv.gz",
    "cells": "cells.csv",
    "runs": "runs.csv",
    "costs": "costs.csv",
    "registrations": "registrations.csv",
}
ARRAYS = "arrays"
STUDIES = "studies"
RANK = {"reduced": 0, "paper": 1}  # tiers whose rows are published; the higher replaces the lower
MISSING = "missing"  # status of a run that the grid asks for and nobody made
LARGEST_ARRAYS = 2**28  # bytes of all arrays of a run; the largest published has 4e5


def parts(root: Path) -> list[Path]:
    """The folders of a results folder that hold tables: itself, or, where it has none of its own,
    those of its studies (``studies/<study>``)."""
    if not _has_tables(root):
        studies = sorted(filter(_has_tables, root.glob(f"{STUDIES}/*")))
        return studies or [root]
    return [root]


def _has_tables(folder: Path) -> bool:
    return any((folder / name).is_file() for name in NAMES.values())


def paths(root: Path) -> list[str]:
    """The files of a folder of tables that are there, relative to it: tables, then arrays.

    UserError where a folder of arrays cannot be read."""
    for depth in ("", "/*", "/*/*"):
        for folder in root.glob(f"{ARRAYS}{depth}"):
            _try(folder)  # glob passes over what it cannot read
    tables = [name for name in NAMES.values() if (root / name).is_file()]
    arrays = sorted(path.relative_to(root).as_posix() for path in root.glob(f"{ARRAYS}/*/*/*.npz"))
    return tables + arrays


def _try(folder: Path) -> None:
    """UserError where a folder cannot be read; nothing for a file."""
    try:
        os.scandir(folder).close()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror})") from None


def array_path(root: Path, key: RunKey) -> Path:
    """Where the arrays of a run lie under a folder of tables."""
    study, cell, seed = key
    return root / ARRAYS / study / cell / f"seed{seed}.npz"


def read_tables(root: Readable) -> Tables:
    """The six tables of a folder as text, line n of a file as entry n - 2.

    UserError where a file is missing, foreign or not as it was written; what its rows say is
    checked by `sound`.
    """
    require(root)
    return {t: csvfile.read(root / NAMES[t], columns)[1:] for t, columns in COLUMNS.items()}


def require(root: Readable) -> None:
    """UserError if one of the six tables is not there."""
    lost = [name for name in NAMES.values() if not (root / name).is_file()]
    if lost == [NAMES["registrations"]]:
        raise UserError(
            f"{root / lost[0]}: not there, as in rows of an older version; collect the runs again "
            "(snakemake does), and export them again if they come from elsewhere"
        )
    if lost:
        raise UserError(f"{root / lost[0]}: not there; collect the runs first (snakemake does)")


def csv_text(columns: Sequence[str], records: Iterable[Sequence[str]]) -> str:
    """CSV text with a header line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(records)
    return buffer.getvalue()


def write_table(records: list[Record], table: str, root: Path) -> None:
    """Write one of the six tables under `root`, creating it."""
    raw = csv_text(COLUMNS[table], records).encode()
    if NAMES[table].endswith(".gz"):
        raw = gzip.compress(raw, compresslevel=9, mtime=0)
    atomic.write_bytes(root / NAMES[table], raw)


def write_arrays(sources: Mapping[RunKey, Readable], root: Path) -> None:
    """Copy the arrays of runs to their places under `root`, where none lie yet."""
    (root / ARRAYS).mkdir(parents=True)
    for key, source in sorted(sources.items()):
        target = array_path(root, key)
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as stream, target.open("wb") as copy:
            shutil.copyfileobj(stream, copy)


def arrays_of(root: Readable, tables: Tables) -> dict[RunKey, Readable]:
    """Arrays that exist under `root` for the runs of its tables."""
    column = COLUMNS["runs"].index
    keys = {(r[column("study")], r[column("cell")], r[column("seed")]) for r in tables["runs"]}
    places = {key: root / array_path(Path(), key).as_posix() for key in keys}
    return {key: place for key, place in places.items() if place.is_file()}


def load_arrays(path: Readable) -> dict[str, NDArray[Any]]:
    """What a run saved, by name; UserError where that cannot be read or is larger than any run's.

    Nothing is unpickled.
    """
    raw = io.BytesIO(path.read_bytes())
    try:
        with zipfile.ZipFile(raw) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size <= LARGEST_ARRAYS:
            with np.load(raw) as found:
                return {name: found[name] for name in found.files}
    except Exception as error:  # for bytes that are no arrays numpy and zlib raise as they like
        raise UserError(f"{path}: no arrays that a run saved ({error})") from None
    raise UserError(f"{path}: {size} bytes of arrays, which no run saves")
