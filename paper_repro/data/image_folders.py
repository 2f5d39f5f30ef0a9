"""Data sets that lie on disk as one file per image: Omniglot and ImageNet folders.

What counts as an image, and in which order, is said in `listing`; of which kinds, in `image_files`.

- ``omniglot`` (Lake et al. 2015): torchvision's unpacked folders; the zip files are not asked for.
  Ink is white (255); 105x105 is box-resized to 28x28, each pixel the mean of 3 or 4 a side. The
  background set, permuted once, trains but for its last 1,345, which validate; evaluation tests.
- ``imagenet32``: ``train/`` and ``val/`` with any subfolders, box-resized to 32x32 without regard
  to aspect as Chrabaszcz et al. (2017); val tests, a twentieth of train validates. The note counts
  images that had to be enlarged; one of fewer than 8 pixels a side is refused.
- ``tiny_imagenet32`` (Le and Yang 2015): the 64x64 images of Tiny-ImageNet-200, box-resized to
  32x32, all 110,000 or any part of them. val tests; of the sorted images of each class the first
  of every twenty validates. Classes may hold their images in ``images/`` or directly. These are
  other images than those of the ImageNet 32x32 benchmark: likelihoods do not compare.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from paper_repro.data.image_files import decode, expect
from paper_repro.data.listing import joined, left_out, list_hash, listed, listed_by_name
from paper_repro.data.names import DATASETS
from paper_repro.data.pool import Pool, Rows

SEED = 123
SMALLEST = 8  # pixels a side of an image that is enlarged to 32: more would be made up than seen
VALIDATES = 20  # of Tiny-ImageNet's training images, one in so many


def read(name: str, root: Path) -> Pool:
    """The pool of image set `name` below `root`.

    Raises UserError (one line with the path) for a missing or undecodable file or a wrong count.
    """
    readers = {
        "omniglot": omniglot,
        "imagenet32": imagenet32,
        "tiny_imagenet32": tiny_imagenet32,
    }
    return readers[name](root / DATASETS[name]["folder"])


def omniglot(folder: Path) -> Pool:
    """Both parts, ink = 255, [32460, 1, 28, 28]."""
    train, validation, test = DATASETS["omniglot"]["counts"]
    background = listed("omniglot", folder / "images_background", train + validation)
    evaluation = listed("omniglot", folder / "images_evaluation", test)
    files = background.files + evaluation.files
    return Pool(
        decode("omniglot", files, _character, (1, 28, 28)),
        _held_out(len(background.files), validation, test),
        note=joined(
            "background/evaluation split at 28x28; not the 24,345/8,070 split of Burda et al., "
            "so likelihoods do not compare with published IWAE tables",
            left_out(background, evaluation),
        ),
    )


def imagenet32(folder: Path) -> Pool:
    """Every image below train/ and val/, [N, 3, 32, 32]."""
    train, test = (listed("imagenet32", folder / part) for part in ("train", "val"))
    names = [f"train/{file.place}" for file in train.files]
    names += [f"val/{file.place}" for file in test.files]
    count = len(train.files)
    sides = list[int]()

    def of_any_size(image: Image.Image) -> Image.Image:
        sides.append(min(image.size))
        if sides[-1] < SMALLEST:
            width, height = image.size
            raise ValueError(f"{width}x{height} pixels, expected at least {SMALLEST} a side")
        return _box32(image)

    images = decode("imagenet32", train.files + test.files, of_any_size, (3, 32, 32))
    enlarged = sum(side < 32 for side in sides)
    return Pool(
        images,
        _held_out(count, max(1, count // 20), len(test.files)),
        note=joined(
            f"file list SHA-256 {list_hash(names)}",
            f"enlarged, of fewer than 32 pixels a side: {enlarged:,}" if enlarged else "",
            left_out(train, test),
        ),
    )


def tiny_imagenet32(folder: Path) -> Pool:
    """Every image below train/ and val/, [N, 3, 32, 32]; the unlabelled test/ is left alone."""
    training = listed("tiny_imagenet32", folder / "train")
    # By name, not by path: sorting val/ into classes must not change the set.
    testing = listed_by_name("tiny_imagenet32", folder / "val")
    train, test = training.files, testing.files
    seen: Counter[str] = Counter()
    held = np.zeros(len(train), dtype=bool)
    for row, file in enumerate(train):
        folder_of = file.place.rpartition("/")[0]
        held[row] = seen[folder_of] % VALIDATES == 0
        seen[folder_of] += 1
    names = [file.name for file in train + test]
    random = np.random.RandomState(SEED)
    order = random.permutation(len(train))
    return Pool(
        decode("tiny_imagenet32", train + test, _tiny, (3, 32, 32)),
        {
            "train": order[~held[order]],
            "validation": order[held[order]],
            "test": len(train) + random.permutation(len(test)),
        },
        note=joined(
            f"{len(train):,} of 100,000 training and {len(test):,} of 10,000 validation images "
            "of Tiny-ImageNet-200 at 32x32, not the ImageNet 32x32 benchmark",
            f"file list SHA-256 {list_hash(names)}",
            left_out(training, testing),
        ),
    )


def _held_out(train: int, validation: int, test: int) -> dict[str, Rows]:
    """Train images permuted once, the last `validation` of them held out; test images follow,
    permuted too, so that the first n of a split stand for all of it (on disk they lie by class)."""
    random = np.random.RandomState(SEED)
    order = random.permutation(train)
    return {
        "train": order[:-validation],
        "validation": order[-validation:],
        "test": train + random.permutation(test),
    }


def _character(image: Image.Image) -> Image.Image:
    expect(image, (105, 105))
    ink = image.convert("L").point([255 - grey for grey in range(256)])  # paper is white on disk
    return ink.resize((28, 28), Image.Resampling.BOX)


def _box32(image: Image.Image) -> Image.Image:
    return image.convert("RGB").resize((32, 32), Image.Resampling.BOX)


def _tiny(image: Image.Image) -> Image.Image:
    expect(image, (64, 64))
    return _box32(image)
