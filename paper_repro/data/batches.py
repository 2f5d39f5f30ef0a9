"""From stored pixels to what a model sees; every function works on the device of its arguments.

Images stay uint8 on the device and are picked by index; nothing here waits for the device.
Dynamic binarisation draws each pixel anew from a Bernoulli with the grey value as its mean
(Salakhutdinov & Murray 2008; Burda et al. 2016, section 5).
"""

from __future__ import annotations

import torch
from torch import Tensor

from paper_repro.data.catalogue import DataSet


def scale(images: Tensor, levels: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 pixels 0..levels, any shape -> `dtype` in [0, 1], same shape."""
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
    """Mean training image in [0, 1], float32 [C*H*W]; exact sums, so equal on every machine."""
    parts = data.train.flatten(1).split(1000)  # each becomes int64 as a whole, eight times its size
    total = torch.stack([part.sum(0, dtype=torch.int64) for part in parts]).sum(0)
    return (total.double() / (len(data.train) * data.levels)).float()
