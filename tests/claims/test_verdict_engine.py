"""Verdicts follow the data: what is wrong is caught, and a claim shows what decides it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paper_repro import registry
from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.verdicts import CLAIM_COLUMNS
from paper_repro.errors import UserError
from paper_repro.rows import Row
from tests.results.made_runs import (
    ALONE,
    COUNT,
    FACT,
    MEAN,
    SELECT,
    cell,
    claims,
    judged,
    noise,
    results,
)

WHY = {"why": "it is seen"}


def verdicts(tmp_path, values, *checks, seeds=4, **options):
    """Rows of claims.csv by name; ``values[estimator](seed)`` is the KL of a run, None missing."""
    cells = [cell("fit", estimator=name, seeds=seeds) for name in values]

    def make(one, seed):
        value = values[one.params["estimator"]](seed)
        return value if value in (None, "diverged") else [Row("kl", value, "nats")]

    return judged(results(tmp_path, cells, make), claims(tmp_path / "study", *checks, **options))


def better(seed):
    return 0.01 + 0.001 * seed


def worse(seed):
    return 1.0 + 0.1 * seed


RULES = {
    "number": {"below": -0.5},
    "gain": {"superior": "lower", "margin": 0.5},
    "no_worse": {"not_worse": "lower", "margin": 0.2},
    "equal": {"equivalent": -1.1, "margin": 0.6},
}


@pytest.mark.parametrize("rule", RULES)
def test_swapped_estimators_are_contradicted(tmp_path, rule):
    check = {**MEAN, "rule": RULES[rule]} | (WHY if "margin" in RULES[rule] else {})
    right = verdicts(tmp_path / "right", {"path": better, "total": worse}, check)
    swapped = verdicts(tmp_path / "swapped", {"path": worse, "total": better}, check)
    assert right["made-A1"]["verdict"] == SUPPORTED
    assert swapped["made-A1"]["verdict"] == CONTRADICTED


def test_the_verdict_is_where_the_interval_lies(tmp_path):
    """-1.14 on average, with an interval of 0.16 to both sides."""

    def of(name, rule):
        check = {**MEAN, "rule": rule} | (WHY if "margin" in rule else {})
        values = {"path": better, "total": worse}
        return verdicts(tmp_path / name, values, check)["made-A1"]

    row = of("below", {"below": -0.9})
    assert row["ci_low"] < row["estimate"] < row["ci_high"] < -0.9
    assert (row["verdict"], row["words"]) == (SUPPORTED, "below -0.9")
    assert of("across", {"below": row["estimate"]})["verdict"] == INCONCLUSIVE
    low = of("small", {"superior": "lower", "margin": 1.5})
    assert (low["verdict"], low["words"]) == (CONTRADICTED, "a gain, but smaller than 1.5")
    back = of("back", {"superior": "higher", "margin": 0.1})
    assert (back["verdict"], back["words"]) == (CONTRADICTED, "reversed")
    far = of("far", {"equivalent": 0, "margin": 0.5})
    assert (far["verdict"], far["words"]) == (CONTRADICTED, "more than 0.5 below zero")


def test_pairing_by_seed_decides_what_unpaired_noise_hides(tmp_path):
    common = np.random.default_rng(0).normal(0, 10, 4)
    small = np.random.default_rng(1).normal(0, 0.05, (2, 4))
    values = {
        "path": lambda s: common[s] + small[0, s] - 0.5,
        "total": lambda s: common[s] + small[1, s],
    }
    found = verdicts(tmp_path, values, MEAN)["made-A1"]
    assert found["verdict"] == SUPPORTED
    assert found["ci_high"] - found["ci_low"] < 1
    alone = {**ALONE, "rule": {"below": 0}}
    assert verdicts(tmp_path / "u", values, alone)["made-A1"]["verdict"] == INCONCLUSIVE


def test_one_seed_decides_no_finding_and_a_fact(tmp_path):
    checks = [MEAN, COUNT, {**FACT, "rule": {"below": 0.5}}, {**FACT, "rule": {"above": 0.5}}]
    found = verdicts(tmp_path, {"path": better, "total": worse}, *checks, seeds=1)
    assert [found[f"made-A{i}"]["verdict"] for i in (1, 2, 3, 4)] == [
        INCONCLUSIVE, INCONCLUSIVE, SUPPORTED, CONTRADICTED,
    ]  # fmt: skip
    assert found["made-A1"]["estimate"] == pytest.approx(-0.99)
    assert found["made-A1"]["note"].startswith("one seed")


def test_what_is_the_same_for_all_seeds_decides_nothing(tmp_path):
    values = {"path": lambda s: 1.0 + s, "total": lambda s: 2.0 + s}
    row = verdicts(tmp_path, values, MEAN)["made-A1"]
    assert (row["verdict"], row["words"], row["estimate"]) == (INCONCLUSIVE, "identical", -1.0)


def test_not_significant_is_no_evidence(tmp_path):
    """A difference that is not clear neither refutes a gain nor shows that there is none."""
    values = {"path": lambda s: [0.9, -1.0, 0.4, -0.1][s], "total": lambda s: 0.0}
    for name, rule in RULES.items():
        check = {**MEAN, "rule": {**rule, **({"equivalent": 0} if "equivalent" in rule else {})}}
        check |= WHY if "margin" in rule else {}
        row = verdicts(tmp_path / name, values, check)["made-A1"]
        assert row["verdict"] == INCONCLUSIVE, name


def test_a_null_is_a_result(tmp_path):
    values = {"path": lambda s: [0.01, -0.02, 0.015, 0.0][s], "total": lambda s: 0.0}
    check = {**MEAN, "rule": {"equivalent": 0, "margin": 0.1}, **WHY}
    row = verdicts(tmp_path, values, check)["made-A1"]
    assert (row["verdict"], row["words"]) == (SUPPORTED, "within 0.1 of zero")


def test_holm_withholds_what_many_claims_would_find_by_chance(tmp_path):
    # p is about 0.02 here: enough alone, not among ten.
    values = {"path": lambda s: [-1.0, -0.4, -0.7, -0.25][s], "total": lambda s: 0.0}
    alone = verdicts(tmp_path / "one", values, MEAN)["made-A1"]
    assert alone["verdict"] == SUPPORTED
    assert 0.01 < alone["p_support"] < 0.05
    among = verdicts(tmp_path / "ten", values, *[MEAN] * 10)["made-A1"]
    assert among["p_support"] == alone["p_support"]
    assert among["p_holm"] == pytest.approx(10 * alone["p_support"])
    assert among["verdict"] == INCONCLUSIVE
    assert "supported alone, not by Holm among 10 claims" in among["note"]
    assert among["words"] == "below 0, judged alone"
    turned = {**MEAN, "rule": {"above": 0}}
    among = verdicts(tmp_path / "turned", values, *[turned] * 10)["made-A1"]
    assert "check contradicts alone, not by Holm among 10 claims" in among["note"]


def test_facts_and_checks_beside_are_not_in_the_family(tmp_path):
    values = {"path": lambda s: [-1.0, -0.4, -0.7, -0.25][s], "total": lambda s: 0.0}
    beside = [{**MEAN, "name": f"beside{i}", "decides": False} for i in range(9)]
    fact = {**FACT, "rule": {"below": 1}}
    row = verdicts(tmp_path, values, [MEAN, *beside], *[fact] * 9)["made-A1"]
    assert row["verdict"] == SUPPORTED
    assert row["p_holm"] == row["p_support"]


GOOD = {**MEAN, "name": "good"}
BAD = {**MEAN, "name": "bad", "rule": {"above": 0}}
OPEN = {**MEAN, "name": "open", "rule": {"below": -1.14}}
ABSENT = {**MEAN, "name": "absent", "select": {**SELECT, "metric": "nll"}}
NOWHERE = {**ABSENT, "select": {**SELECT, "experiment": "elsewhere"}}
HOLDS = {**FACT, "name": "holds", "rule": {"below": 0.5}}
FAILS = {**FACT, "name": "fails", "rule": {"above": 0.5}}
MET = {"name": "met", "precondition": True, "kind": "fact", "select": SELECT,
       "versus": {"estimator": "total"}, "pairing": "difference",
       "rule": {"within": [-2, 0]}}  # fmt: skip
UNMET = {**MET, "name": "unmet", "rule": {"within": [-0.1, 0.1]}}
WHOLE = {
    "all_hold": ([GOOD, HOLDS, MET], SUPPORTED, "good"),
    "one_contradicts": ([GOOD, BAD], CONTRADICTED, "bad"),
    "one_is_open": ([GOOD, OPEN], INCONCLUSIVE, "open"),
    "one_has_not_run": ([GOOD, ABSENT], INCONCLUSIVE, "absent"),
    "none_has_rows": ([ABSENT, {**ABSENT, "name": "too"}], INCONCLUSIVE, "absent"),
    "none_has_run": ([NOWHERE, {**NOWHERE, "name": "too"}], NOT_RUN, "absent"),
    "bad_beside": ([GOOD, {**BAD, "decides": False}], SUPPORTED, "good"),
    "bad_fact_beside": ([GOOD, {**FAILS, "decides": False}], SUPPORTED, "good"),
    "bad_and_absent": ([ABSENT, BAD], CONTRADICTED, "bad"),
    "a_fact_fails": ([GOOD, FAILS], CONTRADICTED, "fails"),
    "only_facts": ([HOLDS, {**HOLDS, "name": "too"}], SUPPORTED, "holds"),
    "not_comparable": ([GOOD, UNMET], INCONCLUSIVE, "unmet"),
    "bad_not_comparable": ([BAD, UNMET], INCONCLUSIVE, "unmet"),
    "unmet_unknown": ([GOOD, {**MET, "select": {**SELECT, "metric": "nll"}}], INCONCLUSIVE, "met"),
}


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """All of `WHOLE` judged by themselves."""
    folder = tmp_path_factory.mktemp("together")
    cells = [cell("fit", estimator=name, seeds=6) for name in ("path", "total")]
    made = {"path": better, "total": worse}
    found = results(folder, cells, lambda c, s: [Row("kl", made[c.params["estimator"]](s), "nats")])
    return {
        name: judged(found, claims(folder / name, checks)) for name, (checks, *_) in WHOLE.items()
    }


@pytest.mark.parametrize("name", WHOLE)
def test_a_claim_follows_from_all_of_its_checks_and_names_the_one_that_decides(together, name):
    _, verdict, deciding = WHOLE[name]
    row = together[name]["made-A1"]
    assert (row["verdict"], row["deciding"]) == (verdict, deciding)


@pytest.mark.parametrize("name", WHOLE)
def test_the_row_of_a_claim_repeats_its_deciding_check(together, name):
    claim = together[name]["made-A1"]
    check = together[name][f"made-A1.{claim['deciding']}"]
    for column in ("estimate", "ci_low", "ci_high", "unit", "n", "rule", "detects"):
        same = claim[column] == check[column]
        assert same or (math.isnan(claim[column]) and math.isnan(check[column])), column
    assert check["note"] in claim["note"]
    assert (claim["role"], check["deciding"]) == ("", "")


def test_checks_have_verdicts_roles_and_p_of_their_own(together):
    rows = together["bad_beside"]
    assert rows["made-A1.bad"]["verdict"] == CONTRADICTED
    assert rows["made-A1.bad"]["role"] == "beside"
    assert rows["made-A1.bad"]["p_refute"] < 0.05
    rows = together["all_hold"]
    assert [rows[f"made-A1.{name}"]["role"] for name in ("good", "holds", "met")] == [
        "decides", "decides", "precondition",
    ]  # fmt: skip
    assert [rows[f"made-A1.{name}"]["words"] for name in ("good", "holds", "met")] == [
        "below 0", "holds", "comparable",
    ]  # fmt: skip
    assert math.isnan(rows["made-A1.holds"]["p_support"])
    assert rows["made-A1"]["p_support"] == rows["made-A1.good"]["p_support"]
    assert together["only_facts"]["made-A1"]["kind"] == "fact"


def test_a_claim_whose_precondition_fails_says_by_how_much(together):
    row = together["not_comparable"]["made-A1"]
    assert row["words"].startswith("not comparable: kl -1.")
    assert "precondition unmet is not met" in row["note"]
    assert "precondition met is open" in together["unmet_unknown"]["made-A1"]["note"]


def test_of_supporting_checks_the_weakest_is_shown_and_of_refuting_ones_the_strongest(tmp_path):
    def near(name, number):
        return {**MEAN, "name": name, "rule": {"below": number}}

    def over(name, number):
        return {**MEAN, "name": name, "rule": {"above": number}}

    values = {"path": better, "total": worse}
    found = verdicts(
        tmp_path, values,
        [near("far", 0), near("near", -0.8)], [over("near", -0.8), over("far", 0)],
    )  # fmt: skip
    assert found["made-A1"]["deciding"] == "near"
    assert found["made-A1"]["p_support"] == found["made-A1.near"]["p_support"]
    assert found["made-A2"]["deciding"] == "far"
    assert found["made-A2"]["p_refute"] == pytest.approx(2 * found["made-A2.far"]["p_refute"])


def test_several_checks_are_several_chances_to_refute(tmp_path):
    # p is about 0.02: one check of three that refutes alone does not refute the claim.
    values = {"path": lambda s: [-1.0, -0.4, -0.7, -0.25][s], "total": lambda s: 0.0}
    one = {**MEAN, "rule": {"above": 0}}
    checks = [{**one, "name": "bad"}, {**OPEN, "name": "b"}, {**OPEN, "name": "c"}]
    row = verdicts(tmp_path, values, checks)["made-A1"]
    assert (row["verdict"], row["deciding"]) == (INCONCLUSIVE, "bad")
    assert "bad contradicts alone, not by the correction among 3 checks" in row["note"]


def test_rows_name_their_runs_and_tiers(tmp_path):
    found = verdicts(tmp_path, {"path": better, "total": worse}, MEAN)
    assert list(found) == ["made-A1", "made-A1.check"]
    row = found["made-A1"]
    assert row["runs"] == "fit-path:4 fit-total:4"
    assert row["tier"] == "paper"
    assert row["unit"] == "nats"
    assert row["rule"] == (
        "kl of estimator path minus that of estimator total: mean < 0 (95 % t interval over seeds)"
    )
    assert tuple(row) == CLAIM_COLUMNS


def test_power_stands_beside_a_finding_and_the_seeds_that_an_open_one_needs(tmp_path):
    values = {"path": lambda s: [-1.0, -0.4, -0.7, 0.25][s], "total": lambda s: 0.0}
    row = verdicts(tmp_path, values, *[MEAN] * 9)["made-A1"]
    assert row["verdict"] == INCONCLUSIVE
    assert 0 < row["detects"] < row["detects_holm"]
    assert row["seeds_needed"] > 4
    fact = verdicts(tmp_path / "fact", values, {**FACT, "rule": {"below": 1}})["made-A1"]
    assert all(math.isnan(fact[name]) for name in ("detects", "detects_holm", "seeds_needed"))


def test_a_log_ratio_judges_a_ratio_in_either_direction_alike(tmp_path):
    check = {**MEAN, "pairing": "log_ratio", "rule": {"above": 0}}
    values = {"path": lambda s: 3.0 * (1 + 0.1 * s), "total": lambda s: 1 + 0.1 * (3 - s)}
    found = verdicts(tmp_path / "over", values, check)["made-A1"]
    assert found["verdict"] == SUPPORTED
    assert found["estimate"] == pytest.approx(math.log(3.0))  # mean of logs: the noise cancels
    assert found["rule"].startswith("log of kl of estimator path over that of estimator total")
    assert found["unit"] == "log ratio"
    swapped = {"path": values["total"], "total": values["path"]}
    found = verdicts(tmp_path / "under", swapped, check)["made-A1"]
    assert found["verdict"] == CONTRADICTED
    assert found["estimate"] == pytest.approx(-math.log(3.0))


@pytest.mark.parametrize("side", ["path", "total"])
@pytest.mark.parametrize("value", [0.0, -0.1])
def test_what_has_no_logarithm_is_a_reason_to_use_differences_and_no_gap(tmp_path, side, value):
    check = {**MEAN, "pairing": "log_ratio", "rule": {"above": 0}}
    values = {"path": worse, "total": better}
    whole = values[side]
    values[side] = lambda s: value if s == 2 else whole(s)
    with pytest.raises(UserError, match="not positive and has no logarithm: difference"):
        verdicts(tmp_path, values, check)


def test_a_range_of_a_column_of_texts_is_refused_not_empty(tmp_path):
    found = results(
        tmp_path, [cell(estimator="path")], lambda *_: [Row("kl", 1.0, "nats", at="a=elbo")]
    )
    check = {**FACT, "select": {**SELECT, "a": {"min": 0}}}
    with pytest.raises(UserError, match=r"made-A1\.check: a: min and max are for numbers"):
        judged(found, claims(tmp_path / "study", check))


REPORTED = (
    "study,id,dataset,estimator,metric,value,unit,error,source,sourced\n"
    "made,other-a,mnist,total,nll,3,nats/image,,a book,yes\n"
    "made,paper1-a,mnist,total,nll,10,nats/image,,a book,yes\n"
    "made,paper1-b,mnist,path,nll,99,nats/image,,a book,yes\n"
)
LEVEL = {
    "name": "level", "kind": "finding", "statistic": "all",
    "select": {"experiment": "fit", "metric": "nll", "estimator": "total"},
    "versus": {"reported": "paper1"}, "pairing": "difference", "units": ["dataset"],
    "rule": {"equivalent": 0, "margin": 0.5}, "why": "it is rounding",
}  # fmt: skip


@pytest.fixture
def studies(tmp_path, monkeypatch):
    """Where the folders of studies are: `reported.csv` is read there."""
    monkeypatch.setattr(registry, "STUDIES", tmp_path)
    return tmp_path


@pytest.mark.parametrize(("level", "expected"), [(10.2, SUPPORTED), (12.0, CONTRADICTED)])
def test_levels_compare_with_reported_numbers(studies, level, expected):
    folder = claims(studies / "made", LEVEL, reported=REPORTED)
    cells = [cell("fit", dataset="mnist", estimator="total", seeds=3)]
    cells += [cell("fit", dataset="omniglot", estimator="total", seeds=3)]  # nobody reported it
    found = results(studies, cells, lambda c, s: [Row("nll", level + 0.01 * s, "nats/image")])
    row = judged(found, folder)["made-A1"]
    assert (row["verdict"], row["n"]) == (expected, 3)
    assert row["estimate"] == pytest.approx(level + 0.01 - 10)


def test_reported_numbers_are_in_the_unit_of_the_rows(studies):
    folder = claims(studies / "made", LEVEL, reported=REPORTED)
    cells = [cell("fit", dataset="mnist", estimator="total", seeds=3)]
    found = results(studies, cells, lambda *_: [Row("nll", 1.0, "bits/dim")])
    with pytest.raises(
        UserError, match=r"unit of paper1's nll, .*'nats/image' is not one of bits/dim"
    ):
        judged(found, folder)


@pytest.mark.parametrize(
    ("hits", "expected"), [(10, SUPPORTED), (9, SUPPORTED), (8, INCONCLUSIVE), (1, CONTRADICTED)]
)
def test_a_count_is_an_exact_test_of_the_share_of_seeds(tmp_path, hits, expected):
    def path(seed):
        return -1.0 + 0.1 * noise(seed) if seed < hits else 1.0

    values = {"path": path, "total": lambda _: 0.0}
    row = verdicts(tmp_path, values, COUNT, seeds=10)["made-A1"]
    assert (row["verdict"], row["estimate"], row["n"]) == (expected, hits / 10, 10)
    assert row["words"] == f"{hits} of 10 seeds"
    assert row["unit"] == "share of seeds"


def test_units_are_averaged_within_seeds_before_seeds_are_compared(tmp_path):
    # The units' errors cancel within each seed: treating them as independent would hide that.
    gains = {"a": lambda s: -1.0 + s, "b": lambda s: -1.0 - s + 0.001 * s}
    cells = [cell(dataset=d, estimator=e, seeds=4) for d in gains for e in ("total", "path")]

    def make(one, seed):
        p = one.params
        gain = gains[p["dataset"]](seed) if p["estimator"] == "path" else 0
        return [Row("kl", 5 * noise(seed) + gain, "nats")]

    check = {**MEAN, "units": ["dataset"], "of": 2}
    row = judged(results(tmp_path, cells, make), claims(tmp_path / "study", check))["made-A1"]
    assert (row["verdict"], row["n"]) == (SUPPORTED, 4)
    assert row["estimate"] == pytest.approx(-1.0, abs=0.01)
