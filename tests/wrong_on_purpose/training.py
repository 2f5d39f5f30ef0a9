"""Mistakes around the loss: what it is trained on, and what it knows of its seed."""

from __future__ import annotations

import torch
from torch import Tensor

from paper_repro.data import catalogue
from paper_repro.training.problem import Problem
from tests.vae import tiny
from tests.wrong_on_purpose.case import Case


def _right_images(step: int) -> Tensor:
    return tiny.preprocessed(tiny.build(batch_size=449).draw(step))


def _with_test_images(step: int) -> Tensor:
    """The last image of every batch is one of the test set."""
    x = _right_images(step)
    x[-1] = catalogue.load("digits").test[step].flatten() / 16
    return x


def _knows_its_seed(seed: int) -> Problem:
    """Latent noise closed over by the loss instead of drawn: all members get the first one's."""
    problem = tiny.build(seed)
    loss, noise = problem.loss, torch.randn(1, 8, 2, generator=torch.Generator().manual_seed(seed))
    problem.loss = lambda params, state, batch: loss(params, state, batch | {"z": noise})
    return problem


CASES = [
    Case(
        "test_images_in_training",
        _right_images,
        _with_test_images,
        lambda images: not tiny.is_one_epoch(images, 0, 3),
    ),
    Case(
        "loss_that_knows_its_seed",
        tiny.build,
        _knows_its_seed,
        lambda build: not tiny.agrees_with_its_members(build),
    ),
]
