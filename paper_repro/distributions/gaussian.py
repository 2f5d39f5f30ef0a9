"""The diagonal Gaussian, its log-density, entropy and divergence from the prior N(0, I).

Kingma and Welling, "Auto-Encoding Variational Bayes" (ICLR 2014), section 2.4 and appendix B.
Log-densities are written out rather than taken from torch.distributions, which validates
arguments by value and so cannot run under `torch.vmap`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from paper_repro.distributions.posterior import Noise, require_noise, require_trailing

LOG_2PI = math.log(2 * math.pi)


def normal_log_prob(z: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """log N(z; mean, exp(log_scale)^2) in nats, summed over the last axis; arguments broadcast."""
    standardised = (z - mean) * (-log_scale).exp()
    return -0.5 * standardised.square().sum(-1) - log_scale.sum(-1) - 0.5 * mean.shape[-1] * LOG_2PI


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I) in nats, summed over the last axis."""
    return -0.5 * z.square().sum(-1) - 0.5 * z.shape[-1] * LOG_2PI


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

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats for z [..., *batch, D]: [..., *batch]."""
        require_trailing("z", z, tuple(self.mean.shape))
        return normal_log_prob(z, self.mean, self.log_scale)

    def frozen(self) -> DiagonalGaussian:
        """The same Gaussian with mean and log_scale detached."""
        return DiagonalGaussian(self.mean.detach(), self.log_scale.detach())

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
