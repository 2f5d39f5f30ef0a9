"""Figure 2: which penalties prefer one long latent to two tiny ones (Theorem 4).

Dai, Wenliang and Wipf (NeurIPS 2021), section 3.3: a one-dimensional manifold is folded into an
eps x eps square. An identity decoder reconstructs it from two latents of size eps, a labyrinth
decoder from one latent, the arc length, that is long. Both have unit speed, so neither can shrink
its code. The penalty of their eq. (7) is sum_k h(mean square of latent k); no h of bounded slope
chooses the labyrinth for every eps. The snake is our construction (the paper draws a sketch): rows
of length eps, joined at alternate ends, spaced evenly over the square.

Second moments are integrals along the path, exact; nothing is random, so all seeds agree. Costs are
those of the code alone: both codes reconstruct exactly.

Arrays: path [P, 2] of a snake coarse enough to be seen (in units of eps), arc [P] (its arc length),
u [U], penalty [H] (``name constant``, for every entry of PENALTIES) and h [H, U] (h at u).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from paper_repro.cell import Cell
from paper_repro.objectives.autoencoder import penalty
from paper_repro.rows import Row, coordinates
from paper_repro.training.measurement import measurement
from paper_repro.training.problem import Problem

PARAMS: dict[str, Any] = {}
# name in `objectives.autoencoder.PENALTIES`, its constant
PENALTIES = (
    ("identity", 1.0),
    ("saturating", 1.0),
    ("log1p", 1.0),
    ("log1p", 1e-12),
    ("sqrt", 1.0),
    ("power", 0.03),
    ("power", 0.057),
    ("power", 0.059),
    ("shifted_log", 1e-30),
)
EPS = (1e-1, 1e-2, 1e-3, 1e-4)
LENGTH = 4.0  # of all rows together
SHOWN_ROWS = 12


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Measure once, on the CPU."""
    return measurement(lambda: list(rows()), arrays)


def rows() -> Iterator[Row]:
    """Costs of both codes per penalty and eps, their ratio above the cost of an empty code, and the
    exponent at which u^p changes sides."""
    for eps in EPS:
        count = round(LENGTH / eps)
        plane, arc = moments(eps, count)
        at = coordinates(eps=eps)
        yield Row("path_length", path_length(eps, count), "1", at=at)
        yield Row("critical_power", critical_power(plane, arc), "1", at=at)
        for name, constant in PENALTIES:
            cost = {"identity": code_cost(plane, name, constant)}
            cost["labyrinth"] = code_cost(arc, name, constant)
            at = coordinates(penalty=name, constant=constant, eps=eps)
            for code, value in cost.items():
                row_at = coordinates(penalty=name, constant=constant, eps=eps, code=code)
                yield Row("code_cost", value, "1", at=row_at)
            difference = cost["identity"] - cost["labyrinth"]
            yield Row("labyrinth_advantage", difference, "1", at=at)
            yield Row("labyrinth_preferred", difference > 0, "1", at=at)
            empty = code_cost(torch.zeros_like(arc), name, constant)
            ratio = (cost["identity"] - empty) / (cost["labyrinth"] - empty)
            yield Row("cost_ratio", ratio, "1", at=at)


def path_length(eps: float, count: int) -> float:
    """Length of `count` rows of length eps and the joints between them, which add up to eps."""
    return count * eps + eps


def moments(eps: float, count: int) -> tuple[Tensor, Tensor]:
    """Mean squares of both latents under a uniform point of the path: identity code, labyrinth."""
    length = path_length(eps, count)
    heights = torch.linspace(0, eps, count, dtype=torch.float64)
    across = count * eps**3 / 3  # integral of x^2 along all rows
    joints_at_eps = (heights[1:] - heights[:-1])[::2].sum()  # the first, third, ... joint
    x = (across + eps**2 * joints_at_eps) / length
    y = (eps * heights.square().sum() + eps**3 / 3) / length
    arc = torch.tensor([length**2 / 3, 0.0], dtype=torch.float64)
    return torch.stack([x, y]), arc


def code_cost(mean_squares: Tensor, name: str, constant: float) -> float:
    """sum_k h(mean square of latent k)."""
    return float(penalty(name, mean_squares, constant).sum())


def critical_power(plane: Tensor, arc: Tensor) -> float:
    """p at which m1^p = 2 m2^p, for m2 the geometric mean of the identity code's mean squares (the
    two are equal but for the joints): ln 2 / ln(m1 / m2)."""
    return math.log(2) / float((arc[0] / plane.log().mean().exp()).log())


def snake(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners [2 count, 2] of the path in the unit square, and their arc length [2 count]."""
    heights = np.repeat(np.linspace(0, 1, count), 2)
    x = np.tile([0.0, 1.0, 1.0, 0.0], count)[: 2 * count]
    path = np.stack([x, heights], 1)
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    return path, np.concatenate([[0.0], np.cumsum(steps)])


def arrays() -> dict[str, NDArray[Any]]:
    """See the module's docstring."""
    path, arc = snake(SHOWN_ROWS)
    u = torch.cat([torch.zeros(1), torch.logspace(-16, 1, 341)]).double()
    h = torch.stack([penalty(name, u, constant) for name, constant in PENALTIES])
    names = np.array([f"{name} {constant:g}" for name, constant in PENALTIES])
    return {"path": path, "arc": arc, "u": u.numpy(), "penalty": names, "h": h.numpy()}
