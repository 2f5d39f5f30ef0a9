"""A small classifier trained beforehand and frozen, through which constraints look at images.

Constraints FRE and CLA of Rezende and Viola, "Taming VAEs" (2018), compare features of a network
trained on a related task, and probabilities of a classifier. Which ones is not known to us: this is
one network for both, trained on the labels of the same data, and our choice. Two convolutions of
stride 2 with SiLU and a linear read-out; the features are the outputs of both convolutions, each
divided by its RMS over training images, so that an error of features is relative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Generator, Tensor
from torch.nn import functional

from paper_repro.data import batches, catalogue
from paper_repro.training import optimizers
from paper_repro.training.streams import stream

WIDTHS = (16, 32)
KERNEL, STRIDE = 5, 2
BATCH, RATE = 128, 1e-3
FOR_SCALE = 2000  # training images over which the RMS of features is taken

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Classifier:
    """Frozen weights; images [..., D] of `shape` [C, H, W] with pixels in [0, 1]."""

    weights: Weights
    shape: tuple[int, int, int]
    scales: tuple[float, float]

    def probabilities(self, images: Tensor) -> Tensor:
        """p(class | image): [..., D] -> [..., classes]."""
        logits, _ = forward(self.weights, self._grid(images))
        return logits.softmax(-1).unflatten(0, images.shape[:-1])

    def features(self, images: Tensor) -> Tensor:
        """Outputs of both convolutions over their RMS: [..., D] -> [..., F]."""
        _, outputs = forward(self.weights, self._grid(images))
        scaled = [out.flatten(1) / scale for out, scale in zip(outputs, self.scales, strict=True)]
        return torch.cat(scaled, 1).unflatten(0, images.shape[:-1])

    def _grid(self, images: Tensor) -> Tensor:
        return images.reshape(-1, *self.shape)


def forward(weights: Weights, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Logits [N, classes] of images [N, C, H, W], and what both convolutions make of them."""
    options = {"stride": STRIDE, "padding": KERNEL // 2}
    first = functional.silu(functional.conv2d(images, weights["first"], weights["a"], **options))
    second = functional.silu(functional.conv2d(first, weights["second"], weights["b"], **options))
    return functional.linear(second.flatten(1), weights["out"], weights["c"]), (first, second)


@cache  # the seeds of a cell share it
def trained(name: str, steps: int, device: str) -> Classifier:
    """The classifier of data set `name` after `steps` steps of Adam; the same for every seed.

    UserError for a set without labels.
    """
    data, labels = catalogue.load(name), catalogue.labels(name)
    images, wanted = data.train.to(device), labels["train"].to(device)
    channels, height, width = data.shape
    shape = (channels, height, width)
    start = _start(shape, int(wanted.max()) + 1, stream(0, "init", name, "classifier"))
    weights = {n: w.to(device).requires_grad_() for n, w in start.items()}
    leaves = list(weights.values())
    slots = optimizers.initial_slots({"name": "adam"}, leaves)
    optimizer = optimizers.build({"name": "adam"}, leaves, slots, 0)
    order = stream(0, "order", name, "classifier", device=device)
    with torch.enable_grad():
        for _ in range(steps):
            rows = torch.randint(len(images), (BATCH,), generator=order, device=device)
            logits, _ = forward(weights, batches.scale(images[rows], data.levels))
            loss = functional.cross_entropy(logits, wanted[rows])
            gradients = list(torch.autograd.grad(loss, leaves))
            with torch.no_grad():
                optimizer.update(gradients, RATE)
    frozen = {n: w.detach() for n, w in weights.items()}
    with torch.no_grad():
        _, outputs = forward(frozen, batches.scale(images[:FOR_SCALE], data.levels))
    first, second = (float(out.square().mean().sqrt()) for out in outputs)
    return Classifier(frozen, shape, (first, second))


def _start(shape: tuple[int, int, int], classes: int, init: Generator) -> Weights:
    """He-normal weights and zero biases."""

    def drawn(*size: int) -> Tensor:
        fan_in = torch.Size(size[1:]).numel()
        return torch.randn(size, generator=init) * (2 / fan_in) ** 0.5

    (channels, height, width), (one, two) = shape, WIDTHS
    sides = [math.ceil(math.ceil(side / STRIDE) / STRIDE) for side in (height, width)]
    return {
        "first": drawn(one, channels, KERNEL, KERNEL),
        "a": torch.zeros(one),
        "second": drawn(two, one, KERNEL, KERNEL),
        "b": torch.zeros(two),
        "out": drawn(classes, two * sides[0] * sides[1]),
        "c": torch.zeros(classes),
    }
