"""Relations between estimators that hold sample by sample, and the variance away from q = p."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from paper_repro.distributions.gaussian import DiagonalGaussian, standard_normal_log_prob
from paper_repro.estimators import control_variate, partial
from paper_repro.studies.conformance import measure
from paper_repro.studies.conformance.problems import ExactProblem
from tests.estimators import toys

KINDS = toys.CONTINUOUS


def one_gradient(terms, kind: str, objective: str = "elbo", samples: int = 5):
    toy = toys.TOYS[kind]
    noise = toys.draw_noise(toy, samples, seed=300)
    value, gradient = torch.func.grad_and_value(toys.bound(terms, objective, toy))(
        dict(toy.params), noise
    )[::-1]
    return value, toys.flatten(gradient)


def with_c(c):
    return lambda posterior, joint, noise: control_variate.terms(posterior, joint, noise, c=c)


def assert_same(first, second) -> None:
    torch.testing.assert_close(first, second, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("c", "name"), [(0.0, "total"), (1.0, "path")])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_control_variate_ends_at_the_total_and_the_path_derivative(kind, c, name, as_tensor):
    weight = torch.tensor(c, dtype=torch.float64) if as_tensor else c
    assert_same(one_gradient(with_c(weight), kind), one_gradient(toys.terms_of(name), kind))


@pytest.mark.parametrize("kind", KINDS)
def test_control_variate_adds_c_times_the_score(kind):
    toy = toys.TOYS[kind]
    noise = toys.draw_noise(toy, 5, seed=300)
    z = toy.posterior(toy.params).rsample(noise)

    def log_q(params):
        posterior = toy.posterior(params)
        # weights of a mixture's components belong to the expectation, not to the score
        return toy.posterior(toy.params).expect(posterior.log_prob(z)).mean(0).sum()

    score = toys.flatten(torch.func.grad(log_q)(dict(toy.params)))
    total = one_gradient(toys.terms_of("total"), kind)[1]
    assert_same(one_gradient(with_c(0.4), kind)[1], total + 0.4 * score)


@pytest.mark.parametrize("samples", [1, 5])
def test_total_equals_exact_entropy_sample_by_sample_for_a_gaussian(samples):
    total = one_gradient(toys.terms_of("total"), "gaussian", samples=samples)
    entropy = one_gradient(toys.terms_of("exact_entropy"), "gaussian", samples=samples)
    assert_same(total, entropy)


def test_exact_kl_differs_from_total_sample_by_sample():
    total = one_gradient(toys.terms_of("total"), "gaussian")[1]
    assert (total - one_gradient(toys.terms_of("exact_kl"), "gaussian")[1]).abs().max() > 1e-2


@pytest.mark.parametrize("kind", ["gaussian", "two_layer", "flow"])
def test_with_one_sample_dreg_is_the_path_derivative(kind):
    dreg = one_gradient(toys.terms_of("dreg"), kind, "iwae", samples=1)
    assert_same(dreg, one_gradient(toys.terms_of("path"), kind, "elbo", samples=1))


@pytest.mark.parametrize("kind", ["gaussian", "two_layer", "flow"])
def test_dreg_is_the_path_derivative_weighted_by_squared_importance_weights(kind):
    toy, samples = toys.TOYS[kind], 4
    noise = toys.draw_noise(toy, samples, seed=301)
    log_weights = log_weights_of(toy, noise)
    weights = log_weights.softmax(0)

    def surrogate(params):
        posterior = toy.posterior(params)
        z = posterior.rsample(noise)
        terms = toy.log_joint(toy.params)(z), posterior.frozen().log_prob(z)
        return (weights.square() * (sum(terms[0]) - terms[1])).sum()

    def decoder(params):  # the ordinary gradient of the bound, samples and posterior held fixed
        posterior = toy.posterior(toy.params)
        z = posterior.rsample(noise)
        return (weights * (sum(toy.log_joint(params)(z)) - posterior.log_prob(z))).sum()

    expected = torch.func.grad(surrogate)(dict(toy.params))
    expected |= {
        n: g for n, g in torch.func.grad(decoder)(dict(toy.params)).items() if "theta" in n
    }
    function = toys.bound(toys.terms_of("dreg"), "iwae", toy)
    found = torch.func.grad(function)(dict(toy.params), noise)
    assert_same(toys.flatten(found), toys.flatten(expected))


def log_weights_of(toy, noise):
    posterior = toy.posterior(toy.params)
    z = posterior.rsample(noise)
    return sum(toy.log_joint(toy.params)(z)) - posterior.log_prob(z)


# Estimators whose values are not those of log-densities at the plain draws: `partial` samples a
# component, `silent` integrates, `gumbel_softmax` decodes relaxed codes.
OTHER_VALUES = {"partial", "silent", "gumbel_softmax"}
PLAIN = {"gaussian": "total", "bernoulli": "score_function", "categorical": "score_function"}
SAME_VALUES = [
    (family, name, toy)
    for family in measure.FAMILIES
    for name, toy in toys.pairs(family)
    if name not in OTHER_VALUES
]


@pytest.mark.parametrize(("objective", "name", "problem"), SAME_VALUES)
def test_estimators_differ_in_gradient_never_in_value_nor_in_the_decoders_gradient(
    objective, name, problem
):
    toy, noise = toys.TOYS[problem], toys.draw_noise(toys.TOYS[problem], 4, seed=302)
    plain = PLAIN.get(toy.kind, "total")
    (gradient, value), (other_gradient, other_value) = [
        torch.func.grad_and_value(toys.bound(toys.terms_of(n), objective, toy))(
            dict(toy.params), noise
        )
        for n in (plain, name)
    ]
    assert_same(other_value, value)
    for theta in toy.decoder:
        assert_same(other_gradient[theta], gradient[theta])


def normal_fit(mean: float, variance: float) -> ExactProblem:
    """q = N(m, s^2) with parameters m and log s, target N(0, 1)."""
    params = {
        "mean": torch.tensor([mean], dtype=torch.float64),
        "log_scale": torch.tensor([0.5 * math.log(variance)], dtype=torch.float64),
    }
    return toys.toy(
        params,
        lambda p: DiagonalGaussian(p["mean"], p["log_scale"]),
        lambda p: lambda z: (standard_normal_log_prob(z), torch.zeros_like(z[..., 0])),
    )


def centred_squares(terms, toy: ExactProblem, draws: int = 100_000) -> torch.Tensor:
    noise = toys.draw_noise(toy, 1, seed=303, draws=draws)
    function = toys.bound(terms, "elbo", toy)
    gradients = toys.flatten(toys.gradient_draws(function, toy.params, noise), 1)
    return (gradients - gradients.mean(0)).square()


@pytest.mark.parametrize("mean", [0.0, 1.0])
@pytest.mark.parametrize("variance", [0.2, 0.5, 1.0, 2.5])
def test_variances_of_total_and_path_are_the_derived_ones(mean, variance):
    cross = mean**2 * variance
    expected = {
        "total": (variance, cross + 2 * variance**2),
        "path": (1 / variance - 2 + variance, cross + 2 * (1 - variance) ** 2),
    }
    for name, theory in expected.items():
        squares = centred_squares(toys.terms_of(name), normal_fit(mean, variance))
        error = 6 * squares.std(0) / len(squares) ** 0.5 + 1e-12
        assert ((squares.mean(0) - torch.tensor(theory)).abs() < error).all()


@pytest.mark.parametrize("variance", [0.3, 0.4, 0.6, 1.0, 3.0])
def test_path_beats_total_exactly_where_q_has_more_than_half_the_targets_variance(variance):
    toy = normal_fit(0.5, variance)
    path, total = (centred_squares(toys.terms_of(n), toy).mean(0) for n in ("path", "total"))
    assert ((path < total) == (variance > 0.5)).all()


@pytest.mark.parametrize("variance", [0.3, 0.6, 3.0])
def test_with_the_best_constant_the_mean_has_a_gradient_without_variance(variance):
    toy = normal_fit(0.5, variance)
    assert centred_squares(with_c(variance), toy, 1000).mean(0)[0] < 1e-24
    assert centred_squares(toys.terms_of("path"), toy, 1000).mean(0)[0] > 1e-2


def test_partial_is_the_path_derivative_where_the_mixture_has_one_component():
    full = toys.TOYS["mixture"]
    params = {n: p if "theta" in n else p[:, :1] for n, p in full.params.items()}
    toy = replace(full, params=params)
    noise = toys.draw_noise(toy, 5, seed=304)
    one, path = (
        torch.func.grad(toys.bound(toys.terms_of(name), "elbo", toy))(dict(params), noise)
        for name in ("partial", "path")
    )
    assert_same(toys.flatten(one), toys.flatten(path))


def test_partial_samples_components_by_their_weights():
    toy = toys.TOYS["mixture"]
    posterior, draws = toy.posterior(toy.params), 100_000
    chosen = partial._choose(posterior, toys.draw_noise(toy, draws, seed=305))
    assert (chosen.sum(-1) == 1).all()
    weights = posterior.logits.softmax(-1)
    error = (weights * (1 - weights) / draws).sqrt()
    assert ((chosen.mean(0) - weights).abs() < 6 * error).all()
