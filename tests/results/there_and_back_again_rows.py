"""Made-up rows for the trained networks of There and Back Again, on the grid's own cells.

In kind what the claims say: BILBO is no worse than learned variances and, with BAGGINS, better than
the VAE; nothing depends on the unit but a variance that is learned; one gradient is large without
a bound.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import replace

from paper_repro import grid
from paper_repro.cell import Cell
from paper_repro.rows import Row, coordinates
from paper_repro.studies.there_and_back_again.methods import (
    BAGGINS,
    BILBO,
    BOTH,
    FITTED,
    HEAD,
    NAMES,
    STUDY,
    VAE,
)
from tests.results.made_runs import curve, noise

EXPERIMENTS = ("elbo", "twice", "units", "memorising", "bernoulli", "optimal_decoder")
POINTS = 10  # of a curve
PIXELS = 100
# Above the VAE's test ELBO, in nats per value.
GAIN = {VAE: 0.0, HEAD: 0.05, FITTED: 0.001, BILBO: 0.02, BAGGINS: 0.015, BOTH: 0.03}
PENALTY = {VAE: 2.2, FITTED: 2.0, BILBO: 1.0}  # nats/image
LONGER = 0.002  # what twice the steps add


@functools.cache
def cells(tier: str, experiments: tuple[str, ...] = EXPERIMENTS) -> tuple[Cell, ...]:
    """The grid's cells of some experiments, with all their seeds and curves of POINTS points."""
    found = [cell for cell in grid.expand(STUDY, tier) if cell.experiment in experiments]
    return tuple(replace(cell, params=cell.params | {"curve_points": POINTS}) for cell in found)


def method(cell: Cell) -> str:
    """The row of E1 that a cell is."""
    p = cell.params
    return NAMES[p["objective"] == "bilbo", "scale" in p["latent_options"], p["likelihood"]]


def rows(cell: Cell, seed: int) -> Iterator[Row]:
    """All rows of one run that claims read."""
    if cell.experiment == "optimal_decoder":
        yield Row("decoder_distance", 0.02 + 0.005 * noise(cell.id, seed), "1")
        return
    if cell.experiment == "memorising":
        yield from gradients(cell, seed)
        return
    yield from bounds(cell, seed)
    if cell.params["hessian_images"]:
        yield from hessians(cell, seed)
    if cell.experiment == "elbo":
        yield from identities(cell, seed)
        yield from counts(cell)


def bounds(cell: Cell, seed: int) -> Iterator[Row]:
    """Of test images, by both evaluations; a learned variance is lost in units far from 1."""
    p, what = cell.params, method(cell)
    value = 1 + 0.01 * noise(p["dataset"], seed) + GAIN[what]
    value += LONGER * (cell.experiment == "twice")
    if what == VAE:
        value -= 0.05 * abs(math.log(p["units"]))
    for evaluation in ("native", "common"):
        own = value + 0.0005 * noise(cell.id, seed, evaluation)
        at = coordinates(evaluation=evaluation)
        yield Row("elbo_per_value", own, "nats/value", "test", at)


def hessians(cell: Cell, seed: int) -> Iterator[Row]:
    penalty = PENALTY.get(method(cell), 1.0)
    for split in ("train", "test"):
        for z in ("mean", "sampled"):
            at, jitter = coordinates(z=z), noise(cell.id, seed, split, z)
            yield Row("variance_error", 0.05 + 0.01 * jitter, "1", split, at)
            yield Row("curvature_penalty", penalty * math.exp(0.05 * jitter), "nats/image",
                      split, at)  # fmt: skip
            yield Row("used", 6, "1", split, at)


def identities(cell: Cell, seed: int) -> Iterator[Row]:
    """At every evaluation."""
    steps = cell.params["steps"]
    for step in (*(round(mark * steps) for mark in cell.params["marks"]), steps):
        kind = "final" if step == steps else "curve"
        found = [
            Row("sampling_gap", 0.1 * noise(cell.id, seed, step), "nats/image"),
            Row("sampling_error", 0.1, "nats/image"),
        ]
        if cell.params["likelihood"] == "baggins":
            found += [Row("slope_to_bound", 0.9, "1"), Row("above_floor", 0.1, "nats/value")]
        yield from (replace(row, split="train", step=step, kind=kind) for row in found)


def counts(cell: Cell) -> Iterator[Row]:
    heads = 1 if "scale" in cell.params["latent_options"] else 2
    yield Row("encoder_outputs", heads * cell.params["dim"], "1")
    yield Row("decoder_outputs", (1 + (method(cell) == HEAD)) * PIXELS, "1")


def gradients(cell: Cell, seed: int) -> Iterator[Row]:
    """Norms around 1, of which one is large."""
    steps, largest = cell.params["steps"], 2 if cell.params["likelihood"] == "baggins" else 40
    for metric in ("grad_decoder", "grad_z"):
        level = [math.exp(0.1 * noise(cell.id, seed, metric, i)) for i in range(POINTS)]
        level[POINTS // 2] *= largest
        yield from curve(metric, level, -(-steps // POINTS), steps, split="train")
