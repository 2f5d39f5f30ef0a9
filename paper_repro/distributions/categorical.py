"""Groups of one-hot latents, prior of uniform groups (Jang et al. 2017).

"Categorical Reparameterization with Gumbel-Softmax" (ICLR 2017), equations 1-2: a sample is the
argmax of logits plus Gumbel noise, and its relaxation their softmax at a temperature. The latent
is the G one-hot groups of C classes laid out one after the other, D = G C.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from paper_repro.distributions.moments import CentralMoments
from paper_repro.distributions.noise import gumbel, require_temperature
from paper_repro.distributions.posterior import (
    Noise,
    require_noise,
    require_trailing,
    scale_gradient,
)

COMPONENT = "posterior"
OPTIONS = {"classes": 8}
RULES = {"classes": {"minimum": 2}}


def head_size(latent: int, *, classes: int = 8) -> int:
    """Encoder outputs for `latent` groups: a logit for every class of each."""
    return latent * classes


def from_head(head: Tensor, *, classes: int = 8) -> Categorical:
    """The posterior of encoder outputs [*batch, G * classes]: its logits, group after group."""
    if head.ndim == 0 or classes < 1 or head.shape[-1] % classes:
        raise ValueError(f"head: shape {list(head.shape)} must end in a multiple of {classes}")
    return Categorical(head.unflatten(-1, (-1, classes)))


@dataclass(frozen=True)
class Categorical:
    """q(z) = prod_g Categorical(softmax(logits_g)); logits are [*batch, G, C], C at least 2.

    z is [K, *batch, G * C]. Raises ValueError, naming the argument, where shapes do not agree.
    """

    logits: Tensor

    kind: ClassVar[str] = "categorical"

    def __post_init__(self) -> None:
        if self.logits.ndim < 2 or self.logits.shape[-1] < 2:
            raise ValueError(
                f"logits: shape {list(self.logits.shape)}, expected [*batch, G, C] with at least "
                "2 classes"
            )

    @property
    def probs(self) -> Tensor:
        """Class probabilities of every group: [*batch, G, C]."""
        return self.logits.softmax(-1)

    def noise_shapes(self, samples: int) -> dict[str, tuple[int, ...]]:
        """{"z": [K, *batch, G * C]}."""
        return {"z": (samples, *self._event)}

    def sample(self, noise: Noise) -> Tensor:
        """z [K, *batch, G * C] without gradient: the limit of `relaxed` at temperature zero."""
        chosen = self._perturbed(noise).detach().argmax(-1, keepdim=True)
        # Not nn.functional.one_hot, which looks at values and so fails under vmap of a gradient.
        classes = torch.arange(self.logits.shape[-1], device=chosen.device)
        return (classes == chosen).to(self.logits.dtype).flatten(-2)

    def relaxed(self, noise: Noise, temperature: float | Tensor) -> Tensor:
        """Gumbel-softmax sample [K, *batch, G * C], differentiable; every group sums to one."""
        require_temperature(temperature)
        return (self._perturbed(noise) / temperature).softmax(-1).flatten(-2)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats for z [..., *batch, G * C]: [..., *batch]."""
        require_trailing("z", z, self._event)
        return (z * self.logits.log_softmax(-1).flatten(-2)).sum(-1)

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z) = -G log C of uniform groups in nats for z [..., *batch, G * C]:
        [..., *batch]."""
        require_trailing("z", z, self._event)
        return z.new_full(z.shape[:-1], -self._uniform_entropy)

    def entropy(self) -> Tensor:
        """H[q] in nats: [*batch]."""
        return -(self.probs * self.logits.log_softmax(-1)).sum((-2, -1))

    def kl_standard(self) -> Tensor:
        """KL(q || uniform groups) = G log C - H[q] in nats: [*batch]."""
        return self._uniform_entropy - self.entropy()

    def mean_z(self) -> Tensor:
        """E z, the class probabilities: [*batch, G * C]."""
        return self.probs.flatten(-2)

    def central_moments(self) -> CentralMoments:
        """Marginal moments of every one-hot entry, a {0, 1} variable: each [*batch, G * C].

        Entries of one group depend on each other: Cov = diag(p) - p p^T.
        """
        p = self.mean_z()
        u = p * (1 - p)
        return CentralMoments(p, u, u * (1 - 2 * p), u * (1 - 3 * u))

    def frozen(self) -> Categorical:
        """The same distribution with its logits detached."""
        return Categorical(self.logits.detach())

    def scaled(self, weight: float | Tensor) -> Categorical:
        """The same distribution, whose logits receive `weight` times their gradient."""
        return Categorical(scale_gradient(self.logits, weight))

    def expect(self, values: Tensor) -> Tensor:
        """Nothing is stratified: the values themselves."""
        return values

    @property
    def _event(self) -> tuple[int, ...]:
        *batch, groups, classes = self.logits.shape
        return (*batch, groups * classes)

    @property
    def _uniform_entropy(self) -> float:
        groups, classes = self.logits.shape[-2:]
        return groups * math.log(classes)

    def _perturbed(self, noise: Noise) -> Tensor:
        draw = require_noise(noise, "z", (1, *self._event))
        return self.logits + gumbel(draw).unflatten(-1, tuple(self.logits.shape[-2:]))
