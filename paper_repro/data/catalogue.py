"""Data sets by name: read, checked and fingerprinted; nothing is ever substituted.

`load` checks counts, disjoint splits and, for every set whose content we know, that its SHA-256
fingerprint is the recorded one. The fingerprint stands in each run's record.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from paper_repro.data import search
from paper_repro.data.names import DATASETS
from paper_repro.data.pool import SPLITS, Rows, check
from paper_repro.errors import UserError


@dataclass(frozen=True)
class DataSet:
    """The three splits of a data set, uint8 [N, C, H, W] on the CPU, pixels in 0..levels.

    Sets of real vectors are float32 [N, 1, 1, D], and their `levels` is 0.

    `duplicates` counts validation and test images that equal, byte for byte, an image of an
    earlier split (different photographs of the source that happen to agree, or its own repeats).
    """

    name: str
    train: Tensor
    validation: Tensor
    test: Tensor
    levels: int
    fingerprint: str
    note: str = ""
    duplicates: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Images per split."""
        return {split: len(getattr(self, split)) for split in SPLITS}

    @property
    def shape(self) -> tuple[int, ...]:
        """One image: (C, H, W), or (1, 1, D)."""
        return tuple(self.train.shape[1:])


def load(name: str, data_dir: Path | str | None = None, download: bool = True) -> DataSet:
    """Read data set `name`.

    Real sets are looked for in `data_dir`, then $PAPER_REPRO_DATA, then ./data, where torchvision
    downloads them if `download`. Raises UserError (one line, with path and remedy) for an unknown
    name and for a missing, truncated or altered file.
    """
    if name not in DATASETS:
        raise UserError(f"dataset: {name!r} is not one of {', '.join(DATASETS)}")
    entry = DATASETS[name]
    module = importlib.import_module(entry["module"])
    if entry["folder"]:
        root = search.locate(name, data_dir, download)
        pool, remedy = module.read(name, root), f"copy {entry['folder']} in {root} again"
    else:
        pool = module.read(name)
        remedy = "numpy, Pillow or scikit-learn differ here: install from requirements.lock"
    check(name, pool, entry["shape"], entry["counts"])
    splits = {split: _take(pool.images, pool.rows[split]) for split in SPLITS}
    found = fingerprint(name, pool.levels, splits)
    if entry["fingerprint"] not in {"", found}:
        raise UserError(
            f"dataset {name}: content has SHA-256 {found[:12]}..., "
            f"recorded is {entry['fingerprint'][:12]}...; {remedy}"
        )
    tensors = {split: torch.from_numpy(images) for split, images in splits.items()}
    return DataSet(
        name=name,
        **tensors,
        levels=pool.levels,
        fingerprint=found,
        note=pool.note,
        duplicates=duplicates(splits),
    )


def fingerprint(name: str, levels: int, splits: Mapping[str, np.ndarray]) -> str:
    """SHA-256 (64 hex digits) over name, levels, and each split's shape and bytes."""
    digest = hashlib.sha256(f"{name} levels={levels}".encode())
    for split in SPLITS:
        images = np.ascontiguousarray(splits[split])
        digest.update(f" {split} {list(images.shape)} ".encode())
        digest.update(images.data)
    return digest.hexdigest()


def duplicates(splits: Mapping[str, np.ndarray]) -> int:
    """How many validation and test images equal an image of an earlier split byte for byte."""
    count, seen = 0, set[bytes]()
    for split in SPLITS:
        digests = [hashlib.blake2b(image, digest_size=16).digest() for image in splits[split]]
        count += sum(digest in seen for digest in digests)
        seen.update(digests)
    return count


def _take(images: np.ndarray, rows: Rows) -> np.ndarray:
    """Rows of `images`, contiguous; those that follow one another are taken without a copy."""
    start, stop = int(rows[0]), int(rows[-1]) + 1
    if np.array_equal(rows, np.arange(start, stop)):
        return np.ascontiguousarray(images[start:stop])
    return images[rows]
