"""Bernoulli likelihood of binary pixels, from logits (Kingma and Welling, ICLR 2014, app. C.1)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from paper_repro.likelihoods.normal import require_output

COMPONENT = "likelihood"
OUTPUTS = 1
OPTIONS: dict[str, object] = {}
PREPROCESSING = ("binarised",)  # of grey pixels it is no density


def log_likelihood(x: Tensor, logits: Tensor, params: Mapping[str, Tensor] | None = None) -> Tensor:
    """log p(x|z) summed over pixels, in nats/image.

    x: [B, D] in {0, 1}; logits: [..., B, D]; it has no params. Returns [..., B]. ValueError if the
    pixels or the batches differ.
    """
    require_output(x, logits, OUTPUTS, "logits")
    return (x * logits - torch.nn.functional.softplus(logits)).sum(-1)


def mean(logits: Tensor) -> Tensor:
    """E[x|z], the probability of each pixel: [..., D]."""
    return torch.sigmoid(logits)
