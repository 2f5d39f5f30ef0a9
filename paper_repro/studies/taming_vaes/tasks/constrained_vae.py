"""A VAE trained under constraints, or by the ELBO with the same decoder (Rezende and Viola 2018).

"Taming VAEs" (arXiv 1810.00597), Algorithm 1 and its baselines, on images in [0, 1] that are
decoded to a mean in (0, 1) alone. Models: MLP or convolutional VAE, with a standard or a RealNVP
prior (our reading of VAE+NVP), and ConvDRAW, which may be conditional. `kappa` is the threshold of
the constraint RE, `constraints` holds those of FRE, CLA and PNCC; FRE and CLA see the mean through
a classifier trained on the same data beforehand, for `classifier_steps`. Every run logs its KL
("rate") and squared error, at the sampled z it trains with, so that methods meet in one plane.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from paper_repro import registry
from paper_repro.cell import Cell
from paper_repro.errors import UserError
from paper_repro.estimators.terms import LogJoint
from paper_repro.rows import Row
from paper_repro.schedules import curve
from paper_repro.studies.taming_vaes.measure import Subject, final_rows, pictures
from paper_repro.studies.taming_vaes.refusals import REFUSES as REFUSES
from paper_repro.training import classifier, composed_data
from paper_repro.training.composed_model import ComposedVAE, entries, prefixed
from paper_repro.training.draw_model import DrawVAE
from paper_repro.training.lagrangian import Frozen, Lagrangian, Seen, constraint
from paper_repro.training.problem import Problem
from paper_repro.training.settings import Settings
from paper_repro.training.streams import stream

PARAMS = {
    "dataset": {"type": "string"},
    "model": {"enum": ["mlp", "conv", "convdraw"]},
    "sizes": {"type": "object", "default": {}},
    "dim": {"type": "integer", "minimum": 1, "default": 1},  # of z; ConvDRAW's is in its sizes
    "prior": {"enum": ["standard", "flow"], "default": "standard"},
    "prior_options": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "layers": {"type": "integer", "minimum": 1},
            "hidden": {"type": "integer", "minimum": 1},
            "depth": {"type": "integer", "minimum": 1},
        },
        "default": {},
    },
    "likelihood": {"enum": ["gaussian", "gaussian_gamma"], "default": "gaussian"},
    "variance": {"type": "number", "exclusiveMinimum": 0, "default": 1},  # of `gaussian`
    "objective": {"enum": ["geco", "elbo", "beta_elbo", "gqn"]},
    "objective_options": {"type": "object", "default": {}},
    # RMS error per pixel of RE; 0: no RE
    "kappa": {"type": "number", "minimum": 0, "default": 0},
    # of FRE, CLA and PNCC, by name
    "constraints": {
        "type": "object",
        "propertyNames": {"enum": ["FRE", "CLA", "PNCC"]},
        "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
        "default": {},
    },
    # of PNCC
    "patch": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "patch": {"type": "integer", "minimum": 2},
            "stride": {"type": "integer", "minimum": 1},
            "floor": {"type": "number", "exclusiveMinimum": 0},
        },
        "default": {},
    },
    "classifier_steps": {"type": "integer", "minimum": 0, "default": 0},
    "estimator": {"enum": ["exact_kl", "total"]},
    "steps": {"type": "integer", "minimum": 1},
    "batch_size": {"type": "integer", "minimum": 2, "default": 64},
    "lr": {"type": "number", "exclusiveMinimum": 0, "schedule": True, "default": 3e-4},  # of Adam
    "clip": {"type": "number", "minimum": 0, "default": 0},
    # what is measured at the end
    "test_images": {"type": "integer", "minimum": 2, "default": 2000},
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
HANDED = ("kappa",)
# Adam moves log gamma by at most its rate a step, and a learned variance has orders of magnitude to
# go: at the networks' rate it would not arrive in a short run (our choice).
GAMMA_RATE = 10.0
POSTERIOR = {"model": {"mlp": "gaussian", "conv": "gaussian", "convdraw": "convdraw"}}
FIXED = {  # what task `composed_vae` lets a cell choose
    "decoder": "",
    "latent": "gaussian",
    "latent_options": {},
    "variance_form": "",
    "gamma": 1,
    "centre": True,
}

Tensors = dict[str, Tensor]


def build(cell: Cell, seed: int, device: str) -> Problem:
    """The run of `seed`: its model, its batches and its measurements.

    UserError, naming the parameter, for parts or options that do not fit together.
    """
    p = cell.params
    data = composed_data.load(p["dataset"], "unit", device)
    estimator = registry.load("estimators", p["estimator"])
    objective = registry.load("objectives", p["objective"])
    network, labels = _classifier(p, device)
    model = _model(p, data, seed).to(device)
    lagrangian = _lagrangian(p, model, network, device)
    goals = _goals(p, objective)
    noise = stream(seed, "noise", data.name, "latents", device=device)
    order = data.order(seed, p["batch_size"])
    shapes = model.noise_shapes(1, p["batch_size"])
    units = _units(p, lagrangian)
    variance = {"variance": p["variance"]} if p["likelihood"] == "gaussian" else {}
    params = model.parameters_by_name()

    def draw(step: int) -> Tensors:
        rows = order(step)
        batch = {"x": data.seen(data.train[rows], noise)}
        if data.conditions:
            batch["condition"] = data.condition("train", rows)
        if labels:
            batch["labels"] = labels["train"][rows]
        for name, shape in shapes.items():
            batch[name] = torch.randn(shape, generator=noise, device=device)
        return batch | goals.drawn(step, device)

    def loss(params: Tensors, state: Tensors, batch: Tensors) -> tuple[Tensor, Tensors, Tensors]:
        x, scalars = batch["x"], entries("likelihood", params)
        given = {"condition": batch["condition"]} if data.conditions else {}
        posterior = model.posterior(params, x, **given)
        log_prior, multipliers = model.log_prior(params, posterior), entries("objective", state)
        seen: Tensors = {}

        def mean(z: Any) -> Tensor:
            found = model.mean(params, z)
            seen["mse"] = (x - found).square().mean().detach()
            return found

        def density(z: Any) -> tuple[Tensor, Tensor]:
            value = model.likelihood.log_likelihood(x, mean(z), scalars, **variance)
            return value, log_prior(z)

        joint: LogJoint = density
        if lagrangian:
            looked_at = Seen(x, batch.get("labels"))
            joint = lagrangian.joint(looked_at, mean, log_prior, multipliers)
        terms = estimator.terms(posterior, joint, batch)
        bound = objective.bound(terms, posterior, **goals.read(batch)).mean()
        logs = {"bound": bound, "rate": (terms.log_posterior - terms.log_prior).mean(), **seen}
        if scalars:
            logs["gamma"] = scalars["log_gamma"].exp()
        moved: Tensors = {}
        if lagrangian:
            after, found = lagrangian.advance(joint, multipliers)
            moved, logs = prefixed("objective", after), logs | found
            if p["kappa"]:
                logs["relative_mse"] = logs["mse"] / multipliers["kappa"][0].square()
        return -bound, moved, {name: logs[name].detach() for name in units}

    def subject(params: Tensors) -> Subject:
        return Subject(model, params, data, network, labels)

    def evaluate(params: Tensors, state: Tensors, step: int) -> list[Row]:
        with model.evaluating():
            rows = final_rows(subject(params), p, seed)
        if lagrangian:
            rows += lagrangian.flags(entries("objective", state))
        return rows

    def arrays(tensors: Tensors) -> dict[str, np.ndarray]:
        with model.evaluating():
            return pictures(subject(tensors), p["pictures"], seed)

    rate = curve("lr", p["lr"], p["steps"])
    return Problem(
        params=params,
        loss=loss,
        draw=draw,
        evaluate=evaluate,
        generators={"latents": noise},
        state=prefixed("objective", lagrangian.state() if lagrangian else {}),
        optimizer={"name": "adam", "lr": rate(0), "clip": p["clip"]},
        learning_rate=rate,
        rates={name: GAMMA_RATE for name in params if name == "likelihood.log_gamma"},
        log_units=units,
        progress="mse",
        arrays=arrays if p["pictures"] else None,
        fingerprint=data.fingerprint,
        note=data.note,
    )


def _model(p: Mapping[str, Any], data: composed_data.Pixels, seed: int) -> ComposedVAE | DrawVAE:
    def init(part: str) -> Generator:
        return stream(seed, "init", data.name, part)

    if p["model"] == "convdraw":
        if p["prior"] != "standard":
            raise UserError("prior: ConvDRAW brings its own")
        if p["marginal"]:
            raise UserError("marginal: needs a Gaussian posterior, and ConvDRAW's is a chain")
        return DrawVAE(p, data.images, init, data.condition_planes)
    if data.conditions:
        raise UserError(f"model: {p['model']!r} takes no condition, and {data.name} has one")
    options = {"link": "sigmoid"}
    return ComposedVAE({**p, **FIXED, "likelihood_options": options}, data.images, init)


def _classifier(p: Mapping[str, Any], device: str) -> tuple[Frozen | None, dict[str, Tensor]]:
    """The frozen network and the one-hot labels of the splits, where the cell asks for one."""
    if not p["classifier_steps"]:
        if needs := {"FRE", "CLA"} & p["constraints"].keys():
            raise UserError(f"classifier_steps: 0, but {' and '.join(sorted(needs))} need one")
        return None, {}
    network = classifier.trained(p["dataset"], p["classifier_steps"], device)
    labels = classifier.labels(p["dataset"], device)
    classes = int(max(part.max() for part in labels.values())) + 1
    one_hot = torch.nn.functional.one_hot
    return network, {split: one_hot(part, classes).float() for split, part in labels.items()}


def _lagrangian(
    p: Mapping[str, Any],
    model: ComposedVAE | DrawVAE,
    network: Frozen | None,
    device: str,
) -> Lagrangian | None:
    """The multipliers of objective geco; UserError for constraints that nothing would look at."""
    specs = [{"name": "RE", "kappa": p["kappa"]}] if p["kappa"] else []
    specs += [
        {"name": name, "kappa": kappa, **(p["patch"] if name == "PNCC" else {})}
        for name, kappa in p["constraints"].items()
    ]
    if p["objective"] != "geco":
        if specs:
            raise UserError(f"kappa, constraints: objective {p['objective']!r} takes none")
        return None
    patch, side = p["patch"].get("patch", 7), min(model.shape[1:])
    if "PNCC" in p["constraints"] and patch > side:
        raise UserError(f"patch: {patch} exceeds images of side {side}")
    if p["likelihood"] != "gaussian":
        raise UserError(f"likelihood: nothing trains {p['likelihood']!r} under constraints")
    listed = [constraint(spec, model.shape, network) for spec in specs]
    return Lagrangian(listed, p["objective_options"], device)


def _goals(p: Mapping[str, Any], objective: ModuleType) -> Settings:
    """Options of the objective, its OPTIONS where the cell gives none; GECO has its own."""
    options = {**getattr(objective, "OPTIONS", {}), **p["objective_options"]}
    if p["objective"] == "geco":
        options = {}
    if unknown := sorted(options.keys() - getattr(objective, "OPTIONS", {}).keys()):
        raise UserError(f"objective_options.{unknown[0]}: {p['objective']} has no such option")
    return Settings("objective_options", options, p["steps"])


def _units(p: Mapping[str, Any], lagrangian: Lagrangian | None) -> dict[str, str]:
    """Names and units of the training curves."""
    found = {"bound": "nats/image", "rate": "nats/image", "mse": "mse/pixel"}
    if p["likelihood"] == "gaussian_gamma":
        found["gamma"] = "mse/pixel"
    if lagrangian:
        found |= lagrangian.units
        if p["kappa"]:
            found["relative_mse"] = "1"
    return found
