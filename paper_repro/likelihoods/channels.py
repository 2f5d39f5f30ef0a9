"""A Gaussian of one variance per channel, from squared errors summed over a channel's pixels.

One pass over the pixels is all that a step needs of them: likelihood and solved variance are both
functions of these sums.
"""

from __future__ import annotations

from torch import Tensor

from paper_repro.likelihoods.normal import LOG_2PI, by_channel


def squares(error: Tensor, channels: int) -> Tensor:
    """error^2 summed over the pixels of each channel: [..., B, C * P] -> [..., B, C]."""
    return by_channel(error.square(), channels).sum(-1)


def log_density(squares: Tensor, log_gamma: Tensor, pixels: int) -> Tensor:
    """log N of an image's errors in nats: [..., B, C] at ln gamma [C] and P pixels a channel ->
    [..., B]."""
    each = squares * (-log_gamma).exp() + pixels * (log_gamma + LOG_2PI)
    return -0.5 * each.sum(-1)
