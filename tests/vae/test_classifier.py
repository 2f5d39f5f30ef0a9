"""The classifier that constraints look through has learned, is frozen and always the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from paper_repro.data import catalogue
from paper_repro.errors import UserError
from paper_repro.vae.parts import classifier
from paper_repro.vae.parts.classifier import Classifier

SETS = ["digits", "color_digits"]


def pixels(name: str, split: str) -> Tensor:
    data = catalogue.load(name)
    return getattr(data, split).flatten(1).float() / data.levels


def accuracy(name: str, steps: int) -> float:
    found = classifier.trained(name, steps, "cpu").probabilities(pixels(name, "test")).argmax(-1)
    return float((found == catalogue.labels(name)["test"]).double().mean())


def doubled(name: str) -> Classifier:
    """A trained classifier in float64."""
    found = classifier.trained(name, 200, "cpu")
    return Classifier({n: w.double() for n, w in found.weights.items()}, found.shape, found.scales)


@pytest.mark.parametrize("name", SETS)
def test_it_tells_digits_apart_once_trained_and_not_before(name):
    assert accuracy(name, 200) > 0.9
    assert accuracy(name, 0) < 0.35


def test_it_is_two_strided_convolutions_and_a_linear_layer():
    ours = doubled("color_digits")
    layers = nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2, padding=2),
        nn.SiLU(),
        nn.Conv2d(16, 32, 5, stride=2, padding=2),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(32 * 2 * 2, 10),
        nn.Softmax(-1),
    ).double()
    keys = ("first", "a", "second", "b", "out", "c")
    for parameter, key in zip(layers.parameters(), keys, strict=True):
        parameter.data = ours.weights[key]
    x = pixels("color_digits", "test").double()
    images = x.unflatten(1, (3, 8, 8))
    torch.testing.assert_close(ours.probabilities(x), layers(images), rtol=0, atol=1e-12)
    first = layers[:2](images)
    second = layers[2:4](first)
    expected = torch.cat(
        [first.flatten(1) / ours.scales[0], second.flatten(1) / ours.scales[1]], dim=1
    )
    torch.testing.assert_close(ours.features(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SETS)
def test_features_of_either_layer_have_mean_square_one_over_the_training_images(name):
    found = classifier.trained(name, 200, "cpu").features(pixels(name, "train"))
    sizes = (16 * 4 * 4, 32 * 2 * 2)
    assert found.shape[-1] == sum(sizes)
    for layer in found.split(sizes, dim=-1):
        assert layer.square().mean() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("what", [Classifier.probabilities, Classifier.features])
def test_its_gradient_in_the_image_is_exact_and_its_weights_get_none(
    what: Callable[[Classifier, Tensor], Tensor],
):
    network = doubled("digits")
    x = pixels("digits", "test")[:3].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda images: what(network, images), (x,))
    what(network, x).square().sum().backward()  # probabilities alone sum to 1
    assert x.grad is not None
    assert x.grad.abs().max() > 1e-6
    for weight in network.weights.values():
        assert not weight.requires_grad


@pytest.mark.parametrize("what", [Classifier.probabilities, Classifier.features])
def test_members_and_samples_are_seen_as_if_alone(
    what: Callable[[Classifier, Tensor], Tensor],
):
    network = doubled("color_digits")
    x = pixels("color_digits", "test")[:24].double().unflatten(0, (2, 3, 4))
    expected = torch.stack([what(network, part) for part in x.flatten(0, 1)]).unflatten(0, (2, 3))
    torch.testing.assert_close(what(network, x), expected, rtol=0, atol=1e-12)
    mapped = torch.vmap(lambda images: what(network, images))(x)
    torch.testing.assert_close(mapped, expected, rtol=0, atol=1e-12)


def test_it_is_trained_once_and_alike_whatever_was_drawn_before():
    assert classifier.trained("digits", 3, "cpu") is classifier.trained("digits", 3, "cpu")
    anew = classifier.trained.__wrapped__
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = anew("digits", 3, "cpu")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    two, longer = anew("digits", 3, "cpu"), anew("digits", 4, "cpu")
    assert one.scales == two.scales
    for key, weight in one.weights.items():
        assert torch.equal(weight, two.weights[key])
        assert not torch.equal(weight, longer.weights[key])


def test_it_can_be_trained_where_gradients_are_switched_off():
    with torch.no_grad():
        found = classifier.trained.__wrapped__("digits", 3, "cpu")
    assert torch.equal(found.weights["out"], classifier.trained("digits", 3, "cpu").weights["out"])


def test_a_set_without_labels_is_refused():
    with pytest.raises(UserError, match=r"dataset sprites: .*no labels"):
        classifier.trained("sprites", 10, "cpu")
