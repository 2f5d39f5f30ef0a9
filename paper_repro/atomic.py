"""Atomic file writes: after a kill at any moment a file is the old one or the new one, whole.

Network file systems refuse some of what that needs. What they merely do not know (syncing a
folder, locks, replacing a file) is done without, and said once; what a user must mend (a full
disk, a folder that may not be written) is one line. A file that such a file system loses or cuts
is found by its hash (`paper_repro.record`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from paper_repro.errors import UserError

CHANGES_NO_NUMBER = True

TEMPORARY = ".tmp"  # suffix of files that a killed writer leaves behind
# The disk's own failures. Any other error of a sync, a lock or a folder is a file system's way to
# say that it has no such thing.
FAILURES = {errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EBADF, errno.EFBIG}


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, creating its folder; durable once this returns.

    The temporary file lies in the same folder, since a rename is atomic only within one file
    system, and carries the process id, so that two processes may write the same path (the last
    one wins). Raises UserError, and leaves no temporary file, when the disk refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}{TEMPORARY}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                _sync(file.fileno())
            _replace(temporary, path)
        except BaseException:
            _discard(temporary)
            raise
        _sync_folder(path.parent)  # the rename itself must survive a power cut


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` in UTF-8 with the line ends as given (see `write_bytes`)."""
    write_bytes(path, text.encode("utf-8"))


def remove(path: Path) -> None:
    """Delete the file `path`, if it is there; UserError when the disk refuses."""
    with writing(path):
        path.unlink(missing_ok=True)


def make_room(path: Path, *, folder: bool = False) -> None:
    """Rename what stands at `path` and is no file, or no folder if `folder`; a line says whither.

    Nothing is deleted: it is not ours. UserError when the disk refuses.
    """
    if not os.path.lexists(path) or (os.path.isdir if folder else os.path.isfile)(path):
        return
    with writing(path):
        aside = Path(tempfile.mkdtemp(prefix=f"{path.name}.aside-", dir=path.parent))
        os.rename(path, aside / path.name)
    print(
        f"paper_repro: warning: {path} is no {'folder' if folder else 'file'}; moved into {aside}",
        file=sys.stderr,
        flush=True,
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within this block an error of the file system is one line that names `path`."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}); what was saved before is "
            "kept: mend the disk or name another folder, and give the same command again"
        ) from error


def folder(path: Path) -> None:
    """Make the folder `path`; UserError where that, or writing into it, is refused."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass


@contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[bool]:
    """Hold a lock on the file `path`; calls `waiting` once if another process holds it.

    The kernel frees the lock of a killed process. Yields False, having warned, where the file
    system has no locks: then two processes may do the same work twice.
    """
    with ExitStack() as stack:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(open(path, "a"))
            found = _lock(file, waiting)
        yield found


def _lock(file: IO[str], waiting: Callable[[], None]) -> bool:
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno in FAILURES:
            raise
        _warn(f"has no locks ({error.strerror}): do not train one run in two processes at a time")
        return False
    return True


def _replace(source: Path, target: Path) -> None:
    """Rename over what is there; where that is refused, out of its way first."""
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno in FAILURES or not target.is_file():
            raise
        target.unlink()
        os.replace(source, target)
        _warn(f"does not replace files ({error.strerror}): a kill may cost what was saved last")


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in FAILURES:
            raise
        _warn(f"does not sync ({error.strerror}): a power cut may cost what was saved last")


def _sync_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # a folder that may be written and not read
        return
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _discard(temporary: Path) -> None:
    with suppress(OSError):  # the error to show is that of the write
        temporary.unlink(missing_ok=True)


@cache  # once a process
def _warn(text: str) -> None:
    print(f"paper_repro: warning: the file system {text}", file=sys.stderr, flush=True)
