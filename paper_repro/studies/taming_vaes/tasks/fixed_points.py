"""The fixed-point equations of a beta-VAE whose latent space is cut into K tiles.

Rezende and Viola, "Taming VAEs" (arXiv 1810.00597), Proposition 1, with the prior on K tiles of
weights pi_a and psi_a = g(z_a); beta = 1 / (2 lambda), lambda the multiplier of ||x - g||^2:

    q_ia = pi_a exp(-||x_i - psi_a||^2 / (2 beta)) / normaliser of i
    psi_a = sum_i q_ia x_i / sum_i q_ia

are exact minimisations of the objective mean_i sum_a q_ia (ln q_ia / pi_a + ||x_i - psi_a||^2 / (2
beta)) over q and over psi. Its value after the first is -mean_i ln sum_a pi_a exp(-||x_i -
psi_a||^2 / (2 beta)). Float64; all arrays may have leading dimensions, of separate problems.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TOLERANCE = 1e-9  # largest change of a coordinate of psi by an update that counts as none
CAP = 3000  # updates; only next to a critical beta, where convergence is slower than linear


class Soft(NamedTuple):
    """q [..., N, K], squared distances [..., N, K], and the objective [...] in nats at this q."""

    q: Array
    squares: Array
    objective: Array


class Converged(NamedTuple):
    """psi [..., K, D] where the updates stopped; the largest increase of the objective by a half
    step (nats); whether the last change was below TOLERANCE; all psi on the way, if kept."""

    psi: Array
    increase: float
    met: bool
    path: list[Array]


def soft_step(x: Array, psi: Array, weights: Array, beta: float) -> Soft:
    """The best q for points x [..., N, D] at psi [..., K, D], prior weights [K]."""
    squares = np.square(x[..., :, None, :] - psi[..., None, :, :]).sum(-1)
    exponent = np.log(weights) - squares / (2 * beta)
    top = exponent.max(-1, keepdims=True)
    shares = np.exp(exponent - top)
    total = shares.sum(-1, keepdims=True)
    return Soft(shares / total, squares, -(top + np.log(total))[..., 0].mean(-1))


def average_step(x: Array, q: Array) -> Array:
    """The best psi [..., K, D] for q [..., N, K]: averages of the points."""
    return q.swapaxes(-1, -2) @ x / q.sum(-2)[..., None]


def objective(q: Array, squares: Array, weights: Array, beta: float) -> Array:
    """The objective [...] in nats at any q; 0 ln 0 = 0."""
    logs = np.log(q / weights, out=np.zeros_like(q), where=q > 0)
    return (q * (logs + squares / (2 * beta))).sum((-2, -1)) / q.shape[-2]


def converge(
    x: Array, psi: Array, weights: Array, beta: float, cap: int = CAP, keep: bool = False
) -> Converged:
    """Update psi and q in turn until psi stays, or `cap` times."""
    increase, last, path = -np.inf, np.array(np.inf), [psi]
    soft = soft_step(x, psi, weights, beta)
    for _ in range(cap):
        new = average_step(x, soft.q)
        after = soft_step(x, new, weights, beta)
        # q is fixed while psi moves: of the objective only the distances change
        between = soft.objective + (soft.q * (after.squares - soft.squares)).sum((-2, -1)) / (
            2 * beta * x.shape[-2]
        )
        rises = (soft.objective - last, between - soft.objective)
        increase = max(increase, *(float(np.max(rise)) for rise in rises))
        change, psi, soft, last = np.abs(new - psi).max(), new, after, between
        if keep:
            path.append(psi)
        if change < TOLERANCE:
            return Converged(psi, increase, True, path)
    return Converged(psi, increase, False, path)


def gradient(x: Array, psi: Array, weights: Array, beta: float) -> Array:
    """Gradient of the objective at its best q with respect to psi: [..., K, D], nats."""
    q = soft_step(x, psi, weights, beta).q
    return (q.sum(-2)[..., None] * psi - q.swapaxes(-1, -2) @ x) / (beta * x.shape[-2])


def error(x: Array, psi: Array, weights: Array, beta: float) -> Array:
    """E(beta) = mean_i sum_a q_ia ||x_i - psi_a||^2: [...], a squared error per point."""
    soft = soft_step(x, psi, weights, beta)
    return (soft.q * soft.squares).sum(-1).mean(-1)


def largest_variance(x: Array, psi: Array, weights: Array, beta: float) -> Array:
    """The largest eigenvalue of any C_a, the covariance of the points about psi_a weighted by
    q_ia / sum_i q_ia: [...]. A cluster of coinciding psi splits where beta falls below (ours)."""
    q = soft_step(x, psi, weights, beta).q
    shares = (q / q.sum(-2, keepdims=True))[..., None]
    off = x[..., :, None, :] - psi[..., None, :, :]
    covariances = np.einsum("...iad,...iae->...ade", shares * off, off)
    return np.linalg.eigvalsh(covariances)[..., -1].max(-1)


def distinct(psi: Array, tolerance: float) -> int:
    """How many of psi [K, D] are farther than `tolerance` from all before them."""
    found: list[Array] = []
    for one in psi:
        if all(np.linalg.norm(one - other) > tolerance for other in found):
            found.append(one)
    return len(found)
