"""Entropy, divergence and moments: exact or with an honest standard error, and it says which."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from paper_repro.distributions.bernoulli import Bernoulli
from paper_repro.distributions.flow import Flow, init_params
from paper_repro.distributions.gaussian import (
    DiagonalGaussian,
    normal_log_prob,
    standard_normal_log_prob,
)
from paper_repro.distributions.mixture import GaussianMixture
from paper_repro.distributions.moments import CentralMoments
from paper_repro.distributions.summaries import Quantity, entropy, kl, moments
from paper_repro.distributions.two_layer import TwoLayer
from tests.distributions import facts
from tests.distributions.facts import AXIS, DISCRETE, NAMES, close, normal

GAUSSIAN = DiagonalGaussian(normal(0, 4, 2), 0.4 * normal(1, 4, 2))
MIXTURE = GaussianMixture(normal(2, 3), normal(3, 3, 1), 0.3 * normal(4, 3, 1))
FLOW = Flow(
    init_params(
        torch.Generator().manual_seed(5),
        dim=2,
        layers=3,
        hidden=8,
        depth=2,
        scale=0.7,
        dtype=torch.float64,
    )
)
SIDE = torch.linspace(-10, 10, 401, dtype=torch.float64)
PLANE, CELL = torch.cartesian_prod(SIDE, SIDE), (SIDE[1] - SIDE[0]) ** 2
POINTS, WEIGHTS = (torch.as_tensor(a) for a in np.polynomial.hermite_e.hermegauss(40))


def draws(posterior, samples: int = 20_000, seed: int = 6) -> dict[str, Tensor]:
    shapes = posterior.noise_shapes(samples)
    return {name: normal(seed + i, *shape) for i, (name, shape) in enumerate(shapes.items())}


def agrees(found: Quantity[Tensor], expected: Tensor) -> None:
    """Within six standard errors, which are small enough to tell."""
    assert found.standard_error is not None
    assert (found.standard_error < 0.05).all()
    assert ((found.value - expected).abs() < 6 * found.standard_error).all()


def net(params, h1: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_scale = (torch.tanh(h1) @ params["w"] + params["b"]).chunk(2, -1)
    return mean, log_scale


TWO_LAYER = TwoLayer(
    DiagonalGaussian(normal(7, 1), 0.3 * normal(8, 1)),
    net,
    {"w": 0.5 * normal(9, 1, 2), "b": 0.3 * normal(10, 2)},
    size=1,
)


@pytest.mark.parametrize("q", [GAUSSIAN, *DISCRETE.values()], ids=lambda q: q.kind)
def test_families_with_closed_forms_answer_exactly_without_noise(q):
    for found, expected in ((entropy(q), q.entropy()), (kl(q), q.kl_standard())):
        assert found.exact
        assert found.standard_error is None
        assert torch.equal(found.value, expected)
    found = moments(q)
    assert found.exact
    assert all(torch.equal(getattr(found.value, n), getattr(q.central_moments(), n)) for n in NAMES)


def test_mixture_entropy_and_divergence_agree_with_quadrature():
    log_q = MIXTURE.log_prob(AXIS[:, None])
    log_p = standard_normal_log_prob(AXIS[:, None])
    found = entropy(MIXTURE, draws(MIXTURE)), kl(MIXTURE, noise=draws(MIXTURE))
    assert not any(f.exact for f in found)
    agrees(found[0], -torch.trapezoid(log_q.exp() * log_q, AXIS))
    agrees(found[1], torch.trapezoid(log_q.exp() * (log_q - log_p), AXIS))


def test_mixture_moments_are_exact():
    assert moments(MIXTURE).exact


def test_flow_entropy_and_divergence_agree_with_quadrature():
    log_q, log_p = FLOW.log_prob(PLANE), standard_normal_log_prob(PLANE)
    agrees(entropy(FLOW, draws(FLOW)), -(log_q.exp() * log_q).sum() * CELL)
    agrees(kl(FLOW, noise=draws(FLOW)), (log_q.exp() * (log_q - log_p)).sum() * CELL)


def test_divergence_of_a_gaussian_from_a_flow_prior_agrees_with_quadrature():
    z = PLANE[:, None].expand(-1, 4, -1)
    log_q, log_p = GAUSSIAN.log_prob(z), FLOW.log_prob(PLANE)[:, None]
    found = kl(GAUSSIAN, FLOW.log_prob, draws(GAUSSIAN))
    agrees(found, (log_q.exp() * (log_q - log_p)).sum(0) * CELL)
    assert ((found.value - GAUSSIAN.kl_standard()).abs() > 0.1).any()


def test_flow_moments_agree_with_quadrature():
    found = moments(FLOW, draws(FLOW))
    assert not found.exact
    density = FLOW.log_prob(PLANE).exp().unsqueeze(-1) * CELL
    mean = (density * PLANE).sum(0)
    expected = [mean, *((density * (PLANE - mean) ** n).sum(0) for n in (2, 3, 4))]
    for name, value in zip(NAMES, expected, strict=True):
        error = getattr(found.standard_error, name)
        assert ((getattr(found.value, name) - value).abs() < 6 * error).all()
        assert (error < 0.05 * (1 + value.abs())).all()


def test_discrete_divergence_from_another_prior_agrees_with_enumeration():
    q, prior = DISCRETE["signs"], Bernoulli(torch.full((4, 5), 0.7).double(), signed=True)
    (_, p), (_, r) = facts.table(q), facts.table(prior)
    agrees(kl(q, prior.log_prob, draws(q)), (p * (p / r).log()).sum(0))


def test_two_layer_entropy_agrees_with_quadrature_over_its_first_layer():
    h1 = TWO_LAYER.first.rsample({"z": POINTS[:, None]})
    second = DiagonalGaussian(*net(TWO_LAYER.params, h1)).entropy()
    expected = TWO_LAYER.first.entropy() + (WEIGHTS * second).sum() / WEIGHTS.sum()
    agrees(entropy(TWO_LAYER, draws(TWO_LAYER)), expected)


def test_two_layer_divergence_from_a_prior_of_two_layers_agrees_with_quadrature():
    def log_prior(z: tuple[Tensor, Tensor]) -> Tensor:
        return standard_normal_log_prob(z[1]) + normal_log_prob(z[0], z[1], torch.zeros(1))

    points = torch.cartesian_prod(POINTS, POINTS)
    weights = torch.cartesian_prod(WEIGHTS, WEIGHTS).prod(-1) / WEIGHTS.sum() ** 2
    z = TWO_LAYER.rsample({"h1": points[:, :1], "h2": points[:, 1:]})
    expected = (weights * (TWO_LAYER.log_prob(z) - log_prior(z))).sum()
    agrees(kl(TWO_LAYER, log_prior, draws(TWO_LAYER)), expected)


def test_two_layer_moments_are_those_of_both_layers():
    found = moments(TWO_LAYER, draws(TWO_LAYER))
    h1 = TWO_LAYER.first.rsample({"z": POINTS[:, None]})
    mean, log_scale = net(TWO_LAYER.params, h1)
    weights = WEIGHTS[:, None] / WEIGHTS.sum()
    average = (weights * mean).sum(0)
    variance = (weights * ((mean - average).square() + (2 * log_scale).exp())).sum(0)
    first = TWO_LAYER.first.central_moments()
    for name, value in (
        ("mean", torch.cat([first.mean, average])),
        ("second", torch.cat([first.second, variance])),
    ):
        agrees(Quantity(getattr(found.value, name), getattr(found.standard_error, name)), value)


@pytest.mark.parametrize(
    "summary",
    [
        lambda noise: entropy(MIXTURE, noise),
        lambda noise: kl(MIXTURE, noise=noise),
        *(lambda noise, n=n: _moment(n, noise) for n in NAMES),
    ],
    ids=["entropy", "kl", *NAMES],
)
def test_standard_errors_are_the_spread_of_repetitions(summary):
    repeated = [summary(draws(MIXTURE, 300, seed=100 + 2 * i)) for i in range(200)]
    values = torch.stack([r.value for r in repeated])
    errors = torch.stack([r.standard_error for r in repeated])
    ratio = values.std(0) / errors.square().mean(0).sqrt()
    assert (abs(ratio.log()) < 6 / math.sqrt(2 * 200)).all()


def _moment(name: str, noise: dict[str, Tensor]) -> Quantity[Tensor]:
    found = moments(FLOW, {"z": torch.cat([noise["z"][0], noise["z"][1]], -1)})
    assert isinstance(found.standard_error, CentralMoments)
    return Quantity(getattr(found.value, name), getattr(found.standard_error, name))


def test_summaries_carry_no_gradient():
    mean = GAUSSIAN.mean.clone().requires_grad_()
    q = DiagonalGaussian(mean, GAUSSIAN.log_scale)
    noise = draws(q, 10)
    for found in (entropy(q), kl(q), kl(q, FLOW.log_prob, noise)):
        assert not found.value.requires_grad
    assert not moments(q).value.mean.requires_grad


def test_summaries_run_under_vmap():
    def numbers(means: Tensor, e: Tensor) -> Tensor:
        q, noise = GaussianMixture(MIXTURE.logits, means, MIXTURE.log_scales), {"z": e}
        found = entropy(q, noise), kl(q, noise=noise)
        return torch.stack([n for f in found for n in (f.value, f.standard_error)])

    means, e = normal(11, 2, 3, 1), normal(12, 2, *MIXTURE.noise_shapes(10)["z"])
    loop = torch.stack([numbers(*pair) for pair in zip(means, e, strict=True)])
    close(torch.vmap(numbers)(means, e), loop)


REFUSED = {
    "noise": lambda: entropy(MIXTURE),
    "noise ": lambda: kl(FLOW),
    "noise  ": lambda: kl(GAUSSIAN, FLOW.log_prob),
    "noise   ": lambda: moments(TWO_LAYER),
    "noise    ": lambda: entropy(MIXTURE, draws(MIXTURE, 1)),
    "noise     ": lambda: moments(FLOW, draws(FLOW, 1)),
    "log_prior": lambda: kl(TWO_LAYER, noise=draws(TWO_LAYER, 2)),
    "log_prior ": lambda: kl(GAUSSIAN, lambda z: z, draws(GAUSSIAN, 2)),
}


@pytest.mark.parametrize("argument", REFUSED)
def test_what_is_missing_or_wrong_is_refused_by_its_name(argument):
    with pytest.raises(ValueError, match=f"^{argument.strip()}:"):
        REFUSED[argument]()
