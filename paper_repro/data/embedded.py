"""Data sets that come with scikit-learn: digits, and patches of its two photographs.

The files are read where scikit-learn keeps them, without importing it (its import takes longer
than the work here); the fingerprints in `names` make sure that they are the files meant.

- ``digits``: 1,797 8x8 images with values 0..16, the test part of the optical digits of
  Alpaydin & Kaynak (1998, UCI repository). The file is ordered by writer, so the split is a
  fixed permutation; no two images are equal.
- ``patches``: the photographs (427x640) are tiled with 48x48 blocks; whole blocks go to a split
  by a fixed permutation, and 12x12 patches are cut inside each block at steps of 6. Patches of one
  block overlap; patches of different splits share no pixel.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from paper_repro.data.pool import Pool, Rows, consecutive
from paper_repro.errors import UserError

PHOTOGRAPHS = ("china.jpg", "flower.jpg")
BLOCK, PATCH, STEP = 48, 12, 6
BLOCKS = (160, 16, 32)  # blocks per split, of 2 photographs x 8 x 13
SEED = 123


def read(name: str) -> Pool:
    """The pool of ``digits`` or ``patches``. Raises UserError without scikit-learn's files."""
    return {"digits": digits, "patches": patches}[name]()


def labels(name: str) -> np.ndarray:
    """The digits 0..9 of all images of `digits`, int64 [N]."""
    assert name == "digits", "patches have no labels"
    return _table()[:, -1].astype(np.int64)


def digits() -> Pool:
    """8x8 digits, 17 grey levels."""
    images = _table()[:, :-1].reshape(-1, 1, 8, 8)
    order = np.random.RandomState(SEED).permutation(len(images))
    rows: dict[str, Rows] = {
        split: order[list(part)] for split, part in consecutive((1347, 150, 300)).items()
    }
    return Pool(images, rows, levels=16)


def patches() -> Pool:
    """12x12 patches of grey photographs."""
    photographs = [
        np.asarray(Image.open(_file(f"images/{file}")).convert("L")) for file in PHOTOGRAPHS
    ]
    corners, block = corners_and_blocks()
    images = np.stack([photographs[p][y : y + PATCH, x : x + PATCH] for p, y, x in corners])
    random = np.random.RandomState(SEED)
    order = random.permutation(sum(BLOCKS))
    rows: dict[str, Rows] = {  # mixed, so that the first n images of a split stand for all of it
        split: random.permutation(np.flatnonzero(np.isin(block, order[list(part)])))
        for split, part in consecutive(BLOCKS).items()
    }
    return Pool(images[:, None], rows)


def corners_and_blocks() -> tuple[np.ndarray, np.ndarray]:
    """Photograph, top and left of every patch, int [N, 3], and the number of its block, int [N]."""
    tops, lefts = (range(0, extent - BLOCK + 1, BLOCK) for extent in (427, 640))
    inside = range(0, BLOCK - PATCH + 1, STEP)
    starts = [(p, y, x) for p in range(len(PHOTOGRAPHS)) for y in tops for x in lefts]
    corners = [(p, y + dy, x + dx) for p, y, x in starts for dy in inside for dx in inside]
    return np.array(corners), np.repeat(np.arange(len(starts)), len(inside) ** 2)


def _table() -> np.ndarray:
    """Pixels and, last, the digit: uint8 [N, 65]."""
    return np.loadtxt(_file("data/digits.csv.gz"), delimiter=",", dtype=np.uint8)


def _file(relative: str) -> Path:
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise UserError("dataset: scikit-learn is not installed; pip install scikit-learn")
    path = Path(spec.origin).parent / "datasets" / relative
    if not path.is_file():
        raise UserError(f"dataset: {path} is missing; reinstall scikit-learn")
    return path
