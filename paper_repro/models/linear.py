"""A linear decoder, W z + b and, as second output, V z + c (Shao et al., arXiv 2508.03587, fig. 1).

The decoder whose expected log-likelihood is known in closed form: "Silent Gradients", by Shao, Liu
and Van den Broeck, who give no initialisation that we know of. Ours: W of standard deviation
`weight_std`, about sqrt(variance / pixels), so that a latent's noise costs about half a nat at the
start (a larger start can kill W before it is used); b the mean image; V small; c given.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn

COMPONENT = "model"
SIZES = {"weight_std": 0.01, "scale_std": 1e-3, "constant_scale": False}
RULES = {"weight_std": {"exclusiveMinimum": 0}, "scale_std": {"exclusiveMinimum": 0}}


class LinearDecoder(nn.Module):
    """[..., latent] -> [..., outputs * pixels]; weight, scale_weight [pixels, latent], and biases.

    Drawn from `init`, the weight first, so that a second output leaves the first as it was.
    `constant_scale` leaves scale_weight out: the second output is then scale_bias alone.
    """

    def __init__(
        self,
        latent: int,
        pixels: int,
        outputs: int,
        init: Generator,
        *,
        weight_std: float,
        scale_std: float,
        constant_scale: bool,
        bias: Tensor | None = None,
        scale_bias: Tensor | None = None,
    ) -> None:
        super().__init__()
        if outputs not in (1, 2):
            raise ValueError(f"outputs: a linear decoder has 1 or 2 per pixel, got {outputs}")
        if outputs == 1 and (constant_scale or scale_bias is not None):
            raise ValueError("outputs: constant_scale and scale_bias need a second output")

        def normal(std: float) -> nn.Parameter:
            if not std > 0:
                raise ValueError(f"weight_std, scale_std: must be positive, got {std}")
            shape = (pixels, latent)
            return nn.Parameter(std * torch.randn(shape, generator=init, device=init.device))

        def start(name: str, value: Tensor | None) -> nn.Parameter:
            start = torch.zeros(pixels, device=init.device) if value is None else value.detach()
            if tuple(start.shape) != (pixels,):
                raise ValueError(f"{name}: shape {list(start.shape)}, expected {[pixels]}")
            return nn.Parameter(start.clone())

        self.weight, self.bias = normal(weight_std), start("bias", bias)
        self.scale_weight = normal(scale_std) if outputs == 2 and not constant_scale else None
        self.scale_bias = start("scale_bias", scale_bias) if outputs == 2 else None

    def forward(self, z: Tensor) -> Tensor:
        mean = nn.functional.linear(z, self.weight, self.bias)
        if self.scale_bias is None:
            return mean
        if self.scale_weight is None:
            scale = self.scale_bias.expand_as(mean)
        else:
            scale = nn.functional.linear(z, self.scale_weight, self.scale_bias)
        return torch.cat([mean, scale], -1)


def decoder(
    latent: int,
    shape: tuple[int, int, int],
    outputs: int,
    init: Generator,
    *,
    weight_std: float = 0.01,
    scale_std: float = 1e-3,
    constant_scale: bool = False,
    bias: Tensor | None = None,
    scale_bias: Tensor | None = None,
) -> LinearDecoder:
    """A linear decoder of images of `shape` (C, H, W); raw outputs, 1 or 2 per value.

    bias [C * H * W]: the training set's mean image; scale_bias: where the second output starts,
    minus the log of each value's variance for a log-precision. Both are zero where not given.
    ValueError naming what does not fit.
    """
    return LinearDecoder(
        latent,
        math.prod(shape),
        outputs,
        init,
        weight_std=weight_std,
        scale_std=scale_std,
        constant_scale=constant_scale,
        bias=bias,
        scale_bias=scale_bias,
    )
