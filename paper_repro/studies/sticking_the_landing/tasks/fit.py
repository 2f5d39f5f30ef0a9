"""Fitting a posterior to a toy density whose KL has no closed form.

Shared by the mixture and the flow experiment. KL(q || p) is a Monte Carlo estimate on noise that
is fixed per seed, so that estimators and steps are compared on the same points. With
r = p(z)/q(z), r - 1 has mean zero under q, and -log r + lambda (r - 1) the same mean as -log r;
lambda is fitted by regression. Near q = p it tends to 1, where the estimator's error is of the
order of the KL itself and not of its square root; where p/q has heavy tails it tends to 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from paper_repro.cell import Cell
from paper_repro.contracts import Tensors
from paper_repro.gradients.draws import Model, estimate, gradient_draws
from paper_repro.gradients.moments import covariance_trace, moments
from paper_repro.rows import Row
from paper_repro.studies.sticking_the_landing.tasks.toys import Toy
from paper_repro.training.problem import Problem
from paper_repro.training.streams import standard_normal, stream

LOG_RATIO_LIMIT = 50.0  # keeps (p/q)^2 finite; lambda is zero long before
PREFIX = "target_"


def kl_estimate(toy: Toy, noise: Tensors) -> float:
    """KL(q || p) in nats from the K samples of `noise`; see the module's docstring."""
    posterior, log_joint = toy.model(toy.params)
    z = posterior.rsample(noise)
    log_likelihood, log_prior = log_joint(z)
    log_ratio = log_likelihood + log_prior - posterior.log_prob(z)

    def mean(values: Tensor) -> Tensor:
        return posterior.expect(values).mean()

    control = torch.expm1(log_ratio.clamp(max=LOG_RATIO_LIMIT))
    f, h = mean(-log_ratio), mean(control)
    covariance = mean(-log_ratio * control) - f * h
    variance = mean(control.square()) - h.square()
    weight = -covariance / variance.clamp_min(1e-300)
    return float(f + weight * h)


def fit_problem(
    cell: Cell,
    seed: int,
    device: str,
    *,
    name: str,
    model: Callable[[Tensors], Model],
    start: Tensors,
    target: Tensors,
    truth: bool,
) -> Problem:
    """Fit `model(target)` from `start` with the cell's estimator.

    `name` is the random streams' name; `target` are the seed's constants; with `truth` they are
    also the parameters at which q = p, and the gradient variance there is reported. Reads the
    cell's steps, samples, lr, kl_draws, gradient_draws and evaluate_every.
    """
    p, shapes = cell.params, Toy(start, model(target)).noise_shapes(cell.params["samples"])
    kl_shapes = Toy(start, model(target)).noise_shapes(p["kl_draws"])
    noise_generator = stream(seed, "noise", name, device=device)

    def bound(target: Tensors) -> Callable[[Tensors, Tensors], Tensor]:
        return estimate(model(target), p["estimator"], p["objective"])

    def loss(params: Tensors, state: Tensors, batch: Tensors) -> tuple[Tensor, Tensors, Tensors]:
        goal = {key.removeprefix(PREFIX): tensor for key, tensor in state.items()}
        value = bound(goal)(params, batch)
        return -value, state, {"elbo": value.detach()}

    def trace(params: Tensors, step: str) -> float:
        generator = stream(seed, "evaluation", name, step, device=device)
        batches = gradient_draws(
            {"": bound(target)}, params, shapes, generator, draws=p["gradient_draws"]
        )
        return covariance_trace(moments(batches)[""])

    def evaluate(params: Tensors, state: Tensors, step: int) -> list[Row]:
        noise = standard_normal(kl_shapes, stream(seed, "evaluation", name, "kl", device=device))
        kl, metric = kl_estimate(Toy(params, model(target)), noise), "gradient_variance_trace"
        rows = [
            Row("kl", kl, "nats", kind="curve"),
            Row(metric, trace(params, str(step)), "nats^2", kind="curve"),
        ]
        if step == p["steps"]:
            rows.append(Row("kl_final", kl, "nats"))
            if truth:
                rows.append(Row(f"{metric}_at_truth", trace(target, "truth"), "nats^2"))
        return rows

    return Problem(
        params={key: tensor.clone() for key, tensor in start.items()},
        loss=loss,
        draw=lambda step: standard_normal(shapes, noise_generator),
        evaluate=evaluate,
        generators={"noise": noise_generator},
        state={PREFIX + key: tensor for key, tensor in target.items()},
        optimizer={"name": "adam", "lr": p["lr"]},
        log_units={"elbo": "nats"},
        evaluate_at=every(p["evaluate_every"], p["steps"]),
    )


def perturbed(params: Tensors, scale: float, generator: torch.Generator) -> Tensors:
    """`params` + scale N(0, 1), drawn on the CPU."""
    return {
        name: tensor + scale * torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
        for name, tensor in params.items()
    }


def banana_log_prob(z: Tensor) -> Tensor:
    """A density outside every mixture family: z1 ~ N(0, 2^2), z2 | z1 ~ N(z1^2/4 - 1, 1/2^2)."""
    first = z[..., 0] / 2
    second = 2 * (z[..., 1] - z[..., 0].square() / 4 + 1)
    return -0.5 * (first.square() + second.square()) - math.log(2 * math.pi)


def every(interval: int, steps: int) -> tuple[int, ...]:
    """0, interval, 2 interval, ... up to `steps`."""
    return tuple(range(0, steps + 1, interval))
