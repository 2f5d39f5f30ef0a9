"""What a check means is planned before a row is read: what vanished is a gap."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.check import read
from paper_repro.claims.selection import table
from paper_repro.errors import UserError
from paper_repro.results.files import NAMES
from paper_repro.results.frames import Results
from paper_repro.rows import Row
from tests.results.made_runs import (
    ALL,
    ALONE,
    AT_LEAST,
    COUNT,
    FACT,
    MEAN,
    SELECT,
    cell,
    claims,
    judged,
    noise,
    results,
    verdict,
    without,
)

SETS = ("a", "b", "c")
GAIN = -1.0


def value(one, seed):
    """`path` is better by 1, with a little noise that is not shared."""
    p = one.params
    own = GAIN if p["estimator"] == "path" else 0.0
    return 5 * noise(p["dataset"], seed) + own + 0.1 * noise(p["dataset"], p["estimator"], seed)


def make(one, seed):
    return [Row("kl", value(one, seed), "nats")]


def pairs(root, made=make, seeds=6, sets=SETS, tier="paper", name="", **params):
    """Three data sets by two estimators."""
    cells = [
        cell("fit", name and f"{name}-{d}-{e}", dataset=d, estimator=e, seeds=seeds, tier=tier)
        for d in sets
        for e in ("path", "total")
    ]
    return results(root, cells, made, tier)


def lost(found, **wanted):
    """Which metric rows have these values."""
    rows = found.metrics
    return pd.concat([rows[name] == value for name, value in wanted.items()], axis=1).all(axis=1)


CHECKS = {
    "mean": {**MEAN, "units": ["dataset"]},
    "all": ALL,
    "at_least": {**AT_LEAST, "rule": {"below": 0, "at_least": 2}},
    "count": {**COUNT, "units": ["dataset"]},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return pairs(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("name", CHECKS)
def test_without_gaps_the_check_is_decided_in_the_direction_of_the_data(tmp_path, whole, name):
    assert verdict(whole, tmp_path, CHECKS[name])["verdict"] == SUPPORTED
    turned = {**CHECKS[name], "select": {**SELECT, "estimator": "total"}}
    turned["versus"] = {"estimator": "path"}
    assert verdict(whole, tmp_path / "turned", turned)["verdict"] == CONTRADICTED


GONE = [  # of each side of the pair in turn
    {"dataset": "b", "seed": 2},
    {"dataset": "b"},
    {"seed": 2},
    {},
]


@pytest.mark.parametrize("gone", GONE, ids=["row", "data_set", "seed", "arm"])
@pytest.mark.parametrize("side", ["path", "total"])
@pytest.mark.parametrize("name", CHECKS)
def test_rows_that_vanished_on_either_side_leave_it_open_and_are_named(
    tmp_path, whole, name, side, gone
):
    found = without(whole, "metrics", lost(whole, estimator=side, **gone))
    row = verdict(found, tmp_path, CHECKS[name])
    if name == "at_least" and gone in GONE[:2]:
        assert row["verdict"] == SUPPORTED  # by a and c
        assert row["p_support"] >= verdict(whole, tmp_path / "whole", CHECKS[name])["p_support"]
    elif name == "count" and gone == GONE[0]:
        assert row["verdict"] == INCONCLUSIVE  # five of six have p = 0.22
        assert (row["n"], row["p_support"]) == (5, pytest.approx(2 * 7 / 64))
    else:
        assert row["verdict"] in (INCONCLUSIVE, NOT_RUN)
    if gone:
        assert f"fit-{gone.get('dataset', 'a')}-{side}:{gone.get('seed', 0)}" in row["note"]


def test_a_row_that_is_no_number_is_a_gap_as_one_that_vanished(tmp_path, whole):
    for broken in (math.nan, math.inf):
        rows = whole.metrics.copy()
        rows.loc[lost(whole, dataset="b", estimator="total", seed=2), "value"] = broken
        row = verdict(replace(whole, metrics=rows), tmp_path / str(broken), ALL)
        assert row["verdict"] == INCONCLUSIVE
        assert "dataset=b seed 2" in row["note"]


@pytest.mark.parametrize("status", ["missing", "diverged"])
@pytest.mark.parametrize("name", CHECKS)
def test_a_failed_run_is_a_gap_and_in_a_count_a_failure_if_it_diverged(tmp_path, name, status):
    def some(one, seed):
        if (one.params["dataset"], one.params["estimator"], seed) == ("b", "path", 2):
            return None if status == "missing" else "diverged"
        return make(one, seed)

    row = verdict(pairs(tmp_path, some, seeds=8), tmp_path, CHECKS[name])
    assert "fit-b-path:2" in row["note"]
    if name != "count":
        assert row["verdict"] == (SUPPORTED if name == "at_least" else INCONCLUSIVE)
    elif status == "missing":
        assert (row["n"], row["words"]) == (7, "7 of 7 seeds, 1 open")
    else:
        assert (row["n"], row["words"]) == (8, "7 of 8 seeds")


def test_a_failure_counts_where_it_is_sure_and_not_where_it_might_be_none(tmp_path):
    """Of ten seeds one diverged: 9 of 10 support; two of them missing: 8 of 8 do not."""

    def some(how):
        def made(one, seed):
            return how[seed] if seed in how and one.params["estimator"] == "path" else make(one, 0)

        return made

    sure = pairs(tmp_path / "sure", some({3: "diverged"}), seeds=10, sets="a")
    assert verdict(sure, tmp_path / "sure", COUNT)["verdict"] == SUPPORTED
    open_ = pairs(tmp_path / "open", some({3: None, 4: None}), seeds=10, sets="a")
    row = verdict(open_, tmp_path / "open", COUNT)
    assert (row["verdict"], row["words"]) == (INCONCLUSIVE, "8 of 8 seeds, 2 open")


def test_the_table_has_a_row_per_planned_unit_and_seed_whatever_rows_there_are(tmp_path, whole):
    check = read(claims(tmp_path, ALL) / "claims.yaml", "made")[0].checks[0]
    complete = table(whole, check)
    found = table(without(whole, "metrics", lost(whole, dataset="c")), check)
    plan = [(f"dataset={d}", seed) for d in SETS for seed in range(6)]
    for rows in (complete, found):
        assert list(zip(rows["unit"], rows["seed"], strict=True)) == plan
        assert rows["run"][7] == "fit-b-path:1 fit-b-total:1"
    assert complete["value"].notna().all()
    assert found["value"].isna().tolist() == [unit == "dataset=c" for unit, _ in plan]
    assert complete["value"].tolist() == pytest.approx(
        (complete["value_own"] - complete["value_other"]).tolist()
    )


def test_units_may_be_named_with_their_values_and_lack_rows_or_cells(tmp_path, whole):
    named = {**ALL, "units": {"dataset": ["a", "b"]}}
    row = verdict(whole, tmp_path / "two", named)
    assert (row["verdict"], row["n"]) == (SUPPORTED, 6)  # c is not meant
    one_more = {**ALL, "units": {"dataset": [*SETS, "d"]}}
    row = verdict(whole, tmp_path / "more", one_more)
    assert row["verdict"] == INCONCLUSIVE
    assert "dataset=d" in row["note"]


def rows_at(one, seed, places=(1, 5)):
    """Rows at several coordinates of each run."""
    return [Row("kl", value(one, seed) - 0.01 * k, "nats", at=f"k={k}") for k in places]


def test_coordinates_inside_a_cell_are_units_only_with_their_values(tmp_path):
    found = pairs(tmp_path, rows_at)
    named = {**ALL, "units": {"dataset": list(SETS), "k": [1, 5]}}
    assert verdict(found, tmp_path / "named", named)["verdict"] == SUPPORTED
    fewer = without(found, "metrics", lost(found, dataset="b", at="k=5", seed=1))
    row = verdict(fewer, tmp_path / "fewer", named)
    assert row["verdict"] == INCONCLUSIVE
    assert "dataset=b, k=5 seed 1" in row["note"]
    with pytest.raises(UserError, match=r"units: 'k' is measured inside a cell: name its values"):
        verdict(found, tmp_path / "bare", {**ALL, "units": ["dataset", "k"]})


def test_fewer_or_more_units_than_the_claim_is_about_decide_nothing(tmp_path, whole):
    for of, expected in [(2, INCONCLUSIVE), (3, SUPPORTED), (4, INCONCLUSIVE)]:
        for name, check in CHECKS.items():
            row = verdict(whole, tmp_path / f"{of}{name}", {**check, "of": of})
            assert row["verdict"] == expected, (of, name)
            assert (f"3 of {of} units planned" in row["note"]) == (of != 3)


def test_several_rows_of_one_unit_and_seed_are_an_error_not_an_average(tmp_path):
    cells = [cell(estimator=e, lr=lr) for e in ("path", "total") for lr in (0.1, 0.2)]
    found = results(tmp_path / "cells", cells, make_plain)
    with pytest.raises(
        UserError, match=r"several rows for one seed \(fit-path-0\.1 fit-path-0\.2\); add"
    ):
        verdict(found, tmp_path / "cells", MEAN)
    inside = pairs(tmp_path / "inside", rows_at)
    with pytest.raises(UserError, match=r"several rows for dataset=a .*add columns to select"):
        verdict(inside, tmp_path / "inside", ALL)


def make_plain(one, seed):
    return [Row("kl", 1.0 + 0.1 * seed, "nats")]


def test_the_same_row_three_times_is_an_error_and_never_counts_thrice(tmp_path, whole):
    thrice = replace(whole, metrics=pd.concat([whole.metrics] * 3))
    for name, check in CHECKS.items():
        with pytest.raises(UserError, match="several rows for dataset=a"):
            verdict(thrice, tmp_path / name, check)


def test_two_units_of_measurement_are_not_compared(tmp_path):
    def unit(one):
        return "nats" if one.params["estimator"] == "path" else "bits/dim"

    found = pairs(tmp_path, lambda one, seed: [Row("kl", value(one, seed), unit(one))])
    with pytest.raises(UserError, match="values in 'bits/dim' and in 'nats' do not compare"):
        verdict(found, tmp_path / "sides", ALL)
    alone = {**ALONE, "select": {"experiment": "fit", "metric": "kl"}, "rule": {"below": 0}}
    alone["units"] = ["dataset", "estimator"]
    with pytest.raises(UserError, match="values in 'bits/dim' and in 'nats' do not compare"):
        verdict(found, tmp_path / "units", alone)


def test_a_coordinate_that_no_row_has_is_an_error(tmp_path):
    found = pairs(tmp_path, rows_at)
    check = {**ALL, "select": {**SELECT, "a": 5}}
    with pytest.raises(UserError, match="'a' is no coordinate of any row"):
        verdict(found, tmp_path, check)


def joined(*parts):
    """One results folder of several, as published ones are made of tiers."""
    tables = {name: pd.concat([getattr(part, name) for part in parts]) for name in NAMES}
    return Results(parts[0].root, **tables)


def test_of_two_tiers_the_largest_planned_one_is_judged_alone(tmp_path):
    def small(one, seed):  # a smaller tier that shows the opposite
        return [Row("kl", -value(one, seed), "nats")]

    paper = pairs(tmp_path / "paper", name="long")
    quick = pairs(tmp_path / "quick", small, tier="quick", name="short")
    both = joined(quick, paper)
    for name, check in CHECKS.items():
        row = verdict(both, tmp_path / name, check)
        alone = verdict(paper, tmp_path / f"{name}-alone", check)
        assert (row["tier"], row["verdict"]) == ("paper", SUPPORTED)
        assert [row[key] for key in ("estimate", "ci_low", "n")] == pytest.approx(
            [alone[key] for key in ("estimate", "ci_low", "n")]
        )
        assert "short" not in row["runs"]


def test_the_plan_chooses_the_tier_and_not_the_rows(tmp_path):
    paper = pairs(tmp_path / "paper", lambda *_: None, name="long")
    quick = pairs(tmp_path / "quick", tier="quick", name="short")
    row = verdict(joined(paper, quick), tmp_path, ALL)
    assert row["verdict"] == NOT_RUN
    assert verdict(quick, tmp_path / "alone", ALL)["verdict"] == SUPPORTED


def test_a_claim_stands_at_the_tier_that_all_its_deciding_checks_share(tmp_path):
    paper = pairs(tmp_path / "paper", name="long")
    quick = pairs(tmp_path / "quick", tier="quick", name="short")
    longer = results(tmp_path / "other", [cell("other", estimator="path", tier="quick")],
                     lambda *_: [Row("kl", 0.1, "nats")], "quick")  # fmt: skip
    fact = {**FACT, "name": "fact", "select": {"experiment": "other", "metric": "kl"}}
    row = verdict(joined(paper, quick, longer), tmp_path, [ALL, fact])
    assert (row["tier"], row["verdict"]) == ("quick", SUPPORTED)


def test_no_tier_means_not_run(tmp_path, whole):
    check = {**ALL, "select": {**SELECT, "experiment": "elsewhere"}}
    row = verdict(whole, tmp_path, check)
    assert (row["verdict"], row["tier"], row["n"]) == (NOT_RUN, "", 0)


def test_a_setting_that_no_cell_has_is_not_run_and_not_ignored(tmp_path, whole):
    row = verdict(whole, tmp_path, {**ALL, "select": {**SELECT, "dataset": "z"}})
    assert row["verdict"] == NOT_RUN
    other = results(tmp_path / "quick", [cell(estimator="path", lr=0.1, tier="quick")],
                    make_plain, "quick")  # fmt: skip
    aside = {**ALONE, "name": "aside", "select": {**SELECT, "lr": 0.1}, "rule": {"below": 0}}
    folder = claims(tmp_path / "aside", [ALL, {**aside, "decides": False}])
    found = judged(joined(whole, other), folder)
    assert (found["made-A1"]["verdict"], found["made-A1"]["tier"]) == (SUPPORTED, "paper")
    assert found["made-A1.aside"]["verdict"] == NOT_RUN


def test_partners_share_their_steps_and_their_data(tmp_path):
    for name, change in {"steps": {"steps": 200}, "data": {}}.items():
        cells = [cell(estimator="path", dataset="a")]
        cells += [cell(estimator="total", dataset="a", **change)]
        found = results(tmp_path / name, cells, make)
        if name == "data":
            rows = found.metrics.copy()
            rows.loc[rows["estimator"] == "total", "fingerprint"] = "of other data"
            found = replace(found, metrics=rows)
        row = verdict(found, tmp_path / name, MEAN)
        assert row["verdict"] in (INCONCLUSIVE, NOT_RUN), name
        assert row["n"] == 0


def test_seeds_that_only_one_side_plans_are_no_gaps(tmp_path):
    cells = [cell(estimator="path", seeds=5, dataset="a"), cell(estimator="total", dataset="a")]
    row = verdict(results(tmp_path, cells, make), tmp_path, MEAN)
    assert (row["verdict"], row["n"], row["note"]) == (SUPPORTED, 3, "")


def test_what_another_experiment_computes_from_the_data_is_one_number_for_all_seeds(tmp_path):
    cells = [cell(estimator="path", dataset="a", seeds=4)]
    cells += [cell("floor", dataset="a", seeds=1, steps=0)]
    found = results(
        tmp_path, cells,
        lambda c, s: [Row("kl", 2.0 if c.experiment == "floor" else 1.0 + 0.01 * s, "nats")],
    )  # fmt: skip
    check = {**MEAN, "versus": {"experiment": "floor", "estimator": None}}
    row = verdict(found, tmp_path / "whole", check)
    assert (row["verdict"], row["n"]) == (SUPPORTED, 4)
    assert row["estimate"] == pytest.approx(-0.985)
    gone = without(found, "metrics", found.metrics["experiment"] == "floor")
    assert verdict(gone, tmp_path / "gone", check)["verdict"] in (INCONCLUSIVE, NOT_RUN)


def test_one_claims_gap_changes_nothing_about_another_ones_family(tmp_path):
    """A claim is not supported because another one lost a run (Holm's m is the file's)."""

    def close(one, seed):  # p = 0.018 alone: too little among three
        far = -1.0 if one.params["dataset"] == "b" else [-1.0, -0.4, -0.7, -0.25][seed]
        spread = 0.001 * noise(one.params["dataset"], seed)
        return [Row("kl", far + spread if one.params["estimator"] == "path" else 0.0, "nats")]

    found = pairs(tmp_path, close, seeds=4)
    one_of = [{**MEAN, "select": {**SELECT, "dataset": d}} for d in SETS]
    before = judged(found, claims(tmp_path / "study", *one_of))
    assert [before[f"made-A{i}"]["verdict"] for i in (1, 2, 3)] == [
        INCONCLUSIVE, SUPPORTED, INCONCLUSIVE,
    ]  # fmt: skip
    fewer = without(found, "metrics", lost(found, dataset="c", seed=0))
    after = judged(fewer, claims(tmp_path / "study", *one_of))
    assert after["made-A1"]["p_holm"] >= before["made-A1"]["p_holm"]
    assert after["made-A1"]["verdict"] == INCONCLUSIVE
    assert "among 3 claims" in after["made-A1"]["note"]


def test_a_number_on_the_way_does_not_stand_for_one_that_was_lost_at_the_end(tmp_path):
    def late(one, seed):  # better at first, worse at the end
        sign = 1 if one.params["estimator"] == "path" else 0
        return [Row("kl", -sign * (50 - step) + 0.1 * noise(one.id, seed, step), "nats", step=step)
                for step in (40, 100)]  # fmt: skip

    found = pairs(tmp_path, late, sets="a")
    assert verdict(found, tmp_path / "whole", MEAN)["verdict"] == CONTRADICTED
    row = verdict(without(found, "metrics", lost(found, step=100)), tmp_path / "lost", MEAN)
    assert (row["verdict"], row["n"]) == (INCONCLUSIVE, 0)


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("side", ["path", "total"])
def test_a_cell_whose_runs_are_nowhere_is_missing_at_every_seed(tmp_path, whole, side, name):
    gone = without(whole, "metrics", whole.metrics["cell"] == f"fit-b-{side}")
    gone = without(gone, "runs", gone.runs["cell"] == f"fit-b-{side}")
    row = verdict(gone, tmp_path, CHECKS[name])
    assert row["verdict"] == (SUPPORTED if name == "at_least" else INCONCLUSIVE)
    assert "dataset=b seed 0" in row["note"]
    assert f"fit-b-{side}:0" in row["note"]


@pytest.mark.parametrize("pairing", ["difference", "log_ratio", "ratio"])
@pytest.mark.parametrize("side", ["path", "total"])
def test_an_infinite_side_makes_no_finite_pair(tmp_path, pairing, side):
    cells = [cell(estimator=e) for e in ("path", "total")]

    def one(c, seed):
        bad = c.params["estimator"] == side and seed == 1
        return [Row("kl", float("inf") if bad else 1.0 + seed, "nats")]

    check = {**FACT, "versus": {"estimator": "total"}, "pairing": pairing, "rule": {"above": -9}}
    row = verdict(results(tmp_path, cells, one), tmp_path, check)
    assert row["verdict"] == INCONCLUSIVE
    assert ":1" in row["note"]
