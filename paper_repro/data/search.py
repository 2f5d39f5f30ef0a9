"""Where a real data set lies, and torchvision's download for those that lie nowhere.

The order is fixed: the ``data_dir`` setting, $PAPER_REPRO_DATA, ./data. The first that holds the
set's folder is used; a broken copy there is reported, never passed over for another. Nothing is
ever written into the first two. Torch is imported by a download alone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from paper_repro.data.faults import fault
from paper_repro.data.names import DATASETS
from paper_repro.errors import UserError

CHANGES_NO_NUMBER = True

VARIABLE = "PAPER_REPRO_DATA"
DOWNLOADS = Path("data")
TIMEOUT = 60.0  # seconds without an answer before a download is given up
TORCHVISION: dict[str, tuple[str, tuple[dict[str, Any], ...]]] = {
    "mnist": ("MNIST", ({},)),
    "fashion_mnist": ("FashionMNIST", ({},)),
    "color_mnist": ("MNIST", ({},)),
    "mnist_rotate": ("MNIST", ({},)),
    "cifar10": ("CIFAR10", ({},)),
    "omniglot": ("Omniglot", ({"background": True}, {"background": False})),
    "celeba": ("CelebA", ({},)),
    "celeba128": ("CelebA", ({},)),
}


def locate(name: str, data_dir: Path | str | None = None, download: bool = True) -> Path:
    """The data directory that holds real set `name`; downloads it into ./data if allowed.

    Raises UserError where a named directory does not exist, cannot be read or is empty, where the
    set is nowhere and may not be downloaded, or where the download fails.
    """
    places = _places(data_dir)
    if root := _find(name, places):
        return root
    if not download or name not in TORCHVISION:
        raise UserError(_missing(name, places))
    try:
        return _download(name, DATASETS[name]["folder"])
    except Exception as error:  # torchvision, urllib, tarfile, ... have no base of their own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(_missing(name, places, f", and the download failed ({reason})")) from error


def check(
    runs: Iterable[Sequence[str]], data_dir: Path | str | None = None, download: bool = True
) -> dict[str, Path | None]:
    """Say before anything trains whether the data sets of `runs`, each those that one run reads,
    can be had: the data directory of each real set, None for one that will be downloaded.

    Looks at files and opens none. Raises UserError, in one line for all sets at fault, where
    `data_dir` or a set cannot be had, a file is missing or cut, or two sets of a run lie apart.
    """
    _named("data_dir", data_dir)
    found: dict[str, Path | None] = {}
    faults: dict[str, str] = {}
    for sets in dict.fromkeys(tuple(names) for names in runs):
        real = [name for name in sets if DATASETS[name]["folder"]]
        for name in real:
            places = _places(data_dir)
            found[name] = root = _find(name, places)
            if root and (broken := _broken(name, root)):
                faults[name] = str(fault(name, *broken))
            elif not root and not (download and name in TORCHVISION):
                faults[name] = _missing(name, places)
        if not faults:
            one_folder(real, [root for name in real if (root := found[name])])
    if faults:
        first, *others = faults
        more = f" (nor can {', '.join(others)} be had)" if others else ""
        raise UserError(faults[first] + more)
    return found


def one_folder(names: Sequence[str], roots: Iterable[Path]) -> Path:
    """The one data directory that the sets of a run lie in, beside ./data, which is looked into
    anyway. UserError where they lie in two."""
    named = sorted(set(roots) - {DOWNLOADS}) or [DOWNLOADS]
    if len(named) > 1:
        listed = " and ".join(map(str, named))
        raise UserError(f"{', '.join(names)}: they lie in {listed}; put them into one folder")
    return named[0]


def _places(data_dir: Path | str | None) -> list[Path]:
    """Directories to look into."""
    return [
        *_named("data_dir", data_dir),
        *_named(f"${VARIABLE}", os.environ.get(VARIABLE)),
        DOWNLOADS,
    ]


def _named(key: str, value: Path | str | None) -> list[Path]:
    """The directory that `key` names, if any; UserError unless there is something in it."""
    if not value:
        return []
    place = Path(os.path.expanduser(value))
    if not os.path.isdir(place):
        what = "it is a file" if os.path.exists(place) else "it is not there"
        raise UserError(f"{key}: {place} is not a folder: {what}; correct it or leave it out")
    try:
        with os.scandir(place) as inside:
            empty = next(inside, None) is None
    except OSError as error:
        raise UserError(f"{key}: {place} cannot be read ({error.strerror})") from error
    if empty:
        raise UserError(f"{key}: {place} is empty; correct it or leave it out")
    return [place]


def _find(name: str, places: Iterable[Path]) -> Path | None:
    """The first place that holds the set's folder."""
    folder = DATASETS[name]["folder"]
    return next((root for root in places if os.path.isdir(root / folder)), None)


def _broken(name: str, root: Path) -> tuple[Path, str] | None:
    """The first file of the set that is not there, or not whole by its size, and what it is."""
    for file, size in DATASETS[name].get("holds", {}).items():
        path = root / DATASETS[name]["folder"] / file
        packed = path.with_name(f"{file}.gz")
        if os.path.exists(path):
            if not os.access(path, os.R_OK):
                return path, "cannot be read by this user"
            if size and (found := os.path.getsize(path)) != size:
                return path, f"{found} bytes, expected {size}"
        elif not os.path.exists(packed):
            return path, "missing"
    return None


def _missing(name: str, places: Sequence[Path], what: str = "") -> str:
    """The line for a set that lies nowhere, with its remedy."""
    folder = Path(DATASETS[name]["folder"])
    looked = ", ".join(str(root) if root.is_absolute() else f"./{root}" for root in places)
    what = what or ("" if name in TORCHVISION else ", and it cannot be downloaded")
    line = (
        f"dataset {name}: no {folder} in {looked}{what}; put it into a folder and name that folder "
        f"with data_dir=... or ${VARIABLE}"
    )
    # Somebody may have named the set's own folder, MNIST or MNIST/raw, instead of what holds it.
    above = (above for place in places for above in list(place.absolute().parents)[:2])
    near = next((place for place in above if (place / folder).is_dir()), None)
    return f"{line}; {near} holds it" if near else line


def point_to(names: Iterable[str], data_dir: Path | None, download: bool) -> None:
    """Find the real ones among data sets once, for all that is read later in this process.

    UserError where one lies nowhere, or two lie in two named folders.
    """
    if real := [name for name in names if DATASETS[name]["folder"]]:
        roots = [locate(name, data_dir, download) for name in real]
        os.environ[VARIABLE] = str(one_folder(real, roots))


def _download(name: str, folder: str) -> Path:
    """Download beside the destination and move the finished folder in: a reader never sees half
    a set, and of two jobs that want the same files the second waits and finds them there."""
    top = Path(folder).parts[0]
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    with _locked(DOWNLOADS / f".{top}.lock") as alone:
        if not (DOWNLOADS / folder).is_dir():
            for leftover in DOWNLOADS.glob(f".{top}-*") if alone else ():  # of a killed download
                shutil.rmtree(leftover, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=f".{top}-", dir=DOWNLOADS) as scratch:
                _fetch(name, Path(scratch))
                (DOWNLOADS / folder).parent.mkdir(exist_ok=True)
                try:
                    os.replace(Path(scratch) / folder, DOWNLOADS / folder)
                except OSError:
                    if not (DOWNLOADS / folder).is_dir():  # else another job was first
                        raise
    return DOWNLOADS


def _fetch(name: str, root: Path) -> None:
    """torchvision's own download and integrity check, into `root`."""
    from torchvision import datasets  # two seconds of import, for downloads only

    kind, calls = TORCHVISION[name]
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        for options in calls:
            getattr(datasets, kind)(str(root), download=True, **options)
    finally:
        socket.setdefaulttimeout(before)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold a lock, or go on without one (False) where the file system has none."""
    with path.open("w") as handle:
        alone = False
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
            alone = True
        yield alone
