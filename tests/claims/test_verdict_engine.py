"""Verdicts follow the data: what is wrong on purpose is caught, what is incomplete never passes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paper_repro.claims.checks import (
    CONTRADICTED,
    INCONCLUSIVE,
    NOT_RUN,
    SUPPORTED,
)
from paper_repro.claims.verdicts import CLAIM_COLUMNS, combine, evaluate
from paper_repro.errors import UserError
from paper_repro.rows import Row
from tests.results.made_runs import COUNT, EVERY, MEAN, SELECT, cell, claims, results


def verdicts(tmp_path, values, *checks, seeds=4, **options):
    """Rows of claims.csv by id; ``values[estimator](seed)`` is the KL of a run, None missing."""
    cells = [cell("fit", estimator=name, seeds=seeds) for name in values]

    def make(one, seed):
        value = values[one.params["estimator"]](seed)
        return value if value in (None, "diverged") else [Row("kl", value, "nats")]

    found = evaluate(
        results(tmp_path, cells, make), "made", claims(tmp_path / "study", *checks, **options)
    )
    return {row["claim"]: row for row in found.to_dict("records")}


def better(seed):
    return 0.01 + 0.001 * seed


def worse(seed):
    return 1.0 + 0.1 * seed


@pytest.mark.parametrize("check", [MEAN, EVERY, COUNT])
def test_swapped_estimators_are_contradicted(tmp_path, check):
    right = verdicts(tmp_path / "right", {"path": better, "total": worse}, check)
    swapped = verdicts(tmp_path / "swapped", {"path": worse, "total": better}, check)
    assert right["A1"]["verdict"] == SUPPORTED
    assert swapped["A1"]["verdict"] == CONTRADICTED


@pytest.mark.parametrize("broken", [None, "diverged", math.nan, math.inf])
@pytest.mark.parametrize("side", ["path", "total"])
@pytest.mark.parametrize("check", [MEAN, EVERY])
def test_a_run_without_a_number_never_supports(tmp_path, check, side, broken):
    values = {"path": better, "total": worse}
    whole = values[side]
    values[side] = lambda seed: broken if seed == 2 else whole(seed)
    found = verdicts(tmp_path, values, check)["A1"]
    assert found["verdict"] == INCONCLUSIVE
    assert ":2" in found["note"]


@pytest.mark.parametrize("broken", [None, "diverged", math.nan])
@pytest.mark.parametrize("check", [MEAN, EVERY, COUNT])
def test_nothing_but_failed_runs_is_not_run(tmp_path, check, broken):
    found = verdicts(tmp_path, {"path": lambda _: broken, "total": worse}, check)["A1"]
    assert found["verdict"] == NOT_RUN
    assert found["n"] == 0
    assert math.isnan(found["estimate"])


def test_a_missing_side_is_not_run(tmp_path):
    assert verdicts(tmp_path / "a", {"path": better}, MEAN)["A1"]["verdict"] == NOT_RUN
    assert verdicts(tmp_path / "b", {"total": worse}, MEAN)["A1"]["verdict"] == NOT_RUN


def test_a_range_of_a_column_of_texts_is_refused_not_empty(tmp_path):
    found = results(
        tmp_path, [cell(estimator="path")], lambda *_: [Row("kl", 1.0, "nats", at="a=elbo")]
    )
    check = {**EVERY, "select": {**SELECT, "a": {"min": 0}}}
    with pytest.raises(UserError, match=r"made/claims\.yaml: \w+: a: min and max are for numbers"):
        evaluate(found, "made", claims(tmp_path / "study", check))


def test_one_violation_contradicts_every_even_if_other_runs_are_missing(tmp_path):
    values = {"path": lambda s: None if s == 0 else 5.0 if s == 1 else 0.01, "total": worse}
    found = verdicts(tmp_path, values, EVERY)["A1"]
    assert found["verdict"] == CONTRADICTED
    assert found["estimate"] == pytest.approx(5.0 / 1.1)


@pytest.mark.parametrize("rule", [{"at_least": 3}, {"at_most": 1}])
def test_a_count_of_more_values_than_the_rule_is_for_decides_nothing(tmp_path, rule):
    check = {**COUNT, "rule": {"below": 0.1, "of": 4, **rule}}
    expected = SUPPORTED if "at_least" in rule else CONTRADICTED
    for seeds, verdict in [(4, expected), (5, INCONCLUSIVE), (10, INCONCLUSIVE)]:
        sides = {"path": better, "total": worse}
        row = verdicts(tmp_path / str(seeds), sides, check, seeds=seeds)["A1"]
        assert row["verdict"] == verdict
        assert row["n"] == seeds
        assert (f"{seeds} values in the region, but the rule is for 4" in row["note"]) == (
            seeds > 4
        )


def test_a_count_is_decided_once_the_rest_cannot_turn_it(tmp_path):
    def path(good, missing):
        return lambda s: 0.01 if s < good else None if s < good + missing else 5.0

    for good, missing, expected in [
        (3, 1, SUPPORTED), (3, 0, SUPPORTED), (2, 1, INCONCLUSIVE), (2, 2, INCONCLUSIVE),
        (2, 0, CONTRADICTED), (1, 1, CONTRADICTED),
    ]:  # fmt: skip
        root = tmp_path / f"{good}{missing}"
        values = {"path": path(good, missing), "total": worse}
        assert verdicts(root, values, COUNT)["A1"]["verdict"] == expected, (good, missing)


def test_too_few_planned_runs_leave_a_count_open(tmp_path):
    found = verdicts(tmp_path, {"path": better, "total": worse}, COUNT, seeds=2)["A1"]
    assert found["verdict"] == INCONCLUSIVE
    assert "4 needed" in found["note"]


def test_pairing_by_seed_decides_what_unpaired_noise_hides(tmp_path):
    common = np.random.default_rng(0).normal(0, 10, 4)
    noise = np.random.default_rng(1).normal(0, 0.05, (2, 4))
    values = {
        "path": lambda s: common[s] + noise[0, s] - 0.5,
        "total": lambda s: common[s] + noise[1, s],
    }
    found = verdicts(tmp_path, values, MEAN)["A1"]
    assert found["verdict"] == SUPPORTED
    assert found["ci_high"] - found["ci_low"] < 1
    unpaired = {**MEAN, "select": SELECT}
    del unpaired["versus"], unpaired["pairing"]
    assert verdicts(tmp_path / "u", values, unpaired)["A1"]["verdict"] == INCONCLUSIVE


def test_one_seed_decides_no_mean(tmp_path):
    found = verdicts(tmp_path, {"path": better, "total": worse}, MEAN, seeds=1)["A1"]
    assert found["verdict"] == INCONCLUSIVE
    assert found["estimate"] == pytest.approx(-0.99)
    assert math.isnan(found["p_value"])


def test_fewer_seeds_or_units_than_the_rule_names_decide_nothing(tmp_path):
    for name, rule in {"seeds": {"below": 0, "seeds": 5}, "units": {"below": 0, "of": 2}}.items():
        check = {**MEAN, "rule": rule}
        found = verdicts(tmp_path / name, {"path": better, "total": worse}, check)["A1"]
        assert found["verdict"] == INCONCLUSIVE
        assert name in found["note"]


def test_the_verdict_is_the_intervals_place(tmp_path):
    def verdict(name, rule):
        check = {**MEAN, "rule": rule}
        return verdicts(tmp_path / name, {"path": better, "total": worse}, check)["A1"]

    found = verdict("within", {"within": [-2, 0]})
    assert found["verdict"] == SUPPORTED
    assert -2 < found["ci_low"] < found["estimate"] < found["ci_high"] < 0
    middle = found["estimate"]
    assert verdict("outside", {"within": [0, 1]})["verdict"] == CONTRADICTED
    assert verdict("across", {"below": middle})["verdict"] == INCONCLUSIVE
    assert verdict("away", {"outside": [-0.1, 0.1]})["verdict"] == SUPPORTED
    assert verdict("in_it", {"outside": [-9, 9]})["verdict"] == CONTRADICTED


def test_holm_takes_back_what_many_checks_would_find_by_chance(tmp_path):
    # p is about 0.02 here: enough alone, not among ten.
    values = {"path": lambda s: [-1.0, -0.4, -0.7, -0.25][s], "total": lambda s: 0.0}
    alone = verdicts(tmp_path / "one", values, MEAN)["A1"]
    assert alone["verdict"] == SUPPORTED
    assert 0.01 < alone["p_value"] < 0.05
    among = verdicts(tmp_path / "ten", values, *[MEAN] * 10)["A1"]
    assert among["p_value"] == alone["p_value"]
    assert among["p_holm"] == pytest.approx(10 * alone["p_value"])
    assert among["verdict"] == INCONCLUSIVE
    assert "not after Holm" in among["note"]


def test_a_claim_needs_all_of_its_checks(tmp_path):
    good, bad = {**MEAN, "name": "good"}, {**MEAN, "name": "bad", "rule": {"above": 0}}
    absent = {**MEAN, "name": "absent", "select": {**SELECT, "metric": "nll"}}
    aside = {**bad, "name": "aside", "decides": False}
    absent_too = {**absent, "name": "absent_too"}
    values = {"path": better, "total": worse}
    whole = [[good, bad], [good, absent], [good, aside], [absent, absent_too]]
    found = verdicts(tmp_path, values, *whole)
    assert list(found)[:3] == ["A1.good", "A1.bad", "A1"]
    assert [found[f"A{i}"]["verdict"] for i in range(1, 5)] == [
        CONTRADICTED, INCONCLUSIVE, SUPPORTED, NOT_RUN,
    ]  # fmt: skip
    assert found["A3.aside"]["verdict"] == CONTRADICTED


def test_combining_verdicts():
    assert combine([SUPPORTED, SUPPORTED]) == SUPPORTED
    assert combine([SUPPORTED, NOT_RUN]) == INCONCLUSIVE
    assert combine([NOT_RUN, CONTRADICTED]) == CONTRADICTED


def test_runs_at_different_scales_are_no_pair(tmp_path):
    cells = [cell(estimator="path", steps=100), cell(estimator="total", steps=200)]
    found = results(tmp_path, cells, lambda *_: [Row("kl", 1.0, "nats")])
    row = evaluate(found, "made", claims(tmp_path / "study", MEAN)).iloc[0]
    assert row["verdict"] == NOT_RUN


def test_two_cells_under_one_unit_are_an_error_not_an_average(tmp_path):
    cells = [cell(estimator=e, lr=lr) for e in ("path", "total") for lr in (0.1, 0.2)]
    found = results(tmp_path, cells, lambda *_: [Row("kl", 1.0, "nats")])
    with pytest.raises(UserError, match="several rows for one seed; add columns"):
        evaluate(found, "made", claims(tmp_path / "study", MEAN))


def test_rows_name_their_runs_and_tiers(tmp_path):
    found = verdicts(tmp_path, {"path": better, "total": worse}, MEAN)["A1"]
    assert found["runs"] == "fit-path:4 fit-total:4"
    assert found["tier"] == "paper"
    assert found["rule"] == (
        "kl of estimator path minus that of estimator total: mean < 0 (95 % t interval over seeds)"
    )
    assert list(found) == list(CLAIM_COLUMNS)


def test_a_claim_of_many_checks_counts_them_and_each_has_its_own_verdict(tmp_path):
    good, bad = {**MEAN, "rule": {"below": 0}}, {**MEAN, "rule": {"above": 0}}
    open_one = {**MEAN, "rule": {"below": -1.14}}
    nine = [{**c, "name": f"cell_{i}"} for i, c in enumerate([good] * 5 + [bad] * 2 + [open_one])]
    nine.append({**good, "name": "absent", "select": {**SELECT, "metric": "nll"}})
    found = verdicts(tmp_path, {"path": better, "total": worse}, nine)
    assert len(found) == 10
    assert [found[f"A1.cell_{i}"]["verdict"] for i in (0, 6, 7)] == [
        SUPPORTED, CONTRADICTED, INCONCLUSIVE,
    ]  # fmt: skip
    assert found["A1"]["verdict"] == CONTRADICTED
    assert found["A1"]["note"] == "5 of 9 supported, 2 contradicted, 1 inconclusive, 1 not run"
    # Eight have a p value; the smallest is multiplied by them all.
    first = found["A1.cell_0"]
    assert first["p_holm"] == pytest.approx(8 * first["p_value"], rel=1e-6)


def test_a_log_ratio_judges_a_ratio_in_either_direction_alike(tmp_path):
    check = {**MEAN, "pairing": "log_ratio", "rule": {"above": 0}}
    values = {"path": lambda s: 3.0 * (1 + 0.1 * s), "total": lambda s: 1 + 0.1 * (3 - s)}
    found = verdicts(tmp_path / "over", values, check)["A1"]
    assert found["verdict"] == SUPPORTED
    assert found["estimate"] == pytest.approx(math.log(3.0))  # mean of logs: the noise cancels
    assert found["rule"].startswith("log of kl of estimator path over that of estimator total")
    swapped = {"path": values["total"], "total": values["path"]}
    found = verdicts(tmp_path / "under", swapped, check)["A1"]
    assert found["verdict"] == CONTRADICTED
    assert found["estimate"] == pytest.approx(-math.log(3.0))


@pytest.mark.parametrize("side", ["path", "total"])
@pytest.mark.parametrize("value", [0.0, -0.1])
def test_a_number_without_a_logarithm_is_a_gap(tmp_path, side, value):
    check = {**MEAN, "pairing": "log_ratio", "rule": {"above": 0}}
    values = {"path": worse, "total": better}
    whole = values[side]
    values[side] = lambda s: value if s == 2 else whole(s)
    found = verdicts(tmp_path, values, check)["A1"]
    assert found["verdict"] == INCONCLUSIVE
    assert ":2" in found["note"]
