"""Small cells of the networks of Burda et al., with one and two stochastic layers."""

from __future__ import annotations

from typing import Any

from paper_repro import contracts, parameters
from paper_repro.cell import Cell
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream
from paper_repro.vae import data as images
from paper_repro.vae import task
from paper_repro.vae.layered import Layered
from paper_repro.vae.subject import Subject

TINY = {
    "dataset": "digits",
    "preprocessing": "binarised",
    "model": "burda",
    "sizes": {"width": 16},
    "dim": 4,
    "likelihood": "bernoulli",
    "objective": "elbo",
    "estimator": "path",
    "steps": 40,
    "batch_size": 20,
    "order": "fixed",
    "reduction": "sum",
    "eps": 1e-4,
    "lr": {"schedule": "burda", "stages": 6},
    "protocol": "importance",
    "samples": 50,
    "test_images": 40,
    "train_images": 20,
}


def cell(**changes: Any) -> Cell:
    """A cell of the task with the task's defaults filled in."""
    params = parameters.complete("sticking_the_landing", "vae", TINY | changes, "test")
    return Cell("tests", "burda", "burda-tiny", "smoke", "vae", params)


def build(seed: int = 0, **changes: Any) -> Problem:
    """The run of one seed."""
    return task.build(cell(**changes), seed, "cpu")


def model(**changes: Any) -> Layered:
    """The model of a cell at its start."""
    data = images.load("digits", "binarised", "cpu")
    return Layered(cell(**changes).params, data.images, lambda *part: stream(0, "init"))


def subject(made: Layered) -> Subject:
    """What a protocol measures, at the model's start."""
    data = images.load("digits", "binarised", "cpu")
    return Subject(made, made.parameters_by_name(), {}, data, contracts.objective("elbo"))
