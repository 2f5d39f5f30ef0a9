"""ConvDRAW as a trainable model: the counterpart of `composed_model.ComposedVAE`.

Gregor et al., "Towards Conceptual Compression" (NIPS 2016); a model of Rezende and Viola, "Taming
VAEs" (arXiv 1810.00597). Every method takes the weights it is to use, ``draw.*`` and
``likelihood.*``; a latent is the `Trace` of a run, which carries what it decodes to. The mean of an
image is the sigmoid of the last canvas plus the logit of the mean image (our choice: so training
starts at the mean image, as everywhere in the suite).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from paper_repro import registry
from paper_repro.distributions import convdraw
from paper_repro.errors import UserError
from paper_repro.models.convdraw import ConvDRAWNet
from paper_repro.training.composed_model import Images, Init, Weights, entries, naming, prefixed


class DrawVAE:
    """Architecture and initial weights, on `condition_planes` planes of condition or none."""

    has_flow = False

    def __init__(
        self, p: Mapping[str, Any], images: Images, init: Init, condition_planes: int
    ) -> None:
        """`p` are the cell's parameters: sizes, likelihood. UserError names the one that does not
        fit."""
        self.shape, self.pixels = images.shape, len(images.mean)
        self.likelihood = registry.load("likelihoods", p["likelihood"])
        if self.likelihood.OUTPUTS != 1:
            raise UserError(f"likelihood: {p['likelihood']!r} has a second output a pixel")
        with naming("sizes"):
            self.net = ConvDRAWNet(
                images.shape, 1, init("draw"), condition_channels=condition_planes, **p["sizes"]
            )
        has_scalars = hasattr(self.likelihood, "init_params")
        self.scalars: dict[str, Tensor] = self.likelihood.init_params() if has_scalars else {}
        self.offset = torch.logit(images.mean.clamp(0.001, 0.999))

    def to(self, device: str) -> DrawVAE:
        """Move the initial weights and the constants."""
        self.net.to(device)
        self.scalars = {name: t.to(device) for name, t in self.scalars.items()}
        self.offset = self.offset.to(device)
        return self

    def parameters_by_name(self) -> dict[str, Tensor]:
        """The initial weights as leaves that require grad."""
        found = prefixed("draw", dict(self.net.named_parameters()))
        found |= prefixed("likelihood", self.scalars)
        return {name: w.detach().clone().requires_grad_() for name, w in found.items()}

    def buffers_by_name(self) -> dict[str, Tensor]:
        """None: nothing is normalised over a batch."""
        return {}

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Within this block nothing has a gradient."""
        with torch.no_grad():
            yield

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
        return (z.output + self.offset).sigmoid()

    def log_prior(self, weights: Weights, posterior: Any) -> Callable[[convdraw.Trace], Tensor]:
        """log p(z) in nats along a trace: [K, B]."""
        return convdraw.log_prior

    def drawn(self, weights: Weights, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """E[x|z] [n, pixels] of draws of z from the prior: noise [n, T, L] standard normal."""
        output = convdraw.generate(self.net.call, entries("draw", weights), noise, condition)
        return (output + self.offset).sigmoid()
