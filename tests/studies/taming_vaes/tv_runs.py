"""Made-up runs of the study's own grid: points on a rate-distortion curve per data set.

GECO ends at its threshold or at the network's lowest error, the baselines above GECO's curve, the
ELBO at equal error a little above it; one data set cannot reach the smallest threshold.
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
from paper_repro.results.frames import Results
from paper_repro.rows import Row, coordinates
from tests.results.made_runs import cell as made_cell
from tests.results.made_runs import collected, made_run, noise

STUDY = "taming_vaes"
MINE = (
    *("sweep", "baselines", "floor", "fixed_beta", "trajectory", "constraints", "sensitivity"),
    *("same_error_elbo", "same_error_geco", "marginal_elbo", "marginal_geco"),
)
PIXELS = 784
POINTS = 20
SCALES = {"cifar10": 0.24, "color_mnist": 0.2, "celeba_half_64": 0.26}  # others: 0.3
FLOORS = {"cifar10": 0.07}  # others: 0.03
SETS = ("mnist", "fashion_mnist", "cifar10", "color_mnist", "celeba_half_64", "digits", "patches")


def rate(dataset: str, error: float) -> float:
    """GECO's KL of a data set at an RMS error."""
    return 60 * max(math.log(SCALES.get(dataset, 0.3) / error), 0.01) ** 1.2


def multiplier(dataset: str, error: float) -> float:
    """GECO's lambda there: minus the slope of the rate over the summed squared error."""
    slope = 72 * max(math.log(SCALES.get(dataset, 0.3) / error), 0.01) ** 0.2
    return slope / (2 * PIXELS * error**2)


def floor(dataset: str) -> float:
    """Lowest error of any network on a data set."""
    return FLOORS.get(dataset, 0.03)


def end(cell: Cell, seed: int) -> tuple[float, float, float]:
    """RMS error, KL and lambda at the end of a run."""
    # never on target: the distance from it is a denominator
    p, wobble = cell.params, 1.004 + 0.0004 * noise(cell.id, seed)
    data, options = p["dataset"], p["objective_options"]
    if cell.experiment == "floor":
        return floor(data) * wobble, 300.0, math.nan
    if cell.experiment == "fixed_beta":
        error = SCALES.get(data, 0.3) * (0.2 + 0.8 * options["beta"] ** 0.4) * wobble
        return error, rate(data, error), math.nan
    if cell.experiment == "baselines":
        error = {"elbo": 0.21, "gqn": 0.16, "beta_elbo": 0.13}[p["objective"]] * wobble
        return error, rate(data, error) + 6, math.nan
    if cell.experiment.startswith(("same_error", "marginal")):
        gain = 8.0 if p["objective"] == "geco" else 0.0
        error = 0.05 * (1 + 0.001 * noise(cell.id, seed))
        return error, 90 - gain + noise(seed) + 0.2 * noise(cell.id, seed), 1 / (2 * error**2)
    if kappa := p["kappa"]:
        error = max(kappa, floor(data)) * wobble
        return error, rate(data, error) * wobble, multiplier(data, error)
    error = 0.35 if "CLA" in p["constraints"] else 0.2
    return error * wobble, 4.0, math.nan


def rows(cell: Cell, seed: int) -> Iterator[Row]:
    """All rows of one run that figures, tables and claims read."""
    p = cell.params
    error, kl, lagrange = end(cell, seed)
    yield from _curves(cell, seed, error, kl, lagrange)
    for split in ("train", "test"):
        z = coordinates(z="sampled")
        yield Row("rate", kl, "nats/image", split)
        yield Row("sse", PIXELS * error**2, "sse/image", split, z)
        yield Row("mse", error**2, "mse/pixel", split, z)
        yield Row("rmse", error, "rmse/pixel", split, z)
        for target in p["targets"]:
            away = math.log(error / target)
            yield Row("off_target", abs(away), "1", split, coordinates(target=float(target)))
            yield Row("excess", away, "1", split, coordinates(kappa=float(target)))
        bounds = p["constraints"]
        small = 0.001 * noise(cell.id, seed)
        yield Row("patch_correlation", bounds.get("PNCC", 0.4) + 0.01 + small, "1", split)
        yield Row("patch_limit", 0.46 if p["dataset"] == "color_mnist" else 0.98, "1", split)
        yield Row("brightness_error", (0.2 if "PNCC" in bounds else 0.03) + small, "1", split)
        if p["classifier_steps"]:
            yield Row("class_probability", bounds.get("CLA", 0.6) + 0.01, "1", split)
            yield Row("accuracy", bounds.get("CLA", 0.6) + 0.03 + small, "1", split)
            known = 0.6 if p["dataset"] == "cifar10" else 0.96
            yield Row("classifier_accuracy", known, "1", split)
            yield Row("feature_error", bounds.get("FRE", 0.7) ** 2, "1", split)
    if p["prior_samples"]:
        near = 0.05 + 0.5 * error + 0.005 * noise(cell.id, seed)
        yield Row("nearest", near, "rmse/pixel", "test")
        for target in p["targets"]:
            share = 1 / (1 + math.exp(20 * (near - 2 * target)))
            yield Row("coverage", share, "1", "test", coordinates(radius=2 * float(target)))
    if p["marginal"]:
        yield Row("marginal_kl_floor", 1.0, "nats/image", "test")
        for side, more in (("low", 0.0), ("high", 0.7)):
            value = 3.0 + more + 1.5 * (p["objective"] == "elbo") + 0.05 * noise(cell.id, seed)
            yield Row("marginal_kl", value, "nats/image", "test", coordinates(side=side))
    yield Row("parameters", 1234567 + len(p["dataset"]), "1")


def _curves(cell: Cell, seed: int, error: float, kl: float, lagrange: float) -> Iterator[Row]:
    """20 points on an error that falls, a KL that rises, and a lambda that peaks at 0.3."""
    p, steps = cell.params, cell.params["steps"]
    for point in range(1, POINTS + 1):
        t = point / POINTS
        where = {"split": "train", "step": round(t * steps), "kind": "curve"}
        here = error * (1 + 3 * max(0.0, 0.22 - t) - 0.04 * (0.22 < t < 0.7))
        yield Row("rate", kl * min(1.0, 3 * t), "nats/image", **where)
        yield Row("mse", here**2, "mse/pixel", **where)
        if p["objective"] != "geco":
            continue
        peak = 1 + 3 * math.exp(-((math.log(t / 0.3) / 0.4) ** 2))
        handed = not isinstance(p["kappa"], int | float)
        kappa = 0.05 if handed else p["kappa"]
        if kappa:
            value = lagrange * peak * (1 + 0.001 * noise(cell.id, seed, point))
            yield Row("multiplier_RE", value, "1", **where)
            yield Row("violation_RE", PIXELS * (here**2 - kappa**2), "sse/image", **where)
            yield Row("relative_mse", here**2 / kappa**2, "1", **where)
        for name, bound in p["constraints"].items():
            yield Row(f"multiplier_{name}", 5.0 * peak, "1", **where)
            yield Row(f"violation_{name}", bound * (0.5 - t), "1", **where)


@functools.cache
def cells(tier: str, seeds: int = 3) -> tuple[Cell, ...]:
    """Cells of the grid that these rows are for, with as few points a curve as `_curves` makes."""
    return tuple(
        replace(c, params={**c.params, "curve_points": POINTS})
        for c in grid.expand(STUDY, tier, max_seeds=seeds)
        if c.experiment in MINE
    )


def bound_cells(tier: str) -> list[Cell]:
    """Cells that compute the PCA bound, which the grid leaves to a task of its own."""
    return [
        made_cell("water_filling", f"water_filling-{name}", tier=tier, seeds=1, study=STUDY,
                  dataset=name, steps=0)
        for name in SETS
    ]  # fmt: skip


def bound_rows(cell: Cell) -> Iterator[Row]:
    for kappa in np.geomspace(0.02, 0.3, 12).tolist():
        value = 1.3 * rate(cell.params["dataset"], kappa)
        yield Row("water_filling_rate", value, "nats/image", at=coordinates(kappa=kappa))


def arrays(cell: Cell, seed: int) -> dict[str, np.ndarray]:
    """Pictures whose grey says which they are."""
    channels = 3 if "color" in cell.params["dataset"] or "cifar" in cell.params["dataset"] else 1
    shape = (8, channels, 8, 8)
    found = {"pictures_test": 100 + seed, "samples": 150 + seed}
    if not cell.params["dataset"].startswith("celeba"):
        found["originals_test"] = 200
    return {name: np.full(shape, grey, dtype=np.uint8) for name, grey in found.items()}


def results(
    root: Path,
    tier: str = "paper",
    seeds: int = 3,
    lost: Mapping[tuple[str, int], str] | None = None,
    change: Any = lambda row, cell, seed: row,
    only: tuple[str, ...] = MINE,
) -> Results:
    """Results of these cells; `lost` names the fate of seeds of an experiment, `change` alters a
    row, or drops it by returning None."""
    chosen = [cell for cell in cells(tier, seeds) if cell.experiment in only]
    bounds = bound_cells(tier)
    runs = [(cell, 0, made_run(cell, 0, bound_rows(cell))) for cell in bounds]
    for cell in chosen:
        for seed in cell.seeds:
            status = (lost or {}).get((cell.experiment, seed), "ok")
            if status == "missing":
                continue
            found = [change(row, cell, seed) for row in rows(cell, seed)] if status == "ok" else []
            shown = arrays(cell, seed) if cell.params["pictures"] else None
            kept = [row for row in found if row is not None]
            runs.append((cell, seed, made_run(cell, seed, kept, status, shown)))
    return collected(root, [*chosen, *bounds], runs, tier)
