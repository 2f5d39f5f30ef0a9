"""What a stretch of a training curve says: its mean over steps, and whether it rises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paper_repro.claims.checks import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.curve_summaries import reduced
from paper_repro.claims.names import read as load_claims
from paper_repro.claims.verdicts import evaluate
from paper_repro.errors import UserError
from paper_repro.rows import Row
from tests.results.made_runs import cell, claims, results

EARLY = {
    "name": "check",
    "select": {"experiment": "fit", "metric": "grad", "estimator": "fixed"}
    | {"progress": {"max": 0.1}},
    "versus": {"estimator": "learned"},
    "pairing": "ratio",
    "span": "mean",
    "statistic": "every",
    "rule": {"above": 10},
}
RISING = {
    "name": "check",
    "select": {"experiment": "fit", "metric": "grad", "estimator": "learned"}
    | {"progress": {"max": 0.5}},
    "span": "spearman",
    "statistic": "every",
    "rule": {"above": 0.8},
}


def curve(values, every):
    """Points every so many of 100 steps, the last at the end."""
    steps = [min(every * (i + 1), 100) for i in range(len(values))]
    return [Row("grad", v, "1", step=s, kind="curve") for v, s in zip(values, steps, strict=True)]


def runs(tmp_path, values, every=5, seeds=3):
    """Runs whose curves are ``values[estimator](seed)``."""
    cells = [cell("fit", estimator=name, seeds=seeds) for name in values]

    def make(one, seed):
        found = values[one.params["estimator"]](seed)
        return found if found in (None, "diverged") else curve(found, every)

    return results(tmp_path, cells, make)


def number(tmp_path, values, stretch, span="mean", every=5):
    found = runs(tmp_path, {"path": lambda _: values}, every, seeds=1)
    made = reduced(found.frame("made", "fit", "grad", "curve"), stretch, span)
    assert len(made) == 1
    return made["value"].iloc[0]


def judged(tmp_path, values, check, **options):
    found = runs(tmp_path, values, **options)
    return evaluate(found, "made", claims(tmp_path / "study", check)).iloc[0]


UP = [float(i) for i in range(1, 21)]  # the mean of steps 5 (i - 1) to 5 i is i


@pytest.mark.parametrize(
    ("stretch", "mean"),
    [({}, 10.5), ({"max": 0.05}, 1.0), ({"max": 0.1}, 1.5), ({"min": 0.9}, 19.5),
     ({"min": 0.05, "max": 0.1}, 2.0), ({"min": 0.07, "max": 0.1}, 2.0)],
)  # fmt: skip
def test_a_stretch_has_the_points_whose_steps_are_in_it(tmp_path, stretch, mean):
    assert number(tmp_path, UP, stretch) == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize(("stretch", "value"), [({"max": 0.01}, 1.0), ({"min": 0.99}, 20.0)])
def test_a_stretch_shorter_than_the_distance_of_points_has_one_and_not_none(
    tmp_path, stretch, value
):
    assert number(tmp_path, UP, stretch) == value


def test_ends_of_a_stretch_are_not_lost_to_rounding(tmp_path):
    # 0.07 * 100 is 7.000000000000001: the step after the seventh does not belong to it.
    assert number(tmp_path, [1.0] * 7 + [100.0] * 93, {"max": 0.07}, every=1) == 1.0


def test_a_last_point_of_fewer_steps_weighs_less(tmp_path):
    values = [1.0, 1.0, 5.0]  # 40, 40 and 20 steps
    assert number(tmp_path, values, {}, every=40) == pytest.approx(1.8)


def test_rank_correlation_of_curves(tmp_path):
    for i, (values, expected) in enumerate(
        [(UP, 1.0), (UP[::-1], -1.0), (np.exp(UP), 1.0), ([1.0, 3.0, 2.0] + UP[3:], 0.9985)]
    ):
        found = number(tmp_path / str(i), list(values), {}, "spearman")
        assert found == pytest.approx(expected, abs=1e-4)
    up_and_down = UP[:10] + UP[:10][::-1]
    found = number(tmp_path / "part", up_and_down, {"max": 0.5}, "spearman")
    assert found == pytest.approx(1.0)


@pytest.mark.parametrize("values", [[1.0] * 20, UP[:2], [*UP[:19], math.nan]])
def test_curves_without_an_order_have_no_rank_correlation(tmp_path, values):
    assert math.isnan(number(tmp_path, values, {}, "spearman"))


def test_series_are_not_mixed(tmp_path):
    found = runs(tmp_path, {"a": lambda s: [1.0 + s] * 4, "b": lambda s: [5.0 + s] * 4}, seeds=2)
    made = reduced(found.frame("made", "fit", "grad", "curve"), {}, "mean")
    values = made.set_index(["estimator", "seed"])["value"].to_dict()
    assert values == {("a", 0): 1.0, ("a", 1): 2.0, ("b", 0): 5.0, ("b", 1): 6.0}


def learned(seed):
    return [1.0 + 0.1 * seed + i for i in range(20)]


def fixed(seed):
    return [30.0 + seed] * 20


def test_means_of_a_stretch_are_paired_and_a_swapped_pair_is_contradicted(tmp_path):
    right = judged(tmp_path / "right", {"fixed": fixed, "learned": learned}, EARLY)
    assert right["verdict"] == SUPPORTED
    assert right["estimate"] == pytest.approx(32 / 1.7)
    assert right["rule"] == (
        "mean grad at progress <= 0.1 of estimator fixed over that of estimator learned: "
        "every value > 10"
    )
    swapped = judged(tmp_path / "swapped", {"fixed": learned, "learned": fixed}, EARLY)
    assert swapped["verdict"] == CONTRADICTED


def test_a_curve_that_rises_in_its_stretch_supports_and_a_falling_one_contradicts(tmp_path):
    found = judged(tmp_path / "up", {"learned": learned}, RISING)
    assert (found["verdict"], found["n"]) == (SUPPORTED, 3)
    assert found["estimate"] == pytest.approx(1.0)
    assert "rank correlation of grad with the step at progress <= 0.5" in found["rule"]
    down = judged(tmp_path / "down", {"learned": lambda s: learned(s)[::-1]}, RISING)
    assert down["verdict"] == CONTRADICTED
    assert down["estimate"] == pytest.approx(-1.0)


@pytest.mark.parametrize("broken", [None, "diverged", [math.nan] * 20, [1.0] * 20])
def test_a_run_without_such_a_number_is_a_gap(tmp_path, broken):
    values = {"learned": lambda s: broken if s == 1 else learned(s)}
    assert judged(tmp_path / "one", values, RISING)["verdict"] == INCONCLUSIVE
    values = {"learned": lambda _: broken}
    assert judged(tmp_path / "all", values, RISING)["verdict"] == NOT_RUN


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"span": "median"}, "'median' is not one of mean, spearman"),
        ({"select": {**RISING["select"], "progress": 0.5}}, "span needs progress as"),
        ({"select": {**RISING["select"], "kind": "final"}}, "no final rows"),
    ],
)
def test_mistakes_about_a_span_are_named(tmp_path, change, message):
    folder = claims(tmp_path / "study", {**RISING, **change})
    with pytest.raises(UserError, match=message):
        load_claims(folder / "claims.yaml", "made")
