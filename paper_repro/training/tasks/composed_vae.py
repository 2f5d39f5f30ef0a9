"""A variational autoencoder put together from parts that a cell names (Kingma and Welling 2014).

Latent family, prior, networks, likelihood, objective and gradient estimator are independent
choices; what each of them means stands in its own module, and what cannot go together is refused
before anything trains. Options written as objects with a "schedule" change over the run, see
`schedules`; so may the learning rate of Adam. The loss is the mean over a minibatch.
Initial weights, data order and pixel noise depend on seed and data set alone, so that runs which
differ in estimator or objective are pairs.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import numpy as np
import torch
from torch import Generator, Tensor

from paper_repro import registry
from paper_repro.cell import Cell
from paper_repro.errors import UserError
from paper_repro.estimators.terms import LogJoint
from paper_repro.rows import Row
from paper_repro.schedules import curve
from paper_repro.training import (
    composed_data,
    composed_gradients,
    composed_logs,
    composed_options,
    composed_outliers,
    watched,
)
from paper_repro.training.composed_evaluation import evaluate_composed, reconstructions
from paper_repro.training.composed_model import ComposedVAE, entries, naming, prefixed
from paper_repro.training.composed_refusals import REFUSES as REFUSES
from paper_repro.training.lagrangian import Seen
from paper_repro.training.memory import Memory
from paper_repro.training.problem import Problem
from paper_repro.training.settings import Settings
from paper_repro.training.streams import stream

PARAMS = {
    "dataset": {"type": "string"},
    "preprocessing": {"enum": ["unit", "dequantised", "binarised", "none"], "default": "unit"},
    "model": {"type": "string", "default": "mlp"},  # networks of encoder and decoder
    "decoder": {"type": "string", "default": ""},  # "": as the encoder
    "sizes": {"type": "object", "default": {}},  # what differs from the networks' SIZES
    "centre": {"type": "boolean", "default": False},  # encode x - mean image, add it when decoding
    "latent": {"enum": ["gaussian", "bernoulli", "categorical"], "default": "gaussian"},
    "latent_options": {"type": "object", "default": {}},
    "dim": {"type": "integer", "minimum": 1},
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
    "likelihood": {"type": "string"},
    "likelihood_options": {"type": "object", "default": {}},
    "variance_form": {"enum": ["L0", "EXP", "EXP2", "SQ"], "default": "EXP"},  # linear decoders
    "guide": {"enum": ["", "linear"], "default": ""},  # a second decoder, for `annealed`
    "objective": {"type": "string"},
    "objective_options": {"type": "object", "default": {}},
    # of geco; patch, stride and floor are PNCC's
    "constraints": {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name", "kappa"],
            "properties": {
                "name": {"enum": ["RE", "PNCC"]},
                "kappa": {"type": "number", "exclusiveMinimum": 0},
                "patch": {"type": "integer", "minimum": 2},
                "stride": {"type": "integer", "minimum": 1},
                "floor": {"type": "number", "exclusiveMinimum": 0},
            },
        },
        "default": [],
    },
    "estimator": {"type": "string"},
    "estimator_options": {"type": "object", "default": {}},
    "k": {"type": "integer", "minimum": 1, "default": 1},
    "steps": {"type": "integer", "minimum": 1},
    "batch_size": {"type": "integer", "minimum": 2, "default": 128},
    "lr": {"type": "number", "exclusiveMinimum": 0, "schedule": True, "default": 1e-3},  # of Adam
    "clip": {"type": "number", "minimum": 0, "default": 0},  # norm of each part's gradient; 0: none
    # where a learned variance starts
    "gamma": {"type": "number", "exclusiveMinimum": 0, "default": 1},
    # factors on the learning rate by part, such as likelihood; 0: stays where it starts
    "rates": {
        "type": "object",
        "propertyNames": {"enum": ["encoder", "decoder", "likelihood", "prior", "guide"]},
        "additionalProperties": {"type": "number", "minimum": 0},
        "default": {},
    },
    "watch": {"type": "boolean", "default": False},  # log gradient norms of every step
    # what is measured; validation takes `test_images` too
    "splits": {
        "type": "array",
        "items": {"enum": ["train", "validation", "test"]},
        "minItems": 1,
        "uniqueItems": True,
        "default": ["test"],
    },
    "samples": {"type": "integer", "minimum": 1, "default": 16},  # an image, in evaluations
    "test_images": {"type": "integer", "minimum": 2, "default": 10000},
    "train_images": {"type": "integer", "minimum": 2, "default": 10000},
    # evaluations before the last one, as fractions of the steps
    "marks": {
        "type": "array",
        "items": {"type": "number", "minimum": 0, "maximum": 1},
        "default": [],
    },
    "gradient_draws": {"type": "integer", "minimum": 0, "default": 0},  # of each of `compare`
    "pictures": {"type": "integer", "minimum": 0, "default": 0},  # saved of each split
    "outliers": {"type": "string", "default": ""},  # a data set to be told apart at the end
}
HANDED = ("gamma",)  # what another run may settle, see paper_repro.handed
POSTERIOR = {
    "latent": {"gaussian": "gaussian", "bernoulli": "bernoulli", "categorical": "categorical"}
}

Tensors = dict[str, Tensor]


def build(cell: Cell, seed: int, device: str) -> Problem:
    """The run of `seed`: its model, its batches and its measurements.

    UserError, naming the parameter, for parts or options that do not fit together.
    """
    p = cell.params
    data = composed_data.load(p["dataset"], p["preprocessing"], device)
    data.check(p)
    outliers = composed_outliers.load(p["outliers"], data)
    order = data.order(seed, p["batch_size"])
    estimator = registry.load("estimators", p["estimator"])
    objective = registry.load("objectives", p["objective"])

    def init(part: str) -> Generator:
        return stream(seed, "init", data.name, part)

    model = ComposedVAE(p, data.images, init, guided=bool(p["guide"])).to(device)
    lagrangian = composed_options.lagrangian(p, objective, model, device)
    settings = composed_options.settings(p, "estimator", estimator)
    goals = composed_options.settings(p, "objective", objective)
    if "pixels" in inspect.signature(objective.bound).parameters:
        goals.constants["pixels"] = model.pixels
    pixel_noise = stream(seed, "noise", data.name, "pixels", device=device)
    latent_noise = stream(seed, "noise", data.name, "latents", device=device)
    shapes = model.noise_shapes(p["k"], p["batch_size"])
    buffers, units = model.buffers_by_name(), composed_logs.units(p, objective, model, lagrangian)
    memory = {n: torch.tensor(v, device=device) for n, v in getattr(estimator, "STATE", {}).items()}
    rate = curve("lr", p["lr"], p["steps"])
    params = model.parameters_by_name()
    rates = composed_options.rates(p["rates"], params)
    if p["watch"]:
        if lagrangian or p["guide"] or p["latent"] != "gaussian" or model.has_linear_joint:
            raise UserError("watch: takes Gaussian latents, a nonlinear decoder and no constraint")
        units |= watched.UNITS
        probe = torch.zeros(shapes["z"], device=device, requires_grad=True)
        params[watched.PROBE], rates[watched.PROBE] = probe, 0.0

    def draw(step: int) -> Tensors:
        batch = {"x": data.seen(data.train[order(step)], pixel_noise)}
        for name, shape in shapes.items():
            batch[name] = torch.randn(shape, generator=latent_noise, device=device)
        return batch | settings.drawn(step, device) | goals.drawn(step, device)

    def loss(params: Tensors, state: Tensors, batch: Tensors) -> tuple[Tensor, Tensors, Tensors]:
        moved = {name: state[name].clone() for name in buffers}
        weights, x = {**params, **moved}, batch["x"]
        posterior = model.posterior(weights, x)
        remembered, multipliers = entries("estimator", state), entries("objective", state)
        options = settings.read(batch) | remembered
        if p["guide"]:
            options["guide"] = model.guide(weights, x, posterior)
        joint: LogJoint
        if lagrangian:
            log_prior = model.log_prior(weights, posterior)
            joint = lagrangian.joint(
                Seen(x), lambda z: model.mean(weights, z), log_prior, multipliers
            )
        else:
            joint = model.log_joint(weights, x, posterior)
        if p["watch"]:
            joint = watched.probed(joint, params[watched.PROBE])
        terms = estimator.terms(posterior, joint, batch, **options)
        bound = objective.bound(terms, posterior, **goals.read(batch)).mean()
        logs = {"bound": bound, **composed_logs.means(terms, params)}
        if remembered:
            moved |= prefixed("estimator", estimator.advance(terms, **remembered))
        if lagrangian:
            multipliers, found = lagrangian.advance(joint, multipliers)
            moved |= prefixed("objective", multipliers)
            logs |= found
        return -bound, moved, {n: logs[n].detach() for n in units if n not in watched.UNITS}

    kept = Memory()

    def evaluate(params: Tensors, state: Tensors, step: int) -> list[Row]:
        moved = {name: state[name] for name in buffers}
        weights = {**params, **moved}
        with model.evaluating():
            rows = evaluate_composed(model, weights, data, objective, p, seed, step, kept)
            if step == p["steps"]:
                rows += kept.rows(
                    "outliers",
                    lambda: composed_outliers.evaluate(
                        model, weights, data, outliers, objective, p, seed
                    ),
                )
        if p["compare"]:
            rows += kept.rows(
                "gradients",
                lambda: composed_gradients.at_mark(model, params, moved, data, p, seed, step),
            )
        return rows

    def arrays(tensors: Tensors) -> dict[str, np.ndarray]:
        with model.evaluating():
            found = composed_outliers.arrays(model, tensors, data, outliers, p)
            return found | (
                reconstructions(model, tensors, data, p["pictures"], seed) if p["pictures"] else {}
            )

    problem = Problem(
        params=params,
        loss=loss,
        draw=draw,
        evaluate=evaluate,
        memory=kept,
        generators={"pixels": pixel_noise, "latents": latent_noise},
        state={
            **buffers,
            **prefixed("estimator", memory),
            **prefixed("objective", lagrangian.state() if lagrangian else {}),
        },
        optimizer={"name": "adam", "lr": rate(0), "clip": p["clip"]},
        learning_rate=rate,
        rates=rates,
        watch=watched.norms(params.items()) if p["watch"] else None,
        log_units=units,
        progress="bound",
        arrays=arrays if p["pictures"] or outliers else None,
        fingerprint=composed_outliers.fingerprint(data, outliers),
        note=data.note,
        evaluate_at=tuple(round(mark * p["steps"]) for mark in p["marks"]),
    )
    _rehearse(problem, data, model.noise_shapes(p["k"], 2), settings, goals)
    composed_gradients.check(model, data, p)
    return problem


def _rehearse(
    problem: Problem,
    data: composed_data.Pixels,
    shapes: Mapping[str, tuple[int, ...]],
    *settings: Settings,
) -> None:
    """Differentiate the loss of two images: what the parts refuse, they refuse before training.

    UserError also where a parameter is not trained at all, as a likelihood's in an objective
    that has no likelihood.
    """
    device = data.train.device
    batch = {"x": data.seen(data.train[:2], stream(0, "rehearsal", device=device))}
    batch |= {name: torch.zeros(shape, device=device) for name, shape in shapes.items()}
    for part in settings:
        batch |= part.drawn(0, str(device))
    params = dict(problem.params)
    if watched.PROBE in params:
        params[watched.PROBE] = params[watched.PROBE][:, :2]
    with naming("estimator or objective"):
        loss, _, _ = problem.loss(params, problem.state, batch)
    found = torch.autograd.grad(loss, list(problem.params.values()), allow_unused=True)
    idle = [name for name, g in zip(problem.params, found, strict=True) if g is None]
    if idle:
        raise UserError(f"objective: with this estimator it does not train {', '.join(idle)}")
