"""Power: the noncentral t distribution where it is hard, the stated digits, and counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from paper_repro.claims.borders import Border, Outcome, t_outcome
from paper_repro.claims.power import (
    count_power,
    count_seeds,
    count_seeds_needed,
    detectable,
    distance,
    seeds_needed,
    spread,
    t_power,
)


@pytest.mark.parametrize(
    ("n", "m", "effect"),
    [(3, 1, 3.3), (3, 9, 9.8), (5, 1, 1.7), (5, 9, 3.1), (10, 1, 1.0), (10, 9, 1.5)],
)
def test_detectable_effects_are_the_stated_ones(n, m, effect):
    assert round(detectable(n, 0.05 / m), 1) == effect


@pytest.mark.parametrize("n", [3, 5, 10, 50])
@pytest.mark.parametrize("effect", [0.0, 0.5, 2.0])
def test_power_is_the_noncentral_t_distributions(n, effect):
    reach = stats.t.isf(0.025, n - 1)
    expected = stats.nct.sf(reach, n - 1, math.sqrt(n) * effect)
    assert t_power(effect, n) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("effect", [10.0, 1000.0, 3000.0])
def test_power_of_two_seeds_far_out_is_the_average_over_the_mean(effect):
    """The same probability as an integral over the other variable, at an alpha where the
    transition is narrow."""
    alpha, n = 0.05 / 200, 2
    reach, shift = stats.t.isf(alpha / 2, 1), math.sqrt(n) * effect

    def integrand(z: float) -> float:
        return float(stats.norm.pdf(z) * stats.chi2.cdf((max(z + shift, 0) / reach) ** 2, 1))

    expected = integrate.quad(integrand, -9, 9, limit=500, epsabs=1e-12)[0]
    assert t_power(effect, n, alpha) == pytest.approx(expected, abs=1e-9)


def test_power_grows_with_effect_and_seeds_from_half_of_alpha_to_one():
    for alpha in (0.05, 0.05 / 18):
        grid = np.array(
            [[t_power(d, n, alpha) for d in (0.1, 0.7, 3, 40)] for n in (3, 8, 60, 4000)]
        )
        assert (np.diff(grid, axis=0) >= -1e-12).all()
        assert (np.diff(grid, axis=1) >= -1e-12).all()
        assert t_power(0.0, 7, alpha) == pytest.approx(alpha / 2)
        assert grid[-1, -1] == pytest.approx(1)


@pytest.mark.parametrize("effect", [0.1, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 9])
def test_seeds_needed_are_the_fewest(effect, alpha):
    n = seeds_needed(-effect, alpha)
    assert t_power(effect, n, alpha) >= 0.8 > t_power(effect, n - 1, alpha)
    assert detectable(n, alpha) <= effect < detectable(n - 1, alpha)


@pytest.mark.parametrize("effect", [0.0, 0.001, math.nan])
def test_no_number_of_seeds_finds_next_to_nothing(effect):
    assert seeds_needed(effect) is None


def test_one_seed_detects_nothing():
    assert detectable(1) == math.inf
    assert t_power(100.0, 1) == 0


def test_spread_is_the_standard_deviation_of_the_values():
    values = np.random.default_rng(0).normal(2, 0.7, 5)
    found = t_outcome(values, values, Border.of({"above": 0}), alpha=0.1)
    assert spread(found, 0.1) == pytest.approx(values.std(ddof=1))
    assert math.isnan(spread(Outcome(1.0, math.nan, math.nan, 1, 1, 1)))


@pytest.mark.parametrize(
    ("rule", "estimate", "away"),
    [
        ({"superior": "higher", "margin": 0.5}, 0.8, 0.8),  # to 0, which supports
        ({"superior": "higher", "margin": 0.5}, 0.2, 0.3),  # to the margin, which refutes
        ({"superior": "lower", "margin": 0.5}, -0.8, 0.8),
        ({"superior": "lower", "margin": 0.5}, 0.1, 0.6),
        ({"above": 2}, 1.5, 0.5),
        ({"below": 2}, 1.5, 0.5),
        ({"not_worse": "higher", "margin": 0.3}, -0.1, 0.2),
        ({"not_worse": "lower", "margin": 0.3}, 0.4, 0.1),
        ({"equivalent": 1, "margin": 0.3}, 1.1, 0.2),
        ({"equivalent": 1, "margin": 0.3}, 0.5, 0.2),
        ({"equivalent": 1, "margin": 0.3}, 1.5, 0.2),
    ],
)
def test_distance_is_to_the_border_that_the_estimate_must_clear(rule, estimate, away):
    outcome = Outcome(estimate, estimate - 1, estimate + 1, 1, 1, 3)
    assert distance(outcome, Border.of(rule)) == pytest.approx(away)


@pytest.mark.parametrize(
    ("share", "m", "n"), [(0.5, 1, 6), (0.5, 9, 9), (0.5, 18, 10), (0.8, 1, 17)]
)
def test_fewest_seeds_of_which_all_support_a_count(share, m, n):
    assert count_seeds(share, m) == n
    assert 2 * share**n < 0.05 / m <= 2 * share ** (n - 1)


def test_a_share_of_all_cannot_be_exceeded():
    with pytest.raises(ValueError, match="above 1"):
        count_seeds(1)


def test_power_of_a_count_is_the_share_of_counts_that_support():
    assert count_power(6, 0.9) == pytest.approx(0.9**6)
    assert count_power(5, 1.0) == 0
    draws = np.random.default_rng(1).binomial(20, 0.8, 20_000)
    p = np.array([stats.binomtest(k, 20, alternative="greater").pvalue for k in range(21)])
    rate = (2 * p[draws] < 0.05).mean()
    assert abs(count_power(20, 0.8) - rate) < 6 * math.sqrt(rate * (1 - rate) / 20_000)
    n = count_seeds_needed(0.8)
    assert count_power(n, 0.8) >= 0.8 > max(count_power(i, 0.8) for i in range(2, n))
    assert count_seeds_needed(0.5) is None
