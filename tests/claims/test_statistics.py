"""Intervals cover, p values agree with intervals, pairing pays, corrections are the textbook's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from paper_repro.claims.statistics import (
    ALPHA,
    boundary_p,
    holm,
    loglog_slope,
    t_interval,
    tost,
)


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


def test_one_value_has_no_interval_and_no_p():
    found = t_interval([3.0])
    assert math.isnan(found.low)
    assert math.isnan(boundary_p(found, -math.inf, 0.0))
    assert math.isnan(tost(found, 0.0, 9.0))


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


def test_boundary_p_of_a_one_sided_region_is_the_two_sided_t_test():
    values = np.random.default_rng(2).normal(0.4, 1.0, 8)
    expected = stats.ttest_1samp(values, 0.0).pvalue
    assert boundary_p(t_interval(values), -math.inf, 0.0) == pytest.approx(expected, rel=1e-9)
    assert boundary_p(t_interval(values), 0.0, math.inf) == pytest.approx(expected, rel=1e-9)


def test_tost_is_the_larger_of_two_one_sided_tests():
    values = np.random.default_rng(3).normal(0.1, 0.3, 6)
    expected = max(
        stats.ttest_1samp(values, -0.5, alternative="greater").pvalue,
        stats.ttest_1samp(values, 0.5, alternative="less").pvalue,
    )
    assert tost(t_interval(values), -0.5, 0.5) == pytest.approx(expected, rel=1e-9)


def test_p_is_below_alpha_exactly_when_the_interval_clears_the_border():
    rng = np.random.default_rng(4)
    decided = 0
    for _ in range(500):
        found = t_interval(rng.normal(rng.uniform(-1, 1), 0.5, rng.integers(2, 8)))
        inside = found.low > -0.5 and found.high < 0.5
        outside = found.high < -0.5 or found.low > 0.5
        assert (boundary_p(found, -0.5, 0.5) < ALPHA) == (inside or outside)
        decided += inside or outside
    assert 20 < decided < 480


def test_tost_calls_a_difference_on_the_margin_equivalent_rarely():
    draws = np.random.default_rng(5).normal(0.5, 0.2, (4000, 5))
    rate = np.mean([tost(t_interval(x), -0.5, 0.5) < 0.05 for x in draws])
    assert rate < 0.05 + 6 * math.sqrt(0.05 * 0.95 / 4000)


def test_seeds_that_agree_exactly_decide_by_their_value():
    found = t_interval([2.0, 2.0, 2.0])
    assert boundary_p(found, -math.inf, 3.0) == 0.0
    assert boundary_p(found, -math.inf, 1.0) == 0.0
    assert boundary_p(found, -math.inf, 2.0) == 1.0  # on the border itself nothing is decided


def test_holm_steps_down_and_leaves_nan_out():
    adjusted = holm([0.01, 0.04, math.nan, 0.03, 0.005])
    assert adjusted[:2] == pytest.approx([0.03, 0.06])
    assert math.isnan(adjusted[2])
    assert adjusted[3:] == pytest.approx([0.06, 0.02])


def test_holm_keeps_the_family_error_where_plain_tests_do_not():
    p = np.random.default_rng(6).uniform(size=(2000, 10))  # ten true null hypotheses
    plain = (p < ALPHA).any(1).mean()
    corrected = np.mean([min(holm(list(row))) < ALPHA for row in p])
    assert plain > 0.3
    assert corrected < ALPHA + 6 * math.sqrt(ALPHA * (1 - ALPHA) / 2000)


def test_loglog_slope_finds_the_exponent_and_refuses_what_has_none():
    k = np.array([1.0, 10.0, 100.0])
    assert loglog_slope(k, 3 * k**-0.5) == pytest.approx(-0.5, rel=1e-12)
    with pytest.raises(ValueError, match="positive"):
        loglog_slope(k, [1.0, 0.0, 1.0])
    with pytest.raises(ValueError, match="two different"):
        loglog_slope([2.0, 2.0], [1.0, 3.0])
