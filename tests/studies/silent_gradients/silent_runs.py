"""Made-up rows of the study's own grid, as its figures, tables and claims expect real ones to be.

The silent gradient ends nearest to the ceiling and early ahead of others; annealed away it gains
`GAIN` bits/dim, kept to the end it loses `LOSS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from paper_repro.cell import Cell
from paper_repro.rows import Row, coordinates
from tests.results.made_runs import noise

STUDY = "silent_gradients"
CEILING = 60.0
# Final training ELBOs of E1, by latents and estimator.
LEVEL = {
    "gaussian": {"silent": CEILING - 0.5, "exact_kl": CEILING - 2},
    "bernoulli": {
        "silent": 40.0,
        "gumbel_softmax": 33.0,
        "gumbel_softmax_st": 32.0,
        "reinforce": 20.0,
        "rloo": 30.0,
        "straight_through": 25.0,
    },
    "categorical": {"silent": 40.0, "gumbel_softmax_st": 32.0},
}
BITS = {"exact_kl": 4.0, "gumbel_softmax_st": 4.3, "reinforce": 4.9}
GAIN, LOSS = 0.05, 0.3  # bits/dim: of annealing, and of the silent gradient to the end
EMPTY = 20.0  # what no latents reach
RELAXED = ("gumbel_softmax", "gumbel_softmax_st", "straight_through")


def curve(cell: Cell, metric: str, unit: str, at: str, value: Callable[[float, str], float]):
    """Rows of a metric at the marks of a cell and at its end, for each of its splits."""
    p = cell.params
    marks = [mark for mark in p["marks"] if mark <= 0.5]
    steps = sorted({round(mark * p["steps"]) for mark in marks} | {p["steps"]})
    for split in p["splits"]:
        for step in steps:
            kind = "final" if step == p["steps"] else "curve"
            found = value(step / p["steps"], split)
            yield Row(metric, found, unit, split, at, step=step, kind=kind)


def fixed_rows(cell: Cell, seed: int) -> Iterator[Row]:
    p = cell.params
    estimator, rate = p["estimator"], p["lr"]
    final = LEVEL[p["latent"]][estimator] + 0.2 * math.log2(p["k"])
    final += 0.3 * noise(seed, p["dataset"]) + 0.02 * noise(seed, cell.id) - 0.5
    final -= 3 * abs(math.log10(rate / 0.001))

    def elbo(progress: float, split: str) -> float:
        speed = 12 if estimator == "silent" else 6
        return final - {"train": 0.0}.get(split, 1.0) - 30 * math.exp(-speed * progress)

    closed = coordinates(estimate="closed_form")
    yield from curve(cell, "elbo", "nats/image", closed, elbo)
    sampled = coordinates(samples=p["samples"])
    for split in p["splits"]:
        yield Row("elbo", elbo(1, split) - 0.1, "nats/image", split, sampled)
    yield from errors(cell, seed, 0.98 if estimator == "silent" else 1.0)
    for place, other in enumerate(p["compare"]):
        yield from gradients(cell, seed, other, place)


def errors(cell: Cell, seed: int, factor: float) -> Iterator[Row]:
    """Squared errors, at a sampled z larger than at its mean."""
    gaussian = cell.params["latent"] == "gaussian"
    for z, base in (("mean", 0.01), ("sampled", 0.015)) if gaussian else (("sampled", 0.015),):
        for split in cell.params["splits"]:
            error = factor * base * (1 + 0.001 * noise(seed, cell.id, z))
            yield Row("mse", error, "mse/pixel", split, coordinates(z=z))


def gradients(cell: Cell, seed: int, name: str, place: int) -> Iterator[Row]:
    """What one estimator's gradient is like at the start, in the middle and at the end."""
    silent = name == "silent"
    for mark in (0.0, 0.5, 1.0):
        found = {
            "relative_variance": 0.0 if silent else 10.0**place * (1 + 0.1 * seed) * (1 + mark),
            "relative_bias": 0.0 if silent else 0.5 if name in RELAXED else 0.1,
            "relative_bias_noise": 0.0 if silent else 0.09,
            "cosine": 1.0 if silent else 0.9 - 0.1 * place,
        }
        step, kind = round(mark * cell.params["steps"]), "final" if mark == 1.0 else "curve"
        at = coordinates(exact="closed_form")
        for metric, value in found.items():
            metric = f"encoder_gradient_{metric}"
            yield Row(metric, value, "1", "train", at, estimator=name, step=step, kind=kind)


def learned_rows(cell: Cell, seed: int) -> Iterator[Row]:
    p = cell.params
    options = p["estimator_options"]
    base = options.get("second", p["estimator"])
    if cell.experiment == "variance_form":  # a linear decoder alone
        base = "exact_kl"
    final = BITS[base] + 0.1 * noise(seed, p["dataset"]) + 0.001 * noise(seed, cell.id)
    final += abs(math.log10(p["lr"] / 0.001))
    if options.get("alpha") == 1:
        final += LOSS
    elif "alpha" in options:
        final -= GAIN
    own, other = coordinates(samples=16), coordinates(likelihood="refitted", samples=16)
    metric, unit = "bits_per_dim", "bits/dim"
    yield from curve(cell, metric, unit, own, lambda t, s: final + math.exp(-9 * t))
    for split in p["splits"]:
        yield Row(metric, final + 1, unit, split, other)
    yield from errors(cell, seed, 1.0)


def ceiling_rows(cell: Cell, seed: int) -> Iterator[Row]:
    for images in ("evaluated", "all"):
        for variance in cell.params["variances"]:
            at = coordinates(variance=variance, images=images)
            yield Row("ceiling_empty", EMPTY, "nats/image", "train", at)
            for dim in cell.params["dims"]:
                at = coordinates(variance=variance, dim=dim, images=images)
                yield Row("ceiling_elbo", CEILING, "nats/image", "train", at)


def overhead_rows(cell: Cell, seed: int) -> Iterator[Row]:
    for estimator in ("exact_kl", "gumbel_softmax_st", "reinforce"):
        ratio = 1.08 + 0.002 * noise(seed, estimator)
        yield Row("step_time_ratio", ratio, "1", estimator=estimator)


def exact_rows(cell: Cell, seed: int) -> Iterator[Row]:
    for latent, sampled in {"gaussian": ("exact_kl",), "bernoulli": RELAXED}.items():
        at = coordinates(latent=latent)
        for name in ("silent", "reinforce", *sampled):
            yield Row("repeat_identical", float(name == "silent"), "1", at=at, estimator=name)
        for name in ("score_function", "reinforce", "rloo", *sampled):
            biased = name in RELAXED
            for draws in (1, 4, 16, 64):
                where = coordinates(latent=latent, draws=draws)
                value = np.hypot(2 * draws**-0.5, 0.3 * biased) * (1 + 0.05 * seed)
                yield Row("relative_error", value, "1", at=where, estimator=name)
            yield Row("bias_z_max", 70.0 if biased else 2.5, "1", at=at, estimator=name)
            yield Row("unbiased_slope", -0.2 if biased else -0.5, "1", at=at, estimator=name)
            if not biased and name != "rloo":
                where = coordinates(latent=latent, parameter="mean")
                yield Row("variance_ratio", 1.004, "1", at=where, estimator=name)
        for formula in ("fixed", "L0", "EXP", "EXP2", "SQ"):
            where = coordinates(formula=formula, latent=latent)
            for what in ("relative", "gradient"):
                yield Row(f"closed_form_{what}_error", 1e-14, "1", at=where)


def rows(cell: Cell, seed: int) -> list[Row]:
    """All rows of one run that its figures, tables and claims read."""
    if cell.experiment == "ceiling":
        return list(ceiling_rows(cell, seed))
    if cell.experiment == "exactness":
        return list(exact_rows(cell, seed))
    if cell.experiment == "overhead":
        return list(overhead_rows(cell, seed))
    make = learned_rows if cell.params["likelihood"] == "gaussian_pixel" else fixed_rows
    return list(make(cell, seed))


def arrays(cell: Cell, seed: int) -> dict[str, np.ndarray] | None:
    """The spectrum behind the ceiling, one eigenvalue of which closes the whole gap and the others
    do not pay; pictures whose grey says which they are."""
    if cell.experiment == "ceiling":
        ratio = 200.0
        for _ in range(50):
            ratio = 2 * (CEILING - EMPTY) + 1 + np.log(ratio)
        return {"spectrum_evaluated": 0.1 * np.append(ratio, np.full(99, 0.5))}
    if not cell.params.get("pictures"):
        return None
    channels = 1 if cell.params["dataset"] in ("mnist", "digits", "patches") else 3
    greys = {"originals": 200, "pictures": 100 + seed}
    return {
        f"{name}_{split}": np.full((12, channels, 8, 8), grey, dtype=np.uint8)
        for name, grey in greys.items()
        for split in ("test", "validation")
    }
