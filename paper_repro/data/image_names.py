"""What the name of a file says about it: an image, a list that belongs to a set, left out, hidden,
or an unfinished copy.

An image is called .png, .jpg or .jpeg, in either case, and is not hidden. Hidden are names that
start with a dot (macOS writes ._x.jpg, notebooks .ipynb_checkpoints) and those of SYSTEM, which
systems and servers put into folders of their own accord.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

SUFFIXES = (".png", ".jpg", ".jpeg")
OTHER_FORMATS = (
    *(".avif", ".bmp", ".gif", ".heic", ".jfif", ".jp2", ".jpe", ".jxl"),
    *(".pgm", ".ppm", ".tif", ".tiff", ".webp"),
)
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")
UNFINISHED = (".aria2", ".crdownload", ".download", ".filepart", ".part", ".partial", ".tmp")
COMPANIONS = (  # the lists that sets come with, in lower case
    *("n*_boxes.txt", "val_annotations.txt", "wnids.txt", "words.txt"),  # Tiny-ImageNet
    *("list_*_celeba.???", "list_eval_partition.???", "identity_celeba.txt"),
)
SYSTEM = {  # in lower case
    "__macosx",
    *("thumbs.db", "desktop.ini", "$recycle.bin", "recycler", "system volume information"),
    "lost+found",
    *("@eadir", "@tmp", "#recycle", "#snapshot"),  # Synology
    *("@recycle", "@recently-snapshot", "~snapshot"),  # QNAP, NetApp
}


def suffix(name: str) -> str:
    """The suffix in lower case, with its dot."""
    return os.path.splitext(name)[1].lower()


def is_image(name: str) -> bool:
    """Whether a file of this name is an image, hidden or not."""
    return suffix(name) in SUFFIXES


def is_companion(name: str) -> bool:
    """Whether a file of this name is a list that a data set comes with."""
    return any(fnmatchcase(name.lower(), pattern) for pattern in COMPANIONS)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden or the system's own."""
    return name.startswith(".") or name.lower() in SYSTEM


def is_unfinished(name: str) -> bool:
    """Whether a browser or a copying program is not yet through with an image or a zip archive."""
    stem, end = os.path.splitext(name.lower())
    return end in UNFINISHED and suffix(stem) in (*SUFFIXES, ".zip")
