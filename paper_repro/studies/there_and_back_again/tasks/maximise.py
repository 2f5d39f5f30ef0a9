"""Numerical means of the theory tasks: L-BFGS in float64, Gauss-Hermite nodes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Tensors = dict[str, Tensor]
POLISH = 100  # steps without a line search


def maximise(
    value: Callable[[Tensors], Tensor], start: Tensors, iterations: int = 3000
) -> tuple[Tensors, float]:
    """Where `value`, a sum over what is maximised side by side, is largest near `start`, and its
    steepest slope there.

    Values are known to 1e-16 of their size, so that a line search stops at its root, 1e-8, from the
    maximum; the last steps trust slopes alone. Scale `start` so that its curvatures are alike.
    """
    live = {name: tensor.detach().contiguous().clone() for name, tensor in start.items()}
    for tensor in live.values():
        tensor.requires_grad_()
    optimizer = torch.optim.LBFGS(
        live.values(),
        max_iter=iterations,
        max_eval=2 * iterations,
        tolerance_grad=1e-13,
        tolerance_change=1e-12,
        history_size=30,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = -value(live)
        loss.backward()
        return loss

    optimizer.step(closure)
    searched, before = _copied(live), _steepest(value, live)
    settings = {"line_search_fn": None, "max_iter": POLISH, "tolerance_change": -1.0}
    optimizer.param_groups[0] |= settings
    optimizer.step(closure)
    after = _steepest(value, live)
    return (_copied(live), after) if after < before else (searched, before)


def _steepest(value: Callable[[Tensors], Tensor], at: Tensors) -> float:
    slopes = torch.autograd.grad(value(at), list(at.values()))
    return max(float(slope.abs().max()) for slope in slopes)


def _copied(live: Tensors) -> Tensors:
    return {name: tensor.detach().clone() for name, tensor in live.items()}


def hermite(nodes: int, dims: int = 1) -> tuple[Tensor, Tensor]:
    """Points [nodes ** dims, dims] and weights of sum one for a standard normal: exact for
    polynomials of degree 2 nodes - 1 in each dimension."""
    points, weights = (torch.as_tensor(a) for a in np.polynomial.hermite_e.hermegauss(nodes))
    grid = torch.cartesian_prod(*[points] * dims).reshape(-1, dims)
    weight = torch.cartesian_prod(*[weights / weights.sum()] * dims).reshape(-1, dims)
    return grid, weight.prod(-1)


def normal(generator: torch.Generator, *shape: int) -> Tensor:
    """Standard normal, float64."""
    return torch.randn(shape, generator=generator, dtype=torch.float64)
