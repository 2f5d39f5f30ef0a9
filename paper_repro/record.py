"""The folder of one run: run.json, metrics.csv and perhaps arrays.npz, sealed by SHA-256.

run.json holds the hash of every other file and one of itself, so that a run is believed only if it
is what was written: a disk, a copy or an editor can cut a file within a row, or turn a digit into
another one, and leave everything readable. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paper_repro import atomic
from paper_repro.cell import Cell

CHANGES_NO_NUMBER = True

# What was fixed before a run: SHA-256 of the rules of all claims (`claims.registration`), by study
# and claim. run.json holds it as `registered`; runs older than that have none.
Registered = Mapping[str, Mapping[str, str]]
RECORD, METRICS, ARRAYS = "run.json", "metrics.csv", "arrays.npz"
SEAL = "sha256"  # the field of run.json that holds the hash of all others
# What every run.json says, as far as anything here reads it; one of another version may not.
NUMBER = (int, float)
FIELDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("run_id", "status", "sources", "fingerprint", "device", "device_name"), str),
    **dict.fromkeys(("python", "torch", "commit", "started", "finished"), str),
    **dict.fromkeys(("seconds", "evaluation_seconds", "steps_per_second"), NUMBER),
    **dict.fromkeys(("peak_memory_mib", "flops"), NUMBER),
    **dict.fromkeys(("seed", "steps"), int),
    **dict.fromkeys(("cell", "files"), dict),
}
OF_CELL = {
    **dict.fromkeys(("study", "experiment", "id", "tier", "task"), str),
    "params": dict,
    "seeds": list,
}


class Damaged(Exception):
    """A file of a run is not what was written; the message names it and says what is wrong."""


@dataclass(frozen=True)
class Run:
    """A whole run: what run.json says, and the bytes of the other files by name."""

    record: dict[str, Any]
    files: dict[str, bytes]


def write(folder: Path, record: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Write a run, run.json last; what another run left in `folder` goes.

    A kill on the way leaves a folder that `read` finds absent or damaged, never another run.
    """
    atomic.make_room(folder, folder=True)
    for name in (RECORD, METRICS, ARRAYS):
        atomic.make_room(folder / name)
    for name in (METRICS, ARRAYS):
        if name in files:
            atomic.write_bytes(folder / name, files[name])
        else:
            atomic.remove(folder / name)
    hashes = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    atomic.write_text(folder / RECORD, _sealed({**record, "files": hashes}))


def read(folder: Path) -> Run | None:
    """The run in `folder`, None where there is none; raises `Damaged` where it is not whole."""
    path = folder / RECORD
    try:
        text = _content(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # unreadable sectors
        raise Damaged(f"{path} cannot be read ({error.strerror})") from None
    record = _unsealed(text, path)
    files = {}
    for name, known in record["files"].items():
        try:
            files[name] = _content(folder / name)
        except OSError as error:
            raise Damaged(f"{folder / name} cannot be read ({error.strerror})") from None
        if hashlib.sha256(files[name]).hexdigest() != known:
            raise Damaged(f"{folder / name} is damaged (its SHA-256 is not that in {RECORD})")
    if ARRAYS not in files and (folder / ARRAYS).exists():
        raise Damaged(f"{folder / ARRAYS} is not part of this run")
    return Run(record, files)


def _content(path: Path) -> bytes:
    """The bytes of a file; OSError, or `Damaged` for a folder, a pipe or a link to nothing."""
    if os.path.lexists(path) and not os.path.isfile(path):
        raise Damaged(f"{path} is no file")
    return path.read_bytes()


def misplaced(record: Mapping[str, Any], study: str, cell: str, seed: str) -> str:
    """Which run lies in a folder <study>/<cell>/<seed> by its run.json; "" where it is this one."""
    of = record["cell"]
    found = (of["study"], of["id"], f"seed{record['seed']}")
    return "" if found == (study, cell, seed) else "/".join(found)


def answers(record: Mapping[str, Any], cell: Cell, seed: int) -> bool:
    """Whether the run is what the grid now asks for: of this task, these parameters, this seed."""
    asked = json.loads(cell.as_json())
    found = record["cell"]
    same = all(found.get(key) == asked[key] for key in ("task", "params"))
    return same and record["seed"] == seed


def mixed(records: Sequence[Mapping[str, Any]]) -> str:
    """What seeds of one cell must have in common and have not, in words; "" where they have."""
    for name, fault in (("sources", "by different code"), ("fingerprint", "on different data")):
        if len({record[name] for record in records}) > 1:
            return f"its seeds were trained {fault}"
    return ""


def _sealed(record: Mapping[str, Any]) -> str:
    """The text of run.json with its seal, the last field."""
    rest = {name: value for name, value in record.items() if name != SEAL}
    seal = hashlib.sha256(json.dumps(rest, indent=1).encode()).hexdigest()
    return json.dumps({**rest, SEAL: seal}, indent=1) + "\n"


def _unsealed(text: bytes, path: Path) -> dict[str, Any]:
    """What a run.json says; raises `Damaged` for any text but that which `_sealed` gives."""
    try:
        record = json.loads(text)
        whole = isinstance(record, dict) and _sealed(record).encode() == text
    except (ValueError, RecursionError):  # no JSON, or no UTF-8
        whole = False
    if not whole:
        raise Damaged(f"{path} is damaged (its SHA-256 is not the one it gives)")
    found: dict[str, Any] = record
    wrong = _wrong(found, FIELDS) or _wrong(found["cell"], OF_CELL)
    if wrong or METRICS not in found["files"]:
        raise Damaged(f"{path} is of another version ({wrong or METRICS!r} is not as here)")
    return found


def _wrong(found: Mapping[str, Any], fields: Mapping[str, type | tuple[type, ...]]) -> str:
    """The first field that is not there, or of another type; "" for none."""
    for name, kind in fields.items():
        if not isinstance(found.get(name), kind) or isinstance(found[name], bool):
            return name
    return ""
