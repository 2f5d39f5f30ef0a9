"""Linear VAEs trained on eq. (3) with gamma learned or held, over a grid of betas.

Dai, Wenliang and Wipf (NeurIPS 2021), section 2.3. The loss is the expectation in closed form
(`linear_theory.loss`: no data are drawn, no z either), minimised by Adam over decoder, encoder and,
where no `gammas` are given, log gamma, from random weights and gamma = 1; posterior scales are
always at their best for these. A gamma that is given is approached from 1, evenly in its logarithm
over the first ANNEALED of the run, and then held: from the start it would be a problem of condition
1 / gamma, too much for Adam. One run trains all combinations of `betas` and `gammas` side by side;
Adam is elementwise, so none sees another.
Losses are those of eq. (3): twice the negative ELBO without its constants.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from paper_repro.cell import Cell
from paper_repro.errors import UserError
from paper_repro.rows import Row, coordinates
from paper_repro.studies.infinite_gradients.tasks import linear_theory
from paper_repro.studies.infinite_gradients.tasks.linear_theory import Tensors
from paper_repro.training import schedules
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream

PARAMS = {
    "pixels": {"type": "integer", "minimum": 2},
    # variances of the data's directions; all other pixels' directions have none
    "spectrum": {
        "type": "array",
        "minItems": 1,
        "items": {"type": "number", "exclusiveMinimum": 0},
        "uniqueItems": False,
    },
    "latents": {"type": "integer", "minimum": 1, "default": 5},
    "betas": {"type": "array", "minItems": 1, "items": {"type": "number", "exclusiveMinimum": 0}},
    # []: learned
    "gammas": {
        "type": "array",
        "items": {"type": "number", "exclusiveMinimum": 0},
        "default": [],
    },
    "lr": {"type": "number", "exclusiveMinimum": 0, "schedule": True, "default": 0.02},
    "steps": {"type": "integer", "minimum": 1},
}
ANNEALED = 0.7
START = 0.5  # standard deviation of the initial weights
ACTIVE = 0.5  # a latent is in use where its posterior variance is below


def build(cell: Cell, seed: int, device: str) -> Problem:
    """All betas and gammas from the same random start; UserError where latents are too few."""
    p = cell.params
    pixels, latents, rank = p["pixels"], p["latents"], len(p["spectrum"])
    if not rank <= latents < pixels:
        raise UserError(f"latents: {latents}, expected {rank} (the spectrum) to {pixels - 1}")
    betas = torch.tensor(p["betas"], dtype=torch.float64, device=device)[:, None]
    gammas = torch.tensor(p["gammas"], dtype=torch.float64, device=device).log()
    learned = not p["gammas"]
    init = stream(seed, "init", "linear_vae")
    spectrum = torch.tensor(p["spectrum"], dtype=torch.float64)
    factor = linear_theory.rotation(pixels, rank, init) * spectrum.sqrt()
    shapes = {"decoder": (pixels, latents), "encoder": (latents, pixels)}
    members = (len(p["betas"]), max(1, len(p["gammas"])))
    params = {
        name: (START * torch.randn(shape, generator=init, dtype=torch.float64))
        .expand(*members, *shape)
        .clone()
        .to(device)
        for name, shape in shapes.items()
    }
    if learned:
        params["log_gamma"] = torch.zeros(members, dtype=torch.float64, device=device)

    def draw(step: int) -> Tensors:
        return {} if learned else {"log_gamma": gammas * min(1, step / (ANNEALED * p["steps"]))}

    def values(params: Tensors, state: Tensors) -> Tensor:
        return linear_theory.loss(scaled(params, betas), state["factor"], betas)

    def loss(params: Tensors, state: Tensors, batch: Tensors) -> tuple[Tensor, Tensors, Tensors]:
        found = values(params | batch, state).sum()
        return found, state, {"mean_loss": found.detach() / math.prod(members)}

    def evaluate(params: Tensors, state: Tensors, step: int) -> list[Row]:
        if learned:
            return list(learned_rows(p, scaled(params, betas), state["factor"]))
        return list(fixed_rows(p, values(params | draw(step), state).cpu(), gammas.cpu()))

    return Problem(
        params=params,
        loss=loss,
        draw=draw,
        evaluate=evaluate,
        state={"factor": factor.to(device)},
        optimizer={"name": "adam", "lr": 1.0},
        learning_rate=schedules.curve("lr", p["lr"], p["steps"]),
        log_units={"mean_loss": "nats"},
        progress="mean_loss",
    )


def scaled(params: Tensors, beta: Tensor) -> Tensors:
    """`params` with the log_scale [..., kappa] that is best for decoder and log_gamma [...]:
    s^2 = beta gamma / (beta gamma + |w|^2)."""
    level = (beta * params["log_gamma"].exp())[..., None]
    variance = level / (level + params["decoder"].square().sum(-2))
    return params | {"log_scale": 0.5 * variance.log()}


def fixed_rows(p: Mapping[str, Any], losses: Tensor, log_gamma: Tensor) -> Iterator[Row]:
    """Losses [betas, gammas] reached, and per beta their slope against log gamma."""
    pixels, rank = p["pixels"], len(p["spectrum"])
    spectrum = torch.tensor(p["spectrum"], dtype=torch.float64)
    for i, beta in enumerate(p["betas"]):
        exact = linear_theory.minimised_loss(spectrum, pixels, p["latents"], beta, log_gamma)
        for j, gamma in enumerate(p["gammas"]):
            at = coordinates(beta=float(beta), gamma=float(gamma))
            yield Row("trained_loss", float(losses[i, j]), "nats", at=at)
            yield Row("trained_loss_excess", float(losses[i, j] - exact[j]), "nats", at=at)
        if len(p["gammas"]) > 1:
            slope, theory = linear_theory.line_slope(log_gamma, losses[i]), pixels - beta * rank
            at = coordinates(beta=float(beta))
            yield Row("trained_loss_slope", float(slope), "1", at=at)
            yield Row("trained_slope_ratio", float(slope / theory), "1", at=at)


def learned_rows(p: Mapping[str, Any], params: Tensors, factor: Tensor) -> Iterator[Row]:
    """Final log gamma, latents in use, error and slope of every beta."""
    pixels, rank = p["pixels"], len(p["spectrum"])
    variance = sum(p["spectrum"])
    error = linear_theory.error(params, factor)[:, 0]
    log_gamma = params["log_gamma"][:, 0]
    used = ((2 * params["log_scale"][:, 0]).exp() < ACTIVE).sum(-1)
    for i, beta in enumerate(p["betas"]):
        at = coordinates(beta=float(beta), ratio=float(beta) * rank / pixels)
        gamma = float(log_gamma[i].exp())
        yield Row("log_gamma", float(log_gamma[i]), "nats", at=at)
        yield Row("active_dims", int(used[i]), "1", at=at)
        yield Row("relative_error", float(error[i]) / variance, "1", at=at)
        yield Row("gamma_over_pixel_variance", gamma * pixels / variance, "1", at=at)
        slope = 1 - float(error[i]) / (pixels * gamma)  # dL/dlog gamma / d
        yield Row("gamma_slope", slope, "1", at=at)
