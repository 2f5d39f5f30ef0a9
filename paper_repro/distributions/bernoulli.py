"""Binary latents coded {0, 1} or {-1, +1}, prior of fair coins (Maddison et al. 2017).

"The Concrete Distribution" (ICLR 2017), appendix B: a sample is the sign
of logit plus logistic noise, and its relaxation the sigmoid of that at a temperature. Central
moments as in Shao, Liu and Van den Broeck, "Silent Gradients" (arXiv 2508.03587), Proposition 1.
Everything is computed from logits, so that saturated ones (+-200) give no logarithm of zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from paper_repro.distributions.moments import CentralMoments
from paper_repro.distributions.noise import logistic, require_temperature
from paper_repro.distributions.posterior import (
    Noise,
    require_noise,
    require_trailing,
    scale_gradient,
)

COMPONENT = "posterior"
OPTIONS = {"signed": True}


def head_size(latent: int, *, signed: bool = True) -> int:
    """Encoder outputs for `latent` dimensions: one logit each."""
    return latent


def from_head(head: Tensor, *, signed: bool = True) -> Bernoulli:
    """The posterior of encoder outputs [*batch, D]: its logits."""
    return Bernoulli(head, signed)


@dataclass(frozen=True)
class Bernoulli:
    """q(z) = prod_d Bernoulli(sigmoid(logits_d)); logits are [*batch, D].

    z is in {0, 1}, or in {-1, +1} if `signed`. Raises ValueError, naming the argument, where
    shapes do not agree.
    """

    logits: Tensor
    signed: bool = False

    kind: ClassVar[str] = "bernoulli"

    def __post_init__(self) -> None:
        if self.logits.ndim == 0:
            raise ValueError("logits: needs a last axis of latent dimensions, got a 0-d tensor")

    @property
    def probs(self) -> Tensor:
        """Probability of the upper value, 1: [*batch, D]."""
        return self.logits.sigmoid()

    def noise_shapes(self, samples: int) -> dict[str, tuple[int, ...]]:
        """{"z": [K, *batch, D]}."""
        return {"z": (samples, *self.logits.shape)}

    def sample(self, noise: Noise) -> Tensor:
        """z [K, *batch, D] without gradient: the limit of `relaxed` at temperature zero."""
        upper = self._perturbed(noise).detach() > 0
        return self._coded(upper.to(self.logits.dtype))

    def relaxed(self, noise: Noise, temperature: float | Tensor) -> Tensor:
        """Binary concrete sample [K, *batch, D] between the two values, differentiable."""
        require_temperature(temperature)
        return self._coded((self._perturbed(noise) / temperature).sigmoid())

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats for z [..., *batch, D] in the latent's code: [..., *batch]."""
        require_trailing("z", z, tuple(self.logits.shape))
        upper = (z + 1) / 2 if self.signed else z
        return (upper * logsigmoid(self.logits) + (1 - upper) * logsigmoid(-self.logits)).sum(-1)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z) = -D log 2 of fair coins in nats for z [..., *batch, D]: [..., *batch]."""
        require_trailing("z", z, tuple(self.logits.shape))
        return z.new_full(z.shape[:-1], -z.shape[-1] * math.log(2))

    def entropy(self) -> Tensor:
        """H[q] in nats: [*batch]."""
        upper = self.logits.sigmoid() * logsigmoid(self.logits)
        return -(upper + (-self.logits).sigmoid() * logsigmoid(-self.logits)).sum(-1)

    def kl_standard(self) -> Tensor:
        """KL(q || fair coins) = D log 2 - H[q] in nats: [*batch]."""
        return self.logits.shape[-1] * math.log(2) - self.entropy()

    def mean_z(self) -> Tensor:
        """E z in the latent's code: [*batch, D]."""
        return (self.logits / 2).tanh() if self.signed else self.probs

    def central_moments(self) -> CentralMoments:
        """Mean and central moments in the latent's code: each [*batch, D]."""
        u = self.logits.sigmoid() * (-self.logits).sigmoid()  # not p (1 - p): keeps its tail
        step = 2 if self.signed else 1
        return CentralMoments(
            self.mean_z(),
            step**2 * u,
            step**3 * u * -(self.logits / 2).tanh(),
            step**4 * u * (1 - 3 * u),
        )

    def frozen(self) -> Bernoulli:
        """The same distribution with its logits detached."""
        return replace(self, logits=self.logits.detach())

    def scaled(self, weight: float | Tensor) -> Bernoulli:
        """The same distribution, whose logits receive `weight` times their gradient."""
        return replace(self, logits=scale_gradient(self.logits, weight))

    def expect(self, values: Tensor) -> Tensor:
        """Nothing is stratified: the values themselves."""
        return values

    def _perturbed(self, noise: Noise) -> Tensor:
        return self.logits + logistic(require_noise(noise, "z", (1, *self.logits.shape)))

    def _coded(self, upper: Tensor) -> Tensor:
        return 2 * upper - 1 if self.signed else upper
