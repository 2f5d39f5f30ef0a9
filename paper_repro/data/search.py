"""Where a real data set lies, and torchvision's download for those that lie nowhere.

The order is fixed: the ``data_dir`` setting, $PAPER_REPRO_DATA, ./data. The first that holds the
set's folder is used; a broken copy there is reported, never passed over for another.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tarfile import TarError
from typing import Any
from zipfile import BadZipFile

from paper_repro.data.names import DATASETS
from paper_repro.errors import UserError

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

    Raises UserError where a named directory does not exist, where the set is nowhere and may not
    be downloaded, or where the download fails.
    """
    folder = DATASETS[name]["folder"]
    places = _places(data_dir)
    for root in places:
        if (root / folder).is_dir():
            return root
    looked = ", ".join(str(root) if root.is_absolute() else f"./{root}" for root in places)
    missing = f"dataset {name}: no {folder} in {looked}"
    if not download or name not in TORCHVISION:
        cannot = "" if name in TORCHVISION else ", and it cannot be downloaded"
        raise UserError(
            f"{missing}{cannot}; put it into a folder and name that folder with data_dir=... "
            f"or ${VARIABLE}"
        )
    try:
        return _download(name, folder)
    except (OSError, RuntimeError, EOFError, zlib.error, TarError, BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{missing}, and the download failed ({reason}); put it into a folder and name that "
            f"folder with data_dir=... or ${VARIABLE}"
        ) from error


def _places(data_dir: Path | str | None) -> list[Path]:
    places = []
    for value, key in ((data_dir, "data_dir"), (os.environ.get(VARIABLE), f"${VARIABLE}")):
        if value:
            places.append(Path(value).expanduser())
            if not places[-1].is_dir():
                raise UserError(f"{key}: {places[-1]} is not a folder; correct it or leave it out")
    return [*places, DOWNLOADS]


def _download(name: str, folder: str) -> Path:
    """Download beside the destination and move the finished folder in: a reader never sees half
    a set, and of two jobs that want the same set the second waits and finds it there."""
    top = Path(folder).parts[0]
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    with _locked(DOWNLOADS / f".{name}.lock"):
        if not (DOWNLOADS / folder).is_dir():
            with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=DOWNLOADS) as scratch:
                _fetch(name, Path(scratch))
                if (DOWNLOADS / top).is_dir():  # an empty MNIST/ without raw/
                    shutil.rmtree(DOWNLOADS / top)
                os.replace(Path(scratch) / top, DOWNLOADS / top)
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
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
