"""Expectations under small posteriors without any closed form: enumeration, or Gauss-Hermite.

Each family comes with a batch of three and few enough latents to sum over: 8 coins, 3 dice of 3
faces, 2 Gaussian dimensions by 24 nodes each. Probabilities are written out here rather than taken
from the classes under test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from paper_repro.distributions.bernoulli import Bernoulli
from paper_repro.distributions.categorical import Categorical
from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.distributions.posterior import Posterior

BATCH = 3
Params = Mapping[str, Tensor]


def normal(seed: int, *shape: int, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


@dataclass(frozen=True)
class Family:
    """A posterior as a function of its parameters, and all of its states with their weights."""

    params: dict[str, Tensor]
    posterior: Callable[[Params], Posterior]
    states: Callable[[Params], tuple[Tensor, Tensor]]
    """params -> z [S, BATCH, D] and weights [S, BATCH] that sum to 1 over S."""
    dim: int

    def expectation(self, params: Params, function: Callable[[Tensor], Tensor]) -> Tensor:
        """E_q of function: [S, BATCH, D] -> [S, BATCH, ...]; without the first axis."""
        z, weights = self.states(params)
        values = function(z)
        return (weights.reshape(*weights.shape, *(1,) * (values.ndim - 2)) * values).sum(0)


def _gaussian(nodes: int = 24) -> Family:
    points, weights = (torch.as_tensor(a) for a in np.polynomial.hermite_e.hermegauss(nodes))
    grid = torch.cartesian_prod(points, points).unsqueeze(1)
    weight = torch.cartesian_prod(weights, weights).prod(-1) / weights.sum() ** 2

    def states(p: Params) -> tuple[Tensor, Tensor]:
        return p["mean"] + p["log_scale"].exp() * grid, weight.unsqueeze(1).expand(-1, BATCH)

    params = {"mean": normal(1, BATCH, 2), "log_scale": normal(2, BATCH, 2, scale=0.3)}
    return Family(params, lambda p: DiagonalGaussian(p["mean"], p["log_scale"]), states, 2)


def _bernoulli(signed: bool, dim: int = 8) -> Family:
    bits = torch.tensor(list(product((0.0, 1.0), repeat=dim)), dtype=torch.float64).unsqueeze(1)

    def states(p: Params) -> tuple[Tensor, Tensor]:
        one = 1 / (1 + (-p["logits"]).exp())
        z = (2 * bits - 1 if signed else bits).expand(-1, BATCH, -1)
        return z, (bits * one + (1 - bits) * (1 - one)).prod(-1)

    params = {"logits": normal(3, BATCH, dim, scale=1.5)}
    return Family(params, lambda p: Bernoulli(p["logits"], signed=signed), states, dim)


def _categorical(groups: int = 3, classes: int = 3) -> Family:
    faces = torch.eye(classes, dtype=torch.float64)
    choices = [torch.stack(choice) for choice in product(faces, repeat=groups)]
    onehot = torch.stack(choices).unsqueeze(1)  # [S, 1, G, C]

    def states(p: Params) -> tuple[Tensor, Tensor]:
        q = p["logits"].exp() / p["logits"].exp().sum(-1, keepdim=True)
        return onehot.flatten(-2).expand(-1, BATCH, -1), (onehot * q).sum(-1).prod(-1)

    params = {"logits": normal(4, BATCH, groups, classes)}
    return Family(params, lambda p: Categorical(p["logits"]), states, groups * classes)


FAMILIES = {
    "gaussian": _gaussian(),
    "bernoulli": _bernoulli(signed=False),
    "bernoulli_signed": _bernoulli(signed=True),
    "categorical": _categorical(),
}
DISCRETE = ("bernoulli", "bernoulli_signed", "categorical")


def gradients(function: Callable[[Params], Tensor], params: Params) -> dict[str, Tensor]:
    """d function / d params for a function whose values are summed."""
    return torch.func.grad(lambda p: function(p).sum())(dict(params))


def assert_exact(found: object, expected: object) -> None:
    """Equal to 1e-9 of the value, or to 1e-12 where terms cancel."""
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
