"""ELBO, rate, distortion and bits per dimension, from the log-densities at posterior draws.

ELBO = -(rate + distortion): Kingma and Welling (ICLR 2014), equation 3; the names rate and
distortion are those of Alemi et al., "Fixing a Broken ELBO" (ICML 2018). All are per image and
averaged over the K draws alone; average over the images to report them.
"""

from __future__ import annotations

import math
from typing import TypeVar

from torch import Tensor

from paper_repro.metrics.checks import require_finite, require_same_shape

Number = TypeVar("Number", float, Tensor)


def elbo(log_likelihood: Tensor, log_prior: Tensor, log_posterior: Tensor) -> Tensor:
    """mean_k log p(x|z_k) + log p(z_k) - log q(z_k|x), in nats/image: [K, *batch] -> [*batch]."""
    require_same_shape("log_likelihood", log_likelihood, "log_posterior", log_posterior)
    return -(rate(log_prior, log_posterior) + distortion(log_likelihood))


def rate(log_prior: Tensor, log_posterior: Tensor) -> Tensor:
    """mean_k log q(z_k|x) - log p(z_k), in nats/image: [K, *batch] -> [*batch].

    A Monte Carlo estimate of KL(q(z|x) || p(z)); where the posterior has a closed form, report
    that instead.
    """
    require_same_shape("log_prior", log_prior, "log_posterior", log_posterior)
    require_finite("log_prior", log_prior)
    require_finite("log_posterior", log_posterior)
    return (log_posterior - log_prior).mean(0)


def distortion(log_likelihood: Tensor) -> Tensor:
    """-mean_k log p(x|z_k), in nats/image: [K, *batch] -> [*batch]."""
    require_finite("log_likelihood", log_likelihood)
    return -log_likelihood.mean(0)


def bits_per_dim(bound: Number, dims: int, *, bin_width: float = 1 / 256) -> Number:
    """Bits per dimension of a log-density bound in nats/image: (-bound / dims - ln width) / ln 2.

    `dims` is the number of values of an image, channels included. A density p on pixels that
    are `bin_width` apart gives a level the probability p * width: the default is 256 levels on
    [0, 1], where it reads (-bound / dims + ln 256) / ln 2; use 2 / 256 for pixels on [-1, 1], and
    1 for a likelihood that is a probability already (Bernoulli).
    It bounds the code length of the levels where noise fills the bins (Theis, van den Oord and
    Bethge, "A note on the evaluation of generative models", ICLR 2016, section 3.1).
    """
    if dims < 1:
        raise ValueError(f"dims: {dims} is not a number of pixels")
    if not 0 < bin_width < math.inf:
        raise ValueError(f"bin_width: {bin_width} is not positive")
    if isinstance(bound, Tensor):
        require_finite("bound", bound)
    elif not math.isfinite(bound):
        raise ValueError(f"bound: {bound} is not finite")
    return (-bound / dims - math.log(bin_width)) / math.log(2)
