"""Made-up runs of the study's own grid of trained experiments: what its figures read of them.

Every method is a constant apart from the VAE. The VAE has arrived on all data sets but CIFAR-10, a
variance learned from 1 depends on the data's unit, and BAGGINS does not.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from paper_repro import grid
from paper_repro.cell import Cell
from paper_repro.results.collect import collect
from paper_repro.results.frames import Results, load
from paper_repro.rows import Row, coordinates
from paper_repro.studies.there_and_back_again import methods
from paper_repro.studies.there_and_back_again.methods import BAGGINS, BILBO, BOTH, FITTED, HEAD, VAE
from tests.results.made_runs import noise, write_run

STUDY = "there_and_back_again"
MINE = ("elbo", "twice", "units", "memorising", "bernoulli", "bits")
POINTS = 20
SPREAD = 0.067  # variance of the images' pixels
VALUES = {"cifar10": 3072, "celeba_half_32": 3072}  # others: 784
REMAINING = {"mnist": 1.0 / 784, "fashion_mnist": -2.0 / 784, "cifar10": 0.012}  # others: 0.001
# nats per value above the VAE, natively and under the common evaluation
APART = {
    VAE: (0.0, 0.0),
    HEAD: (0.8, -0.03),
    FITTED: (0.003, 0.001),
    BILBO: (0.002, 0.001),
    BAGGINS: (-0.006, 0.004),
    BOTH: (0.008, 0.006),
}


def method(cell: Cell) -> str:
    """Its name, by its parameters."""
    p = cell.params
    return methods.NAMES[p["objective"] == "bilbo", "scale" in p["latent_options"], p["likelihood"]]


def bound(cell: Cell) -> tuple[str, float]:
    """Variant and bits of a bounded likelihood."""
    options = cell.params["likelihood_options"]
    return options.get("variant", "A"), options.get("bits", 8.0)


def gamma(cell: Cell) -> float:
    """The native variance that a run ends with."""
    variant, bits = bound(cell)
    least = SPREAD / (2 ** (2 * bits) - 1)
    residual = 1e-5 if cell.experiment == "memorising" else 0.005
    if cell.params["likelihood"] != "baggins":
        return residual * 1e-3 if cell.experiment == "memorising" else residual
    return {"A": residual + least, "B": max(residual, least), "C": least}[variant]


def per_value(cell: Cell, seed: int, t: float, place: int) -> float:
    """ELBO in nats per value under evaluation number `place`, a fraction t into training."""
    p, data = cell.params, cell.params["dataset"]
    found = 1.5 + APART[method(cell)][place] - 1.5 * math.exp(-9 * t)
    found += 0.002 * noise(data, seed) + 0.0004 * noise(cell.id, seed, place)
    if p["likelihood"] == "gaussian_channel" and p["units"] != 1:
        found -= 3 * abs(math.log(p["units"])) * math.exp(-4 * t)
    if cell.experiment == "twice":
        found += REMAINING.get(data, 0.001)
    variant, bits = bound(cell)
    return found - ("ABC".index(variant) + 1) * 2 ** (-float(bits))


def rows(cell: Cell, seed: int) -> Iterator[Row]:
    """All rows of one run that figures read."""
    p = cell.params
    values = VALUES.get(p["dataset"], 784)
    yield from _curves(cell, seed, values)
    for t in [*p["marks"], 1.0]:
        when = {} if t == 1 else {"step": round(t * p["steps"]), "kind": "curve"}
        for place, name in enumerate(("native", "common")):
            at, each = coordinates(evaluation=name), per_value(cell, seed, t, place)
            yield Row("elbo_per_value", each, "nats/value", "test", at, **when)
            elbo = values * (each - math.log(p["units"]))
            yield Row("elbo", elbo, "nats/image", "test", at, **when)
            if p["importance_images"]:
                above = (1 + place + t) * math.exp(0.1 * noise(cell.id, seed))
                yield Row("gap", above, "nats/image", "test", at, **when)
            if p["likelihood"] not in ("gaussian_pixel", "bernoulli"):
                final = gamma(cell) ** t
                told = 0.5 * math.log2(1 + SPREAD / final)
                yield Row("gamma", final, "mse/pixel", "train", at, **when)
                yield Row("information", told, "bits/dim", "train", at, **when)
    outputs = 2 if p["likelihood"] == "gaussian_pixel" else 1
    yield Row("decoder_outputs", outputs * values, "1")
    if p["hessian_images"]:
        cost = (0.5 if "scale" in p["latent_options"] else 2.0) * math.exp(
            0.2 * noise(cell.id, seed)
        )
        for split in ("train", "test"):
            for z, more in (("mean", 0.1), ("sampled", 0.0)):
                yield Row("curvature_penalty", cost + more, "nats/image", split, coordinates(z=z))


def _curves(cell: Cell, seed: int, values: int) -> Iterator[Row]:
    """A variance that falls to its end geometrically, and gradients like 1 / its root."""
    p = cell.params
    if cell.experiment != "memorising":
        return
    for point in range(1, POINTS + 1):
        where = {"split": "train", "step": round(point / POINTS * p["steps"]), "kind": "curve"}
        here = gamma(cell) ** (point / POINTS) * math.exp(0.1 * noise(cell.id, seed))
        if p["likelihood"] == "baggins":
            distortion = 0.5 * values * (math.log(2 * math.pi * here) + 1)
            yield Row("distortion", distortion, "nats/image", **where)
        else:
            yield Row("gamma", here, "mse/pixel", **where)
            yield Row("distortion", 7.0, "nats/image", **where)
        for name, factor in (("grad_decoder", 1.0), ("grad_z", 3.0)):
            yield Row(name, factor / math.sqrt(here), "1", **where)


@functools.cache
def cells(tier: str, seeds: int = 3) -> tuple[Cell, ...]:
    """Cells of the grid that these rows are for, with as few points a curve as `_curves` makes."""
    return tuple(
        replace(c, params={**c.params, "curve_points": POINTS})
        for c in grid.expand(STUDY, tier, max_seeds=seeds)
        if c.experiment in MINE
    )


def arrays(cell: Cell, seed: int) -> dict[str, np.ndarray]:
    """Pictures whose grey says which they are, and variances on the line V = 1 / H, of which the
    last latent is not used."""
    name = cell.params["dataset"]
    colours, side = (3, 32) if name in VALUES else (1, 28)
    place = cell.seeds.index(seed)
    found = {"pictures_test": 100 + place, "samples": 150 + place}
    if not name.startswith("celeba"):
        found["originals_test"] = 200
    saved = {key: np.full((32, colours, side, side), grey, np.uint8) for key, grey in found.items()}
    draw = np.random.default_rng(seed)
    inverse = np.append(np.geomspace(1e-3, 0.3, cell.params["dim"] - 1), 1.0)
    inverse = inverse * np.exp(0.1 * draw.standard_normal((50, len(inverse))))
    variance = inverse * np.exp(0.1 * draw.standard_normal(inverse.shape))
    curved = {"posterior_variance": variance, "inverse_curvature": inverse}
    return saved | {key: value.astype(np.float32) for key, value in curved.items()}


def results(
    root: Path,
    tier: str = "paper",
    seeds: int = 3,
    lost: Mapping[tuple[str, int], str] | None = None,
    only: tuple[str, ...] = MINE,
) -> Results:
    """Results of these cells; `lost` names the fate of seeds, counted from 0, of an experiment."""
    chosen = [cell for cell in cells(tier, seeds) if cell.experiment in only]
    for cell in chosen:
        for place, seed in enumerate(cell.seeds):
            status = (lost or {}).get((cell.experiment, place), "ok")
            if status == "missing":
                continue
            found: Any = rows(cell, seed) if status == "ok" else []
            shown = arrays(cell, seed) if cell.params["pictures"] else None
            write_run(root / "runs", cell, seed, found, status, shown)
    collect(chosen, root / "runs", root / "out", tier)
    return load(root / "out")
