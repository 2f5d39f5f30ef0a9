"""ConvDRAW: convolutional LSTMs that draw an image in T steps (Gregor et al. 2016).

Gregor et al., "Towards Conceptual Compression" (NIPS 2016), in the form in which Eslami et al.,
"Neural scene representation and rendering" (Science 2018), use it; a model of Rezende and Viola,
"Taming VAEs" (2018), who do not give its sizes: all sizes and initial weights are our choice.

At a quarter of the resolution, with 5x5 kernels and generator state h_g (from zero), each step is
  prior      N(mean, softplus)  of  [h_g, condition]
  inference  LSTM of [h_g, image, condition] -> h_i;  posterior  N(mean, softplus)  of  h_i
  generator  LSTM of [z, condition] -> h_g;  canvas += transposed convolution of h_g
and the raw output is a 1x1 convolution of the last canvas: a sigmoid, where there is one, belongs
to the likelihood. Image and condition are brought down by convolutions of stride 4. Canvases are
linear in the states, so the states are summed first and convolved once.

Sizes: the default (S) is for 28x28 on a CPU; hidden 64, z_channels 8, steps 8 (M) for 32x32 on a
GPU. The Science paper's are hidden 128, z_channels 64, steps 12.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from paper_repro.models.layers import conv, glorot, require_image, require_positive

COMPONENT = "model"
NETWORKS = "convdraw"
SUPPORTS = ("convdraw",)
PROTOCOLS = ("plane",)
SIZES = {"hidden": 32, "z_channels": 4, "steps": 4}
RULES = {"hidden": {"minimum": 1}, "z_channels": {"minimum": 1}, "steps": {"minimum": 1}}
SIDES = {"multipleOf": 4}
STRIDE = 4
SCALE_FLOOR = 1e-6  # softplus underflows, and its log must not

Gaussian = tuple[Tensor, Tensor]
Draw = Callable[[int, Gaussian, Gaussian | None], Tensor]


class ConvLSTM(nn.Module):
    """One step of a convolutional LSTM (Shi et al., NIPS 2015), without peepholes."""

    def __init__(self, inputs: int, hidden: int, generator: Generator) -> None:
        super().__init__()
        self.gates = conv(inputs + hidden, 4 * hidden, 5, 1, glorot, generator)
        forget = torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(hidden)
        self.gates.bias = nn.Parameter(forget.to(self.gates.weight))  # the cell remembers at first

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """[N, inputs, h, w] and (h, cell), each [N, hidden, h, w] -> the next (h, cell)."""
        hidden, cell = state
        write, keep, read, update = self.gates(torch.cat([x, hidden], 1)).chunk(4, 1)
        cell = keep.sigmoid() * cell + write.sigmoid() * update.tanh()
        return read.sigmoid() * cell.tanh(), cell


class ConvDRAWNet(nn.Module):
    """The network of images `shape` [C, H, W], with `outputs` outputs a pixel.

    `condition_channels` > 0 makes it conditional, on a [condition_channels, H, W] input (numbers
    enter as constant planes). `units` is the number of latents of a step. ValueError, naming the
    argument, for sides that 4 does not divide and sizes that are not positive.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        outputs: int,
        init: Generator,
        *,
        hidden: int = 32,
        z_channels: int = 4,
        steps: int = 4,
        condition_channels: int = 0,
    ) -> None:
        super().__init__()
        channels, height, width = require_image(shape)
        if height % STRIDE or width % STRIDE:
            raise ValueError(f"shape: {list(shape)}, sides must be multiples of {STRIDE}")
        require_positive(outputs=outputs, hidden=hidden, z_channels=z_channels, steps=steps)
        if condition_channels < 0:
            raise ValueError(f"condition_channels: {condition_channels}, expected 0 or more")
        self.shape, self.hidden, self.steps = (channels, height, width), hidden, steps
        self.condition_channels = condition_channels
        self.latent = (z_channels, height // STRIDE, width // STRIDE)
        self.units = math.prod(self.latent)
        patch, extra = STRIDE**2, hidden if condition_channels else 0
        self.down = conv(patch * channels, hidden, 1, 1, glorot, init)
        self.prior = conv(hidden + extra, 2 * z_channels, 5, 1, glorot, init)
        self.inference = ConvLSTM(2 * hidden + extra, hidden, init)
        self.posterior = conv(hidden, 2 * z_channels, 5, 1, glorot, init)
        self.generator = ConvLSTM(z_channels + extra, hidden, init)
        self.up = conv(hidden, patch * hidden, 1, 1, glorot, init)
        self.read = conv(hidden, outputs * channels, 1, 1, glorot, init)
        if condition_channels:
            self.down_condition = conv(patch * condition_channels, hidden, 1, 1, glorot, init)

    def forward(
        self,
        lead: tuple[int, ...],
        x: Tensor | None,
        condition: Tensor | None,
        draw: Draw,
    ) -> Tensor:
        """Raw output [*lead, outputs * C*H*W], laid out as likelihoods take it.

        x [*lead, C*H*W], or None to generate; condition [*lead, condition_channels*H*W], or None
        in a network without one. draw(step, prior, posterior) -> z_t [*lead, units], where prior
        and posterior are (mean, log_scale), each [*lead, units]; no posterior where there is no x.
        """
        if (condition is not None) != bool(self.condition_channels):
            have = "none" if condition is None else "one"
            raise ValueError(
                f"condition: got {have}, but condition_channels is {self.condition_channels}"
            )
        rows, context = math.prod(lead), []
        if condition is not None:
            image = self._image("condition", condition, self.condition_channels, lead)
            context = [self.down_condition(_patches(image))]
        seen = None
        if x is not None:
            seen = self.down(_patches(self._image("x", x, self.shape[0], lead)))
        zeros = self.down.weight.new_zeros(rows, self.hidden, *self.latent[1:])
        inferred, generated = (zeros, zeros), (zeros, zeros)
        total = zeros
        for step in range(self.steps):
            prior = self._gaussian(self.prior(torch.cat([generated[0], *context], 1)), lead)
            posterior = None
            if seen is not None:
                inputs = torch.cat([generated[0], seen, *context], 1)
                inferred = self.inference(inputs, inferred)
                posterior = self._gaussian(self.posterior(inferred[0]), lead)
            z = draw(step, prior, posterior).reshape(rows, *self.latent)
            generated = self.generator(torch.cat([z, *context], 1), generated)
            total = total + generated[0]
        canvas = nn.functional.pixel_shuffle(self.up(total), STRIDE)
        return self.read(canvas).reshape(*lead, -1)

    def call(
        self,
        params: Mapping[str, Tensor],
        lead: tuple[int, ...],
        x: Tensor | None,
        condition: Tensor | None,
        draw: Draw,
    ) -> Tensor:
        """The same with explicit weights instead of its own."""
        output: Tensor = functional_call(self, dict(params), (lead, x, condition, draw))
        return output

    def _image(self, name: str, flat: Tensor, channels: int, lead: tuple[int, ...]) -> Tensor:
        expected = (*lead, channels * math.prod(self.shape[1:]))
        if tuple(flat.shape) != expected:
            raise ValueError(f"{name}: shape {list(flat.shape)}, expected {list(expected)}")
        return flat.reshape(math.prod(lead), channels, *self.shape[1:])

    def _gaussian(self, head: Tensor, lead: tuple[int, ...]) -> Gaussian:
        mean, raw = (part.reshape(*lead, self.units) for part in head.chunk(2, 1))
        return mean, (nn.functional.softplus(raw) + SCALE_FLOOR).log()


def _patches(image: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, 16 C, H/4, W/4]. A 1x1 convolution of it is a 4x4 one of stride 4, as
    one followed by `pixel_shuffle` is the transposed one."""
    return nn.functional.pixel_unshuffle(image, STRIDE)
