"""Coloured and rotated digits: each is its grey digit in one colour, or turned by one angle."""

from __future__ import annotations

import colorsys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from paper_repro.data import derived, embedded
from paper_repro.data.catalogue import labels, load
from paper_repro.data.names import DATASETS, may_be_shown
from paper_repro.data.pool import SPLITS
from paper_repro.errors import UserError
from tests.data.small_sets import HERE, real_set

TURN = 2 * np.pi


def circular(angles: np.ndarray) -> float:
    """Length of the mean of points on the circle, in standard errors of uniform ones."""
    return float(np.abs(np.exp(1j * angles).mean()) * np.sqrt(2 * len(angles)))


def hues(images: np.ndarray) -> np.ndarray:
    """Hue of the brightest pixel of each image [N, 3, H, W], as an angle."""
    flat = images.reshape(len(images), 3, -1).astype(float)
    brightest = flat.max(1).argmax(1)
    rgb = flat[np.arange(len(flat)), :, brightest]
    return np.array([colorsys.rgb_to_hsv(*pixel)[0] for pixel in rgb]) * TURN


def blob(size: int, radius: float, angle: float) -> np.ndarray:
    """A spot [1, 1, size, size] of width 1.2 at polar coordinates about the centre, x to the right
    and y upwards."""
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    x, y = columns - radius * np.cos(angle), -rows - radius * np.sin(angle)
    return np.round(255 * np.exp(-(x**2 + y**2) / 2 / 1.2**2)).astype(np.uint8)[None, None]


def direction(image: np.ndarray) -> complex:
    """Centre of mass of an image [1, 1, H, W], as x + iy about the centre, y upwards."""
    picture = image[0, 0].astype(float)
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]] - (len(picture) - 1) / 2
    return complex((picture * (columns - 1j * rows)).sum() / picture.sum())


# Colour


def test_the_pure_hues_are_those_of_hsv_at_full_saturation_and_value():
    sixths = np.linspace(0, 6, 200, endpoint=False)
    ours = np.stack([derived._ramp(sixths - shift) for shift in (0, 2, 4)], axis=1)
    theirs = [colorsys.hsv_to_rgb(hue / 6, 1, 1) for hue in sixths]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("split", SPLITS)
def test_a_coloured_digit_is_its_grey_digit_in_one_pure_colour(split):
    grey = getattr(load("digits"), split).numpy().astype(int)
    images = getattr(load("color_digits"), split).numpy().astype(int)
    np.testing.assert_array_equal(images.max(1, keepdims=True), grey)  # value 1
    assert not images.min(1).any()  # saturation 1
    # Where the grey digit is brightest its colour is known to half a level; it holds everywhere.
    flat, light = images.reshape(len(images), 3, -1), grey.reshape(len(grey), -1)
    top = light.argmax(1)
    colour = flat[np.arange(len(flat)), :, top] / light.max(1, keepdims=True)
    error = np.abs(flat - colour[:, :, None] * light[:, None])
    assert error.max() <= 1


def test_every_hue_is_as_likely_for_every_digit():
    images = torch.cat([getattr(load("color_digits"), split) for split in SPLITS]).numpy()
    digits = torch.cat(list(labels("color_digits").values())).numpy()
    angles = hues(images)
    assert circular(angles) < 4
    assert max(circular(angles[digits == digit]) for digit in range(10)) < 4
    quarters = np.bincount((angles // (TURN / 4)).astype(int), minlength=4) / len(angles)
    assert np.abs(quarters - 0.25).max() < 6 * np.sqrt(3 / 16 / len(angles))


def test_a_colour_that_tells_the_digit_would_be_noticed():
    grey = embedded.read("digits")
    by_digit = embedded.labels("digits") * 0.6

    class Rigged:
        def uniform(self, low: float, high: float, size: int) -> np.ndarray:
            return by_digit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np.random, "RandomState", lambda seed: Rigged())
        angles = hues(derived.colour(grey, 0).images)
    assert circular(angles[embedded.labels("digits") == 3]) > 10


# Rotation


@pytest.mark.parametrize("size", [8, 9, 28])
def test_quarter_turns_are_exact_and_anticlockwise(size):
    images = np.random.default_rng(size).integers(0, 256, (40, 1, size, size), dtype=np.uint8)
    for quarters in range(-4, 5):
        turned = derived.turned(images, np.full(len(images), quarters * np.pi / 2))
        np.testing.assert_array_equal(turned, np.rot90(images, quarters, axes=(2, 3)))
    clockwise = derived.turned(images, np.full(len(images), -np.pi / 2))
    assert (clockwise != np.rot90(images, axes=(2, 3))).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("size", [8, 9, 28])
def test_a_turn_is_scipys_bilinear_one_with_zeros_around(size):
    generator = np.random.default_rng(size)
    images = generator.integers(0, 256, (30, 1, size, size), dtype=np.uint8)
    angles = generator.uniform(-TURN, TURN, 30)
    ours = derived.turned(images, angles)
    for image, angle, found in zip(images[:, 0], angles, ours[:, 0], strict=True):
        theirs = ndimage.rotate(
            image.astype(float), np.degrees(angle), reshape=False, order=1, mode="grid-constant"
        )
        assert np.abs(found - theirs).max() < 0.5 + 1e-5


@pytest.mark.parametrize("angle", [0.3, 1.9, -2.5])
def test_a_spot_moves_along_its_circle(angle):
    start = 0.7
    found = direction(derived.turned(blob(28, 7, start), np.array([angle])))
    assert abs(found - 7 * np.exp(1j * (start + angle))) < 0.05
    assert abs(found - 7 * np.exp(1j * (start - angle))) > 1  # the other way round


def test_many_images_are_turned_each_by_its_own_angle(monkeypatch):
    images = load("digits").train.numpy()[:30]
    angles = np.linspace(0, TURN, 30)
    at_once = derived.turned(images, angles)
    monkeypatch.setattr(derived, "CHUNK", 7)
    np.testing.assert_array_equal(derived.turned(images, angles), at_once)
    alone = [derived.turned(images[i : i + 1], angles[i : i + 1])[0] for i in range(30)]
    np.testing.assert_array_equal(alone, at_once)


# Conditional sets


@pytest.mark.parametrize("split", SPLITS)
def test_the_image_is_the_digit_turned_by_the_angle_of_its_condition(split):
    grey = getattr(load("digits"), split).numpy()
    data = load("digits_rotate")
    numbers = data.conditions[split][1].numpy()
    assert numbers.dtype == np.float32
    np.testing.assert_allclose((numbers**2).sum(1), 1, atol=1e-6)
    sin, cos = numbers.astype(float).T
    image = getattr(data, split).numpy().astype(int)
    expected = derived.turned(grey, np.arctan2(sin, cos)).astype(int)
    assert np.abs(image - expected).max() <= 1  # the numbers are float32
    assert (image != expected).mean() < 1e-3
    swapped = derived.turned(grey, np.arctan2(cos, sin)).astype(int)
    assert (image != swapped).mean() > 0.2


def angles_of(pictures: np.ndarray, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The angle of 120 by which each grey digit looks most like its picture, and the RMS error."""
    grid = np.arange(120) * TURN / 120
    errors = []
    for angle in grid:
        turned = derived.turned(grey, np.full(len(grey), angle)).astype(float)
        errors.append(np.sqrt(((turned - pictures) ** 2).mean((1, 2, 3))))
    return grid[np.argmin(errors, axis=0)], np.min(errors, axis=0)


def test_the_condition_shows_the_same_digit_by_another_angle():
    grey, data = load("digits").train.numpy(), load("digits_rotate")
    pictures, numbers = (part.numpy() for part in data.conditions["train"])
    assert pictures.dtype == np.uint8
    assert pictures.shape == grey.shape
    a, error = angles_of(pictures.astype(float), grey)
    _, other = angles_of(pictures.astype(float), np.roll(grey, 1, axis=0))
    assert np.median(error) < 0.4  # of 16 levels: rounding, and at most 1.5 degrees
    assert np.median(other) > 2
    b = np.arctan2(*numbers.T)
    for angles in (a, b, a - b, a + b):  # each uniform, and one tells nothing of the other
        assert circular(angles) < 4
    assert circular(b - np.arctan2(*numbers.T)) > 30  # a condition by the same angle


def test_only_rotated_sets_have_conditions():
    assert load("digits").conditions == {}
    assert load("color_digits").conditions == {}
    data = load("digits_rotate")
    for split, (pictures, numbers) in data.conditions.items():
        assert pictures.shape == getattr(data, split).shape
        assert numbers.shape == (data.counts[split], 2)
        assert pictures.is_contiguous()


@pytest.mark.parametrize("part", [0, 1])
def test_one_altered_condition_is_refused(monkeypatch, part):
    honest = derived.read("digits_rotate")
    assert honest.conditions is not None
    altered = [content.copy() for content in honest.conditions]
    altered[part].flat[11] += 1
    wrong = replace(honest, conditions=tuple(altered))
    monkeypatch.setattr(derived, "read", lambda name: wrong)
    with pytest.raises(UserError, match=r"dataset digits_rotate: content has SHA-256"):
        load("digits_rotate")


def test_derived_digits_keep_the_levels_of_the_digits_and_may_be_shown():
    for name in derived.SEEDS:
        assert may_be_shown(name)
    assert load("color_digits").levels == load("digits_rotate").levels == load("digits").levels


# The real sets


@real_set("mnist")
@pytest.mark.parametrize("name", ["color_mnist", "mnist_rotate"])
def test_a_set_made_of_real_mnist_is_the_recorded_one(name):
    data = load(name, HERE, download=False)
    assert data.fingerprint == DATASETS[name]["fingerprint"] != ""
    assert data.levels == 255
    mnist = load("mnist", HERE, download=False)
    if name == "color_mnist":
        assert torch.equal(data.test.amax(1, keepdim=True), mnist.test)
        return
    b = np.arctan2(*data.conditions["test"][1].double().numpy().T)
    expected = derived.turned(mnist.test.numpy(), b).astype(int)
    error = np.abs(data.test.numpy().astype(int) - expected)
    assert error.max() <= 1
    assert (error > 0).mean() < 1e-3
