"""Mistakes around the loss: what it is trained on, and what it knows of its seed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from paper_repro.data import catalogue
from paper_repro.training.problem import Problem
from tests.training import composed
from tests.wrong_on_purpose.case import Case

Draw = Callable[[int], dict[str, Tensor]]


def _right_draw(step: int) -> dict[str, Tensor]:
    return composed.build(batch_size=449).draw(step)


def _with_test_images(step: int) -> dict[str, Tensor]:
    """The last image of every batch is one of the test set."""
    x = _right_draw(step)["x"].clone()
    x[-1] = catalogue.load("digits").test[step].flatten() / 16
    return {"x": x}


def _knows_its_seed(seed: int) -> Problem:
    """Latent noise closed over by the loss instead of drawn: all members get the first one's."""
    problem = composed.build(seed)
    loss, noise = problem.loss, torch.randn(1, 8, 2, generator=torch.Generator().manual_seed(seed))
    problem.loss = lambda params, state, batch: loss(params, state, batch | {"z": noise})
    return problem


CASES = [
    Case(
        "test_images_in_training",
        _right_draw,
        _with_test_images,
        lambda draw: not composed.is_one_epoch(draw, 0, 3),
    ),
    Case(
        "loss_that_knows_its_seed",
        composed.build,
        _knows_its_seed,
        lambda build: not composed.agrees_with_its_members(build),
    ),
]
