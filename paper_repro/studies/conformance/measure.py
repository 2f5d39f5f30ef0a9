"""The registry's estimators on problems with exact gradients: what the study and the tests share.

An estimator is run as training runs it: the same `terms`, the same `bound`, its own OPTIONS, noise
passed in, mapped over draws by torch.vmap. Estimators with a running state (a moving-average
baseline) are measured with that state settled and then held fixed, which is what one step of
training sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor

from paper_repro import registry
from paper_repro.estimators.terms import Terms
from paper_repro.metrics.gradient_stats import Moments, chunks, moments, per_sample_gradients
from paper_repro.studies.conformance.problems import PROBLEMS, ExactProblem, with_standard_prior

Tensors = dict[str, Tensor]
Value = Callable[[Tensors, Tensors], Tensor]
FAMILIES = ("elbo", "iwae")  # objectives whose exact gradient is known; others are LIKE one of them
WARM_UP = 50  # draws from which a running state is settled


def serves(estimator: str, problem: str, family: str) -> bool:
    """Whether `estimator` declares that it serves the problem's posterior and decoder, and the
    objective `family`, and whether that objective is defined for the posterior."""

    def declared(key: str) -> Any:
        return registry.constant("estimators", estimator, key)

    models = declared("MODELS")
    return (
        PROBLEMS[problem] in declared("SUPPORTS")
        and family in declared("OBJECTIVES")
        and PROBLEMS[problem] in registry.constant("objectives", family, "SUPPORTS")
        and (not models or problem.endswith("_linear") or "mlp" in models)
    )


def unbiased(estimator: str, family: str, k: int) -> bool:
    """Whether the estimator promises the exact gradient in expectation. With one sample the IWAE
    bound is the ELBO, and so is the promise."""
    promised = registry.constant("estimators", estimator, "UNBIASED")
    if promised is None:
        promised = registry.constant("estimators", estimator, "OBJECTIVES")
    return family in promised or (k == 1 and "elbo" in promised)


def min_samples(estimator: str) -> int:
    """Fewest samples K with which the estimator is defined."""
    return int(registry.constant("estimators", estimator, "MIN_SAMPLES") or 1)


def estimate(
    problem: ExactProblem, terms: Callable[..., Terms], objective: str, **options: Any
) -> Value:
    """(params, noise) -> the objective summed over the batch, whose gradient is that of `terms`."""
    bound = registry.load("objectives", objective).bound

    def value(params: Tensors, noise: Tensors) -> Tensor:
        posterior = problem.posterior(params)
        found = terms(posterior, problem.log_joint(params), noise, **options)
        return bound(found, posterior).sum()

    return value


def options_of(
    estimator: str, problem: ExactProblem, k: int, generator: Generator, **options: Any
) -> dict[str, Any]:
    """The estimator's own OPTIONS, overridden by `options`, and its settled running state."""
    module = registry.load("estimators", estimator)
    chosen = {**(registry.constant("estimators", estimator, "OPTIONS") or {}), **options}
    start = registry.constant("estimators", estimator, "STATE") or {}
    state = {name: torch.tensor(float(v), dtype=_dtype(problem)) for name, v in start.items()}
    for _ in range(WARM_UP if state else 0):
        noise = draw_noise(problem, k, generator)
        posterior, log_joint = problem.posterior(problem.params), problem.log_joint(problem.params)
        with torch.no_grad():
            terms = module.terms(posterior, log_joint, noise, **chosen, **state)
            state = module.advance(terms, **state)
    return chosen | state


def value_of(
    estimator: str,
    problem: ExactProblem,
    objective: str,
    k: int,
    generator: Generator,
    **options: Any,
) -> Value:
    """`estimate` of a registered estimator with its options and settled state."""
    terms = registry.load("estimators", estimator).terms
    chosen = options_of(estimator, problem, k, generator, **options)
    return estimate(problem, terms, objective, **chosen)


def draw_noise(
    problem: ExactProblem, k: int, generator: Generator, count: int | None = None
) -> Tensors:
    """Standard normal noise for K = k, with `count` draws along a new leading axis."""
    lead = () if count is None else (count,)
    shapes = problem.posterior(problem.params).noise_shapes(k)
    dtype = _dtype(problem)
    return {
        name: torch.randn((*lead, *shape), generator=generator, dtype=dtype)
        for name, shape in shapes.items()
    }


def _dtype(problem: ExactProblem) -> torch.dtype:
    return next(iter(problem.params.values())).dtype


def gradients(
    values: Mapping[str, Value],
    problem: ExactProblem,
    k: int,
    generator: Generator,
    *,
    draws: int,
    chunk: int = 5000,
) -> Iterator[dict[str, Tensors]]:
    """Per-draw gradients of all `values` on common noise, label -> parameter -> [S, *shape]."""
    for count in chunks(draws, chunk):
        noise = draw_noise(problem, k, generator, count)
        yield {
            label: per_sample_gradients(value, problem.params, noise)
            for label, value in values.items()
        }


def gradient_moments(batches: Iterator[dict[str, Tensors]]) -> dict[str, dict[str, Moments]]:
    """label -> parameter -> moments over all draws."""
    flat = moments(
        {f"{label}/{name}": g for label, found in batch.items() for name, g in found.items()}
        for batch in batches
    )
    result: dict[str, dict[str, Moments]] = {}
    for key, found in flat.items():
        label, name = key.split("/")
        result.setdefault(label, {})[name] = found
    return result


def flat(tensors: Mapping[str, Tensor], names: list[str], lead: int = 0) -> Tensor:
    """The named tensors as one vector, behind `lead` leading axes."""
    return torch.cat([tensors[name].flatten(lead) for name in names], -1)


def own_target(problem: ExactProblem) -> ExactProblem:
    """The problem whose target is q itself, unnormalised: q = p with evidence exp(-3.7)."""
    params = {name: problem.params[name] for name in problem.encoder}
    target = problem.posterior(params).log_prob
    joint = with_standard_prior(lambda z: target(z) - 3.7, problem.kind)
    return replace(problem, params=params, log_joint=lambda _: joint)


def repeats_identical(value: Value, problem: ExactProblem, k: int, generator: Generator) -> bool:
    """Whether ten gradients on ten different draws of noise are equal bit by bit."""
    found = []
    for _ in range(10):
        leaves = {name: p.clone().requires_grad_() for name, p in problem.params.items()}
        total = value(leaves, draw_noise(problem, k, generator))
        found.append(torch.autograd.grad(total, list(leaves.values()), materialize_grads=True))
    return all(
        torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True)
    )
