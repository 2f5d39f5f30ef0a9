"""Intervals over seeds cover, pairing pays, and what failed is not dropped."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from paper_repro.claims.statistics import t_interval


def test_t_interval_of_four_numbers_is_the_textbooks():
    found = t_interval([1.0, 2.0, 3.0, 4.0])
    half = 3.182446305284263 * math.sqrt(5 / 3) / 2  # t quantile 0.975 with 3 degrees of freedom
    assert found.mean == 2.5
    assert found.high - 2.5 == pytest.approx(half, rel=1e-12)
    assert found.half_width == pytest.approx(half, rel=1e-12)


def test_t_interval_of_three_seeds_covers_95_percent():
    draws = np.random.default_rng(0).normal(1.0, 2.0, (4000, 3))
    hits = sum(found.low < 1.0 < found.high for found in map(t_interval, draws))
    assert abs(hits / 4000 - 0.95) < 6 * math.sqrt(0.95 * 0.05 / 4000)


def test_one_value_has_no_interval():
    found = t_interval([3.0])
    assert (found.mean, found.n) == (3.0, 1)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [1.0, math.inf]])
def test_failed_runs_are_refused_not_dropped(values):
    with pytest.raises(ValueError, match=r"no values|finite"):
        t_interval(values)


def test_common_random_numbers_make_the_paired_interval_much_shorter():
    rng = np.random.default_rng(1)
    seed_effect = rng.normal(0, 5, 10)
    a, b = seed_effect + rng.normal(0, 0.1, 10), seed_effect + 0.5 + rng.normal(0, 0.1, 10)
    paired = t_interval(a - b)
    unpaired = stats.ttest_ind(a, b).confidence_interval()
    assert paired.high < 0
    assert unpaired.low < 0 < unpaired.high
    assert paired.half_width < (unpaired.high - unpaired.low) / 20
