"""A variational autoencoder put together from parts that a cell names (Kingma and Welling 2014).

Latent family, prior, networks, likelihood, objective, gradient estimator and evaluation protocol
are independent choices; what each of them means stands in its own module, and what cannot go
together is refused before anything trains. Options written as objects with a "schedule" change over
the run, see `training.schedules`; so may the learning rate. Initial weights, data order and pixel
noise depend on seed and data set alone, so that runs which differ in estimator or objective are
pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from paper_repro import contracts, registry
from paper_repro.cell import Cell
from paper_repro.contracts import Tensors
from paper_repro.errors import UserError
from paper_repro.rows import Row
from paper_repro.training.memory import Memory
from paper_repro.training.problem import Problem
from paper_repro.training.schedules import curve
from paper_repro.training.settings import Settings
from paper_repro.training.streams import standard_normal, stream
from paper_repro.vae import data as images
from paper_repro.vae.interface import VAE, entries, naming, prefixed
from paper_repro.vae.parameters import PARAMS as PARAMS
from paper_repro.vae.parameters import POSTERIOR as POSTERIOR
from paper_repro.vae.parameters import RUN_INPUTS as RUN_INPUTS
from paper_repro.vae.parts import part
from paper_repro.vae.refusals import REFUSES as REFUSES
from paper_repro.vae.subject import Step, Subject, protocol

NOISE = ("pixels", "latents")


def build(cell: Cell, seed: int, device: str) -> Problem:
    """The run of `seed`: its model, its batches and its measurements.

    UserError, naming the parameter, for parts or options that do not fit together.
    """
    p = cell.params
    data = images.load(p["dataset"], p["preprocessing"], device)
    data.check(p)
    order = data.order(seed, p["batch_size"], fixed=p["order"] == "fixed")
    estimator, objective = contracts.estimator(p["estimator"]), contracts.objective(p["objective"])
    measured = protocol(p["protocol"])
    constraints, guide, norms, look, outliers = (
        part(name, p)
        for name in ("constraints", "guide", "gradient_norms", "classifier", "outliers")
    )

    def init(*part: str) -> Generator:
        return stream(seed, "init", data.name, *part)

    networks = registry.load("vaes", contracts.networks(p["model"]).NETWORKS)
    model: VAE = networks.MODEL(p, data.images, init)
    beside = guide.initial(p, model, data.images, init, device) if guide else {}
    params = model.to(device).parameters_by_name() | beside
    seen = look.look(p["dataset"], p["classifier_steps"], device) if look else None
    network = seen.network if seen else None
    lagrangian = constraints.lagrangian(p, model.shape, network, device) if constraints else None
    settings = Settings(
        "estimator_options", {**estimator.OPTIONS, **p["estimator_options"]}, p["steps"]
    )
    own = {} if objective.CONSTRAINED else {**objective.OPTIONS, **p["objective_options"]}
    goals = Settings("objective_options", own, p["steps"])
    if objective.READS_PIXELS:
        goals.constants["pixels"] = model.pixels
    pixel_noise, latent_noise = _noise(seed, data.name, device, shared=p["order"] == "fixed")
    shapes = model.noise_shapes(p["k"], p["batch_size"])
    buffers = model.buffers_by_name()
    units = measured.units(p, model, objective)
    if lagrangian:
        units |= lagrangian.units
    rates = _rates(p["rates"], params)
    if norms:
        probe = torch.zeros(shapes["z"], device=device, requires_grad=True)
        params[norms.PROBE], rates[norms.PROBE] = probe, 0.0

    def draw(step: int) -> Tensors:
        batch = {"rows": order(step)}
        uniform = data.pixel_noise((p["batch_size"], model.pixels), pixel_noise)
        if uniform is not None:
            batch["uniform"] = uniform
        batch |= standard_normal(shapes, latent_noise, dtype=torch.get_default_dtype())
        return batch | settings.drawn(step, device) | goals.drawn(step, device)

    def loss(params: Tensors, state: Tensors, batch: Tensors) -> tuple[Tensor, Tensors, Tensors]:
        rows = batch["rows"]
        x = data.preprocess_with(data.train[rows], batch.get("uniform"))
        moved = {name: state[name].clone() for name in buffers}
        weights = {**params, **moved}
        condition = data.condition("train", rows) if data.conditions else None
        posterior = model.posterior(weights, x, condition)
        remembered, multipliers = entries("estimator", state), entries("objective", state)
        options = settings.read(batch) | remembered
        if guide:
            options["guide"] = guide.joint(model, weights, x, posterior)
        shown: Tensors = {}

        def show(mean: Tensor) -> None:
            shown["mse"] = (x - mean).square().mean().detach()

        def decoded(z: Any) -> Tensor:
            found = model.mean(weights, z)
            show(found)
            return found

        if lagrangian:
            labels = seen.labels["train"][rows] if seen else None
            log_prior = model.log_prior(weights, posterior)
            joint = lagrangian.joint(x, labels, decoded, log_prior, multipliers)
        else:
            joint = model.log_joint(weights, x, posterior, show if measured.SHOWS_MEAN else None)
        if norms:
            joint = norms.probed(joint, params[norms.PROBE])
        terms = estimator.terms(posterior, joint, batch, **options)
        bounds = objective.bound(terms, posterior, **goals.read(batch))
        bound = bounds.mean()
        logs = measured.curves(Step(terms, bound, params, shown.get("mse")))
        if remembered:
            moved |= prefixed("estimator", estimator.advance(terms, **remembered))
        if lagrangian:
            multipliers, found = lagrangian.advance(joint, multipliers, shown["mse"])
            moved |= prefixed("objective", multipliers)
            logs |= found
        total = -bounds.sum() if p["reduction"] == "sum" else -bound
        return total, moved, {name: logs[name].detach() for name in units}

    kept = Memory()
    others = outliers.load(p["outliers"], data) if outliers else None

    def subject(params: Tensors, state: Tensors) -> Subject:
        moved = {name: state[name] for name in buffers}
        return Subject(model, params, moved, data, objective, others, seen)

    def evaluate(params: Tensors, state: Tensors, step: int) -> list[Row]:
        rows = measured.evaluate(subject(params, state), p, seed, step, kept)
        return rows + (lagrangian.flags(entries("objective", state)) if lagrangian else [])

    def arrays(ended: Tensors) -> dict[str, np.ndarray]:
        trained = {name: ended[name] for name in params}
        return measured.arrays(subject(trained, ended), p, seed)

    rate = curve("lr", p["lr"], p["steps"])
    memory = {n: torch.tensor(v, device=device) for n, v in estimator.STATE.items()}
    state = {
        **buffers,
        **prefixed("estimator", memory),
        **prefixed("objective", lagrangian.state() if lagrangian else {}),
    }
    problem = Problem(
        params=params,
        loss=loss,
        draw=draw,
        evaluate=evaluate,
        memory=kept,
        generators={"pixels": pixel_noise, "latents": latent_noise},
        state=state,
        optimizer={"name": p["optimizer"], "lr": rate(0), "eps": p["eps"], "clip": p["clip"]},
        learning_rate=rate,
        rates=rates,
        watch=norms.norms(params.items()) if norms else None,
        log_units=units | (norms.UNITS if norms else {}),
        progress=measured.PROGRESS,
        arrays=arrays if p.get("pictures") or others else None,
        fingerprint=outliers.fingerprint(data, others) if outliers else data.fingerprint,
        note=data.note,
        evaluate_at=tuple(round(mark * p["steps"]) for mark in p["marks"]),
    )
    _dry_run(problem, data, model.noise_shapes(p["k"], 2), settings, goals)
    measured.check(subject(params, state), p)
    return problem


def _noise(seed: int, dataset: str, device: str, *, shared: bool) -> tuple[Generator, Generator]:
    """Generators of the noise of pixels and of latents; `shared`: one for both, in turns, as the
    code released with Burda et al. (2016) has it."""
    if shared:
        both = stream(seed, "noise", dataset, device=device)
        return both, both
    pixels, latents = (stream(seed, "noise", dataset, of, device=device) for of in NOISE)
    return pixels, latents


def _rates(given: Mapping[str, float], params: Tensors) -> dict[str, float]:
    """The factor of every parameter whose part, the beginning of its name, is given one."""
    for named in given:
        if not entries(named, params):
            parts = ", ".join(dict.fromkeys(name.split(".")[0] for name in params))
            raise UserError(f"rates.{named}: the model has {parts}")
    return {n: given[n.split(".")[0]] for n in params if n.split(".")[0] in given}


def _dry_run(
    problem: Problem,
    data: images.Pixels,
    shapes: Mapping[str, tuple[int, ...]],
    *settings: Settings,
) -> None:
    """One trial step on two images, so that parts which do not fit fail before training.

    UserError also where a parameter is not trained at all, as a likelihood's in an objective
    that has no likelihood.
    """
    device = data.train.device
    batch = {"rows": torch.arange(2, device=device)}
    uniform = data.pixel_noise((2, data.train.shape[1]), stream(0, "rehearsal", device=device))
    if uniform is not None:
        batch["uniform"] = uniform
    batch |= {name: torch.zeros(shape, device=device) for name, shape in shapes.items()}
    for options in settings:
        batch |= options.drawn(0, str(device))
    # a probe has a value for every image of a batch
    params = {n: t[:, :2] if n.startswith("probe.") else t for n, t in problem.params.items()}
    with naming("estimator or objective"):
        loss, _, _ = problem.loss(params, problem.state, batch)
    found = torch.autograd.grad(loss, list(problem.params.values()), allow_unused=True)
    idle = [name for name, g in zip(problem.params, found, strict=True) if g is None]
    if idle:
        raise UserError(f"objective: with this estimator it does not train {', '.join(idle)}")
