"""A two-sided bracket of the marginal KL, KL(q(z) || p(z)) with q(z) = E_x q(z|x).

Rezende and Viola, "Taming VAEs" (2018), read a low marginal KL as good coverage of the prior by
codes; their estimator is unknown and this bracket is our choice. Both sides average
log q(z) - log p(z) over codes and differ in what stands for the unknown log q(z):

low   a density model r (a flow, say) fitted to codes of other images. The expectation is
      KL(q || p) - KL(q || r): never above the truth, and below it by the misfit of r. Codes that
      r was fitted to would break the bound.
high  the mixture of the encoders q(z|x_m) of M images, with codes drawn from these same
      encoders. The expectation is never below the truth, because KL is convex in q. It never
      falls below the average KL - ln M either, whatever the truth: where that is large the high
      side says how few images were used, and nothing about q(z). `Bracket.floor` gives it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from paper_repro.metrics.checks import require_finite, require_matrix, require_same_shape

LogDensity = Callable[[Tensor], Tensor]


class Bracket(NamedTuple):
    """Both sides in nats (per image, as the average KL is), with their standard errors."""

    low: float
    low_error: float
    high: float
    high_error: float
    floor: float
    """Average KL - ln M: the high side cannot fall below it."""


def low(z: Tensor, log_density: LogDensity, log_prior: LogDensity) -> Tensor:
    """log r(z) - log p(z) in nats at FRESH codes z [S, D]: [S]; their mean is the low side.

    log_density, log_prior: [n, D] -> [n]; log_density fitted to codes of other images.
    """
    require_matrix("z", z, rows=2)
    return _difference("log_density", log_density(z), z, log_prior)


def high(
    z: Tensor, log_encoders: LogDensity, log_prior: LogDensity, *, encoders: int, block: int = 500
) -> Tensor:
    """log (1/M) sum_m q(z|x_m) - log p(z) in nats at z [S, D]: [S]; their mean is the high side.

    z are draws from the encoders of the mixture itself, equally many of each; log_encoders:
    [n, D] -> [n, M] with M = `encoders` (see `gaussian_encoders`), called on `block` rows at once.
    """
    require_matrix("z", z, rows=2)
    values = []
    for part in z.split(block):
        found = log_encoders(part)
        if tuple(found.shape) != (len(part), encoders):
            expected = [len(part), encoders]
            raise ValueError(f"log_encoders: shape {list(found.shape)}, expected {expected}")
        mixture = found.logsumexp(1) - math.log(encoders)
        values.append(_difference("log_encoders", mixture, part, log_prior))
    return torch.cat(values)


def bracket(low: Tensor, high: Tensor, average_kl: float, encoders: int) -> Bracket:
    """The bracket from the values of `low` and `high`, and the average KL in nats/image.

    Standard errors treat the values as independent: exact for one code an image, but silent on
    which M images make up the mixture.
    """
    return Bracket(
        *_mean_and_error("low", low),
        *_mean_and_error("high", high),
        average_kl - math.log(encoders),
    )


def gaussian_encoders(mean: Tensor, log_scale: Tensor) -> LogDensity:
    """log N(z; mean_m, exp(log_scale_m)^2) of every z and every m: [n, D] -> [n, M], float64.

    mean and log_scale [M, D]. As matrix products, without an [n, M, D] in memory; float64 pays for
    the cancellation where a scale is small.
    """
    require_matrix("mean", mean, rows=1)
    require_same_shape("log_scale", log_scale, "mean", mean)
    require_finite("log_scale", log_scale)
    mean, log_scale = mean.double(), log_scale.double()
    precision = (-2 * log_scale).exp()
    constant = (
        (precision * mean.square()).sum(1)
        + 2 * log_scale.sum(1)
        + mean.shape[1] * math.log(2 * math.pi)
    )

    def log_encoders(z: Tensor) -> Tensor:
        z = z.double()
        return -0.5 * (z.square() @ precision.T - 2 * z @ (precision * mean).T + constant)

    return log_encoders


def _difference(name: str, log_q: Tensor, z: Tensor, log_prior: LogDensity) -> Tensor:
    log_p = log_prior(z)
    for which, values in ((name, log_q), ("log_prior", log_p)):
        if tuple(values.shape) != (len(z),):
            raise ValueError(f"{which}: shape {list(values.shape)}, expected {[len(z)]}")
        require_finite(which, values)
    return log_q - log_p


def _mean_and_error(name: str, values: Tensor) -> tuple[float, float]:
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"{name}: need [S >= 2], got {list(values.shape)}")
    require_finite(name, values)
    values = values.double()
    return float(values.mean()), float(values.std()) / math.sqrt(len(values))
