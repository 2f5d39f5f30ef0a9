"""Objectives that weigh likelihood and divergence apart keep every unbiased estimator unbiased.

beta-ELBO, hand annealing and BILBO take each of the three terms by itself: its gradient must be
that of its own expectation, not merely add up to the ELBO's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from torch import Tensor

from paper_repro.estimators.terms import Terms, with_gradient
from paper_repro.gradients.draws import unbiased
from paper_repro.objectives import beta_elbo
from paper_repro.studies.conformance.exact import exact_gradient
from tests.estimators import toys

PAIRS = [pair for pair in toys.pairs("elbo") if unbiased(pair[0], "elbo", 2)]
BETA, DRAWS, SAMPLES = 4.0, 5000, 2


@cache
def exact_parts(name: str) -> tuple[Tensor, Tensor]:
    """Exact gradients of E log p(x | z) and of the KL, from ELBOs of the likelihood's powers."""
    toy = toys.TOYS[name]

    def powered(power: float) -> Tensor:
        def log_joint(params: toys.Params) -> Callable:
            plain = toy.log_joint(params)

            def joint(z: Tensor) -> tuple[Tensor, Tensor]:
                log_likelihood, log_prior = plain(z)
                return power * log_likelihood, log_prior

            return joint

        return toys.flatten(exact_gradient(replace(toy, log_joint=log_joint)))

    likelihood = powered(2) - powered(1)
    return likelihood, likelihood - powered(1)


def bias_z(terms: Callable[..., Terms], name: str, beta: float) -> float:
    """The largest |z| of the mean gradient of the beta-ELBO against the exact one."""
    toy = toys.TOYS[name]
    noise = toys.draw_noise(toy, SAMPLES, seed=300, draws=DRAWS)

    def value(params: toys.Params, draw: toys.Params) -> Tensor:
        posterior = toy.posterior(params)
        found = terms(posterior, toy.log_joint(params), draw)
        return beta_elbo.bound(found, posterior, beta=beta).sum()

    likelihood, divergence = exact_parts(name)
    draws = toys.flatten(toys.gradient_draws(value, toy.params, noise), 1)
    return float(toys.z_scores(draws, likelihood - beta * divergence).abs().max())


@pytest.mark.parametrize(("estimator", "name"), PAIRS)
@pytest.mark.parametrize("beta", [0.0, BETA])
def test_an_unbiased_estimator_of_the_elbo_is_one_of_the_beta_elbo(estimator, name, beta):
    assert bias_z(toys.terms_of(estimator), name, beta) < toys.SIGMAS


def test_a_divergence_whose_gradient_hides_in_the_likelihood_is_noticed():
    def misplaced(*arguments: object) -> Terms:
        found = toys.terms_of("total")(*arguments)
        divergence = found.log_posterior - found.log_prior
        return Terms(
            with_gradient(found.log_likelihood, found.log_likelihood - divergence),
            found.log_prior.detach(),
            found.log_posterior.detach(),
        )

    assert bias_z(misplaced, "gaussian", 1.0) < toys.SIGMAS
    assert bias_z(misplaced, "gaussian", BETA) > 10
