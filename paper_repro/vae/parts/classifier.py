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
from paper_repro.training.fit import fitted
from paper_repro.training.streams import stream
from paper_repro.vae import data as images
from paper_repro.vae.interface import Look

COMPONENT = "part"
NAMED_BY = ("classifier_steps",)
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


@cache  # read once a process, for training and for whoever asks about classes
def labels(name: str, device: str) -> dict[str, Tensor]:
    """Classes of the images of each split, int64 [N]; UserError for a set without labels."""
    return {split: part.to(device) for split, part in catalogue.labels(name).items()}


@cache  # the seeds of a cell share it
def trained(name: str, steps: int, device: str) -> Classifier:
    """The classifier of data set `name` after `steps` steps of Adam; the same for every seed.

    UserError for a set without labels.
    """
    wanted = labels(name, device)["train"]
    data = images.load(name, "unit", device)
    shape = data.images.shape
    start = _start(shape, int(wanted.max()) + 1, stream(0, "init", name, "classifier"))
    order = stream(0, "order", name, "classifier", device=device)

    def seen(rows: Tensor | slice) -> Tensor:
        return batches.scale(data.train[rows], data.levels).unflatten(1, shape)

    def loss(weights: Weights) -> Tensor:
        rows = torch.randint(len(data.train), (BATCH,), generator=order, device=device)
        return functional.cross_entropy(forward(weights, seen(rows))[0], wanted[rows])

    weights = fitted({n: w.to(device) for n, w in start.items()}, loss, steps, RATE)
    with torch.no_grad():
        _, outputs = forward(weights, seen(slice(FOR_SCALE)))
    first, second = (float(out.square().mean().sqrt()) for out in outputs)
    return Classifier(weights, shape, (first, second))


def look(name: str, steps: int, device: str) -> Look:
    """The classifier of data set `name` with the one-hot labels of its splits."""
    network, found = trained(name, steps, device), labels(name, device)
    classes = int(max(part.max() for part in found.values())) + 1
    one_hot = functional.one_hot
    return Look(network, {split: one_hot(part, classes).float() for split, part in found.items()})


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
