"""The IWAE bound climbs to the exact linear-Gaussian evidence as 1 / K.

Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders" (ICLR 2016), theorem 1; the rate
is Var(w / p(x)) / (2 K), see Rainforth et al., "Tighter Variational Bounds are Not Necessarily
Better" (ICML 2018).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from paper_repro.distributions.gaussian import DiagonalGaussian, standard_normal_log_prob
from paper_repro.estimators import total
from paper_repro.estimators.terms import Terms
from paper_repro.likelihoods import gaussian
from paper_repro.objectives import iwae

VARIANCE = 0.5
DECODER = torch.tensor([[1.0, 0.2], [-0.4, 0.8], [0.3, 0.5]], dtype=torch.float64)
X = torch.tensor([[0.8, -0.3, 0.5]], dtype=torch.float64)

MODEL = DECODER @ DECODER.T + VARIANCE * torch.eye(3, dtype=torch.float64)
EVIDENCE = float(
    -0.5 * (X @ torch.linalg.solve(MODEL, X.T)).squeeze() - 0.5 * torch.logdet(2 * math.pi * MODEL)
)
PRECISION = torch.eye(2, dtype=torch.float64) + DECODER.T @ DECODER / VARIANCE
POSTERIOR_MEAN = torch.linalg.solve(PRECISION, DECODER.T @ X[0]) / VARIANCE


def terms(mean: Tensor, log_scale: Tensor, samples: int, draws: int, seed: int) -> Terms:
    """Terms [K, draws] of one observation, repeated."""
    q = DiagonalGaussian(mean.expand(draws, 2), log_scale.expand(draws, 2))
    x = X.expand(draws, 3)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(samples, draws, 2, generator=generator, dtype=torch.float64)

    def log_joint(z: Tensor) -> tuple[Tensor, Tensor]:
        likelihood = gaussian.log_likelihood(x, z @ DECODER.T, variance=VARIANCE)
        return likelihood, standard_normal_log_prob(z)

    return total.terms(q, log_joint, {"z": noise})


def wide() -> tuple[Tensor, Tensor]:
    """A posterior that is off, and wide enough for weights of finite variance."""
    return POSTERIOR_MEAN + 0.3, torch.full((2,), -0.25, dtype=torch.float64)


def weight_variance() -> float:
    """Var_q(w / p(x)) in closed form: E_q (p(z|x) / q(z))^2 - 1 for two Gaussians."""
    mean, log_scale = wide()
    q_precision = torch.diag((-2 * log_scale).exp())
    combined = 2 * PRECISION - q_precision  # of p^2 / q
    shift = 2 * PRECISION @ POSTERIOR_MEAN - q_precision @ mean
    exponent = 0.5 * shift @ torch.linalg.solve(combined, shift)
    exponent -= POSTERIOR_MEAN @ PRECISION @ POSTERIOR_MEAN - 0.5 * mean @ q_precision @ mean
    determinants = torch.logdet(PRECISION) - 0.5 * torch.logdet(combined @ q_precision)
    return float((exponent + determinants).exp()) - 1


def gaps(bound: Callable[..., Tensor], samples: int, draws: int) -> tuple[float, float]:
    """Mean of log p(x) - bound over `draws`, and its standard error.

    The mean weight over p(x), whose expectation is one, serves as a control variate.
    """
    t = terms(*wide(), samples, draws, seed=samples)
    ratio = (t.log_likelihood + t.log_prior - t.log_posterior - EVIDENCE).exp().mean(0)
    gap = EVIDENCE - bound(t, None) + (ratio - 1)
    return float(gap.mean()), float(gap.std()) / draws**0.5


def fails_to_tighten(bound: Callable[..., Tensor]) -> bool:
    """True unless the gap is positive, shrinks with K, and ends as Var / (2 K), by 6 sigma."""
    found = {samples: gaps(bound, samples, 200_000 // samples) for samples in (1, 4, 16, 100)}
    values = list(found.values())
    falls = all(
        first - second > 6 * math.hypot(e1, e2)
        for (first, e1), (second, e2) in itertools.pairwise(values)
    )
    last, error = values[-1]
    predicted = weight_variance() / 200
    return not (falls and last > 6 * error and abs(last - predicted) < 6 * error + 0.05 * predicted)


def test_the_bound_rises_with_k_stays_below_the_evidence_and_closes_the_gap_as_one_over_k():
    assert not fails_to_tighten(iwae.bound)


def test_the_bound_is_the_evidence_for_every_draw_when_q_is_the_posterior():
    rotation = torch.linalg.eigh(PRECISION)[1]  # in this basis the posterior is diagonal
    covariance = rotation.T @ torch.linalg.inv(PRECISION) @ rotation
    q = DiagonalGaussian(
        (POSTERIOR_MEAN @ rotation).expand(50, 2), covariance.diagonal().log().div(2).expand(50, 2)
    )
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(5, 50, 2, generator=generator, dtype=torch.float64)

    def log_joint(z: Tensor) -> tuple[Tensor, Tensor]:
        output = z @ (DECODER @ rotation).T
        likelihood = gaussian.log_likelihood(X.expand(50, 3), output, variance=VARIANCE)
        return likelihood, standard_normal_log_prob(z)

    bound = iwae.bound(total.terms(q, log_joint, {"z": noise}), q)
    torch.testing.assert_close(bound, torch.full_like(bound, EVIDENCE), rtol=1e-9, atol=0)
