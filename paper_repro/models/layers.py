"""Layers, initialisations and shape checks that the encoder and decoder networks share.

Glorot and Bengio (AISTATS 2010) and He et al. (ICCV 2015) for the weights, Ioffe and Szegedy
(ICML 2015) for batch normalisation. The layers are torch's own, but their weights are drawn from
the generator passed in: torch's constructors would draw from the global one. Weights are drawn on
the generator's device, so a CPU generator gives one set of weights whatever device trains them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Generator, Tensor, nn

Draw = Callable[[tuple[int, ...], int, int, Generator], Tensor]
"""(shape, fan in, fan out, generator) -> weight."""

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def glorot(shape: tuple[int, ...], fan_in: int, fan_out: int, generator: Generator) -> Tensor:
    """Uniform on +-sqrt(6 / (fan in + fan out))."""
    draw = torch.rand(shape, generator=generator, device=generator.device)
    return (2 * draw - 1) * (6 / (fan_in + fan_out)) ** 0.5


def he(shape: tuple[int, ...], fan_in: int, fan_out: int, generator: Generator) -> Tensor:
    """N(0, 2 / fan in)."""
    return normal((2 / fan_in) ** 0.5)(shape, fan_in, fan_out, generator)


def normal(scale: float) -> Draw:
    """N(0, scale^2), whatever the fans."""

    def draw(shape: tuple[int, ...], fan_in: int, fan_out: int, generator: Generator) -> Tensor:
        return scale * torch.randn(shape, generator=generator, device=generator.device)

    return draw


def linear(inputs: int, outputs: int, draw: Draw, generator: Generator) -> nn.Linear:
    """Affine map [..., inputs] -> [..., outputs] with zero bias."""
    layer = nn.Linear(inputs, outputs, device="meta")
    return _fill(layer, draw((outputs, inputs), inputs, outputs, generator))


def conv(
    inputs: int, outputs: int, kernel: int, stride: int, draw: Draw, generator: Generator
) -> nn.Conv2d:
    """Convolution that divides the sides by `stride`, rounding up (an even kernel needs stride 2
    and even sides), with zero bias.

    Padding is symmetric. TensorFlow's "same" pads one pixel less before than after where an odd
    kernel moves by two, so networks first written there are shifted by one pixel here.
    """
    layer = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, device="meta")
    area = kernel**2
    shape = (outputs, inputs, kernel, kernel)
    return _fill(layer, draw(shape, area * inputs, area * outputs, generator))


def deconv(
    inputs: int, outputs: int, kernel: int, draw: Draw, generator: Generator
) -> nn.ConvTranspose2d:
    """Transposed convolution that doubles the sides, with zero bias; padding as in `conv`."""
    layer = nn.ConvTranspose2d(
        inputs, outputs, kernel, 2, (kernel - 1) // 2, output_padding=kernel % 2, device="meta"
    )
    area = kernel**2
    shape = (inputs, outputs, kernel, kernel)
    return _fill(layer, draw(shape, area * inputs, area * outputs, generator))


def _fill(layer: Layer, weight: Tensor) -> Layer:
    assert layer.bias is not None
    layer.bias = nn.Parameter(weight.new_zeros(layer.bias.shape))
    layer.weight = nn.Parameter(weight)
    return layer


class BatchNorm(nn.Module):
    """Batch normalisation of [N, C] or [N, C, H, W] with eps 1e-5.

    In training the statistics are those of the batch, and the running averages move by 1 - decay
    of the way towards them: in place, in whatever buffers the call is given, so that
    `functional_call` with clones leaves the module's own alone (alone or under `torch.vmap`). In
    evaluation they are the running averages: wait for several times 1 / (1 - decay) steps. As in
    torch, the running variance is the unbiased one.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, decay: float) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"norm_decay: {decay}, expected at least 0 and below 1")
        self.decay = decay
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training,
            momentum=1 - self.decay,
            eps=1e-5,
        )


class Residual(nn.Module):
    """body(x) + shortcut(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


class Network(nn.Module):
    """[..., D] -> [..., D'], flat at both ends, around layers that want one batch axis.

    `inputs` is the shape, of D elements, that an example has in `body`; `head` is the read-out
    layer. What the head returns for an example is flattened: [outputs * C, H, W] becomes first all
    pixels of the first output, channel by channel, then those of the second. ValueError where the
    last axis is not D.
    """

    def __init__(self, inputs: tuple[int, ...], body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.inputs, self.body, self.head = inputs, body, head

    def forward(self, x: Tensor) -> Tensor:
        *lead, size = x.shape
        if size != math.prod(self.inputs):
            raise ValueError(f"x: last axis {size}, expected {math.prod(self.inputs)}")
        out = self.head(self.body(x.reshape(math.prod(lead), *self.inputs)))
        return out.reshape(*lead, math.prod(out.shape[1:]))


def pyramid(shape: tuple[int, int, int], stages: int) -> list[tuple[int, int]]:
    """Sides of an image before and after each of at most `stages` halvings, rounded up; it ends
    where a side is 1. ValueError where one is 1 from the start."""
    _, height, width = require_image(shape)
    if min(height, width) < 2:
        raise ValueError(f"shape: {list(shape)}, height and width must be at least 2")
    sides = [(height, width)]
    while len(sides) <= stages and min(sides[-1]) > 1:
        sides.append(((sides[-1][0] + 1) // 2, (sides[-1][1] + 1) // 2))
    return sides


def require_image(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """(C, H, W) as ints; ValueError where `shape` is not three positive numbers."""
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"shape: {list(shape)}, expected positive [channels, height, width]")
    channels, height, width = shape
    return channels, height, width


def require_positive(**sizes: int) -> None:
    """ValueError naming the first size below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}: {size}, expected at least 1")
