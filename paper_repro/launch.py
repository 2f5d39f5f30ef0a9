"""`python -m paper_repro.launch ARGUMENTS`: Snakemake with these arguments, as `make` starts it.

What Snakemake cannot do for itself before it reads a workflow is done here. Its locks outlive a
process that is killed (``SIGKILL``, out of memory, power loss), so the same command would stop with
a LockException; they are removed where nobody can be at work. And it keeps a cache in the user's
home, which may be missing or read-only.
"""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil

from paper_repro.errors import UserError

HOLDER = Path(".snakemake/paper_repro.lock")
LOCKS = Path(".snakemake/locks")
SNAKEMAKE = (sys.executable, "-m", "snakemake")


def hold(path: Path) -> bool:
    """Take the folder's lock, which lasts until this process and what it becomes have ended.

    The file names machine and process. Returns whether Snakemake's own locks may be left over by
    another run started here: False where the file system has no locks, or where the holder
    before was on another machine and may be at work. UserError while another run holds the lock.
    """
    try:
        path.parent.mkdir(exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        before = os.read(file, 1000).decode(errors="replace").split()
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f"another make (process {' '.join(before[1:]) or 'unknown'} on "
            f"{before[0] if before else 'this machine'}) works in {Path.cwd()}; wait until it ends"
        ) from None
    except OSError:  # a read-only folder, or a file system without locks
        return False
    os.ftruncate(file, 0)
    os.pwrite(file, f"{socket.gethostname()} {os.getpid()}\n".encode(), 0)
    os.set_inheritable(file, True)  # into Snakemake, which closes it for its jobs
    return not before or before[0] == socket.gethostname()


def at_work() -> list[int]:
    """Processes of Snakemake, but for this one's parents, whose working directory is this one."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in own and Path(process.cwd()) == Path.cwd():
                words = process.cmdline()
                named = "snakemake" in {Path(word).name for word in words[:4]}
                found += [process.pid] if named and "--mode" not in words else []  # that: a job's
        except (psutil.Error, OSError):
            continue  # another user's, or just ended
    return found


def writable_cache() -> None:
    """Point Snakemake's cache into this folder where the user's home cannot hold it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    try:
        (cache / "snakemake").mkdir(parents=True, exist_ok=True)
        if os.access(cache / "snakemake", os.W_OK):
            return
    except OSError:
        pass
    os.environ["XDG_CACHE_HOME"] = str(Path(".snakemake/cache").absolute())


def main(arguments: list[str]) -> int:
    """Become Snakemake; 2 and one line on standard error where another run is at work here."""
    try:
        mine = hold(HOLDER)
    except UserError as error:
        print(f"paper_repro: {error}", file=sys.stderr)
        return 2
    writable_cache()
    if mine and LOCKS.is_dir() and any(LOCKS.iterdir()) and not at_work():
        print("A killed run left its locks here; they are removed.", file=sys.stderr)
        subprocess.run([*SNAKEMAKE, "--unlock", *arguments], check=False, capture_output=True)
    os.execv(sys.executable, [*SNAKEMAKE, *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
