"""Gradients of an estimator at independent draws of its noise, as training differentiates them.

A problem is a `Model`: its parameters to the posterior and the log joint that they define. An
estimator's `terms` and an objective's `bound` make a `Value` of it, and that is differentiated: one
draw at a time (`gradient`) or many in one backward pass (`per_draw`). Estimators that are compared
see the same draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from paper_repro import contracts, registry
from paper_repro.contracts import Estimator, Tensors
from paper_repro.estimators.terms import LogJoint, Terms
from paper_repro.training.streams import standard_normal

Model = Callable[[Tensors], tuple[Any, LogJoint]]
"""params -> (q, log p(x, z))."""
Value = Callable[[Tensors, Tensors], Tensor]
"""(params, noise of one draw) -> the bound in nats, 0-d."""
Gradients = dict[str, Tensors]
"""label -> parameter -> [S, *shape of the parameter], S draws."""

WARM_UP = 50  # draws that settle a running state


def estimate(model: Model, estimator: str, objective: str = "elbo", **options: Any) -> Value:
    """The bound, summed over the batch, whose gradient is that of a registered estimator with its
    own OPTIONS but for `options`."""
    part = contracts.estimator(estimator)
    return value_of(model, part.terms, objective, **{**part.OPTIONS, **options})


def value_of(
    model: Model, terms: Callable[..., Terms], objective: str = "elbo", **options: Any
) -> Value:
    """The same of any function `terms`."""
    bound = contracts.objective(objective).bound

    def value(params: Tensors, noise: Tensors) -> Tensor:
        posterior, log_joint = model(params)
        return bound(terms(posterior, log_joint, noise, **options), posterior).sum()

    return value


def unbiased(estimator: str, objective: str, k: int = 1) -> bool:
    """Whether an estimator promises the exact gradient of ``elbo`` or ``iwae`` in expectation. With
    one sample the IWAE bound is the ELBO, and so is the promise."""
    promised = registry.constant("estimators", estimator, "UNBIASED")
    if promised is None:
        promised = registry.constant("estimators", estimator, "OBJECTIVES")
    return objective in promised or (k == 1 and "elbo" in promised)


def settled(
    estimator: Estimator, terms: Callable[..., Terms], like: Tensor, **options: Any
) -> dict[str, Any]:
    """An estimator's OPTIONS but for `options`, and its running state, if it keeps one, after
    WARM_UP steps at fixed parameters: what one step of training sees.

    `terms(**options)` makes its terms of a new draw; `like` has the state's type and device.
    """
    chosen = {**estimator.OPTIONS, **options}
    state = {name: like.new_tensor(float(start)) for name, start in estimator.STATE.items()}
    with torch.no_grad():
        for _ in range(WARM_UP if state else 0):
            state = estimator.advance(terms(**chosen, **state), **state)
    return chosen | state


def gradient(value: Callable[[Tensors], Tensor], params: Mapping[str, Tensor]) -> Tensors:
    """d value / d parameter, like each parameter; zero for those without influence."""
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in params.items()}
    with torch.enable_grad():
        total = value(leaves)
    found = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def per_draw(value: Value, params: Tensors, noise: Tensors) -> Tensors:
    """One gradient per draw: {parameter: [S, *shape]}.

    `noise` holds the draws along a leading axis of length S. Every draw gets its own copy of the
    parameters, so one backward pass gives all gradients.
    """
    count = next(iter(noise.values())).shape[0]
    copies = {
        name: tensor.detach().expand(count, *tensor.shape).requires_grad_()
        for name, tensor in params.items()
    }
    with torch.enable_grad():
        total = torch.vmap(value)(copies, noise).sum()
    found = torch.autograd.grad(total, list(copies.values()), materialize_grads=True)
    return dict(zip(copies, found, strict=True))


def gradient_draws(
    values: Mapping[str, Value],
    params: Tensors,
    shapes: Mapping[str, tuple[int, ...]],
    generator: Generator,
    *,
    draws: int,
    chunk: int = 1000,
) -> Iterator[Gradients]:
    """`draws` gradients of all `values` on common noise of these shapes, at most `chunk` at a time:
    memory does not grow with their number."""
    dtype = next(iter(params.values())).dtype
    for count in chunks(draws, chunk):
        noise = standard_normal(shapes, generator, count, dtype)
        yield {label: per_draw(value, params, noise) for label, value in values.items()}


def chunks(count: int, size: int) -> Iterator[int]:
    """Split `count` draws into chunks of at most `size`."""
    for start in range(0, count, max(1, size)):
        yield min(max(1, size), count - start)


def repeats(take: Callable[[], Iterable[Tensor]], times: int) -> tuple[bool, float]:
    """Whether `times` gradients, each taken anew, are equal bit by bit, and the largest difference
    of an entry from the first one's."""
    first, identical, difference = list(take()), True, 0.0
    for _ in range(times - 1):
        for mine, other in zip(first, take(), strict=True):
            identical &= torch.equal(mine, other)
            difference = max(difference, float((mine - other).abs().max()))
    return identical, difference
