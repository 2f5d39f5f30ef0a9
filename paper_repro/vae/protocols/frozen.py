"""ELBO, rate and distortion under a prior and a variance that the whole training set settles.

Two evaluations of every model (ours, after Fyffe, "There and Back Again", arXiv 1912.10309):

- ``native``: its own prior, fitted to all training images where the objective fits one, and its
  own likelihood, whose variance is frozen from all training images where it is solved for: the
  density of clean data, 1/2 ln(2 pi gamma) + r2 / (2 gamma) per value;
- ``common``: for every model one scalar gamma, the training set's mean squared error, around its
  E[x|z], and the best diagonal Gaussian prior, N(mean, diag(variance)) of the aggregate posterior
  of the training set; so that a gain is neither the bound's nor the prior's. Binary pixels keep the
  Bernoulli likelihood.

Bounds are in nats/image of the data in their `units`; what is per value is of the pixels: ELBO +
D ln units over D. Rates are exact, distortions means over `samples` draws, of training images one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from paper_repro.contracts import Objective, Tensors
from paper_repro.data import batches
from paper_repro.distributions import aggregate
from paper_repro.distributions.aggregate import NormalPrior
from paper_repro.errors import UserError
from paper_repro.metrics.bounds import bits_per_dim
from paper_repro.rows import Row, coordinates
from paper_repro.training.memory import Memory
from paper_repro.training.streams import stream
from paper_repro.vae import bounded, whole_set
from paper_repro.vae.data import as_pictures
from paper_repro.vae.interface import VAE
from paper_repro.vae.model import EncoderDecoder
from paper_repro.vae.subject import Step, Subject
from paper_repro.vae.trained import limit
from paper_repro.vae.whole_set import Likelihood, Reader, Whole

SUPPORTS = ("gaussian",)
PARAMS = {
    # narrower than the task's own rules
    "protocol": {"enum": ["frozen"]},
    "objective": {"enum": ["elbo", "beta_elbo", "bilbo", "bilbo_centred", "bilbo_full"]},
    "prior": {"enum": ["standard"], "default": "standard"},
    "splits": {
        "type": "array",
        "items": {"enum": ["validation", "test"]},
        "uniqueItems": True,
        "default": ["test"],
    },  # besides "train"
    "units": {"type": "number", "exclusiveMinimum": 0, "default": 1},  # data = units * pixels
    "samples": {"type": "integer", "minimum": 1, "default": 4},  # of z per image, in evaluation
    "test_images": {"type": "integer", "minimum": 2, "default": 10000},  # of validation too
    "train_images": {"type": "integer", "minimum": 2, "default": 1_000_000},  # all
    "importance_samples": {"type": "integer", "minimum": 1, "default": 500},
    "importance_images": {
        "type": "integer",
        "minimum": 0,
        "default": 0,
    },  # of each split, at the end
    "pictures": {"type": "integer", "minimum": 0, "default": 0},
}
SHOWS_MEAN = False
PROGRESS = "bound"
SAMPLED = "z=sampled"
DRAWS = 50  # importance samples that come from one stream


class Evaluation(NamedTuple):
    """What an image is measured with: a prior over z and log p(x|z) of clean data, at a variance
    per channel [C] or 0-d, None where that is not one; and the training set's rate and distortion
    in nats/image."""

    name: str
    prior: NormalPrior
    likelihood: Likelihood
    variance: Tensor | None
    rate: float
    distortion: float


def units(p: Mapping[str, Any], model: VAE, objective: Objective) -> dict[str, str]:
    """Names and units of the training curves."""
    found = dict.fromkeys(("bound", "rate", "distortion"), "nats/image")
    return found | ({"gamma": "mse/pixel"} if model.likelihood.init_params() else {})


def curves(step: Step) -> Tensors:
    """The bound as it is trained, with the rate that it charges, by the batch's moments where it
    fits a prior; a learned variance, geometric mean of channels, in the data's unit."""
    distortion = -step.terms.log_likelihood.mean()
    found = {"bound": step.bound, "distortion": distortion, "rate": -step.bound - distortion}
    if "likelihood.log_gamma" in step.params:
        found["gamma"] = step.params["likelihood.log_gamma"].mean().exp()
    return found


def check(subject: Subject, p: Mapping[str, Any]) -> None:
    """UserError for what cannot be measured of this model."""
    model = subject.model
    if not isinstance(model, EncoderDecoder) or model.has_flow:
        raise UserError("protocol: 'frozen' measures one encoder and one decoder, no flow")
    if p["units"] != 1 and not hasattr(model, "units"):
        raise UserError("units: only standardised networks take data in other units than pixels")
    if not model.likelihood.DENSITY:
        raise UserError("likelihood: protocol 'frozen' needs a density")
    if model.likelihood.SOLVES_VARIANCE and not hasattr(model.likelihood, "solved"):
        raise UserError("likelihood: protocol 'frozen' cannot freeze its variance; baggins can")


def evaluate(
    subject: Subject, p: Mapping[str, Any], seed: int, step: int, memory: Memory
) -> list[Row]:
    """Rows of the training set and of `splits`; those before the last step are of kind "curve"."""
    with subject.model.evaluating():
        reader = _reader(subject, p, seed, step)
        fit = whole_set.prior(subject.objective)
        plain = memory.part("whole", lambda: whole_set.read(reader, fit, p["train_images"]).plain())
        whole = Whole.of(plain)
        chosen = evaluations(subject, reader, whole)
        rows = [replace(row, split="train") for row in _training(reader, whole, chosen, p)]
        for split in p["splits"]:
            found = memory.rows(split, partial(_split, reader, chosen, split, p))
            if p["importance_images"]:
                bound = partial(_importance, reader, chosen, split, p)
                found += memory.rows(f"importance {split}", bound)
            rows += [replace(row, split=split) for row in found]
    if step == p["steps"]:
        return rows + _counts(reader.model, subject.params)
    return [replace(row, kind="curve") for row in rows]


def evaluations(subject: Subject, reader: Reader, whole: Whole) -> list[Evaluation]:
    """``native`` and ``common``."""
    model, codes, pixels = reader.model, whole.codes, reader.model.pixels
    priors = {
        "native": whole_set.prior(subject.objective)(codes),
        "common": aggregate.best_diagonal(codes),
    }
    variances = {"native": whole_set.gamma(model, whole), "common": None}
    if subject.data.preprocessing != "binarised":
        variances["common"] = whole.residual.mean()
    found = []
    for name, prior in priors.items():
        variance, likelihood = variances[name], reader.own
        distortion = -whole.log_likelihood
        if variance is not None:
            likelihood = whole_set.frozen(model, variance)
            each = (2 * math.pi * variance).log() + whole.residual / variance
            distortion = float(0.5 * pixels * each.mean())
        rate = float(prior.mean_kl(codes))
        like = next(iter(subject.params.values()))
        found.append(Evaluation(name, prior.to(like), likelihood, variance, rate, distortion))
    return found


def arrays(subject: Subject, p: Mapping[str, Any], seed: int) -> dict[str, np.ndarray]:
    """Pictures uint8 [n, C, H, W] of the end: ``samples`` from the native prior, ``pictures_test``,
    E[x|z] of the first test images at the posterior mean, and these as ``originals_test`` where
    they may be shown."""
    count, data = p["pictures"], subject.data
    if not count:
        return {}
    with subject.model.evaluating():
        reader = _reader(subject, p, seed, p["steps"])
        blocks = [q for _, q, _ in reader.blocks("train", p["train_images"])]
        prior = whole_set.prior(subject.objective)(aggregate.aggregate(*blocks))
        noise = stream(seed, "evaluation", data.name, "samples", device=data.test.device)
        posterior = next(reader.blocks("test", count))[1]
        drawn = torch.randn(posterior.mean.shape, generator=noise, device=noise.device)
        drawn = prior.to(posterior.mean).sample(drawn)
        means = {"samples": drawn, "pictures_test": posterior.mean}
        found = {
            name: data.shown(reader.mean(reader.decode(z)) / p["units"])
            for name, z in means.items()
        }
    if data.may_be_shown:
        scaled = batches.scale(data.test[:count], data.levels)
        found["originals_test"] = as_pictures(scaled, data.images.shape)
    return {name: picture.cpu().numpy() for name, picture in found.items()}


def _reader(subject: Subject, p: Mapping[str, Any], seed: int, step: int) -> Reader:
    model, device = cast(EncoderDecoder, subject.model), subject.data.test.device
    most = limit(model.pixels, device)
    return Reader(model, subject.weights, subject.data, seed, step, most, p["units"])


def _training(
    reader: Reader, whole: Whole, chosen: list[Evaluation], p: Mapping[str, Any]
) -> list[Row]:
    """Bounds of the training images at one draw each, what they settle, and two identities: the
    sampled ELBO is that with the rate in closed form (of BILBO: the objective itself), and the
    bounds of a bounded likelihood."""
    rows = []
    for one in chosen:
        rows += _bounds(one, one.rate, one.distortion, reader, p)
        variance = one.variance
        if one.name == "native" and variance is None:
            learned = reader.weights.get("likelihood.log_gamma")
            variance = None if learned is None else learned.double().exp()
        if variance is not None:
            rows += _variance(one.name, variance, whole, p["units"])
    native = -(chosen[0].rate + chosen[0].distortion)
    rows += [
        Row("mse", float(whole.residual.mean()) / p["units"] ** 2, "mse/pixel", at=SAMPLED),
        Row("elbo_sampled", native - whole.gap, "nats/image"),
        Row("sampling_gap", whole.gap, "nats/image"),
        Row("sampling_error", whole.gap_error, "nats/image"),
    ]
    return rows + bounded.rows(reader, p["batch_size"])


def _variance(name: str, variance: Tensor, whole: Whole, unit: float) -> list[Row]:
    """gamma of the pixels, and the information per value that it lets the data have in bits."""
    values = variance.reshape(-1)
    bits = 0.5 * torch.log2(1 + whole.spread / values).mean()
    rows = [Row("information", float(bits), "bits/dim", at=coordinates(evaluation=name))]
    for channel, value in enumerate(values.tolist()):
        own = {"channel": channel} if len(values) > 1 else {}
        at = coordinates(evaluation=name, **own)
        rows.append(Row("gamma", value / unit**2, "mse/pixel", at=at))
    return rows


def _split(reader: Reader, chosen: list[Evaluation], split: str, p: Mapping[str, Any]) -> list[Row]:
    """Bounds and error of the first images of another split."""
    rates = dict.fromkeys((one.name for one in chosen), 0.0)
    distortions, squared, images = dict(rates), 0.0, 0
    for x, posterior, name in reader.blocks(split, p["test_images"]):
        images += len(x)
        for one in chosen:
            rates[one.name] += float(one.prior.kl(posterior).double().sum())
        for z in reader.draws(posterior, p["samples"], name):
            output = reader.decode(z)
            squared += float((x - reader.mean(output)).double().square().sum())
            for one in chosen:
                distortions[one.name] -= float(one.likelihood(x, output).double().sum())
    draws = images * p["samples"]
    mse = squared / draws / reader.model.pixels / p["units"] ** 2
    rows = [Row("mse", mse, "mse/pixel", at=SAMPLED)]
    for one in chosen:
        rate, distortion = rates[one.name] / images, distortions[one.name] / draws
        rows += _bounds(one, rate, distortion, reader, p)
    return rows


def _bounds(
    one: Evaluation, rate: float, distortion: float, reader: Reader, p: Mapping[str, Any]
) -> list[Row]:
    at, elbo = coordinates(evaluation=one.name), -(rate + distortion)
    each = _per_value(elbo, reader)
    rows = [
        Row("elbo", elbo, "nats/image", at=at),
        Row("rate", rate, "nats/image", at=at),
        Row("distortion", distortion, "nats/image", at=at),
        Row("elbo_per_value", each, "nats/value", at=at),
    ]
    if p["preprocessing"] == "dequantised" and math.isfinite(each):
        bits = bits_per_dim(each, 1, bin_width=1 / (reader.data.levels + 1))
        rows.append(Row("bits_per_dim", bits, "bits/dim", at=at))
    return rows


def _importance(
    reader: Reader, chosen: list[Evaluation], split: str, p: Mapping[str, Any]
) -> list[Row]:
    """The importance bound of the first images of a split, and how far it is above the ELBO of the
    very same draws."""
    samples, names = p["importance_samples"], [one.name for one in chosen]
    evidence, elbo = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    images = 0
    for x, posterior, name in reader.blocks(split, p["importance_images"]):
        images += len(x)
        logs: dict[str, list[Tensor]] = {own: [] for own in names}
        for start in range(0, samples, DRAWS):
            own = (name, "importance", str(start))
            for z in reader.draws(posterior, min(DRAWS, samples - start), *own):
                output, log_q = reader.decode(z), posterior.log_prob(z)
                for one in chosen:
                    weight = one.likelihood(x, output) + one.prior.log_prob(z) - log_q
                    logs[one.name].append(weight.double())
        for own_name, found in logs.items():
            weights = torch.stack(found)
            evidence[own_name] += float((weights.logsumexp(0) - math.log(samples)).sum())
            elbo[own_name] += float(weights.mean(0).sum())
    rows = []
    for own_name in names:
        at = coordinates(evaluation=own_name, samples=samples)
        bound, gap = evidence[own_name] / images, (evidence[own_name] - elbo[own_name]) / images
        rows += [
            Row("iwae", bound, "nats/image", at=at),
            Row("iwae_per_value", _per_value(bound, reader), "nats/value", at=at),
            Row("gap", gap, "nats/image", at=at),
        ]
    return rows


def _per_value(bound: float, reader: Reader) -> float:
    """A bound in nats/image of the data as nats/value of the pixels."""
    return bound / reader.model.pixels + math.log(reader.units)


def _counts(model: EncoderDecoder, params: Tensors) -> list[Row]:
    """Outputs of both networks and parameters of each part."""
    rows = [
        Row("encoder_outputs", model.head, "1"),
        Row("decoder_outputs", model.likelihood.OUTPUTS * model.pixels, "1"),
    ]
    counts: dict[str, int] = {}
    for name, tensor in params.items():
        part = name.split(".")[0]
        counts[part] = counts.get(part, 0) + tensor.numel()
    counts.pop("probe", None)
    return rows + [
        Row("parameters", count, "1", at=coordinates(part=part)) for part, count in counts.items()
    ]
