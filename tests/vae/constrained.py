"""Small cells of task vae with constraints, in float64, and their MLP written by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from paper_repro import parameters
from paper_repro.cell import Cell
from paper_repro.data import catalogue
from paper_repro.training.problem import Problem
from paper_repro.vae import task
from tests.vae import tiny

Tensors = dict[str, Tensor]

TINY: dict[str, Any] = {
    "dataset": "digits",
    "model": "mlp",
    "sizes": {"hidden": [8], "activation": "tanh"},
    "dim": 2,
    "centre": True,
    "likelihood": "gaussian",
    "likelihood_options": {"link": "sigmoid"},
    "objective": "geco",
    "kappa": 0.25,
    "estimator": "total",
    "steps": 20,
    "batch_size": 8,
    "protocol": "plane",
    "test_images": 12,
}
DRAW: dict[str, Any] = {
    "dataset": "digits_rotate",
    "model": "convdraw",
    "sizes": {"hidden": 4, "z_channels": 2, "steps": 2},
    "estimator": "exact_kl",
}
FLOW = {"prior": "flow", "prior_options": {"layers": 2, "hidden": 4}}
ELBO = {"objective": "elbo", "kappa": 0}


def cell(**changes: Any) -> Cell:
    """A cell of the task with the task's defaults filled in."""
    params = parameters.complete("taming_vaes", "vae", TINY | changes, "test")
    return Cell("taming_vaes", "tests", "tests-tiny", "smoke", "vae", params, (0,))


def build(seed: int = 0, **changes: Any) -> Problem:
    """The run of one seed."""
    return task.build(cell(**changes), seed, "cpu")


def rows_of(problem: Problem, **weights: Tensor) -> dict[tuple[str, str, str], float]:
    """Values of the final rows by metric, split and coordinates, at the initial or other weights;
    a row that is there twice is an error."""
    at = {name: p.detach() for name, p in problem.params.items()} | weights
    rows = problem.evaluate(at, problem.state, 20)
    found = {(row.metric, row.split, row.at): row.value for row in rows}
    assert len(found) == len(rows)
    return found


def silenced(problem: Problem, *kept: str) -> Tensors:
    """Weights that are all zero but those `kept`: codes N(0, I), decoded to the mean image."""
    return {
        name: p.detach() if name in kept else torch.zeros_like(p)
        for name, p in problem.params.items()
    }


def double(tensors: Mapping[str, Tensor]) -> Tensors:
    """Copies in float64, as leaves that require grad where the originals do."""
    return {
        name: t.detach().double().requires_grad_(t.requires_grad) if t.is_floating_point() else t
        for name, t in tensors.items()
    }


class Targets(NamedTuple):
    """A batch by hand: KL and log q - log p of the sample [B], E[x|z] at z and at the posterior's
    mean [B, D]."""

    divergence: Tensor
    log_ratio: Tensor
    mean: Tensor
    at_the_mean: Tensor


def by_hand(params: Tensors, batch: Tensors) -> Targets:
    """The MLP VAE of TINY with a standard prior: tanh layers around codes of two dimensions, on
    images less the mean image, decoded to a sigmoid about it."""
    # the model holds both in float32
    centre = (catalogue.load("digits").train.flatten(1).double() / 16).mean(0).float()
    offset = centre.clamp(0.001, 0.999).logit()

    def net(part: str, x: Tensor) -> Tensor:
        w = {name: params[f"{part}.{name}"] for name in ("body.0.weight", "body.0.bias")}
        hidden = torch.tanh(x @ w["body.0.weight"].T + w["body.0.bias"])
        return hidden @ params[f"{part}.head.weight"].T + params[f"{part}.head.bias"]

    head = net("encoder", tiny.preprocessed(batch).double() - centre)
    mu, log_sigma = head[:, :2], head[:, 2:]
    z = mu + log_sigma.exp() * batch["z"][0]
    divergence = 0.5 * (mu**2 + (2 * log_sigma).exp() - 1 - 2 * log_sigma).sum(1)
    log_q = (-0.5 * batch["z"][0] ** 2 - log_sigma - 0.5 * math.log(2 * math.pi)).sum(1)
    log_p = (-0.5 * z**2 - 0.5 * math.log(2 * math.pi)).sum(1)
    mean, at_the_mean = (torch.sigmoid(net("decoder", code) + offset) for code in (z, mu))
    return Targets(divergence, log_q - log_p, mean, at_the_mean)
