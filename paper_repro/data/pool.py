"""What a reader hands to the catalogue: all images of a set and which of them form each split.

The splits are row numbers into one array, so that "no image stands in two splits" is a fact that
can be checked for every set in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from paper_repro.errors import UserError

SPLITS = ("train", "validation", "test")
Rows = range | np.ndarray


@dataclass(frozen=True)
class Pool:
    """Images uint8 [N, C, H, W] with values 0..levels, and the rows of each split. Of ``levels`` 0
    are real vectors, float32 [N, 1, 1, D]. `conditions`, of conditional sets, are pictures uint8
    [N, C', H, W] on the same scale and numbers float32 [N, n]."""

    images: np.ndarray
    rows: Mapping[str, Rows]
    levels: int = 255
    note: str = ""
    conditions: tuple[np.ndarray, np.ndarray] | None = None


def consecutive(counts: tuple[int, int, int]) -> dict[str, Rows]:
    """Rows of the splits where they follow one another: train, validation, test."""
    train, validation, test = counts
    return {
        "train": range(train),
        "validation": range(train, train + validation),
        "test": range(train + validation, train + validation + test),
    }


def check(name: str, pool: Pool, shape: list[int], counts: list[int]) -> None:
    """Refuse a pool whose splits overlap, or whose shapes or counts are not those of `name`.

    Raises UserError (one line). An empty `counts` asks only that no split be empty.
    """
    images = pool.images
    dtype = np.dtype(np.uint8 if pool.levels else np.float32)
    if images.dtype != dtype or list(images.shape[1:]) != shape:
        raise UserError(
            f"dataset {name}: images are {images.dtype} {list(images.shape[1:])}, "
            f"not {dtype} {shape}: the reader and paper_repro/data/names.py disagree"
        )
    if not pool.levels and not np.isfinite(images).all():
        raise UserError(f"dataset {name}: not all values are finite")
    found = [len(pool.rows[split]) for split in SPLITS]
    if counts and found != counts:
        raise UserError(
            f"dataset {name}: {found} images in {'/'.join(SPLITS)}, expected {counts}: "
            "the set is incomplete, copy it again"
        )
    if min(found) == 0:
        raise UserError(
            f"dataset {name}: {len(images)} image{'s are' if len(images) > 1 else ' is'} too few "
            f"to split into {', '.join(SPLITS)} ({found}, at least one in each): "
            "the set is incomplete, copy it again"
        )
    owner = np.full(len(images), -1, dtype=np.int8)
    for number, split in enumerate(SPLITS):
        rows = np.asarray(pool.rows[split])
        if rows.min() < 0 or rows.max() >= len(images):
            raise UserError(
                f"dataset {name}: split {split} names rows outside 0..{len(images) - 1}"
            )
        if len(np.unique(rows)) != len(rows):
            raise UserError(f"dataset {name}: split {split} holds the same image twice")
        taken = owner[rows]
        if (taken >= 0).any():
            other = SPLITS[taken.max()]
            raise UserError(
                f"dataset {name}: splits {other} and {split} share {(taken >= 0).sum()} images"
            )
        owner[rows] = number
