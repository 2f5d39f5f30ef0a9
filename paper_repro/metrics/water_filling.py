"""Reverse water-filling: the least rate at which a Gaussian source meets a squared error.

Of a source with eigenvalues l_j the error is spread as min(l_j, theta), theta the water level, and
the rate is 1/2 sum_j ln(l_j / min(l_j, theta)) (Cover and Thomas, Elements of Information Theory,
2006, theorem 10.3.3). A linear VAE trained with GECO on the summed squared error ends there, with
multiplier 1 / (2 theta) (derived by us; the study taming_vaes checks it by training). Its average
KL depends on the data's mean and covariance alone, so for any data this is a rate that more capable
networks need not exceed.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Filled(NamedTuple):
    """The optimum at one error: water level (a variance), rate (nats/image) and multiplier of the
    summed squared error (nats per unit of it)."""

    level: float
    rate: float
    multiplier: float


def water_filling(eigenvalues: Tensor, error: float) -> Filled:
    """The optimum with squared error `error`, summed over the pixels, for eigenvalues [D] >= 0.

    An error of their sum or more is reached without any information: rate and multiplier are then
    0 and the level infinite. ValueError where the error is not positive or an eigenvalue negative.
    """
    if not error > 0:
        raise ValueError(f"error: {error} is not positive")
    if eigenvalues.ndim != 1 or bool((eigenvalues < 0).any()):
        raise ValueError("eigenvalues: expected [D] values that are not negative")
    rising = eigenvalues.double().sort().values
    if error >= float(rising.sum()):
        return Filled(float("inf"), 0.0, 0.0)
    # With the k smallest below the water the level is (error - their sum) / (D - k): the first k
    # whose next eigenvalue is not below that level is the one.
    below = torch.cat([rising.new_zeros(1), rising.cumsum(0)[:-1]])
    above = torch.arange(len(rising), 0, -1, dtype=rising.dtype)
    levels = (error - below) / above
    level = levels[(rising >= levels).nonzero()[0, 0]]
    rate = 0.5 * (rising / level).clamp(min=1).log().sum()
    return Filled(float(level), float(rate), float(1 / (2 * level)))
