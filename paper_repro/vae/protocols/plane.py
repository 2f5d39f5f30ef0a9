"""What is measured of a VAE at the end of its training, with one sampled z an image, as it trains.

Rezende and Viola, "Taming VAEs" (arXiv 1810.00597): KL, reconstruction error and the constraints
RE, FRE, CLA and PNCC as numbers. The likelihood has no place in GECO, so negative log-likelihoods
are those of the best single Gaussian variance, D/2 ln(2 pi e MSE) (our reading of the paper's
axis). Coverage (ours): how many draws from the prior decode to something near a training image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from paper_repro import registry
from paper_repro.contracts import Objective, Tensors
from paper_repro.data import batches
from paper_repro.objectives.constraints import patch_correlation
from paper_repro.rows import Row, coordinates
from paper_repro.training.memory import Memory
from paper_repro.training.streams import stream
from paper_repro.vae.data import as_pictures
from paper_repro.vae.interface import VAE, Frozen
from paper_repro.vae.subject import Step, Subject
from paper_repro.vae.trained import standard_normal

SUPPORTS = ("gaussian", "convdraw")
PREPROCESSING = ("unit",)
PARAMS = {
    "test_images": {"type": "integer", "minimum": 2, "default": 2000},  # of each split
    # RMS errors
    "targets": {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "default": []},
    "prior_samples": {"type": "integer", "minimum": 0, "default": 0},  # for coverage
    # the bracket's settings
    "marginal": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "steps": {"type": "integer", "minimum": 0},
            "codes": {"type": "integer", "minimum": 2},
            "encoders": {"type": "integer", "minimum": 2},
        },
        "default": {},
    },
    "pictures": {"type": "integer", "minimum": 0, "default": 0},
}
SHOWS_MEAN = True
PROGRESS = "mse"
BLOCK = 250  # images encoded and decoded at a time
NEIGHBOURS = 5000  # training images among which the nearest is looked for
RADIUS = 2  # coverage counts what is within this many times a target


def units(p: Mapping[str, Any], model: VAE, objective: Objective) -> dict[str, str]:
    """Names and units of the training curves."""
    found = {"bound": "nats/image", "rate": "nats/image", "mse": "mse/pixel"}
    return found | ({"gamma": "mse/pixel"} if model.likelihood.init_params() else {})


def curves(step: Step) -> Tensors:
    """The bound, the rate and the error, at the sampled z, and a learned variance."""
    assert step.mse is not None
    terms = step.terms
    rate = (terms.log_posterior - terms.log_prior).mean()
    found = {"bound": step.bound, "rate": rate, "mse": step.mse}
    if "likelihood.log_gamma" in step.params:
        found["gamma"] = step.params["likelihood.log_gamma"].exp()
    return found


def check(subject: Subject, p: Mapping[str, Any]) -> None:
    """It measures every model that it serves."""


def evaluate(
    subject: Subject, p: Mapping[str, Any], seed: int, step: int, memory: Memory
) -> list[Row]:
    """All rows of the end; none of a mark."""
    if step != p["steps"]:
        return []
    with subject.model.evaluating():
        return final_rows(subject, p, seed)


def arrays(subject: Subject, p: Mapping[str, Any], seed: int) -> dict[str, np.ndarray]:
    """The pictures of the end."""
    if not p["pictures"]:
        return {}
    with subject.model.evaluating():
        return pictures(subject, p["pictures"], seed)


def final_rows(subject: Subject, p: Mapping[str, Any], seed: int) -> list[Row]:
    """All rows of the end, within ``model.evaluating()``; `p` are the cell's parameters."""
    data, device = subject.data, subject.data.test.device
    rows: list[Row] = []
    for split, images in (("train", data.train), ("test", data.test)):
        noise = stream(seed, "evaluation", data.name, split, device=device)
        count = min(p["test_images"], len(images))
        rows += _split(subject, images[:count], split, p, noise)
    if p["prior_samples"]:
        noise = stream(seed, "evaluation", data.name, "prior", device=device)
        rows += _coverage(subject, p, noise)
    if p["marginal"]:
        part = registry.load("parts", "marginal")
        rows += part.bracket_rows(subject.model, subject.weights, data, seed, **p["marginal"])
    count = sum(weight.numel() for weight in subject.params.values())
    return [*rows, Row("parameters", count, "1")]


def pictures(subject: Subject, count: int, seed: int) -> dict[str, np.ndarray]:
    """Pictures uint8 [count, C, H, W], within ``model.evaluating()``: reconstructions of the first
    test images at a sampled z, `samples` from the prior and, where they may be shown, originals
    and the images that a conditional model is given."""
    data, device = subject.data, subject.data.test.device
    noise = stream(seed, "evaluation", data.name, "pictures", device=device)
    images = data.test[:count]
    x = batches.scale(images, data.levels)
    _, mean = _decoded(subject, x, "test", slice(0, count), noise)
    found = {"pictures_test": mean, "samples": _prior_means(subject, count, "test", noise)}
    if data.may_be_shown:
        found["originals_test"] = x
        if data.conditions:
            shown = data.condition("test", slice(0, count))
            found["conditions_test"] = shown[:, : data.conditions["test"][0].shape[1]]
    shapes = {"conditions_test": (1, *data.images.shape[1:])}
    return {
        name: as_pictures(values, shapes.get(name, data.images.shape)).cpu().numpy()
        for name, values in found.items()
    }


def _decoded(
    subject: Subject, x: Tensor, split: str, rows: slice, noise: Generator
) -> tuple[Tensor, Tensor]:
    """KL in nats [B] and E[x|z] [B, D] at one draw of z, of images x [B, D]."""
    model, weights = subject.model, subject.weights
    posterior = model.posterior(weights, x, subject.condition(split, rows))
    z = posterior.rsample(standard_normal(posterior, 1, noise))
    return model.rate(weights, posterior, z), model.mean(weights, z)[0]


def _split(
    subject: Subject, images: Tensor, split: str, p: Mapping[str, Any], noise: Generator
) -> list[Row]:
    """The rows of one split's images, uint8 [N, D]."""
    data, model = subject.data, subject.model
    sums: dict[str, list[Tensor]] = {}

    def add(**values: Tensor) -> None:
        for name, value in values.items():
            sums.setdefault(name, []).append(value.double())

    for start in range(0, len(images), BLOCK):
        x = batches.scale(images[start : start + BLOCK], data.levels)
        rows = slice(start, start + len(x))
        rate, mean = _decoded(subject, x, split, rows, noise)
        add(rate=rate, sse=(x - mean).square().sum(-1))
        shift = (x - mean).unflatten(-1, model.shape).mean((-1, -2)).abs().mean(-1)
        add(brightness_error=shift)
        if p["patch"].get("patch", 7) <= min(model.shape[1:]):
            for name, image in (("patch_correlation", mean), ("patch_limit", x)):
                violation = patch_correlation(x, image, kappa=1, shape=model.shape, **p["patch"])
                add(**{name: 1 - violation})
        if look := subject.look:
            add(**_classes(look.network, look.labels[split][rows], x, mean))
    means = {name: float(torch.cat(parts).mean()) for name, parts in sums.items()}
    return [*_plane(means, model.pixels, split, p["targets"]), *_others(means, split)]


def _classes(network: Frozen, labels: Tensor, x: Tensor, mean: Tensor) -> Tensors:
    """What the frozen classifier makes of reconstructions [B, D] and of the images themselves."""
    found, real, wanted = network.probabilities(mean), network.probabilities(x), labels.argmax(-1)
    return {
        "class_probability": (found * labels).sum(-1),
        "accuracy": found.argmax(-1) == wanted,
        "classifier_accuracy": real.argmax(-1) == wanted,
        "feature_error": (network.features(x) - network.features(mean)).square().mean(-1),
    }


def _plane(
    means: Mapping[str, float], pixels: int, split: str, targets: Iterable[float]
) -> list[Row]:
    """KL and error in every unit that the papers use, and how far the error is from targets."""
    mse, sampled = means["sse"] / pixels, coordinates(z="sampled")
    root = math.sqrt(mse)
    nll = 0.5 * pixels * math.log(2 * math.pi * math.e * mse) if mse > 0 else -math.inf
    rows = [
        Row("rate", means["rate"], "nats/image", split=split),
        Row("sse", means["sse"], "sse/image", split=split, at=sampled),
        Row("mse", mse, "mse/pixel", split=split, at=sampled),
        Row("rmse", root, "rmse/pixel", split=split, at=sampled),
        Row("nll", nll, "nats/image", split=split),
    ]
    if split == "train":
        rows.append(Row("reached", root, "rmse/pixel", split=split))  # what another run may take
    for target in targets:  # either way, and above a threshold or below
        excess = math.log(root / target) if root > 0 else -math.inf
        at = coordinates(target=float(target))
        rows.append(Row("off_target", abs(excess), "1", split=split, at=at))
        at = coordinates(kappa=float(target))
        rows.append(Row("excess", excess, "1", split=split, at=at))
    return rows


def _others(means: Mapping[str, float], split: str) -> list[Row]:
    plane = ("rate", "sse")
    return [Row(n, value, "1", split=split) for n, value in means.items() if n not in plane]


def _coverage(subject: Subject, p: Mapping[str, Any], noise: Generator) -> list[Row]:
    """Distances of draws from the prior to the nearest training image, RMS per pixel."""
    data = subject.data
    samples = _prior_means(subject, p["prior_samples"], "test", noise)
    train = batches.scale(data.train[:NEIGHBOURS], data.levels)
    nearest = torch.cat([torch.cdist(part, train).amin(1) for part in samples.split(BLOCK)])
    nearest = nearest / math.sqrt(subject.model.pixels)
    rows = [Row("nearest", float(nearest.mean()), "rmse/pixel", split="test")]
    for target in p["targets"]:
        within = float((nearest <= RADIUS * target).double().mean())
        at = coordinates(radius=float(RADIUS * target))
        rows.append(Row("coverage", within, "1", split="test", at=at))
    return rows


def _prior_means(subject: Subject, count: int, split: str, noise: Generator) -> Tensor:
    """E[x|z] [count, D] of draws of z from the prior, under the conditions of the first images."""
    model, parts = subject.model, []
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        shape = model.noise_shapes(1, size)["z"][1:]
        drawn = torch.randn(shape, generator=noise, device=noise.device)
        given = subject.condition(split, slice(start, start + size))
        parts.append(model.prior_means(subject.weights, drawn, given))
    return torch.cat(parts)
