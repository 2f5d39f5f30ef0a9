"""BILBO: the rate is a batch's information, 1/2 sum_j log(1 + m2_j / v) (Fyffe 2019).

Fyffe, "There and Back Again: Unraveling the Variational Auto-Encoder" (2019), in the form of the
only public implementation, the VAE of google-research/robust_loss. m2_j is the batch mean of
mu_j(x)^2, about zero and with its gradient; v is the constant posterior variance. The rate is the
batch average of the KL to the fitted prior N(0, diag(m2 + v)), the best zero-mean diagonal one,
and the capacity of a Gaussian channel. A batch objective: it is no sum over examples.

Variances that differ between examples (outside the paper) are served too: `batch_information` is
the average KL to the fitted prior for any Gaussian posterior, whose moments are E[mu^2 + sigma^2].
`bilbo_centred` and `bilbo_full` fit the prior's mean, or its covariances, as well.
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
FITS_PRIOR = True


def bound(terms: Terms, posterior: DiagonalGaussian) -> Tensor:
    """Mean over K of log p(x | z), less the batch's information, in nats: [K, *batch] -> [*batch].

    Log prior and log posterior of the terms are not used: the information is exact.
    """
    require_kind("bilbo", SUPPORTS, posterior)
    variance = (2 * posterior.log_scale).exp()
    return terms.log_likelihood.mean(0) - batch_information(posterior.mean, variance)


def batch_information(mean: Tensor, variance: Tensor) -> Tensor:
    """1/2 sum_j [log(m2_j + E v_j) - E log v_j] in nats per example: [*batch, D] twice -> [].

    Optimistic on a batch of B by about (snr / (1 + snr))^2 / (2 B) nats per latent, snr = m2 / v:
    evaluate with the moments of the whole training set. ValueError unless the shapes are equal and
    have a batch axis.
    """
    second, average = _moments(mean, variance)
    spread = variance.log().flatten(0, -2).mean(0)
    return 0.5 * ((second + average).log() - spread).sum()


def prior(codes: Aggregate) -> NormalPrior:
    """N(0, diag(m2 + E v)) of a whole set's moments."""
    second = codes.second.diagonal() + codes.variance
    return aggregate.diagonal(torch.zeros_like(second), second)


def fitted_prior(mean: Tensor, variance: Tensor) -> Tensor:
    """log_scale [D] of N(0, diag(m2 + E v)), of which generated samples are drawn."""
    second, average = _moments(mean, variance)
    return 0.5 * (second + average).log()


def rate(posterior: DiagonalGaussian, log_scale: Tensor) -> Tensor:
    """KL(q || N(0, exp(log_scale)^2)) in nats, [*batch]: the rate under frozen moments.

    With the `fitted_prior` of the training set it averages to that set's `batch_information`, and
    is what a test set is evaluated with.
    """
    if log_scale.shape != posterior.mean.shape[-1:]:
        raise ValueError(
            f"log_scale: shape {list(log_scale.shape)}, expected {list(posterior.mean.shape[-1:])}"
        )
    scaled = DiagonalGaussian(posterior.mean * (-log_scale).exp(), posterior.log_scale - log_scale)
    return scaled.kl_standard()


def _moments(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Batch means [D] of mean^2 and variance."""
    if mean.ndim < 2:
        raise ValueError(f"mean: shape {list(mean.shape)} has no batch axis to average over")
    if variance.shape != mean.shape:
        raise ValueError(
            f"variance: shape {list(variance.shape)} differs from mean's {list(mean.shape)}"
        )
    return mean.square().flatten(0, -2).mean(0), variance.flatten(0, -2).mean(0)
