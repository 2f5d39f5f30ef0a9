"""Small cells of task vae for the tests, and a way to take a few steps with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from paper_repro import fits, parameters
from paper_repro.cell import Cell
from paper_repro.data import catalogue
from paper_repro.training import checkpoint
from paper_repro.training.bundle import Bundle
from paper_repro.training.loop import stepper
from paper_repro.training.problem import Problem
from paper_repro.vae import data as images
from paper_repro.vae import task

TINY = {
    "dataset": "digits",
    "sizes": {"hidden": [8], "activation": "tanh"},
    "dim": 2,
    "likelihood": "gaussian",
    "objective": "elbo",
    "estimator": "total",
    "steps": 20,
    "batch_size": 8,
    "samples": 2,
    "test_images": 12,
    "train_images": 16,
}
BATCH_NORM = {"model": "infogan", "sizes": {"base_dim": 2, "fc_dim": 8, "norm_decay": 0.9}}
GECO = {"objective": "geco", "kappa": 0.2}
ALPHA = {"schedule": "linear", "from": 1.0, "to": 0.0, "start": 0.05, "end": 0.2}
GUIDED = {
    "guide": "linear",
    "estimator": "annealed",
    "estimator_options": {"first": "silent", "second": "exact_kl", "alpha": ALPHA},
    "likelihood": "gaussian_pixel",
}


def cell(seeds: tuple[int, ...] = (0,), **changes: Any) -> Cell:
    """A cell of the task with the task's defaults filled in."""
    params = parameters.complete("sticking_the_landing", "vae", TINY | changes, "test")
    return Cell("tests", "tiny", "tiny", "smoke", "vae", params, seeds)


def checked(made: Cell) -> Cell:
    """The cell itself, judged as the grid judges it: its parts, their options and its data."""
    fits.check_parts(made, "test")
    return made


def build(seed: int = 0, **changes: Any) -> Problem:
    """The run of one seed."""
    return task.build(cell(**changes), seed, "cpu")


def preprocessed(
    batch: dict[str, Tensor], dataset: str = "digits", preprocessing: str = "unit"
) -> Tensor:
    """The training images of a batch as the model sees them, [B, pixels]."""
    data = images.load(dataset, preprocessing, "cpu")
    return data.preprocess_with(data.train[batch["rows"]], batch.get("uniform"))


def bundle(*problems: Problem, stacked: bool = False) -> Bundle:
    """The problems before their first step."""
    return Bundle(list(problems), [checkpoint.fresh(p) for p in problems], stacked)


def steps(live: Bundle, count: int) -> Bundle:
    """The bundle itself, `count` steps on."""
    step = stepper(live)
    for _ in range(count):
        step()
    return live


def whole_and_resumed(build: Callable[[], Problem], folder: Path) -> tuple[Bundle, Bundle]:
    """Six steps in one go, and as three, a checkpoint in `folder`, and three on a fresh problem."""
    whole = steps(bundle(build()), 6)
    half = steps(bundle(build()), 3)
    checkpoint.save(folder / "checkpoint.pt", half.snapshot(0))
    loaded = checkpoint.load(folder / "checkpoint.pt", "cpu")
    assert loaded is not None
    return whole, steps(Bundle([build()], [loaded], stacked=False), 3)


def is_one_epoch(images: Callable[[int], Tensor], first: int, count: int) -> bool:
    """Whether the images [B, pixels] in [0, 1] of `count` batches from step `first` on hold every
    training image of `digits` once and nothing else."""
    train = catalogue.load("digits").train.flatten(1)
    seen = (torch.cat([images(first + i) for i in range(count)]) * 16).round().int()
    return Counter(map(tuple, seen.tolist())) == Counter(map(tuple, train.tolist()))


def agrees_with_its_members(build: Callable[[int], Problem]) -> bool:
    """Whether two seeds get together what they get alone, to float32's rounding.

    By plain gradient descent: Adam divides by gradients that may be rounding errors.
    """

    def run(*seeds: int, stacked: bool) -> Bundle:
        members = [build(seed) for seed in seeds]
        for member in members:
            clip = member.optimizer["clip"]
            member.optimizer = {"name": "sgd", "lr": 1e-3, "clip": clip}
            member.learning_rate = None
        return steps(bundle(*members, stacked=stacked), 3)

    together = run(0, 1, stacked=True)
    for index in (0, 1):
        alone = run(index, stacked=False)
        ours = {**together.params, **together.state}
        compared = [(together.sums[:, index], alone.sums)]
        compared += [(ours[n][index], t) for n, t in {**alone.params, **alone.state}.items()]
        if not all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in compared):
            return False
    return True
