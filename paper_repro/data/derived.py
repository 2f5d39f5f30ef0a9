"""Sets made of MNIST and of the digits: coloured digits, and pairs of rotated digits.

Rezende and Viola, "Taming VAEs" (2018), name such sets; how theirs are made is not known to us, so
that these are our construction. Both keep the splits and labels of the set they are made of, and
draw their colours and angles from numpy's legacy generator, whose streams are frozen.

- ``color_mnist``, ``color_digits``: a digit in one colour on black. The hue is uniform, saturation
  and value are 1: grey level times (R, G, B).
- ``mnist_rotate``, ``digits_rotate``: the image is a digit rotated by b. Its condition is the same
  digit rotated by a, as a picture, and the numbers sin b and cos b; a and b are uniform on the
  circle. Rotation is bilinear, about the centre, anticlockwise; what turns in from outside is 0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from paper_repro.data import embedded, real
from paper_repro.data.pool import Pool

SEEDS = {"color_mnist": 21, "color_digits": 22, "mnist_rotate": 23, "digits_rotate": 24}
CHUNK = 1000  # images turned at a time, so that the work stays in the processor's cache


def read(name: str, root: Path | None = None) -> Pool:
    """The pool of one of the four sets; `root` holds MNIST where it is made of MNIST."""
    grey = _source(name, root)
    make = colour if name.startswith("color") else rotate
    return make(grey, SEEDS[name])


def labels(name: str, root: Path | None = None) -> np.ndarray:
    """The digits 0..9 of all images, int64 [N], in the order of `read`'s."""
    return embedded.labels("digits") if root is None else real.labels("mnist", root)


def colour(grey: Pool, seed: int) -> Pool:
    """Every image [1, H, W] of `grey` in a colour of its own: [3, H, W]."""
    hue = np.random.RandomState(seed).uniform(0, 6, len(grey.images))
    rgb = np.stack([_ramp(hue), _ramp(hue - 2), _ramp(hue - 4)], axis=1)
    images = np.round(grey.images * rgb[:, :, None, None]).astype(np.uint8)
    return Pool(images, grey.rows, grey.levels)


def rotate(grey: Pool, seed: int) -> Pool:
    """Every image of `grey` by an angle b, with the same one by an angle a as its condition."""
    a, b = np.random.RandomState(seed).uniform(0, 2 * np.pi, (2, len(grey.images)))
    numbers = np.stack([np.sin(b), np.cos(b)], axis=1).astype(np.float32)
    return Pool(
        turned(grey.images, b), grey.rows, grey.levels, conditions=(turned(grey.images, a), numbers)
    )


def turned(images: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Images uint8 [N, 1, H, W], each turned anticlockwise by its angle [N] in radians, rounded."""
    count, _, height, width = images.shape
    rows, columns = np.mgrid[:height, :width]
    y, x = rows - (height - 1) / 2, columns - (width - 1) / 2  # downwards, to the right
    padded = np.pad(images[:, 0], ((0, 0), (1, 2), (1, 2)))
    found = np.empty_like(images)
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        cos, sin = (f(angles[part])[:, None, None] for f in (np.cos, np.sin))
        # Where a pixel of the turned image comes from, within a border of zeros.
        row = np.clip(sin * x + cos * y + (height + 1) / 2, 0, height + 1)
        column = np.clip(cos * x - sin * y + (width + 1) / 2, 0, width + 1)
        top, left = row.astype(int), column.astype(int)
        down, right = row - top, column - left
        which = np.arange(len(top))[:, None, None]
        source = padded[part]
        value = sum(
            source[which, top + i, left + j] * weight
            for i, j, weight in (
                (0, 0, (1 - down) * (1 - right)),
                (0, 1, (1 - down) * right),
                (1, 0, down * (1 - right)),
                (1, 1, down * right),
            )
        )
        # Half levels are rare, and 2^-20 decides them alike on every machine.
        found[part, 0] = np.floor(value + 0.5 + 2.0**-20)
    return found


def _source(name: str, root: Path | None) -> Pool:
    return embedded.read("digits") if root is None else real.read("mnist", root)


def _ramp(hue: np.ndarray) -> np.ndarray:
    """One channel of a pure hue in [0, 6): 1 within one of its own, 0 beyond two."""
    away = np.abs((hue + 3) % 6 - 3)
    return np.clip(2 - away, 0, 1)
