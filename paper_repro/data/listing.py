"""Which files of a folder are the images of a data set: one listing for all sets kept as files.

Folders are searched with all below them; links are followed, each folder once however many links
lead to it. What is called like an image is said in `image_names`.

- Left out, and counted in `Listing.left_out`, for the note of the set to say so: images in hidden
  or system files and folders; images of other formats; archives where none is read; all other
  files that are no list of a set, images with an odd suffix among them; links to a folder that is
  read already or that lies above one that is; links to nothing that no image is called like;
  devices.
- Refused by name: a folder or archive that cannot be read; a link to nothing that might be an image
  or a folder of them; a folder called like an image; an unfinished copy; in an archive what has a
  password, and another archive.

The order is that of relative paths, in Unicode's composed form (NFC), upper and lower case alike,
by code points: neither the order of a directory nor a file system that spells accents its own way
or knows no lower case changes a set.
"""

from __future__ import annotations

import hashlib
import heapq
import os
import posixpath
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePosixPath

from paper_repro.data.faults import fault
from paper_repro.data.image_names import (
    ARCHIVES,
    OTHER_FORMATS,
    SUFFIXES,
    is_companion,
    is_hidden,
    is_image,
    is_unfinished,
    suffix,
)

HIDDEN, FORMAT, PACKED = "hidden or system files", "neither PNG nor JPEG", "archives"
OTHER = "other files"
AGAIN, NOTHING, SPECIAL = "links to folders read already or above", "links to nothing", "devices"
MOST = 2**28  # bytes of one image file; an archive may promise more than any memory holds


@dataclass(frozen=True)
class ImageFile:
    """An image below a folder: its place there ("n01/x.png", NFC), its path for messages, and the
    archive that holds it, if one does."""

    place: str
    path: Path
    archive: zipfile.ZipFile | None = None
    member: zipfile.ZipInfo | None = None

    @property
    def name(self) -> str:
        return self.place.rpartition("/")[2]

    def read(self) -> bytes:
        """Its content. Raises what reading raises, and ValueError for more than `MOST` bytes."""
        size = self.member.file_size if self.member else self.path.stat().st_size
        if size > MOST:
            raise ValueError(f"{size:,} bytes, at most {MOST:,} are read")
        if self.archive and self.member:
            return self.archive.read(self.member)
        return self.path.read_bytes()


@dataclass
class Listing:
    """Images in their order, and how many files of which kind were left out."""

    files: list[ImageFile] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def listed(name: str, folder: Path, count: int | None = None) -> Listing:
    """Image files below `folder`; UserError unless there are `count`."""
    found = _listing(name, folder, archives=False)
    if not found.files or count not in {None, len(found.files)}:
        expected = f"expected {count or 'at least one'}"
        raise fault(name, folder, joined(f"{len(found.files)} images, {expected}", left_out(found)))
    return found


def listed_by_name(name: str, folder: Path, archives: bool = False) -> Listing:
    """Image files below `folder`, in its zip archives too if `archives`, in the order of their own
    names: where they lie does not matter. UserError if there is none, or two of one name."""
    found = _listing(name, folder, archives)
    if not found.files:
        what = "no images in it, neither as files nor in zip archives"
        what = what if archives else "0 images, expected at least one"
        raise fault(name, folder, joined(what, left_out(found)))
    found.files.sort(key=lambda file: _order(file.name))  # stable: of one name by their places
    for first, second in pairwise(found.files):
        if first.name == second.name:
            raise fault(name, second.path, f"two images are called {first.name}")
    return found


def left_out(*listings: Listing) -> str:
    """What the note of a set says was left out: "" if nothing."""
    counts = sum((listing.left_out for listing in listings), Counter[str]())
    kinds = ", ".join(f"{kind} ({count:,})" for kind, count in sorted(counts.items()) if count)
    return f"left out: {kinds}" if kinds else ""


def joined(*parts: str) -> str:
    """The parts of a note that are not empty."""
    return "; ".join(part for part in parts if part)


def list_hash(names: Iterable[str]) -> str:
    """SHA-256 (64 hex digits) of a list of file names, whatever bytes they are made of."""
    return hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest()


def _listing(name: str, folder: Path, archives: bool) -> Listing:
    found = Listing()
    for place, path in _walk(name, folder, found.left_out):
        if archives and suffix(place) == ".zip":
            found.files += _members(name, place, path, found.left_out)
        elif _is_image(name, path, place, found.left_out):
            found.files.append(ImageFile(place, path))
    found.files.sort(key=lambda file: (_order(file.place), str(file.path)))
    return found


def _order(name: str) -> tuple[str, str]:
    return name.casefold(), name


def _walk(name: str, top: Path, skipped: Counter[str]) -> Iterator[tuple[str, Path]]:
    """Place and path of every file below `top` that is not hidden. Folders proper come before
    links to folders, these in the order of their places, so that a link never takes the place of
    what it leads to."""
    if not os.path.lexists(top):
        return
    seen, above = set[tuple[int, int]](), _above(top)
    folders, links = [("", top)], list[tuple[str, Path]]()
    while folders or links:
        linked = not folders
        place, folder = heapq.heappop(links) if linked else folders.pop()
        try:
            identity = _identity(folder)
            if identity in seen or identity in above:
                skipped[AGAIN] += 1
                continue
            with os.scandir(folder) as entries:
                inside = list(entries)
        except OSError as error:
            raise fault(name, folder, f"cannot be read ({error.strerror})") from error
        seen.add(identity)
        if linked:
            above |= _above(folder)
        for entry in inside:
            here = unicodedata.normalize("NFC", place + entry.name)
            path, kind = Path(entry.path), _kind(entry)
            if is_hidden(entry.name):
                skipped[HIDDEN] += _images_in(path, kind)
            elif kind == "folder":
                if is_image(entry.name):
                    raise fault(name, path, "a folder that is called like an image")
                if entry.is_symlink():
                    heapq.heappush(links, (f"{here}/", path))
                else:
                    folders.append((f"{here}/", path))
            elif kind == "file":
                yield here, path
            elif kind == NOTHING and suffix(entry.name) in {"", ".zip", *SUFFIXES}:
                raise fault(name, path, "a link to nothing")
            else:
                skipped[kind] += 1


def _kind(entry: os.DirEntry[str]) -> str:
    """ "file" or "folder", at the end of a link too, else why it is left out."""
    try:
        if entry.is_file():
            return "file"
        if entry.is_dir():
            return "folder"
    except OSError:  # a link to itself
        return NOTHING
    return NOTHING if entry.is_symlink() and not os.path.exists(entry.path) else SPECIAL


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _above(folder: Path) -> set[tuple[int, int]]:
    found = set()
    for parent in Path(os.path.realpath(folder)).parents:
        with suppress(OSError):  # a folder this user may pass and not look at
            found.add(_identity(parent))
    return found


def _images_in(path: Path, kind: str) -> int:
    """How many images a hidden file is, or a hidden folder holds; links are not followed."""
    inside = [path.name] if kind == "file" else []
    if kind == "folder" and not path.is_symlink():
        inside = [file for _, _, files in os.walk(path) for file in files]
    return sum(is_image(file) for file in inside)


def _members(name: str, place: str, path: Path, skipped: Counter[str]) -> Iterator[ImageFile]:
    """The images of a zip archive."""
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise fault(name, path, f"cannot be read ({error})") from error
    for member in archive.infolist():
        # Windows may have packed it; another may have packed it from above or from the root.
        clean = posixpath.normpath("/" + member.filename.replace("\\", "/"))
        inside = PurePosixPath(clean.lstrip("/"))
        if any(map(is_hidden, inside.parts)):
            skipped[HIDDEN] += is_image(inside.name)
        elif member.is_dir():
            if is_image(inside.name):
                raise fault(name, path / inside, "a folder that is called like an image")
        elif suffix(inside.name) == ".zip":
            raise fault(name, path / inside, "an archive in an archive is not read; unpack it")
        elif _is_image(name, path / inside, inside.name, skipped):
            if member.flag_bits & 1:
                raise fault(name, path / inside, "has a password; unpack the archive")
            there = unicodedata.normalize("NFC", f"{place}/{inside}")
            yield ImageFile(there, path / inside, archive, member)


def _is_image(name: str, path: Path, file: str, skipped: Counter[str]) -> bool:
    """Whether a file is an image; one that is not, nor a list of the set, is counted."""
    if is_unfinished(file):
        raise fault(name, path, "an unfinished copy")
    if is_image(file):
        return True
    if suffix(file) in OTHER_FORMATS:
        skipped[FORMAT] += 1
    elif suffix(file) in ARCHIVES:
        skipped[PACKED] += 1
    elif not is_companion(posixpath.basename(file)):
        skipped[OTHER] += 1
    return False
