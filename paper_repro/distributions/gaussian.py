"""Diagonal Gaussian latents, prior N(0, I) (Kingma and Welling 2014).

"Auto-Encoding Variational Bayes" (ICLR 2014), section 2.4 and appendix B. Log-densities are written
out rather than taken from torch.distributions, which validates arguments by value and so cannot
run under `torch.vmap`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from paper_repro.distributions.moments import CentralMoments
from paper_repro.distributions.posterior import (
    Noise,
    require_noise,
    require_trailing,
    scale_gradient,
)

COMPONENT = "posterior"
OPTIONS = {"scale": "learned"}
RULES = {
    "scale": {
        "type": ["string", "number"],
        "anyOf": [{"const": "learned"}, {"type": "number", "exclusiveMinimum": 0}],
        "description": "'learned' or a positive standard deviation",
    }
}

LOG_2PI = math.log(2 * math.pi)


def normal_log_prob(z: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """log N(z; mean, exp(log_scale)^2) in nats, summed over the last axis; arguments broadcast."""
    standardised = (z - mean) * (-log_scale).exp()
    return -0.5 * standardised.square().sum(-1) - log_scale.sum(-1) - 0.5 * mean.shape[-1] * LOG_2PI


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I) in nats, summed over the last axis."""
    return -0.5 * z.square().sum(-1) - 0.5 * z.shape[-1] * LOG_2PI


def head_size(latent: int, *, scale: str | float = "learned") -> int:
    """Encoder outputs for `latent` dimensions: a mean each, and a log-scale where learned."""
    return 2 * latent if scale == "learned" else latent


def from_head(head: Tensor, *, scale: str | float = "learned") -> DiagonalGaussian:
    """The posterior of encoder outputs [*batch, H].

    `scale` "learned": the first half of the outputs are means, the second log-scales. A positive
    number: all are means, and it is the constant standard deviation.
    """
    if head.ndim == 0:
        raise ValueError("head: needs a last axis of encoder outputs, got a 0-d tensor")
    if scale == "learned":
        if head.shape[-1] % 2:
            raise ValueError(f"head: shape {list(head.shape)} must end in an even number")
        return DiagonalGaussian(*head.chunk(2, -1))
    if isinstance(scale, str) or not scale > 0:
        raise ValueError(f"scale: must be 'learned' or a positive number, got {scale!r}")
    return DiagonalGaussian(head, torch.full_like(head, math.log(scale)))


@dataclass(frozen=True)
class DiagonalGaussian:
    """q(z) = N(mean, diag(exp(log_scale))^2); mean and log_scale are [*batch, D].

    Raises ValueError, naming the argument, where shapes do not agree.
    """

    mean: Tensor
    log_scale: Tensor

    kind: ClassVar[str] = "gaussian"

    def __post_init__(self) -> None:
        if self.mean.ndim == 0:
            raise ValueError("mean: needs a last axis of latent dimensions, got a 0-d tensor")
        if self.log_scale.shape != self.mean.shape:
            raise ValueError(
                f"log_scale: shape {list(self.log_scale.shape)} differs from mean's "
                f"{list(self.mean.shape)}"
            )

    def noise_shapes(self, samples: int) -> dict[str, tuple[int, ...]]:
        """{"z": [K, *batch, D]}."""
        return {"z": (samples, *self.mean.shape)}

    def rsample(self, noise: Noise) -> Tensor:
        """mean + scale * noise["z"]: [K, *batch, D]."""
        draw = require_noise(noise, "z", (1, *self.mean.shape))
        return self.mean + self.log_scale.exp() * draw

    def sample(self, noise: Noise) -> Tensor:
        """`rsample` without gradient: [K, *batch, D]."""
        return self.rsample(noise).detach()

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats for z [..., *batch, D]: [..., *batch]."""
        require_trailing("z", z, tuple(self.mean.shape))
        return normal_log_prob(z, self.mean, self.log_scale)

    def log_prior(self, z: Tensor) -> Tensor:
        """log N(z; 0, I) in nats for z [..., *batch, D]: [..., *batch]."""
        require_trailing("z", z, tuple(self.mean.shape))
        return standard_normal_log_prob(z)

    def frozen(self) -> DiagonalGaussian:
        """The same Gaussian with mean and log_scale detached."""
        return DiagonalGaussian(self.mean.detach(), self.log_scale.detach())

    def scaled(self, weight: float | Tensor) -> DiagonalGaussian:
        """The same Gaussian, whose mean and log_scale receive `weight` times their gradient."""
        return DiagonalGaussian(
            scale_gradient(self.mean, weight), scale_gradient(self.log_scale, weight)
        )

    def expect(self, values: Tensor) -> Tensor:
        """Nothing is stratified: the values themselves."""
        return values

    def entropy(self) -> Tensor:
        """H[q] in nats: [*batch]."""
        return self.log_scale.sum(-1) + 0.5 * self.mean.shape[-1] * (1 + LOG_2PI)

    def kl_standard(self) -> Tensor:
        """KL(q || N(0, I)) in nats: [*batch]."""
        variance = (2 * self.log_scale).exp()
        return 0.5 * (self.mean.square() + variance - 1 - 2 * self.log_scale).sum(-1)

    def mean_z(self) -> Tensor:
        """E z: [*batch, D]."""
        return self.mean

    def central_moments(self) -> CentralMoments:
        """Mean and central moments: each [*batch, D]."""
        variance = (2 * self.log_scale).exp()
        third = torch.zeros_like(variance)
        return CentralMoments(self.mean, variance, third, 3 * variance.square())
