"""How soon a run is as good as another one was at its end."""

from __future__ import annotations

import math

import pytest

from paper_repro.claims.time_to_target import to_target
from paper_repro.rows import Row
from tests.results.made_runs import cell, results

MARKS = (10, 30, 100)  # of 100 steps
FAST, SLOW = (-9.0, -4.0, -2.0), (-9.0, -7.0, -4.0)


def points(values, marks=MARKS, **where):
    *early, last = [
        Row("elbo", v, "nats/image", step=s, kind="curve", **where)
        for v, s in zip(values, marks, strict=True)
    ]
    return [*early, Row("elbo", last.value, "nats/image", step=last.step, **where)]


def reached(tmp_path, values, target, better="higher"):
    cells = [cell("fit", estimator="silent", seeds=1)]
    found = results(tmp_path, cells, lambda *_: points(values))
    finals = found.finals("made", "fit", "elbo")
    return to_target(found, finals, [target], better).iloc[0]


@pytest.mark.parametrize(
    ("target", "step"), [(-10.0, 10), (-9.0, 10), (-4.5, 30), (-2.0, 100), (-1.0, math.inf)]
)
def test_the_first_point_that_is_at_least_as_good_counts(tmp_path, target, step):
    found = reached(tmp_path, FAST, target)
    assert found["step"] == step
    assert found["progress"] == step / 100
    assert found["seconds"] == step / 50.0  # the made-up runs make 50 steps a second


def test_where_lower_is_better_the_order_turns(tmp_path):
    assert reached(tmp_path, (9.0, 4.0, 2.0), 4.5, "lower")["step"] == 30
    assert reached(tmp_path, (9.0, 4.0, 2.0), 1.0, "lower")["step"] == math.inf


def test_a_run_that_falls_back_has_reached_it_all_the_same(tmp_path):
    assert reached(tmp_path, (-2.0, math.nan, -9.0), -3.0)["step"] == 10


def test_training_curves_of_another_quantity_do_not_count(tmp_path):
    rows = points(SLOW, split="test") + points((0.0, 0.0, 0.0), split="train")
    found = results(tmp_path, [cell("fit", estimator="silent", seeds=1)], lambda *_: rows)
    finals = found.finals("made", "fit", "elbo")
    finals = finals[finals["split"] == "test"]
    assert to_target(found, finals, [-7.0], "higher")["step"].tolist() == [30]


def test_a_target_must_be_a_number_and_a_direction_known(tmp_path):
    for target, better, message in [
        (math.nan, "higher", "targets: must be finite"),
        (1.0, "highest", "better: 'highest' is not one of lower, higher"),
    ]:
        with pytest.raises(ValueError, match=message):
            reached(tmp_path, FAST, target, better)
