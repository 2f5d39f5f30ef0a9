"""What the Gaussian likelihoods share: the shape of an output, the link, the log-density, gamma.

Pixels are flattened with channels first, D = C * H * W, so that a value per channel covers D / C
neighbouring entries. The link maps a decoder's raw output to the mean of p(x | z); nothing else
in this room applies it, the networks never do.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOG_2PI = math.log(2 * math.pi)
LINKS = ("identity", "sigmoid")


def require_output(x: Tensor, output: Tensor, outputs: int, name: str = "output") -> None:
    """ValueError naming the argument unless x is [B, D] and output [..., B, outputs * D]."""
    pixels = outputs * x.shape[-1]
    if output.shape[-1] != pixels:
        per_pixel = f", {outputs} outputs each" if outputs > 1 else ""
        raise ValueError(f"{name}: {output.shape[-1]} pixels, but x has {x.shape[-1]}{per_pixel}")
    batch = x.shape[:-1]
    if output.ndim < x.ndim or output.shape[output.ndim - x.ndim : -1] != batch:
        found = list(output.shape[:-1])
        raise ValueError(f"{name}: batch axes {found} must end in x's {list(batch)}")


def split(output: Tensor) -> tuple[Tensor, Tensor]:
    """First and second part of an output with two values per pixel: [..., 2 D] -> two [..., D]."""
    if output.shape[-1] % 2:
        raise ValueError(f"output: {output.shape[-1]} values are not two per pixel")
    first, second = output.chunk(2, -1)
    return first, second


def linked(raw: Tensor, link: str) -> Tensor:
    """The mean of p(x | z) from a decoder's raw output; ValueError for an unknown link."""
    if link not in LINKS:
        raise ValueError(f"link: {link!r} is not one of {', '.join(LINKS)}")
    return torch.sigmoid(raw) if link == "sigmoid" else raw


def residual(x: Tensor, output: Tensor, link: str) -> Tensor:
    """x - f for an output with one value per pixel: [..., B, D]."""
    require_output(x, output, 1)
    return x - linked(output, link)


def log_density(error: Tensor, log_precision: Tensor | float) -> Tensor:
    """log N(error; 0, exp(-log_precision)) summed over the last axis, in nats."""
    if isinstance(log_precision, Tensor):
        precision: Tensor | float = log_precision.exp()
    else:
        precision = math.exp(log_precision)
    return 0.5 * (log_precision - precision * error.square() - LOG_2PI).sum(-1)


def mean_square(error: Tensor, channels: int = 1) -> Tensor:
    """Mean of error^2 over all axes and pixels but the channel: [..., B, C * P] -> [C]."""
    return by_channel(error.square(), channels).mean(-1).flatten(0, -2).mean(0)


def by_channel(values: Tensor, channels: int) -> Tensor:
    """[..., C * P] -> [..., C, P]; ValueError naming `channels` where they do not divide D."""
    if channels < 1 or values.shape[-1] % channels:
        raise ValueError(f"channels: {channels} do not divide {values.shape[-1]} values")
    return values.unflatten(-1, (channels, -1))


def per_pixel(values: Tensor, pixels: int) -> Tensor:
    """One value per channel, repeated for its pixels: [C] -> [pixels]; a 0-d tensor is C = 1."""
    values = values.reshape(-1)
    if pixels % len(values):
        raise ValueError(f"variance: {len(values)} channels do not divide {pixels} values")
    return values.unsqueeze(-1).expand(-1, pixels // len(values)).reshape(pixels)


def frozen_log_likelihood(
    x: Tensor, output: Tensor, variance: Tensor, *, link: str = "identity"
) -> Tensor:
    """Gaussian log p(x | z) of clean data at given variances, in nats/image: [..., B].

    x: [B, D]; output: [..., B, D]; variance: 0-d or [C], e.g. gamma frozen from the training set.
    Per value it is minus 1/2 ln(2 pi gamma) + r^2 / (2 gamma): what a likelihood whose variance
    is solved per batch must be evaluated with.
    """
    error = residual(x, output, link)
    return log_density(error, -per_pixel(variance, x.shape[-1]).log())
