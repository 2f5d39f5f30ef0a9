"""Gaussian likelihood of one learned variance per channel (the row without a bound of E1; ours).

Of a grey image it is `gaussian_gamma`. Networks that keep the scale of the data to themselves
(`vae.standardised`) give ``log_gamma`` an entry per channel; elsewhere all channels share one.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from paper_repro.likelihoods import channels
from paper_repro.likelihoods.normal import linked, residual

COMPONENT = "likelihood"
OUTPUTS = 1
OPTIONS = {"link": "identity"}
RULES = {"link": {"enum": ["identity", "sigmoid"]}}
PREPROCESSING = ("unit", "dequantised", "none")  # a density of real values
PER_CHANNEL = True


def init_params() -> dict[str, Tensor]:
    """log gamma = 0: gamma starts at 1."""
    return {"log_gamma": torch.zeros(())}


def log_likelihood(
    x: Tensor, output: Tensor, params: Mapping[str, Tensor], *, link: str = "identity"
) -> Tensor:
    """log p(x|z) summed over pixels, in nats/image.

    x: [B, C * P]; output: [..., B, C * P]; ``log_gamma``: [C], or 0-d for one of all channels.
    Returns [..., B]. ValueError where it is missing or shapes do not agree.
    """
    if "log_gamma" not in params:
        raise ValueError(f"params: no entry 'log_gamma', found {sorted(params)}")
    log_gamma = params["log_gamma"].reshape(-1)
    sums = channels.squares(residual(x, output, link), len(log_gamma))
    return channels.log_density(sums, log_gamma, x.shape[-1] // len(log_gamma))


def mean(output: Tensor, *, link: str = "identity") -> Tensor:
    """E[x|z]: [..., D]."""
    return linked(output, link)
