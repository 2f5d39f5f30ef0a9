"""What is new in a results folder is put there all at once.

The new files are prepared in a folder inside it and become valid by one rename; from then on
they are copied to their places. Killed before the rename, everything is as it was; killed after
it, the copying starts over with the next write, and until then the hashes refuse a mixture of a
study's files. So what is published of a study is the old state, the new state, or one that
repeating the command mends. One process writes at a time.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from paper_repro import atomic
from paper_repro.errors import UserError
from paper_repro.results import sums
from paper_repro.results.csvfile import Readable
from paper_repro.results.files import (
    ARRAYS,
    COLUMNS,
    NAMES,
    RunKey,
    Tables,
    parts,
    paths,
    write_arrays,
    write_table,
)

PREPARED = ".prepared"
VALID = ".valid"
Part = tuple[Tables, Mapping[RunKey, Readable]]  # the tables of a folder and the arrays of its runs


@contextmanager
def held(root: Path) -> Iterator[None]:
    """Keep other processes from writing `root` while its rows are read, joined and replaced.

    The lock lies beside the folder, which holds results alone.
    """
    place = root.resolve()  # one folder, however it is called
    with atomic.locked(place.with_name(f".{place.name}.lock"), lambda: _waiting(root)):
        yield


def _waiting(root: Path) -> None:
    text = f"{root}: another process writes here; waiting until it has ended"
    print(f"paper_repro: {text}", file=sys.stderr, flush=True)


def write_results(tables: Tables, arrays: Mapping[RunKey, Readable], root: Path) -> None:
    """Make the tables and arrays under `root` these, no others, and list their hashes.

    Arrays may lie under `root` themselves. Files of other kinds stay as they are.
    """
    with held(root):
        replace({"": (tables, arrays)}, root)


def replace(content: Mapping[str, Part], root: Path) -> None:
    """As `write_results`, of one or several folders under `root` by their relative paths, by a
    process that holds it (`held`). Folders that are not named stay as they are."""
    settle(root)
    for name, (tables, arrays) in content.items():
        prepared = root / PREPARED / name
        for table in COLUMNS:
            write_table(tables[table], table, prepared)
        write_arrays(arrays, prepared)
        sums.write(prepared)
    os.rename(root / PREPARED, root / VALID)
    settle(root)


def settle(root: Path) -> bool:
    """Finish a write that was interrupted once valid, and tell whether there was one; what was
    only half prepared goes. UserError where `root` is no folder."""
    if root.exists() and not root.is_dir():
        raise UserError(f"{root}: not a folder")
    shutil.rmtree(root / PREPARED, ignore_errors=True)
    valid = root / VALID
    if not valid.is_dir():
        return False
    for part in parts(valid):
        _put(part, root / part.relative_to(valid), root / PREPARED)
    os.rename(valid, root / PREPARED)  # from here on nothing is left to repeat
    shutil.rmtree(root / PREPARED)
    return True


def _put(part: Path, place: Path, scratch: Path) -> None:
    """Copy the files of a folder to their place."""
    place.mkdir(parents=True, exist_ok=True)
    for name in (*NAMES.values(), sums.NAME):
        for leftover in place.glob(f".{name}.*{atomic.TEMPORARY}"):
            leftover.unlink()
    shutil.copytree(part / ARRAYS, scratch / ARRAYS)
    shutil.rmtree(place / ARRAYS, ignore_errors=True)
    os.rename(scratch / ARRAYS, place / ARRAYS)
    for name in (*paths(part), sums.NAME):
        if not name.startswith(f"{ARRAYS}/"):
            atomic.write_bytes(place / name, (part / name).read_bytes())


def interrupted(root: Readable) -> bool:
    """Whether a write of a folder of tables, or of the results folder that it is a study of, has
    yet to be finished."""
    homes = (root, root.parent.parent) if isinstance(root, Path) else ()
    return any((home / VALID).is_dir() for home in homes)
