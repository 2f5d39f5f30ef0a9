"""CelebA's aligned faces (Liu et al., ICCV 2015), whole or in part, in two crops.

- ``celeba``: ``img_align_celeba/`` (178x218) and ``list_eval_partition.txt``; centre crop of
  160x160, antialiased bilinear resize to 64x64.
- ``celeba128``: the same files; rows 45..172, columns 25..152 (the crop of Dai and Wipf, ICLR 2019,
  after their published code), which is 128x128 as it stands.
- ``celeba128_subset``: any part of those images, as files or in zip archives; the same crop.
- ``celeba_half_64``: any part of CelebA at half size (89x109), as files or in zip archives; the
  70x70 pixels that correspond to a centre crop of 140, antialiased bilinear resize to 64x64.

A part is split by us in the order of its file names: the first 85 % train, 5 % validate, 10 % test.
Its numbers compare with nobody's on CelebA, and as one person has several images, people of the
training images occur in the others too (the official split keeps people apart).

One thread decodes, checks and crops 10,000 images at half size in 8 s and at full size in 18 s: six
minutes for ``celeba128``, whose 202,599 images are 10.0 GB, held once: the splits are views of the
array decoded into. Peak memory of reading it for training is that and 0.6 GB, extrapolated from
5,000 and 10,000 images (234 and 469 MiB of pixels, peaks 814 and 1,049 MiB above the imports).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from paper_repro.data.faults import fault
from paper_repro.data.image_files import decode, expect
from paper_repro.data.listing import joined, left_out, list_hash, listed_by_name
from paper_repro.data.names import DATASETS
from paper_repro.data.pool import Pool, Rows

FULL, HALF = (178, 218), (89, 109)  # width, height of the aligned images


def read(name: str, root: Path) -> Pool:
    """The pool of `name` below `root`, uint8 [N, 3, side, side].

    Raises UserError (one line with the path) for a missing, repeated or undecodable file, another
    image size or a wrong partition file.
    """
    folder = root / DATASETS[name]["folder"]
    if name in {"celeba", "celeba128"}:
        return official(name, folder)
    return part(name, folder)


def official(name: str, folder: Path) -> Pool:
    """All aligned images by the official partition."""
    listing = folder / "list_eval_partition.txt"
    try:
        text = listing.read_text(encoding="utf-8-sig").strip()
        lines = [line.split() for line in text.splitlines()]
        split = np.array([("0", "1", "2").index(number) for _, number in lines])
    except (OSError, ValueError) as error:
        why = f" ({error.strerror})" if isinstance(error, OSError) else ""
        raise fault(name, listing, f"no list of file names and parts 0, 1, 2{why}") from error
    expected = sum(DATASETS[name]["counts"])
    if len(split) != expected:
        raise fault(name, listing, f"{len(split)} lines, expected {expected}")
    portraits = folder / "img_align_celeba"
    found = listed_by_name(name, portraits)
    files = {file.name: file for file in found.files}
    wanted = [file for file, _ in lines]
    if missing := [file for file in wanted if file not in files]:
        more = f", and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise fault(name, portraits / missing[0], f"missing{more}")
    if len(set(wanted)) < len(wanted):
        raise fault(name, listing, "it names a file twice")
    rows: dict[str, Rows] = {
        part: np.flatnonzero(split == number)
        for number, part in enumerate(("train", "validation", "test"))
    }
    beside = len(files) - len(wanted)
    return Pool(
        decode(name, [files[file] for file in wanted], *_crop(name)),
        rows,
        note=joined(f"images that the list lacks: {beside:,}" if beside else "", left_out(found)),
    )


def part(name: str, folder: Path) -> Pool:
    """All images in the folder, split in the order of their names."""
    found = listed_by_name(name, folder, archives=True)
    files = found.files
    first, second = len(files) * 85 // 100, len(files) * 90 // 100
    return Pool(
        decode(name, files, *_crop(name)),
        {
            "train": range(first),
            "validation": range(first, second),
            "test": range(second, len(files)),
        },
        note=joined(
            f"{len(files):,} of the 202,599 images of CelebA"
            + (" at half size" if name == "celeba_half_64" else "")
            + ", split 85/5/10 % in file order by us: people occur in several splits, and numbers "
            "do not compare with others on CelebA",
            f"file list SHA-256 {list_hash(file.name for file in files)}",
            left_out(found),
        ),
    )


def _crop(name: str) -> tuple[Callable[[Image.Image], Image.Image], tuple[int, int, int]]:
    side = DATASETS[name]["shape"][-1]
    crops = {"celeba": _crop160, "celeba_half_64": _half_crop140}
    return crops.get(name, _crop128), (3, side, side)


def _crop160(image: Image.Image) -> Image.Image:
    expect(image, FULL)
    return image.convert("RGB").crop((9, 29, 169, 189)).resize((64, 64), Image.Resampling.BILINEAR)


def _crop128(image: Image.Image) -> Image.Image:
    expect(image, FULL)
    return image.convert("RGB").crop((25, 45, 153, 173))


def _half_crop140(image: Image.Image) -> Image.Image:
    expect(image, HALF)
    return image.convert("RGB").crop((9, 19, 79, 89)).resize((64, 64), Image.Resampling.BILINEAR)
