"""Images on the device and what a model sees of them, with an order of its own for every epoch.

Pixels 0..L become k / L ("unit"), (k + u) / (L + 1) with u uniform on [0, 1) ("dequantised": a
density of them is a probability of levels; Theis, van den Oord and Bethge, ICLR 2016, section
3.1), or Bernoulli draws of mean k / L, anew at every visit ("binarised"; Salakhutdinov and Murray,
ICML 2008). Sets of real vectors are seen as they are ("none").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Generator, Tensor

from paper_repro.data import batches, catalogue, names
from paper_repro.errors import UserError
from paper_repro.training.streams import stream
from paper_repro.vae.interface import Images

FOR_VARIANCE = 1000  # images: the variance of pixels only says where a linear decoder starts


@dataclass(frozen=True)
class Pixels:
    """A data set on a device: the three splits are uint8 [N, C*H*W] in 0..levels, or float32
    vectors [N, D] where `levels` is 0."""

    name: str
    fingerprint: str
    levels: int
    preprocessing: str
    train: Tensor
    validation: Tensor
    test: Tensor
    images: Images
    note: str = ""
    # of conditional sets, by split: images uint8 [N, C'*H*W] and numbers float32 [N, n]
    conditions: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def condition(self, split: str, rows: Tensor | slice) -> Tensor:
        """Conditions [B, planes * H * W] of some images of a split: pictures in [0, 1], numbers as
        constant planes."""
        pictures, numbers = (part[rows] for part in self.conditions[split])
        side = math.prod(self.images.shape[1:])
        planes = numbers[..., None].expand(*numbers.shape, side).flatten(1)
        return torch.cat([batches.scale(pictures, self.levels), planes], 1)

    def preprocess(self, images: Tensor, generator: Generator) -> Tensor:
        """What a model sees of images or vectors [B, C*H*W] of a split; of images, in [0, 1]."""
        return self.preprocess_with(images, self.pixel_noise(images.shape, generator))

    def pixel_noise(self, shape: Sequence[int], generator: Generator) -> Tensor | None:
        """The uniform noise on [0, 1) of pixels that are drawn or dequantised."""
        if self.preprocessing in ("none", "unit"):
            return None
        return torch.rand(shape, generator=generator, device=generator.device)

    def preprocess_with(self, images: Tensor, uniform: Tensor | None) -> Tensor:
        """`preprocess` with that noise."""
        if self.preprocessing == "none":
            return images
        if uniform is None:
            return batches.scale(images, self.levels)
        if self.preprocessing == "binarised":
            return batches.binarise(images, self.levels, uniform)
        return (images + uniform) / (self.levels + 1)

    def shown(self, seen: Tensor) -> Tensor:
        """Images [N, C*H*W] on the scale of `seen`, such as means, as pictures."""
        if self.preprocessing == "dequantised":  # back to the middle of its level
            seen = (seen * (self.levels + 1) - 0.5) / self.levels
        return as_pictures(seen, self.images.shape)

    @property
    def may_be_shown(self) -> bool:
        """Whether the data set's own images may stand in a figure."""
        return names.may_be_shown(self.name)

    def check(self, p: Mapping[str, Any]) -> None:
        """Refuse parameters of a cell that suit images alone: UserError naming the parameter."""
        if self.levels:
            return
        chosen = {
            "pictures": p["pictures"],
            "likelihood": p["likelihood"] == "bernoulli" and "bernoulli",
            "likelihood_options.link": p["likelihood_options"].get("link") == "sigmoid"
            and "sigmoid",
        }
        for parameter, value in chosen.items():
            if value:
                raise UserError(f"{parameter}: {value} is for images; {self.name} holds vectors")

    def order(self, seed: int, size: int, *, fixed: bool = False) -> Callable[[int], Tensor]:
        """step -> indices [size] into `train`, of a new order every epoch or of one that is
        `fixed`; what is left of an epoch at its end is skipped."""
        per_epoch = len(self.train) // size
        if not per_epoch:
            raise UserError(
                f"batch_size: {size} exceeds the {len(self.train)} training images of {self.name}"
            )

        @lru_cache(maxsize=1)
        def permutation(*epoch: str) -> Tensor:
            generator = stream(seed, "order", self.name, *epoch)
            return batches.order(len(self.train), generator).to(self.train.device)

        def at(step: int) -> Tensor:
            start = step % per_epoch * size
            epoch = () if fixed else (str(step // per_epoch),)
            return permutation(*epoch)[start : start + size]

        return at


def as_pictures(x: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Images [N, C*H*W], clipped to [0, 1], as uint8 [N, C, H, W] of 256 levels."""
    return (x.clamp(0, 1) * 255).round().byte().unflatten(1, shape)


@cache  # the seeds of a cell share it
def load(name: str, preprocessing: str, device: str) -> Pixels:
    """Read a data set. UserError naming it where its pixels are not whole numbers 0..levels, hence
    no NaN either, or all images are equal; UserError for a preprocessing that does not suit it."""
    data = catalogue.load(name)
    if (preprocessing == "none") != (not data.levels):
        kind, takes = ("images", "not 'none'") if data.levels else ("vectors", "'none' alone")
        raise UserError(f"preprocessing: {preprocessing!r}, but {name} holds {kind}: {takes}")
    for split in (data.train, data.validation, data.test):
        if data.levels and (split.dtype != torch.uint8 or int(split.max()) > data.levels):
            raise UserError(f"dataset {name}: pixels are not all whole numbers 0..{data.levels}")
    mean = batches.train_mean(data)
    if preprocessing == "dequantised":
        mean = (mean * data.levels + 0.5) / (data.levels + 1)
    some = data.train[:FOR_VARIANCE].flatten(1)
    some = batches.scale(some, data.levels) if data.levels else some
    variance = float((some - some.mean(0)).square().mean())
    if not variance > 0:
        raise UserError(f"dataset {name}: its first {len(some)} training images are all equal")
    channels, height, width = data.shape
    planes = 0
    if data.conditions:
        pictures, numbers = data.conditions["train"]
        planes = pictures.shape[1] + numbers.shape[1]
    return Pixels(
        name,
        data.fingerprint,
        data.levels,
        preprocessing,
        data.train.flatten(1).to(device),
        data.validation.flatten(1).to(device),
        data.test.flatten(1).to(device),
        Images((channels, height, width), mean, variance, planes),
        data.note,
        {
            split: (pictures.flatten(1).to(device), numbers.to(device))
            for split, (pictures, numbers) in data.conditions.items()
        },
    )
