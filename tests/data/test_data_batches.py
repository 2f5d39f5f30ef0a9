"""Scaling, dynamic binarisation, order and mean."""

from __future__ import annotations

import pytest
import torch

from paper_repro.data.batches import binarise, order, scale, train_mean
from paper_repro.data.catalogue import load


@pytest.mark.parametrize("levels", [16, 255])
def test_scaling_maps_the_levels_onto_the_unit_interval(levels):
    images = torch.arange(levels + 1, dtype=torch.uint8)
    expected = torch.linspace(0, 1, levels + 1, dtype=torch.float64)
    torch.testing.assert_close(scale(images, levels, torch.float64), expected)
    assert scale(images, levels).dtype == torch.float32


@pytest.mark.parametrize("levels", [16, 255])
def test_binarised_pixels_have_the_grey_value_as_mean(levels):
    images = torch.arange(levels + 1, dtype=torch.uint8).view(1, 1, 1, -1)
    uniform = torch.rand(20_000, 1, 1, levels + 1, generator=torch.Generator().manual_seed(0))
    draws = binarise(images, levels, uniform)
    mean = images.flatten() / levels
    error = (draws.mean(0).flatten() - mean).abs()
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    assert (error <= 6 * (mean * (1 - mean) / 20_000).sqrt()).all()  # exact at black and white


def test_black_stays_black_and_white_stays_white_for_every_noise():
    noise = torch.tensor([0.0, 0.5, 1 - 2**-24])
    assert not binarise(torch.zeros(3, dtype=torch.uint8), 255, noise).any()
    assert binarise(torch.full((3,), 255, dtype=torch.uint8), 255, noise).all()


def test_noise_with_a_leading_axis_gives_several_draws_in_its_own_dtype():
    images = torch.full((4, 1, 2, 2), 100, dtype=torch.uint8)
    uniform = torch.rand(3, 4, 1, 2, 2, dtype=torch.float64)
    draws = binarise(images, 255, uniform)
    assert draws.shape == uniform.shape
    assert draws.dtype == torch.float64
    torch.testing.assert_close(draws[1], binarise(images, 255, uniform[1]))


def test_an_order_visits_every_image_once_and_follows_its_generator():
    one, two = (order(1000, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(one.sort().values, torch.arange(1000))
    assert not torch.equal(one, order(1000, torch.Generator().manual_seed(4)))


def test_the_train_mean_is_the_mean_of_the_scaled_training_images():
    data = load("digits")
    expected = scale(data.train.flatten(1), data.levels, torch.float64).mean(0)
    torch.testing.assert_close(train_mean(data).double(), expected, atol=1e-7, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_nothing_waits_for_the_device():
    images = load("digits").train.cuda()
    generator = torch.Generator("cuda").manual_seed(0)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        rows = order(len(images), generator)[:100]
        batch = images[rows]
        uniform = torch.rand(batch.shape, generator=generator, device="cuda")
        pixels = binarise(batch, 16, uniform) + scale(batch, 16)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert pixels.shape == (100, 1, 8, 8)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_binarises_as_the_cpu_does_with_the_same_noise():
    images = load("sprites").train[:50]
    uniform = torch.rand(images.shape, generator=torch.Generator().manual_seed(1))
    there = binarise(images.cuda(), 255, uniform.cuda()).cpu()
    assert torch.equal(there, binarise(images, 255, uniform))
