"""The drawn sets: what is stored is a picture of its latents, and each latent can be seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paper_repro.data import procedural
from paper_repro.data.catalogue import load

SETS = sorted(procedural.LATENTS)


def jacobians(name: str, latents: np.ndarray, step: float = 1e-4) -> np.ndarray:
    """d picture / d continuous latent by central differences: [N, pixels, L]."""
    columns = []
    for index in range(len(procedural.LATENTS[name])):
        shift = np.zeros(latents.shape[1])
        shift[index] = step
        up, down = (procedural.render(name, latents + s) for s in (shift, -shift))
        columns.append((up - down).reshape(len(latents), -1) / (2 * step))
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("name", SETS)
def test_stored_images_are_the_rounded_pictures_of_their_latents(name):
    latents = procedural.draw(name, 50)
    pictures = procedural.render(name, latents)
    stored = load(name).train[:50, 0].numpy()
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    assert np.abs(stored / 255 - pictures).max() <= 0.5 / 255 + 1e-12


@pytest.mark.parametrize("name", SETS)
def test_every_latent_can_be_told_apart_in_the_picture(name):
    # Full column rank, at a size that 8-bit pixels show: along the direction that is hardest to
    # see, one prior standard deviation moves the picture by more than its rounding noise.
    latents = procedural.draw(name, 200)
    deviations = procedural.draw(name, 4000).std(axis=0)[: len(procedural.LATENTS[name])]
    smallest = np.linalg.svd(jacobians(name, latents) * deviations, compute_uv=False)[:, -1]
    pixels = np.prod(procedural.render(name, latents[:1]).shape)
    noise = np.sqrt(pixels / 12) / 255  # Euclidean norm of the rounding of a whole picture
    assert np.quantile(smallest, 0.05) > noise


def test_the_manifold_has_its_dimension_in_the_stored_pixels():
    # Maximum-likelihood dimension from nearest-neighbour distances (Levina & Bickel 2004), which
    # knows nothing of how the images were made. Biased low for a finite sample; 5 is between.
    images = load("manifold").train[:4000].flatten(1).double()
    distances = torch.cdist(images, images).fill_diagonal_(torch.inf)
    nearest = distances.topk(10, largest=False).values.sort(1).values.log()
    inverse = (nearest[:, -1:] - nearest[:, :-1]).mean(1) * 9 / 8
    assert 4.3 < 1 / inverse.mean() < 5.7


def test_sprites_show_every_shape_inside_the_frame():
    shapes = procedural.draw("sprites", 9000)[:, -1]
    share = np.bincount(shapes.astype(int), minlength=3) / 9000
    assert np.abs(share - 1 / 3).max() < 6 * np.sqrt(2 / 9 / 9000)
    images = load("sprites").train.flatten(1).float() / 255
    assert images.max(1).values.min() > 0.8  # none too small to see
    assert images.mean(1).max() < 0.4


def test_a_longer_draw_begins_with_the_shorter_one():
    for name in SETS:
        np.testing.assert_array_equal(
            procedural.draw(name, 7), procedural.draw(name, 100)[:7], err_msg=name
        )


def test_a_face_is_symmetric_but_for_its_gaze():
    latents = procedural.draw("faces", 20)
    latents[:, procedural.LATENTS["faces"].index("gaze")] = 0
    pictures = procedural.render("faces", latents)
    np.testing.assert_allclose(pictures, pictures[:, :, ::-1], atol=1e-12)
