"""A curve in the plane as decoder: the gap of the ELBO and the price of one variance (T4, T5).

Fyffe, "There and Back Again" (arXiv 1912.10309), abstract; formulas and toy are ours. The decoder
f(z) = (2 z, 1.5 sin 2z) is fixed, x = f(z) + sigma noise with z ~ N(0, 1), and every point has a
mean and a variance of its own. Where the variance is 1 / H the ELBO is the log evidence to second
order, so that what is left between them falls like sigma^2. With one variance for all points the
best is 1 / E[H], and it costs

    1/2 (ln E[H] - E[ln H]) >= 0,   H(z) = 1 + |f'(z)|^2 / sigma^2,   |f'|^2 = 4 + 9 cos^2 2z.

Measured along the curve, u(z) of |df/du| = 1, H hardly varies: the decoder can move the variation
into the density of u, which is no normal one any more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from paper_repro.rows import Row, coordinates
from paper_repro.studies.there_and_back_again.tasks.maximise import (
    Tensors,
    hermite,
    maximise,
    normal,
)

SIGMAS = (0.5, 0.2, 0.1, 0.05)
NODES = 40
EDGE, STEP = 8.0, 0.0025  # of the grid that integrates over z
LOG_2PI = math.log(2 * math.pi)


class Fitted(NamedTuple):
    """Means and variances [P] of the posteriors, and the ELBO of each point [P], in nats."""

    mean: Tensor
    variance: Tensor
    elbo: Tensor


def decoder(z: Tensor) -> Tensor:
    """f(z): [...] -> [..., 2]."""
    return torch.stack([2 * z, 1.5 * (2 * z).sin()], -1)


def speed_square(z: Tensor) -> Tensor:
    """|f'(z)|^2."""
    return 4 + 9 * (2 * z).cos().square()


def hessian(z: Tensor, sigma: float) -> Tensor:
    """Of -ln p(x, z) at an x on the curve."""
    return 1 + speed_square(z) / sigma**2


def grid(step: float = STEP) -> Tensor:
    """Equidistant z, on which the trapezoid rule of what vanishes at the ends is exact."""
    return torch.arange(-EDGE, EDGE + step / 2, step, dtype=torch.float64)


def log_evidence(x: Tensor, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """ln p(x) and mean and variance of p(z|x), [P] each, for points x [P, 2]."""
    z = grid()
    square = (x.unsqueeze(-2) - decoder(z)).square().sum(-1)
    log_joint = -square / (2 * sigma**2) - 2 * math.log(sigma) - LOG_2PI
    log_joint = log_joint - 0.5 * (z.square() + LOG_2PI)
    total = log_joint.logsumexp(-1)
    shares = (log_joint - total.unsqueeze(-1)).exp()
    mean = shares @ z
    return total + math.log(STEP), mean, shares @ z.square() - mean.square()


def elbo(x: Tensor, mean: Tensor, log_scale: Tensor, sigma: float) -> Tensor:
    """Of q = N(mean, exp(log_scale)^2) for each point: [P]."""
    nodes, weights = hermite(NODES)
    z = mean.unsqueeze(-1) + log_scale.exp().unsqueeze(-1) * nodes[:, 0]
    square = (x.unsqueeze(-2) - decoder(z)).square().sum(-1) @ weights
    distortion = square / (2 * sigma**2) + 2 * math.log(sigma) + LOG_2PI
    return -distortion - 0.5 * (mean.square() + (2 * log_scale).exp() - 1) + log_scale


def fit(x: Tensor, sigma: float, mean: Tensor, variance: Tensor, constant: bool) -> Fitted:
    """The best posteriors near `mean` and `variance` [P]; `constant`: of one variance."""
    scale = variance.sqrt()
    log_scale = scale.log().mean() if constant else scale.log()

    def parts(p: Tensors) -> tuple[Tensor, Tensor]:
        return mean + scale * p["moved"], (log_scale + p["stretched"]).expand(len(x))

    start = {"moved": torch.zeros_like(mean), "stretched": torch.zeros_like(log_scale)}
    found, _ = maximise(lambda p: elbo(x, *parts(p), sigma).sum(), start)
    best, log_best = parts(found)
    return Fitted(best, (2 * log_best).exp(), elbo(x, best, log_best, sigma))


def penalty(hessians: Tensor, weights: Tensor) -> float:
    """1/2 (ln E H - E ln H) under weights of sum one."""
    return 0.5 * float((weights @ hessians).log() - weights @ hessians.log())


def arc_length(sigma: float) -> tuple[float, float]:
    """Largest | |df/du| - 1 |, by differences along the curve, and the penalty formula in u, with
    H(u) = -d^2/du^2 ln p(u) + 1 / sigma^2 and p(u) = N(z; 0, 1) / |f'|; E over the prior."""
    z = grid()
    speed = speed_square(z).sqrt()
    steps = (decoder(z)[1:] - decoder(z)[:-1]).norm(dim=-1)
    lengths = STEP * (speed[1:] + speed[:-1]) / 2
    off = float((steps / lengths - 1).abs().max())
    log_density = -0.5 * z.square() - speed.log()
    for _ in range(2):  # d/du = 1/speed d/dz
        log_density = torch.gradient(log_density, spacing=STEP, edge_order=2)[0] / speed
    inner = z.abs() < EDGE - 1
    weights = (-0.5 * z[inner].square()).softmax(-1)
    return off, penalty(1 / sigma**2 - log_density[inner], weights)


def rows(
    generator: Generator, points: int, arrays: dict[str, np.ndarray] | None = None
) -> Iterator[Row]:
    """Gaps and penalties of one sample of points at every sigma; the same z and noise at all. The
    formula's H is that at the posteriors' means; `penalty_at_truth` has it at the z that were
    drawn, `penalty_of_prior` on average over the prior.

    `arrays`, if given, gets z [Z] with the Hessian there [S, Z], and the points' means and
    variances [S, P], for S = `sigma`.
    """
    z, noise = normal(generator, points), normal(generator, points, 2)
    even = torch.full((points,), 1 / points, dtype=torch.float64)
    everywhere = grid()
    prior = (-0.5 * everywhere.square()).softmax(-1)
    gaps, fits = [], []
    for sigma in SIGMAS:
        x = decoder(z) + sigma * noise
        evidence, mean, variance = log_evidence(x, sigma)
        free = fit(x, sigma, mean, variance, constant=False)
        one = fit(x, sigma, free.mean, free.variance, constant=True)
        fits.append(free)
        gaps.append(float((evidence - free.elbo).mean()))
        at = coordinates(sigma=sigma)
        yield Row("evidence_gap", gaps[-1], "nats", at=at)
        yield Row("least_evidence_gap", float((evidence - free.elbo).min()), "nats", at=at)
        direct = float((free.elbo - one.elbo).mean())
        formula = penalty(hessian(free.mean, sigma), even)
        yield Row("penalty", direct, "nats", at=at)
        yield Row("penalty_formula", formula, "nats", at=at)
        yield Row("penalty_at_truth", penalty(hessian(z, sigma), even), "nats", at=at)
        yield Row("penalty_ratio", direct / formula, "1", at=at)
        exact = penalty(hessian(everywhere, sigma), prior)
        yield Row("penalty_of_prior", exact, "nats", at=at)
        off, left = arc_length(sigma)
        yield Row("arc_length_error", off, "1", at=at)
        yield Row("penalty_of_arc_length", left, "nats", at=at)
        product = free.variance * hessian(free.mean, sigma)
        yield Row("variance_times_hessian", float(product.median()), "1", at=at)
    yield Row("evidence_gap_slope", slope(SIGMAS, gaps), "1")
    if arrays is not None:
        shown = grid(0.02)
        arrays |= {
            "sigma": np.array(SIGMAS),
            "z": shown.numpy(),
            "hessian": torch.stack([hessian(shown, sigma) for sigma in SIGMAS]).numpy(),
            "mean": torch.stack([found.mean for found in fits]).numpy(),
            "variance": torch.stack([found.variance for found in fits]).numpy(),
        }


def slope(x: tuple[float, ...], y: list[float]) -> float:
    """Least-squares slope of ln y against ln x."""
    return float(np.polynomial.polynomial.polyfit(np.log(x), np.log(y), 1)[1])
