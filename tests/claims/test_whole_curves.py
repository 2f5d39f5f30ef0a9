"""A curve that lost a point of any place is a gap, and its siblings are not."""

from __future__ import annotations

import pandas as pd
import pytest

from paper_repro.claims.check import read
from paper_repro.claims.selection import curves
from paper_repro.claims.whole_curves import whole
from paper_repro.rows import Row
from tests.results.made_runs import ALL, SELECT, cell, claims, curve, results, without

STEPS = {"loop": range(10, 101, 10), "marks": (20, 50), "every": range(0, 101, 25)}


def points(found, **wanted):
    rows = found.curves
    return pd.concat([rows[name] == value for name, value in wanted.items()], axis=1).all(axis=1)


def recorded(tmp_path, seeds=3):
    """Curves as the three of them record: the loop, evaluations at marks, and at every so many."""
    one = cell(estimator="path", seeds=seeds, curve_points=10, marks=[0.2, 0.5, 1.0],
               probe_every=25)  # fmt: skip

    def make(_, seed):
        return [
            Row(name, 1.0 + seed, "1", step=step, kind="curve")
            for name, steps in STEPS.items()
            for step in steps
        ]

    return results(tmp_path, [one], make)


def complete(found, metric):
    rows = found.frame("made", "fit", metric, "curve")
    found = whole(found, "made", rows)
    return rows.assign(whole=found).groupby("seed")["whole"].agg(["all", "any"])


@pytest.mark.parametrize("kind", STEPS)
def test_a_curve_with_all_points_of_its_schedule_is_whole(tmp_path, kind):
    assert complete(recorded(tmp_path), kind).all(axis=None)


@pytest.mark.parametrize(
    ("kind", "step"), [(kind, step) for kind in STEPS for step in (min(STEPS[kind]),
                       sorted(STEPS[kind])[1], max(STEPS[kind]))]
)  # fmt: skip
def test_a_curve_that_lost_a_point_of_any_place_is_not_and_its_siblings_are(tmp_path, kind, step):
    found = recorded(tmp_path)
    fewer = without(found, "curves", points(found, metric=kind, seed=1, step=step))
    assert complete(fewer, kind)["all"].tolist() == [True, False, True]


def test_points_that_all_seeds_lost_are_missed_as_well(tmp_path):
    found = recorded(tmp_path)
    for step in (20, 50):
        fewer = without(found, "curves", points(found, metric="loop", step=step))
        assert not complete(fewer, "loop").any(axis=None)


def test_another_schedules_points_do_not_pass_for_a_curves_own(tmp_path):
    """What is left of the loop's curve lies at the marks; that of its siblings does not."""
    found = recorded(tmp_path)
    lost = points(found, metric="loop", seed=1) & ~found.curves["step"].isin([20, 50])
    assert complete(without(found, "curves", lost), "loop")["all"].tolist() == [True, False, True]


def test_curves_of_a_selection_have_a_row_of_nothing_for_what_is_not_whole(tmp_path):
    cells = [cell(estimator=e, dataset="a", curve_points=10) for e in ("path", "total")]
    found = results(tmp_path, cells, lambda *_: curve("loss", range(10), 10, split="train"))
    check = {**ALL, "select": {**SELECT, "metric": "loss"}}
    (check,) = read(claims(tmp_path / "study", check) / "claims.yaml", "made")[0].checks
    rows = curves(found, check)
    assert rows.groupby("seed").size().tolist() == [10, 10, 10]
    assert list(rows.columns) == ["unit", "seed", "run", "step", "progress", "value"]
    fewer = without(found, "curves", points(found, cell="fit-path-a", seed=1, step=100))
    rows = curves(fewer, check)
    assert rows.groupby("seed").size().tolist() == [10, 1, 10]
    gap = rows[rows["seed"] == 1].iloc[0]
    assert gap[["step", "value"]].isna().all()
    assert (gap["unit"], gap["run"]) == ("dataset=a", "fit-path-a:1")


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_point_that_is_no_number_is_a_lost_one(tmp_path, kind, bad):
    found = recorded(tmp_path)
    place = points(found, metric=kind, seed=1, step=sorted(STEPS[kind])[1])
    assert place.sum() == 1
    found.curves.loc[place, "value"] = bad
    assert complete(found, kind)["all"].to_dict() == {0: True, 1: False, 2: True}
    assert not complete(found, kind).loc[1, "any"]
