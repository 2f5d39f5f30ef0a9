"""The decoder that is best for given posteriors, its logits and its Jacobian (T1, T2).

Fyffe, "There and Back Again" (arXiv 1912.10309), abstract; formulas are our derivation. For
posteriors q_i = N(mu_i, V_i) of points x_i and any Gaussian likelihood the ELBO is largest for

    f*(z) = sum_i w_i(z) x_i,   w_i(z) = q_i(z) / sum_j q_j(z),

an average of the data, so never outside of their hull, and analytic in z. Its Jacobian is
sum_i w_i (x_i - f*) (V_i^-1 (mu_i - z))^T. With one V for all, w is the softmax of logits that are
linear in z, z^T V^-1 mu_i - 1/2 mu_i^T V^-1 mu_i, and the Jacobian is Cov_w(x, mu) V^-1.

Also Proposition 1 of Rezende and Viola, "Taming VAEs" (arXiv 1810.00597).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from paper_repro.rows import Row, coordinates
from paper_repro.studies.there_and_back_again.tasks.maximise import maximise, normal

POINTS, PIXELS, LATENTS = 12, 3, 2  # "toy A"
GRID = torch.linspace(-3, 3, 9, dtype=torch.float64)
FAR = torch.linspace(-40, 40, 41, dtype=torch.float64)  # where f* must stay within the data


class Posteriors(NamedTuple):
    """Points x [N, D] with posteriors of mean [N, k] and covariance [N, k, k]."""

    x: Tensor
    mean: Tensor
    covariance: Tensor


def toy(generator: Generator, constant: bool) -> Posteriors:
    """Random points and posteriors; `constant` gives all of them the first one's covariance."""
    root = 0.4 * normal(generator, POINTS, LATENTS, LATENTS)
    covariance = root @ root.mT + 0.1 * torch.eye(LATENTS, dtype=torch.float64)
    if constant:
        covariance = covariance[:1].expand(POINTS, -1, -1)
    x, mean = normal(generator, POINTS, PIXELS), normal(generator, POINTS, LATENTS)
    return Posteriors(x, mean, covariance)


def log_densities(q: Posteriors, z: Tensor) -> Tensor:
    """log q_i(z) but for (2 pi)^(k/2), z [..., k] -> [..., N]."""
    off = z.unsqueeze(-2) - q.mean
    square = (off * torch.linalg.solve(q.covariance, off.unsqueeze(-1)).squeeze(-1)).sum(-1)
    return -0.5 * (square + torch.logdet(q.covariance))


def weights(q: Posteriors, z: Tensor) -> Tensor:
    """w_i(z): [..., N]."""
    return log_densities(q, z).softmax(-1)


def decoder(q: Posteriors, z: Tensor) -> Tensor:
    """f*(z): [..., D]."""
    return weights(q, z) @ q.x


def minimised(q: Posteriors, z: Tensor, noise: Tensor) -> Tensor:
    """The decoder [Z, D] at z [Z, k] found by minimising E_q -ln N(x; f, noise) itself; at each z
    the densities are taken relative to the largest, which moves no minimum."""
    log_q = log_densities(q, z)
    shares = (log_q - log_q.amax(-1, keepdim=True)).exp()
    precision = torch.linalg.inv(noise)

    def value(p: dict[str, Tensor]) -> Tensor:
        off = q.x - p["output"].unsqueeze(-2)
        square = ((off @ precision) * off).sum(-1)
        return -0.5 * (shares * square).sum()

    start = {"output": torch.zeros(len(z), q.x.shape[-1], dtype=torch.float64)}
    return maximise(value, start)[0]["output"]


def linear_weights(q: Posteriors, z: Tensor) -> Tensor:
    """w(z) as the softmax of logits that are linear in z; for one covariance: [..., N]."""
    slopes = torch.linalg.solve(q.covariance[0], q.mean.T)  # [k, N]
    return (z @ slopes - 0.5 * (q.mean.T * slopes).sum(0)).softmax(-1)


def jacobian(q: Posteriors, z: Tensor) -> Tensor:
    """The formula sum_i w_i (x_i - f*) (V_i^-1 (mu_i - z))^T for z [Z, k]: [Z, D, k]."""
    w = weights(q, z)
    pull = torch.linalg.solve(q.covariance, (q.mean - z.unsqueeze(-2)).unsqueeze(-1)).squeeze(-1)
    off = q.x - (w @ q.x).unsqueeze(-2)
    return (w.unsqueeze(-1) * off).mT @ pull


def covariance_jacobian(q: Posteriors, z: Tensor) -> Tensor:
    """Cov_w(x, mu) V^-1, for one covariance V: [Z, D, k]."""
    w = weights(q, z).unsqueeze(-1)
    mean_x, mean_mu = (w * q.x).sum(-2), (w * q.mean).sum(-2)
    together = (w * q.x).mT @ q.mean - mean_x.unsqueeze(-1) * mean_mu.unsqueeze(-2)
    return together @ torch.linalg.inv(q.covariance[0])


def rows(generator: Generator) -> Iterator[Row]:
    """Differences of both sides, at worst over a grid of z; one draw for each kind of posterior."""
    grid, far = torch.cartesian_prod(GRID, GRID), torch.cartesian_prod(FAR, FAR)
    root = normal(generator, PIXELS, PIXELS)
    noise = root @ root.T / PIXELS + torch.eye(PIXELS, dtype=torch.float64)
    for name in ("per_example", "constant"):
        q = toy(generator, constant=name == "constant")
        at = coordinates(covariance=name)
        found = decoder(q, grid)
        off = float((found - minimised(q, grid, noise)).abs().max())
        yield Row("optimal_decoder_error", off, "1", at=at)
        exact = torch.vmap(torch.func.jacrev(lambda z, q=q: decoder(q, z)))(grid)
        formula = jacobian(q, grid)
        if name == "constant":
            off = float((weights(q, grid) - linear_weights(q, grid)).abs().max())
            yield Row("linear_logits_error", off, "1", at=at)
            formula = covariance_jacobian(q, grid)
        yield Row("decoder_jacobian_error", float((exact - formula).abs().max()), "1", at=at)
        everywhere = torch.cat([found, decoder(q, far)])
        over, under = everywhere - q.x.amax(0), q.x.amin(0) - everywhere
        outside = float(torch.maximum(over, under).max())
        yield Row("decoder_outside", outside, "1", at=at)
