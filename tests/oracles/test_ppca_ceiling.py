"""With a linear decoder of fixed variance no ELBO passes the pPCA log evidence, and it is attained.

Tipping and Bishop, "Probabilistic Principal Component Analysis" (1999): the largest mean log p(x).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from paper_repro.distributions.bernoulli import Bernoulli
from paper_repro.distributions.gaussian import normal_log_prob
from paper_repro.estimators import exact_kl, total
from paper_repro.estimators.terms import Terms
from paper_repro.likelihoods import gaussian
from paper_repro.objectives import elbo
from tests.oracles import linear_vae
from tests.oracles.linear_vae import Params

SPECTRUM = torch.tensor([3.0, 1.4, 0.6, 0.25, 0.1, 0.02], dtype=torch.float64)
LATENTS, VARIANCE = 3, 0.3
X = linear_vae.data(SPECTRUM)
CEILING = linear_vae.ppca_log_evidence(SPECTRUM, LATENTS, VARIANCE)


def misses_the_ceiling(
    bound: Callable[..., Tensor], likelihood: Callable[..., Tensor] = gaussian.log_likelihood
) -> bool:
    """True unless the bound is L* at pPCA's solution, stationary there, and nowhere higher."""

    def value(params: Params) -> Tensor:
        return linear_vae.objective(bound, params, X, likelihood=likelihood, variance=VARIANCE)

    solution = linear_vae.optimum(SPECTRUM, LATENTS, VARIANCE)
    elsewhere = [linear_vae.random_params(6, LATENTS, seed) for seed in range(20)]
    near = [{n: p + 0.05 * move[n] for n, p in solution.items()} for move in elsewhere]
    return (
        abs(float(value(solution)) - CEILING) > 1e-9
        or linear_vae.steepest(value, solution) > 1e-9
        or max(float(value(params)) for params in elsewhere + near) >= CEILING
    )


def test_the_elbo_is_the_ceiling_at_the_ppca_solution_and_lower_everywhere_else():
    assert not misses_the_ceiling(elbo.bound)


@pytest.mark.parametrize("estimator", [total.terms, exact_kl.terms])
def test_a_trained_linear_vae_attains_the_ceiling_and_the_principal_subspace(estimator):
    def value(params: Params) -> Tensor:
        return linear_vae.objective(elbo.bound, params, X, estimator=estimator, variance=VARIANCE)

    trained = linear_vae.maximise(value, linear_vae.random_params(6, LATENTS, 0, scale=0.3))
    assert -1e-7 < float(value(trained)) - CEILING < 1e-9
    covariance = trained["decoder"] @ trained["decoder"].T
    exact = linear_vae.optimum(SPECTRUM, LATENTS, VARIANCE)["decoder"]
    torch.testing.assert_close(covariance, exact @ exact.T, rtol=0, atol=1e-3)


def test_a_latent_is_used_only_if_its_eigenvalue_exceeds_the_variance():
    for latents, active in ((2, 2), (3, 3), (4, 3), (6, 3)):
        decoder = linear_vae.optimum(SPECTRUM, latents, VARIANCE)["decoder"]
        assert int((decoder.norm(dim=0) > 0).sum()) == active
    ceilings = [linear_vae.ppca_log_evidence(SPECTRUM, d, VARIANCE) for d in range(7)]
    assert ceilings[0] < ceilings[1] < ceilings[2] < ceilings[3] == ceilings[4] == ceilings[6]


def binary_elbo(x: Tensor, logits: Tensor, decoder: Tensor, centre: Tensor) -> Tensor:
    """The exact mean ELBO with d codes in {-1, +1}, q factorised, fair coins as the prior."""
    latents = decoder.shape[1]
    codes = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * latents)
    codes = codes.reshape(-1, 1, latents).expand(-1, len(x), latents)
    q = Bernoulli(logits, signed=True)
    log_q, log_prior = q.log_prob(codes), q.log_prior(codes)
    likelihood = gaussian.log_likelihood(x, codes @ decoder.T + centre, variance=VARIANCE)
    weight = len(codes) * log_q.exp()  # so that a mean over all codes is the expectation
    terms = Terms(*(weight * term for term in (likelihood, log_prior, log_q)))
    return elbo.bound(terms, q).mean()


def test_binary_codes_stay_below_the_gaussian_ceiling_on_gaussian_data():
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(400, 6, generator=generator, dtype=torch.float64)
    x = noise * SPECTRUM.sqrt()
    eigenvalues = torch.linalg.eigvalsh(torch.cov(x.T, correction=0))
    ceiling = linear_vae.ppca_log_evidence(eigenvalues, LATENTS, VARIANCE)
    start = {
        "logits": 0.5 * x[:, :LATENTS],
        "decoder": torch.eye(6, dtype=torch.float64)[:, :LATENTS],
        "centre": x.mean(0),
    }
    trained = linear_vae.maximise(lambda p: binary_elbo(x, **p), start, 100)
    value = float(binary_elbo(x, **trained))
    assert linear_vae.ppca_log_evidence(eigenvalues, 0, VARIANCE) + 1 < value < ceiling


def test_binary_codes_pass_it_on_two_clusters_for_the_ceiling_belongs_to_the_gaussian_prior():
    x = torch.tensor([[2.0], [-2.0]], dtype=torch.float64)
    exact = binary_elbo(x, 20 * x, torch.full((1, 1), 2.0, dtype=torch.float64), 0 * x[0])
    ceiling = linear_vae.ppca_log_evidence(torch.tensor([4.0]).double(), 1, VARIANCE)
    assert float(exact) > ceiling + 0.5
    # and it is the log evidence of its own model: one of two equal clusters, 4 apart
    scale = torch.tensor([VARIANCE**0.5]).double().log()
    clusters = torch.stack([normal_log_prob(x, 0 * x + c, scale.expand(1)) for c in (2.0, -2.0)])
    evidence = clusters.logsumexp(0) - math.log(2)
    torch.testing.assert_close(exact, evidence.mean(), rtol=0, atol=1e-5)
