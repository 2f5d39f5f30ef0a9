"""The MMD statistic against a double loop, its null distribution and known departures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from torch import Tensor

from paper_repro.metrics.mmd import SCALES, mmd


def normal(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def double_loop(z: Tensor, prior: Tensor) -> float:
    """The definition, pair by pair."""
    dims = z.shape[1]

    def k(a: Tensor, b: Tensor) -> float:
        d = float((a - b).square().sum())
        return sum(2 * dims * s / (2 * dims * s + d) for s in SCALES)

    def within(a: Tensor) -> float:
        pairs = [(i, j) for i in range(len(a)) for j in range(len(a)) if i != j]
        return sum(k(a[i], a[j]) for i, j in pairs) / len(pairs)

    cross = sum(k(a, b) for a in z for b in prior) / (len(z) * len(prior))
    return within(z) + within(prior) - 2 * cross


@pytest.mark.parametrize(("n", "m", "block"), [(9, 9, 1000), (9, 6, 4), (6, 9, 1)])
def test_the_statistic_is_its_double_loop_whatever_the_blocks(n: int, m: int, block: int) -> None:
    z, prior = 0.7 * normal(0, n, 3) + 0.4, normal(1, m, 3)
    assert mmd(z, prior, block=block) == pytest.approx(double_loop(z, prior), rel=1e-9)


def test_under_the_prior_the_mean_is_zero() -> None:
    values = torch.tensor([mmd(normal(i, 50, 4), normal(1000 + i, 50, 4)) for i in range(400)])
    assert abs(float(values.mean())) < 6 * float(values.std()) / 400**0.5
    assert float(values.min()) < 0  # unbiased, so not clipped at zero


def test_its_expectation_is_the_population_value() -> None:
    """q a point at c, prior a point at 0, 1-D: k(c, c) + k(0, 0) - 2 k(c, 0)."""
    c = 1.7
    kernel = sum(2 * s / (2 * s + c * c) for s in SCALES)
    found = mmd(torch.full((5, 1), c), torch.zeros(4, 1))
    assert found == pytest.approx(2 * len(SCALES) - 2 * kernel, rel=1e-6)


def expected_kernel(dims: int, *terms: tuple[float, int]) -> float:
    """E k at |x - y|^2 = sum of v * chi^2 with the given (v, degrees of freedom): quadrature."""
    points, weights = np.polynomial.legendre.leggauss(200)
    distance, weight = np.zeros(1), np.ones(1)
    for v, freedom in terms:
        quantiles = v * chi2.ppf((points + 1) / 2, freedom)
        distance = (distance[:, None] + quantiles).ravel()
        weight = (weight[:, None] * weights / 2).ravel()
    return sum(float((2 * dims * s / (2 * dims * s + distance)) @ weight) for s in SCALES)


def scaled(scale: float) -> float:
    """Squared MMD of N(0, scale^2 I) and N(0, I) in 64 dimensions."""
    within = expected_kernel(64, (2 * scale**2, 64)) + expected_kernel(64, (2, 64))
    return within - 2 * expected_kernel(64, (1 + scale**2, 64))


def collapsed(dims: int) -> float:
    """The same where `dims` of the 64 are a point at zero and the rest N(0, 1)."""
    within = expected_kernel(64, (2, 64 - dims)) + expected_kernel(64, (2, 64))
    return within - 2 * expected_kernel(64, (2, 64 - dims), (1, dims))


CALIBRATION = {  # population value, and one draw of 1000 codes from a reference calculation
    "16 of 64 collapsed": (collapsed(16), 0.025, [0.0] * 16 + [1.0] * 48),
    "32 of 64 collapsed": (collapsed(32), 0.141, [0.0] * 32 + [1.0] * 32),
    "all at 0.8": (scaled(0.8), 0.055, [0.8] * 64),
    "all at 1.2": (scaled(1.2), 0.035, [1.2] * 64),
    "the prior": (0.0, 1e-4, [1.0] * 64),
}


@pytest.mark.parametrize("case", CALIBRATION)
def test_calibration_at_64_dimensions_and_1000_draws(case: str) -> None:
    population, reference, scales = CALIBRATION[case]
    spread = torch.tensor(scales, dtype=torch.float64)
    values = torch.tensor(
        [mmd(spread * normal(i, 1000, 64), normal(500 + i, 1000, 64)) for i in range(8)]
    )
    sd = float(values.std())
    assert abs(float(values.mean()) - population) < 6 * sd / 8**0.5
    assert abs(reference - population) < 3 * sd
    if case == "the prior":
        assert 1e-4 < sd < 9e-4  # 3e-4 in the reference


@pytest.mark.parametrize(
    ("z", "prior", "named"),
    [
        (torch.zeros(1, 2), torch.zeros(5, 2), "z: need"),
        (torch.zeros(5, 2), torch.zeros(5), "prior: need"),
        (torch.zeros(5, 2), torch.zeros(5, 3), "prior: 3 dimensions"),
        (torch.full((5, 2), math.nan), torch.zeros(5, 2), "z: 10 of 10"),
    ],
)
def test_bad_input_is_refused_by_name(z: Tensor, prior: Tensor, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        mmd(z, prior)
