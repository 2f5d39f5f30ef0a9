"""Closed forms for diagonal Gaussian posteriors with diagonal Gaussian targets.

Gradients of E_q[log p - log q] with respect to (mu, log s) of q = N(mu, s^2), p = N(mu_p, s_p^2),
written with r = s^2 / s_p^2. Per dimension the single-sample gradients are

    total  mu: (mu_p - mu)/s_p^2 - r e/s        log s: (mu_p - mu) s e/s_p^2 - r e^2 + 1
    score  mu: e/s                              log s: e^2 - 1

with e ~ N(0, 1), and path = total + score (Roeder et al. 2017, equations 5-7). The variances and
the best weight c* = r of the score below follow from these; they are our derivation.
"""

from __future__ import annotations

import torch
from torch import Tensor

Pair = dict[str, Tensor]  # "mean" and "log_scale", each [..., D]


def random_target(dim: int, generator: torch.Generator, device: str = "cpu") -> Pair:
    """The target of Figure 1: mu_p ~ N(0, I), log s_p ~ 0.3 N(0, I); float64, each [dim].

    Drawn on the CPU whatever `device` it goes to, so that every device fits the same target.
    """
    draw = torch.randn(2, dim, generator=generator, dtype=torch.float64).to(device)
    return {"mean": draw[0], "log_scale": 0.3 * draw[1]}


def kl(q: Pair, p: Pair) -> Tensor:
    """KL(q || p) in nats, summed over the last axis; exact to rounding near q = p too."""
    log_ratio = 2 * (q["log_scale"] - p["log_scale"])
    shift = (q["mean"] - p["mean"]).square() * (-2 * p["log_scale"]).exp()
    return 0.5 * (torch.expm1(log_ratio) - log_ratio + shift).sum(-1)


def ratio(q: Pair, p: Pair) -> Tensor:
    """r = s^2 / s_p^2, which is also the weight c* of the score that minimises the variance."""
    return (2 * (q["log_scale"] - p["log_scale"])).exp()


def gradient_variance(q: Pair, p: Pair, c: Tensor | float) -> Pair:
    """Variance of the single-sample gradient total + c score, per dimension (nats^2).

    c = 0 is the total derivative, c = 1 the path derivative, c = `ratio(q, p)` the optimum. The
    path derivative has the smaller variance exactly where r > 1/2, for both parameters.
    """
    rest = (ratio(q, p) - c).square()
    pull = (q["mean"] - p["mean"]) * q["log_scale"].exp() * (-2 * p["log_scale"]).exp()
    return {
        "mean": rest * (-2 * q["log_scale"]).exp(),
        "log_scale": pull.square() + 2 * rest,
    }


def fisher_diagonal(q: Pair) -> Pair:
    """Fisher information of (mu, log s): 1/s^2 and 2 (off-diagonal entries are zero)."""
    precision = (-2 * q["log_scale"]).exp()
    return {"mean": precision, "log_scale": torch.full_like(precision, 2.0)}
