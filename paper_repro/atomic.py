"""Atomic file writes: after a kill at any moment a file is the old one or the new one, whole."""

from __future__ import annotations

import os
from pathlib import Path

TEMPORARY = ".tmp"  # suffix of files that a killed writer leaves behind


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, creating its folder; durable once this returns.

    The temporary file lies in the same folder, since a rename is atomic only within one file
    system, and carries the process id, so that two processes may write the same path (the last
    one wins). Raises OSError, and leaves no temporary file, when the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself must survive a power cut
    finally:
        os.close(folder)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` in UTF-8 with the line ends as given (see `write_bytes`)."""
    write_bytes(path, text.encode("utf-8"))
