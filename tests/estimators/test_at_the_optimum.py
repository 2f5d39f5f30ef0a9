"""At q = p: the path derivative vanishes for every sample, the total derivative does not.

Roeder et al. (NIPS 2017). Variances are exact up to Monte Carlo error.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from paper_repro.distributions.gaussian import (
    DiagonalGaussian,
    normal_log_prob,
    standard_normal_log_prob,
)
from paper_repro.distributions.two_layer import TwoLayer
from paper_repro.studies.conformance import measure
from paper_repro.studies.conformance.problems import ExactProblem
from tests.estimators import toys


def own_target(kind: str) -> tuple[ExactProblem, dict[str, Tensor]]:
    """The family's toy with its own density, unnormalised, as the target."""
    toy = measure.own_target(toys.TOYS[kind])
    return toy, toy.params


def conjugate() -> ExactProblem:
    """x ~ N(z, I), z ~ N(0, I) in two dimensions: the posterior is N(x / 2, I / 2)."""
    x = torch.tensor([1.0, -0.6], dtype=torch.float64)
    params = {"mean": x / 2, "log_scale": torch.full_like(x, 0.5).log() / 2}
    return toys.toy(
        params,
        lambda p: DiagonalGaussian(p["mean"], p["log_scale"]),
        lambda p: lambda z: (normal_log_prob(x, z, 0 * x), standard_normal_log_prob(z)),
    )


def two_layer_chain() -> ExactProblem:
    """h2 ~ N(0, 1), h1 ~ N(h2, 1), x ~ N(h1, 1), all scalar, with the exact posterior as q:
    h1 | x ~ N(2x/3, 2/3) and h2 | h1 ~ N(h1/2, 1/2)."""
    x = torch.tensor([0.9], dtype=torch.float64)
    params = {
        "mean": 2 * x / 3,
        "log_scale": torch.full_like(x, 2 / 3).log() / 2,
        "slope": torch.full_like(x, 0.5),
        "intercept": 0 * x,
        "second_log_scale": torch.full_like(x, 0.5).log() / 2,
    }

    def net(p, h1):
        mean = p["slope"] * h1 + p["intercept"]
        return mean, p["second_log_scale"].expand_as(mean)

    def posterior(p):
        return TwoLayer(DiagonalGaussian(p["mean"], p["log_scale"]), net, p, 1)

    def densities(z):
        h1, h2 = z
        prior = standard_normal_log_prob(h2) + normal_log_prob(h1, h2, torch.zeros_like(x))
        return normal_log_prob(x, h1, torch.zeros_like(x)), prior

    return toys.toy(params, posterior, lambda _: densities)


def draws_of(
    name: str, toy: ExactProblem, objective: str = "elbo", samples: int = 1, n: int = 2000
):
    function = toys.bound(toys.terms_of(name), objective, toy)
    noise = toys.draw_noise(toy, samples, seed=200, draws=n)
    return toys.gradient_draws(function, toy.params, noise)


@pytest.mark.parametrize("kind", toys.CONTINUOUS)
def test_path_gradient_is_zero_for_every_sample_at_the_optimum(kind):
    toy, params = own_target(kind)
    assert toys.flatten(draws_of("path", toy), 1).abs().max() < 1e-10
    total = draws_of("total", toy)
    assert all(total[name].var(0).sum() > 1e-3 for name in params)


def test_path_gradient_is_zero_at_the_exact_posterior_of_a_conjugate_model():
    assert toys.flatten(draws_of("path", conjugate()), 1).abs().max() < 1e-10


@pytest.mark.parametrize("kind", toys.CONTINUOUS)
def test_path_gradient_is_not_zero_off_the_optimum(kind):
    toy, params = own_target(kind)
    moved = {name: p + 0.1 for name, p in params.items()}
    draws = draws_of("path", replace(toy, params=moved))
    assert toys.flatten(draws, 1).var(0).sum() > 1e-6


def test_covariance_of_the_total_derivative_is_the_fisher_information():
    n, toy = 200_000, conjugate()
    draws = toys.flatten(draws_of("total", toy, n=n), 1)
    fisher = torch.diag(torch.cat([(-2 * toy.params["log_scale"]).exp(), torch.full((2,), 2.0)]))
    centred = draws - draws.mean(0)
    products = centred.unsqueeze(-1) * centred.unsqueeze(-2)
    error = products.std(0) / n**0.5
    assert ((products.mean(0) - fisher) / error).abs().max() < 6
    torch.testing.assert_close(products.mean(0), fisher, rtol=0.03, atol=0.03)


def test_released_two_layer_code_keeps_a_variance_in_the_first_layer_and_exact_does_not():
    # "code" loses d/dh1 log q(h2 | h1) = slope (h2 - slope h1) / s2^2, here of variance 1/2, times
    # dh1/dmean = 1 and dh1/dlog_scale = s1 eps with s1^2 = 2/3; total's is the Fisher information
    n, toy = 50_000, two_layer_chain()
    theory = {"total": (3 / 2, 2.0), "path_code": (1 / 2, 1 / 3)}
    for name, variances in theory.items():
        draws = draws_of(name, toy, n=n)
        for parameter, expected in zip(("mean", "log_scale"), variances, strict=True):
            squares = draws[parameter].square()
            assert abs(squares.mean() - expected) < 6 * squares.std() / n**0.5
    second = ("slope", "intercept", "second_log_scale")
    code, exact = draws_of("path_code", toy), draws_of("path", toy)
    assert all(code[name].abs().max() < 1e-10 for name in second)
    assert all(exact[name].abs().max() < 1e-10 for name in toy.params)


def test_released_two_layer_code_has_mean_zero_at_the_optimum():
    draws = toys.flatten(draws_of("path_code", two_layer_chain(), n=50_000), 1)
    assert toys.z_scores(draws, torch.zeros(5, dtype=torch.float64)).abs().max() < 6


@pytest.mark.parametrize("samples", [1, 8])
@pytest.mark.parametrize("kind", ["gaussian", "two_layer", "flow"])
def test_path_and_dreg_of_the_iwae_bound_are_zero_at_the_optimum_and_the_standard_is_not(
    samples, kind
):
    toy, _ = own_target(kind)
    for name in ("path", "dreg"):
        assert toys.flatten(draws_of(name, toy, "iwae", samples), 1).var(0).max() < 1e-20
    assert toys.flatten(draws_of("total", toy, "iwae", samples), 1).var(0).sum() > 0.1


@pytest.mark.parametrize("samples", [1, 8])
def test_standard_iwae_gradient_has_the_fisher_information_over_k_as_variance(samples):
    # at q = p all weights are 1/k, so the gradient is minus the mean of k scores: trace 8/k here,
    # 4/k for each of the two dimensions (1/s^2 = 2 and 2)
    n = 100_000
    draws = toys.flatten(draws_of("total", conjugate(), "iwae", samples, n), 1)
    squares = (draws - draws.mean(0)).square().sum(-1)
    assert abs(squares.mean() - 8 / samples) < 6 * squares.std() / n**0.5


def test_partial_keeps_a_variance_at_the_optimum():
    toy, _ = own_target("mixture")
    assert toys.flatten(draws_of("partial", toy), 1).var(0).sum() > 1e-2
