"""What had not arrived at its end, or is not known to have, decides nothing."""

from __future__ import annotations

import pandas as pd
import pytest

from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, SUPPORTED
from paper_repro.rows import Row
from tests.results.made_runs import FACT, MEAN, cell, curve, noise, results, verdict, without

RULE = {"metric": "multiplier", "last": 0.2, "within": 0.1}
SETTLED = {**MEAN, "settled": RULE}
FLAT = [10.0, 5.0, 3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
RISING = [*FLAT[:8], 2.0, 2.3]  # by 0.3 in half of the last fifth: 35 % from end to end


def runs(tmp_path, values, seeds=3, **params):
    """Runs of `path` and `total` with curves ``values[estimator](seed)``, of a point every 10."""
    cells = [cell(estimator=e, seeds=seeds, curve_points=10, **params) for e in ("path", "total")]

    def make(one, seed):
        name = one.params["estimator"]
        rows = curve("multiplier", values[name](seed), 10, split="train")
        return [Row("kl", (name == "total") + 0.1 * noise(name, seed), "nats"), *rows]

    return results(tmp_path, cells, make)


def flat(_):
    return FLAT


def test_what_has_settled_is_decided(tmp_path):
    row = verdict(runs(tmp_path, {"path": flat, "total": flat}), tmp_path, SETTLED)
    assert (row["verdict"], row["note"]) == (SUPPORTED, "")
    assert row["rule"].endswith(
        ", once multiplier has settled (by 10 % over the last 20 % of the run)"
    )


@pytest.mark.parametrize("of", ["select", "versus", "both"])
@pytest.mark.parametrize("side", ["path", "total"])
def test_one_run_that_has_not_settled_leaves_it_open_on_the_sides_asked(tmp_path, side, of):
    values = {"path": flat, "total": flat, side: lambda s: RISING if s == 1 else FLAT}
    check = {**MEAN, "settled": {**RULE, "of": of}}
    row = verdict(runs(tmp_path, values), tmp_path, check)
    asked = {"select": ["path"], "versus": ["total"], "both": ["path", "total"]}[of]
    assert row["verdict"] == (INCONCLUSIVE if side in asked else SUPPORTED)
    assert (f"not settled: fit-{side}:1 (35 %)" in row["note"]) == (side in asked)


def test_it_opens_a_refutation_and_a_fact_as_well(tmp_path):
    found = runs(tmp_path, {"path": lambda s: RISING, "total": flat})
    turned = {**SETTLED, "rule": {"above": 0}}
    assert verdict(found, tmp_path / "f", {**MEAN, "rule": {"above": 0}})["verdict"] == CONTRADICTED
    assert verdict(found, tmp_path / "t", turned)["verdict"] == INCONCLUSIVE
    for name, rule in {"holds": {"below": 9}, "fails": {"above": 9}}.items():
        fact = {**FACT, "rule": rule, "settled": RULE}
        row = verdict(found, tmp_path / name, fact)
        assert (row["verdict"], "not settled" in row["note"]) == (INCONCLUSIVE, True), name


def points(found, **wanted):
    rows = found.curves
    return pd.concat([rows[name] == value for name, value in wanted.items()], axis=1).all(axis=1)


@pytest.mark.parametrize("step", [10, 50, 90, 100, None])
def test_a_curve_that_lost_points_is_not_known_to_have_settled(tmp_path, step):
    found = runs(tmp_path, {"path": flat, "total": flat})
    where = {"cell": "fit-path", "seed": 2} | ({"step": step} if step else {})
    row = verdict(without(found, "curves", points(found, **where)), tmp_path, SETTLED)
    assert row["verdict"] == INCONCLUSIVE
    assert "not known to be settled: fit-path:2" in row["note"]


def test_too_few_points_to_see_a_change_are_not_settled(tmp_path):
    found = runs(tmp_path, {"path": flat, "total": flat})
    row = verdict(found, tmp_path, {**MEAN, "settled": {**RULE, "last": 0.1}})
    assert row["verdict"] == INCONCLUSIVE
    assert "not known to be settled" in row["note"]


@pytest.mark.parametrize(("drift", "expected"), [(0.08, SUPPORTED), (0.12, INCONCLUSIVE)])
def test_the_change_is_that_of_the_whole_stretch(tmp_path, drift, expected):
    """Not that between its halves, which is half of it."""

    def drifting(_):
        return [10.0, 5.0, *(2.0 * (1 + drift * max(0.0, (i - 80) / 20)) for i in range(3, 101))]

    cells = [cell(estimator=e, seeds=3, curve_points=100) for e in ("path", "total")]

    def make(one, seed):
        name = one.params["estimator"]
        rows = curve("multiplier", drifting(seed), 1, split="train")
        return [Row("kl", (name == "total") + 0.1 * noise(name, seed), "nats"), *rows]

    row = verdict(results(tmp_path, cells, make), tmp_path, SETTLED)
    assert row["verdict"] == expected
