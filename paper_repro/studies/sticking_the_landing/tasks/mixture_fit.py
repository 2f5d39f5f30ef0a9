"""Fitting a mixture-of-Gaussians posterior, inside and outside its own family.

Roeder, Wu and Duvenaud (2017) extend the path derivative to mixtures; their plot is known to us
only by hearsay, so the setting is our choice: two dimensions, five components, means 2 N(0, I),
log-scales 0.2 N(0, I), logits N(0, I); q starts from the target's parameters + 0.5 N(0, 1). The
second target, a banana outside the family, shows that without q = p there is no zero floor: it is
fitted from the same start.
"""

from __future__ import annotations

import torch

from paper_repro.cell import Cell
from paper_repro.contracts import Tensors
from paper_repro.distributions.mixture import GaussianMixture
from paper_repro.gradients.draws import Model
from paper_repro.studies.sticking_the_landing.tasks import toys
from paper_repro.studies.sticking_the_landing.tasks.fit import (
    banana_log_prob,
    fit_problem,
    perturbed,
)
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream

PARAMS = {
    "estimator": {"type": "string"},
    "objective": {"enum": ["elbo"], "default": "elbo"},
    "target": {"enum": ["same_family", "banana"], "default": "same_family"},
    "components": {"type": "integer", "minimum": 1, "default": 5},
    "start_noise": {"type": "number", "minimum": 0, "default": 0.5},
    "steps": {"type": "integer", "minimum": 1, "default": 3000},
    "samples": {"type": "integer", "minimum": 1, "default": 1},
    "lr": {"type": "number", "exclusiveMinimum": 0, "default": 0.01},
    "kl_draws": {"type": "integer", "minimum": 2, "default": 20000},
    "gradient_draws": {"type": "integer", "minimum": 2, "default": 1000},
    "evaluate_every": {"type": "integer", "minimum": 1, "default": 100},
}
POSTERIOR = "mixture"
AT_MOST = (("evaluate_every", "steps"),)
DIM = 2


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Fit the mixture; `kl_draws` is the number of draws from each component."""
    generator = stream(seed, "init", "mixture")
    drawn = toys.random_mixture(generator, cell.params["components"], DIM)
    start = perturbed(drawn, cell.params["start_noise"], generator)
    same_family = cell.params["target"] == "same_family"

    def model(target: Tensors) -> Model:
        density = GaussianMixture(**target).log_prob if same_family else banana_log_prob
        return toys.mixture_model(density)

    return fit_problem(
        cell,
        seed,
        device,
        name="mixture",
        model=model,
        start=toys.place(start, torch.float64, device),
        target=toys.place(drawn, torch.float64, device) if same_family else {},
        truth=same_family,
    )
