"""Image files in folders and in zip archives, listed in a fixed order and decoded to uint8.

An archive is read without unpacking it. Decoding is exact for PNG; for JPEG it is that of the
installed Pillow, which the fingerprint of a data set records.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from paper_repro.data.pool import fault

SUFFIXES = {".png", ".jpg", ".jpeg"}
File = Path | zipfile.Path


def listed(name: str, folder: Path, count: int | None = None) -> list[Path]:
    """Image files below `folder`, sorted by relative path; UserError unless there are `count`."""
    files = [path for path in folder.rglob("*") if _is_image(path.name)]
    if not files or count not in {None, len(files)}:
        raise fault(name, folder, f"{len(files)} images, expected {count or 'at least one'}")
    return sorted(files, key=lambda path: path.relative_to(folder).as_posix())


def listed_with_archives(name: str, folder: Path) -> list[File]:
    """Image files below `folder`, in its zip archives too, sorted by file name: where they lie
    does not matter. UserError for an archive that cannot be read or if a name occurs twice."""
    files: list[File] = [path for path in folder.rglob("*") if _is_image(path.name)]
    for path in folder.rglob("*.zip"):
        if path.name.startswith("."):
            continue
        try:
            archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise fault(name, path, f"cannot be read ({error})") from error
        members = [member for member in archive.namelist() if _is_image(Path(member).name)]
        files += [zipfile.Path(archive, member) for member in members]
    if not files:
        raise fault(name, folder, "no images in it, neither as files nor in zip archives")
    files.sort(key=lambda file: file.name)
    for first, second in pairwise(files):
        if first.name == second.name:
            raise fault(name, folder, f"two images are called {first.name}")
    return files


def decode(
    name: str,
    files: Sequence[File],
    prepare: Callable[[Image.Image], Image.Image],
    shape: tuple[int, int, int],
) -> np.ndarray:
    """uint8 [len(files), C, H, W]: every file opened and put through `prepare`."""
    images = np.empty((len(files), *shape), dtype=np.uint8)
    for row, file in enumerate(files):
        path = Path(str(file))
        try:
            with Image.open(io.BytesIO(file.read_bytes())) as image:
                pixels = np.asarray(prepare(image))
        except FileNotFoundError as error:
            raise fault(name, path, "missing") from error
        # What Pillow and zipfile say of a broken file; RuntimeError: it has a password.
        except (
            OSError,
            SyntaxError,
            ValueError,
            RuntimeError,
            EOFError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            raise fault(name, path, f"cannot be decoded ({error})") from error
        images[row] = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return images


def expect(image: Image.Image, size: tuple[int, int]) -> None:
    """ValueError, for `decode` to report, unless the image is `size` (width, height)."""
    if image.size != size:
        raise ValueError(f"{image.size[0]}x{image.size[1]} pixels, expected {size[0]}x{size[1]}")


def list_hash(names: Iterable[str]) -> str:
    """SHA-256 (64 hex digits) of a list of file names."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
