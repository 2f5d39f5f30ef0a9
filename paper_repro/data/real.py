"""MNIST, Fashion-MNIST and CIFAR-10 from the files that torchvision keeps.

Each file's content must be the published one: the SHA-256 below were taken from files whose
archives carry torchvision's MD5, so a shortened, swapped or edited file is refused by name.
The files are parsed here; importing torchvision takes longer than reading MNIST.

MNIST (LeCun et al. 1998) is split as in the code of Burda et al. (2016): the first 59,600 training
images train, the last 400 validate, 10,000 test; Fashion-MNIST (Xiao et al. 2017) likewise.
CIFAR-10 (Krizhevsky 2009): the first 45,000 of the five batches train, the last 5,000 validate.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import zlib
from pathlib import Path

import numpy as np

from paper_repro.data.faults import fault
from paper_repro.data.names import DATASETS
from paper_repro.data.pool import Pool, consecutive

FILES: dict[str, dict[str, tuple[int, str]]] = {  # file -> images in it, SHA-256 of its content
    "mnist": {
        "train-images-idx3-ubyte": (
            60000,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        "t10k-images-idx3-ubyte": (
            10000,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte": (
            60000,
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        "t10k-images-idx3-ubyte": (
            10000,
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
    },
    "cifar10": {
        "data_batch_1": (
            10000,
            "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
        ),
        "data_batch_2": (
            10000,
            "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
        ),
        "data_batch_3": (
            10000,
            "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
        ),
        "data_batch_4": (
            10000,
            "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
        ),
        "data_batch_5": (
            10000,
            "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
        ),
        "test_batch": (
            10000,
            "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
        ),
    },
}
LABELS: dict[str, dict[str, tuple[int, str]]] = {  # likewise; CIFAR-10's stand in its batches
    "mnist": {
        "train-labels-idx1-ubyte": (
            60000,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        "t10k-labels-idx1-ubyte": (
            10000,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    },
    "fashion_mnist": {
        "train-labels-idx1-ubyte": (
            60000,
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        "t10k-labels-idx1-ubyte": (
            10000,
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    },
}
PIXEL_BLOCK = b"T"  # pickle's opcode of a long byte string, followed by its length in 4 bytes


def read(name: str, root: Path) -> Pool:
    """The pool of ``mnist``, ``fashion_mnist`` or ``cifar10`` below `root`.

    Raises UserError (one line with the file) for a missing, truncated, corrupted or altered file.
    """
    folder = root / DATASETS[name]["folder"]
    parse = _batch if name == "cifar10" else _idx
    parts = [
        parse(name, folder / file, count, sha256) for file, (count, sha256) in FILES[name].items()
    ]
    train, validation, test = DATASETS[name]["counts"]
    return Pool(np.concatenate(parts), consecutive((train, validation, test)))


def labels(name: str, root: Path) -> np.ndarray:
    """Classes 0..9 of all images of a set, int64 [N], in the order of `read`'s; UserError alike."""
    folder = root / DATASETS[name]["folder"]
    if name == "cifar10":
        parts = [
            _batch_labels(name, folder / file, sha256) for file, (_, sha256) in FILES[name].items()
        ]
    else:
        parts = [
            _idx_labels(name, folder / file, count, sha256)
            for file, (count, sha256) in LABELS[name].items()
        ]
    return np.concatenate(parts).astype(np.int64)


def _idx_labels(name: str, path: Path, count: int, sha256: str) -> np.ndarray:
    """The bytes of an idx file of labels behind its header of two words."""
    path, content = _idx_content(name, path, 8 + count)
    _verify(name, path, content, sha256)
    return np.frombuffer(content, np.uint8, count, offset=8)


def _batch_labels(name: str, path: Path, sha256: str) -> np.ndarray:
    """Labels of a CIFAR-10 batch, unpickled only after it is known to be the published file."""
    content = _content(name, path)
    _verify(name, path, content, sha256)
    return np.array(pickle.loads(content, encoding="bytes")[b"labels"], np.uint8)


def _idx(name: str, path: Path, count: int, sha256: str) -> np.ndarray:
    """Images [count, 1, 28, 28] of an idx file, or of the .gz beside it where that is all there
    is. The header is four big-endian words: magic 2051, images, rows, columns."""
    path, content = _idx_content(name, path, 16 + count * 784)
    header = np.frombuffer(content[:16].ljust(16, b"\0"), ">i4").tolist()
    if header[0] != 2051:
        raise fault(name, path, f"magic number {header[0]} is not 2051: no idx file of images")
    if header[1:] != [count, 28, 28]:
        raise fault(name, path, f"its header says {header[1:]}, expected {[count, 28, 28]}")
    if len(content) != 16 + count * 784:
        least = "at least " * (len(content) > 16 + count * 784)
        raise fault(name, path, f"{least}{len(content)} bytes, expected {16 + count * 784}")
    _verify(name, path, content, sha256)
    return np.frombuffer(content, np.uint8, offset=16).reshape(count, 1, 28, 28)


def _batch(name: str, path: Path, count: int, sha256: str) -> np.ndarray:
    """Images [count, 3, 32, 32] of a CIFAR-10 batch: the one long byte string of the pickle, taken
    out without unpickling (a pickle from a shared folder could run code)."""
    content = _content(name, path)
    size = count * 3072
    start = content.find(PIXEL_BLOCK + size.to_bytes(4, "little")) + 5
    if start < 5 or len(content) < start + size:
        raise fault(name, path, f"{len(content)} bytes without the {size} bytes of its pixels")
    _verify(name, path, content, sha256)
    return np.frombuffer(content, np.uint8, size, start).reshape(count, 3, 32, 32)


def _idx_content(name: str, path: Path, size: int) -> tuple[Path, bytes]:
    """An idx file, or the .gz beside it where that is all there is, and its content, of a longer
    one `size` + 1 bytes: a small .gz may hold more than any memory does."""
    path = path if os.path.lexists(path) else path.with_name(path.name + ".gz")
    return path, _content(name, path, size + 1)


def _content(name: str, path: Path, most: int = -1) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(most)
    except FileNotFoundError as error:
        raise fault(name, path, "missing") from error
    except (OSError, EOFError, zlib.error) as error:
        raise fault(name, path, f"cannot be read ({error})") from error


def _verify(name: str, path: Path, content: bytes, sha256: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise fault(
            name, path, f"content has SHA-256 {found[:12]}..., the published is {sha256[:12]}..."
        )
