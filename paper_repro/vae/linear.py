"""Linear decoders of a Gaussian likelihood: their expected log-likelihood has a closed form.

Shao, Liu and Van den Broeck, "Silent Gradients" (arXiv 2508.03587). Such a decoder is the model's
own, or a guide beside a nonlinear one (`vae.parts.guide`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from paper_repro.contracts import Likelihood
from paper_repro.estimators.linear_joint import LinearJoint
from paper_repro.vae.interface import Images, Weights

Options = Mapping[str, Any]


def form(likelihood: Likelihood, options: Options, variance_form: str) -> str:
    """How the variance is written (see `likelihoods.expected`); "" where nothing is closed."""
    if options.get("link", "identity") != "identity":
        return ""
    return variance_form if likelihood.LINEAR_FORM == "head" else likelihood.LINEAR_FORM


def start(images: Images, centred: bool, likelihood: Likelihood, form: str) -> dict[str, Any]:
    """Where it starts, as sizes of `models.linear`: at the mean image and the pixels' variance;
    where the precision is a square, zero would be no start at all."""
    found: dict[str, Any] = {"bias": images.mean if centred else None}
    if likelihood.OUTPUTS == 2:
        precision = 1 / images.variance
        value = math.sqrt(precision) if form == "SQ" else math.log(precision)
        found["scale_bias"] = torch.full((len(images.mean),), value)
        found["constant_scale"] = form == "L0"
    return found


def joint(
    x: Tensor,
    params: Weights,
    form: str,
    log_prior: Callable[[Tensor], Tensor],
    likelihood: Likelihood,
    options: Options,
) -> LinearJoint:
    """The log joint of images x [B, pixels]; `params` are the decoder's and the likelihood's."""
    variance = None
    if form == "fixed":
        learned = params.get("log_gamma")
        variance = {**likelihood.OPTIONS, **options}.get("variance")
        variance = variance if learned is None else learned.exp()
    return LinearJoint(x, params, form, log_prior, variance=variance)
