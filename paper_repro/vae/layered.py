"""The VAE of one or two stochastic layers, as functions of an explicit parameter dictionary.

Networks of Burda et al. (ICLR 2016), section 5. With `width` W and top layer of `dim` D units:
one layer   q(z|x): pixels-W-W-D, p(x|z): D-W-W-pixels;
two layers  q(h1|x): pixels-W-W-2D, q(h2|h1): 2D-W/2-W/2-D, p(h1|h2) and p(x|h1) mirrored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from paper_repro import contracts
from paper_repro.contracts import Tensors
from paper_repro.distributions.gaussian import (
    DiagonalGaussian,
    normal_log_prob,
    standard_normal_log_prob,
)
from paper_repro.distributions.posterior import Reparameterised
from paper_repro.distributions.two_layer import TwoLayer
from paper_repro.errors import UserError
from paper_repro.estimators.terms import LogJoint
from paper_repro.models.burda import SIZES, BernoulliNet, GaussianNet
from paper_repro.vae.interface import Images, Init, Weights, entries, naming

COMPONENT = "networks"


class Layered:
    """Architecture and initial weights; all networks are drawn one after another."""

    def __init__(self, p: Mapping[str, Any], images: Images, init: Init) -> None:
        """`p` are the cell's parameters: layers, dim, sizes, likelihood. The decoder's output bias
        starts at the mean image. UserError names the parameter that does not fit."""
        if images.condition_planes:
            raise UserError(f"model: {p['model']!r} takes no condition, and its data have one")
        self.shape, self.pixels = images.shape, len(images.mean)
        self.likelihood = contracts.likelihood(p["likelihood"])
        self.layers, self.latent = p["layers"], p["dim"]
        first = self.first_units = self.latent * self.layers
        width, generator = {**SIZES, **p["sizes"]}["width"], init()
        with naming("sizes"):
            self.nets = nn.ModuleDict(
                {"encoder": GaussianNet(self.pixels, width, first, generator)}
            )
            if self.layers == 2:
                self.nets["encoder2"] = GaussianNet(first, width // 2, self.latent, generator)
                self.nets["prior1"] = GaussianNet(self.latent, width // 2, first, generator)
            self.nets["decoder"] = BernoulliNet(first, width, self.pixels, generator, images.mean)

    def to(self, device: str) -> Layered:
        """Move the initial weights."""
        self.nets.to(device)
        return self

    def parameters_by_name(self) -> Tensors:
        """The initial weights, ``encoder.first.weight`` and so on, as leaves that require grad."""
        return {n: w.detach().clone().requires_grad_() for n, w in self.nets.named_parameters()}

    def buffers_by_name(self) -> Tensors:
        """None: nothing is normalised over a batch."""
        return {}

    def evaluating(self) -> AbstractContextManager[None]:
        """Within this block nothing has a gradient."""
        return torch.no_grad()

    def noise_shapes(self, k: int, batch: int) -> dict[str, tuple[int, ...]]:
        """Standard-normal noise of K samples of a batch, by name."""
        if self.layers == 1:
            return {"z": (k, batch, self.latent)}
        return {"h1": (k, batch, self.first_units), "h2": (k, batch, self.latent)}

    def posterior(
        self, weights: Weights, x: Tensor, condition: Tensor | None = None
    ) -> Reparameterised:
        """q(z|x), or q(h1|x) q(h2|h1), of images x [B, pixels]; it takes no condition."""
        first = DiagonalGaussian(*self._call("encoder", weights, x))
        if self.layers == 1:
            return first
        net = self.nets["encoder2"]

        def second(weights: Weights, h1: Tensor) -> tuple[Tensor, Tensor]:
            return functional_call(net, dict(weights), (h1,))

        return TwoLayer(first, second, entries("encoder2", weights), self.latent)

    def log_prior(self, weights: Weights, posterior: Any) -> Callable[[Any], Tensor]:
        """z -> log N(z; 0, I), or (h1, h2) -> log p(h1|h2) + log N(h2; 0, I), in nats: [K, B]."""

        def two_layers(z: tuple[Tensor, Tensor]) -> Tensor:
            h1, h2 = z
            prior = normal_log_prob(h1, *self._call("prior1", weights, h2))
            return prior + standard_normal_log_prob(h2)

        return standard_normal_log_prob if self.layers == 1 else two_layers

    def log_joint(
        self,
        weights: Weights,
        x: Tensor,
        posterior: Any,
        show: Callable[[Tensor], None] | None = None,
    ) -> LogJoint:
        """z, or (h1, h2), -> (log p(x|z), log p(z)) of binary images x [B, pixels]."""
        log_prior = self.log_prior(weights, posterior)

        def likelihood(z: Tensor) -> Tensor:
            logits = self._call("decoder", weights, z)
            if show:
                show(self.likelihood.mean(logits))
            return self.likelihood.log_likelihood(x, logits, {})

        def one_layer(z: Tensor) -> tuple[Tensor, Tensor]:
            return likelihood(z), log_prior(z)

        def two_layers(z: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            prior = log_prior(
                z
            )  # first: the order of sums in the backward pass decides last digits
            return likelihood(z[0]), prior

        return one_layer if self.layers == 1 else two_layers

    def mean(self, weights: Weights, z: Any) -> Tensor:
        """E[x|z]: [K, B, pixels]."""
        return self.likelihood.mean(self._call("decoder", weights, self._read(z)))

    def rate(self, weights: Weights, posterior: Any, z: Any) -> Tensor:
        """log q(z|x) - log p(z) in nats at the one draw z [1, B, ...]: [B]."""
        ratio: Tensor = posterior.log_prob(z) - self.log_prior(weights, posterior)(z)
        return ratio[0]

    def prior_means(
        self, weights: Weights, noise: Tensor, condition: Tensor | None = None
    ) -> Tensor:
        """E[x|z] [n, pixels] of draws of z [n, D] from the prior of one stochastic layer."""
        return self.mean(weights, noise)

    def _read(self, z: Any) -> Tensor:
        """The layer that the decoder reads."""
        found: Tensor = z if self.layers == 1 else z[0]
        return found

    def posterior_means(self, weights: Weights, x: Tensor) -> list[Tensor]:
        """Encoder means of each layer, [B, units]; the second is taken at the mean of the first."""
        means = [self._call("encoder", weights, x)[0]]
        if self.layers == 2:
            means.append(self._call("encoder2", weights, means[0])[0])
        return means

    def _call(self, name: str, weights: Weights, *inputs: Tensor) -> Any:
        return functional_call(self.nets[name], entries(name, weights), inputs)


def prune(weights: Weights, keep: list[Tensor]) -> Tensors:
    """Weights of the same model without its inactive units; `keep` is bool [units] a layer.

    A removed unit gets posterior and prior N(0, 1), so that its importance weight is one, and
    zero outgoing weights, so that nothing reads it: the same density as a smaller network.
    """
    pruned = {name: weight.detach().clone() for name, weight in weights.items()}

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


MODEL = Layered
