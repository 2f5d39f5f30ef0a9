"""As the likelihood's variance vanishes a VAE becomes a normalising flow (T11, T14).

Fyffe, "There and Back Again" (arXiv 1912.10309), abstract; formulas and toy are ours. With k
latents, D = k values, Gamma = sigma^2 I and V = (I + J^T J / sigma^2)^-1 the ELBO of x = f(z) tends
to ln p(z) - 1/2 ln det J^T J, the change of variables, as sigma falls. The map is our choice,

    f(z) = (z_1 + 0.3 sin z_2, z_2 + 0.3 sin z_1),   det J = 1 - 0.09 cos z_1 cos z_2 > 0,

invertible everywhere, and means over z ~ N(0, I) are sums over Gauss-Hermite nodes, since in a
sample of z the error, of order sigma^2, scatters by its own size. `posterior=formula` has the mean
where p(x, z) is largest and V as above, J at the mean; `best` maximises the ELBO over mean and
covariance, starting there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from paper_repro.rows import Row, coordinates
from paper_repro.studies.there_and_back_again.tasks.curve import LOG_2PI
from paper_repro.studies.there_and_back_again.tasks.maximise import (
    Tensors,
    hermite,
    maximise,
)

SIGMAS = (0.2, 0.1, 0.05, 0.025)
DIMS, NODES, BEND = 2, 12, 0.3
GAUSS_NEWTON_STEPS = 60
POSTERIORS = ("formula", "best")


def decoder(z: Tensor) -> Tensor:
    """f(z): [..., 2] -> [..., 2]."""
    return z + BEND * z.flip(-1).sin()


def jacobian(z: Tensor) -> Tensor:
    """J: [..., 2] -> [..., 2, 2]."""
    ones, slopes = torch.ones_like(z), BEND * z.flip(-1).cos()
    first = torch.stack([ones[..., 0], slopes[..., 0]], -1)
    return torch.stack([first, torch.stack([slopes[..., 1], ones[..., 1]], -1)], -2)


def log_density(z: Tensor) -> Tensor:
    """ln p(x) of the flow at x = f(z), in nats: ln N(z; 0, I) - ln |det J|."""
    prior = -0.5 * z.square().sum(-1) - LOG_2PI
    return prior - torch.linalg.slogdet(jacobian(z)).logabsdet


def mode(x: Tensor, z: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """The largest p(x, z) next to z [P, 2], by Gauss-Newton, and V there [P, 2, 2]."""
    unit = torch.eye(DIMS, dtype=torch.float64)
    for _ in range(GAUSS_NEWTON_STEPS):
        j = jacobian(z)
        covariance = torch.linalg.inv(unit + j.mT @ j / sigma**2)
        slope = (j.mT @ (x - decoder(z)).unsqueeze(-1)).squeeze(-1) / sigma**2 - z
        z = z + (covariance @ slope.unsqueeze(-1)).squeeze(-1)
    j = jacobian(z)
    return z, torch.linalg.inv(unit + j.mT @ j / sigma**2)


def elbo(x: Tensor, mean: Tensor, root: Tensor, sigma: float) -> Tensor:
    """Of q = N(mean, root root^T), root [P, 2, 2] a triangle: [P], nats."""
    nodes, weights = hermite(NODES, DIMS)
    z = mean + torch.einsum("pjk,sk->spj", root, nodes)
    square = weights @ (x - decoder(z)).square().sum(-1)
    distortion = square / (2 * sigma**2) + DIMS * (math.log(sigma) + 0.5 * LOG_2PI)
    log_det = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    second = mean.square().sum(-1) + root.square().sum((-2, -1))
    return -distortion - 0.5 * (second - DIMS) + log_det


def best(x: Tensor, mean: Tensor, root: Tensor, sigma: float) -> Tensor:
    """The largest ELBO [P] over mean and covariance, near the given ones."""

    def parts(p: Tensors) -> tuple[Tensor, Tensor]:
        stretched = torch.diag_embed(p["stretched"].exp()) + p["below"].tril(-1)
        moved = (root @ p["moved"].unsqueeze(-1)).squeeze(-1)
        return mean + moved, root @ stretched

    start = {"moved": torch.zeros_like(mean), "stretched": torch.zeros_like(mean)}
    start["below"] = torch.zeros_like(root)
    found, _ = maximise(lambda p: elbo(x, *parts(p), sigma).sum(), start)
    return elbo(x, *parts(found), sigma)


def rows() -> Iterator[Row]:
    """Mean ELBO of clean data x = f(z), the flow's mean log density, and their difference; nothing
    is drawn."""
    z, weights = hermite(NODES, DIMS)
    x, exact = decoder(z), float(weights @ log_density(z))
    yield Row("flow_log_density", exact, "nats")
    found: dict[tuple[str, float], float] = {}
    for sigma in SIGMAS:
        mean, covariance = mode(x, z, sigma)
        root = torch.linalg.cholesky(covariance)
        found["formula", sigma] = float(weights @ elbo(x, mean, root, sigma))
        found["best", sigma] = float(weights @ best(x, mean, root, sigma))
        for posterior in POSTERIORS:
            at = coordinates(sigma=sigma, posterior=posterior)
            value = found[posterior, sigma]
            yield Row("flow_elbo", value, "nats", at=at)
            yield Row("flow_error", value - exact, "nats", at=at)
    for posterior in POSTERIORS:
        at = coordinates(posterior=posterior)
        first, last = (abs(found[posterior, s] - exact) for s in (SIGMAS[0], SIGMAS[-1]))
        yield Row("flow_error_ratio", last / first, "1", at=at)
        values = [found[posterior, sigma] for sigma in SIGMAS] + [exact]
        rise = min(b - a for a, b in pairwise(values))
        yield Row("least_flow_rise", rise, "nats", at=at)
