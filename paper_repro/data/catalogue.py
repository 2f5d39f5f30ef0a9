"""Data sets by name: read, checked and fingerprinted; nothing is ever substituted.

`load` checks counts, disjoint splits and, for every set whose content we know, that its SHA-256
fingerprint is the recorded one. The fingerprint stands in each run's record.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paper_repro.data import search
from paper_repro.data.names import DATASETS
from paper_repro.data.pool import SPLITS, Pool, Rows, check
from paper_repro.errors import UserError


@dataclass(frozen=True)
class DataSet:
    """The three splits of a data set, uint8 [N, C, H, W] on the CPU, pixels in 0..levels.

    Sets of real vectors are float32 [N, 1, 1, D], and their `levels` is 0.

    `duplicates` counts images that equal, byte for byte, one before them, `leaked` those of them
    that equal an image of an earlier split (the source's own repeats, or a file copied twice);
    `note` says so too.
    `conditions`, empty but for conditional sets, has pictures uint8 [N, C', H, W] and numbers
    float32 [N, n] of each split.
    """

    name: str
    train: Tensor
    validation: Tensor
    test: Tensor
    levels: int
    fingerprint: str
    note: str = ""
    duplicates: int = 0
    leaked: int = 0
    conditions: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

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
    entry = _entry(name)
    pool, root = _read(name, data_dir, download)
    remedy = "numpy, Pillow or scikit-learn differ here: install from requirements.lock"
    if root:
        remedy = f"copy {entry['folder']} in {root} again"
    check(name, pool, entry["shape"], entry["counts"])
    splits = {split: _take(pool.images, pool.rows[split]) for split in SPLITS}
    conditions = {
        split: (_take(pool.conditions[0], rows), _take(pool.conditions[1], rows))
        for split, rows in pool.rows.items()
        if pool.conditions
    }
    found = fingerprint(name, pool.levels, splits, conditions)
    if entry["fingerprint"] not in {"", found}:
        raise UserError(
            f"dataset {name}: content has SHA-256 {found[:12]}..., "
            f"recorded is {entry['fingerprint'][:12]}...; {remedy}"
        )
    tensors = {split: torch.from_numpy(images) for split, images in splits.items()}
    repeated, leaked = duplicates(splits)
    repeats = f"{repeated:,} exact duplicate{'s' * (repeated > 1)}" if repeated else ""
    repeats += f", {leaked:,} of them in two splits" if leaked else ""
    return DataSet(
        name=name,
        **tensors,
        levels=pool.levels,
        fingerprint=found,
        note="; ".join(part for part in (pool.note, repeats) if part),
        duplicates=repeated,
        leaked=leaked,
        conditions={
            split: (torch.from_numpy(pictures), torch.from_numpy(numbers))
            for split, (pictures, numbers) in conditions.items()
        },
    )


def labels(
    name: str, data_dir: Path | str | None = None, download: bool = True
) -> dict[str, Tensor]:
    """The classes of the images of each split of `name`, int64 [N], in the order of `load`'s.

    Read by themselves, since most uses of a set need none. UserError where a set has none.
    """
    if "classes" not in _entry(name):
        raise UserError(f"dataset {name}: its images have no labels here")
    pool, root = _read(name, data_dir, download)
    module = importlib.import_module(DATASETS[name]["module"])
    found = module.labels(name, root) if root else module.labels(name)
    return {split: torch.from_numpy(_take(found, pool.rows[split])) for split in SPLITS}


def fingerprint(
    name: str,
    levels: int,
    splits: Mapping[str, np.ndarray],
    conditions: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
) -> str:
    """SHA-256 (64 hex digits) over name, levels, and shape and bytes of each split and of its
    conditions."""
    digest = hashlib.sha256(f"{name} levels={levels}".encode())
    for split in SPLITS:
        images = np.ascontiguousarray(splits[split])
        digest.update(f" {split} {list(images.shape)} ".encode())
        digest.update(images.data)
        for part in (conditions or {}).get(split, ()):
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def duplicates(splits: Mapping[str, np.ndarray]) -> tuple[int, int]:
    """How many images equal one before them byte for byte, and how many of these equal one of an
    earlier split."""
    count, leaked, seen = 0, 0, set[bytes]()
    for split in SPLITS:
        digests = [hashlib.blake2b(image, digest_size=16).digest() for image in splits[split]]
        shared = sum(digest in seen for digest in digests)
        new = set(digests) - seen
        count += len(digests) - len(new)
        leaked += shared
        seen |= new
    return count, leaked


def _entry(name: str) -> dict[str, Any]:
    if name not in DATASETS:
        raise UserError(f"dataset: {name!r} is not one of {', '.join(DATASETS)}")
    return DATASETS[name]


def _read(name: str, data_dir: Path | str | None, download: bool) -> tuple[Pool, Path | None]:
    """The pool of a set and the data directory it was read from, if from one."""
    module = importlib.import_module(DATASETS[name]["module"])
    if not DATASETS[name]["folder"]:
        return module.read(name), None
    root = search.locate(name, data_dir, download)
    return module.read(name, root), root


def _take(images: np.ndarray, rows: Rows) -> np.ndarray:
    """Rows of `images`, contiguous; those that follow one another are taken without a copy."""
    start, stop = int(rows[0]), int(rows[-1]) + 1
    if np.array_equal(rows, np.arange(start, stop)):
        return np.ascontiguousarray(images[start:stop])
    return images[rows]
