"""Bernoulli likelihood of binary pixels, parametrised by logits."""

from __future__ import annotations

import torch
from torch import Tensor


def log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    """log p(x|z) summed over pixels, in nats/image.

    x: [B, D] in {0, 1}; logits: [..., B, D]. Returns [..., B]. ValueError if the pixels differ.
    """
    if x.shape[-1] != logits.shape[-1]:
        raise ValueError(f"logits: {logits.shape[-1]} pixels, but x has {x.shape[-1]}")
    return (x * logits - torch.nn.functional.softplus(logits)).sum(-1)
