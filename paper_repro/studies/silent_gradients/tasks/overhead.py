"""Time of a training step with the guide over that without: claim C11, measured side by side.

Shao, Liu and Van den Broeck, "Silent Gradients" (arXiv 2508.03587) train a linear decoder beside
the nonlinear one. Both runs of a pair take turns in one process, a few steps each
(`gradients.timing`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Any

import torch

from paper_repro import parameters
from paper_repro.cell import Cell
from paper_repro.gradients.timing import in_turns
from paper_repro.rows import Row
from paper_repro.training import checkpoint
from paper_repro.training.bundle import Bundle
from paper_repro.training.loop import stepper
from paper_repro.training.measurement import measurement
from paper_repro.training.problem import Problem
from paper_repro.vae import data as images
from paper_repro.vae import task as vae

PARAMS = {
    "dataset": {"type": "string"},
    "model": {"type": "string"},
    "sizes": {"type": "object"},
    # latents by family
    "dims": {
        "type": "object",
        "additionalProperties": False,
        "required": ["gaussian", "bernoulli"],
        "properties": {
            "gaussian": {"type": "integer", "minimum": 1},
            "bernoulli": {"type": "integer", "minimum": 1},
        },
    },
    "batch_size": {"type": "integer", "minimum": 2, "default": 128},
    "rounds": {"type": "integer", "minimum": 3, "default": 30},
}
STEPS, WARM_UP = 3, 2  # steps of a turn; rounds that do not count
# latent, estimator of the nonlinear decoder, how the guide writes its variance
PAIRS = (
    ("gaussian", "exact_kl", "EXP"),
    ("bernoulli", "gumbel_softmax_st", "EXP2"),
    ("bernoulli", "reinforce", "EXP2"),
)
ESTIMATORS = ("annealed", "silent", "exact_kl", "gumbel_softmax_st", "reinforce")
OBJECTIVES = ("elbo",)


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Measure once, on the device that trains."""
    data = images.load(cell.params["dataset"], "dequantised", device)
    return measurement(lambda: list(rows(cell.params, seed, device)), fingerprint=data.fingerprint)


def rows(p: Mapping[str, Any], seed: int, device: str) -> Iterator[Row]:
    """Seconds per step of each estimator alone, and the guided step's as a multiple of them."""
    for latent, estimator, form in PAIRS:
        alone = {"latent": latent, "dim": p["dims"][latent], "estimator": estimator}
        options = {"first": "silent", "second": estimator, "alpha": 0.5}
        guided = alone | {"estimator": "annealed", "estimator_options": options}
        guided |= {"guide": "linear", "variance_form": form}
        base, other = times([_run(p, own, seed, device) for own in (alone, guided)], p["rounds"])
        ratio = median(b / a for a, b in zip(base, other, strict=True))
        yield Row("seconds_per_step", median(base), "s", estimator=estimator)
        yield Row("step_time_ratio", ratio, "1", estimator=estimator)


def times(problems: list[Problem], rounds: int) -> list[list[float]]:
    """Seconds per step of every problem in each round."""
    turns = {str(i): _turn(problem) for i, problem in enumerate(problems)}
    return [[s / STEPS for s in seconds] for seconds in in_turns(turns, rounds, WARM_UP).values()]


def _turn(problem: Problem) -> Callable[[], None]:
    bundle = Bundle([problem], [checkpoint.fresh(problem)], stacked=False)
    step = stepper(bundle)

    def turn() -> None:
        for _ in range(STEPS):
            step()
        if bundle.sums.is_cuda:
            torch.cuda.synchronize()

    return turn


def _run(p: Mapping[str, Any], own: Mapping[str, Any], seed: int, device: str) -> Problem:
    """A run of E2 with these settings."""
    shared = {name: p[name] for name in ("dataset", "model", "sizes", "batch_size")}
    given = {
        **shared,
        **own,
        "preprocessing": "dequantised",
        "centre": True,
        "likelihood": "gaussian_pixel",
        "objective": "elbo",
        "clip": 100,
        "steps": 1000,
    }
    complete = parameters.complete("silent_gradients", "vae", given, "overhead")
    cell = Cell("silent_gradients", "overhead", "", "", "vae", complete)
    return vae.build(cell, seed, device)
