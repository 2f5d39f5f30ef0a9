"""Gradient variance along the straight path to the truth.

The poster on "Sticking the Landing" (Roeder et al. 2017) says in words that the variance of the
path derivative vanishes as q approaches p, and need not be the smaller one far away. Here q has
the parameters a (mu_p, log s_p), from N(0, I) at a = 0 to the truth at a = 1; each seed is a pair
of Gaussians. At a = 1 the total derivative is minus the score, so that its trace is that of the
Fisher information, sum 1/s_p^2 + 2 D.
"""

from __future__ import annotations

from paper_repro.cell import Cell
from paper_repro.gradients.draws import estimate, gradient_draws
from paper_repro.gradients.moments import covariance_trace, moments
from paper_repro.rows import Row, coordinates
from paper_repro.studies.sticking_the_landing.tasks.gaussian_theory import (
    fisher_diagonal,
    gradient_variance,
    random_target,
)
from paper_repro.studies.sticking_the_landing.tasks.toys import Toy, gaussian_model
from paper_repro.training.measurement import measurement
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream

PARAMS = {
    "dim": {"type": "integer", "minimum": 1, "default": 100},
    "draws": {"type": "integer", "minimum": 2, "default": 20000},
    "a": {
        "type": "array",
        "items": {"type": "number", "minimum": 0, "maximum": 1},
        "default": [0, 0.25, 0.5, 0.75, 0.9, 1],
    },
}
POSTERIOR = "gaussian"
ESTIMATORS = ("total", "path")
OBJECTIVES = ("elbo",)


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Measure the trace of the gradient covariance at every `a` from `draws` draws."""
    dim, draws = cell.params["dim"], cell.params["draws"]
    target = random_target(dim, stream(seed, "init", "gaussian"), device)
    model = gaussian_model(target)

    def rows() -> list[Row]:
        result = []
        for a in map(float, cell.params["a"]):
            params = {name: a * tensor for name, tensor in target.items()}
            generator = stream(seed, "evaluation", "path_to_truth", device=device)
            batches = gradient_draws(
                {name: estimate(model, name) for name in ESTIMATORS},
                params,
                Toy(params, model).noise_shapes(1),
                generator,
                draws=draws,
            )
            stats, at = moments(batches), coordinates(a=a)
            for estimator, c in (("total", 0.0), ("path", 1.0)):
                theory = sum(v.sum() for v in gradient_variance(params, target, c).values())
                for metric, value in (
                    ("gradient_variance_trace", covariance_trace(stats[estimator])),
                    ("gradient_variance_trace_theory", float(theory)),
                ):
                    result.append(Row(metric, value, "nats^2", at=at, estimator=estimator))
        fisher = float(sum(entry.sum() for entry in fisher_diagonal(target).values()))
        return result + [Row("fisher_trace", fisher, "nats^2", at=coordinates(a=1.0))]

    return measurement(rows)
