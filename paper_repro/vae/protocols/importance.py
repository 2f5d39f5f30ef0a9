"""What is measured on a trained VAE: bounds on the likelihood, units in use, gradient noise.

Protocol of Burda et al. (ICLR 2016) and of the code released with Roeder et al. (NIPS 2017):
5,000-sample importance bound on the test images, freshly binarised; the same after removing
units whose encoder mean varies by no more than 0.01 over 500 training images. For pairs of runs
the bound is also taken on one binarisation that is the same for every run (our choice).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Generator, Tensor

from paper_repro import registry
from paper_repro.contracts import Objective, Tensors
from paper_repro.data import batches
from paper_repro.metrics.importance import log_likelihood_bound
from paper_repro.metrics.units import active_units
from paper_repro.rows import Row, coordinates
from paper_repro.training.memory import Memory
from paper_repro.training.streams import stream
from paper_repro.vae.interface import VAE, Weights
from paper_repro.vae.layered import Layered, prune
from paper_repro.vae.subject import Step, Subject
from paper_repro.vae.trained import standard_normal

SUPPORTS = ("gaussian", "two_layer")
PREPROCESSING = ("binarised",)
PARAMS = {
    "samples": {"type": "integer", "minimum": 1, "default": 5000},  # of the bound
    "test_images": {"type": "integer", "minimum": 2, "default": 10000},
    "train_images": {"type": "integer", "minimum": 2, "default": 10000},
    "fresh_binarisation": {"type": "boolean", "default": True},
    "gradient_draws": {"type": "integer", "minimum": 2, "default": 100},  # of each of `compare`
}
SHOWS_MEAN = False
PROGRESS = "bound"
ROWS = {"cpu": 5_000, "cuda": 250_000}  # decoder rows at a time: cache on a CPU, memory on a GPU
PART = 50  # times as many are one part of an evaluation: some seconds


def units(p: Mapping[str, Any], model: VAE, objective: Objective) -> dict[str, str]:
    """Names and units of the training curves."""
    return {"elbo": "nats/image", "bound": "nats/image"}


def curves(step: Step) -> Tensors:
    """The ELBO, whatever the objective, and the bound that is trained."""
    terms = step.terms
    elbo = (terms.log_likelihood + terms.log_prior - terms.log_posterior).mean()
    return {"elbo": elbo, "bound": step.bound}


def check(subject: Subject, p: Mapping[str, Any]) -> None:
    """It measures every model that it serves."""


def evaluate(
    subject: Subject, p: Mapping[str, Any], seed: int, step: int, memory: Memory
) -> list[Row]:
    """The variance of the gradients to compare, at every mark and at the end, and all rows of the
    end."""
    model, weights, data = cast(Layered, subject.model), subject.weights, subject.data
    rows: list[Row] = []
    if p["compare"]:
        device = data.train.device
        generator = stream(seed, "gradient", data.name, device=device)
        x = data.preprocess(data.train[: p["batch_size"]], generator)
        compared = registry.load("parts", "gradients").gradient_variance
        rows += compared(model, weights, x, p, generator, memory)
    if step == p["steps"]:
        with model.evaluating():
            rows += final_rows(model, weights, subject, p, seed, memory)
    return rows


def arrays(subject: Subject, p: Mapping[str, Any], seed: int) -> dict[str, np.ndarray]:
    """None: nothing is drawn of these runs."""
    return {}


def final_rows(
    model: Layered,
    weights: Tensors,
    subject: Subject,
    p: Mapping[str, Any],
    seed: int,
    memory: Memory,
) -> list[Row]:
    """All rows of the end, in nats/image, within ``model.evaluating()``."""
    data = subject.data
    device = str(data.test.device)
    test, train = data.test[: p["test_images"]], data.train[: p["train_images"]]
    probe = data.train[:500]
    fixed = stream(0, "binarisation", data.name, device=device)  # one binarisation for all runs
    test_fixed, train_fixed, probe = (
        batches.binarise(x, data.levels, torch.rand(x.shape, generator=fixed, device=device))
        for x in (test, train, probe)
    )

    limit = ROWS[device.split(":")[0]]
    images = PART * max(1, limit // p["samples"])  # whole chunks of the bound: the same draws

    def nll(at: Weights, x: Tensor, name: str, pruned: str = "") -> float:
        generator = stream(seed, "evaluation", data.name, name, device=device)
        log_w, samples = log_weights(model, at), p["samples"]
        bounds = [
            memory.drawn(
                f"nll {name} {pruned} {i}",
                generator,
                partial(log_likelihood_bound, log_w, part, samples, generator, limit),
            ).to(device)
            for i, part in enumerate(x.split(images))
        ]
        return -float(torch.cat(bounds).double().mean())

    def row(metric: str, value: float, split: str, binarisation: str) -> Row:
        at = coordinates(binarisation=binarisation, samples=p["samples"])
        return Row(metric, value, "nats/image", split, at)

    rows = [
        row("nll", nll(weights, test_fixed, "test"), "test", "fixed"),
        row("nll", nll(weights, train_fixed, "train"), "train", "fixed"),
    ]
    if p["fresh_binarisation"]:
        generator = stream(seed, "evaluation", data.name, "fresh", device=device)
        uniform = torch.rand(test.shape, generator=generator, device=device)
        fresh = batches.binarise(test, data.levels, uniform)
        rows.append(row("nll", nll(weights, fresh, "test"), "test", "fresh"))
    keep = [active_units(means) for means in model.posterior_means(weights, probe)]
    rows += [
        Row("active_units", float(mask.sum()), "1", at=coordinates(stochastic_layer=i + 1))
        for i, mask in enumerate(keep)
    ]
    idle = any(not bool(mask.all()) for mask in keep)  # else nothing is removed: the same bound
    pruned = nll(prune(weights, keep), test_fixed, "test", "pruned") if idle else rows[0].value
    rows.append(row("nll_pruned", pruned, "test", "fixed"))
    return rows + rate_distortion(model, weights, test_fixed, seed, data.name)


def rate_distortion(model: Layered, weights: Weights, x: Tensor, seed: int, name: str) -> list[Row]:
    """ELBO, rate E log q(z|x)/p(z) and distortion -E log p(x|z) of binary images x [N, pixels],
    one posterior sample an image."""
    generator = stream(seed, "evaluation", name, "rate", device=str(x.device))
    rate = distortion = 0.0
    for part in x.split(1000):
        posterior = model.posterior(weights, part)
        z = posterior.rsample(standard_normal(posterior, 1, generator))
        with torch.no_grad():
            likelihood, prior = model.log_joint(weights, part, posterior)(z)
            rate += float((posterior.log_prob(z) - prior).double().sum())
            distortion -= float(likelihood.double().sum())
    values = {"elbo": -(rate + distortion), "rate": rate, "distortion": distortion}
    return [Row(metric, v / len(x), "nats/image", "test") for metric, v in values.items()]


def log_weights(model: Layered, weights: Weights) -> Callable[[Tensor, int, Generator], Tensor]:
    """log p(x, z) - log q(z|x) of fresh samples, [k, B], for `metrics.importance`."""

    def ratios(x: Tensor, k: int, generator: Generator) -> Tensor:
        with torch.no_grad():
            posterior = model.posterior(weights, x)
            z = posterior.rsample(standard_normal(posterior, k, generator))
            likelihood, prior = model.log_joint(weights, x, posterior)(z)
            return likelihood + prior - posterior.log_prob(z)

    return ratios
