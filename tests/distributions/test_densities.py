"""Log-densities, entropies and divergences against torch.distributions and quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from paper_repro.distributions.gaussian import (
    DiagonalGaussian,
    normal_log_prob,
    standard_normal_log_prob,
)
from paper_repro.distributions.mixture import GaussianMixture
from paper_repro.distributions.two_layer import TwoLayer


def normal(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.fixture
def gaussian() -> DiagonalGaussian:
    return DiagonalGaussian(normal(0, 4, 3), 0.5 * normal(1, 4, 3))


@pytest.fixture
def mixture() -> GaussianMixture:
    return GaussianMixture(normal(2, 4, 5), normal(3, 4, 5, 3), 0.5 * normal(4, 4, 5, 3))


def reference(mixture: GaussianMixture) -> MixtureSameFamily:
    components = Independent(Normal(mixture.means, mixture.log_scales.exp()), 1)
    return MixtureSameFamily(Categorical(logits=mixture.logits), components)


def test_gaussian_log_prob_is_that_of_torch(gaussian):
    z = normal(5, 7, 4, 3)
    expected = Independent(Normal(gaussian.mean, gaussian.log_scale.exp()), 1).log_prob(z)
    close(gaussian.log_prob(z), expected)


def test_standard_normal_log_prob_is_that_of_torch():
    z = normal(6, 7, 3)
    close(standard_normal_log_prob(z), Normal(0.0, 1.0).log_prob(z).sum(-1))


@pytest.mark.parametrize("shape", [(3,), (1, 3), (4, 3)])
def test_normal_log_prob_broadcasts_its_arguments(shape):
    z, mean, log_scale = normal(7, 7, 4, 3), normal(8, *shape), normal(9, 3)
    expected = Independent(Normal(mean, log_scale.exp().expand(shape)), 1).log_prob(z)
    close(normal_log_prob(z, mean, log_scale), expected)


def test_gaussian_entropy_and_divergence_are_those_of_torch(gaussian):
    reference = Independent(Normal(gaussian.mean, gaussian.log_scale.exp()), 1)
    prior = Independent(Normal(torch.zeros_like(gaussian.mean), 1.0), 1)
    close(gaussian.entropy(), reference.entropy())
    close(gaussian.kl_standard(), kl_divergence(reference, prior))


def test_gaussian_sample_is_the_noise_moved_and_scaled(gaussian):
    noise = normal(10, 6, 4, 3)
    z = gaussian.rsample({"z": noise})
    close((z - gaussian.mean) / gaussian.log_scale.exp(), noise)


@pytest.mark.parametrize("lead", [(7,), (5, 7)])
def test_mixture_log_prob_is_that_of_torch_with_and_without_a_component_axis(mixture, lead):
    z = normal(11, *lead, 4, 3)
    close(mixture.log_prob(z), reference(mixture).log_prob(z))


def test_mixture_sample_of_component_c_is_a_draw_of_component_c(mixture):
    noise = {name: normal(12, *s) for name, s in mixture.noise_shapes(6).items()}
    z = mixture.rsample(noise)
    assert z.shape == (5, 6, 4, 3)
    for c in range(5):
        component = DiagonalGaussian(mixture.means[:, c], mixture.log_scales[:, c])
        close(z[c], component.rsample({"z": noise["z"][c]}))


def test_mixture_expectation_weighs_components_by_their_probabilities(mixture):
    values = normal(13, 5, 6, 4)
    expected = torch.einsum("bc,ckb->kb", mixture.logits.softmax(-1), values)
    close(mixture.expect(values), expected)


def test_mixture_mean_by_expectation_is_the_mixture_mean(mixture):
    noise = {"z": torch.zeros(mixture.noise_shapes(1)["z"], dtype=torch.float64)}
    first = mixture.expect(mixture.rsample(noise)[..., 0])
    close(first[0], reference(mixture).mean[:, 0])


@pytest.mark.parametrize("components", [1, 3])
def test_mixture_integrates_to_one(components):
    mixture = GaussianMixture(
        normal(14, components), normal(15, components, 1), 0.3 * normal(16, components, 1)
    )
    grid = torch.linspace(-15, 15, 20_001, dtype=torch.float64)
    total = torch.trapezoid(mixture.log_prob(grid.unsqueeze(-1)).exp(), grid)
    assert total.item() == pytest.approx(1, abs=1e-10)


def net(params, h1: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_scale = (torch.tanh(h1) @ params["w"] + params["b"]).chunk(2, -1)
    return mean, log_scale


def two_layer(batch: tuple[int, ...] = (4,)) -> TwoLayer:
    first = DiagonalGaussian(normal(17, *batch, 2), 0.3 * normal(18, *batch, 2))
    return TwoLayer(first, net, {"w": 0.5 * normal(19, 2, 2), "b": 0.3 * normal(20, 2)}, size=1)


def test_two_layer_log_prob_is_the_chain_rule():
    q = two_layer()
    h1, h2 = q.rsample({name: normal(21, *s) for name, s in q.noise_shapes(6).items()})
    mean, log_scale = net(q.params, h1)
    second = Independent(Normal(mean, log_scale.exp()), 1)
    close(q.log_prob((h1, h2)), q.first.log_prob(h1) + second.log_prob(h2))


def test_two_layer_second_sample_is_its_noise_moved_and_scaled():
    q = two_layer()
    noise = {name: normal(22, *s) for name, s in q.noise_shapes(6).items()}
    h1, h2 = q.rsample(noise)
    mean, log_scale = net(q.params, h1)
    close(h1, q.first.rsample({"z": noise["h1"]}))
    close((h2 - mean) / log_scale.exp(), noise["h2"])


def test_gaussian_divergence_is_the_quadrature_of_its_definition(gaussian):
    points, weights = (torch.as_tensor(a) for a in np.polynomial.hermite_e.hermegauss(8))
    z = gaussian.rsample({"z": points[:, None, None].expand(-1, 4, 3)})
    ratio = Normal(gaussian.mean, gaussian.log_scale.exp()).log_prob(z)
    ratio = ratio - Normal(0.0, 1.0).log_prob(z)
    weights = weights / math.sqrt(2 * math.pi)
    close(gaussian.kl_standard(), torch.einsum("k,kbd->b", weights, ratio))


@pytest.mark.parametrize("make", ["gaussian", "mixture", "two_layer", "two_layer_code"])
def test_frozen_is_the_same_density_without_gradient_in_its_parameters(make, request):
    if make.startswith("two_layer"):
        posterior = two_layer()
        variant = {"variant": "code" if make.endswith("code") else "exact"}
        leaves = [posterior.first.mean, posterior.first.log_scale, *posterior.params.values()]
    else:
        posterior, variant = request.getfixturevalue(make), {}
        leaves = list(vars(posterior).values())
    for leaf in leaves:
        leaf.requires_grad_()
    noise = {name: normal(23, *s) for name, s in posterior.noise_shapes(2).items()}
    z = posterior.rsample(noise)
    fixed = tuple(h.detach() for h in z) if isinstance(z, tuple) else z.detach()
    frozen = posterior.frozen(**variant)
    close(frozen.log_prob(z), posterior.log_prob(z))
    assert not frozen.log_prob(fixed).requires_grad
    assert frozen.log_prob(z).requires_grad
