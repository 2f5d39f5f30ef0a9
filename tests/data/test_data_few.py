"""Sets of a few training images, and CelebA at 32x32: made of the sets they are named after."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paper_repro.data import celeba_small
from paper_repro.data.catalogue import load
from paper_repro.data.names import DATASETS
from tests.data.small_sets import HERE, real_set
from tests.data.test_data_celeba import encoded as png
from tests.data.test_data_celeba import folder_of, framed, write


def agrees(few: str, whole: str, folder: object = None) -> None:
    found, source = (load(name, folder, download=False) for name in (few, whole))  # type: ignore[arg-type]
    assert torch.equal(found.train, source.train[:64])
    assert torch.equal(found.validation, source.validation)
    assert torch.equal(found.test, source.test)
    assert found.levels == source.levels
    assert found.fingerprint == DATASETS[few]["fingerprint"] != source.fingerprint


def test_a_few_digits_are_the_first_64_training_images() -> None:
    agrees("digits_few", "digits")


@real_set("mnist")
def test_a_few_of_mnist_are_its_first_64_training_images() -> None:
    agrees("mnist_few", "mnist", HERE)


def test_small_portraits_are_means_of_four_pixels(tmp_path) -> None:
    large = "celeba_half_64"
    files = {f"{n:06d}.jpg": png(framed(large, n)) for n in range(1, 21)}
    write(files, folder_of(large, tmp_path))
    small = load("celeba_half_32", tmp_path, download=False)
    assert small.counts == load(large, tmp_path, download=False).counts
    assert list(small.shape) == DATASETS["celeba_half_32"]["shape"]
    for number, image in enumerate([*small.train, *small.validation, *small.test], start=1):
        assert image.eq(number).all()


@pytest.mark.parametrize("count", [1, 7])
def test_halving_rounds_halves_up(count: int) -> None:
    images = np.random.RandomState(0).randint(0, 256, (count, 3, 4, 6)).astype(np.uint8)
    expected = np.empty((count, 3, 2, 3))
    for row in range(2):
        for column in range(3):
            four = images[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].astype(float)
            expected[:, :, row, column] = np.floor(four.mean((2, 3)) + 0.5)
    assert (celeba_small.halved(images) == expected).all()
