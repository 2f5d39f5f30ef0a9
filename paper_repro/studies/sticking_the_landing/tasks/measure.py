"""Measuring the registry's own estimators on toy problems.

Every number of this study's toy experiments comes from the same `terms` and `bound` functions
that training uses; what is added here is only the noise and the bookkeeping over draws.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from paper_repro import registry
from paper_repro.distributions.posterior import Reparameterised
from paper_repro.estimators.terms import LogJoint
from paper_repro.metrics.gradient_stats import Moments, chunks, moments, per_sample_gradients

Tensors = dict[str, Tensor]
Model = Callable[[Tensors], tuple[Reparameterised, LogJoint]]
Value = Callable[[Tensors, Tensors], Tensor]
Gradients = dict[str, Tensors]  # estimator -> parameter -> [S, *parameter shape]


@dataclass(frozen=True)
class Toy:
    """Parameters and the model they define: `model(params)` is (q, log p(x, z))."""

    params: Tensors
    model: Model

    def noise_shapes(self, samples: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the noise of one draw with K = samples."""
        return self.model(self.params)[0].noise_shapes(samples)


def estimate(model: Model, estimator: str, objective: str = "elbo", **options: Any) -> Value:
    """The bound (nats, summed over the batch) whose gradient is `estimator`'s."""
    terms = registry.load("estimators", estimator).terms
    bound = registry.load("objectives", objective).bound

    def value(params: Tensors, noise: Tensors) -> Tensor:
        posterior, log_joint = model(params)
        return bound(terms(posterior, log_joint, noise, **options), posterior).sum()

    return value


def draw_noise(
    shapes: Mapping[str, tuple[int, ...]],
    generator: Generator,
    count: int | None = None,
    dtype: torch.dtype = torch.float64,
) -> Tensors:
    """Standard normal noise of the given shapes, with `count` draws along a new leading axis."""
    lead = () if count is None else (count,)
    return {
        name: torch.randn(
            (*lead, *shape), generator=generator, device=generator.device, dtype=dtype
        )
        for name, shape in shapes.items()
    }


def gradient_batches(
    values: Mapping[str, Value],
    params: Tensors,
    shapes: Mapping[str, tuple[int, ...]],
    generator: Generator,
    *,
    draws: int,
    chunk: int = 1000,
) -> Iterator[Gradients]:
    """Per-draw gradients of all `values` on common noise, at most `chunk` draws at a time."""
    dtype = next(iter(params.values())).dtype
    for count in chunks(draws, chunk):
        noise = draw_noise(shapes, generator, count, dtype)
        yield {name: per_sample_gradients(value, params, noise) for name, value in values.items()}


def gradient_moments(
    batches: Iterator[Gradients], pairs: Sequence[tuple[str, str]] = ()
) -> dict[str, dict[str, Moments]]:
    """Moments of every estimator's gradient, and under ``a-b`` of the paired differences."""

    def labelled(batch: Gradients) -> Gradients:
        differences = {
            f"{a}-{b}": {name: batch[a][name] - batch[b][name] for name in batch[a]}
            for a, b in pairs
        }
        return batch | differences

    first = next(batches)
    keys = [(label, name) for label, found in labelled(first).items() for name in found]
    flat = moments(
        {f"{label}/{name}": found[label][name] for label, name in keys}
        for found in map(labelled, itertools.chain([first], batches))
    )
    result: dict[str, dict[str, Moments]] = {}
    for label, name in keys:
        result.setdefault(label, {})[name] = flat[f"{label}/{name}"]
    return result


def every(interval: int, steps: int) -> tuple[int, ...]:
    """0, interval, 2 interval, ... up to `steps`."""
    return tuple(range(0, steps + 1, interval))
