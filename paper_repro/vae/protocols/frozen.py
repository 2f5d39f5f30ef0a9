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

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np
import torch

from paper_repro import registry
from paper_repro.contracts import Objective, Tensors
from paper_repro.data import batches
from paper_repro.errors import UserError
from paper_repro.rows import Row
from paper_repro.training.memory import Memory
from paper_repro.training.streams import stream
from paper_repro.vae import evaluations, whole_set
from paper_repro.vae.data import as_pictures
from paper_repro.vae.interface import VAE
from paper_repro.vae.model import EncoderDecoder
from paper_repro.vae.subject import Step, Subject
from paper_repro.vae.trained import limit
from paper_repro.vae.whole_set import Reader, Whole

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
    "hessian_images": {
        "type": "integer",
        "minimum": 0,
        "default": 0,
    },  # of train and test, at the end
    "pictures": {"type": "integer", "minimum": 0, "maximum": 100, "default": 0},
}
SHOWS_MEAN = False
PROGRESS = "bound"


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
        whole = Whole.of(memory.part("whole", lambda: _whole(subject, reader, p).plain()))
        chosen = evaluations.both(subject, reader, whole)
        rows = [
            replace(row, split="train") for row in evaluations.training(reader, whole, chosen, p)
        ]
        for split in p["splits"]:
            found = memory.rows(split, partial(evaluations.split, reader, chosen, split, p))
            if p["importance_images"]:
                bound = partial(evaluations.importance, reader, chosen, split, p)
                found += memory.rows(f"importance {split}", bound)
            rows += [replace(row, split=split) for row in found]
        if step == p["steps"] and p["hessian_images"]:
            part = registry.load("parts", "hessian")
            rows += memory.rows(
                "hessian", partial(part.rows, reader, chosen[0], p["hessian_images"])
            )
    if step == p["steps"]:
        return rows + evaluations.counts(reader.model, subject.params)
    return [replace(row, kind="curve") for row in rows]


def arrays(subject: Subject, p: Mapping[str, Any], seed: int) -> dict[str, np.ndarray]:
    """Pictures uint8 [n, C, H, W] of the end: ``samples`` from the native prior, ``pictures_test``,
    E[x|z] of the first test images at the posterior mean, and these as ``originals_test`` where
    they may be shown; with ``hessian_images`` the points of part `hessian`."""
    count, data = p["pictures"], subject.data
    if not count:
        return {}
    with subject.model.evaluating():
        reader = _reader(subject, p, seed, p["steps"])
        native, _ = evaluations.both(subject, reader, _whole(subject, reader, p))
        noise = stream(seed, "evaluation", data.name, "samples", device=data.test.device)
        posterior = next(reader.blocks("test", count))[1]
        drawn = torch.randn(posterior.mean.shape, generator=noise, device=noise.device)
        means = {"samples": native.prior.sample(drawn), "pictures_test": posterior.mean}
        found = {
            name: data.shown(reader.mean(reader.decode(z)) / p["units"])
            for name, z in means.items()
        }
        curved = {}
        if p["hessian_images"]:
            part = registry.load("parts", "hessian")
            curved = part.arrays(reader, native, p["hessian_images"])
    if data.may_be_shown:
        scaled = batches.scale(data.test[:count], data.levels)
        found["originals_test"] = as_pictures(scaled, data.images.shape)
    return curved | {name: picture.cpu().numpy() for name, picture in found.items()}


def _whole(subject: Subject, reader: Reader, p: Mapping[str, Any]) -> Whole:
    return whole_set.read(reader, whole_set.prior(subject.objective), p["train_images"])


def _reader(subject: Subject, p: Mapping[str, Any], seed: int, step: int) -> Reader:
    model, device = cast(EncoderDecoder, subject.model), subject.data.test.device
    most = limit(model.pixels, device)
    return Reader(model, subject.weights, subject.data, seed, step, most, p["units"])
