"""What is measured on any VAE put together from parts, with the same definitions for all.

ELBO, rate and distortion are those of Alemi et al. (ICML 2018), the importance bound on log p(x)
that of Burda et al. (ICLR 2016). Every image gets `samples` draws of z, discrete ones hard, from
which all is estimated that has no closed form. All runs see the same images of a split. Since
bounds under different likelihoods do not compare, there is also an ELBO ``refitted``: under a
Gaussian likelihood of one variance, the mean squared error on the training images (our choice).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from paper_repro.data import batches
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
from paper_repro.training.composed_data import Pixels, as_pictures
from paper_repro.training.composed_model import ComposedVAE, Weights
from paper_repro.training.memory import Memory
from paper_repro.training.streams import stream
from paper_repro.training.trained_vae import Draws, TrainedVAE, standard_normal

VALUES = {"cpu": 4_000_000, "cuda": 200_000_000}  # pixels decoded at a time: cache or memory
PART = 50  # times as many are one part of an evaluation: some seconds
NO_DENSITY = ("squared_error",)
CLOSED_FORM = {"estimate": "closed_form"}


def evaluate_composed(
    model: ComposedVAE,
    weights: Weights,
    data: Pixels,
    objective: ModuleType,
    p: Mapping[str, Any],
    seed: int,
    step: int,
    memory: Memory,
) -> list[Row]:
    """All rows of the cell's `splits` at these weights, within ``model.evaluating()``.

    `p` are the cell's parameters; rows taken before the last step are of kind "curve". No number
    of the test images depends on which other splits are measured.
    """
    device = data.test.device
    fixed = stream(0, "evaluation", data.name, "pixels", device=device)
    seen = {
        "test": data.seen(data.test[: p["test_images"]], fixed),
        "train": data.seen(data.train[: p["train_images"]], fixed),
    }
    if "validation" in p["splits"]:
        seen["validation"] = data.seen(data.validation[: p["test_images"]], fixed)

    def noise(*split: str) -> Generator:
        return stream(seed, "evaluation", data.name, str(step), *split, device=device)

    trained = TrainedVAE(model, weights, max(1, VALUES[device.type] // model.pixels))
    own, mse = {"test": noise()}, None
    if getattr(objective, "LIKE", "elbo") != "autoencoder":  # there z has no distribution
        mse = trained.settle(objective, seen["train"], own["test"])
    own |= {split: noise(split) for split in p["splits"] if split != "test"}
    kind = "final" if step == p["steps"] else "curve"

    def rows(split: str) -> list[Row]:
        return _split(trained, seen[split], mse, own[split], split, data, p, memory)

    return [
        replace(row, split=split, kind=kind)
        for split in p["splits"]
        for row in memory.rows(split, partial(rows, split))
    ]


def reconstructions(
    model: ComposedVAE, weights: Weights, data: Pixels, count: int, seed: int
) -> dict[str, np.ndarray]:
    """Pictures uint8 [count, C, H, W], within ``model.evaluating()``: ``pictures_<split>``, E[x|z]
    of the first test and validation images, and these as ``originals_<split>`` where they may be
    shown. z is the posterior mean of a Gaussian and a draw of a discrete posterior."""
    device, found = data.test.device, {}
    for split, images in (("test", data.test), ("validation", data.validation)):
        first = images[:count]
        fixed, noise = (
            stream(s, "evaluation", data.name, "pictures", split, device=device) for s in (0, seed)
        )
        posterior = model.posterior(weights, data.seen(first, fixed))
        if posterior.kind == "gaussian":
            z = posterior.mean_z()
        else:
            z = posterior.sample(standard_normal(posterior, 1, noise)).squeeze(0)
        found[f"pictures_{split}"] = data.shown(model.mean(weights, z))
        if data.may_be_shown:
            original = batches.scale(first, data.levels)
            found[f"originals_{split}"] = as_pictures(original, data.images.shape)
    return {name: picture.cpu().numpy() for name, picture in found.items()}


def _split(
    trained: TrainedVAE,
    x: Tensor,
    mse: Tensor | None,
    noise: Generator,
    split: str,
    data: Pixels,
    p: Mapping[str, Any],
    memory: Memory,
) -> list[Row]:
    """The rows of one split's images x [N, pixels]; without `mse`, of an autoencoder."""
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
    trained: TrainedVAE, x: Tensor, samples: int, noise: Generator, split: str, memory: Memory
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
    trained: TrainedVAE,
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
        if p["preprocessing"] == "dequantised" and p["likelihood"] != "bernoulli":
            width = 1 / (data.levels + 1)
            bits = _or_nan(bits_per_dim, torch.tensor(elbo), dims=pixels, bin_width=width)
            rows.append(Row("bits_per_dim", bits, "bits/dim", at=where))

    if p["likelihood"] not in NO_DENSITY:
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


def _errors(sse: Tensor, model: ComposedVAE, z: str) -> list[Row]:
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


def _gamma(trained: TrainedVAE) -> list[Row]:
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
