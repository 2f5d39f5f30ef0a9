"""BAGGINS, a Gaussian likelihood of bounded information (Fyffe, arXiv 1912.10309; our reading).

INTERPRETATION. The paper's formula is not known to us; its abstract promises a bounded Gaussian
likelihood, invariant to the scale of the data, from the aggregate information in a batch. Ours:
with s2 the variance of the data, the batch tells at most 1/2 ln(1 + s2/gamma) nats per value about
its examples. Limiting this to I nats gives gamma_min = s2 / (e^(2I) - 1), and with r2 the mean
squared residual the variance of the likelihood is

    A (noisy sample)  gamma = r2 + gamma_min: every example is x + sqrt(gamma_min) eps, and the
                      noise is integrated out, E (x + noise - f)^2 = r2 + gamma_min;
    B (hard)          gamma = max(r2, gamma_min), the density of the clean data;
    C (total)         one gamma for all channels with sum_d 1/2 ln(1 + s2_d/gamma) = D I.

s2 and r2 are one number per channel, means over pixels and batch (s2: of each pixel's variance
over the batch), so that constant pixels, as at the border of MNIST, do no harm.

gamma is detached: A and B's is the minimiser of the batch's mean distortion, or constant, so value
and gradient of that mean are those of 1/2 sum_d ln(2 pi e (r2 + gamma_min)) for A, while every
image has a value of its own. In A and B the root mean square of dL/df per value is at most
1/(2 sqrt(gamma_min)) and 1/sqrt(gamma_min); a single value's can be larger. The distortion per
value is at least 1/2 ln(2 pi e gamma_min) in A, 1/2 ln(2 pi gamma_min) in B.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from paper_repro.likelihoods import normal
from paper_repro.likelihoods.channels import log_density, squares
from paper_repro.likelihoods.normal import by_channel, linked, residual

COMPONENT = "likelihood"
OUTPUTS = 1
SOLVES_VARIANCE = True
OPTIONS = {"variant": "A", "bits": 8.0, "channels": 1, "link": "identity"}
RULES = {
    "variant": {"enum": ["A", "B", "C"]},
    "bits": {"exclusiveMinimum": 0},
    "channels": {"minimum": 1},
    "link": {"enum": ["identity", "sigmoid"]},
}
PREPROCESSING = ("unit", "dequantised", "none")  # a density of real values
VARIANTS = ("A", "B", "C")
NEWTON_STEPS = 8


def data_variance(x: Tensor, channels: int = 1) -> Tensor:
    """s2: mean over a channel's pixels of their variance over the batch, x [B, D] -> [C]."""
    if x.ndim < 2 or x.shape[-2] < 2:
        raise ValueError(f"x: needs a batch of at least 2 for its variance, shape {list(x.shape)}")
    return by_channel(x.var(-2, unbiased=False), channels).mean(-1)


def minimum_variance(s2: Tensor, bits: float = 8.0) -> Tensor:
    """gamma_min = s2 / (e^(2I) - 1) with I = bits ln 2: 1/2 ln(1 + s2 / gamma_min) = I."""
    if not bits > 0:
        raise ValueError(f"bits: must be positive, got {bits}")
    return s2 / math.expm1(2 * bits * math.log(2))


def total_variance(s2: Tensor, bits: float = 8.0) -> Tensor:
    """Variant C's gamma, 0-d: mean_c 1/2 ln(1 + s2_c/gamma) = I over the channels of s2 [C].

    With u = ln gamma, g(u) = mean_c ln(1 + s2_c e^-u) - 2I is convex and decreasing, so Newton's
    method from a point where g >= 0 climbs to the root and never passes it. The most varied
    channel alone gives such a point: 1/C ln(1 + s2_max e^-u) = 2I. C = 1 starts at the root.
    """
    if not bits > 0:
        raise ValueError(f"bits: must be positive, got {bits}")
    nats = 2 * bits * math.log(2)
    bound = nats * len(s2)
    log_s2 = s2.log()
    u = log_s2.amax() - (bound + math.log(-math.expm1(-bound)))
    for _ in range(NEWTON_STEPS):
        excess = -torch.nn.functional.logsigmoid(u - log_s2).mean() - nats
        u = u + excess / torch.sigmoid(log_s2 - u).mean()
    return u.exp()


def variance(
    x: Tensor,
    output: Tensor,
    *,
    variant: str = "A",
    bits: float = 8.0,
    channels: int = 1,
    link: str = "identity",
) -> Tensor:
    """gamma of this batch, [C] (C: the same in all channels), attached to the output."""
    r2 = normal.mean_square(residual(x, output, link), channels)
    return solved(r2, data_variance(x, channels), variant=variant, bits=bits)


def solved(r2: Tensor, s2: Tensor, *, variant: str = "A", bits: float = 8.0) -> Tensor:
    """gamma from mean squared residual and variance of the data, per channel: [C] each, of a
    batch or of a whole set."""
    if variant not in VARIANTS:
        raise ValueError(f"variant: {variant!r} is not one of {', '.join(VARIANTS)}")
    if variant == "C":
        return total_variance(s2, bits).expand(len(s2))
    gamma_min = minimum_variance(s2, bits)
    return r2 + gamma_min if variant == "A" else torch.maximum(r2, gamma_min)


def floor(s2: Tensor, *, variant: str = "A", bits: float = 8.0) -> Tensor:
    """The least that the distortion per value of a channel can be, nats: [C] -> [C]; of variants A
    and B. ValueError for C, whose distortion has the floor of any fixed variance."""
    return 0.5 * (2 * math.pi * _bounded(variant, math.e, 1.0) * minimum_variance(s2, bits)).log()


def steepest(s2: Tensor, *, variant: str = "A", bits: float = 8.0) -> Tensor:
    """The most that the root mean square of dL/df per value can be over the values that share a
    variance: [C] -> [C]; of variants A and B."""
    return _bounded(variant, 0.5, 1.0) * minimum_variance(s2, bits).rsqrt()


def _bounded(variant: str, of_a: float, of_b: float) -> float:
    if variant not in ("A", "B"):
        raise ValueError(f"variant: {variant!r} has no bound of its own, A and B have")
    return of_a if variant == "A" else of_b


def log_likelihood(
    x: Tensor,
    output: Tensor,
    params: Mapping[str, Tensor] | None = None,
    *,
    variant: str = "A",
    bits: float = 8.0,
    channels: int = 1,
    link: str = "identity",
) -> Tensor:
    """Minus the distortion of each image at this batch's gamma, in nats/image.

    x: [B, C * P], B >= 2; output: [..., B, C * P]; it has no params. Returns [..., B]. In variant A
    it is the expected log-density of the NOISY image; see `frozen_log_likelihood` for clean ones.
    ValueError for an unknown variant, bits that are not positive, shapes that do not agree.
    """
    pixels, s2 = x.shape[-1] // channels, data_variance(x, channels)
    sums = squares(residual(x, output, link), channels)
    r2 = sums.flatten(0, -2).mean(0) / pixels
    gamma = solved(r2, s2, variant=variant, bits=bits).detach()
    clean = log_density(sums, gamma.log(), pixels)
    if variant != "A":
        return clean
    return clean - 0.5 * pixels * (minimum_variance(s2, bits) / gamma).sum()


def frozen_log_likelihood(
    x: Tensor, output: Tensor, variance: Tensor, *, link: str = "identity"
) -> Tensor:
    """log p(x|z) of clean images, in nats/image: [..., B].

    `variance` is [C], frozen from the training set, as in every ELBO that is to be compared.
    """
    return normal.frozen_log_likelihood(x, output, variance, link=link)


def mean(
    output: Tensor,
    *,
    variant: str = "A",
    bits: float = 8.0,
    channels: int = 1,
    link: str = "identity",
) -> Tensor:
    """E[x|z]: [..., D]."""
    return linked(output, link)
