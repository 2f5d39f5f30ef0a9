"""BILBO of the linear VAE with unit posterior variance is the pPCA log evidence.

Fyffe, "There and Back Again" (2019): the information of a batch is the KL to the prior that fits
it best. The identities of the second half hold for any batch of means.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy import integrate, special, stats
from torch import Tensor

from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.estimators.terms import Terms
from paper_repro.objectives import bilbo
from tests.oracles import linear_vae
from tests.oracles.linear_vae import Params

SPECTRUM = torch.tensor([3.0, 1.4, 0.6, 0.25, 0.1, 0.02], dtype=torch.float64)
LATENTS, VARIANCE = 4, 0.3  # the fourth latent has nothing to carry
X = linear_vae.data(SPECTRUM)
CEILING = linear_vae.ppca_log_evidence(SPECTRUM, LATENTS, VARIANCE)


def unit_variance(params: Params) -> Params:
    """The same model with latents rescaled so that the posterior variance is one."""
    scale = params["log_scale"].exp()
    return params | {
        "decoder": params["decoder"] * scale,
        "encoder": params["encoder"] / scale[:, None],
        "offset": params["offset"] / scale,
        "log_scale": torch.zeros_like(scale),
    }


def random_means(seed: int, batch: int = 40, latents: int = 3) -> Tensor:
    """Correlated, and not about zero."""
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(batch, latents, generator=generator, dtype=torch.float64)
    mix = torch.randn(latents, latents, generator=generator, dtype=torch.float64)
    return draw @ mix + torch.arange(latents)


def misses_the_evidence(bound: Callable[..., Tensor]) -> bool:
    """True unless `bound` is the pPCA evidence at pPCA's solution, stationary there, and its rate
    the mean KL to the fitted prior for means that are not about zero."""

    def value(params: Params) -> Tensor:
        return linear_vae.objective(bound, params, X, variance=VARIANCE)

    solution = unit_variance(linear_vae.optimum(SPECTRUM, LATENTS, VARIANCE))
    means = random_means(0)
    q = DiagonalGaussian(means, torch.full_like(means, -0.4))
    nothing = torch.zeros(1, len(means), dtype=torch.float64)
    rate = -bound(Terms(nothing, nothing, nothing), q).mean()
    moment = means.square().mean(0) + math.exp(-0.8)
    return (
        abs(float(value(solution)) - CEILING) > 1e-9
        or linear_vae.steepest(value, solution) > 1e-9
        or abs(float(rate - mean_kl(q, moment))) > 1e-9
    )


def mean_kl(q: DiagonalGaussian, prior_variance: Tensor) -> Tensor:
    """Batch mean of KL(q || N(0, diag(prior_variance))), written out."""
    variance = (2 * q.log_scale).exp()
    ratio = (q.mean.square() + variance) / prior_variance
    return 0.5 * (ratio - 1 - (variance / prior_variance).log()).sum(-1).mean()


def test_bilbo_at_the_ppca_solution_is_the_log_evidence_and_stationary():
    assert not misses_the_evidence(bilbo.bound)


def test_training_by_bilbo_reaches_the_log_evidence_and_never_passes_it():
    def value(params: Params) -> Tensor:
        fixed = {"log_scale": torch.zeros(LATENTS, dtype=torch.float64)}
        return linear_vae.objective(bilbo.bound, params | fixed, X, variance=VARIANCE)

    start = linear_vae.random_params(6, LATENTS, 3)
    start.pop("log_scale")
    trained = linear_vae.maximise(value, start)
    assert -1e-6 < float(value(trained)) - CEILING < 1e-9


def test_the_information_is_the_mean_kl_to_the_best_zero_mean_diagonal_prior():
    means = random_means(1)
    q = DiagonalGaussian(means, torch.full_like(means, 0.2))
    variance = (2 * q.log_scale).exp()
    information = bilbo.batch_information(means, variance)
    fitted = (2 * bilbo.fitted_prior(means, variance)).exp()
    torch.testing.assert_close(information, mean_kl(q, fitted), rtol=1e-12, atol=0)
    snr = means.square().mean(0) / variance[0]
    torch.testing.assert_close(information, 0.5 * snr.log1p().sum(), rtol=1e-12, atol=0)
    for factor in (0.9, 1.1):
        assert mean_kl(q, factor * fitted) > information
    torch.testing.assert_close(
        bilbo.rate(q, bilbo.fitted_prior(means, variance)).mean(), information, rtol=1e-12, atol=0
    )


def test_with_variances_that_differ_it_is_still_the_mean_kl_to_the_best_prior():
    means = random_means(2)
    q = DiagonalGaussian(means, 0.3 * random_means(3))
    variance = (2 * q.log_scale).exp()
    fitted = (2 * bilbo.fitted_prior(means, variance)).exp()
    information = bilbo.batch_information(means, variance)
    torch.testing.assert_close(information, mean_kl(q, fitted), rtol=1e-12, atol=0)


def test_full_covariance_lowers_the_information_and_centring_lowers_it_further():
    means = random_means(4)
    diagonal = bilbo.batch_information(means, torch.ones_like(means))
    identity = torch.eye(3, dtype=torch.float64)
    moment = means.T @ means / len(means)
    full = 0.5 * torch.logdet(identity + moment)
    centred = 0.5 * torch.logdet(identity + torch.cov(means.T, correction=0))
    assert centred < full < diagonal
    # in a basis without correlations the diagonal form loses nothing
    rotated = means @ torch.linalg.eigh(moment)[1]
    torch.testing.assert_close(
        bilbo.batch_information(rotated, torch.ones_like(means)), full, rtol=1e-12, atol=0
    )


def test_the_information_depends_on_the_ratio_of_mean_and_scale_alone():
    means, unit = random_means(5), torch.ones(40, 3, dtype=torch.float64)
    scale = torch.tensor([0.1, 1.0, 7.0], dtype=torch.float64)
    torch.testing.assert_close(
        bilbo.batch_information(scale * means, scale.square() * unit),
        bilbo.batch_information(means, unit),
        rtol=1e-12,
        atol=0,
    )
    # so the prior may be N(0, I) and the posterior variance 1 / (1 + snr)
    snr = means.square().mean(0)
    standard = DiagonalGaussian(means / (1 + snr).sqrt(), (-0.5 * snr.log1p()).expand_as(means))
    torch.testing.assert_close(
        standard.kl_standard().mean(), bilbo.batch_information(means, unit), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize(("batch", "snr"), [(32, 100.0), (256, 4.0), (32, 1e9)])
def test_moments_of_a_small_batch_are_optimistic_by_about_one_half_over_its_size(batch, snr):
    def at(chi2: float) -> float:  # a batch whose second moment is snr chi2 / batch
        mean = torch.full((1, 1), math.sqrt(snr * chi2 / batch), dtype=torch.float64)
        return float(bilbo.batch_information(mean, torch.ones_like(mean)))

    density = stats.chi2(batch)
    low, high = density.ppf([1e-12, 1 - 1e-12])
    expected, _ = integrate.quad(lambda u: density.pdf(u) * at(u), low, high, epsabs=1e-8)
    optimism = 0.5 * math.log1p(snr) - expected
    assert optimism == pytest.approx((snr / (1 + snr)) ** 2 / (2 * batch), rel=0.06)
    if snr > 1e6:  # E log of a chi-square
        exact = 0.5 * (math.log(batch / 2) - special.digamma(batch / 2))
        assert optimism == pytest.approx(exact, rel=1e-5)
