"""Fitting a flow posterior to the density of a flow of the same architecture.

Roeder, Wu and Duvenaud (2017) mention flows as an extension of the path derivative; we know of no
experiment, so all of it is our choice. log q(z) is evaluated at z through the inverse with
parameters frozen. The target is a coupling flow with random weights drawn from the seed; q starts
from the target's weights + noise, so that q = p can be reached.
"""

from __future__ import annotations

import torch

from paper_repro.cell import Cell
from paper_repro.distributions import flow as flows
from paper_repro.distributions.flow import Flow
from paper_repro.studies.sticking_the_landing.tasks import toys
from paper_repro.studies.sticking_the_landing.tasks.fit import fit_problem, perturbed
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream

PARAMS = {
    "estimator": {"type": "string"},
    "objective": {"enum": ["elbo"], "default": "elbo"},
    "dim": {"type": "integer", "minimum": 2, "default": 4},
    "layers": {"type": "integer", "minimum": 1, "default": 4},
    "hidden": {"type": "integer", "minimum": 1, "default": 16},
    "start_noise": {"type": "number", "minimum": 0, "default": 0.1},
    "steps": {"type": "integer", "minimum": 1, "default": 3000},
    "samples": {"type": "integer", "minimum": 1, "default": 8},
    "lr": {"type": "number", "exclusiveMinimum": 0, "default": 0.003},
    "kl_draws": {"type": "integer", "minimum": 2, "default": 20000},
    "gradient_draws": {"type": "integer", "minimum": 2, "default": 1000},
    "evaluate_every": {"type": "integer", "minimum": 1, "default": 100},
}
POSTERIOR = "flow"
AT_MOST = (("evaluate_every", "steps"),)


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Fit the flow; its parameters are those of `flow.init_params`."""
    generator = stream(seed, "init", "flow")
    sizes = {name: cell.params[name] for name in ("dim", "layers", "hidden")}
    drawn = flows.init_params(generator, **sizes, dtype=torch.float64)
    start = perturbed(drawn, cell.params["start_noise"], generator)
    return fit_problem(
        cell,
        seed,
        device,
        name="flow",
        model=lambda target: toys.flow_model(Flow(target).log_prob),
        start=toys.place(start, torch.float64, device),
        target=toys.place(drawn, torch.float64, device),
        truth=True,
    )
