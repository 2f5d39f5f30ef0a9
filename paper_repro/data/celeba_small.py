"""CelebA at half size, 32x32: every 2x2 pixels of ``celeba_half_64`` as their mean (ours).

Split as that set is, so that its numbers compare with nobody's on CelebA either. Reading it holds
``celeba_half_64`` for a moment, four times as large.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from paper_repro.data import celeba
from paper_repro.data.pool import Pool

LARGE = "celeba_half_64"
CHUNK = 1000  # images worked on at a time


def read(name: str, root: Path) -> Pool:
    """The pool of ``celeba_half_32`` below `root`, uint8 [N, 3, 32, 32]. UserError as for
    ``celeba_half_64``."""
    large = celeba.read(LARGE, root)
    parts = [
        halved(large.images[start : start + CHUNK]) for start in range(0, len(large.images), CHUNK)
    ]
    return replace(large, images=np.concatenate(parts))


def halved(images: np.ndarray) -> np.ndarray:
    """Means of 2x2 pixels, halves rounded up: uint8 [N, C, 2 H, 2 W] -> uint8 [N, C, H, W]."""
    count, channels, height, width = images.shape
    squares = images.reshape(count, channels, height // 2, 2, width // 2, 2)
    return ((squares.sum((3, 5), dtype=np.uint16) + 2) // 4).astype(np.uint8)
