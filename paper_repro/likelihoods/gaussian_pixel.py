"""Gaussian likelihood with a log-precision per pixel from the decoder (Kingma and Welling 2014).

Used as the nonlinear decoder with learnable variance of "Silent Gradients" (Shao, Liu and Van den
Broeck, arXiv 2508.03587). Our choice, where that paper's is unknown: the head is a log-precision,
clamped to [-2, 12], i.e. to standard deviations from 2.7 down to 0.0025 of pixels in [0, 1].
Outside the clamp the head has no gradient. The density is unbounded on constant pixels, so data of
8 bits must be dequantised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from paper_repro.likelihoods.normal import linked, log_density, require_output, split

COMPONENT = "likelihood"
OUTPUTS = 2
LINEAR_FORM = "head"
OPTIONS = {"clamp": (-2.0, 12.0), "link": "identity"}
RULES = {"clamp": {"minItems": 2, "maxItems": 2}, "link": {"enum": ["identity", "sigmoid"]}}
PREPROCESSING = ("unit", "dequantised", "none")  # a density of real values


def log_likelihood(
    x: Tensor,
    output: Tensor,
    params: Mapping[str, Tensor] | None = None,
    *,
    clamp: Sequence[float] = (-2.0, 12.0),
    link: str = "identity",
) -> Tensor:
    """log p(x|z) summed over pixels, in nats/image.

    x: [B, D]; output: [..., B, 2 D], raw means and then log-precisions; it has no params. Returns
    [..., B]. ValueError for an empty clamp interval and for shapes that do not agree.
    """
    low, high = clamp
    if not low < high:
        raise ValueError(f"clamp: needs low < high, got {list(clamp)}")
    require_output(x, output, OUTPUTS)
    raw, log_precision = split(output)
    return log_density(x - linked(raw, link), log_precision.clamp(low, high))


def mean(
    output: Tensor, *, clamp: Sequence[float] = (-2.0, 12.0), link: str = "identity"
) -> Tensor:
    """E[x|z]: [..., D] from an output of [..., 2 D]."""
    return linked(split(output)[0], link)
