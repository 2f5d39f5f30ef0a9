"""Exact gradients of the ELBO and of the IWAE bound, with nothing random in them.

Continuous latents: autograd through Gauss-Hermite quadrature over the standard normal noise of all
K samples. Discrete latents: autograd through the sum over all codes, or over all K-tuples of
codes. Neither touches an estimator or an objective of the package.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from paper_repro.gradients.draws import gradient
from paper_repro.studies.conformance.problems import ExactProblem, Params

# Dimensions of the integral -> nodes per dimension. With half as many again no gradient moves by a
# tenth of the smallest standard error of the study.
NODES = {2: 64, 3: 30, 4: 20}
COMPUTABLE_PAIRS = ("gaussian", "bernoulli", "categorical")


def exact_gradient(
    problem: ExactProblem, objective: str = "elbo", k: int = 1, nodes: Mapping[int, int] = NODES
) -> dict[str, Tensor]:
    """d bound / d parameter, the bound in nats summed over the batch, for every parameter.

    `objective` is "elbo" (the same for all k) or "iwae" with k samples, which `computable` must
    allow; ValueError otherwise.
    """
    k = 1 if objective == "elbo" else k
    if objective not in ("elbo", "iwae") or not computable(problem.kind, objective, k):
        raise ValueError(f"objective: no exact gradient of {objective!r} for k = {k}")

    def value(params: Params) -> Tensor:
        if problem.code_log_probs is None:
            return _quadrature(problem, params, k, nodes)
        return _enumeration(problem, params, k, problem.code_log_probs)

    return gradient(value, problem.params)


def computable(kind: str, objective: str, k: int) -> bool:
    """Whether the gradient can be had to the accuracy needed: the IWAE bound with k = 2 samples
    over four dimensions for the Gaussian and over all pairs of codes, not for the flow (its tails
    need a million nodes) nor two layers (six dimensions)."""
    return objective == "elbo" or k == 1 or (k == 2 and kind in COMPUTABLE_PAIRS)


def _enumeration(
    problem: ExactProblem,
    params: Params,
    k: int,
    code_log_probs: Callable[[Params], Tensor],
) -> Tensor:
    assert problem.codes is not None
    log_q = code_log_probs(params)  # [S, B]
    z = problem.codes.unsqueeze(1).expand(-1, log_q.shape[1], -1)
    log_weights = sum(problem.log_joint(params)(z)) - log_q
    tuples = torch.cartesian_prod(*[torch.arange(len(log_q))] * k).reshape(-1, k)
    probability = log_q[tuples].sum(1).exp()
    return (probability * _log_mean(log_weights[tuples], 1)).sum()


def _quadrature(problem: ExactProblem, params: Params, k: int, nodes: Mapping[int, int]) -> Tensor:
    shapes = problem.posterior(params).noise_shapes(k)
    shapes.pop("component", None)
    # every observation is integrated by itself, so that all share the nodes of one
    own = {name: (k, shape[-1]) for name, shape in shapes.items()}
    dims = sum(math.prod(shape) for shape in own.values())
    grid, weight = product_rule(nodes[dims], dims)
    columns = grid.split([math.prod(shape) for shape in own.values()], dim=-1)
    # [N, K, 1, D]: the same for each observation (and each component of a mixture)
    noise = {
        name: part.reshape(-1, *own[name]).unsqueeze(-2)
        for name, part in zip(own, columns, strict=True)
    }

    def bound(draw: dict[str, Tensor]) -> Tensor:
        draw = {name: e.expand(shapes[name]) for name, e in draw.items()}
        posterior = problem.posterior(params)
        z = posterior.rsample(draw)
        log_weights = sum(problem.log_joint(params)(z)) - posterior.log_prob(z)
        if problem.kind == "mixture":  # written out, so that `expect` is under test as well
            log_weights = torch.einsum("bc,ckb->kb", params["logits"].softmax(-1), log_weights)
        return _log_mean(log_weights, 0).sum()

    return weight @ torch.vmap(bound)(noise)


def product_rule(nodes: int, dims: int) -> tuple[Tensor, Tensor]:
    """Points [N, dims] and weights [N] of Gauss-Hermite quadrature over N(0, I); N = nodes^dims."""
    points, weights = (torch.as_tensor(a) for a in np.polynomial.hermite_e.hermegauss(nodes))
    grid = torch.cartesian_prod(*[points] * dims).reshape(-1, dims)
    weight = torch.cartesian_prod(*[weights / weights.sum()] * dims).reshape(-1, dims).prod(-1)
    return grid, weight


def _log_mean(log_weights: Tensor, axis: int) -> Tensor:
    return log_weights.logsumexp(axis) - math.log(log_weights.shape[axis])
