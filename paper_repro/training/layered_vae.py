"""The VAE of one or two stochastic layers, as functions of an explicit parameter dictionary.

Networks of Burda et al. (ICLR 2016), section 5. With `width` W and top layer of `latent` D units:
one layer   q(z|x): pixels-W-W-D, p(x|z): D-W-W-pixels;
two layers  q(h1|x): pixels-W-W-2D, q(h2|h1): 2D-W/2-W/2-D, p(h1|h2) and p(x|h1) mirrored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from paper_repro.distributions.gaussian import (
    DiagonalGaussian,
    normal_log_prob,
    standard_normal_log_prob,
)
from paper_repro.distributions.posterior import Reparameterised
from paper_repro.distributions.two_layer import TwoLayer
from paper_repro.estimators.terms import LogJoint
from paper_repro.likelihoods.bernoulli import log_likelihood
from paper_repro.models.mlp import BernoulliNet, GaussianNet

Params = Mapping[str, Tensor]


class LayeredVAE:
    """Architecture and initial weights; every method takes the weights it is to use."""

    def __init__(
        self, p: Mapping[str, Any], pixels: int, pixel_means: Tensor, init: Generator
    ) -> None:
        """`p`: layers, width, latent. `pixel_means` [pixels] sets the decoder's output bias;
        `init` is a CPU generator, so that every device starts from the same weights."""
        self.layers, self.latent = p["layers"], p["latent"]
        width = p["width"]
        first = self.latent * self.layers
        self.first_units = first
        self.nets = nn.ModuleDict({"encoder": GaussianNet(pixels, width, first, init)})
        if self.layers == 2:
            self.nets["encoder2"] = GaussianNet(first, width // 2, self.latent, init)
            self.nets["prior1"] = GaussianNet(self.latent, width // 2, first, init)
        self.nets["decoder"] = BernoulliNet(first, width, pixels, init, pixel_means)

    def to(self, device: str) -> LayeredVAE:
        """Move the initial weights."""
        self.nets.to(device)
        return self

    def parameters_by_name(self) -> dict[str, Tensor]:
        """The initial weights, ``encoder.first.weight`` and so on, as leaves that require grad."""
        return {n: w.detach().clone().requires_grad_() for n, w in self.nets.named_parameters()}

    def noise_shapes(self, k: int, batch: int) -> dict[str, tuple[int, ...]]:
        """Standard-normal noise of K samples of a batch, by name."""
        if self.layers == 1:
            return {"z": (k, batch, self.latent)}
        return {"h1": (k, batch, self.first_units), "h2": (k, batch, self.latent)}

    def draw_noise(self, k: int, x: Tensor, generator: Generator) -> dict[str, Tensor]:
        """That noise for a batch x [B, pixels], on its device."""
        return {
            name: torch.randn(shape, generator=generator, device=x.device)
            for name, shape in self.noise_shapes(k, len(x)).items()
        }

    def bind(self, params: Params, x: Tensor) -> tuple[Reparameterised, LogJoint]:
        """q(.|x) and log p(x, .) of binary images x [B, pixels] at these weights."""
        posterior = self.posterior(params, x)

        def one_layer(z: Tensor) -> tuple[Tensor, Tensor]:
            logits = self._call("decoder", params, z)
            return log_likelihood(x, logits), standard_normal_log_prob(z)

        def two_layers(z: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            h1, h2 = z
            prior = normal_log_prob(h1, *self._call("prior1", params, h2))
            logits = self._call("decoder", params, h1)
            return log_likelihood(x, logits), prior + standard_normal_log_prob(h2)

        return posterior, one_layer if self.layers == 1 else two_layers

    def posterior(self, params: Params, x: Tensor) -> Reparameterised:
        """q(z|x), or q(h1|x) q(h2|h1), of images x [B, pixels]."""
        first = DiagonalGaussian(*self._call("encoder", params, x))
        if self.layers == 1:
            return first
        net = self.nets["encoder2"]

        def second(weights: Params, h1: Tensor) -> tuple[Tensor, Tensor]:
            return functional_call(net, dict(weights), (h1,))

        return TwoLayer(first, second, _part("encoder2", params), self.latent)

    def posterior_means(self, params: Params, x: Tensor) -> list[Tensor]:
        """Encoder means of each layer, [B, units]; the second is taken at the mean of the first."""
        means = [self._call("encoder", params, x)[0]]
        if self.layers == 2:
            means.append(self._call("encoder2", params, means[0])[0])
        return means

    def _call(self, name: str, params: Params, *inputs: Tensor) -> Any:
        return functional_call(self.nets[name], _part(name, params), inputs)


def prune(params: Params, keep: list[Tensor]) -> dict[str, Tensor]:
    """Weights of the same model without its inactive units; `keep` is bool [units] a layer.

    A removed unit gets posterior and prior N(0, 1), so that its importance weight is one, and
    zero outgoing weights, so that nothing reads it: the same density as a smaller network.
    """
    pruned = {name: weight.detach().clone() for name, weight in params.items()}

    def silence_head(net: str, mask: Tensor) -> None:
        both = torch.cat([mask, mask]).to(pruned[f"{net}.head.bias"])
        pruned[f"{net}.head.weight"] *= both[:, None]
        pruned[f"{net}.head.bias"] *= both

    def unread(net: str, mask: Tensor) -> None:
        pruned[f"{net}.first.weight"] *= mask.to(pruned[f"{net}.first.weight"])

    silence_head("encoder", keep[0])
    unread("decoder", keep[0])
    if len(keep) == 2:
        silence_head("prior1", keep[0])
        unread("encoder2", keep[0])
        silence_head("encoder2", keep[1])
        unread("prior1", keep[1])
    return pruned


def _part(name: str, params: Params) -> dict[str, Tensor]:
    prefix = name + "."
    return {n.removeprefix(prefix): w for n, w in params.items() if n.startswith(prefix)}
