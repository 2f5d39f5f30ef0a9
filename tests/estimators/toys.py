"""The exact problems of the conformance study, as the estimator tests use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor

from paper_repro import contracts, registry
from paper_repro.estimators.terms import Terms
from paper_repro.gradients.draws import per_draw, value_of
from paper_repro.gradients.moments import flat
from paper_repro.studies.conformance import measure
from paper_repro.studies.conformance.exact import exact_gradient
from paper_repro.studies.conformance.problems import PROBLEMS, ExactProblem, problem

Params = Mapping[str, Tensor]
SIGMAS = 6.0
DRAWS = 30_000
TOYS = {name: problem(name) for name in PROBLEMS}
CONTINUOUS = ("gaussian", "mixture", "two_layer", "flow")
DISCRETE = ("bernoulli", "categorical")


def toy(params: dict[str, Tensor], posterior: Callable, log_joint: Callable) -> ExactProblem:
    """A Gaussian problem of a test's own."""
    return ExactProblem("gaussian", params, posterior, log_joint)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def pairs(family: str) -> list[tuple[str, str]]:
    """Every (estimator, problem) that may be used with objectives like `family`."""
    return [
        (name, toy)
        for name in registry.names("estimators")
        for toy in PROBLEMS
        if measure.serves(name, toy, family)
    ]


def min_samples(name: str) -> int:
    """Fewest samples K with which the estimator `name` is defined."""
    return contracts.estimator(name).MIN_SAMPLES


def terms_of(name: str, **options: Any) -> Callable[..., Terms]:
    """The estimator `name` with its OPTIONS and the STATE it starts from, or `options`."""
    module = registry.load("estimators", name)
    chosen = {**(registry.constant("estimators", name, "OPTIONS") or {}), **options}
    state = registry.constant("estimators", name, "STATE") or {}
    chosen |= {key: torch.tensor(float(v), dtype=torch.float64) for key, v in state.items()}
    return lambda posterior, log_joint, noise: module.terms(posterior, log_joint, noise, **chosen)


def bound(terms: Callable[..., Terms], objective: str, toy: ExactProblem) -> Callable[..., Tensor]:
    """(params, noise) -> the objective, summed over the batch."""
    return value_of(toy.model, terms, objective)


def draw_noise(
    toy: ExactProblem, samples: int, seed: int, draws: int | None = None
) -> dict[str, Tensor]:
    """Standard normal noise for K = samples, with a leading axis of `draws` where given."""
    return toy.noise(samples, generator(seed), draws)


def flatten(gradient: Params, lead: int = 0) -> Tensor:
    return flat(gradient, gradient, lead)


def gradient_draws(
    function: Callable[..., Tensor], params: Params, noise: Params
) -> dict[str, Tensor]:
    """Per-draw gradients of function(params, noise) along the leading axis of the noise."""
    return per_draw(function, dict(params), dict(noise))


def z_scores(draws: Tensor, exact: Tensor) -> Tensor:
    """(mean - exact) in standard errors; infinite where a wrong value does not vary."""
    error = draws.std(0) / len(draws) ** 0.5
    difference = draws.mean(0) - exact
    return torch.where(difference.abs() < 1e-9, 0.0, difference / error)


@cache
def exact(name: str, objective: str = "elbo", k: int = 1) -> Tensor:
    """The exact gradient of problem `name`, all parameters in one vector."""
    return flatten(exact_gradient(TOYS[name], objective, k))


def bias_z(
    terms: Callable[..., Terms],
    name: str,
    objective: str = "elbo",
    samples: int = 1,
    reference: Callable[..., Terms] | None = None,
    draws: int = DRAWS,
) -> float:
    """The conformance check: largest |z| of the mean gradient over all entries of all parameters.

    Against the exact gradient, or draw by draw against an unbiased `reference`.
    """
    noise = draw_noise(TOYS[name], samples, seed=100, draws=draws)

    def gradients(of: Callable[..., Terms]) -> Tensor:
        function = bound(of, objective, TOYS[name])
        return flatten(gradient_draws(function, TOYS[name].params, noise), 1)

    if reference is None:
        return float(z_scores(gradients(terms), exact(name, objective, samples)).abs().max())
    difference = gradients(terms) - gradients(reference)
    return float(z_scores(difference, torch.zeros_like(difference[0])).abs().max())
