"""Conformance: every estimator on every latent it supports, against exact gradients.

Which pairs there are is read from the estimators' own literals, so a new file is tested without an
entry here. Mistakes made on purpose go through the same check in tests/wrong_on_purpose.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from paper_repro import registry
from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.gradients.draws import unbiased
from paper_repro.studies.conformance.exact import computable, exact_gradient
from paper_repro.studies.conformance.measure import FAMILIES
from paper_repro.studies.conformance.problems import PROBLEMS, VARIANCE, problem
from tests.estimators import toys
from tests.estimators.toys import SIGMAS, bias_z, min_samples, terms_of


def conformance_cases(promise: bool) -> list[tuple[str, str, str, int]]:
    """(estimator, problem, family, K): the ELBO with the fewest samples allowed, the IWAE bound
    with one (where it is the ELBO) and with two."""
    return [
        (name, toy, family, k)
        for family in FAMILIES
        for name, toy in toys.pairs(family)
        for k in ({min_samples(name)} if family == "elbo" else {max(1, min_samples(name)), 2})
        if unbiased(name, family, k) == promise
    ]


@pytest.mark.parametrize(("name", "toy", "family", "k"), conformance_cases(promise=True))
def test_mean_gradient_is_the_exact_gradient(name, toy, family, k):
    if computable(PROBLEMS[toy], family, k):
        assert bias_z(terms_of(name), toy, family, k) < SIGMAS
    elif name != "total":  # `total` differentiates the bound itself: unbiased by construction
        assert bias_z(terms_of(name), toy, family, k, reference=terms_of("total")) < SIGMAS


@pytest.mark.parametrize(("name", "toy", "family", "k"), conformance_cases(promise=False))
def test_an_estimator_that_promises_no_unbiasedness_has_none(name, toy, family, k):
    """Where this fails the estimator is better than it says: add the family to its UNBIASED."""
    reference = None if computable(PROBLEMS[toy], family, k) else terms_of("total")
    assert bias_z(terms_of(name), toy, family, k, reference) > SIGMAS


def test_every_estimator_of_these_families_is_walked_through_every_latent_it_supports():
    walked = {
        (name, PROBLEMS[toy])
        for promise in (True, False)
        for name, toy, *_ in conformance_cases(promise)
    }
    for name in registry.names("estimators"):
        if set(registry.constant("estimators", name, "OBJECTIVES")) & set(FAMILIES):
            for kind in registry.constant("estimators", name, "SUPPORTS"):
                assert (name, kind) in walked or kind == "convdraw", (name, kind)


RELAXED = [
    (name, toy)
    for name, toy in toys.pairs("elbo")
    if "temperature" in (registry.constant("estimators", name, "OPTIONS") or {})
]


def relative_bias_and_variance(terms, toy: str, draws: int = 100_000) -> tuple[float, float]:
    target = toys.TOYS[toy]
    noise = toys.draw_noise(target, 1, seed=101, draws=draws)
    found = toys.gradient_draws(toys.bound(terms, "elbo", target), target.params, noise)
    logits, exact = found["logits"].flatten(1), exact_gradient(target)["logits"].flatten()
    return float((logits.mean(0) - exact).norm() / exact.norm()), float(logits.var(0).sum())


@pytest.mark.parametrize(("name", "toy"), [p for p in RELAXED if p[0] == "gumbel_softmax"])
def test_bias_of_gumbel_softmax_shrinks_with_the_temperature_while_its_variance_grows(name, toy):
    (warm_bias, warm), (mild_bias, mild), (cold_bias, cold) = (
        relative_bias_and_variance(terms_of(name, temperature=t), toy) for t in (2.0, 0.5, 0.1)
    )
    assert warm_bias > 1.5 * mild_bias > 1.5**2 * cold_bias
    assert cold > 2 * mild > 2**2 * warm


def test_there_are_relaxed_estimators_for_both_discrete_latents():
    assert {PROBLEMS[toy] for _, toy in RELAXED} == set(toys.DISCRETE)


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_problems_of_two_seeds_differ_and_of_one_do_not(name):
    first, same, other = (toys.flatten(problem(name, seed).params) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert (first - other).abs().min() > 0 or name == "flow"  # a flow's biases start at zero
    assert not torch.equal(first, other)


def test_quadrature_agrees_with_the_closed_form_for_a_gaussian_and_a_linear_decoder():
    target = toys.TOYS["gaussian_linear"]
    x = target.log_joint(target.params).x

    def elbo(params) -> Tensor:
        q, weight = DiagonalGaussian(params["mean"], params["log_scale"]), params["theta_weight"]
        misfit = (x - q.mean @ weight.T - params["theta_bias"]).square()
        spread = (2 * q.log_scale).exp() @ weight.square().T
        return -0.5 * (misfit + spread).sum() / VARIANCE - q.kl_standard().sum()

    closed = torch.func.grad(elbo)(dict(target.params))
    for name, found in exact_gradient(target).items():
        torch.testing.assert_close(found, closed[name], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", [n for n, kind in PROBLEMS.items() if kind in toys.CONTINUOUS])
def test_quadrature_has_converged(name):
    fine = exact_gradient(toys.TOYS[name], nodes={2: 80, 3: 36})
    torch.testing.assert_close(toys.exact(name), toys.flatten(fine), rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["gaussian", "gaussian_linear"])
def test_quadrature_of_the_importance_weighted_bound_has_converged(name):
    fine = exact_gradient(toys.TOYS[name], "iwae", 2, nodes={4: 26})
    torch.testing.assert_close(toys.exact(name, "iwae", 2), toys.flatten(fine), rtol=0, atol=2e-4)


@pytest.mark.parametrize("name", [n for n, kind in PROBLEMS.items() if kind in toys.DISCRETE])
def test_codes_are_all_values_of_the_latent_and_their_probabilities_the_posteriors(name):
    target = toys.TOYS[name]
    posterior = target.posterior(target.params)
    log_q = target.code_log_probs(target.params)
    torch.testing.assert_close(log_q.exp().sum(0), torch.ones(2, dtype=torch.float64))
    codes = target.codes.unsqueeze(1).expand(-1, 2, -1)
    torch.testing.assert_close(posterior.log_prob(codes), log_q, rtol=1e-12, atol=1e-12)
    assert len(target.codes.unique(dim=0)) == len(log_q) == {"bernoulli": 64}.get(target.kind, 27)


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_an_exact_gradient_that_cannot_be_had_is_refused(name):
    with pytest.raises(ValueError, match="no exact gradient of 'iwae' for k = 3"):
        exact_gradient(toys.TOYS[name], "iwae", 3)
    with pytest.raises(ValueError, match="no exact gradient of 'vimco'"):
        exact_gradient(toys.TOYS[name], "vimco", 1)
