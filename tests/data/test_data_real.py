"""MNIST, Fashion-MNIST, CIFAR-10: broken files are refused by name, true sets are recognised.

Small files in torchvision's layout stand in for the real ones, with their own published counts and
checksums put into the tables. The tests at the end run on the real sets where the environment
variable PAPER_REPRO_TEST_DATA names a folder that holds them; $PAPER_REPRO_DATA itself is taken
away from the tests, so that none depends on the shell it is started from.
"""

from __future__ import annotations

import gzip
import pickle
import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from paper_repro.data import real
from paper_repro.data.catalogue import load
from paper_repro.data.names import DATASETS
from paper_repro.errors import UserError
from tests.data.small_sets import HERE, TEST, TRAIN, idx, publish, real_set


@pytest.fixture(params=["mnist", "fashion_mnist"])
def small(request, tmp_path, monkeypatch) -> tuple[str, Path, np.ndarray]:
    """Name, raw folder and the 15 images of a complete small set (12 training, 3 test)."""
    images = np.random.default_rng(0).integers(0, 256, (15, 28, 28), dtype=np.uint8)
    raw = tmp_path / DATASETS[request.param]["folder"]
    raw.mkdir(parents=True)
    files = {TRAIN: (12, idx(images[:12])), TEST: (3, idx(images[12:]))}
    for file, (_, content) in files.items():
        (raw / file).write_bytes(content)
    publish(monkeypatch, request.param, files)
    return request.param, raw, images


def refusal(name: str, root: Path) -> str:
    """The one line with which `load` refuses the set below `root`."""
    with pytest.raises(UserError) as caught:
        load(name, root, download=False)
    message = str(caught.value)
    assert message.startswith(f"dataset {name}: ")
    assert "\n" not in message
    assert "copy or download the set again" in message
    return message


def test_the_first_images_train_the_last_of_the_training_file_validate(small, tmp_path):
    name, _, images = small
    data = load(name, tmp_path, download=False)
    assert data.counts == {"train": 10, "validation": 2, "test": 3}
    for split, part in zip(
        (data.train, data.validation, data.test),
        (images[:10], images[10:12], images[12:]),
        strict=True,
    ):
        np.testing.assert_array_equal(split[:, 0].numpy(), part)


def test_the_compressed_files_alone_are_enough(small, tmp_path):
    name, raw, images = small
    for file in (TRAIN, TEST):
        (raw / f"{file}.gz").write_bytes(gzip.compress((raw / file).read_bytes()))
        (raw / file).unlink()
    np.testing.assert_array_equal(load(name, tmp_path).test[:, 0].numpy(), images[12:])


BREAKAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda content: b"", "magic number 0 is not 2051"),
    "cut in the header": (lambda content: content[:10], "its header says"),
    "cut in the pixels": (lambda content: content[:-100], "expected 2368"),
    "too long": (lambda content: content + b"\0", "2369 bytes, expected 2368"),
    "labels": (lambda content: struct.pack(">2i", 2049, 3) + b"\1\2\3", "magic number 2049"),
    "a web page": (lambda content: b"<!DOCTYPE html><html>...</html>", "is not 2051"),
    "another count": (
        lambda content: idx(np.zeros((4, 28, 28), np.uint8)),
        r"its header says [4, 28, 28], expected [3, 28, 28]",
    ),
    "one pixel altered": (
        lambda content: content[:500] + bytes([content[500] ^ 1]) + content[501:],
        "content has SHA-256",
    ),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_idx_file_is_refused_by_name(small, tmp_path, breakage):
    name, raw, _ = small
    change, words = BREAKAGES[breakage]
    (raw / TEST).write_bytes(change((raw / TEST).read_bytes()))
    message = refusal(name, tmp_path)
    assert str(raw / TEST) in message
    assert words in message


@pytest.mark.parametrize(
    "change",
    [
        lambda packed: packed[: len(packed) // 2],
        lambda packed: packed[:-4] + b"\0\0\0\0",  # length in the trailer
        lambda packed: packed[:200] + bytes(64) + packed[264:],
        lambda packed: b"no gzip" + packed,
        lambda packed: b"",
    ],
)
def test_a_broken_compressed_file_is_refused_by_name(small, tmp_path, change):
    name, raw, _ = small
    packed = gzip.compress((raw / TRAIN).read_bytes())
    (raw / TRAIN).unlink()
    (raw / f"{TRAIN}.gz").write_bytes(change(packed))
    assert str(raw / f"{TRAIN}.gz") in refusal(name, tmp_path)


def test_a_missing_file_is_refused_by_name(small, tmp_path):
    name, raw, _ = small
    (raw / TEST).unlink()
    assert f"{raw / TEST}.gz: missing" in refusal(name, tmp_path)


def test_a_folder_in_place_of_a_file_is_refused_by_name(small, tmp_path):
    name, raw, _ = small
    (raw / TEST).unlink()
    (raw / TEST).mkdir()
    assert f"{raw / TEST}: cannot be read" in refusal(name, tmp_path)


@pytest.fixture
def small_cifar(tmp_path, monkeypatch) -> tuple[Path, np.ndarray]:
    """Folder and the 12 images of a CIFAR-10 of six batches of two."""
    images = np.random.default_rng(1).integers(0, 256, (12, 3, 32, 32), dtype=np.uint8)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    files = {}
    for number, file in enumerate(real.FILES["cifar10"]):
        block = images[2 * number : 2 * number + 2].tobytes()
        content = b"\x80\x02}q\x01U\x04dataq\x02T" + struct.pack("<i", len(block)) + block + b"s."
        (folder / file).write_bytes(content)
        files[file] = (2, content)
    publish(monkeypatch, "cifar10", files)
    return folder, images


def test_cifar_batches_are_read_in_order(small_cifar, tmp_path):
    _, images = small_cifar
    data = load("cifar10", tmp_path, download=False)
    np.testing.assert_array_equal(torch.cat([data.train, data.validation]).numpy(), images[:10])
    np.testing.assert_array_equal(data.test.numpy(), images[10:])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: b"", "0 bytes without the 6144 bytes of its pixels"),
        (lambda content: content[:3000], "3000 bytes without"),
        (lambda content: content[:-1], "content has SHA-256"),
        (lambda content: content[:99] + bytes([content[99] ^ 1]) + content[100:], "SHA-256"),
    ],
)
def test_a_broken_cifar_batch_is_refused_by_name(small_cifar, tmp_path, change, words):
    path = small_cifar[0] / "data_batch_3"
    path.write_bytes(change(path.read_bytes()))
    message = refusal("cifar10", tmp_path)
    assert str(path) in message
    assert words in message


def test_a_pickle_in_place_of_a_batch_is_never_executed(small_cifar, tmp_path):
    trap = tmp_path / "trap"

    class Harm:
        def __reduce__(self) -> tuple:
            return trap.mkdir, ()

    (small_cifar[0] / "test_batch").write_bytes(pickle.dumps(Harm(), protocol=2))
    refusal("cifar10", tmp_path)
    assert not trap.exists()


IDX = [pytest.param(name, marks=real_set(name)) for name in ("mnist", "fashion_mnist")]


@pytest.mark.parametrize("name", IDX)
def test_the_real_set_is_the_recorded_one_in_torchvisions_order(name):
    from torchvision import datasets

    data = load(name, HERE, download=False)
    assert data.fingerprint == DATASETS[name]["fingerprint"]
    kind = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST}[name]
    for ours, train in ((torch.cat([data.train, data.validation]), True), (data.test, False)):
        theirs = kind(HERE, train=train)
        assert torch.equal(ours[:, 0], theirs.data)


@real_set("cifar10")
def test_real_cifar_is_the_recorded_one_and_unpickles_to_the_same_pixels():
    data = load("cifar10", HERE, download=False)
    assert data.fingerprint == DATASETS["cifar10"]["fingerprint"]
    path = HERE / DATASETS["cifar10"]["folder"] / "test_batch"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy finds fault with pickles of its own youth
        batch = pickle.loads(path.read_bytes(), encoding="latin1")
    np.testing.assert_array_equal(data.test.flatten(1).numpy(), batch["data"])


@real_set("omniglot")
def test_omniglot_is_complete_and_has_thin_white_ink():
    data = load("omniglot", HERE, download=False)
    assert data.counts == {"train": 17935, "validation": 1345, "test": 13180}
    assert 0.05 < data.train.float().mean() / 255 < 0.15
    assert "not the 24,345/8,070 split of Burda" in data.note


@real_set("tiny_imagenet32")
def test_real_tiny_imagenet_is_split_by_class_and_holds_colour():
    folder = HERE / DATASETS["tiny_imagenet32"]["folder"]
    classes = [len(list(wnid.rglob("*.JPEG"))) for wnid in (folder / "train").iterdir()]
    held = sum(-(-count // 20) for count in classes)  # the first, 21st, 41st...
    test = len(list((folder / "val").rglob("*.JPEG")))
    data = load("tiny_imagenet32", HERE, download=False)
    assert len(classes) == 200
    assert data.counts == {"train": sum(classes) - held, "validation": held, "test": test}
    for split in (data.train, data.validation, data.test):
        grey = split.eq(split[:, :1]).all(dim=1).flatten(1).all(dim=1).double().mean()
        assert 0 < grey < 0.1  # a few photographs are black and white
        assert 0.35 < split.float().mean() / 255 < 0.55


@real_set("celeba_half_64")
def test_faces_of_real_celeba_are_in_the_middle_of_the_crop():
    data = load("celeba_half_64", HERE, download=False)
    assert data.note.startswith(f"{sum(data.counts.values()):,} of the 202,599 images")
    red, green, blue = data.train.float().mean((0, 2, 3)) / 255
    assert 0.3 < blue < green < red < 0.7  # skin
    middle = data.train[..., 16:48, 16:48].float().mean((0, 1))
    mirrored = (middle - middle.flip(1)).abs().mean() / middle.std()
    assert mirrored < 0.2  # the mean face is symmetric: its two eyes are level and central
