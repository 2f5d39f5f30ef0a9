"""A variational autoencoder on binarised images, with one or two stochastic layers.

The models and the protocol of Burda, Grosse and Salakhutdinov, "Importance Weighted
Autoencoders" (ICLR 2016), section 5, which Roeder, Wu and Duvenaud, "Sticking the Landing" (NIPS
2017) use for their Table 1: pixels are Bernoulli-resampled at every visit, minibatches come in
one fixed order, and the learning rate falls over stages of 3^i epochs.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Generator, Tensor

from paper_repro import registry
from paper_repro.cell import Cell
from paper_repro.data import batches, catalogue
from paper_repro.errors import UserError
from paper_repro.rows import Row
from paper_repro.training.layered_vae import LayeredVAE
from paper_repro.training.memory import Memory
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream
from paper_repro.training.vae_evaluation import evaluate_vae, gradient_variance

PARAMS = {
    "dataset": {"type": "string"},
    "estimator": {"type": "string"},
    "objective": {"enum": ["elbo", "iwae"]},
    "likelihood": {"enum": ["bernoulli"], "default": "bernoulli"},
    "model": {"enum": ["mlp"], "default": "mlp"},
    "layers": {"enum": [1, 2]},
    "k": {"type": "integer", "minimum": 1},
    "width": {"type": "integer", "minimum": 2, "default": 200},
    "latent": {"type": "integer", "minimum": 1, "default": 50},
    "batch_size": {"type": "integer", "minimum": 1, "default": 20},
    "steps": {"type": "integer", "minimum": 1},
    "stages": {"type": "integer", "minimum": 1, "maximum": 8, "default": 8},
    "optimizer": {"enum": ["adam", "adam_burda"], "default": "adam"},
    "samples": {"type": "integer", "minimum": 1, "default": 5000},
    "test_images": {"type": "integer", "minimum": 2, "default": 10000},
    "train_images": {"type": "integer", "minimum": 2, "default": 10000},
    "fresh_binarisation": {"type": "boolean", "default": True},
    "gradient_draws": {"type": "integer", "minimum": 2, "default": 100},
    "gradient_checkpoints": {"type": "integer", "minimum": 1, "default": 8},
}
POSTERIOR = {"layers": {1: "gaussian", 2: "two_layer"}}


def learning_rate(step: int, steps: int, stages: int) -> float:
    """The staged schedule: stage i = 0..stages-1 lasts in proportion to 3^i, at 1e-3 10^(-i/7).

    Burda et al., section 5: 3^i epochs, i = 0..7, 3,280 in all; their code rounds the rates to
    10, 7.2, 5.2, 3.7, 2.7, 1.9, 1.4, 1.0 times 1e-4. Fewer stages, or a number of steps that is
    not 3,280 epochs, keep these proportions (our choice).
    """
    position = (step + 0.5) / steps * (3**stages - 1) / 2
    stage = next(i for i in range(stages) if position <= (3 ** (i + 1) - 1) / 2)
    return round(10 * 10 ** (-stage / 7), 1) * 1e-4


def build(cell: Cell, seed: int, device: str) -> Problem:
    """The run of `seed`: its model, its batches and its measurements.

    Weights, data order, binarisation and latent noise depend on seed and data set alone, so runs
    that differ in the estimator are pairs.
    """
    p = cell.params
    data = _load(p["dataset"])
    train = data.train.flatten(1).to(device)
    init = stream(seed, "init", data.name)
    model = LayeredVAE(p, train.shape[1], batches.train_mean(data), init).to(device)
    noise = stream(seed, "noise", data.name, device=device)
    order = batches.order(len(train), stream(seed, "order", data.name)).to(device)
    estimator = registry.load("estimators", p["estimator"])
    objective = registry.load("objectives", p["objective"])
    if hasattr(estimator, "STATE"):
        raise UserError(f"estimator: {p['estimator']!r} has a memory; task composed_vae keeps it")
    options = getattr(estimator, "OPTIONS", {})
    size, k = min(p["batch_size"], len(train)), p["k"]
    offsets = len(train) // size

    def draw(step: int) -> dict[str, Tensor]:
        start = step % offsets * size
        x = train[order[start : start + size]]
        batch = {"x": batches.binarise(x, data.levels, _uniform(x, noise))}
        return batch | model.draw_noise(k, x, noise)

    def loss(
        params: dict[str, Tensor], state: dict[str, Tensor], batch: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        posterior, log_joint = model.bind(params, batch["x"])
        terms = estimator.terms(posterior, log_joint, batch, **options)
        bound = objective.bound(terms, posterior)
        elbo = (terms.log_likelihood + terms.log_prior - terms.log_posterior).detach().mean()
        logs = {"elbo": elbo, "bound": bound.detach().mean()}
        return -bound.sum(), state, logs  # the sum over the minibatch, as in the released code

    memory = Memory()

    def evaluate(params: dict[str, Tensor], state: dict[str, Tensor], step: int) -> list[Row]:
        rows = []
        if p["compare"]:
            generator = stream(seed, "gradient", data.name, device=device)
            x = batches.binarise(train[:size], data.levels, _uniform(train[:size], generator))
            rows += gradient_variance(model, params, x, p, generator, memory)
        if step == p["steps"]:
            rows += evaluate_vae(model, params, data, p, seed, device, memory)
        return rows

    marks = p["gradient_checkpoints"] if p["compare"] else 0
    return Problem(
        params=model.parameters_by_name(),
        loss=loss,
        draw=draw,
        evaluate=evaluate,
        memory=memory,
        generators={"noise": noise},
        optimizer={"name": p["optimizer"], "lr": 1e-3, "eps": 1e-4},
        learning_rate=lambda step: learning_rate(step, p["steps"], p["stages"]),
        log_units={"elbo": "nats/image", "bound": "nats/image"},
        progress="bound",
        fingerprint=data.fingerprint,
        note=data.note,
        evaluate_at=tuple(round(p["steps"] * i / marks) for i in range(marks)),
    )


_load = cache(catalogue.load)  # the seeds of a cell share it


def _uniform(x: Tensor, generator: Generator) -> Tensor:
    return torch.rand(x.shape, generator=generator, device=x.device)
