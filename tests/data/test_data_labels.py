"""Labels stand in the order of the images, and nobody who does not ask for them needs them."""

from __future__ import annotations

import gzip
import pickle
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from paper_repro.data import embedded, real
from paper_repro.data.catalogue import labels, load
from paper_repro.data.names import DATASETS
from paper_repro.data.pool import SPLITS
from paper_repro.errors import UserError
from tests.data.small_sets import HERE, TEST, TRAIN, idx, publish, real_set, sums

EMBEDDED = ["digits", "color_digits", "digits_rotate"]


def label_file(path: str) -> str:
    """Name of the labels beside a file of images."""
    return path.replace("images-idx3", "labels-idx1")


def label_idx(values: np.ndarray) -> bytes:
    return struct.pack(">2i", 2049, len(values)) + values.tobytes()


@pytest.fixture(params=["mnist", "fashion_mnist"])
def small(request, tmp_path, monkeypatch) -> tuple[str, Path, np.ndarray]:
    """Name, raw folder and the 15 labels of a complete small set (12 training, 3 test)."""
    name, generator = request.param, np.random.default_rng(0)
    images = generator.integers(0, 256, (15, 28, 28), dtype=np.uint8)
    values = generator.integers(0, 10, 15, dtype=np.uint8)
    raw = tmp_path / DATASETS[name]["folder"]
    raw.mkdir(parents=True)
    files = {TRAIN: (12, idx(images[:12])), TEST: (3, idx(images[12:]))}
    beside = {
        label_file(TRAIN): (12, label_idx(values[:12])),
        label_file(TEST): (3, label_idx(values[12:])),
    }
    for file, (_, content) in (files | beside).items():
        (raw / file).write_bytes(content)
    publish(monkeypatch, name, files)
    monkeypatch.setitem(real.LABELS, name, sums(beside))
    return name, raw, values


def in_one(found: dict[str, Tensor]) -> np.ndarray:
    return torch.cat([found[split] for split in SPLITS]).numpy()


def nearest_mean(name: str, found: dict[str, Tensor]) -> float:
    """Accuracy on the test images of `name` of the class whose mean training image is nearest."""
    data = load(name)
    train, test = data.train.flatten(1).double(), data.test.flatten(1).double()
    means = torch.stack([train[found["train"] == digit].mean(0) for digit in range(10)])
    chosen = torch.cdist(test, means).argmin(1)
    return float((chosen == found["test"]).double().mean())


def test_each_digit_has_the_label_that_scikit_learn_gives_it():
    from sklearn.datasets import load_digits

    theirs = load_digits()
    known = dict(zip(map(bytes, theirs.data.astype(np.uint8)), theirs.target, strict=True))
    data, found = load("digits"), labels("digits")
    for split in SPLITS:
        images = getattr(data, split).flatten(1).numpy()
        assert found[split].tolist() == [known[bytes(image)] for image in images]


def test_labels_in_another_order_than_the_images_would_be_noticed():
    assert nearest_mean("digits", labels("digits")) > 0.8
    in_file_order = torch.from_numpy(embedded.labels("digits"))
    wrong = {"train": in_file_order[:1347], "test": in_file_order[1497:]}
    assert nearest_mean("digits", wrong) < 0.4


@pytest.mark.parametrize("name", EMBEDDED)
def test_there_is_one_label_of_ten_for_every_image(name):
    data, found = load(name), labels(name)
    assert {split: len(part) for split, part in found.items()} == data.counts
    for part in found.values():
        assert part.dtype == torch.int64
        assert set(part.tolist()) == set(range(DATASETS[name]["classes"]))


@pytest.mark.parametrize("name", EMBEDDED[1:])
def test_a_derived_set_has_the_labels_of_its_source(name):
    for split, part in labels("digits").items():
        assert torch.equal(labels(name)[split], part)


@pytest.mark.parametrize("name", [n for n, entry in DATASETS.items() if "classes" not in entry])
def test_a_set_without_labels_says_so_before_it_is_looked_for(name, tmp_path):
    with pytest.raises(UserError, match=f"^dataset {name}: .*no labels") as caught:
        labels(name, tmp_path, download=False)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_has_no_labels_either():
    with pytest.raises(UserError, match="'mnits' is not one of"):
        labels("mnits")


def test_the_last_labels_of_the_training_file_validate(small, tmp_path):
    name, _, values = small
    found = labels(name, tmp_path, download=False)
    assert [len(found[split]) for split in SPLITS] == [10, 2, 3]
    np.testing.assert_array_equal(in_one(found), values)


def test_compressed_labels_alone_are_enough(small, tmp_path):
    name, raw, values = small
    for file in map(label_file, (TRAIN, TEST)):
        (raw / f"{file}.gz").write_bytes(gzip.compress((raw / file).read_bytes()))
        (raw / file).unlink()
    np.testing.assert_array_equal(in_one(labels(name, tmp_path)), values)


def test_images_are_read_where_labels_are_missing(small, tmp_path):
    name, raw, _ = small
    for file in map(label_file, (TRAIN, TEST)):
        (raw / file).unlink()
    assert len(load(name, tmp_path, download=False).train) == 10
    with pytest.raises(UserError, match=r"train-labels-idx1-ubyte\.gz: missing"):
        labels(name, tmp_path, download=False)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:-1] + bytes([(content[-1] + 1) % 10]),
        lambda content: b"<!DOCTYPE html>",
    ],
)
def test_a_broken_file_of_labels_is_refused_by_name(small, tmp_path, change):
    name, raw, _ = small
    path = raw / label_file(TEST)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError) as caught:
        labels(name, tmp_path, download=False)
    message = str(caught.value)
    assert message.startswith(f"dataset {name}: {path}: content has SHA-256")
    assert "\n" not in message


def cifar_batch(images: np.ndarray, values: np.ndarray) -> bytes:
    """A pickle of labels and pixels with the opcodes of the published ones."""
    numbers = b"".join(b"K" + bytes([value]) for value in values)
    block = images.tobytes()
    return (
        b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x04nineU\x06labelsq\x04]q\x05("
        + numbers
        + b"eU\x04dataT"
        + struct.pack("<i", len(block))
        + block
        + b"u."
    )


@pytest.fixture
def small_cifar(tmp_path, monkeypatch) -> tuple[Path, np.ndarray]:
    """Folder and the 12 labels of a CIFAR-10 of six batches of two."""
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (12, 3, 32, 32), dtype=np.uint8)
    values = generator.integers(0, 10, 12, dtype=np.uint8)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    files = {}
    for number, file in enumerate(real.FILES["cifar10"]):
        part = slice(2 * number, 2 * number + 2)
        files[file] = (2, cifar_batch(images[part], values[part]))
        (folder / file).write_bytes(files[file][1])
    publish(monkeypatch, "cifar10", files)
    return folder, values


def test_labels_of_cifar_batches_are_read_in_order(small_cifar, tmp_path):
    folder, values = small_cifar
    first = pickle.loads((folder / "data_batch_1").read_bytes(), encoding="bytes")
    assert first[b"labels"] == values[:2].tolist()  # the stand-in is a pickle like the published
    np.testing.assert_array_equal(in_one(labels("cifar10", tmp_path, download=False)), values)


def test_a_cifar_batch_that_is_not_the_published_one_gives_no_labels(small_cifar, tmp_path):
    trap = tmp_path / "trap"

    class Harm:
        def __reduce__(self) -> tuple:
            return trap.mkdir, ()

    path = small_cifar[0] / "test_batch"
    path.write_bytes(pickle.dumps({"labels": [1, 2], "harm": Harm()}, protocol=2))
    with pytest.raises(UserError, match=r"test_batch: content has SHA-256"):
        real.labels("cifar10", tmp_path)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, marks=real_set(name))
        for name, kind in (
            ("mnist", "MNIST"),
            ("fashion_mnist", "FashionMNIST"),
            ("cifar10", "CIFAR10"),
        )
    ],
)
def test_real_labels_are_those_of_torchvision(name, kind):
    from torchvision import datasets

    found = labels(name, HERE, download=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy finds fault with pickles of its own youth
        theirs = [getattr(datasets, kind)(HERE, train=train).targets for train in (True, False)]
    np.testing.assert_array_equal(in_one(found), np.concatenate(theirs))


@pytest.mark.parametrize("name", ["color_mnist", "mnist_rotate"])
@real_set("mnist")
def test_sets_made_of_mnist_have_its_labels(name):
    found = labels(name, HERE, download=False)
    for split, part in labels("mnist", HERE, download=False).items():
        assert torch.equal(found[split], part)
