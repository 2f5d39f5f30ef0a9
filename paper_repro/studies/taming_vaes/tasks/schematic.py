"""Figure 1: what overlapping posteriors and holes do to a decoder that is at its optimum.

Rezende and Viola, "Taming VAEs" (arXiv 1810.00597), Figure 1 and Proposition 1: for given q(z|x_i)
the best decoder is g(z) = sum_i w_i(z) x_i, w_i = q(z|x_i) / sum_j q(z|x_j). Where two posteriors
overlap g is an average (blur); where none has mass, g is undetermined (hole). One-dimensional z,
three points and Gaussian posteriors of ours: two that overlap, and one that leaves a hole.

In a hole the weights are ratios of vanishing densities. `floored` adds FLOOR to every density, a
change that hardly a sample of training sees: it leaves g alone wherever there is mass, and moves
it in the hole.

Arrays: z, prior and aggregate [Z], posterior [N, Z], decoder and floored [Z], hole [Z].
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paper_repro.cell import Cell
from paper_repro.rows import Row
from paper_repro.training.measurement import measurement
from paper_repro.training.problem import Problem

PARAMS: dict[str, Any] = {}
POINTS = np.array([0.1, 0.7, 0.9])  # x_1, x_2, x_3
MEANS = np.array([-1.6, -1.0, 1.4])
DEVIATIONS = np.array([0.3, 0.3, 0.2])
FLOOR = 1e-3
HOLE = 1e-2  # aggregate density over the prior's: less is a hole
Z = np.linspace(-3, 3, 6001)

Array = NDArray[np.float64]


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Nothing is drawn: every seed has the same numbers."""
    return measurement(lambda: list(rows(Z)), lambda: arrays(Z))


def densities(z: Array) -> Array:
    """q(z|x_i) [N, Z]."""
    scaled = (z - MEANS[:, None]) / DEVIATIONS[:, None]
    peaks: Array = DEVIATIONS[:, None] * np.sqrt(2 * np.pi)
    return np.asarray(np.exp(-0.5 * scaled**2) / peaks)


def decoder(z: Array, floor: float = 0.0) -> tuple[Array, Array]:
    """g [Z] and w [N, Z], with `floor` added to every density."""
    found = densities(z) + floor
    weights = found / found.sum(0)
    return POINTS @ weights, weights


def arrays(z: Array) -> dict[str, Array]:
    """See the module's docstring."""
    prior = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    posterior = densities(z)
    aggregate = posterior.mean(0)
    return {
        "z": z,
        "prior": prior,
        "posterior": posterior,
        "aggregate": aggregate,
        "decoder": decoder(z)[0],
        "floored": decoder(z, FLOOR)[0],
        "hole": (aggregate < HOLE * prior).astype(float),
    }


def rows(z: Array) -> Iterator[Row]:
    """g where the first two posteriors weigh the same, against the average of their points; the
    squared error that their overlap costs; the prior's mass in the hole, and how far the floor
    moves g inside and outside of it."""
    a, middle = arrays(z), crossing()
    at_middle = float(decoder(np.array([middle]))[0][0])
    yield Row("average_gap", abs(at_middle - POINTS[:2].mean()), "1")
    step = float(z[1] - z[0])
    blur = (a["posterior"] * (POINTS[:, None] - a["decoder"]) ** 2).sum(-1) * step
    for i, cost in enumerate(blur, 1):
        yield Row("blur", float(cost), "mse/pixel", at=f"point={i}")
    hole = a["hole"] > 0
    yield Row("hole_mass", float(a["prior"][hole].sum() * step), "1")
    yield Row("posterior_mass_in_hole", float(a["aggregate"][hole].sum() * step), "1")
    moved = np.abs(a["floored"] - a["decoder"])
    yield Row("moved_in_hole", float(moved[hole].max()), "1")
    yield Row("moved_outside", float(moved @ a["aggregate"] * step), "1")


def crossing() -> float:
    """The z at which the first two posteriors, of equal width, weigh the same."""
    return float(MEANS[:2].mean())
