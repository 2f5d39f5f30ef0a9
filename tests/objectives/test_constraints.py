"""The constraints of GECO against their definitions, written as loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from paper_repro.objectives import constraints

SHAPE = (2, 9, 11)
PIXELS = 2 * 9 * 11


def images(seed: int, *lead: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*lead, PIXELS, generator=generator, dtype=torch.float64)


X, MEAN = images(0, 3), images(1, 4, 3)
LABELS = torch.eye(3, dtype=torch.float64)
WEIGHTS = images(2, 3) - 0.5


def probabilities(x: Tensor) -> Tensor:
    return (x @ WEIGHTS.T).softmax(-1)


def features(x: Tensor) -> Tensor:
    return (x @ WEIGHTS.T).abs()


def patch_correlation(x: Tensor, mean: Tensor, **options: object) -> Tensor:
    return constraints.patch_correlation(x, mean, shape=SHAPE, **options)


ALL = {
    "reconstruction": lambda mean: constraints.reconstruction(X, mean, kappa=0.1),
    "features": lambda mean: constraints.feature_reconstruction(
        X, mean, kappa=0.1, features=features
    ),
    "classes": lambda mean: constraints.classification(
        LABELS, mean, kappa=0.9, probabilities=probabilities
    ),
    "patches": lambda mean: patch_correlation(X, mean, kappa=0.7),
}


def test_reconstruction_is_the_squared_error_above_the_allowed_one_per_image():
    found = constraints.reconstruction(X, MEAN, kappa=0.3)
    expected = ((X - MEAN) ** 2).sum(-1) - PIXELS * 0.09
    torch.testing.assert_close(found, expected)
    off = constraints.reconstruction(X, X + 0.3, kappa=0.3)  # an RMS error of exactly kappa
    torch.testing.assert_close(off, torch.zeros_like(off))


def test_features_and_classes_are_those_of_the_network_given():
    found = ALL["features"](MEAN)
    torch.testing.assert_close(found, ((features(X) - features(MEAN)) ** 2).mean(-1) - 0.01)
    found = ALL["classes"](MEAN)
    right = probabilities(MEAN)[:, [0, 1, 2], [0, 1, 2]]
    torch.testing.assert_close(found, 0.9 - right)


def test_patch_correlation_is_the_mean_over_normalised_patches():
    found = patch_correlation(X, MEAN, kappa=0.7)
    expected = np.zeros((4, 3))
    for k, b in np.ndindex(4, 3):
        first, second = (a.numpy().reshape(SHAPE) for a in (X[b], MEAN[k, b]))
        products = []
        for c, row, column in np.ndindex(2, 1, 2):
            at = np.s_[c, 3 * row : 3 * row + 7, 3 * column : 3 * column + 7]
            p, q = (a[at] - a[at].mean() for a in (first, second))
            norms = [np.sqrt((a**2).sum()) + 1e-3 for a in (p, q)]
            products.append((p * q).sum() / norms[0] / norms[1])
        expected[k, b] = 0.7 - np.mean(products)
    torch.testing.assert_close(found, torch.as_tensor(expected), rtol=1e-12, atol=1e-12)


def test_patch_correlation_ignores_brightness_and_contrast():
    found = patch_correlation(X, 0.2 + 0.5 * X, kappa=0.7, floor=1e-12)
    torch.testing.assert_close(found, torch.full_like(found, 0.7 - 1), rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", ["reconstruction", "features", "patches"])
def test_a_violation_is_negative_for_the_image_itself_and_positive_for_another(name):
    assert (ALL[name](X) < 0).all()
    assert (ALL[name](X.flip(-1)) > 0).all()


def test_a_class_is_violated_until_the_classifier_is_sure_enough():
    sure = constraints.classification(LABELS, MEAN, kappa=0.9, probabilities=lambda _: LABELS)
    wrong = constraints.classification(
        LABELS, MEAN, kappa=0.9, probabilities=lambda _: LABELS.roll(1, 0)
    )
    assert (sure < 0).all()
    assert (wrong > 0).all()


@pytest.mark.parametrize("name", ALL)
def test_stacked_members_have_the_violation_and_gradient_of_a_loop(name):
    stacked = images(5, 2, 4, 3).requires_grad_()
    together = torch.vmap(ALL[name])(stacked)
    gradient = torch.autograd.grad(together.square().sum(), stacked)[0]
    for member in range(2):
        alone = stacked[member].detach().requires_grad_()
        value = ALL[name](alone)
        torch.testing.assert_close(together[member], value, rtol=1e-12, atol=1e-12)
        expected = torch.autograd.grad(value.square().sum(), alone)[0]
        torch.testing.assert_close(gradient[member], expected, rtol=1e-10, atol=1e-12)


def test_a_patch_without_contrast_has_a_finite_gradient():
    flat = torch.full((3, PIXELS), 0.5, dtype=torch.float64, requires_grad=True)
    found = patch_correlation(X, flat, kappa=0.7)
    torch.testing.assert_close(found, torch.full_like(found, 0.7))
    assert torch.autograd.grad(found.sum(), flat)[0].isfinite().all()


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match="mean"):
        constraints.reconstruction(X, MEAN[..., :-1], kappa=0.1)
    with pytest.raises(ValueError, match="mean"):
        constraints.reconstruction(X, MEAN[:, :1], kappa=0.1)
    with pytest.raises(ValueError, match="kappa"):
        constraints.reconstruction(X, MEAN, kappa=0.0)
    with pytest.raises(ValueError, match="labels"):
        constraints.classification(LABELS[:, :2], MEAN, kappa=0.9, probabilities=probabilities)
    with pytest.raises(ValueError, match="shape"):
        constraints.patch_correlation(X, MEAN, kappa=0.7, shape=(1, 9, 11))
    with pytest.raises(ValueError, match="patch"):
        patch_correlation(X, MEAN, kappa=0.7, patch=10)
