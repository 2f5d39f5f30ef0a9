"""A VAE whose networks do not see the unit of the data, nor their mean (ours).

The data are `units` times the pixels. The encoder's network is given (x - mean image) / s and, of a
Gaussian likelihood, the decoder's mean is mean image + s times its network's output, where s^2 is
the variance of the training pixels about the mean image; both are in the data's unit. A
log-precision is that of the standardised data, in that unit. So the networks' weights mean the same
in every unit, and whatever else moves with it (a learned variance that starts at 1, a fixed one) is
the likelihood's. The logits of a Bernoulli likelihood start at the mean image.

Images passed in are pixels; what `log_joint`, `mean` and `decode` speak of is in the data's unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from paper_repro.contracts import Tensors
from paper_repro.errors import UserError
from paper_repro.estimators.terms import LogJoint
from paper_repro.vae.interface import Images, Init, Weights
from paper_repro.vae.model import EncoderDecoder

COMPONENT = "networks"


class Standardised(EncoderDecoder):
    """An encoder and decoder between which and the data stand a shift and a scale."""

    def __init__(self, p: Mapping[str, Any], images: Images, init: Init) -> None:
        """Parameters as for any encoder and decoder, and `units`. UserError for a Gaussian
        likelihood whose link is not the identity: it has a scale of its own."""
        self.units = float(p.get("units", 1.0))
        super().__init__({**p, "centre": True}, images, init)
        if p["decoder"] not in ("", p["model"]):
            raise UserError(f"decoder: model {p['model']!r} brings its own")
        real = "link" in self.likelihood.OPTIONS  # else logits
        if real and self.likelihood_options.get("link", "identity") != "identity":
            raise UserError("likelihood_options.link: standardised networks need the identity")
        if not real and self.units != 1:
            raise UserError("units: binary pixels have none")
        self.spread = self.units * math.sqrt(images.variance) if real else 1.0
        self.scale = torch.ones(self.likelihood.OUTPUTS * self.pixels)
        if real:
            assert self.offset is not None
            self.scale[: self.pixels] = self.spread
            self.offset = self.offset * self.units
            self.offset[self.pixels :] = -2 * math.log(self.spread)

    def to(self, device: str) -> Standardised:
        """Move the initial weights and the constants."""
        super().to(device)
        self.scale = self.scale.to(device)
        return self

    def seen(self, x: Tensor) -> Tensor:
        """Pixels in the data's unit."""
        return self.units * x

    def encode(self, weights: Weights, x: Tensor) -> Tensor:
        """The encoder's raw output for pixels x [B, pixels]: [B, head]."""
        assert self.centre is not None
        standard = (self.seen(x) - self.seen(self.centre)) / self.spread
        return self._call("encoder", weights, standard)

    def decode(self, weights: Weights, z: Tensor) -> Tensor:
        """What parameterises the likelihood at z [..., B, D]: [..., B, outputs * pixels]."""
        assert self.offset is not None
        return self._call("decoder", weights, z) * self.scale + self.offset

    def log_joint(
        self,
        weights: Weights,
        x: Tensor,
        posterior: Any,
        show: Callable[[Tensor], None] | None = None,
    ) -> LogJoint:
        """z -> (log p(units x | z), log p(z)) for pixels x [B, pixels]."""
        return super().log_joint(weights, self.seen(x), posterior, show)

    def scalars(self, gamma: float) -> Tensors:
        """A likelihood's learned scalars, of one that has a variance per channel as many."""
        found = super().scalars(gamma)
        if getattr(self.likelihood, "PER_CHANNEL", False):
            found["log_gamma"] = found["log_gamma"].repeat(self.shape[0])
        return found


MODEL = Standardised
