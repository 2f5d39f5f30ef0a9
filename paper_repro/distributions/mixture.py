"""Mixture of diagonal Gaussians, its component summed out, never sampled (Roeder et al. 2017).

Roeder, Wu and Duvenaud, "Sticking the Landing" (NIPS 2017), treat the ELBO of a mixture as
sum_c pi_c E_{q_c}[...]: draw z_c by reparameterisation inside every component and weight by pi_c,
so that the weights get an ordinary gradient too. C draws cost C^2 component densities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from paper_repro.distributions.gaussian import normal_log_prob
from paper_repro.distributions.moments import CentralMoments
from paper_repro.distributions.posterior import Noise, require_noise, require_trailing

COMPONENT = "posterior"


@dataclass(frozen=True)
class GaussianMixture:
    """q(z) = sum_c softmax(logits)_c N(means_c, diag(exp(log_scales_c))^2).

    logits are [*batch, C]; means and log_scales are [*batch, C, D]. Samples carry the component
    axis first, [C, K, *batch, D]. Raises ValueError, naming the argument, where shapes disagree.
    """

    logits: Tensor
    means: Tensor
    log_scales: Tensor

    kind: ClassVar[str] = "mixture"

    def __post_init__(self) -> None:
        if self.means.ndim < 2:
            raise ValueError(f"means: shape {list(self.means.shape)}, expected [*batch, C, D]")
        if self.log_scales.shape != self.means.shape:
            raise ValueError(
                f"log_scales: shape {list(self.log_scales.shape)} differs from means' "
                f"{list(self.means.shape)}"
            )
        if self.logits.shape != self.means.shape[:-1]:
            raise ValueError(
                f"logits: shape {list(self.logits.shape)}, expected {list(self.means.shape[:-1])}"
            )

    def noise_shapes(self, samples: int) -> dict[str, tuple[int, ...]]:
        """{"z": [C, K, *batch, D], "component": [K, *batch]}.

        "component" is read only by an estimator that samples one component (`partial`); having
        it always gives all estimators the same random numbers.
        """
        *batch, components, dim = self.means.shape
        return {"z": (components, samples, *batch, dim), "component": (samples, *batch)}

    def rsample(self, noise: Noise) -> Tensor:
        """One draw from every component: [C, K, *batch, D]."""
        draw = require_noise(noise, "z", self.noise_shapes(1)["z"], samples_at=1)
        means, log_scales = (t.movedim(-2, 0).unsqueeze(1) for t in (self.means, self.log_scales))
        return means + log_scales.exp() * draw

    def component_log_probs(self, z: Tensor) -> Tensor:
        """log q_c(z) of every component in nats for z [..., *batch, D]: [..., *batch, C]."""
        require_trailing("z", z, (*self.means.shape[:-2], self.means.shape[-1]))
        return normal_log_prob(z.unsqueeze(-2), self.means, self.log_scales)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) in nats for z [..., *batch, D]: [..., *batch]."""
        return (self.logits.log_softmax(-1) + self.component_log_probs(z)).logsumexp(-1)

    def frozen(self) -> GaussianMixture:
        """The same mixture with weights, means and scales detached."""
        return GaussianMixture(self.logits.detach(), self.means.detach(), self.log_scales.detach())

    def expect(self, values: Tensor) -> Tensor:
        """sum_c pi_c values_c with live weights, for values [C, K, *batch]: [K, *batch]."""
        weights = self.logits.softmax(-1).movedim(-1, 0).unsqueeze(1)
        if values.shape[0] != weights.shape[0] or values.shape[2:] != weights.shape[2:]:
            expected = [weights.shape[0], "K", *weights.shape[2:]]
            raise ValueError(f"values: shape {list(values.shape)}, expected {expected}")
        return (weights * values).sum(0)

    def mean_z(self) -> Tensor:
        """E z: [*batch, D]."""
        return self._average(self.means)

    def central_moments(self) -> CentralMoments:
        """Mean and central moments of every dimension, exact: each [*batch, D]."""
        mean, variance = self.mean_z(), (2 * self.log_scales).exp()
        offset = self.means - mean.unsqueeze(-2)
        square = offset.square()
        return CentralMoments(
            mean,
            self._average(square + variance),
            self._average(offset * (square + 3 * variance)),
            self._average(square.square() + 6 * square * variance + 3 * variance.square()),
        )

    def _average(self, values: Tensor) -> Tensor:
        """sum_c pi_c values_c for values [*batch, C, D]: [*batch, D]."""
        return (self.logits.softmax(-1).unsqueeze(-1) * values).sum(-2)
