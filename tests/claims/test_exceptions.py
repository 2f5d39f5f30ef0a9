"""Exceptions by rule, bounds that prove one direction, and heights above another method's curve."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from paper_repro.claims.checks import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.interpolation import height
from paper_repro.claims.names import read as load_claims
from paper_repro.claims.verdicts import evaluate
from paper_repro.errors import UserError
from paper_repro.rows import Row, coordinates
from tests.results.made_runs import cell, claims, results

GIVEN = {
    "name": "met",
    "select": {"experiment": "sweep", "metric": "ratio"},
    "units": ["dataset", "k"],
    "given": {"select": {"experiment": "floor", "metric": "excess"}, "value": {"max": 0}},
    "statistic": "every",
    "rule": {"within": [0.95, 1.05]},
}


def floors(tmp_path, ratios, floor=0.07, ran=True):
    """Runs at thresholds k that end with ``ratios[k]``, and a floor that is not of all seeds."""
    cells = [cell("sweep", dataset="a", k=k, seeds=3) for k in ratios]
    cells += [cell("floor", dataset="a", seeds=1)]

    def make(one, seed):
        if one.experiment == "sweep":
            return [Row("ratio", ratios[one.params["k"]], "1")]
        if not ran:
            return None
        return [Row("excess", math.log(floor / k), "1", at=coordinates(k=k)) for k in (0.06, 0.1)]

    return results(tmp_path, cells, make)


def judged(tmp_path, found, check):
    tmp_path.mkdir(exist_ok=True)
    return evaluate(found, "made", claims(tmp_path / "study", check)).iloc[0]


def test_what_the_rule_excepts_is_left_out_and_named(tmp_path):
    row = judged(tmp_path, floors(tmp_path, {0.06: 1.2, 0.1: 1.01}), GIVEN)
    assert (row["verdict"], row["n"]) == (SUPPORTED, 3)
    assert "excluded by rule: dataset=a, k=0.06" in row["note"]
    without = {k: v for k, v in GIVEN.items() if k != "given"}
    row = judged(tmp_path / "all", floors(tmp_path / "all", {0.06: 1.2, 0.1: 1.01}), without)
    assert row["verdict"] == CONTRADICTED


def test_a_failure_that_the_rule_does_not_except_counts(tmp_path):
    row = judged(tmp_path, floors(tmp_path, {0.06: 1.2, 0.1: 1.2}), GIVEN)
    assert row["verdict"] == CONTRADICTED
    row = judged(tmp_path / "low", floors(tmp_path / "low", {0.06: 1.2}, floor=0.05), GIVEN)
    assert row["verdict"] == CONTRADICTED


def test_nothing_is_excepted_where_the_floor_is_unknown(tmp_path):
    row = judged(tmp_path, floors(tmp_path, {0.06: 1.0, 0.1: 1.0}, ran=False), GIVEN)
    assert row["verdict"] == NOT_RUN  # no value can count
    assert "missing or diverged: sweep" in row["note"]


def test_where_all_is_excepted_nothing_is_decided(tmp_path):
    row = judged(tmp_path, floors(tmp_path, {0.06: 1.0}), GIVEN)
    assert row["verdict"] == NOT_RUN
    assert "excluded by rule" in row["note"]


@pytest.mark.parametrize(
    ("level", "plain", "bound"),
    [(1.0, SUPPORTED, SUPPORTED), (-1.0, CONTRADICTED, INCONCLUSIVE)],
)
def test_a_bound_proves_one_direction_and_never_the_other(tmp_path, level, plain, bound):
    cells = [cell("fit", estimator="path", seeds=4)]
    found = results(tmp_path, cells, lambda _, s: [Row("kl", level + 0.01 * s, "nats")])
    check = {"name": "apart", "select": {"experiment": "fit", "metric": "kl"}}
    check |= {"statistic": "mean", "rule": {"above": 0}}
    assert judged(tmp_path / "plain", found, check)["verdict"] == plain
    row = judged(tmp_path / "bound", found, {**check, "supports_only": True})
    assert row["verdict"] == bound
    assert ("decides nothing" in row["note"]) == (bound == INCONCLUSIVE)
    assert row["rule"].endswith(", otherwise inconclusive")


def test_heights_are_above_the_line_between_the_points_in_ln_x():
    curve = pd.DataFrame({"seed": [0, 0, 0], "x": [4.0, 1.0, 2.0], "value": [0.0, 20.0, 10.0]})
    x = [1.0, math.sqrt(2), 4.0, 4.1, 0.9]
    points = pd.DataFrame({"seed": 0, "x": x, "value": 15.0})
    found = height(points, curve, ["seed"])
    np.testing.assert_allclose(found[:3], [-5.0, 0.0, 15.0], atol=1e-12)
    assert found[3] == math.inf
    assert math.isnan(found[4])
    assert np.isnan(height(points.assign(seed=1), curve, ["seed"])).all()


ALONG = {
    "name": "above",
    "select": {"experiment": "base", "metric": "rate"},
    "versus": {"experiment": "sweep"},
    "along": {"metric": "mse"},
    "units": ["dataset"],
    "statistic": "every",
    "rule": {"above": 0},
}


def plane(tmp_path, rate, mse):
    """A baseline's point, and a sweep in which rate = -10 ln mse, plus what the seed adds."""
    cells = [cell("sweep", dataset="a", k=k) for k in (0.01, 0.02, 0.04)]
    cells += [cell("base", dataset="a")]

    def make(one, seed):
        error = one.params.get("k", mse)
        height = -10 * math.log(error) + 100 * seed
        kl = height + rate if one.experiment == "base" else height
        return [Row("rate", kl, "nats/image"), Row("mse", error, "mse/pixel")]

    return results(tmp_path, cells, make)


@pytest.mark.parametrize(
    ("rate", "mse", "verdict"),
    [
        (1.0, 0.015, SUPPORTED),
        (-1.0, 0.015, CONTRADICTED),
        (-1.0, 0.05, SUPPORTED),  # beyond the sweep
        (1.0, 0.005, NOT_RUN),  # where the sweep does not go: no support
    ],
)
def test_a_baseline_is_compared_with_the_sweep_at_its_own_error(tmp_path, rate, mse, verdict):
    row = judged(tmp_path, plane(tmp_path, rate, mse), ALONG)
    assert row["verdict"] == verdict
    if verdict == SUPPORTED:
        assert row["estimate"] == (pytest.approx(1.0) if mse < 0.04 else math.inf)


def test_along_refuses_statistics_of_what_may_be_infinite(tmp_path):
    folder = claims(tmp_path, {**ALONG, "statistic": "mean"})
    with pytest.raises(UserError, match="along goes with count, every"):
        load_claims(folder / "claims.yaml", "made")
