"""From stored pixels to what a model sees; every function works on the device of its arguments.

Images stay uint8 on the device and are picked by index; nothing here waits for the device.
Dynamic binarisation draws each pixel anew from a Bernoulli with the grey value as its mean
(Salakhutdinov & Murray 2008; Burda et al. 2016, section 5).
"""

from __future__ import annotations

import torch
from torch import Tensor

from paper_repro.data.catalogue import DataSet
from paper_repro.errors import UserError


def scale(images: Tensor, levels: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 pixels 0..levels, any shape -> `dtype` in [0, 1], same shape. UserError for real
    vectors, whose `levels` is 0."""
    if not levels:
        raise UserError("dataset: it holds vectors; this needs images")
    return images.to(dtype) / levels


def binarise(images: Tensor, levels: int, uniform: Tensor) -> Tensor:
    """One Bernoulli draw per pixel with mean ``images / levels``.

    `images` uint8 [B, ...]; `uniform` in [0, 1), a shape that broadcasts with it (leading axes
    give several draws). Returns 0 and 1 in the dtype of `uniform`. Black is always 0 and full
    white always 1, because the noise never reaches 1.
    """
    return (uniform < scale(images, levels, uniform.dtype)).to(uniform.dtype)


def order(count: int, generator: torch.Generator) -> Tensor:
    """A random permutation of 0..count-1, int64 on the generator's device: one epoch's order."""
    return torch.randperm(count, generator=generator, device=generator.device)


def train_mean(data: DataSet) -> Tensor:
    """Mean training image in [0, 1], or mean vector, float32 [C*H*W]; sums are exact (vectors are
    multiples of a power of two), so it is equal on every machine."""
    dtype = torch.int64 if data.levels else torch.float64
    parts = data.train.flatten(1).split(1000)  # each is copied in that type, eight times as large
    total = torch.stack([part.sum(0, dtype=dtype) for part in parts]).sum(0)
    return (total.double() / (len(data.train) * (data.levels or 1))).float()
