"""Moments of the Gaussian and the mixture by quadrature, and what else the Gaussian offers."""

from __future__ import annotations

import math

import pytest
import torch

from paper_repro.distributions import gaussian
from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.distributions.mixture import GaussianMixture
from paper_repro.distributions.moments import CentralMoments
from tests.distributions import facts
from tests.distributions.facts import DISCRETE, MIXTURE, NAMES, close, normal

GAUSSIAN = DiagonalGaussian(normal(0, 4, 3), 0.5 * normal(1, 4, 3))


def as_mixture(q: DiagonalGaussian) -> GaussianMixture:
    return GaussianMixture(normal(2, 4, 1), q.mean.unsqueeze(-2), q.log_scale.unsqueeze(-2))


def test_mixture_moments_are_those_of_quadrature():
    facts.marginal_moments_are_those_of_quadrature(MIXTURE)
    close(MIXTURE.mean_z(), MIXTURE.central_moments().mean)


def test_gaussian_moments_are_those_of_a_mixture_of_one_by_quadrature():
    facts.marginal_moments_are_those_of_quadrature(as_mixture(GAUSSIAN))
    of_mixture = as_mixture(GAUSSIAN).central_moments()
    for name in NAMES:
        close(getattr(GAUSSIAN.central_moments(), name), getattr(of_mixture, name))


def test_a_gaussian_has_no_cumulants_above_the_second():
    moments = GAUSSIAN.central_moments()
    close(moments.third_cumulant, torch.zeros_like(moments.mean))
    close(moments.fourth_cumulant, torch.zeros_like(moments.mean))


@pytest.mark.parametrize(("signed", "step"), [(False, 1), (True, 2)])
def test_binary_cumulants_are_those_of_the_table(signed, step):
    q = DISCRETE["signs" if signed else "bits"]
    p, moments = q.probs, q.central_moments()
    u = p * (1 - p)
    close(moments.second, step**2 * u)
    close(moments.third_cumulant, step**3 * u * (1 - 2 * p))
    close(moments.fourth_cumulant, step**4 * u * (1 - 6 * u))


def test_cumulants_of_independent_latents_add():
    q = DISCRETE["signs"]
    moments = q.central_moments()
    states, p = facts.table(q)
    total = states.sum(-1)
    second, third, fourth = (
        (p * (total[:, None] - moments.mean.sum(-1)) ** n).sum(0) for n in (2, 3, 4)
    )
    close(second, moments.second.sum(-1))
    close(third, moments.third_cumulant.sum(-1))
    close(fourth - 3 * second.square(), moments.fourth_cumulant.sum(-1))


def test_moments_of_different_shapes_are_refused_by_name():
    a, b = torch.ones(4, 3), torch.ones(4)
    for name in NAMES[1:]:
        with pytest.raises(ValueError, match=f"^{name}: shape"):
            CentralMoments(**dict.fromkeys(NAMES, a) | {name: b})


def test_gaussian_moments_run_under_vmap():
    def numbers(mean, log_scale):
        moments = DiagonalGaussian(mean, log_scale).central_moments()
        return torch.stack([getattr(moments, name) for name in NAMES])

    found = torch.vmap(numbers)(GAUSSIAN.mean, GAUSSIAN.log_scale)
    close(found.movedim(1, 0), numbers(GAUSSIAN.mean, GAUSSIAN.log_scale))


def test_scaling_a_gaussian_weighs_its_gradient_alone():
    facts.scaled_weighs_the_gradient_alone(GAUSSIAN)


def test_gaussian_sample_is_its_reparameterised_one_without_gradient():
    mean = GAUSSIAN.mean.clone().requires_grad_()
    q, noise = DiagonalGaussian(mean, GAUSSIAN.log_scale), {"z": normal(3, 6, 4, 3)}
    assert torch.equal(q.sample(noise), q.rsample(noise))
    assert q.rsample(noise).requires_grad
    assert not q.sample(noise).requires_grad
    assert q.mean_z() is mean


def test_gaussian_prior_is_standard():
    z = normal(4, 6, 4, 3)
    close(GAUSSIAN.log_prior(z), torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1))
    with pytest.raises(ValueError, match=r"^z: shape"):
        GAUSSIAN.log_prior(z[..., :2])


def test_a_head_becomes_means_and_log_scales_or_means_alone():
    head = normal(5, 4, 6)
    learned, constant = gaussian.from_head(head), gaussian.from_head(head, scale=0.3)
    assert gaussian.head_size(3) == gaussian.head_size(6, scale=0.3) == 6
    assert torch.equal(learned.mean, head[:, :3])
    assert torch.equal(learned.log_scale, head[:, 3:])
    assert torch.equal(constant.mean, head)
    close(constant.log_scale, torch.full_like(head, math.log(0.3)))
    assert gaussian.from_head.__kwdefaults__ == gaussian.OPTIONS
    assert gaussian.head_size.__kwdefaults__ == gaussian.OPTIONS


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), "unit"])
def test_a_constant_scale_that_is_none_is_refused(scale):
    with pytest.raises(ValueError, match=r"^scale:"):
        gaussian.from_head(torch.zeros(4, 6), scale=scale)


@pytest.mark.parametrize("head", [torch.zeros(4, 5), torch.tensor(0.0)])
def test_a_head_of_wrong_shape_is_refused(head):
    with pytest.raises(ValueError, match=r"^head:"):
        gaussian.from_head(head)
