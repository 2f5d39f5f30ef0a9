"""Sets of which a model can learn every training image by heart (ours): the first 64 of another's.

``digits_few`` and ``mnist_few`` train on 64 images of the set that they are named after, and have
its validation and test images.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from paper_repro.data import embedded, real
from paper_repro.data.pool import Pool

IMAGES = 64


def read(name: str, root: Path | None = None) -> Pool:
    """The pool of ``digits_few``, or of ``mnist_few`` from MNIST below `root`."""
    source = name.removesuffix("_few")
    whole = embedded.read(source) if root is None else real.read(source, root)
    return replace(whole, rows={**whole.rows, "train": whole.rows["train"][:IMAGES]})
