"""Residual networks for square images of side 2^n (Dai and Wipf, ICLR 2019).

Dai and Wipf, "Diagnosing and Enhancing VAE Models", architecture figure of the appendix, with the
settings of the released code. A residual block is twice (batch norm, ReLU, 3x3 convolution)
plus a 3x3 convolution as shortcut.

Encoder: 3x3 convolution to `base_dim` channels; `num_scale` residual blocks, between them a
3x3 convolution of stride 2 that doubles the channels; average over the pixels; a fully connected
residual block (twice ReLU and linear to `fc_dim`, plus a linear shortcut); linear head. Decoder:
linear to 2 x 2; up to the side of the image a 3x3 transposed convolution of stride 2 and a
residual block; 3x3 convolution to the image. Its channels are `base_dim` for the full image and
twice as many for each halving of the side, but at most 1024.

Weights are Glorot-uniform, biases zero.
"""

from __future__ import annotations

from torch import Generator, Tensor, nn

from paper_repro.models.layers import (
    BatchNorm,
    Network,
    Residual,
    conv,
    deconv,
    glorot,
    linear,
    require_image,
    require_positive,
)

COMPONENT = "model"
SIZES = {"num_scale": 4, "base_dim": 32, "fc_dim": 512, "norm_decay": 0.999}
RULES = {
    "num_scale": {"minimum": 1},
    "base_dim": {"minimum": 1},
    "fc_dim": {"minimum": 1},
    "norm_decay": {"minimum": 0, "exclusiveMaximum": 1},
}
SIDES = {"enum": [2, 4, 8, 16, 32, 64, 128, 256, 512]}

WIDEST = 1024


class PixelMean(nn.Module):
    """[N, C, H, W] -> [N, C]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((-2, -1))


def encoder(
    shape: tuple[int, int, int],
    outputs: int,
    init: Generator,
    *,
    num_scale: int = 4,
    base_dim: int = 32,
    fc_dim: int = 512,
    norm_decay: float = 0.999,
) -> Network:
    """[..., C*H*W] -> [..., outputs].

    ValueError naming the argument where the image is not a square whose side is a power of two, a
    size is not positive, or the side cannot be halved num_scale - 1 times.
    """
    require_positive(outputs=outputs, num_scale=num_scale, base_dim=base_dim, fc_dim=fc_dim)
    colours, side = _square(shape)
    if side < 2 ** (num_scale - 1):
        raise ValueError(f"num_scale: {num_scale}, a side of {side} is not halved that often")
    dim = base_dim
    body = nn.Sequential(conv(colours, dim, 3, 1, glorot, init))
    body.append(_block(dim, norm_decay, init))
    for _ in range(num_scale - 1):
        body.append(conv(dim, 2 * dim, 3, 2, glorot, init))
        dim *= 2
        body.append(_block(dim, norm_decay, init))
    body.append(PixelMean())
    body.append(
        Residual(
            nn.Sequential(
                nn.ReLU(),
                linear(dim, fc_dim, glorot, init),
                nn.ReLU(),
                linear(fc_dim, fc_dim, glorot, init),
            ),
            linear(dim, fc_dim, glorot, init),
        )
    )
    return Network(shape, body, linear(fc_dim, outputs, glorot, init))


def decoder(
    latent: int,
    shape: tuple[int, int, int],
    outputs: int,
    init: Generator,
    *,
    num_scale: int = 4,
    base_dim: int = 32,
    fc_dim: int = 512,
    norm_decay: float = 0.999,
) -> Network:
    """[..., latent] -> [..., outputs*C*H*W]. `num_scale` and `fc_dim` are the encoder's alone.
    Errors as in `encoder`."""
    require_positive(latent=latent, outputs=outputs, base_dim=base_dim)
    colours, side = _square(shape)
    first, *others = channels(side, base_dim)
    body = nn.Sequential(
        linear(latent, first * 2 * 2, glorot, init), nn.Unflatten(1, (first, 2, 2))
    )
    before = first
    for after in others:
        body.append(deconv(before, after, 3, glorot, init))
        body.append(_block(after, norm_decay, init))
        before = after
    return Network((latent,), body, conv(before, outputs * colours, 3, 1, glorot, init))


def channels(side: int, base_dim: int) -> list[int]:
    """The decoder's channels at sides 2, 4, ..., `side`."""
    found = [base_dim]
    while 2 ** len(found) < side:
        found.append(min(2 * found[-1], WIDEST))
    return found[::-1]


def _block(channels: int, norm_decay: float, init: Generator) -> Residual:
    """A residual block that keeps the number of channels."""
    body = nn.Sequential()
    for _ in range(2):
        body.append(BatchNorm(channels, norm_decay))
        body.append(nn.ReLU())
        body.append(conv(channels, channels, 3, 1, glorot, init))
    return Residual(body, conv(channels, channels, 3, 1, glorot, init))


def _square(shape: tuple[int, int, int]) -> tuple[int, int]:
    """(C, side)."""
    colours, height, width = require_image(shape)
    if height != width or height < 2 or height & (height - 1):
        raise ValueError(f"shape: {list(shape)}, expected a square whose side is a power of two")
    return colours, height
