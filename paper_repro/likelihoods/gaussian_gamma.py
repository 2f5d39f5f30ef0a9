"""Gaussian likelihood of one learned variance gamma (Dai, Wenliang, Wipf, NeurIPS 2021, eq. 3).

Their loss is twice the negative ELBO without its constant: ||x - f||^2 / gamma + d log gamma is
-2 log p(x|z) - d log 2 pi. gamma is a VARIANCE; the public code of the authors' earlier paper
(Dai and Wipf, ICLR 2019) learns the standard deviation gamma_x = sqrt(gamma), also through its
logarithm and also from 1. Where log gamma = 2 log gamma_x, a step of Adam on log gamma moves gamma
half as far as the same step on log gamma_x.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from paper_repro.likelihoods.normal import linked, log_density, residual

COMPONENT = "likelihood"
OUTPUTS = 1
LINEAR_FORM = "fixed"
OPTIONS = {"link": "identity"}
RULES = {"link": {"enum": ["identity", "sigmoid"]}}
PREPROCESSING = ("unit", "dequantised", "none")  # a density of real values


def init_params() -> dict[str, Tensor]:
    """log gamma = 0, a 0-d tensor: gamma starts at 1."""
    return {"log_gamma": torch.zeros(())}


def log_likelihood(
    x: Tensor, output: Tensor, params: Mapping[str, Tensor], *, link: str = "identity"
) -> Tensor:
    """log p(x|z) summed over pixels, in nats/image.

    x: [B, D]; output: [..., B, D]; params as made by `init_params`. Returns [..., B]. ValueError
    where `log_gamma` is missing or shapes do not agree.
    """
    if "log_gamma" not in params:
        raise ValueError(f"params: no entry 'log_gamma', found {sorted(params)}")
    if params["log_gamma"].ndim:
        raise ValueError(
            f"params['log_gamma']: must be 0-d, has shape {list(params['log_gamma'].shape)}"
        )
    return log_density(residual(x, output, link), -params["log_gamma"])


def mean(output: Tensor, *, link: str = "identity") -> Tensor:
    """E[x|z]: [..., D]."""
    return linked(output, link)
