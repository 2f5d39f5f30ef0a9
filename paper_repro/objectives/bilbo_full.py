"""BILBO with all second moments: the fitted prior has covariances (a variant).

Fyffe, "There and Back Again" (arXiv 1912.10309), in its public implementation keeps the diagonal
(`bilbo`); this is the variant with M = mean mu mu^T, about zero: the rate is 1/2 ln det(I + M / v),
the batch average of the KL to N(0, M + v I), and never above that of `bilbo`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from paper_repro.distributions import aggregate
from paper_repro.distributions.aggregate import Aggregate, NormalPrior
from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.estimators.terms import Terms, require_kind

SUPPORTS = ("gaussian",)
LIKE = "elbo"
PROTOCOLS = ("frozen",)


def bound(terms: Terms, posterior: DiagonalGaussian) -> Tensor:
    """Mean over K of log p(x | z), less the full information: [K, *batch] -> [*batch]."""
    require_kind("bilbo_full", SUPPORTS, posterior)
    variance = (2 * posterior.log_scale).exp()
    return terms.log_likelihood.mean(0) - batch_information(posterior.mean, variance)


def batch_information(mean: Tensor, variance: Tensor) -> Tensor:
    """1/2 [ln det(M + E diag(v)) - E sum_j ln v_j] in nats per example: [B, D] twice -> []."""
    if mean.ndim != 2 or variance.shape != mean.shape:
        shapes = [list(mean.shape), list(variance.shape)]
        raise ValueError(f"mean, variance: shapes {shapes}, expected [B, D] twice")
    codes, spread = mean.double(), variance.double()  # moments reach 10^4 times v
    second = codes.T @ codes / len(codes) + spread.mean(0).diag()
    factor = aggregate.cholesky(second)
    information = factor.diagonal().log().sum() - 0.5 * spread.log().mean(0).sum()
    return information.to(mean.dtype)


def prior(codes: Aggregate) -> NormalPrior:
    """N(0, M + E diag(v)) of a whole set's moments."""
    covariance = codes.second + codes.variance.diag()
    return aggregate.full(torch.zeros_like(codes.variance), covariance)
