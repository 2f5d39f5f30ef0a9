"""The surface log p - log q over z and over a path of parameters, and its gradients.

The panels of the authors' workshop poster on "Sticking the Landing" (Roeder et al. 2017): (i) the
surface is flat in z at the truth, (ii) at fixed z its gradient with respect to the parameters is
not zero there (it is minus the score), (iii) the path derivative is. Our choice of example:
p(z|x) = N(0, 1), log p(x) = 0, and phi(t) = (m, log s) on the straight line from (1.5, log 2) at
t = 0 through the truth at t = 1 to t = 1.5.

Arrays, with T points t and Z points z: t [T], z [Z], phi [T, 2], value [T, Z] (nats), and
gradient_total, gradient_path, gradient_score [T, Z, 2], the gradients of log p - log q with
respect to (m, log s) that the estimators give to the sample that falls on z.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from paper_repro import registry
from paper_repro.cell import Cell
from paper_repro.gradients.draws import estimate, per_draw
from paper_repro.rows import Row, coordinates
from paper_repro.studies.sticking_the_landing.tasks.toys import gaussian_model
from paper_repro.training.measurement import measurement
from paper_repro.training.problem import Problem

PARAMS = {
    "t_points": {"type": "integer", "minimum": 4, "default": 61},
    "z_points": {"type": "integer", "minimum": 2, "default": 81},
}
POSTERIOR = "gaussian"
ESTIMATORS = ("total", "path")
OBJECTIVES = ("elbo",)
START = (1.5, math.log(2))
T_END, Z_END = 1.5, 4.0


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Measure the surface; nothing is random, so all seeds agree."""
    arrays = surface(cell.params["t_points"], cell.params["z_points"], device)

    def rows() -> list[Row]:
        truth = int(np.abs(arrays["t"] - 1).argmin())
        at = coordinates(t=float(arrays["t"][truth]))
        result = [Row("surface_range", float(np.ptp(arrays["value"][truth])), "nats", at=at)]
        for estimator in ESTIMATORS:
            largest = float(np.abs(arrays[f"gradient_{estimator}"][truth]).max())
            result.append(Row("gradient_max_abs", largest, "1", at=at, estimator=estimator))
        return result

    return measurement(rows, lambda: {k: v.astype(np.float32) for k, v in arrays.items()})


def surface(t_points: int, z_points: int, device: str = "cpu") -> dict[str, np.ndarray]:
    """The arrays of the module's docstring, float64. The grid of t always contains the truth."""
    t = torch.linspace(0, T_END, t_points, dtype=torch.float64, device=device)
    t[(t - 1).abs().argmin()] = 1.0
    z = torch.linspace(-Z_END, Z_END, z_points, dtype=torch.float64, device=device)
    phi = (1 - t)[:, None] * torch.tensor(START, dtype=torch.float64, device=device)
    params = {"mean": phi[:, :1], "log_scale": phi[:, 1:]}
    truth = {name: torch.zeros(1, dtype=t.dtype, device=device) for name in params}
    model = gaussian_model(truth)
    # The noise that puts a sample of q_phi(t) on z, for every z and t: [Z, K = 1, T, D = 1].
    noise = {"z": (z[:, None, None] - params["mean"]) * (-params["log_scale"]).exp()}
    posterior, log_joint = model(params)
    terms = registry.load("estimators", "total").terms(posterior, log_joint, noise)
    value = terms.log_likelihood + terms.log_prior - terms.log_posterior
    gradients = {}
    for estimator in ESTIMATORS:
        found = per_draw(estimate(model, estimator), params, {"z": noise["z"].unsqueeze(1)})
        gradients[estimator] = torch.cat([found["mean"], found["log_scale"]], -1).transpose(0, 1)
    arrays: dict[str, Tensor] = {
        "t": t,
        "z": z,
        "phi": phi,
        "value": value.T,
        **{f"gradient_{name}": gradient for name, gradient in gradients.items()},
        "gradient_score": gradients["path"] - gradients["total"],
    }
    return {name: tensor.cpu().numpy() for name, tensor in arrays.items()}
