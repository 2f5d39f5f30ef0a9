"""Made-up rows for the runs of Infinite Gradients that differ in gamma, on the grid's own cells.

They have the numbers of the specification's miniature in kind: with gamma fixed the MMD is three
times as high, more dimensions are in use, and gradients are large from the start.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from paper_repro import grid
from paper_repro.cell import Cell
from paper_repro.rows import Row, coordinates
from tests.results.made_runs import noise

STUDY = "infinite_gradients"
FAMILIES = ("celeba_", "miniature_")
POINTS = 10  # of a curve
# Relative to the learned run: squared error, MMD, dimensions in use.
KINDS = {
    "learned": (1.0, 1.0, 0),
    "fixed": (1.01, 3.0, 2),
    "times 10": (1.8, 1.5, -1),
    "times 100": (4.0, 1.2, -3),
    "fast": (1.0, 1.5, 0),
    "slow": (1.1, 0.8, 0),
    "closed": (1.01, 2.2, 1),
}


@functools.cache
def cells(tier: str, seeds: int = 3) -> tuple[Cell, ...]:
    """Cells of the grid that these rows are for."""
    found = grid.expand(STUDY, tier, max_seeds=seeds)
    return tuple(cell for cell in found if cell.experiment.startswith(FAMILIES))


def kind(cell: Cell) -> str:
    """What a cell does with gamma, a key of KINDS."""
    p, name = cell.params, cell.experiment.partition("_")[2]
    if name == "over":
        return f"times {p['gamma']['times']:g}"
    if name != "anneal":
        return name
    if p["likelihood"] == "gaussian_closed_form":
        return "closed"
    return "fast" if p["rates"]["likelihood"] >= 10 else "slow"


def rows(cell: Cell, seed: int) -> Iterator[Row]:
    """All rows of one run that its figures, tables and claims read."""
    p, what = cell.params, kind(cell)
    error, mmd, extra = KINDS[what]
    vectors = cell.experiment.startswith("miniature")
    dims = 100 if vectors else 49152
    wobble = 1 + 0.02 * noise(p["dataset"], seed) + 0.001 * noise(cell.id, seed)
    sse = (1.25 if vectors else 352.8) * error * wobble
    for split in p["splits"]:
        for z, less in (("sampled", 1.0), ("mean", 0.97)):
            at = coordinates(z=z)
            yield Row("sse", sse * less, "sse/image", split, at)
            yield Row("mse", sse * less / dims, "mse/pixel", split, at)
        yield Row("gamma", 1.01 * sse / dims, "mse/pixel", split)
        active = (5 if vectors else 40) + extra + (extra > 0) * (seed % 2)
        for threshold, more in ((0.1, -1), (0.5, 0), (0.9, 1)):
            at = coordinates(threshold=threshold)
            yield Row("informative_units", active + more, "1", split, at)
        yield Row("effective_rank", active, "1", split)
        yield Row("active_units", active, "1", split, coordinates(threshold=0.01))
    base = 0.0011 if vectors else 0.0933
    yield Row("mmd", base * mmd * (1 + 0.02 * noise(cell.id, seed, "mmd")), "1", "test")
    yield from _curves(cell, seed, what, sse / dims, dims)


def _curves(cell: Cell, seed: int, what: str, gamma: float, dims: int) -> Iterator[Row]:
    steps = cell.params["steps"]
    speed = {"fast": 10.0, "slow": 0.1}.get(what, 1.0)
    for point in range(1, POINTS + 1):
        step = round(point * steps / POINTS)
        where = {"split": "train", "step": step, "kind": "curve"}
        path = gamma ** min(1.0, 1.6 * speed * step / steps)
        if what != "learned" and what not in ("fast", "slow"):
            path = gamma
        if what == "closed":
            value = dims / 2 * (np.log(2 * np.pi * path) + 1)
            yield Row("distortion", value, "nats/image", **where)
        else:
            yield Row("gamma", path, "mse/pixel", **where)
        if not cell.params["watch"]:
            continue
        norm = 140 * (gamma / path) ** 0.9 * (1 + 0.02 * noise(cell.id, seed, point))
        for name, factor in (
            *(("grad_z", 1.0), ("grad_z_eq3", 2.0), ("grad_z_batch", 0.1)),
            *(("grad_decoder", 0.5), ("grad_encoder", 0.2)),
        ):
            yield Row(name, factor * norm, "1", **where)
