"""Where the path derivative wins: gradient variance over the mean and variance of q.

One dimension, target N(0, 1), q = N(m, s^2). Our derivation (see `gaussian_theory`): for both
parameters the path derivative has the smaller variance exactly where s^2 > 1/2 of the target's
variance, so the statement of Roeder et al. (2017) is a local one; the best weight of the score,
c* = s^2, leaves the gradient for mu without any variance.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from paper_repro.cell import Cell
from paper_repro.contracts import Tensors
from paper_repro.gradients.draws import Value, estimate, gradient_draws
from paper_repro.gradients.moments import moments
from paper_repro.rows import Row, coordinates
from paper_repro.studies.sticking_the_landing.tasks.gaussian_theory import (
    gradient_variance,
    ratio,
)
from paper_repro.studies.sticking_the_landing.tasks.toys import Toy, gaussian_model
from paper_repro.training.measurement import measurement
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream

PARAMS = {
    "m": {"type": "array", "items": {"type": "number"}, "default": [0, 1]},
    "s2": {
        "type": "array",
        "items": {"type": "number", "exclusiveMinimum": 0},
        "default": [0.1, 0.15, 0.2, 0.3, 0.4, 0.45, 0.55, 0.6, 0.75, 1, 1.33, 2, 3, 4],
    },
    "draws": {"type": "integer", "minimum": 2, "default": 200000},
}
POSTERIOR = "gaussian"
ESTIMATORS = ("total", "path", "control_variate")
OBJECTIVES = ("elbo",)
PARAMETERS = {"mean": "mu", "log_scale": "log_s"}


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Measure variances and c* on the grid m x s2, all points from common noise."""
    m, s2 = (torch.tensor(cell.params[name], dtype=torch.float64) for name in ("m", "s2"))
    grid = torch.cartesian_prod(m, s2).to(device)
    params = {"mean": grid[:, :1], "log_scale": 0.5 * grid[:, 1:].log()}
    target = {name: torch.zeros_like(tensor[0]) for name, tensor in params.items()}

    def rows() -> list[Row]:
        generator = stream(seed, "evaluation", "variance_map", device=device)
        measured = measure(params, target, generator, cell.params["draws"])
        theory = expected(params, target)
        result = []
        for name, parameter in PARAMETERS.items():
            for i, (m, s2) in enumerate(grid.tolist()):
                at = coordinates(parameter=parameter, m=m, s2=s2)
                for suffix, found in (("", measured), ("_theory", theory)):
                    c = float(found["c_star"][name][i])
                    result.append(Row("c_star" + suffix, c, "1", at=at))
                    for label in ("total", "path", "optimal_c"):
                        value, metric = float(found[label][name][i]), "gradient_variance" + suffix
                        result.append(Row(metric, value, "nats^2", at=at, estimator=label))
        return result

    return measurement(rows)


def expected(params: Tensors, target: Tensors) -> dict[str, Tensors]:
    """Closed forms of everything that `measure` measures."""
    weight = ratio(params, target)
    return {
        "total": gradient_variance(params, target, 0.0),
        "path": gradient_variance(params, target, 1.0),
        "optimal_c": gradient_variance(params, target, weight),
        "c_star": dict.fromkeys(params, weight),
    }


def measure(
    params: Tensors, target: Tensors, generator: Generator, draws: int
) -> dict[str, Tensors]:
    """Empirical variances of total, path and optimal_c, and c_star, at every grid point.

    optimal_c takes its weight from theory: one fitted to the same draws would flatter itself.
    """
    model, weight = gaussian_model(target), ratio(params, target)[:, 0]

    def optimal(params: Tensors, noise: Tensors) -> Tensor:
        def point(params: Tensors, noise: Tensors, c: Tensor) -> Tensor:
            return estimate(model, "control_variate", c=c)(params, noise)

        return torch.vmap(point, in_dims=(0, 1, 0))(params, noise, weight).sum()

    values: dict[str, Value] = {name: estimate(model, name) for name in ("total", "path")}
    shapes = Toy(params, model).noise_shapes(1)
    batches = gradient_draws(
        values | {"optimal_c": optimal}, params, shapes, generator, draws=draws, chunk=10_000
    )
    stats = moments(batches, pairs=[("path", "total")])
    variances = {
        label: {name: found.variance for name, found in entries.items()}
        for label, entries in stats.items()
    }
    score = variances.pop("path-total")
    # Var(path) = Var(total) + 2 Cov(total, score) + Var(score), in the sample as in expectation.
    variances["c_star"] = {
        name: 0.5 * (1 - (variances["path"][name] - variances["total"][name]) / score[name])
        for name in score
    }
    return variances
