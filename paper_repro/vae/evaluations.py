"""The two evaluations of protocol `frozen`, and the rows of each split under both.

ELBO, rate and distortion are those of Alemi et al. (ICML 2018), the importance bound on log p(x)
that of Burda et al. (ICLR 2016).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from paper_repro.contracts import Tensors
from paper_repro.distributions import aggregate
from paper_repro.distributions.aggregate import NormalPrior
from paper_repro.metrics.bounds import bits_per_dim
from paper_repro.rows import Row, coordinates
from paper_repro.vae import bounded, whole_set
from paper_repro.vae.model import EncoderDecoder
from paper_repro.vae.subject import Subject
from paper_repro.vae.whole_set import Likelihood, Reader, Whole

SAMPLED = coordinates(z="sampled")
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


def both(subject: Subject, reader: Reader, whole: Whole) -> list[Evaluation]:
    """``native`` and ``common``."""
    model, codes, pixels = reader.model, whole.codes, reader.model.pixels
    priors = {
        "native": whole_set.prior(subject.objective)(codes),
        "common": aggregate.best_diagonal(codes),
    }
    variances = {"native": whole_set.gamma(reader, whole), "common": None}
    if subject.data.preprocessing != "binarised":
        variances["common"] = whole.residual.mean()
    found = []
    for name, prior in priors.items():
        variance = variances[name]
        likelihood: Likelihood = reader.own
        distortion = -whole.log_likelihood
        if variance is not None:
            likelihood = whole_set.frozen(model, variance)
            each = (2 * math.pi * variance).log() + whole.residual / variance
            distortion = float(0.5 * pixels * each.mean())
        rate = float(prior.mean_kl(codes))
        like = next(iter(subject.params.values()))
        found.append(Evaluation(name, prior.to(like), likelihood, variance, rate, distortion))
    return found


def training(
    reader: Reader, whole: Whole, chosen: list[Evaluation], p: Mapping[str, Any]
) -> list[Row]:
    """Bounds of the training images at one draw each, what they settle, and two identities: the
    sampled ELBO is that with the rate in closed form (of BILBO: the objective itself), and the
    bounds of a bounded likelihood."""
    rows = []
    for one in chosen:
        rows += _bounds(one, one.rate, one.distortion, reader, p)
        if one.variance is not None:
            rows += _variance(one.name, one.variance, whole, p["units"])
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


def split(reader: Reader, chosen: list[Evaluation], split: str, p: Mapping[str, Any]) -> list[Row]:
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


def importance(
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
        at = coordinates(evaluation=own_name)
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


def counts(model: EncoderDecoder, params: Tensors) -> list[Row]:
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
