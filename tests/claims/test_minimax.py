"""The best single setting for all units: per seed the smallest of the largest, then over seeds."""

from __future__ import annotations

import numpy as np
import pytest

from paper_repro.claims.checks import CONTRADICTED, INCONCLUSIVE, SUPPORTED
from paper_repro.claims.verdicts import evaluate
from paper_repro.rows import Row
from tests.results.made_runs import cell, claims, results

SETTINGS = (0.01, 0.1, 1.0)
# Data set a wants a small beta, b a large one; 0.1 is the compromise, 0.5 from both.
OFF = {"a": (0.1, 0.5, 2.0), "b": (2.0, 0.4, 0.1)}
CHECK = {
    "name": "best",
    "select": {"experiment": "fixed", "metric": "off"},
    "units": ["dataset"],
    "statistic": "minimax",
    "rule": {"x": "beta", "above": 0.4},
}


def made(tmp_path, geco=0.05, without=(), seeds=4):
    cells = [
        cell("fixed", dataset=d, beta=b, seeds=seeds)
        for d in OFF for b in SETTINGS if (d, b) not in without
    ]  # fmt: skip
    cells += [cell("geco", dataset=d, seeds=seeds) for d in OFF]

    def make(one, seed):
        p = one.params
        if one.experiment == "geco":
            return [Row("off", geco * (1 if p["dataset"] == "a" else 0.01), "1")]
        away = OFF[p["dataset"]][SETTINGS.index(p["beta"])]
        return [Row("off", away * (1 + 0.01 * seed), "1")]

    return results(tmp_path, cells, make)


def judged(tmp_path, check, **options):
    tmp_path.mkdir(exist_ok=True)
    folder = claims(tmp_path / "study", check, coordinates=["beta"])
    return evaluate(made(tmp_path, **options), "made", folder).iloc[0]


def test_the_best_single_setting_is_the_one_whose_worst_unit_is_best(tmp_path):
    row = judged(tmp_path, CHECK)
    assert row["estimate"] == pytest.approx(np.mean([0.5 * (1 + 0.01 * s) for s in range(4)]))
    assert (row["verdict"], row["n"]) == (SUPPORTED, 4)
    assert "best single beta" in row["rule"]


@pytest.mark.parametrize(
    ("wrong", "value"),
    [
        ("the best setting of every unit", max(min(v) for v in OFF.values())),
        ("the worst of all", max(max(v) for v in OFF.values())),
        ("the mean over units", min(np.mean(list(OFF.values()), axis=0))),
    ],
)
def test_it_is_none_of_the_numbers_that_it_could_be_taken_for(tmp_path, wrong, value):
    row = judged(tmp_path, CHECK)
    assert abs(row["estimate"] - value * 1.015) > 0.04, wrong


def test_of_a_ratio_both_sides_are_reduced_apart(tmp_path):
    check = {**CHECK, "versus": {"experiment": "geco"}, "pairing": "ratio"}
    check["rule"] = {"x": "beta", "above": 5}
    row = judged(tmp_path / "near", check)
    assert row["estimate"] == pytest.approx(1.015 * 0.5 / 0.05)  # not 0.4 / 0.0005
    assert row["verdict"] == SUPPORTED
    assert judged(tmp_path / "far", check, geco=0.2)["verdict"] == CONTRADICTED


def test_a_unit_that_lacks_a_setting_leaves_it_open(tmp_path):
    row = judged(tmp_path, CHECK, without=[("b", 0.01)])
    assert row["verdict"] == INCONCLUSIVE  # else 0.01 with its one unit would be best
    assert "not every unit has all 3 settings" in row["note"]
