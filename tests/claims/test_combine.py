"""Several units and counted seeds: p values are the named tests', and no gap turns a verdict."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from paper_repro.claims import combine
from paper_repro.claims.borders import (
    CONTRADICTED,
    INCONCLUSIVE,
    SUPPORTED,
    Border,
    sign_outcome,
    t_outcome,
    verdict,
)

ABOVE = Border.of({"above": 0})
MARGIN = Border.of({"superior": "higher", "margin": 0.5})
GAP = math.nan


def planned(units):
    """The table of `units`: name -> one value per seed."""
    rows = [(unit, seed, x, x) for unit, xs in units.items() for seed, x in enumerate(xs)]
    return pd.DataFrame(rows, columns=["unit", "seed", "low", "high"])


def alone(values, border=ABOVE):
    return t_outcome(values, values, border)


A, B, C = [1.0, 1.2, 1.1, 0.9], [0.3, 0.9, 0.6, 0.1], [-0.5, -0.9, -0.7, -0.4]


def test_units_are_averaged_within_seeds_before_seeds_are_compared():
    seeds = np.arange(4.0)  # the units' errors cancel within each seed
    table = planned({"a": 1 + seeds, "b": 1 - seeds + 0.001 * seeds})
    found = combine.mean(table, ABOVE)
    assert (found.n, verdict(found)) == (4, SUPPORTED)
    assert found.support == pytest.approx(alone(1 + 0.0005 * seeds).support)
    assert verdict(combine.all_units(table, ABOVE)) == INCONCLUSIVE


def test_all_is_supported_by_the_largest_p_and_refuted_by_the_smallest_times_the_units():
    found = combine.all_units(planned({"a": A, "b": B}), ABOVE)
    assert found.support == max(alone(A).support, alone(B).support) == alone(B).support
    assert (found.unit, found.estimate, found.low) == ("b", alone(B).estimate, alone(B).low)
    found = combine.all_units(planned({"a": A, "b": B, "c": C}), ABOVE)
    assert found.refute == pytest.approx(3 * alone(C).refute)
    assert (verdict(found), found.unit) == (CONTRADICTED, "c")


def test_at_least_is_the_partial_conjunction_of_benjamini_and_heller():
    units = {"a": A, "b": B, "c": C}
    support = sorted(alone(x).support for x in units.values())
    refute = sorted(alone(x).refute for x in units.values())
    for u in (1, 2, 3):
        found = combine.at_least(planned(units), ABOVE, u)
        assert found.support == pytest.approx(min(1, (3 - u + 1) * support[u - 1]))
        assert found.refute == pytest.approx(min(1, u * refute[3 - u]))
    assert combine.at_least(planned(units), ABOVE, 1).unit == "a"
    assert combine.at_least(planned(units), ABOVE, 2).unit == "b"
    assert combine.at_least(planned(units), ABOVE, 3).unit == "c"


def test_at_least_two_of_three_is_refuted_by_the_second_that_fails():
    one, two = planned({"a": A, "b": B, "c": C}), planned({"a": A, "b": C, "c": C})
    assert verdict(combine.at_least(one, ABOVE, 2)) != CONTRADICTED
    assert verdict(combine.at_least(two, ABOVE, 2)) == CONTRADICTED
    clearest = [-5.0, -5.2, -5.1, -5.3]
    assert alone(clearest).refute < alone(C).refute
    found = combine.at_least(planned({"a": A, "b": C, "c": clearest}), ABOVE, 2)
    assert (verdict(found), found.unit) == (CONTRADICTED, "b")


def test_more_units_than_are_planned_cannot_be_asked_for():
    found = combine.at_least(planned({"a": A, "b": A}), ABOVE, 3)
    assert (found.support, found.refute) == (1, 1)
    assert found.note == "2 of at least 3 units"


def test_other_than_the_named_number_of_units_decides_nothing():
    good = dict.fromkeys("abcd", A)
    for few_or_many in (3, 5):
        for found in (
            combine.mean(planned(good), ABOVE, of=few_or_many),
            combine.all_units(planned(good), ABOVE, of=few_or_many),
            combine.at_least(planned(good), ABOVE, 2, of=few_or_many),
            combine.count(planned(dict.fromkeys(good, A * 3)), {"above": 0}, of=few_or_many),
        ):
            assert (found.support, found.refute) == (1, 1)
            assert f"4 units, but the rule is for {few_or_many}" in found.note
    assert verdict(combine.all_units(planned(good), ABOVE, of=4)) == SUPPORTED


def test_three_of_forty_are_no_three_of_four():
    units = {f"good{i}": A for i in range(3)} | {f"bad{i:02}": C for i in range(37)}
    assert verdict(combine.at_least(planned(units), ABOVE, 3, of=4)) == INCONCLUSIVE
    assert verdict(combine.count(planned({"": A[:3] + C[:1] * 37}), {"above": 0})) == CONTRADICTED
    assert verdict(combine.count(planned({"": [1.0] * 8 + [-1.0] * 12}), {"above": 0})) == (
        INCONCLUSIVE
    )


def test_a_seed_that_a_unit_has_twice_is_an_error():
    table = pd.concat([planned({"a": A})] * 3)
    for judge in (
        lambda: combine.mean(table, ABOVE),
        lambda: combine.all_units(table, ABOVE),
        lambda: combine.count(table, {"above": 0}),
    ):
        with pytest.raises(ValueError, match="unit 'a' has seed 0 twice"):
            judge()


def test_a_gap_gives_its_unit_p_one_both_ways_and_is_named():
    table = planned({"a": A, "b": A[:3] + [GAP]})
    for found in (combine.mean(table, ABOVE), combine.all_units(table, ABOVE)):
        assert (found.support, found.refute) == (1, 1)
        assert found.note == "no value: b seed 3"
    assert verdict(combine.at_least(table, ABOVE, 1)) == SUPPORTED  # by the other unit
    assert combine.mean(table, ABOVE).n == 3
    many = planned({"a": [GAP] * 6})
    assert combine.mean(many, ABOVE).note.endswith("a seed 2, a seed 3 and 2 more")


def test_a_gap_leaves_a_unit_that_refutes_all_others():
    table = planned({"a": A[:3] + [GAP], "c": C})
    assert verdict(combine.all_units(table, ABOVE)) == CONTRADICTED


def test_counts_are_exact_binomial_tests_with_clopper_pearson_intervals():
    for hits, n, share in ((9, 10, 0.5), (1, 9, 0.5), (17, 20, 0.7), (0, 4, 0.3), (4, 4, 0.3)):
        table = planned({"": [1.0] * hits + [-1.0] * (n - hits)})
        found = combine.count(table, {"above": 0, "share": share})
        exact = stats.binomtest(hits, n, share)
        interval = exact.proportion_ci(0.95, "exact")
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
        upper = stats.binomtest(hits, n, share, alternative="greater").pvalue
        lower = stats.binomtest(hits, n, share, alternative="less").pvalue
        assert found.support == pytest.approx(min(1, 2 * upper))
        assert found.refute == pytest.approx(min(1, 2 * lower))
        assert (found.support < 0.05) == (interval.low > share)
        assert (found.estimate, found.n) == (hits / n, n)


def test_a_gap_counts_once_as_a_failure_and_once_as_a_success():
    found = combine.count(planned({"": [1.0] * 7 + [GAP]}), {"above": 0})
    assert (found.estimate, found.n) == (1.0, 7)
    assert found.support == pytest.approx(2 * stats.binom.sf(6, 8, 0.5))
    assert verdict(found) == INCONCLUSIVE
    assert verdict(combine.count(planned({"": [1.0] * 8}), {"above": 0})) == SUPPORTED
    found = combine.count(planned({"": [-1.0] * 7 + [GAP]}), {"above": 0})
    assert found.refute == pytest.approx(2 * stats.binom.cdf(1, 8, 0.5))
    assert found.note == "0 of 7 seeds, 1 open; no value: seed 7"


def test_a_diverged_run_fails_in_a_count_and_is_a_gap_elsewhere():
    table = planned({"": [-1.0] * 7 + [GAP]}).assign(diverged=[False] * 7 + [True])
    found = combine.count(table, {"above": 0})
    assert (found.note, found.n, verdict(found)) == ("0 of 8 seeds", 8, CONTRADICTED)
    assert combine.mean(table, ABOVE).refute == 1


def test_a_seed_is_a_success_where_every_unit_is():
    table = planned({"a": [1.0, 1.0, 1.0, -1.0], "b": [1.0, -1.0, GAP, GAP]})
    found = combine.count(table, {"above": 0})
    assert found.note.startswith("1 of 3 seeds, 1 open")  # seed 3 has failed, whatever b gives


@pytest.mark.parametrize(
    ("rule", "low", "high", "hit"),
    [
        ({"above": 3}, 3, 3, 0),
        ({"above": 3}, 4, 4, 1),
        ({"above": 3}, 2, 4, math.nan),
        ({"below": 3}, 3, 3, 0),
        ({"below": 3}, 2, 2, 1),
        ({"below": 3}, 2, math.inf, math.nan),
        ({"below": 3}, math.inf, math.inf, 0),
        ({"within": [3, 5]}, 3, 5, 1),
        ({"within": [3, 5]}, 2, 2, 0),
        ({"within": [3, 5]}, 6, 6, 0),
        ({"within": [3, 5]}, 2, 6, math.nan),
        ({"above": 3}, math.nan, math.nan, math.nan),
    ],
)
def test_regions_of_a_count(rule, low, high, hit):
    np.testing.assert_equal(combine.hits([low], [high], rule), [hit])


def test_the_sign_test_and_the_widths_are_passed_on():
    values = [0.6, 0.7, 0.9, 0.8, 0.65, 1.9]
    found = combine.mean(planned({"": values}), MARGIN, test="sign", margins=2)
    assert found == sign_outcome(values, values, MARGIN, margins=2)
    assert combine.all_units(planned({"a": values}), MARGIN, test="sign").support == 2 / 64
    wide = combine.mean(planned({"": values}), MARGIN, alpha=0.1)
    assert wide.high < combine.mean(planned({"": values}), MARGIN).high


def test_an_empty_plan_decides_nothing():
    table = planned({})
    for found in (
        combine.mean(table, ABOVE),
        combine.all_units(table, ABOVE),
        combine.at_least(table, ABOVE, 2),
        combine.count(table, {"above": 0}),
    ):
        assert (found.support, found.refute, found.n) == (1, 1, 0)


STATISTICS = {
    "mean": lambda table: combine.mean(table, MARGIN),
    "all": lambda table: combine.all_units(table, MARGIN),
    "at_least": lambda table: combine.at_least(table, MARGIN, 2),
    "count": lambda table: combine.count(table, {"above": 0}),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_no_missing_value_makes_a_verdict_more_decided(name):
    judge, rng, seen = STATISTICS[name], np.random.default_rng(8), set()
    for _ in range(50):
        means = rng.choice([-1.0, 0.2, 0.8], 3) if rng.random() < 0.5 else [rng.normal()] * 3
        table = planned({f"u{i}": rng.normal(m, 0.2, 6) for i, m in enumerate(means)})
        whole = judge(table)
        for share in (0.05, 0.3, 0.8):
            lost = table.copy()
            lost.loc[rng.random(len(table)) < share, ["low", "high"]] = GAP
            some = judge(lost)
            assert some.support >= whole.support
            assert some.refute >= whole.refute
            seen.add((verdict(whole), verdict(some)))
    assert {(SUPPORTED, INCONCLUSIVE), (CONTRADICTED, INCONCLUSIVE)} <= seen


@pytest.mark.parametrize("name", STATISTICS)
def test_the_order_of_rows_changes_nothing(name):
    rng = np.random.default_rng(9)
    table = planned({f"u{i}": rng.normal(0.5, 0.3, 5) for i in range(3)})
    shuffled = table.sample(frac=1, random_state=1)
    one, other = (STATISTICS[name](t) for t in (table, shuffled))
    assert (one.unit, one.n, one.note) == (other.unit, other.n, other.note)
    numbers = ("estimate", "low", "high", "support", "refute")
    assert [getattr(one, k) for k in numbers] == pytest.approx([getattr(other, k) for k in numbers])
