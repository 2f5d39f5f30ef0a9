"""Mistakes in objectives that look right, and the oracles that tell."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from paper_repro.estimators.terms import Terms
from paper_repro.likelihoods import gaussian, gaussian_gamma
from paper_repro.objectives import (
    beta_elbo,
    bilbo,
    bilbo_centred,
    bilbo_full,
    elbo,
    geco,
    iwae,
)
from tests.oracles import (
    test_beta_threshold,
    test_bilbo_evidence,
    test_iwae_evidence,
    test_ppca_ceiling,
    test_there_and_back_again,
    test_water_filling,
)
from tests.wrong_on_purpose.case import Case


def doubled_kl(terms: Terms, posterior: Any) -> Tensor:
    return (terms.log_likelihood + 2 * (terms.log_prior - terms.log_posterior)).mean(0)


def mean_over_pixels(x: Tensor, output: Tensor, params: Any, **options: float) -> Tensor:
    """Reconstruction per pixel, beside a KL that is summed."""
    return gaussian.log_likelihood(x, output, params, **options) / x.shape[-1]


def kl_of_the_wrong_sign(terms: Terms, posterior: Any) -> Tensor:
    return (terms.log_likelihood - terms.log_prior + terms.log_posterior).mean(0)


def beta_on_the_likelihood(terms: Terms, posterior: Any, *, beta: float) -> Tensor:
    return (beta * terms.log_likelihood + terms.log_prior - terms.log_posterior).mean(0)


def beta_on_the_entropy_alone(terms: Terms, posterior: Any, *, beta: float) -> Tensor:
    return (terms.log_likelihood + terms.log_prior - beta * terms.log_posterior).mean(0)


def gamma_as_standard_deviation(x: Tensor, output: Tensor, params: Any) -> Tensor:
    return gaussian_gamma.log_likelihood(x, output, {"log_gamma": 2 * params["log_gamma"]})


def mean_of_logs(terms: Terms, posterior: Any) -> Tensor:
    return (terms.log_likelihood + terms.log_prior - terms.log_posterior).mean(0)


def sum_of_weights(terms: Terms, posterior: Any) -> Tensor:
    """The log of K is forgotten."""
    return (terms.log_likelihood + terms.log_prior - terms.log_posterior).logsumexp(0)


def centred_moment(terms: Terms, posterior: Any) -> Tensor:
    variance = (2 * posterior.log_scale).exp()
    centred = posterior.mean - posterior.mean.mean(0)
    return terms.log_likelihood.mean(0) - bilbo.batch_information(centred, variance)


def detached_moment(terms: Terms, posterior: Any) -> Tensor:
    variance = (2 * posterior.log_scale).exp()
    return terms.log_likelihood.mean(0) - bilbo.batch_information(posterior.mean.detach(), variance)


def detached_full_moment(terms: Terms, posterior: Any) -> Tensor:
    variance = (2 * posterior.log_scale).exp()
    information = bilbo_full.batch_information(posterior.mean.detach(), variance)
    return terms.log_likelihood.mean(0) - information


def diagonal_of_the_moments(terms: Terms, posterior: Any) -> Tensor:
    """The full variant that forgets the covariances."""
    variance = (2 * posterior.log_scale).exp()
    return terms.log_likelihood.mean(0) - bilbo.batch_information(posterior.mean, variance)


def mean_of_batch_informations(mean: Tensor, variance: Tensor) -> Tensor:
    """Logs averaged over minibatches, as on a training curve, not the log of the set's moments."""
    parts = zip(mean.split(8), variance.split(8), strict=True)
    return torch.stack([bilbo.batch_information(*part) for part in parts]).mean()


def multiplier_of_the_wrong_sign(
    state: geco.State, violations: Tensor, scale: Tensor
) -> geco.State:
    return geco.advance(state, -violations, scale)


def multiplier_of_the_unscaled_mean(
    state: geco.State, violations: Tensor, scale: Tensor
) -> geco.State:
    """The target is subtracted twice: the constraint met is another one."""
    return geco.advance(state, violations - scale, scale)


CEILING = test_ppca_ceiling.misses_the_ceiling
SLOPE = test_beta_threshold.slope_errors

CASES = [
    Case("doubled KL", elbo.bound, doubled_kl, CEILING),
    Case("KL of the wrong sign", elbo.bound, kl_of_the_wrong_sign, CEILING),
    Case(
        "mean over pixels beside a summed KL",
        gaussian.log_likelihood,
        mean_over_pixels,
        lambda likelihood: CEILING(elbo.bound, likelihood),
    ),
    Case(
        "beta on the likelihood",
        beta_elbo.bound,
        beta_on_the_likelihood,
        lambda bound: max(SLOPE(bound)) > 1e-7,
    ),
    Case(
        "beta on the entropy alone",
        beta_elbo.bound,
        beta_on_the_entropy_alone,
        lambda bound: max(SLOPE(bound)) > 1e-7,
    ),
    Case(
        "gamma taken as a standard deviation",
        gaussian_gamma.log_likelihood,
        gamma_as_standard_deviation,
        lambda likelihood: max(SLOPE(beta_elbo.bound, likelihood)) > 1e-7,
    ),
    Case("IWAE as a mean of logs", iwae.bound, mean_of_logs, test_iwae_evidence.fails_to_tighten),
    Case(
        "IWAE without the log of K", iwae.bound, sum_of_weights, test_iwae_evidence.fails_to_tighten
    ),
    Case(
        "BILBO with centred moments",
        bilbo.bound,
        centred_moment,
        test_bilbo_evidence.misses_the_evidence,
    ),
    Case(
        "BILBO with detached moments",
        bilbo.bound,
        detached_moment,
        test_bilbo_evidence.misses_the_evidence,
    ),
    Case(
        "full BILBO with detached moments",
        bilbo_full.bound,
        detached_full_moment,
        test_there_and_back_again.misses("bilbo_full"),
    ),
    Case(
        "full BILBO without covariances",
        bilbo_full.bound,
        diagonal_of_the_moments,
        test_there_and_back_again.misses("bilbo_full"),
    ),
    Case(
        "centred BILBO about zero",
        bilbo_centred.bound,
        bilbo.bound,
        test_there_and_back_again.misses("bilbo_centred"),
    ),
    Case(
        "BILBO with logs averaged over minibatches",
        bilbo.batch_information,
        mean_of_batch_informations,
        test_there_and_back_again.is_no_divergence_of_the_whole_set,
    ),
    Case(
        "multiplier of the wrong sign",
        geco.advance,
        multiplier_of_the_wrong_sign,
        lambda advance: test_water_filling.misses_the_curve(advance=advance),
    ),
    Case(
        "constraint subtracted twice",
        geco.advance,
        multiplier_of_the_unscaled_mean,
        lambda advance: test_water_filling.misses_the_curve(advance=advance),
    ),
    Case(
        "GECO with a doubled KL",
        geco.bound,
        doubled_kl,
        lambda bound: test_water_filling.misses_the_curve(bound=bound),
    ),
]
