"""Data sets that lie on disk as one file per image: Omniglot, CelebA, ImageNet folders.

Files are taken in the order of their sorted relative paths. Decoding is exact for PNG; for JPEG it
is that of the installed Pillow, which the fingerprint records.

- ``omniglot`` (Lake et al. 2015): torchvision's unpacked folders; the zip files are not asked for.
  Ink is white (255); 105x105 is box-resized to 28x28, each pixel the mean of 3 or 4 a side. The
  background set, permuted once, trains but for its last 1,345, which validate; evaluation tests.
- ``celeba`` (Liu et al. 2015): ``img_align_celeba/`` and ``list_eval_partition.txt``; centre crop
  of 160x160, antialiased bilinear resize to 64x64.
- ``imagenet32``: ``train/`` and ``val/`` with any subfolders, box-resized to 32x32 without regard
  to aspect as Chrabaszcz et al. (2017); val tests, a twentieth of train validates.
- ``tiny_imagenet32`` (Le and Yang 2015): the 64x64 images of Tiny-ImageNet-200, box-resized to
  32x32, all 110,000 or any part of them. val tests; of the sorted images of each class the first
  of every twenty validates. Classes may hold their images in ``images/`` or directly. These are
  other images than those of the ImageNet 32x32 benchmark: likelihoods do not compare.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from paper_repro.data.names import DATASETS
from paper_repro.data.pool import Pool, Rows, fault

SUFFIXES = {".png", ".jpg", ".jpeg"}
SEED = 123
VALIDATES = 20  # of Tiny-ImageNet's training images, one in so many


def read(name: str, root: Path) -> Pool:
    """The pool of image set `name` below `root`.

    Raises UserError (one line with the path) for a missing or undecodable file or a wrong count.
    """
    readers = {
        "omniglot": omniglot,
        "celeba": celeba,
        "imagenet32": imagenet32,
        "tiny_imagenet32": tiny_imagenet32,
    }
    return readers[name](root / DATASETS[name]["folder"])


def omniglot(folder: Path) -> Pool:
    """Both parts, ink = 255, [32460, 1, 28, 28]."""
    train, validation, test = DATASETS["omniglot"]["counts"]
    background = _listed("omniglot", folder / "images_background", train + validation)
    evaluation = _listed("omniglot", folder / "images_evaluation", test)
    images = _decode("omniglot", background + evaluation, _character, (1, 28, 28))
    return Pool(
        images,
        _held_out(len(background), validation, test),
        note="background/evaluation split at 28x28; not the 24,345/8,070 split of Burda et al., "
        "so likelihoods do not compare with published IWAE tables",
    )


def celeba(folder: Path) -> Pool:
    """The aligned images of the official partition, [202599, 3, 64, 64]."""
    listing = folder / "list_eval_partition.txt"
    try:
        lines = [line.split() for line in listing.read_text(encoding="utf-8").splitlines()]
        split = np.array([int(part) for _, part in lines])
    except (OSError, ValueError) as error:
        raise fault("celeba", listing, f"no list of file names and parts ({error})") from error
    expected = sum(DATASETS["celeba"]["counts"])
    if len(split) != expected:
        raise fault("celeba", listing, f"{len(split)} lines, expected {expected}")
    files = [folder / "img_align_celeba" / file for file, _ in lines]
    rows: dict[str, Rows] = {
        part: np.flatnonzero(split == number)
        for number, part in enumerate(("train", "validation", "test"))
    }
    return Pool(_decode("celeba", files, _face, (3, 64, 64)), rows)


def imagenet32(folder: Path) -> Pool:
    """Every image below train/ and val/, [N, 3, 32, 32]."""
    train, test = (_listed("imagenet32", folder / part) for part in ("train", "val"))
    names = "\n".join(file.relative_to(folder).as_posix() for file in train + test)
    return Pool(
        _decode("imagenet32", train + test, _box32, (3, 32, 32)),
        _held_out(len(train), max(1, len(train) // 20), len(test)),
        note=f"file list SHA-256 {hashlib.sha256(names.encode()).hexdigest()}",
    )


def tiny_imagenet32(folder: Path) -> Pool:
    """Every image below train/ and val/, [N, 3, 32, 32]; the unlabelled test/ is left alone."""
    train = _listed("tiny_imagenet32", folder / "train")
    # By name, not by path: sorting val/ into classes must not change the set.
    test = sorted(_listed("tiny_imagenet32", folder / "val"), key=lambda file: file.name)
    seen: Counter[Path] = Counter()
    held = np.zeros(len(train), dtype=bool)
    for row, file in enumerate(train):
        held[row] = seen[file.parent] % VALIDATES == 0
        seen[file.parent] += 1
    names = "\n".join(file.name for file in train + test)
    random = np.random.RandomState(SEED)
    order = random.permutation(len(train))
    return Pool(
        _decode("tiny_imagenet32", train + test, _tiny, (3, 32, 32)),
        {
            "train": order[~held[order]],
            "validation": order[held[order]],
            "test": len(train) + random.permutation(len(test)),
        },
        note=f"{len(train):,} of 100,000 training and {len(test):,} of 10,000 validation images "
        "of Tiny-ImageNet-200 at 32x32, not the ImageNet 32x32 benchmark; "
        f"file list SHA-256 {hashlib.sha256(names.encode()).hexdigest()}",
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


def _listed(name: str, folder: Path, count: int | None = None) -> list[Path]:
    """Image files below `folder`, sorted by relative path; UserError unless there are `count`."""
    files = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]
    if not files or count not in {None, len(files)}:
        raise fault(name, folder, f"{len(files)} images, expected {count or 'at least one'}")
    return sorted(files, key=lambda path: path.relative_to(folder).as_posix())


def _decode(
    name: str,
    files: list[Path],
    prepare: Callable[[Image.Image], Image.Image],
    shape: tuple[int, int, int],
) -> np.ndarray:
    """uint8 [len(files), C, H, W]: every file opened and put through `prepare`."""
    images = np.empty((len(files), *shape), dtype=np.uint8)
    for row, path in enumerate(files):
        try:
            with Image.open(path) as image:
                pixels = np.asarray(prepare(image))
        except FileNotFoundError as error:
            raise fault(name, path, "missing") from error
        except (OSError, SyntaxError, ValueError) as error:  # Pillow's words for a broken file
            raise fault(name, path, f"cannot be decoded ({error})") from error
        images[row] = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return images


def _character(image: Image.Image) -> Image.Image:
    _expect(image, (105, 105))
    ink = image.convert("L").point([255 - grey for grey in range(256)])  # paper is white on disk
    return ink.resize((28, 28), Image.Resampling.BOX)


def _face(image: Image.Image) -> Image.Image:
    _expect(image, (178, 218))
    return image.convert("RGB").crop((9, 29, 169, 189)).resize((64, 64), Image.Resampling.BILINEAR)


def _box32(image: Image.Image) -> Image.Image:
    return image.convert("RGB").resize((32, 32), Image.Resampling.BOX)


def _tiny(image: Image.Image) -> Image.Image:
    _expect(image, (64, 64))
    return _box32(image)


def _expect(image: Image.Image, size: tuple[int, int]) -> None:
    if image.size != size:
        raise ValueError(f"{image.size[0]}x{image.size[1]} pixels, expected {size[0]}x{size[1]}")
