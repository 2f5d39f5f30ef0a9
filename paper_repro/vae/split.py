"""The rows of one split of the data: bounds on the likelihood, errors, units in use.

ELBO, rate and distortion are those of Alemi et al. (ICML 2018), the importance bound on log p(x)
that of Burda et al. (ICLR 2016).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from paper_repro.metrics.bounds import bits_per_dim
from paper_repro.metrics.mmd import mmd
from paper_repro.metrics.units import (
    THRESHOLD,
    VARIANCE_THRESHOLDS,
    active_units,
    effective_rank,
    informative_units,
)
from paper_repro.rows import Row, coordinates
from paper_repro.training.memory import Memory
from paper_repro.vae.data import Pixels
from paper_repro.vae.model import EncoderDecoder
from paper_repro.vae.trained import Draws, Trained

PART = 50  # times as many images as are decoded at once are one part of an evaluation: seconds
CLOSED_FORM = {"estimate": "closed_form"}


def split_rows(
    trained: Trained,
    x: Tensor,
    mse: Tensor | None,
    noise: Generator,
    split: str,
    data: Pixels,
    p: Mapping[str, Any],
    memory: Memory,
) -> list[Row]:
    """The rows of images x [N, pixels] of a split, whose names they leave open.

    `mse` is the squared error on the training images, None of an autoencoder.
    """
    posterior, gaussian = trained.posterior(x), p["latent"] == "gaussian"
    rows, model = _units(posterior), trained.model
    if gaussian:
        rows += _errors((x - trained.mean(posterior.mean_z())).square().sum(-1), model, z="mean")
    if mse is None:
        return rows
    draws = _drawn(trained, x, p["samples"], noise, split, memory)
    rows += _errors(draws.sse, model, z="sampled")
    rows += _bounds(trained, x, posterior, draws, mse, data, p)
    rows += _gamma(trained)
    if gaussian and split == "test":  # its time grows with the square of the images
        rows.append(_distance(draws.z, trained.prior, noise))
    return rows


def _drawn(
    trained: Trained, x: Tensor, samples: int, noise: Generator, split: str, memory: Memory
) -> Draws:
    """The draws for all images of a split, remembered part by part."""
    images = PART * max(1, trained.limit // samples)  # whole chunks of `draw`: the same draws

    def draw(part: Tensor) -> tuple[Tensor, ...]:
        return tuple(trained.draw(part, samples, noise))

    parts = [
        memory.drawn(f"{split} {i}", noise, partial(draw, part))
        for i, part in enumerate(x.split(images))
    ]
    return Draws(*(torch.cat(own).to(x.device) for own in zip(*parts, strict=True)))


def _bounds(
    trained: Trained,
    x: Tensor,
    posterior: Any,
    draws: Draws,
    mse: Tensor,
    data: Pixels,
    p: Mapping[str, Any],
) -> list[Row]:
    """The rate and, for each likelihood that is a density, distortion, ELBO and bits/dim."""
    pixels, sampled = x.shape[1], {"samples": p["samples"]}
    closed = trained.rate(posterior)
    rate = _mean(draws.log_ratio if closed is None else closed)
    where = coordinates(**(sampled if closed is None else CLOSED_FORM))
    rows = [Row("rate", rate, "nats/image", at=where)]

    def add(distortion: float, **at: object) -> None:
        where, elbo = coordinates(**at), -(rate + distortion)
        rows.append(Row("distortion", distortion, "nats/image", at=where))
        rows.append(Row("elbo", elbo, "nats/image", at=where))
        if p["preprocessing"] == "dequantised":
            width = 1 / (data.levels + 1)
            bits = _or_nan(bits_per_dim, torch.tensor(elbo), dims=pixels, bin_width=width)
            rows.append(Row("bits_per_dim", bits, "bits/dim", at=where))

    if trained.model.likelihood.DENSITY:
        add(-_mean(draws.log_likelihood), **sampled)
        evidence = _mean(draws.log_evidence)
        rows.append(Row("iwae", evidence, "nats/image", at=coordinates(**sampled)))
        if (distortion := trained.closed_distortion(x, posterior)) is not None:
            add(_mean(distortion), **CLOSED_FORM)
    if p["preprocessing"] != "binarised":
        constant = 0.5 * pixels * (math.log(2 * math.pi) + mse.log())
        refitted = constant + draws.sse / (2 * mse)
        add(_mean(refitted), likelihood="refitted", **sampled)
    return rows


def _errors(sse: Tensor, model: EncoderDecoder, z: str) -> list[Row]:
    """Squared errors per image [N] as what the papers report, at the z named."""
    total, at = _mean(sse), coordinates(z=z)
    mse = total / model.pixels
    return [
        Row("sse", total, "sse/image", at=at),
        Row("mse", mse, "mse/pixel", at=at),
        Row("rmse", mse**0.5, "rmse/pixel", at=at),
    ]


def _units(posterior: Any) -> list[Row]:
    """Latent dimensions in use, by each rule and threshold."""
    means = posterior.mean_z()
    active = _or_nan(lambda m: active_units(m).sum(), means)
    rows = [Row("active_units", active, "1", at=coordinates(threshold=THRESHOLD))]
    rows.append(Row("effective_rank", _or_nan(effective_rank, means), "1"))
    if posterior.kind == "gaussian":
        variances = (2 * posterior.log_scale).exp()
        for threshold in VARIANCE_THRESHOLDS:
            count = _or_nan(lambda v, t: informative_units(v, t).sum(), variances, t=threshold)
            rows.append(Row("informative_units", count, "1", at=coordinates(threshold=threshold)))
    return rows


def _gamma(trained: Trained) -> list[Row]:
    """The variance of p(x|z) that was learned or solved for, per channel if it has several."""
    learned = trained.weights.get("likelihood.log_gamma")
    found = trained.variance if learned is None else learned.exp()
    if found is None:
        return []
    values = found.reshape(-1).tolist()
    at = [coordinates(channel=c) if len(values) > 1 else "" for c in range(len(values))]
    return [Row("gamma", v, "mse/pixel", at=a) for v, a in zip(values, at, strict=True)]


def _distance(z: Tensor, prior: Tensor | None, noise: Generator) -> Row:
    """MMD of one draw of q(z|x) an image to as many of the Gaussian prior, both standardised."""
    standardised = z if prior is None else z * (-prior).exp()
    other = torch.randn(z.shape, generator=noise, device=z.device)
    return Row("mmd", _or_nan(mmd, standardised, prior=other), "1")


def _mean(values: Tensor) -> float:
    return float(values.double().mean())


def _or_nan(metric: Callable[..., Any], tensor: Tensor, **options: Any) -> float:
    """The metric of a tensor, NaN where the tensor is not finite: divergence is a result."""
    return float(metric(tensor, **options)) if bool(tensor.isfinite().all()) else math.nan
