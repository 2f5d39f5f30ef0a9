"""Two stochastic Gaussian layers, q(h1, h2 | x) = q(h1 | x) q(h2 | h1) (Burda et al. 2016).

Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders" (ICLR 2016), section 5. The
second conditional needs a network; its weights are an explicit argument, because the path
derivative of Roeder, Wu and Duvenaud (NIPS 2017) needs them detached while h1 stays live.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from paper_repro.distributions.gaussian import DiagonalGaussian, normal_log_prob
from paper_repro.distributions.posterior import Noise, require_noise, require_trailing

COMPONENT = "posterior"

Params = Mapping[str, Tensor]
ConditionalNet = Callable[[Params, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class TwoLayer:
    """q(h1 | x) = `first` ([*batch, D1]) and q(h2 | h1) = N(mean, scale) of net(params, h1).

    `net(params, h1)` maps h1 [K, *batch, D1] to (mean, log_scale), each [K, *batch, `size`]. All
    its trainable weights must come in through `params`: what it closes over is not frozen.
    """

    first: DiagonalGaussian
    net: ConditionalNet
    params: Params
    size: int

    kind: ClassVar[str] = "two_layer"

    def noise_shapes(self, samples: int) -> dict[str, tuple[int, ...]]:
        """{"h1": [K, *batch, D1], "h2": [K, *batch, size]}."""
        batch = self.first.mean.shape[:-1]
        return {"h1": (samples, *self.first.mean.shape), "h2": (samples, *batch, self.size)}

    def rsample(self, noise: Noise) -> tuple[Tensor, Tensor]:
        """(h1, h2): [K, *batch, D1] and [K, *batch, size]."""
        shapes = self.noise_shapes(1)
        h1 = self.first.rsample({"z": require_noise(noise, "h1", shapes["h1"])})
        draw = require_noise(noise, "h2", shapes["h2"])
        mean, log_scale = self._second(h1)
        return h1, mean + log_scale.exp() * draw

    def log_prob(self, z: tuple[Tensor, Tensor]) -> Tensor:
        """log q(h1 | x) + log q(h2 | h1) in nats: [K, *batch]."""
        h1, h2 = z
        mean, log_scale = self._second(h1)
        require_trailing("h2", h2, tuple(mean.shape))
        return self.first.log_prob(h1) + normal_log_prob(h2, mean, log_scale)

    def frozen(self, variant: str = "exact") -> TwoLayer:
        """The same density with its parameters detached.

        "exact" detaches the weights of the net and leaves the path through h1 open, which is what
        the path derivative means. "code" detaches the net's outputs (mean, scale) instead, as the
        code released with the paper does; that also cuts the path through h1, so the gradient
        with respect to the first layer does not vanish at q = p (our derivation).
        """
        if variant == "exact":
            params = {name: weight.detach() for name, weight in self.params.items()}
            return replace(self, first=self.first.frozen(), params=params)
        if variant == "code":
            return replace(self, first=self.first.frozen(), net=_detached(self.net))
        raise ValueError(f"variant: {variant!r} is not 'exact' or 'code'")

    def expect(self, values: Tensor) -> Tensor:
        """Nothing is stratified: the values themselves."""
        return values

    def _second(self, h1: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_scale = self.net(self.params, h1)
        expected = (*h1.shape[:-1], self.size)
        for name, output in (("mean", mean), ("log_scale", log_scale)):
            if tuple(output.shape) != expected:
                raise ValueError(
                    f"net: its {name} has shape {list(output.shape)}, expected {list(expected)}"
                )
        return mean, log_scale


def _detached(net: ConditionalNet) -> ConditionalNet:
    def detached(params: Params, h1: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_scale = net(params, h1)
        return mean.detach(), log_scale.detach()

    return detached
