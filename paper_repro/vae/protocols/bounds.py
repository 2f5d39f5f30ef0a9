"""Bounds on the likelihood and units in use of any encoder and decoder, defined the same for all.

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
from typing import Any, cast

import numpy as np
import torch
from torch import Generator, Tensor

from paper_repro import registry
from paper_repro.contracts import Objective, Tensors
from paper_repro.data import batches
from paper_repro.errors import UserError
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
from paper_repro.training.streams import stream
from paper_repro.vae.data import Pixels, as_pictures
from paper_repro.vae.interface import VAE, Weights
from paper_repro.vae.model import EncoderDecoder
from paper_repro.vae.subject import Step, Subject
from paper_repro.vae.trained import Draws, Trained, limit, standard_normal

SUPPORTS = ("gaussian", "bernoulli", "categorical")
PARAMS = {
    "splits": {
        "type": "array",
        "items": {"enum": ["train", "validation", "test"]},
        "minItems": 1,
        "uniqueItems": True,
        "default": ["test"],
    },
    "samples": {"type": "integer", "minimum": 1, "default": 16},  # of z for an image
    "test_images": {"type": "integer", "minimum": 2, "default": 10000},  # of validation too
    "train_images": {"type": "integer", "minimum": 2, "default": 10000},
    "gradient_draws": {"type": "integer", "minimum": 0, "default": 0},  # of each of `compare`
    "pictures": {"type": "integer", "minimum": 0, "default": 0},  # saved of each split
    "outliers": {"type": "string", "default": ""},  # a data set to be told apart at the end
}
SHOWS_MEAN = False
PROGRESS = "bound"
PART = 50  # times as many images as are decoded at once are one part of an evaluation: seconds
CLOSED_FORM = {"estimate": "closed_form"}


def units(p: Mapping[str, Any], model: VAE, objective: Objective) -> dict[str, str]:
    """Names and units of the training curves: what has a meaning for this combination."""
    nats = "nats/image"
    if objective.LIKE == "autoencoder":
        return {"bound": "1", "sse": "sse/image"}
    if objective.CONSTRAINED:
        return {"bound": nats, "rate": nats}
    if not model.likelihood.DENSITY:
        return {"bound": nats, "rate": nats, "sse": "sse/image"}
    found = {"bound": nats, "elbo": nats, "rate": nats, "distortion": nats}
    return found | ({"gamma": "mse/pixel"} if model.likelihood.init_params() else {})


def curves(step: Step) -> Tensors:
    """Everything that may be logged of an estimator's terms."""
    log_likelihood, log_prior, log_posterior = (term.mean() for term in step.terms)
    rate = log_posterior - log_prior
    found = {"bound": step.bound, "elbo": log_likelihood - rate, "rate": rate}
    found |= {"distortion": -log_likelihood, "sse": -log_likelihood}
    if "likelihood.log_gamma" in step.params:
        found["gamma"] = step.params["likelihood.log_gamma"].exp()
    return found


def check(subject: Subject, p: Mapping[str, Any]) -> None:
    """UserError for what cannot be measured of this model."""
    if bool(p["compare"]) != (p["gradient_draws"] >= 2):
        raise UserError("gradient_draws: 2 or more go with `compare`, and 0 without")
    if p["compare"]:
        registry.load("parts", "gradients").check(subject.model, subject.data, p)


def evaluate(
    subject: Subject, p: Mapping[str, Any], seed: int, step: int, memory: Memory
) -> list[Row]:
    """Rows of the cell's `splits`; at the end, of its outliers; then of the gradients to compare.

    Rows taken before the last step are of kind "curve". No number of the test images depends on
    which other splits are measured.
    """
    model = cast(EncoderDecoder, subject.model)
    with model.evaluating():
        rows = _splits(model, subject, p, seed, step, memory)
        if step == p["steps"] and subject.outliers:
            part = registry.load("parts", "outliers")
            told = (subject.data, subject.outliers, subject.objective, p, seed)
            rows += memory.rows("outliers", partial(part.evaluate, model, subject.weights, *told))
    if p["compare"]:
        compared = registry.load("parts", "gradients").at_mark
        own = (subject.params, subject.buffers, subject.data, p, seed, step)
        rows += memory.rows("gradients", partial(compared, model, *own))
    return rows


def arrays(subject: Subject, p: Mapping[str, Any], seed: int) -> dict[str, np.ndarray]:
    """Pictures of the end, and points and histograms of the outliers."""
    model, found = cast(EncoderDecoder, subject.model), {}
    with model.evaluating():
        if subject.outliers:
            part = registry.load("parts", "outliers")
            found = part.arrays(model, subject.weights, subject.data, subject.outliers, p)
        if p["pictures"]:
            found |= reconstructions(model, subject.weights, subject.data, p["pictures"], seed)
    return found


def _splits(
    model: EncoderDecoder,
    subject: Subject,
    p: Mapping[str, Any],
    seed: int,
    step: int,
    memory: Memory,
) -> list[Row]:
    data, device = subject.data, subject.data.test.device
    fixed = stream(0, "evaluation", data.name, "pixels", device=device)
    seen = {
        "test": data.seen(data.test[: p["test_images"]], fixed),
        "train": data.seen(data.train[: p["train_images"]], fixed),
    }
    if "validation" in p["splits"]:
        seen["validation"] = data.seen(data.validation[: p["test_images"]], fixed)

    def noise(*split: str) -> Generator:
        return stream(seed, "evaluation", data.name, str(step), *split, device=device)

    trained = Trained(model, subject.weights, limit(model.pixels, device))
    own, mse = {"test": noise()}, None
    if subject.objective.LIKE != "autoencoder":  # there z has no distribution
        mse = trained.settle(subject.objective, seen["train"], own["test"])
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
    model: EncoderDecoder, weights: Weights, data: Pixels, count: int, seed: int
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
    trained: Trained,
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
