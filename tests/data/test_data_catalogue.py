"""The catalogue: names, counts, fingerprints, disjoint splits."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from paper_repro.data import catalogue, embedded, names, pool
from paper_repro.data.catalogue import load
from paper_repro.data.names import DATASETS
from paper_repro.errors import UserError

EMBEDDED = sorted(name for name, entry in DATASETS.items() if not entry["folder"])


def tiny(**rows: object) -> pool.Pool:
    """Ten 1x2x2 images with values 0..9, splits of 6, 2 and 2."""
    images = np.repeat(np.arange(10, dtype=np.uint8), 4).reshape(10, 1, 2, 2)
    return pool.Pool(images, {**pool.consecutive((6, 2, 2)), **rows})  # type: ignore[dict-item]


def checked(candidate: pool.Pool) -> None:
    pool.check("tiny", candidate, [1, 2, 2], [6, 2, 2])


def test_the_table_of_names_is_a_literal_and_complete():
    tree = ast.parse(Path(names.__file__).read_text(encoding="utf-8"))
    value = next(node.value for node in tree.body if isinstance(node, ast.AnnAssign))
    table = ast.literal_eval(value)  # type: ignore[arg-type]
    assert table == DATASETS
    for entry in table.values():
        known = {"module", "line", "shape", "counts", "folder", "fingerprint"}
        assert set(entry) - {"name", "showable", "classes", "conditional", "holds", "most"} == known
        assert bool(entry["counts"]) != ("most" in entry)
        assert "\n" not in entry["line"]
        assert len(entry["shape"]) == 3


def test_originals_of_photographs_under_restrictive_terms_are_not_shown():
    hidden = {name for name in DATASETS if not names.may_be_shown(name)}
    photographs = {name for name in DATASETS if "celeba" in name or "imagenet" in name}
    assert hidden == photographs
    assert hidden >= {"celeba", "celeba128", "celeba_half_64", "imagenet32", "tiny_imagenet32"}


def test_names_and_embedded_sets_need_no_heavy_imports():
    code = (
        "import sys; from paper_repro.data import embedded, procedural, names;"
        "embedded.read('digits'); embedded.read('patches'); procedural.read('manifold');"
        "heavy = {'torch', 'torchvision', 'sklearn', 'scipy', 'pandas'} & set(sys.modules);"
        "sys.exit(str(sorted(heavy)) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", EMBEDDED)
def test_an_embedded_set_is_the_recorded_one(name):
    data = load(name, download=False)
    assert list(data.counts.values()) == DATASETS[name]["counts"]
    assert list(data.shape) == DATASETS[name]["shape"]
    assert data.fingerprint == DATASETS[name]["fingerprint"]
    assert data.duplicates == 0
    for split in (data.train, data.validation, data.test):
        assert split.dtype == (torch.uint8 if data.levels else torch.float32)
        assert split.is_contiguous()
        assert split.max() <= data.levels or not data.levels
    assert data.train.max() == data.levels or name in {"manifold", "faces"} or not data.levels


def test_digits_are_scikit_learns_digits_each_once():
    from sklearn.datasets import load_digits

    data = load("digits")
    ours = torch.cat([data.train, data.validation, data.test]).flatten(1).numpy()
    theirs = load_digits().data.astype(np.uint8)
    assert sorted(map(bytes, ours)) == sorted(map(bytes, theirs))


def test_patches_of_different_splits_share_no_pixel():
    corners, _ = embedded.corners_and_blocks()
    owner = np.full((2, 427, 640), -1)
    for number, rows in enumerate(embedded.patches().rows.values()):
        for photograph, y, x in corners[rows]:
            window = owner[photograph, y : y + embedded.PATCH, x : x + embedded.PATCH]
            assert np.isin(window, (-1, number)).all()
            window[:] = number
    assert {-1, 0, 1, 2} == set(np.unique(owner))


def test_the_pixels_of_a_patch_are_those_of_the_photograph():
    from PIL import Image

    corners, _ = embedded.corners_and_blocks()
    flower = np.asarray(Image.open(embedded._file("images/flower.jpg")), dtype=float)
    images = embedded.patches().images
    photograph, y, x = corners[-1]
    colour = flower[y : y + 12, x : x + 12]
    grey = colour @ [0.299, 0.587, 0.114]  # ITU-R 601 luma
    assert photograph == 1
    np.testing.assert_allclose(images[-1, 0], grey, atol=1)


def test_disjoint_splits_pass():
    checked(tiny())
    checked(tiny(train=np.array([5, 4, 3, 2, 1, 0])))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (tiny(test=range(7, 9)), "splits validation and test share 1 images"),
        (tiny(validation=np.array([0, 5])), "splits train and validation share 2 images"),
        (tiny(train=np.array([0, 1, 2, 3, 4, 4])), "split train holds the same image twice"),
        (tiny(test=range(9, 11)), "split test names rows outside 0..9"),
        (tiny(test=np.array([8, -1])), "split test names rows outside 0..9"),
        (tiny(test=range(8, 9)), r"\[6, 2, 1\] images in train/validation/test"),
        (replace(tiny(), images=np.zeros((10, 1, 2, 3), np.uint8)), "uint8"),
        (replace(tiny(), images=np.zeros((10, 1, 2, 2), np.float32)), "float32"),
    ],
)
def test_wrong_splits_are_caught(wrong, words):
    with pytest.raises(UserError, match=words) as caught:
        checked(wrong)
    assert "dataset tiny" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_split_of_a_free_folder_is_caught():
    with pytest.raises(UserError, match="at least one in each"):
        pool.check("tiny", tiny(validation=range(0)), [1, 2, 2], [])


def test_the_catalogue_itself_refuses_overlapping_splits(monkeypatch):
    honest = embedded.digits()
    leaky = replace(honest, rows={**honest.rows, "test": honest.rows["train"][:300]})
    monkeypatch.setattr(embedded, "digits", lambda: leaky)
    with pytest.raises(UserError, match="splits train and test share 300 images"):
        load("digits")


def test_one_altered_pixel_is_refused(monkeypatch):
    altered = embedded.digits()
    altered.images[17, 0, 3, 3] ^= 1
    monkeypatch.setattr(embedded, "digits", lambda: altered)
    with pytest.raises(UserError, match=r"dataset digits: content has SHA-256 .*recorded is 14c1"):
        load("digits")


def test_the_fingerprint_sees_every_change():
    def splits(**changed: np.ndarray) -> dict[str, np.ndarray]:
        images = np.arange(24, dtype=np.uint8).reshape(6, 1, 2, 2)
        return {"train": images[:3], "validation": images[3:4], "test": images[4:]} | changed

    images = np.arange(24, dtype=np.uint8).reshape(6, 1, 2, 2)
    pixel = images[4:].copy()
    pixel[0, 0, 0, 0] += 1
    prints = [
        catalogue.fingerprint("a", 255, splits()),
        catalogue.fingerprint("b", 255, splits()),
        catalogue.fingerprint("a", 16, splits()),
        catalogue.fingerprint("a", 255, splits(test=pixel)),
        catalogue.fingerprint("a", 255, splits(test=images[:3:-1])),
        catalogue.fingerprint("a", 255, splits(test=images[4:].reshape(2, 1, 4, 1))),
        catalogue.fingerprint("a", 255, splits(train=images[:4], validation=images[4:4])),
    ]
    assert len(set(prints)) == len(prints)
    assert prints[0] == catalogue.fingerprint("a", 255, splits())


def test_the_fingerprint_sees_every_change_of_a_condition():
    images = np.arange(24, dtype=np.uint8).reshape(6, 1, 2, 2)
    splits = {"train": images[:3], "validation": images[3:4], "test": images[4:]}
    numbers = np.linspace(-1, 1, 6, dtype=np.float32)[:, None]

    def conditioned(pictures: np.ndarray, numbers: np.ndarray) -> str:
        rows = {"train": slice(3), "validation": slice(3, 4), "test": slice(4, None)}
        parts = {split: (pictures[r], numbers[r]) for split, r in rows.items()}
        return catalogue.fingerprint("a", 255, splits, parts)

    pixel, number = images.copy(), numbers.copy()
    pixel[5, 0, 1, 1] += 1
    number[5] = np.nextafter(number[5], np.float32(0))
    plain = catalogue.fingerprint("a", 255, splits)
    prints = [
        plain,
        conditioned(images, numbers),
        conditioned(pixel, numbers),
        conditioned(images, number),
        conditioned(images[::-1], numbers),
    ]
    assert len(set(prints)) == len(prints)
    assert plain == catalogue.fingerprint("a", 255, splits, {})  # sets without keep their own


def test_equal_images_are_counted_and_those_in_two_splits_apart():
    images = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
    splits = {
        "train": images[[0, 1, 1]],  # once inside a split
        "validation": images[[1, 2]],
        "test": images[[0, 2, 3, 4, 4]],  # twice an image of another, once inside
    }
    assert catalogue.duplicates(splits) == (5, 3)


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_memory_foretold_is_that_of_the_tensors_of_a_set(name):
    data = load(name)
    tensors = [data.train, data.validation, data.test]
    tensors += [pictures for pictures, _ in data.conditions.values()]
    held = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    assert names.memory_mib(name) * 2**20 == held


def test_the_memory_foretold_of_a_users_folder_is_that_of_the_complete_set():
    assert names.memory_mib("celeba_half_64") == names.memory_mib("celeba")
    assert names.memory_mib("celeba128_subset") == names.memory_mib("celeba128")
    assert round(names.memory_mib("celeba128") / 1024, 1) == 9.3
    assert names.memory_mib("tiny_imagenet32") * 2**20 == 110_000 * 3072


def test_an_unknown_name_is_one_line_with_the_names_allowed():
    with pytest.raises(
        UserError, match=r"dataset: 'mnits' is not one of digits, .*mnist"
    ) as caught:
        load("mnits")
    assert "\n" not in str(caught.value)
