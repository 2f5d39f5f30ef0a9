"""What a stretch of a training curve says: its mean over steps, and whether it rises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, SUPPORTED
from paper_repro.claims.curve_summaries import reduced
from paper_repro.rows import Row
from tests.results.made_runs import cell, curve, results, verdict, without

EARLY = {
    "name": "check",
    "kind": "finding",
    "select": {"experiment": "fit", "metric": "grad", "estimator": "fixed"}
    | {"progress": {"max": 0.1}},
    "versus": {"estimator": "learned"},
    "pairing": "log_ratio",
    "span": "mean",
    "statistic": "mean",
    "rule": {"above": math.log(10)},
}
RISING = {
    "name": "check",
    "kind": "finding",
    "select": {"experiment": "fit", "metric": "grad", "estimator": "learned"}
    | {"progress": {"max": 0.5}},
    "span": "spearman",
    "statistic": "mean",
    "rule": {"above": 0.8},
}


def runs(tmp_path, values, every=5, seeds=3):
    """Runs whose curves are ``values[estimator](seed)``."""
    points = -(-100 // every)
    cells = [cell("fit", estimator=name, seeds=seeds, curve_points=points) for name in values]

    def make(one, seed):
        found = values[one.params["estimator"]](seed)
        return found if found in (None, "diverged") else curve("grad", found, every)

    return results(tmp_path, cells, make)


def number(tmp_path, values, stretch, span="mean", every=5):
    found = runs(tmp_path, {"path": lambda _: values}, every, seeds=1)
    made = reduced(found.frame("made", "fit", "grad", "curve"), stretch, span)
    assert len(made) == 1
    return made["value"].iloc[0]


def judged(tmp_path, values, check, **options):
    return verdict(runs(tmp_path, values, **options), tmp_path, check)


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


def uneven(seed):
    """Rises, but for two points that the seed swaps."""
    values = learned(seed)
    values[seed + 1], values[seed + 3] = values[seed + 3], values[seed + 1]
    values[5] += seed
    return values


@pytest.mark.parametrize(
    ("span", "stretch", "value"),
    [("lowest", {"max": 0.5}, 1.0), ("highest", {"min": 0.5}, 20.0), ("highest", {"max": 0.2}, 4.0)]
)  # fmt: skip
def test_extremes_are_those_of_the_stretch(tmp_path, span, stretch, value):
    assert number(tmp_path, UP, stretch, span) == value


def test_means_of_a_stretch_are_paired_and_a_swapped_pair_is_contradicted(tmp_path):
    right = judged(tmp_path / "right", {"fixed": fixed, "learned": learned}, EARLY)
    assert right["verdict"] == SUPPORTED
    ratios = [(30 + s) / (1.5 + 0.1 * s) for s in range(3)]
    assert right["estimate"] == pytest.approx(np.mean(np.log(ratios)))
    assert right["rule"].startswith(
        "log of mean grad at progress <= 0.1 of estimator fixed over that of estimator learned: "
        "mean > 2.30"
    )
    swapped = judged(tmp_path / "swapped", {"fixed": learned, "learned": fixed}, EARLY)
    assert swapped["verdict"] == CONTRADICTED


def test_a_curve_that_rises_in_its_stretch_supports_and_a_falling_one_contradicts(tmp_path):
    found = judged(tmp_path / "up", {"learned": uneven}, RISING)
    assert (found["verdict"], found["n"]) == (SUPPORTED, 3)
    assert 0.8 < found["estimate"] < 1
    assert "rank correlation of grad with the step at progress <= 0.5" in found["rule"]
    down = judged(tmp_path / "down", {"learned": lambda s: [-v for v in uneven(s)]}, RISING)
    assert down["verdict"] == CONTRADICTED
    assert down["estimate"] == pytest.approx(-found["estimate"])


@pytest.mark.parametrize("broken", [None, "diverged", [math.nan] * 20, [1.0] * 20])
def test_a_run_without_such_a_number_is_a_gap(tmp_path, broken):
    values = {"learned": lambda s: broken if s == 1 else uneven(s)}
    row = judged(tmp_path / "one", values, RISING)
    assert (row["verdict"], row["n"]) == (INCONCLUSIVE, 2)
    assert "fit-learned:1" in row["note"]
    row = judged(tmp_path / "all", {"learned": lambda _: broken}, RISING)
    assert row["verdict"] not in (SUPPORTED, CONTRADICTED)
    assert row["n"] == 0


@pytest.mark.parametrize("span", ["mean", "spearman", "lowest", "highest"])
@pytest.mark.parametrize("step", [5, 40, 95, 100])
def test_a_curve_that_lost_a_point_anywhere_is_a_gap(tmp_path, span, step):
    found = runs(tmp_path, {"learned": uneven})
    lost = (found.curves["seed"] == 1) & (found.curves["step"] == step)
    check = {**RISING, "span": span, "rule": {"above": -9}}
    assert verdict(found, tmp_path / "whole", check)["n"] == 3
    row = verdict(without(found, "curves", lost), tmp_path / "fewer", check)
    assert (row["verdict"], row["n"]) == (INCONCLUSIVE, 2)
    assert "fit-learned:1" in row["note"]


# A single mark of a curve


def marked(values, marks):
    *early, last = [
        Row("elbo", v, "nats/image", step=s, kind="curve", split="test")
        for v, s in zip(values, marks, strict=True)
    ]
    return [*early, Row("elbo", last.value, "nats/image", step=last.step, split="test")]


@pytest.mark.parametrize("steps", [60, 90, 800, 2345, 78000])
def test_a_mark_is_found_by_its_fraction_however_it_was_rounded(tmp_path, steps):
    fractions = (0, 0.01, 0.05, 0.35, 0.5, 0.85)
    marks = sorted({round(f * steps) for f in fractions})
    cells = [cell("fit", estimator=e, steps=steps, marks=fractions) for e in ("silent", "total")]

    def make(one, seed):
        gain = one.params["estimator"] == "silent"
        values = [gain * (m + 1.0) * (1 + 0.01 * seed) for m in [*marks, steps]]
        return marked(values, [*marks, steps])

    found = results(tmp_path, cells, make)
    for fraction in (*fractions, 0.2):
        select = {"experiment": "fit", "metric": "elbo", "estimator": "silent"}
        check = {
            "name": "check",
            "kind": "finding",
            "select": {**select, "kind": "curve", "progress": fraction},
            "versus": {"estimator": "total"},
            "pairing": "difference",
            "statistic": "mean",
            "rule": {"above": 0},
        }
        row = verdict(found, tmp_path / str(fraction), check)
        if fraction == 0.2:  # where nothing was measured
            assert (row["verdict"], row["n"]) == (INCONCLUSIVE, 0)
        else:
            assert row["estimate"] == pytest.approx(1.01 * (round(fraction * steps) + 1))
            assert (row["verdict"], row["n"]) == (SUPPORTED, 3)


def test_several_marks_can_be_asked_for_at_once(tmp_path):
    one = cell("fit", estimator="silent", seeds=2, marks=[0.1, 0.3])
    found = results(tmp_path, [one], lambda *_: marked([-9.0, -4.0, -2.0], [10, 30, 100]))
    select = {"experiment": "fit", "metric": "elbo", "kind": "curve", "progress": [0.1, 0.3]}
    check = {"name": "check", "kind": "fact", "select": select, "of": 2, "rule": {"below": 0}}
    row = verdict(found, tmp_path, check)
    assert (row["verdict"], row["n"], row["estimate"]) == (SUPPORTED, 2, -4.0)
