"""Networks broken on purpose: output layout, buffers, weights, batch statistics."""

from __future__ import annotations

import math

import torch
from torch import nn

from paper_repro.models import layers, wae
from paper_repro.models.layers import BatchNorm, Network
from tests.models import checks
from tests.wrong_on_purpose.case import Case

SHAPE, LATENT = (2, 8, 8), 3


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def x() -> torch.Tensor:
    return torch.randn(6, math.prod(SHAPE), generator=generator(), dtype=torch.float64)


class PixelsFirst(Network):
    """Flattens the outputs of a pixel side by side, as a channels-last framework does."""

    def forward(self, x):
        return self.head(self.body(x)).movedim(1, -1).flatten(1)


class OwnBuffers(BatchNorm):
    """Replaces its averages by new tensors, which a functional call throws away."""

    def forward(self, x):
        self.running_mean = self.running_mean.lerp(x.mean((0, -2, -1)), 1 - self.decay)
        return super().forward(x) if not self.training else x - x.mean((0, -2, -1), keepdim=True)


class AlwaysTraining(BatchNorm):
    """Takes the statistics of the batch in evaluation too."""

    def forward(self, x):
        return self.train()(x) if not self.training else super().forward(x)


def decoder(kind: type[Network]) -> Network:
    right = wae.decoder(LATENT, SHAPE, 2, generator(), base_dim=2, stages=3)
    return kind(right.inputs, right.body, right.head)


def encoder(norm: type[BatchNorm]) -> Network:
    body = nn.Sequential(
        layers.conv(2, 4, 3, 2, layers.he, generator()),
        norm(4, 0.9),
        nn.ReLU(),
        nn.Flatten(),
    )
    return Network(SHAPE, body, layers.linear(64, 3, layers.he, generator())).double()


def one_generator() -> nn.Module:
    shared = generator()
    return nn.Sequential(*[layers.linear(5, 5, layers.glorot, shared) for _ in range(3)])


def one_seed_a_layer() -> nn.Module:
    return nn.Sequential(*[layers.linear(5, 5, layers.glorot, generator()) for _ in range(3)])


CASES = [
    Case(
        "outputs of a pixel side by side",
        Network,
        PixelsFirst,
        lambda kind: not checks.first_output_comes_first(decoder(kind), SHAPE, LATENT),
    ),
    Case(
        "running averages kept by the module",
        BatchNorm,
        OwnBuffers,
        lambda norm: not checks.calls_keep_to_their_buffers(encoder(norm), x()),
    ),
    Case(
        "batch statistics in evaluation",
        BatchNorm,
        AlwaysTraining,
        lambda norm: not checks.evaluation_is_of_each_example_alone(encoder(norm), x()),
    ),
    Case(
        "every layer drawn from one seed",
        one_generator,
        one_seed_a_layer,
        lambda build: not checks.weights_are_drawn_independently(build()),
    ),
]
