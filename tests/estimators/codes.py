"""Expectations over discrete latents with nothing random: every code is forced, and weighted.

Noise of +-8 decides a bit or a class whatever its logit, so an estimator can be run at each code,
or at each K-tuple of codes, and its gradients be averaged with the probabilities of q.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from paper_repro.gradients.draws import per_draw
from paper_repro.studies.conformance.problems import ExactProblem


def forcing(codes: Tensor) -> Tensor:
    """Noise of the shape of `codes` (0/1, -1/+1 or one-hot) with which `sample` returns them."""
    return torch.where(codes > 0, 8.0, -8.0).to(codes.dtype)


def draws(problem: ExactProblem, k: int) -> dict[str, Tensor]:
    """All N tuples of k codes: noise "z" [N, k, B, D] and probability "weight" [N, B]."""
    log_q = problem.code_log_probs(problem.params)
    tuples = torch.cartesian_prod(*[torch.arange(len(log_q))] * k).reshape(-1, k)
    noise = forcing(problem.codes)[tuples].unsqueeze(2)
    return {
        "z": noise.expand(-1, -1, log_q.shape[1], -1),
        "weight": log_q[tuples].sum(1).exp(),
    }


def elbo(terms: Callable, problem: ExactProblem, **options) -> Callable:
    """(params, draw) -> the ELBO of one draw, [B]."""

    def value(params, draw) -> Tensor:
        found = terms(problem.posterior(params), problem.log_joint(params), draw, **options)
        return (found.log_likelihood + found.log_prior - found.log_posterior).mean(0)

    return value


def expected_gradient(terms: Callable, problem: ExactProblem, k: int = 1, **options) -> dict:
    """The exact mean of an estimator's gradient, parameter by parameter."""
    value = elbo(terms, problem, **options)
    gradients = per_draw(
        lambda params, draw: (draw["weight"] * value(params, draw)).sum(),
        problem.params,
        draws(problem, k),
    )
    return {name: g.sum(0) for name, g in gradients.items()}


def logit_moments(terms: Callable, problem: ExactProblem, k: int = 1, **options):
    """Exact mean and variance of the gradient of the logits, each of their shape."""
    value, every = elbo(terms, problem, **options), draws(problem, k)
    gradients = per_draw(lambda p, d: value(p, d).sum(), problem.params, every)
    g = gradients["logits"]
    weight = every["weight"].reshape(*every["weight"].shape, *[1] * (g.ndim - 2))
    mean = (weight * g).sum(0)
    return mean, (weight * (g - mean).square()).sum(0)
