"""Gaussian likelihood of one fixed variance for all pixels (Kingma and Welling, ICLR 2014).

-log p = d/2 log(2 pi variance) + ||x - f||^2 / (2 variance). With a fixed variance, beta of the
beta-VAE is the same thing as another variance (Dai, Wenliang and Wipf, NeurIPS 2021, section 2.3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from paper_repro.likelihoods.normal import linked, log_density, residual

COMPONENT = "likelihood"
OUTPUTS = 1
LINEAR_FORM = "fixed"
OPTIONS = {"variance": 1.0, "link": "identity"}
RULES = {"variance": {"exclusiveMinimum": 0}, "link": {"enum": ["identity", "sigmoid"]}}
PREPROCESSING = ("unit", "dequantised", "none")  # a density of real values


def log_likelihood(
    x: Tensor,
    output: Tensor,
    params: Mapping[str, Tensor] | None = None,
    *,
    variance: float = 1.0,
    link: str = "identity",
) -> Tensor:
    """log p(x|z) summed over pixels, in nats/image.

    x: [B, D]; output: [..., B, D]; it has no params. Returns [..., B]. ValueError for a variance
    that is not positive and for shapes that do not agree.
    """
    if not variance > 0:
        raise ValueError(f"variance: must be positive, got {variance}")
    return log_density(residual(x, output, link), -math.log(variance))


def mean(output: Tensor, *, variance: float = 1.0, link: str = "identity") -> Tensor:
    """E[x|z]: [..., D]."""
    return linked(output, link)
