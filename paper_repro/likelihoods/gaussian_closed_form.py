"""Gaussian likelihood whose one variance is solved per batch (Dai, Wenliang, Wipf 2021, eq. 6).

gamma* = (1/(d n)) sum_i E_q ||x_i - f(z_i)||^2 minimises the mean -log p over the batch, which is
then d/2 log(2 pi e gamma*): unbounded below as the error goes to zero. gamma* is detached: at a
minimum the derivative with respect to gamma is zero, so value and gradient of the batch mean are
those of the profile likelihood, while each image keeps an ordinary log-density of its own.

The mean is over the batch and over every axis in front of it, which is E_q where those are equally
weighted samples. A value for held-out images needs a frozen gamma, see `frozen_log_likelihood`.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from paper_repro.likelihoods import normal
from paper_repro.likelihoods.normal import linked, log_density, residual

COMPONENT = "likelihood"
OUTPUTS = 1
SOLVES_VARIANCE = True
OPTIONS = {"link": "identity"}
RULES = {"link": {"enum": ["identity", "sigmoid"]}}
PREPROCESSING = ("unit", "dequantised", "none")  # a density of real values


def variance(x: Tensor, output: Tensor, *, link: str = "identity") -> Tensor:
    """gamma* of this batch: 0-d, attached to the output."""
    return normal.mean_square(residual(x, output, link)).squeeze(0)


def log_likelihood(
    x: Tensor,
    output: Tensor,
    params: Mapping[str, Tensor] | None = None,
    *,
    link: str = "identity",
) -> Tensor:
    """log p(x|z) at this batch's gamma*, summed over pixels, in nats/image.

    x: [B, D]; output: [..., B, D]; it has no params. Returns [..., B]. ValueError if shapes do not
    agree.
    """
    gamma = variance(x, output, link=link).detach()
    return log_density(residual(x, output, link), -gamma.log())


def frozen_log_likelihood(
    x: Tensor, output: Tensor, variance: Tensor, *, link: str = "identity"
) -> Tensor:
    """log p(x|z) at a given 0-d variance, e.g. the training set's: [..., B], nats/image."""
    return normal.frozen_log_likelihood(x, output, variance, link=link)


def mean(output: Tensor, *, link: str = "identity") -> Tensor:
    """E[x|z]: [..., D]."""
    return linked(output, link)
