"""The aggregate posterior's moments, and the Gaussian prior that they settle (Fyffe, 1912.10309).

q(z) is the mean over images of N(mu, diag(sigma^2)). Of all Gaussians of one form the prior that
charges it least has its moments, so that these are all a fitted prior needs. Sums are kept in
float64 and add up, so that a set may be read in parts of any size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor

from paper_repro.distributions.gaussian import LOG_2PI, DiagonalGaussian


@dataclass(frozen=True)
class Aggregate:
    """Sums over `count` images, in float64: of mu [D], mu mu^T [D, D], sigma^2 [D] and
    ln sigma^2 [D]. `+` joins parts of a set."""

    count: int
    means: Tensor
    squares: Tensor
    variances: Tensor
    log_variances: Tensor

    def __add__(self, other: Aggregate) -> Aggregate:
        return Aggregate(
            self.count + other.count,
            self.means + other.means,
            self.squares + other.squares,
            self.variances + other.variances,
            self.log_variances + other.log_variances,
        )

    @property
    def mean(self) -> Tensor:
        """E mu: [D]."""
        return self.means / self.count

    @property
    def second(self) -> Tensor:
        """E mu mu^T, about zero: [D, D]."""
        return self.squares / self.count

    @property
    def variance(self) -> Tensor:
        """E sigma^2: [D]."""
        return self.variances / self.count

    @property
    def log_variance(self) -> Tensor:
        """E ln sigma^2: [D]."""
        return self.log_variances / self.count


def aggregate(*posteriors: DiagonalGaussian) -> Aggregate:
    """The sums of q(z|x) of [N, D] images, given whole or in parts."""
    return reduce(add, map(_sums, posteriors))


def _sums(posterior: DiagonalGaussian) -> Aggregate:
    mean, log_variance = posterior.mean.double(), 2 * posterior.log_scale.double()
    return Aggregate(
        len(mean), mean.sum(0), mean.T @ mean, log_variance.exp().sum(0), log_variance.sum(0)
    )


@dataclass(frozen=True)
class NormalPrior:
    """N(mean, L L^T) with mean [D] and `whiten` = L^-1 [D, D], lower triangular."""

    mean: Tensor
    whiten: Tensor

    @property
    def log_determinant(self) -> Tensor:
        """ln det of the covariance, 0-d."""
        return -2 * self.whiten.diagonal().log().sum()

    def to(self, like: Tensor) -> NormalPrior:
        """The same prior on the device and in the precision of `like`."""
        return NormalPrior(self.mean.to(like), self.whiten.to(like))

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats: [..., D] -> [...]."""
        white = (z - self.mean) @ self.whiten.T
        constant = self.log_determinant + len(self.mean) * LOG_2PI
        return -0.5 * (white.square().sum(-1) + constant)

    def kl(self, posterior: DiagonalGaussian) -> Tensor:
        """KL(q(z|x) || p) in nats, exact: [*batch]."""
        white = (posterior.mean - self.mean) @ self.whiten.T
        log_variance = 2 * posterior.log_scale
        trace = (log_variance.exp() * self.whiten.square().sum(0)).sum(-1)
        return 0.5 * (
            white.square().sum(-1)
            + trace
            - len(self.mean)
            + self.log_determinant
            - log_variance.sum(-1)
        )

    def mean_kl(self, codes: Aggregate) -> Tensor:
        """The mean of `kl` over the images of `codes`, in nats, 0-d."""
        shift = torch.outer(codes.mean, self.mean)
        about = codes.second - shift - shift.T + torch.outer(self.mean, self.mean)
        spread = about + codes.variance.diag()
        trace = ((self.whiten @ spread) * self.whiten).sum()
        return 0.5 * (trace - len(self.mean) + self.log_determinant - codes.log_variance.sum())

    def sample(self, noise: Tensor) -> Tensor:
        """z of standard-normal noise, [n, D] both."""
        return self.mean + torch.linalg.solve_triangular(self.whiten, noise.T, upper=False).T


def diagonal(mean: Tensor, variance: Tensor) -> NormalPrior:
    """N(mean, diag(variance)), [D] both."""
    return NormalPrior(mean, variance.rsqrt().diag())


def full(mean: Tensor, covariance: Tensor) -> NormalPrior:
    """N(mean, covariance), [D] and [D, D]."""
    identity = torch.eye(len(mean), dtype=mean.dtype, device=mean.device)
    factor = cholesky(covariance)
    return NormalPrior(mean, torch.linalg.solve_triangular(factor, identity, upper=False))


def cholesky(matrix: Tensor) -> Tensor:
    """The lower factor of a positive definite matrix, NaN of any other: divergence is a result, and
    an exception would end the runs that train together with this one."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    return torch.where(info == 0, factor, torch.full_like(factor, math.nan))


def standard(like: Tensor) -> NormalPrior:
    """N(0, I) of the dimension, precision and device of `like` [D]."""
    return diagonal(torch.zeros_like(like), torch.ones_like(like))


def best_diagonal(codes: Aggregate) -> NormalPrior:
    """The diagonal Gaussian with the least mean KL: mean and variances of q(z)."""
    variance = codes.second.diagonal() - codes.mean.square() + codes.variance
    return diagonal(codes.mean, variance)
