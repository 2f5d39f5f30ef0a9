"""The zip that carries a results folder to another machine.

What comes out of one is limited before it is read, so that a small file cannot fill the memory or
the disk, and only what an export can hold is looked at.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from paper_repro import atomic
from paper_repro.errors import UserError
from paper_repro.results import csvfile, sound, sums
from paper_repro.results.collect import merge
from paper_repro.results.files import ARRAYS, LARGEST_ARRAYS, NAMES, parts, paths

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold: equal rows, equal bytes
MOST_FILES = 100_000  # a suite of five papers has some thousands of runs
LARGEST = 2**32  # bytes of all files together; what is published stays under 20 MB


def pack(root: Path, out: Path) -> None:
    """Write the files of a results folder, which must be sound, to the zip `out`; tables of several
    studies are joined."""
    buffer = io.BytesIO()
    with TemporaryDirectory() as scratch, zipfile.ZipFile(buffer, "w") as archive:
        if (studies := parts(root)) == [root]:
            sound.read(root)
        else:
            root = Path(scratch, "rows")
            merge(studies, root)
        for name in sorted([*paths(root), sums.NAME]):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (root / name).read_bytes())
    atomic.write_bytes(out, buffer.getvalue())


@contextmanager
def opened(source: Path) -> Iterator[tuple[zipfile.Path, list[str]]]:
    """The inside of an export, to be read like a folder, and its files but for SHA256SUMS.

    UserError if it cannot be read whole, is larger than any export, or holds anything else.
    """
    try:
        archive = zipfile.ZipFile(source)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{source}: no zip that export wrote ({error})") from None
    with archive:
        if fault := _fault(archive):
            raise UserError(f"{source}: {fault}")
        names = [name for name in archive.namelist() if name != sums.NAME]
        yield zipfile.Path(archive), names


def _fault(archive: zipfile.ZipFile) -> str:
    entries = archive.infolist()
    if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > LARGEST:
        return f"more than {MOST_FILES} files or {LARGEST} bytes, which no export has"
    for name, count in Counter(entry.filename for entry in entries).items():
        if not _belongs(name):
            return f"{name!r} does not belong in an export"
        if count > 1:
            return f"{name!r} stands there twice"
    for entry in entries:
        if entry.flag_bits & 1 or entry.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            return f"{entry.filename!r} is encrypted or packed as export never does"
        most = LARGEST_ARRAYS if entry.filename.endswith(".npz") else csvfile.LARGEST
        if entry.file_size > most:
            return f"{entry.filename!r} has {entry.file_size} bytes, which no export has"
    try:
        damaged = archive.testzip()
    except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        return f"damaged ({error})"
    return f"{damaged!r} is damaged" if damaged else ""


def _belongs(name: str) -> bool:
    parts = PurePosixPath(name).parts
    array = len(parts) == 4 and parts[0] == ARRAYS and name.endswith(".npz")
    return name in (*NAMES.values(), sums.NAME) or (array and ".." not in parts)
