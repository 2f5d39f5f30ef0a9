"""Reverse water-filling against bisection, and against a numerical minimum of the rate."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from paper_repro.metrics.water_filling import Filled, water_filling

SPECTRA = (
    torch.tensor([3.0, 1.0, 0.5, 0.1, 0.0], dtype=torch.float64),
    torch.ones(7, dtype=torch.float64),
    torch.arange(1, 65, dtype=torch.float64) ** -1.5,
)


def misses(fill: Callable[[Tensor, float], Filled]) -> bool:
    """Whether the level misses its equation, or rate and multiplier the minimum of
    R + multiplier * error over how the error is spread, which separates into single directions."""
    for values in SPECTRA:
        for share in (0.01, 0.3, 0.7, 0.99):
            error = share * float(values.sum())
            found = fill(values, error)
            if abs(float(values.clamp(max=found.level).sum()) - error) > 1e-12:
                return True
            spread = torch.logspace(-9, 0, 20001, dtype=torch.float64)[:, None] * values
            cost = torch.where(
                values > 0, -0.5 * (spread / values).log() + found.multiplier * spread, 0.0
            )
            least = float(cost.nan_to_num().min(0).values.sum())
            if abs(found.rate + found.multiplier * error - least) > 1e-3:
                return True
    return False


def test_level_rate_and_multiplier_solve_the_lagrangian():
    assert not misses(water_filling)


def test_wrong_fillings_are_caught():
    def equal_shares(values: Tensor, error: float) -> Filled:
        level = error / len(values)  # forgets that no direction takes more than its variance
        rate = 0.5 * (values / level).clamp(min=1).log().sum()
        return Filled(level, float(rate), 1 / (2 * level))

    def variance_one(values: Tensor, error: float) -> Filled:
        found = water_filling(values, error)
        return found._replace(multiplier=2 * found.multiplier)  # for exp(-lambda |.|^2 / 2)

    assert misses(equal_shares)
    assert misses(variance_one)


def test_the_multiplier_is_minus_the_slope_of_the_rate():
    values = SPECTRA[2]
    for error in (0.05, 0.4, 1.5):
        low, high = (water_filling(values, error * (1 + sign * 1e-5)) for sign in (-1, 1))
        slope = (low.rate - high.rate) / (2e-5 * error)
        assert slope == pytest.approx(water_filling(values, error).multiplier, rel=1e-4)


def test_an_error_of_the_total_variance_needs_no_information():
    for error in (7.0, 9.0):
        assert water_filling(SPECTRA[1], error) == Filled(math.inf, 0.0, 0.0)


def test_no_positive_error_and_negative_variances_are_refused():
    with pytest.raises(ValueError, match="not positive"):
        water_filling(SPECTRA[0], 0.0)
    with pytest.raises(ValueError, match="not negative"):
        water_filling(-SPECTRA[0], 1.0)
