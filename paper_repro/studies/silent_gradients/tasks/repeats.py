"""One gradient of training taken many times: same images, same weights, new noise.

Shao, Liu and Van den Broeck, "Silent Gradients" (arXiv 2508.03587): with a linear decoder the
encoder's gradient has no sampling noise. The runs are those of E1, the loss is the one that
training differentiates, in its precision and on its device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from paper_repro import parameters
from paper_repro.cell import Cell
from paper_repro.gradients.draws import repeats
from paper_repro.rows import Row, coordinates
from paper_repro.training.problem import Problem
from paper_repro.vae import task as vae

ESTIMATORS = {
    "gaussian": ("silent", "exact_kl"),
    "bernoulli": ("silent", "gumbel_softmax", "gumbel_softmax_st", "reinforce"),
    "categorical": ("silent", "gumbel_softmax", "gumbel_softmax_st", "reinforce"),
}
DIMS = {"gaussian": 32, "bernoulli": 64, "categorical": 16}


def rows(p: Mapping[str, Any], seed: int, device: str) -> Iterator[Row]:
    """For each latent and estimator whether all `repeats` gradients agree bit by bit, and the
    largest difference of an entry from the first gradient's."""
    for latent, estimators in ESTIMATORS.items():
        for name in estimators:
            problem = vae.build(_run(p, latent, name), seed, device)
            identical, difference = repeat(problem, p["repeats"])
            at = coordinates(latent=latent)
            yield Row("repeat_identical", float(identical), "1", at=at, estimator=name)
            yield Row("repeat_max_difference", difference, "1", at=at, estimator=name)


def repeat(problem: Problem, times: int) -> tuple[bool, float]:
    """Whether `times` gradients on the first batch's images are equal, and by how much not."""
    batch = problem.draw(0)
    images = {name: t for name, t in batch.items() if name in {"rows", "uniform"}}

    def take() -> tuple[Tensor, ...]:
        loss, _, _ = problem.loss(problem.params, problem.state, {**problem.draw(0), **images})
        return torch.autograd.grad(loss, list(problem.params.values()))

    return repeats(take, times)


def _run(p: Mapping[str, Any], latent: str, estimator: str) -> Cell:
    """A run of E1 with this latent and estimator; estimators have their own OPTIONS."""
    own = {
        "dataset": p["dataset"],
        "model": p["model"],
        "decoder": p["decoder"],
        "sizes": p["sizes"],
        "centre": True,
        "latent": latent,
        "dim": DIMS[latent],
        "likelihood": p["likelihood"],
        "likelihood_options": {"variance": p["variance"]},
        "objective": p["objective"],
        "estimator": estimator,
        "steps": 1,
        "batch_size": p["batch_size"],
    }
    complete = parameters.complete("silent_gradients", "vae", own, f"exactness: {estimator}")
    return Cell("silent_gradients", "exactness", "", "", "vae", complete)
