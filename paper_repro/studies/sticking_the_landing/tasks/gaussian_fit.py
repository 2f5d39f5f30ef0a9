"""Figure 1: fitting a Gaussian posterior to another Gaussian.

Roeder, Wu and Duvenaud (2017), Figure 1, fit a 100-dimensional variational posterior to another
Gaussian with the total and with the path derivative. Optimiser and Gaussians are our choice (the
paper is silent): target mu_p ~ N(0, I), log s_p ~ 0.3 N(0, I), drawn from the seed alone, q from
N(0, I), one sample per step. All is float64: the KL of the path derivative falls below what
float32 resolves.

`score` weights the score term in g = g_TD + c score (the paper's control variate; the weights are
our extension): "fixed" takes `c`, "schedule" goes from c = 0 (total) to c = 1 (path), "running"
estimates c* = -Cov(g_TD, score) / Var(score) for every parameter by exponential averages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from paper_repro.cell import Cell
from paper_repro.contracts import Tensors
from paper_repro.errors import UserError
from paper_repro.gradients.draws import Value, estimate, gradient_draws
from paper_repro.gradients.moments import covariance_trace, moments
from paper_repro.rows import Row
from paper_repro.studies.sticking_the_landing.tasks.fit import every
from paper_repro.studies.sticking_the_landing.tasks.gaussian_theory import (
    fisher_diagonal,
    kl,
    random_target,
)
from paper_repro.studies.sticking_the_landing.tasks.toys import gaussian_model
from paper_repro.training.problem import Problem
from paper_repro.training.streams import standard_normal, stream

PARAMS = {
    "estimator": {"type": "string"},
    "objective": {"enum": ["elbo"], "default": "elbo"},
    "dim": {"type": "integer", "minimum": 1, "default": 100},
    "steps": {"type": "integer", "minimum": 1, "default": 1400},
    "samples": {"type": "integer", "minimum": 1, "default": 1},
    "optimizer": {"enum": ["adam", "sgd"], "default": "adam"},
    "lr": {"type": "number", "exclusiveMinimum": 0, "default": 0.01},
    "score": {"enum": ["", "fixed", "schedule", "running"], "default": ""},
    "c": {"type": "number", "default": 0.5},
    "gradient_draws": {"type": "integer", "minimum": 2, "default": 1000},
    "gradient_every": {"type": "integer", "minimum": 1, "default": 50},
}
POSTERIOR = "gaussian"
REFUSES = (
    (
        {"estimator": {"const": "control_variate"}, "score": {"const": ""}},
        "score: estimator 'control_variate' needs one of fixed, schedule, running",
    ),
    (
        {"estimator": {"not": {"const": "control_variate"}}, "score": {"not": {"const": ""}}},
        "score: goes with estimator 'control_variate' alone",
    ),
    (
        {"score": {"not": {"const": "fixed"}}, "c": {"not": {"const": 0.5}}},
        "c: goes with estimator 'control_variate' and score 'fixed' alone",
    ),
)
AT_MOST = (("gradient_every", "steps"),)
LAST = 100  # steps over which kl_last100 averages
DECAY = 0.99  # of the running averages behind c*
SHAPE = ("mean", "log_scale")


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Fit q by gradient steps on the ELBO; UserError where `score` and estimator do not match."""
    p = cell.params
    if (p["score"] != "") != (p["estimator"] == "control_variate"):
        raise UserError(
            f"score: {p['score']!r} with estimator {p['estimator']!r}; estimator "
            "'control_variate' needs score fixed, schedule or running, all others none"
        )
    dim, steps = p["dim"], p["steps"]
    shapes = {"z": (p["samples"], dim)}
    target = random_target(dim, stream(seed, "init", "gaussian"), device)
    start = {name: torch.zeros(dim, dtype=torch.float64, device=device) for name in SHAPE}
    noise_generator = stream(seed, "noise", "gaussian", device=device)

    def draw(step: int) -> Tensors:
        fraction = step / max(1, steps - 1)
        clock = torch.tensor([step, fraction], dtype=torch.float64).to(device, non_blocking=True)
        return standard_normal(shapes, noise_generator) | {"clock": clock}

    def loss(params: Tensors, state: Tensors, batch: Tensors) -> tuple[Tensor, Tensors, Tensors]:
        step, fraction = batch["clock"].unbind()
        noise = {"z": batch["z"]}
        if p["score"] == "running":
            bound, total, path = _running_bound(state, params, noise)
            averages = _track(state, total, path)
        else:
            bound, averages = _bound(p, state, fraction)(params, noise), {}
        fixed = {name: tensor.detach() for name, tensor in params.items()}
        distance = kl(fixed, _part(state, "target"))
        late = (step >= steps - LAST).to(distance.dtype)
        new = state | averages | {"kl_sum": state["kl_sum"] + late * distance}
        return -bound, new, {"kl": distance, "elbo": bound.detach()}

    def evaluate(params: Tensors, state: Tensors, step: int) -> list[Row]:
        fraction = torch.tensor(min(1.0, step / max(1, steps - 1)), device=device)
        batches = gradient_draws(
            {"": _bound(p, state, fraction)},
            params,
            shapes,
            stream(seed, "evaluation", "gaussian", str(step), device=device),
            draws=p["gradient_draws"],
        )
        trace = covariance_trace(moments(batches)[""])
        rows = [Row("gradient_variance_trace", trace, "nats^2", kind="curve")]
        if step == steps:
            rows.append(Row("kl_last100", float(state["kl_sum"]) / min(LAST, steps), "nats"))
        return rows

    return Problem(
        params={name: tensor.clone() for name, tensor in start.items()},
        loss=loss,
        draw=draw,
        evaluate=evaluate,
        generators={"noise": noise_generator},
        state=_initial_state(p, start, target),
        optimizer={"name": p["optimizer"], "lr": p["lr"]},
        log_units={"kl": "nats", "elbo": "nats"},
        progress="kl",
        evaluate_at=every(p["gradient_every"], steps),
    )


def _initial_state(p: Mapping[str, Any], start: Tensors, target: Tensors) -> Tensors:
    state = {f"target_{name}": tensor for name, tensor in target.items()}
    state["kl_sum"] = target["mean"].new_zeros(())
    if p["score"] == "running":
        # A covariance of zero at the score's true variance: c starts at 0, the total derivative.
        for name, fisher in fisher_diagonal(start).items():
            state |= {
                f"gradient_{name}": torch.zeros_like(fisher),
                f"covariance_{name}": torch.zeros_like(fisher),
                f"variance_{name}": fisher,
            }
    return state


def _part(state: Tensors, prefix: str) -> Tensors:
    return {name: state[f"{prefix}_{name}"] for name in SHAPE}


def _bound(p: Mapping[str, Any], state: Tensors, fraction: Tensor) -> Value:
    """The ELBO with the gradient that the cell asks for at this point of training."""
    model = gaussian_model(_part(state, "target"))
    if p["score"] == "":
        return estimate(model, p["estimator"], p["objective"])
    if p["score"] == "running":
        return lambda params, noise: _running_bound(state, params, noise)[0]
    c = p["c"] if p["score"] == "fixed" else fraction
    return estimate(model, "control_variate", c=c)


def _running_bound(
    state: Tensors, params: Tensors, noise: Tensors
) -> tuple[Tensor, Tensors, Tensors]:
    """The ELBO with gradient total + c score, one c per entry, and the two gradients behind it.

    No log-density has a weight per parameter: both ends are differentiated here, and the value
    is given their weighted sum as its gradient.
    """
    model = gaussian_model(_part(state, "target"))
    ends = [estimate(model, "control_variate", c=c) for c in (0.0, 1.0)]

    def both(at_total: Tensors, at_path: Tensors) -> tuple[Tensor, Tensor]:
        value = ends[0](at_total, noise)
        return value + ends[1](at_path, noise), value

    fixed = {name: tensor.detach() for name, tensor in params.items()}
    (total, path), bound = torch.func.grad(both, argnums=(0, 1), has_aux=True)(fixed, fixed)
    covariance, variance = _part(state, "covariance"), _part(state, "variance")
    for name in SHAPE:
        c = -covariance[name] / variance[name]
        gradient = total[name] + c * (path[name] - total[name])
        bound = bound + (gradient * (params[name] - fixed[name])).sum()
    return bound, total, path


def _track(state: Tensors, total: Tensors, path: Tensors) -> Tensors:
    """Running averages with this step's gradients, for the next one: a weight that has seen the
    draw it weights would bias the gradient."""
    new = {}
    for name in SHAPE:
        score = path[name] - total[name]
        centred = total[name] - state[f"gradient_{name}"]  # E[score] = 0: any centre will do
        for key, value in (
            ("gradient", total[name]),
            ("covariance", centred * score),
            ("variance", score.square()),
        ):
            new[f"{key}_{name}"] = torch.lerp(value, state[f"{key}_{name}"], DECAY)
    return new
