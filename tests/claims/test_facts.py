"""A fact is asked of every value, holds only if none is missing, and has no p."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.facts import inside
from paper_repro.errors import UserError
from paper_repro.rows import Row
from tests.results.made_runs import FACT, SELECT, cell, results, verdict, without

PLACES = (1, 5)
Z = {**FACT, "select": {**SELECT, "metric": "bias"}, "of": 2}


def biases(tmp_path, bias, error=1.0, seeds=3, **params):
    """Rows ``bias(seed, k)`` at every k, with their standard errors."""

    def make(one, seed):
        rows = []
        for k in PLACES:
            value = bias(seed, k)
            if value is not None:
                rows += [Row("bias", value, "nats", at=f"k={k}")]
                rows += [Row("bias_se", error, "nats", at=f"k={k}")]
        return rows

    return results(tmp_path, [cell(estimator="path", seeds=seeds, **params)], make)


@pytest.mark.parametrize(
    ("rule", "worst", "outside"),
    [
        ({"below": 1}, 0.9, 1.0),
        ({"above": -1}, -0.9, -1.0),
        ({"within": [-1, 1]}, 1.0, 1.01),
        ({"outside": [1, 2]}, 0.9, 1.0),
        ({"equals": 1.0}, -5.0, -5.01),
        ({"differs": -6.0}, 0.01, 0.0),
    ],
)
def test_a_single_value_outside_contradicts_and_all_inside_hold(tmp_path, rule, worst, outside):
    check = {**Z, "rule": rule} | ({"error": "bias_se"} if {*rule} & {"equals", "differs"} else {})
    found = biases(tmp_path / "in", lambda s, k: worst if (s, k) == (1, 5) else 0.1)
    row = verdict(found, tmp_path / "in", check)
    assert (row["verdict"], row["words"], row["n"]) == (SUPPORTED, "holds", 3)
    found = biases(tmp_path / "out", lambda s, k: outside if (s, k) == (1, 5) else 0.1)
    row = verdict(found, tmp_path / "out", check)
    assert (row["verdict"], row["words"]) == (CONTRADICTED, "fails")
    assert row["estimate"] == outside  # the value nearest to failing is shown
    assert math.isnan(row["p_support"])


def test_standard_errors_are_the_rows_own(tmp_path):
    check = {**Z, "rule": {"equals": 0}, "error": "bias_se"}
    for name, error, expected in [("wide", 1.0, SUPPORTED), ("narrow", 0.5, CONTRADICTED)]:
        found = biases(tmp_path / name, lambda *_: 4.0, error)
        assert verdict(found, tmp_path / name, check)["verdict"] == expected
    exact = biases(tmp_path / "exact", lambda *_: 0.0, 0.0)
    assert verdict(exact, tmp_path / "exact", check)["verdict"] == SUPPORTED


@pytest.mark.parametrize("metric", ["bias", "bias_se"])
def test_a_value_or_its_error_that_is_missing_leaves_it_open(tmp_path, metric):
    found = biases(tmp_path, lambda *_: 0.1)
    gone = (found.metrics["metric"] == metric) & (found.metrics["at"] == "k=5")
    fewer = without(found, "metrics", gone & (found.metrics["seed"] == 2))
    row = verdict(fewer, tmp_path, {**Z, "rule": {"equals": 0}, "error": "bias_se"})
    assert row["verdict"] == INCONCLUSIVE
    assert "missing or diverged: fit-path:2" in row["note"]


@pytest.mark.parametrize("bad", [None, math.nan])
def test_one_violation_contradicts_even_if_other_values_are_missing(tmp_path, bad):
    found = biases(tmp_path, lambda s, k: bad if (s, k) == (0, 1) else 5.0 if s == 1 else 0.1)
    check = {**Z, "rule": {"below": 1}}
    assert verdict(found, tmp_path, check)["verdict"] == CONTRADICTED
    row = verdict(without(found, "metrics", found.metrics["value"] > 0), tmp_path / "none", check)
    assert (row["verdict"], row["n"]) == (NOT_RUN, 0)


@pytest.mark.parametrize("status", [None, "diverged"])
def test_a_run_that_is_lost_leaves_a_fact_open(tmp_path, status):
    def make(one, seed):
        return status if seed == 1 else [Row("kl", 0.1, "nats")]

    found = results(tmp_path, [cell(estimator="path")], make)
    row = verdict(found, tmp_path, FACT)
    assert (row["verdict"], row["estimate"]) == (INCONCLUSIVE, 0.1)
    assert "fit-path:1" in row["note"]


def test_n_counts_planned_runs_and_never_values(tmp_path):
    found = biases(tmp_path, lambda *_: 0.1, seeds=5)
    assert verdict(found, tmp_path, {**Z, "rule": {"below": 1}})["n"] == 5


def test_more_values_than_a_run_should_have_are_an_error(tmp_path):
    found = biases(tmp_path, lambda *_: 0.1)
    with pytest.raises(UserError, match="fit-path:0 has 2 values, 1 by its of"):
        verdict(found, tmp_path, {**Z, "of": 1, "rule": {"below": 1}})


@pytest.mark.parametrize(("tier", "expected"), [("paper", SUPPORTED), ("quick", INCONCLUSIVE)])
def test_how_many_values_there_are_may_be_said_by_tier(tmp_path, tier, expected):
    """Of a tier that it says nothing about, nothing is known to be complete."""
    found = results(tmp_path, [cell(estimator="path", tier=tier)],
                    lambda *_: [Row("kl", 0.1, "nats")], tier)  # fmt: skip
    row = verdict(found, tmp_path, {**FACT, "of": {"paper": 1}})
    assert row["verdict"] == expected


def test_values_may_be_named_by_their_coordinates(tmp_path):
    check = {key: value for key, value in Z.items() if key != "of"}
    check |= {"rule": {"below": 1}, "units": {"k": list(PLACES)}}
    found = biases(tmp_path, lambda *_: 0.1)
    assert verdict(found, tmp_path / "all", check)["verdict"] == SUPPORTED
    fewer = without(found, "metrics", found.metrics["at"] == "k=5")
    row = verdict(fewer, tmp_path / "fewer", check)
    assert row["verdict"] == INCONCLUSIVE
    assert "k=5" in row["note"]
    one_more = {**check, "units": {"k": [*PLACES, 9]}}
    assert verdict(found, tmp_path / "more", one_more)["verdict"] == INCONCLUSIVE


@pytest.mark.parametrize("side", ["path", "total"])
def test_pairs_of_a_fact_need_both_sides(tmp_path, side):
    cells = [cell(estimator=e) for e in ("path", "total")]
    own = {"path": 1.0, "total": 2.0}
    found = results(tmp_path, cells, lambda c, _: [Row("kl", own[c.params["estimator"]], "nats")])
    check = {**FACT, "versus": {"estimator": "total"}, "pairing": "ratio"}
    check["rule"] = {"within": [0.4, 0.6]}
    row = verdict(found, tmp_path / "whole", check)
    assert (row["verdict"], row["estimate"], row["n"]) == (SUPPORTED, 0.5, 3)
    gone = (found.metrics["estimator"] == side) & (found.metrics["seed"] == 1)
    row = verdict(without(found, "metrics", gone), tmp_path / "fewer", check)
    assert row["verdict"] == INCONCLUSIVE
    assert ":1" in row["note"]


def test_one_row_twice_is_an_error(tmp_path):
    found = results(tmp_path, [cell(estimator="path")], lambda *_: [Row("kl", 0.1, "nats")])
    twice = replace(found, metrics=pd.concat([found.metrics, found.metrics.iloc[:1]]))
    with pytest.raises(UserError, match="two rows of fit-path:0"):
        verdict(twice, tmp_path, {**FACT, "of": 2})


def test_depth_is_signed_and_a_border_is_outside_but_of_a_closed_interval():
    assert inside({"below": 1}, np.array([0.5, 1.0]))[0] == 0.5
    assert inside({"below": 1}, np.array([1.0]))[0] < 0
    assert inside({"within": [0, 1]}, np.array([1.0]))[0] == 0
    assert inside({"equals": 0}, np.array([6.0]), np.array([1.0]))[0] == 0
    assert inside({"differs": 0}, np.array([6.0]), np.array([1.0]))[0] < 0
