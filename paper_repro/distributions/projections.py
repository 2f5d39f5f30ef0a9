"""Means and joint cumulants of linear maps of z, and their exponential tilts (Shao et al. 2025).

"Silent Gradients" (Shao, Liu and Van den Broeck, arXiv 2508.03587) rests on closed-form moments of
independent latents (its Proposition 1) and a covariance of linear projections (its Theorem 1), of
which we know the titles only. What stands here is our derivation. For pixel p let A = w_p.z and
S = v_p.z. Joint cumulants add over independent parts of z, so with a component's variance m2 and
cumulants k3, k4

    Var A = sum w^2 m2,  Cov(A, S) = sum w v m2,  K21 = sum w^2 v k3,  K22 = sum w^2 v^2 k4, ...

and with A, S centred  E[A^2 S] = K21,  Cov(A^2, S^2) = 2 Cov(A, S)^2 + K22,  E[S^4] = K04 + 3 VS^2.
The one-hot components of a categorical group depend on each other: there the sum runs over groups
and its parts are the joint cumulants of the group's own (A_g, S_g). A Gaussian has no cumulants
above the second.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from paper_repro.distributions.bernoulli import Bernoulli
from paper_repro.distributions.categorical import Categorical
from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.distributions.posterior import Posterior

Tractable = DiagonalGaussian | Bernoulli | Categorical


class Cumulants(NamedTuple):
    """Joint cumulants of A = w.z and S = v.z, each [*batch, P]."""

    mean_a: Tensor
    mean_s: Tensor
    var_a: Tensor  # VA
    var_s: Tensor  # VS
    cov: Tensor  # C
    k21: Tensor
    k12: Tensor
    k03: Tensor
    k22: Tensor
    k04: Tensor


class Tilt(NamedTuple):
    """z reweighted by exp(S): log E exp(S), and mean and variance of A there; each [*batch, P]."""

    log_normaliser: Tensor
    mean: Tensor
    variance: Tensor


def mean(posterior: Posterior, w: Tensor) -> Tensor:
    """E w.z for w [P, D]: [*batch, P]."""
    return _checked(posterior, w).mean_z() @ w.mT


def mean_variance(posterior: Posterior, w: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of w.z for w [P, D]: two of [*batch, P]."""
    q = _checked(posterior, w)
    if isinstance(q, Categorical):
        groups = _by_group(q, w)
        own = torch.einsum("...gc,pgc->...pg", q.probs, groups)
        square = torch.einsum("...gc,pgc->...pg", q.probs, groups.square())
        return q.mean_z() @ w.mT, (square - own.square()).sum(-1)
    return q.mean_z() @ w.mT, q.central_moments().second @ w.square().mT


def cumulants(posterior: Posterior, w: Tensor, v: Tensor) -> Cumulants:
    """All joint cumulants of w.z and v.z for w, v [P, D]: each [*batch, P]."""
    q = _checked(posterior, w, v)
    if isinstance(q, Categorical):
        return _categorical_cumulants(q, w, v)
    z, ww, wv, vv = q.central_moments(), w * w, w * v, v * v
    means = z.mean @ w.mT, z.mean @ v.mT
    second = z.second @ ww.mT, z.second @ vv.mT, z.second @ wv.mT
    if isinstance(q, DiagonalGaussian):
        zero = torch.zeros_like(means[0])
        return Cumulants(*means, *second, zero, zero, zero, zero, zero)
    k3, k4 = z.third_cumulant, z.fourth_cumulant
    third = k3 @ (ww * v).mT, k3 @ (w * vv).mT, k3 @ (vv * v).mT
    return Cumulants(*means, *second, *third, k4 @ (ww * vv).mT, k4 @ (vv * vv).mT)


def tilt(posterior: Posterior, w: Tensor, v: Tensor) -> Tilt:
    """log E exp(v.z), and mean and variance of w.z under q(z) exp(v.z), exactly; w, v [P, D].

    Every family here is closed under the tilt: a Gaussian's mean moves by its variance times v,
    logits by v. So each pixel has a posterior of its own, and the discrete families need memory
    for [*batch, P, D].
    """
    q = _checked(posterior, w, v)
    if isinstance(q, DiagonalGaussian):
        k = cumulants(q, w, v)
        return Tilt(k.mean_s + 0.5 * k.var_s, k.mean_a + k.cov, k.var_a)
    if isinstance(q, Bernoulli):
        step, logits = (2 if q.signed else 1), q.logits.unsqueeze(-2)
        tilted = Bernoulli(logits + step * v, q.signed)
        # log(1 + e^l) as -logsigmoid(-l): softplus drops the 1 from l = 20 on.
        log_ratio = logsigmoid(-logits) - logsigmoid(-tilted.logits)
        log_normaliser = log_ratio.sum(-1) - (v.sum(-1) if q.signed else 0)
        spread = tilted.central_moments().second
        return Tilt(log_normaliser, (tilted.mean_z() * w).sum(-1), (spread * w.square()).sum(-1))
    logits, groups = q.logits.unsqueeze(-3), _by_group(q, w)  # [*batch, 1, G, C], [P, G, C]
    tilted_logits = logits + v.unflatten(-1, q.logits.shape[-2:])
    probs = tilted_logits.softmax(-1)
    own = (probs * groups).sum(-1, keepdim=True)
    log_ratio = tilted_logits.logsumexp(-1) - logits.logsumexp(-1)
    return Tilt(
        log_ratio.sum(-1),
        (probs.flatten(-2) * w).sum(-1),
        (probs * (groups - own).square()).sum((-2, -1)),
    )


def _categorical_cumulants(q: Categorical, w: Tensor, v: Tensor) -> Cumulants:
    """Sums over groups of the joint cumulants of each group's (A_g, S_g), from raw moments.

    Weights are centred within their group, which changes no cumulant above the first and loses
    fewer digits; memory is [*batch, P, G].
    """
    a, s = _by_group(q, w), _by_group(q, v)

    def raw(i: int, j: int) -> Tensor:
        return torch.einsum("...gc,pgc->...pg", q.probs, a**i * s**j)

    e10, e01, e20, e11, e02 = raw(1, 0), raw(0, 1), raw(2, 0), raw(1, 1), raw(0, 2)
    e21, e12, e03, e22, e04 = raw(2, 1), raw(1, 2), raw(0, 3), raw(2, 2), raw(0, 4)
    var_a, var_s, cov = e20 - e10**2, e02 - e01**2, e11 - e10 * e01
    k21 = e21 - 2 * e10 * e11 - e01 * e20 + 2 * e10**2 * e01
    k12 = e12 - 2 * e01 * e11 - e10 * e02 + 2 * e01**2 * e10
    k03 = e03 - 3 * e01 * e02 + 2 * e01**3
    fourth_22 = (
        e22
        - 2 * (e10 * e12 + e01 * e21)
        + e10**2 * e02
        + e01**2 * e20
        + 4 * e10 * e01 * e11
        - 3 * e10**2 * e01**2
    )
    fourth_04 = e04 - 4 * e01 * e03 + 6 * e01**2 * e02 - 3 * e01**4
    k22 = fourth_22 - var_a * var_s - 2 * cov**2
    k04 = fourth_04 - 3 * var_s**2
    means = q.mean_z() @ w.mT, q.mean_z() @ v.mT
    parts = (var_a, var_s, cov, k21, k12, k03, k22, k04)
    return Cumulants(*means, *(part.sum(-1) for part in parts))


def _by_group(q: Categorical, w: Tensor) -> Tensor:
    """Weights [P, G, C], centred within their group."""
    groups = w.unflatten(-1, q.logits.shape[-2:])
    return groups - groups.mean(-1, keepdim=True)


def _checked(posterior: Posterior, w: Tensor, v: Tensor | None = None) -> Tractable:
    """The posterior; ValueError unless its family is served and the maps are [P, D] of one P."""
    if not isinstance(posterior, Tractable):
        raise ValueError(
            f"posterior: no closed-form projections of {posterior.kind!r}, only of gaussian, "
            "bernoulli and categorical"
        )
    dim = posterior.mean_z().shape[-1]
    for name, matrix in (("w", w), ("v", w if v is None else v)):
        if matrix.ndim != 2 or matrix.shape[-1] != dim or matrix.shape != w.shape:
            raise ValueError(
                f"{name}: shape {list(matrix.shape)}, expected [P, {dim}] for z of {dim} dimensions"
            )
    return posterior
