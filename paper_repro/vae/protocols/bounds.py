"""Bounds on the likelihood and units in use of any encoder and decoder, defined the same for all.

ELBO, rate and distortion are those of Alemi et al. (ICML 2018), the importance bound on log p(x)
that of Burda et al. (ICLR 2016). Every image gets `samples` draws of z, discrete ones hard, from
which all is estimated that has no closed form. All runs see the same images of a split. Since
bounds under different likelihoods do not compare, there is also an ELBO ``refitted``: under a
Gaussian likelihood of one variance, the mean squared error on the training images (our choice).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np
from torch import Generator

from paper_repro import registry
from paper_repro.contracts import Objective, Tensors
from paper_repro.data import batches
from paper_repro.errors import UserError
from paper_repro.rows import Row
from paper_repro.training.memory import Memory
from paper_repro.training.streams import stream
from paper_repro.vae.data import Pixels, as_pictures
from paper_repro.vae.interface import VAE, Weights
from paper_repro.vae.model import EncoderDecoder
from paper_repro.vae.split import split_rows
from paper_repro.vae.subject import Step, Subject
from paper_repro.vae.trained import Trained, limit, standard_normal

SUPPORTS = ("gaussian", "bernoulli", "categorical")
PARAMS = {
    "splits": {
        "type": "array",
        "items": {"enum": ["train", "validation", "test"]},
        "minItems": 1,
        "uniqueItems": True,
        "default": ["test"],
    },
    "samples": {"type": "integer", "minimum": 1, "default": 16},  # of z per image, in evaluation
    "test_images": {"type": "integer", "minimum": 2, "default": 10000},  # of validation too
    "train_images": {"type": "integer", "minimum": 2, "default": 10000},
    "gradient_draws": {"type": "integer", "minimum": 0, "default": 0},  # of each of `compare`
    "pictures": {"type": "integer", "minimum": 0, "default": 0},  # saved of each split
    "outliers": {"type": "string", "default": ""},  # a data set to be told apart at the end
}
SHOWS_MEAN = False
PROGRESS = "bound"


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
        raise UserError("gradient_draws: at least 2 with `compare`, else 0")
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
        "test": data.preprocess(data.test[: p["test_images"]], fixed),
        "train": data.preprocess(data.train[: p["train_images"]], fixed),
    }
    if "validation" in p["splits"]:
        seen["validation"] = data.preprocess(data.validation[: p["test_images"]], fixed)

    def noise(*split: str) -> Generator:
        return stream(seed, "evaluation", data.name, str(step), *split, device=device)

    trained = Trained(model, subject.weights, limit(model.pixels, device))
    own, mse = {"test": noise()}, None
    if subject.objective.LIKE != "autoencoder":  # there z has no distribution
        mse = trained.fit_on_train(subject.objective, seen["train"], own["test"])
    own |= {split: noise(split) for split in p["splits"] if split != "test"}
    kind = "final" if step == p["steps"] else "curve"

    def rows(split: str) -> list[Row]:
        return split_rows(trained, seen[split], mse, own[split], split, data, p, memory)

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
        posterior = model.posterior(weights, data.preprocess(first, fixed))
        if posterior.kind == "gaussian":
            z = posterior.mean_z()
        else:
            z = posterior.sample(standard_normal(posterior, 1, noise)).squeeze(0)
        found[f"pictures_{split}"] = data.shown(model.mean(weights, z))
        if data.may_be_shown:
            original = batches.scale(first, data.levels)
            found[f"originals_{split}"] = as_pictures(original, data.images.shape)
    return {name: picture.cpu().numpy() for name, picture in found.items()}
