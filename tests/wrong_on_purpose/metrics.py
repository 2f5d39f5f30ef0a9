"""Mistakes in metrics: what the tests of `tests/metrics` check must tell them from the right."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from paper_repro.distributions.gaussian import DiagonalGaussian, standard_normal_log_prob
from paper_repro.metrics import marginal_kl
from paper_repro.metrics.auroc import auroc
from paper_repro.metrics.bounds import bits_per_dim
from paper_repro.metrics.mmd import SCALES, mmd
from paper_repro.metrics.units import active_units
from tests.wrong_on_purpose.case import Case


def _normal(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    squares = (a[:, None] - b).square().sum(-1)
    return torch.stack([(w := 2 * a.shape[1] * s) / (w + squares) for s in SCALES]).sum(0)


def _mmd_with_diagonal(z: Tensor, prior: Tensor) -> float:
    within = _kernel(z, z).mean() + _kernel(prior, prior).mean()
    return float(within - 2 * _kernel(z, prior).mean())


def _mmd_cross_term_once(z: Tensor, prior: Tensor) -> float:
    return mmd(z, prior) + float(_kernel(z, prior).mean())


def _null_is_off_zero(statistic: Callable[[Tensor, Tensor], float]) -> bool:
    """The mean under the prior is more than six standard errors from zero."""
    values = torch.tensor(
        [statistic(_normal(i, 50, 4), _normal(500 + i, 50, 4)) for i in range(100)]
    )
    return abs(float(values.mean())) > 6 * float(values.std()) / 100**0.5


def _without_own_encoder(
    z: Tensor,
    log_encoders: marginal_kl.LogDensity,
    log_prior: marginal_kl.LogDensity,
    encoders: int,
) -> Tensor:
    own = torch.eye(encoders, dtype=torch.bool)
    pairs = log_encoders(z).masked_fill(own, -math.inf)
    return pairs.logsumexp(1) - math.log(encoders - 1) - log_prior(z)


def _high(
    z: Tensor,
    log_encoders: marginal_kl.LogDensity,
    log_prior: marginal_kl.LogDensity,
    encoders: int,
) -> Tensor:
    return marginal_kl.high(z, log_encoders, log_prior, encoders=encoders)


def _falls_below_the_truth(high: Callable[..., Tensor]) -> bool:
    """q(z) = N(0, I), truth zero: the high side lies six standard errors below it."""
    scale, images = 0.3, 500
    mean = (1 - scale**2) ** 0.5 * _normal(0, images, 6)
    q = DiagonalGaussian(mean, torch.full_like(mean, math.log(scale)))
    z = q.rsample({"z": _normal(1, 1, images, 6)})[0]
    log_encoders = marginal_kl.gaussian_encoders(q.mean, q.log_scale)
    values = high(z, log_encoders, standard_normal_log_prob, images)
    return float(values.mean()) < -6 * float(values.std()) / images**0.5


def _uniform_levels_do_not_cost_eight_bits(bits: Callable[[float, int], float]) -> bool:
    return abs(bits(0.0, 10) - 8) > 1e-9


def _offset_is_activity(active: Callable[[Tensor], Tensor]) -> bool:
    """A unit whose posterior mean is 7 for every image carries nothing."""
    return bool(active(torch.full((10, 1), 7.0))[0])


def _ties_are_not_chance(area: Callable[[Tensor, Tensor], float]) -> bool:
    return area(torch.ones(3), torch.ones(4)) != 0.5


CASES = [
    Case("MMD with the diagonal kept", mmd, _mmd_with_diagonal, _null_is_off_zero),
    Case("MMD with the cross term once", mmd, _mmd_cross_term_once, _null_is_off_zero),
    Case(
        "marginal KL from other images' encoders as upper side",
        _high,
        _without_own_encoder,
        _falls_below_the_truth,
    ),
    Case(
        "bits per dimension without the bin width",
        bits_per_dim,
        lambda bound, dims: bits_per_dim(bound, dims, bin_width=1),
        _uniform_levels_do_not_cost_eight_bits,
    ),
    Case(
        "active units by the second moment",
        active_units,
        lambda means: means.square().mean(0) > 0.01,
        _offset_is_activity,
    ),
    Case(
        "AUROC with ties as losses",
        auroc,
        lambda low, high: float((high[:, None] > low).double().mean()),
        _ties_are_not_chance,
    ),
]
