"""ConvDRAW as a trainable model.

Gregor et al., "Towards Conceptual Compression" (NIPS 2016); a model of Rezende and Viola, "Taming
VAEs" (arXiv 1810.00597). Every method takes the weights it is to use, ``draw.*`` and
``likelihood.*``; a latent is the `Trace` of a run, which carries what it decodes to. The mean of an
image is the sigmoid of the last canvas plus the logit of the mean image (our choice: so training
starts at the mean image, as everywhere in the suite).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from paper_repro import contracts
from paper_repro.contracts import Tensors
from paper_repro.distributions import convdraw
from paper_repro.errors import UserError
from paper_repro.estimators.terms import LogJoint
from paper_repro.models.convdraw import ConvDRAWNet
from paper_repro.vae.interface import Images, Init, Weights, entries, naming, prefixed

COMPONENT = "networks"


class ConvDRAWVAE:
    """Architecture and initial weights, on as many planes of condition as come with an image."""

    def __init__(self, p: Mapping[str, Any], images: Images, init: Init) -> None:
        """`p` are the cell's parameters: sizes, likelihood and its options. UserError names the one
        that does not fit."""
        self.shape, self.pixels = images.shape, len(images.mean)
        self.likelihood = contracts.likelihood(p["likelihood"])
        if self.likelihood.OUTPUTS != 1:
            raise UserError(f"likelihood: {p['likelihood']!r} has a second output a pixel")
        self.likelihood_options = dict(p["likelihood_options"])
        with naming("sizes"):
            self.net = ConvDRAWNet(
                images.shape,
                1,
                init("draw"),
                condition_channels=images.condition_planes,
                **p["sizes"],
            )
        self.scalars = self.likelihood.init_params()
        self.offset = torch.logit(images.mean.clamp(0.001, 0.999))

    def to(self, device: str) -> ConvDRAWVAE:
        """Move the initial weights and the constants."""
        self.net.to(device)
        self.scalars = {name: t.to(device) for name, t in self.scalars.items()}
        self.offset = self.offset.to(device)
        return self

    def parameters_by_name(self) -> Tensors:
        """The initial weights as leaves that require grad."""
        found = prefixed("draw", dict(self.net.named_parameters()))
        found |= prefixed("likelihood", self.scalars)
        return {name: w.detach().clone().requires_grad_() for name, w in found.items()}

    def buffers_by_name(self) -> Tensors:
        """None: nothing is normalised over a batch."""
        return {}

    def evaluating(self) -> AbstractContextManager[None]:
        """Within this block nothing has a gradient."""
        return torch.no_grad()

    def noise_shapes(self, k: int, batch: int) -> dict[str, tuple[int, ...]]:
        """Standard-normal noise of K samples of a batch, by name."""
        return {"z": (k, batch, self.net.steps, self.net.units)}

    def posterior(
        self, weights: Weights, x: Tensor, condition: Tensor | None = None
    ) -> convdraw.ConvDRAW:
        """q(z_1..T | x) of images x [B, pixels], given condition [B, planes * H * W] or none."""
        params = entries("draw", weights)
        net = self.net
        return convdraw.ConvDRAW(net.call, params, x, net.steps, net.units, condition)

    def mean(self, weights: Weights, z: convdraw.Trace) -> Tensor:
        """E[x|z] of a trace: [K, B, pixels]."""
        return self._mean(z.output)

    def log_prior(self, weights: Weights, posterior: Any) -> Callable[[convdraw.Trace], Tensor]:
        """log p(z) in nats along a trace: [K, B]."""
        return convdraw.log_prior

    def log_joint(
        self,
        weights: Weights,
        x: Tensor,
        posterior: Any,
        show: Callable[[Tensor], None] | None = None,
    ) -> LogJoint:
        """trace -> (log p(x|z), log p(z)), each [K, B]."""
        scalars = entries("likelihood", weights)

        def joint(z: convdraw.Trace) -> tuple[Tensor, Tensor]:
            output = z.output + self.offset
            if show:
                show(self._mean(z.output))
            found = self.likelihood.log_likelihood(x, output, scalars, **self.likelihood_options)
            return found, convdraw.log_prior(z)

        return joint

    def rate(self, weights: Weights, posterior: convdraw.ConvDRAW, z: convdraw.Trace) -> Tensor:
        """KL(q(z|x) || p(z)) in nats along the one trace z: [B]."""
        return posterior.kl_along(z)[0]

    def prior_means(
        self, weights: Weights, noise: Tensor, condition: Tensor | None = None
    ) -> Tensor:
        """E[x|z] [n, pixels] of draws of z from the prior: noise [n, T, L] standard normal."""
        output = convdraw.generate(self.net.call, entries("draw", weights), noise, condition)
        return self._mean(output)

    def _mean(self, output: Tensor) -> Tensor:
        return self.likelihood.mean(output + self.offset, **self.likelihood_options)


MODEL = ConvDRAWVAE
