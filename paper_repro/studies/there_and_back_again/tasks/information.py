"""What BILBO's rate is: eight identities of a batch's information, and its optimism (B1 to B7, T7).

BILBO is in the form of the only public implementation, the VAE of google-research/robust_loss, of
Fyffe, "There and Back Again" (arXiv 1912.10309); the identities are our derivation. With constant
posterior variance v and m2_j the batch mean of mu_j(x)^2, snr_j = m2_j / v, the rate
1/2 sum_j ln(1 + snr_j) is

    B1  the batch mean of KL(N(mu, v I) || N(0, diag(m2 + v))),
    B2  least among diagonal zero-mean priors at this one,
    B3  at least that of a prior of full covariance, 1/2 ln det(I + M / v), which is at least that
        of one about the means' mean,
    B4  unchanged if mu and the square root of v are scaled, latent by latent,
    B5  the mean KL to N(0, I) of means mu / sqrt(m2 + v) with variances 1 / (1 + snr),
    B6  on a batch of B normal means too small by about (snr / (1 + snr))^2 / (2 B) per latent,
    B7  with the closed-form Gamma, BILBO is H(q) - H(prior) - H(decoder), entropies of Gaussians.

Log densities are written out here rather than taken from the module that is checked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from scipy import integrate, stats
from torch import Generator, Tensor

from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.estimators.terms import Terms
from paper_repro.likelihoods import gaussian_closed_form
from paper_repro.objectives import bilbo
from paper_repro.rows import Row, coordinates
from paper_repro.studies.there_and_back_again.tasks.curve import LOG_2PI
from paper_repro.studies.there_and_back_again.tasks.maximise import normal

BATCH, LATENTS, PIXELS = 40, 3, 5
VARIANCE = 0.7
PRIORS = 200
DRAWS = 20000  # of z for T7, of batches for B6
OPTIMISM_BATCH, SNR = 32, 100.0
LARGE_LATENTS = 16


def mean_kl(mean: Tensor, variance: Tensor, prior: Tensor) -> Tensor:
    """Batch mean of KL(N(mean, diag(variance)) || N(0, diag(prior))); prior [..., k] -> [...]."""
    ratio = (mean.square() + variance).mean(0) / prior
    return 0.5 * (ratio - 1 - (variance / prior).log()).sum(-1)


def optimism(batch: int, snr: float) -> float:
    """1/2 ln(1 + snr) - E 1/2 ln(1 + snr chi2_B / B), nats per latent, by integration."""

    def integrand(q: float) -> float:
        return math.log1p(snr * q / batch) * float(stats.chi2.pdf(q, batch))

    value, _ = integrate.quad(integrand, 0, 12 * batch, points=[batch], epsabs=1e-13, limit=200)
    return 0.5 * (math.log1p(snr) - float(value))


def limit_of_optimism(batch: int) -> float:
    """Of `optimism` as snr grows: 1/2 (ln(B/2) - digamma(B/2))."""
    half = torch.tensor(batch / 2, dtype=torch.float64)
    return 0.5 * float(half.log() - torch.digamma(half))


def rows(generator: Generator) -> Iterator[Row]:
    """All identities on one random batch, its means correlated and not about zero."""
    mix = normal(generator, LATENTS, LATENTS)
    mean = normal(generator, BATCH, LATENTS) @ mix + normal(generator, LATENTS)
    variance = torch.full_like(mean, VARIANCE)
    second = mean.square().mean(0)
    information = bilbo.batch_information(mean, variance)

    def row(metric: str, value: Tensor | float, **at: object) -> Row:
        return Row(metric, float(value), "nats", at=coordinates(**at))

    fitted = (2 * bilbo.fitted_prior(mean, variance)).exp()
    exact = mean_kl(mean, variance[0], second + VARIANCE)
    yield row("information_error", (information - exact).abs(), identity="B1")
    others = fitted * (0.5 * normal(generator, PRIORS, LATENTS)).exp()
    yield row("least_excess_of_priors", (mean_kl(mean, variance[0], others) - information).min())
    unit = torch.eye(LATENTS, dtype=torch.float64)
    full = 0.5 * torch.logdet(unit + mean.T @ mean / BATCH / VARIANCE)
    centred = 0.5 * torch.logdet(unit + torch.cov(mean.T, correction=0) / VARIANCE)
    yield row("information_excess", information - full, over="full")
    yield row("information_excess", full - centred, over="centred")
    scale = (3 * normal(generator, LATENTS)).exp()
    scaled = bilbo.batch_information(scale * mean, scale.square() * variance)
    yield row("information_error", (scaled - information).abs(), identity="B4")
    standard = mean_kl(mean / fitted.sqrt(), 1 / (1 + second / VARIANCE), torch.ones_like(second))
    yield row("information_error", (standard - information).abs(), identity="B5")
    yield from entropies(generator, mean, variance)
    yield from sampled(generator, mean, variance)
    yield from optimistic(generator)


def entropies(generator: Generator, mean: Tensor, variance: Tensor) -> Iterator[Row]:
    """B7, for random reconstructions of random data, one gamma for all values."""
    x = normal(generator, BATCH, PIXELS)
    output = x + 0.3 * normal(generator, 4, BATCH, PIXELS)
    log_likelihood = gaussian_closed_form.log_likelihood(x, output)
    zero = torch.zeros_like(log_likelihood)
    q = DiagonalGaussian(mean, 0.5 * variance.log())
    found = bilbo.bound(Terms(log_likelihood, zero, zero), q).mean()

    def entropy(variance: Tensor) -> Tensor:
        return 0.5 * (1 + LOG_2PI + variance.log()).sum()

    gamma = (x - output).square().mean().expand(PIXELS)
    three = entropy(variance[0]) - entropy(mean.square().mean(0) + VARIANCE) - entropy(gamma)
    yield Row("information_error", float((found - three).abs()), "nats",
              at=coordinates(identity="B7"))  # fmt: skip


def sampled(generator: Generator, mean: Tensor, variance: Tensor) -> Iterator[Row]:
    """T7: mean sampled ELBO under the fitted prior less BILBO on other draws of z, in nats, and
    its standard error; the decoder is a sine."""
    prior = mean.square().mean(0) + VARIANCE

    def draw() -> tuple[Tensor, Tensor]:
        noise = normal(generator, DRAWS, BATCH, LATENTS)
        z = mean + variance.sqrt() * noise
        return z, -0.5 * (z.sin() - 0.5).square().sum(-1)

    z, log_likelihood = draw()
    log_prior = -0.5 * (z.square() / prior + prior.log()).sum(-1)
    log_q = -0.5 * ((z - mean).square() / variance + variance.log()).sum(-1)
    own = (log_likelihood + log_prior - log_q).mean(-1)
    _, other_likelihood = draw()
    zero = torch.zeros_like(other_likelihood)
    q = DiagonalGaussian(mean, 0.5 * variance.log())
    other = bilbo.bound(Terms(other_likelihood, zero, zero), q).mean()
    error = ((own.var() + other_likelihood.mean(-1).var()) / DRAWS).sqrt()
    yield Row("sampled_elbo_difference", float(own.mean() - other), "nats")
    yield Row("sampled_elbo_difference_se", float(error), "nats")


def optimistic(generator: Generator) -> Iterator[Row]:
    """B6: the integral, its first order, what batches give, and 16 latents at worst."""
    at = coordinates(batch=OPTIMISM_BATCH, snr=SNR)
    exact = optimism(OPTIMISM_BATCH, SNR)
    yield Row("optimism", exact, "nats", at=at)
    first = (SNR / (1 + SNR)) ** 2 / (2 * OPTIMISM_BATCH)
    yield Row("optimism_first_order", first, "nats", at=at)
    means = math.sqrt(SNR) * normal(generator, DRAWS, OPTIMISM_BATCH, 1)
    each = torch.vmap(bilbo.batch_information)(means, torch.ones_like(means))
    yield Row("optimism_sampled", 0.5 * math.log1p(SNR) - float(each.mean()), "nats", at=at)
    yield Row("optimism_sampled_se", float(each.std()) / DRAWS**0.5, "nats", at=at)
    worst = LARGE_LATENTS * limit_of_optimism(OPTIMISM_BATCH)
    at = coordinates(batch=OPTIMISM_BATCH, latents=LARGE_LATENTS)
    yield Row("optimism_at_worst", worst, "nats", at=at)
