"""Strided convolutions and residual upsampling, with group norm and SiLU (our choice).

The architecture that the suite uses where Shao, Liu and Van den Broeck, "Silent Gradients" (arXiv
2508.03587), train on colour images; theirs is not known to us. Group norm: Wu and He (ECCV 2018);
residual blocks in the order norm, activation, convolution: He et al. (ECCV 2016).

Encoder: 3x3 convolutions of stride 2 with `widths` channels, each followed by group norm and
SiLU; linear head. Decoder: linear to the encoder's last shape; from each width to the one before
a residual block (twice group norm, SiLU and 3x3 convolution, plus the input, through a 1x1
convolution where the channels change) and nearest-neighbour upsampling; group norm, SiLU and a
3x3 convolution to the image. The sides run through those of the encoder: each is half of the
one before, rounded up. Where a side reaches 1, the remaining widths are not used. Nothing depends
on the other images of a batch.

Weights are He-normal, those of the encoder's head times `head_gain`, biases zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, nn

from paper_repro.models.layers import (
    Network,
    Residual,
    conv,
    he,
    linear,
    pyramid,
    require_positive,
)

COMPONENT = "model"
SIZES = {"widths": [64, 128, 256, 512], "groups": 8, "head_gain": 0.3}
RULES = {
    "widths": {"items": {"type": "integer", "minimum": 1}, "minItems": 1},
    "groups": {"minimum": 1},
    "head_gain": {"exclusiveMinimum": 0},
}
SIDES = {"minimum": 2}


def encoder(
    shape: tuple[int, int, int],
    outputs: int,
    init: Generator,
    *,
    widths: Sequence[int] = (64, 128, 256, 512),
    groups: int = 8,
    head_gain: float = 0.3,
) -> Network:
    """[..., C*H*W] -> [..., outputs].

    ValueError naming the argument where a side is 1 already, a size is not positive or a width
    not a multiple (2 or more) of `groups`.
    """
    require_positive(outputs=outputs)
    sides, widths = _stages(shape, widths, groups)
    body, before = nn.Sequential(), shape[0]
    for after in widths:
        body.append(conv(before, after, 3, 2, he, init))
        body.append(nn.GroupNorm(groups, after))
        body.append(nn.SiLU())
        before = after
    body.append(nn.Flatten())
    head = linear(before * sides[-1][0] * sides[-1][1], outputs, he, init)
    with torch.no_grad():
        head.weight.mul_(head_gain)
    return Network(shape, body, head)


def decoder(
    latent: int,
    shape: tuple[int, int, int],
    outputs: int,
    init: Generator,
    *,
    widths: Sequence[int] = (64, 128, 256, 512),
    groups: int = 8,
    head_gain: float = 0.3,
) -> Network:
    """[..., latent] -> [..., outputs*C*H*W]. `head_gain` is the encoder's alone. Errors as in
    `encoder`."""
    require_positive(latent=latent, outputs=outputs)
    sides, widths = _stages(shape, widths, groups)
    before, (height, width) = widths[-1], sides[-1]
    body = nn.Sequential(
        linear(latent, before * height * width, he, init),
        nn.Unflatten(1, (before, height, width)),
    )
    for after, side in zip([*widths[-2::-1], widths[0]], sides[-2::-1], strict=True):
        body.append(_block(before, after, groups, init))
        body.append(nn.Upsample(size=side))
        before = after
    body.append(nn.GroupNorm(groups, before))
    body.append(nn.SiLU())
    return Network((latent,), body, conv(before, outputs * shape[0], 3, 1, he, init))


def _block(before: int, after: int, groups: int, init: Generator) -> Residual:
    body, inside = nn.Sequential(), before
    for _ in range(2):
        body.append(nn.GroupNorm(groups, inside))
        body.append(nn.SiLU())
        body.append(conv(inside, after, 3, 1, he, init))
        inside = after
    same = before == after
    return Residual(body, nn.Identity() if same else conv(before, after, 1, 1, he, init))


def _stages(
    shape: tuple[int, int, int], widths: Sequence[int], groups: int
) -> tuple[list[tuple[int, int]], list[int]]:
    """Sides before and after each stage, and the channels after it."""
    require_positive(widths=min(widths, default=0), groups=groups)
    for channels in widths:
        if channels % groups or channels == groups:  # a group of one value is normalised to zero
            raise ValueError(f"widths: {channels} is not 2 or more times groups = {groups}")
    sides = pyramid(shape, len(widths))
    return sides, list(widths[: len(sides) - 1])
