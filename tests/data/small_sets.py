"""Small files in torchvision's layout that stand in for the published ones, and where the real ones
lie: in the folder that the environment variable PAPER_REPRO_TEST_DATA names."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pytest

from paper_repro.data import real
from paper_repro.data.names import DATASETS

TRAIN, TEST = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"
HERE = Path(os.environ.get("PAPER_REPRO_TEST_DATA") or "absent")


def idx(images: np.ndarray, magic: int = 2051, count: int | None = None) -> bytes:
    """An idx file of images [N, 28, 28]."""
    return struct.pack(">4i", magic, count or len(images), 28, 28) + images.tobytes()


def publish(
    monkeypatch: pytest.MonkeyPatch, name: str, files: dict[str, tuple[int, bytes]]
) -> None:
    """Take `files` (images in it, content) for the published ones of set `name`."""
    *train, test = (count for count, _ in files.values())
    counts = [sum(train) - 2, 2, test]
    monkeypatch.setitem(DATASETS, name, DATASETS[name] | {"counts": counts, "fingerprint": ""})
    monkeypatch.setitem(real.FILES, name, sums(files))


def sums(files: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, str]]:
    """What the tables of published files hold of `files`."""
    return {
        f: (count, hashlib.sha256(content).hexdigest()) for f, (count, content) in files.items()
    }


def reverse_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the file system lists directories the other way round."""
    forward = os.scandir

    def backward(path: str) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        with forward(path) as entries:
            return nullcontext(iter(list(entries)[::-1]))

    monkeypatch.setattr(os, "scandir", backward)


def real_set(name: str) -> pytest.MarkDecorator:
    """Skips a test where real set `name` is not there."""
    there = (HERE / DATASETS[name]["folder"]).is_dir()
    return pytest.mark.skipif(not there, reason=f"$PAPER_REPRO_TEST_DATA holds no {name}")
