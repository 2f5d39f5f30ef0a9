"""A check by itself: interval, both p, verdict and words say the same, and are the textbook's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from paper_repro.claims.borders import (
    CONTRADICTED,
    INCONCLUSIVE,
    NOT_RUN,
    SUPPORTED,
    Border,
    Outcome,
    sign_outcome,
    sign_tests,
    t_outcome,
    t_tests,
    verdict,
)
from paper_repro.claims.words import words

HIGHER = Border.of({"superior": "higher", "margin": 0.5})
EQUAL = Border.of({"equivalent": 0, "margin": 0.5})
RULES = (
    {"superior": "higher", "margin": 0.5},
    {"superior": "lower", "margin": 0.5},
    {"above": 0.3},
    {"below": -0.3},
    {"not_worse": "higher", "margin": 0.4},
    {"not_worse": "lower", "margin": 0.4},
    {"equivalent": 0.1, "margin": 0.6},
)


def judged(values, rule, **options):
    border = Border.of(rule)
    outcome = t_outcome(values, values, border, **options)
    return outcome, verdict(outcome), words(outcome, border, verdict(outcome))


def test_the_interval_of_four_numbers_is_the_textbooks():
    found, _, _ = judged([1.0, 2.0, 3.0, 4.0], {"above": 0})
    half = 3.182446305284263 * math.sqrt(5 / 3) / 2  # t quantile 0.975 with 3 degrees of freedom
    assert (found.estimate, found.n) == (2.5, 4)
    assert found.high - 2.5 == pytest.approx(half, rel=1e-12)
    assert 2.5 - found.low == pytest.approx(half, rel=1e-12)


def test_p_of_a_stated_number_is_the_two_sided_t_test():
    values = np.random.default_rng(2).normal(0.4, 1.0, 8)
    expected = stats.ttest_1samp(values, 0.1).pvalue
    assert judged(values, {"above": 0.1})[0].support == pytest.approx(expected, rel=1e-9)
    assert judged(values, {"below": 0.1})[0].refute == pytest.approx(expected, rel=1e-9)


def test_equivalence_is_the_larger_of_two_one_sided_tests():
    values = np.random.default_rng(3).normal(0.1, 0.3, 6)
    expected = 2 * max(
        stats.ttest_1samp(values, -0.5, alternative="greater").pvalue,
        stats.ttest_1samp(values, 0.5, alternative="less").pvalue,
    )
    assert judged(values, {"equivalent": 0, "margin": 0.5})[0].support == pytest.approx(
        expected, rel=1e-9
    )


def by_interval(found: Outcome, rule) -> str:
    """The table of rules, by the interval alone."""
    low, high, estimate, margin = found.low, found.high, found.estimate, rule.get("margin", 0)
    if rule.get("superior") == "lower" or rule.get("not_worse") == "lower" or "below" in rule:
        low, high, estimate = -high, -low, -estimate
    if "superior" in rule:
        yes, no = low > 0 and estimate >= margin, high < margin
    elif "not_worse" in rule:
        yes, no = low > -margin, high < -margin
    elif "equivalent" in rule:
        ends = rule["equivalent"] - margin, rule["equivalent"] + margin
        yes, no = low > ends[0] and high < ends[1], high < ends[0] or low > ends[1]
    else:
        number = rule["above"] if "above" in rule else -rule["below"]
        yes, no = low > number, high < number
    return SUPPORTED if yes else CONTRADICTED if no else INCONCLUSIVE


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_p_is_below_alpha_exactly_where_the_interval_clears_the_border(rule, alpha):
    rng, seen = np.random.default_rng(4), set()
    for _ in range(300):
        values = rng.normal(rng.uniform(-1.5, 1.5), 0.4, rng.integers(2, 8))
        found, _, _ = judged(values, rule, alpha=alpha)
        assert verdict(found, alpha) == by_interval(found, rule)
        seen.add(verdict(found, alpha))
    assert seen == {SUPPORTED, CONTRADICTED, INCONCLUSIVE}


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_claim_of_the_opposite_on_opposite_values_has_the_opposite_numbers(rule):
    other = {"higher": "lower", "lower": "higher", "above": "below", "below": "above"}
    mirrored = {
        other.get(key, key): -value if key in {"above", "below", "equivalent"} else value
        for key, value in rule.items()
    }
    for key in ("superior", "not_worse"):
        if key in rule:
            mirrored[key] = other[rule[key]]
    values = np.random.default_rng(5).normal(0.3, 0.5, 6)
    one, another = judged(values, rule)[0], judged(-values, mirrored)[0]
    assert (one.support, one.refute) == pytest.approx((another.support, another.refute))
    assert (one.low, one.high) == pytest.approx((-another.high, -another.low))


@pytest.mark.parametrize(
    ("values", "rule", "expected", "said"),
    [
        ([0.9, 1.0, 1.1], RULES[0], SUPPORTED, "a gain, estimated at 0.5 or more"),
        ([0.1, 0.12, 0.11], RULES[0], CONTRADICTED, "a gain, but smaller than 0.5"),
        ([-0.01, 0.01, 0.02], RULES[0], CONTRADICTED, "no gain beyond 0.5"),
        ([-0.9, -1.0, -1.1], RULES[0], CONTRADICTED, "reversed"),
        ([-0.9, -1.0, -1.1], RULES[1], SUPPORTED, "a gain, estimated at 0.5 or more"),
        ([-0.1, -0.12, -0.11], RULES[1], CONTRADICTED, "a gain, but smaller than 0.5"),
        ([0.9, 1.0, 1.1], RULES[1], CONTRADICTED, "reversed"),
        ([0.4, 0.5, 0.58], RULES[0], INCONCLUSIVE, "a gain, but not surely one beyond 0.5"),
        ([-3.0, 1.0, 4.0], RULES[0], INCONCLUSIVE, "a gain beyond 0.5 is open"),
        ([1.0, 1.0, 1.0], RULES[0], INCONCLUSIVE, "identical"),
        ([0.1, 0.2, 0.15], RULES[2], CONTRADICTED, "below 0.3"),
        ([0.1, 0.9, 0.15], RULES[2], INCONCLUSIVE, "not surely above 0.3"),
        ([-0.1, -0.2, -0.15], RULES[4], SUPPORTED, "not worse by more than 0.4"),
        ([-0.8, -0.9, -0.85], RULES[4], CONTRADICTED, "worse by more than 0.4"),
        ([-0.8, 0.9, -0.85], RULES[4], INCONCLUSIVE, "perhaps worse by more than 0.4"),
        ([0.1, 0.2, 0.15], RULES[6], SUPPORTED, "within 0.6 of 0.1"),
        ([1.1, 1.2, 1.15], RULES[6], CONTRADICTED, "more than 0.6 above 0.1"),
        ([-1.1, -1.2, -1.15], RULES[6], CONTRADICTED, "more than 0.6 below 0.1"),
    ],
)
def test_verdicts_in_words(values, rule, expected, said):
    assert judged(values, rule)[1:] == (expected, said)


def test_words_of_a_verdict_that_many_claims_withhold_say_what_it_is_alone():
    outcome = judged([0.4, 0.5, 0.45], {"above": 0.3})[0]
    assert words(outcome, Border.of({"above": 0.3}), INCONCLUSIVE) == "above 0.3, judged alone"
    assert words(outcome, Border.of({"above": 0.3}), NOT_RUN) == ""


@pytest.mark.parametrize("values", [[0.0] * 3, [0.9] * 4, [100.1 - 100.0, 7.1 - 7.0, 0.1]])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_values_that_are_equal_up_to_rounding_decide_nothing(values, rule):
    for test in (t_outcome, sign_outcome):
        found = test(values, values, Border.of(rule))
        assert (found.support, found.refute) == (1.0, 1.0)
        assert found.note.startswith("identical")


def test_values_that_differ_little_but_by_more_than_rounding_decide():
    assert judged([0.9, 0.90001, 0.90002], {"above": 0.3})[1] == SUPPORTED


def test_a_spread_below_a_millionth_of_the_margin_is_none():
    # What is left of two equal float64 numbers: its sign is the rounding's.
    assert judged([1e-15, 2e-15, 1.5e-15], {"superior": "higher", "margin": 0.1})[2] == "identical"


@pytest.mark.parametrize("values", [[], [3.0]])
def test_fewer_than_two_seeds_decide_nothing(values):
    found, said, _ = judged(values, {"above": 0})
    assert (found.support, found.refute, said, found.n) == (1, 1, INCONCLUSIVE, len(values))


def test_a_missing_value_is_refused_and_not_dropped():
    for low, high in (([1, math.nan], [1, 2]), ([1, 2], [1, 2, 3]), ([2, 2], [1, 3])):
        with pytest.raises(ValueError, match="every seed"):
            t_outcome(low, high, HIGHER)


def test_an_infinite_value_decides_nothing():
    found, said, _ = judged([math.inf, 2.0, 3.0, 2.5], {"above": 0})
    assert (said, found.note) == (INCONCLUSIVE, "an infinite value")


def test_bounds_support_from_the_unfavourable_and_refute_from_the_favourable_one():
    noise = np.array([0.0, 0.02, -0.02])

    def between(low, high, border):
        return verdict(t_outcome(low + noise, high + noise, border))

    assert between(0.6, 0.9, HIGHER) == SUPPORTED
    assert between(0.4, 0.9, HIGHER) == INCONCLUSIVE  # the margin may not be reached
    assert between(0.1, 0.4, HIGHER) == CONTRADICTED
    assert between(0.1, 0.6, HIGHER) == INCONCLUSIVE
    assert between(-0.4, 0.4, EQUAL) == SUPPORTED
    assert between(-0.4, 0.6, EQUAL) == INCONCLUSIVE
    assert between(0.6, 0.9, EQUAL) == CONTRADICTED
    lower = Border.of({"superior": "lower", "margin": 0.5})
    assert between(-0.9, -0.6, lower) == SUPPORTED
    assert between(-0.9, -0.4, lower) == INCONCLUSIVE


def test_one_infinite_bound_leaves_the_other_direction():
    low = np.array([1.0, 1.1, 1.2])
    found = t_outcome(low, np.full(3, math.inf), HIGHER)
    assert (verdict(found), found.high) == (SUPPORTED, math.inf)
    assert t_outcome(np.full(3, -math.inf), low, HIGHER).support == 1


def test_wider_margins_support_equivalence_and_refute_superiority():
    values = [0.30, 0.35, 0.40]
    assert verdict(t_outcome(values, values, EQUAL)) == SUPPORTED
    assert verdict(t_outcome(values, values, EQUAL, margins=0.5)) == INCONCLUSIVE
    assert verdict(t_outcome(values, values, HIGHER)) == CONTRADICTED
    assert verdict(t_outcome(values, values, HIGHER, margins=0.5)) == SUPPORTED


def test_the_sign_test_is_the_binomials_and_agrees_with_its_interval():
    rng, border, seen = np.random.default_rng(6), Border.of({"above": 0.2}), set()
    for _ in range(300):
        values = rng.normal(rng.uniform(-1, 1.5), 0.7, rng.integers(4, 12))
        found = sign_outcome(values, values, border)
        expected = stats.binomtest(int((values > 0.2).sum()), len(values), alternative="greater")
        assert found.support == pytest.approx(min(1, 2 * expected.pvalue))
        assert verdict(found) == by_interval(found, {"above": 0.2})
        seen.add(verdict(found))
    assert seen == {SUPPORTED, CONTRADICTED, INCONCLUSIVE}


def test_the_sign_test_decides_from_six_seeds_on():
    five, six = [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert verdict(sign_outcome(five, five, HIGHER)) == INCONCLUSIVE
    assert verdict(sign_outcome(six, six, HIGHER)) == SUPPORTED


@pytest.mark.parametrize(("many", "one"), [(t_tests, t_outcome), (sign_tests, sign_outcome)])
def test_many_samples_at_once_are_judged_as_one_by_one(many, one):
    values = np.random.default_rng(7).normal(0.3, 0.5, (20, 7))
    for rule in RULES:
        found = np.transpose(many(values, values + 0.1, Border.of(rule)))
        for row, x in zip(found, values, strict=True):
            single = one(x, x + 0.1, Border.of(rule))
            numbers = (single.estimate, single.low, single.high, single.support, single.refute)
            assert row == pytest.approx(numbers, rel=1e-12)


@pytest.mark.parametrize("rule", [{"within": [0, 1]}, {"superior": "higher", "margin": -1}])
def test_what_is_no_rule_of_a_finding_is_refused(rule):
    with pytest.raises(ValueError, match=r"no rule|at least 0"):
        Border.of(rule)
