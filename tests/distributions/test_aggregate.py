"""Moments of the aggregate posterior and the Gaussian priors that they settle."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from paper_repro.distributions import aggregate
from paper_repro.distributions.aggregate import Aggregate, NormalPrior
from paper_repro.distributions.gaussian import DiagonalGaussian

IMAGES, LATENTS = 101, 4


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


Q = DiagonalGaussian(3 * draw(0, IMAGES, LATENTS) + 1, 0.3 * draw(1, IMAGES, LATENTS))
COVARIANCE = draw(2, LATENTS, LATENTS) @ draw(2, LATENTS, LATENTS).T + torch.eye(LATENTS)
PRIORS = {
    "standard": aggregate.standard(torch.zeros(LATENTS, dtype=torch.float64)),
    "diagonal": aggregate.diagonal(draw(3, LATENTS), draw(4, LATENTS).exp()),
    "full": aggregate.full(draw(5, LATENTS), COVARIANCE),
}
EVERY = pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)


def parts(size: int, whole: DiagonalGaussian = Q) -> list[DiagonalGaussian]:
    pairs = zip(whole.mean.split(size), whole.log_scale.split(size), strict=True)
    return [DiagonalGaussian(*pair) for pair in pairs]


@pytest.mark.parametrize("size", [1, 7, 100])
def test_moments_do_not_depend_on_the_size_of_the_parts(size: int) -> None:
    together, apart = aggregate.aggregate(Q), aggregate.aggregate(*parts(size))
    assert apart.count == together.count == IMAGES
    for name in ("mean", "second", "variance", "log_variance"):
        torch.testing.assert_close(
            getattr(apart, name), getattr(together, name), rtol=1e-13, atol=1e-13
        )


def test_moments_are_sums_in_float64_whatever_the_codes_are_in() -> None:
    """In float32 a second moment about zero of codes far from it would lose the variance."""
    mean = 1000 + draw(6, 5000, 1)
    codes = DiagonalGaussian(mean.float(), torch.zeros(5000, 1))
    found = aggregate.aggregate(*parts(64, codes))
    assert found.second.dtype == torch.float64
    exact = mean.float().double()
    torch.testing.assert_close(
        found.second[0, 0] - found.mean[0] ** 2, exact.var(unbiased=False), rtol=1e-8, atol=0
    )


def density(prior: NormalPrior) -> MultivariateNormal:
    factor = torch.linalg.inv(prior.whiten)
    return MultivariateNormal(prior.mean, factor @ factor.T)


@EVERY
def test_density_and_divergence_are_those_of_torch(prior: NormalPrior) -> None:
    z = draw(7, 6, IMAGES, LATENTS)
    torch.testing.assert_close(prior.log_prob(z), density(prior).log_prob(z), rtol=1e-11, atol=0)
    posterior = MultivariateNormal(Q.mean, torch.diag_embed((2 * Q.log_scale).exp()))
    exact = torch.distributions.kl_divergence(posterior, density(prior))
    torch.testing.assert_close(prior.kl(Q), exact, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(
        prior.mean_kl(aggregate.aggregate(Q)), exact.mean(), rtol=1e-11, atol=0
    )


@EVERY
def test_samples_have_mean_and_covariance_of_the_prior(prior: NormalPrior) -> None:
    """Of noise with moments 0 and I exactly."""
    noise = draw(8, 500, LATENTS)
    noise = noise - noise.mean(0)
    noise = noise @ torch.linalg.inv(torch.linalg.cholesky(noise.T @ noise / 500)).T
    z = prior.sample(noise)
    torch.testing.assert_close(z.mean(0), prior.mean, rtol=0, atol=1e-11)
    torch.testing.assert_close(
        torch.cov(z.T, correction=0), density(prior).covariance_matrix, rtol=1e-9, atol=1e-11
    )


def worse(
    codes: Aggregate, best: NormalPrior, other: Callable[[Tensor, Tensor], NormalPrior]
) -> bool:
    mean, variance = best.mean, best.whiten.diagonal().square().reciprocal()
    return bool(other(mean, variance).mean_kl(codes) > best.mean_kl(codes))


def test_the_best_diagonal_prior_is_the_best_one() -> None:
    codes = aggregate.aggregate(Q)
    best = aggregate.best_diagonal(codes)
    for j in range(LATENTS):
        unit = torch.eye(LATENTS, dtype=torch.float64)[j]
        for sign in (-1, 1):
            assert worse(
                codes, best, lambda m, v, s=0.01 * sign * unit: aggregate.diagonal(m + s, v)
            )
            assert worse(
                codes, best, lambda m, v, s=sign * unit: aggregate.diagonal(m, v + 0.01 * s)
            )
