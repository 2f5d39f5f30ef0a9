"""How soon a run is as good as its partner was at the end, and marks at a point of training."""

from __future__ import annotations

import math

import pytest

from paper_repro.claims.checks import CONTRADICTED, INCONCLUSIVE, SUPPORTED
from paper_repro.claims.names import read as load_claims
from paper_repro.claims.time_to_target import to_target
from paper_repro.claims.verdicts import evaluate
from paper_repro.errors import UserError
from paper_repro.rows import Row
from tests.results.made_runs import cell, claims, results

MARKS = (10, 30, 100)  # of 100 steps
FAST, SLOW = (-9.0, -4.0, -2.0), (-9.0, -7.0, -4.0)
CHECK = {
    "name": "check",
    "select": {"experiment": "fit", "metric": "elbo", "estimator": "silent"},
    "versus": {"estimator": "total"},
    "pairing": "reach",
    "statistic": "every",
    "rule": {"below": 1, "better": "higher"},
}


def points(values, marks=MARKS, **where):
    *early, last = [
        Row("elbo", v, "nats/image", step=s, kind="curve", **where)
        for v, s in zip(values, marks, strict=True)
    ]
    return [*early, Row("elbo", last.value, "nats/image", step=last.step, **where)]


def runs(tmp_path, values, seeds=3, **params):
    """Runs with the values that ``values[estimator](seed)`` gives at MARKS."""
    cells = [cell("fit", estimator=name, seeds=seeds, **params) for name in values]

    def make(one, seed):
        found = values[one.params["estimator"]](seed)
        return found if found in (None, "diverged") else points(found)

    return results(tmp_path, cells, make)


def judged(tmp_path, values, check=CHECK, **options):
    found = runs(tmp_path, values, **options)
    return evaluate(found, "made", claims(tmp_path / "study", check)).iloc[0]


def reached(tmp_path, values, target, better="higher"):
    found = runs(tmp_path, {"silent": lambda _: values}, seeds=1)
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


def test_a_check_compares_with_the_partner_of_the_same_seed(tmp_path):
    # Seed 2 is a hard one for both: against another seed's partner it would never get there.
    def shifted(values):
        return lambda seed: [v - 100 * (seed == 2) for v in values]

    row = judged(tmp_path, {"silent": shifted(FAST), "total": shifted(SLOW)})
    assert row["verdict"] == SUPPORTED
    assert row["estimate"] == 0.3
    assert row["n"] == 3
    assert row["runs"] == "fit-silent:3 fit-total:3"
    assert row["rule"] == (
        "progress at which elbo of estimator silent is no longer lower than the final one of "
        "estimator total: every value < 1"
    )


def test_swapped_methods_are_contradicted(tmp_path):
    row = judged(tmp_path, {"silent": lambda _: SLOW, "total": lambda _: FAST})
    assert row["verdict"] == CONTRADICTED
    assert row["estimate"] == math.inf


def test_a_seed_that_never_gets_there_contradicts_and_is_not_dropped(tmp_path):
    never = (-9.0, -7.0, -5.0)
    values = {"silent": lambda s: never if s == 1 else FAST, "total": lambda _: SLOW}
    row = judged(tmp_path / "every", values)
    assert row["verdict"] == CONTRADICTED
    assert row["n"] == 3
    rule = {**CHECK["rule"], "at_least": 2, "of": 3}
    row = judged(tmp_path / "count", values, {**CHECK, "statistic": "count", "rule": rule})
    assert row["verdict"] == SUPPORTED
    assert row["note"] == "2 of 3 values in the region"


def test_to_be_as_good_only_at_the_end_is_not_fewer_steps(tmp_path):
    row = judged(tmp_path, {"silent": lambda _: SLOW, "total": lambda _: SLOW})
    assert row["verdict"] == CONTRADICTED
    assert row["estimate"] == 1


@pytest.mark.parametrize("side", ["silent", "total"])
def test_a_failed_run_is_a_gap(tmp_path, side):
    values = {"silent": lambda _: FAST, "total": lambda _: SLOW}
    whole = values[side]
    values[side] = lambda seed: "diverged" if seed == 1 else whole(seed)
    row = judged(tmp_path, values)
    assert row["verdict"] == INCONCLUSIVE
    assert f"fit-{side}:1" in row["note"] or side == "total"
    assert ":1" in row["note"]


MISTAKES = [
    ({"statistic": "mean"}, "'reach' goes with count, every, not 'mean'"),
    ({"rule": {"below": 1}}, "pairing 'reach' needs rule key 'better'"),
    ({"rule": {"below": 1, "better": "larger"}}, "'larger' is not one of lower, higher"),
    ({"pairing": "ratio"}, "rule key 'better' goes with pairing 'reach' alone"),
    ({"select": {**CHECK["select"], "kind": "curve"}}, "looks at all of a curve"),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES)
def test_mistakes_with_reach_are_named_in_one_line(tmp_path, change, message):
    folder = claims(tmp_path / "study", {**CHECK, **change})
    with pytest.raises(UserError) as caught:
        load_claims(folder / "claims.yaml", "made")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_reach_needs_a_partner(tmp_path):
    alone = {name: value for name, value in CHECK.items() if name != "versus"}
    folder = claims(tmp_path / "study", alone)
    with pytest.raises(UserError, match="pairing 'reach' needs versus"):
        load_claims(folder / "claims.yaml", "made")


@pytest.mark.parametrize("steps", [60, 90, 800, 2345, 78000])
def test_a_mark_is_found_by_its_fraction_however_it_was_rounded(tmp_path, steps):
    fractions = (0, 0.01, 0.05, 0.35, 0.5, 0.85)
    marks = sorted({round(f * steps) for f in fractions})
    cells = [cell("fit", estimator=e, steps=steps) for e in ("silent", "total")]

    def make(one, seed):
        gain = one.params["estimator"] == "silent"
        return points([gain * (m + 1.0 + 0.01 * seed) for m in [*marks, steps]], [*marks, steps])

    found = results(tmp_path, cells, make)
    for fraction in fractions:
        check = {
            "name": "check",
            "select": {**CHECK["select"], "kind": "curve", "progress": fraction},
            "versus": {"estimator": "total"},
            "pairing": "difference",
            "statistic": "mean",
            "rule": {"above": 0},
        }
        row = evaluate(found, "made", claims(tmp_path / "study", check)).iloc[0]
        assert row["estimate"] == pytest.approx(round(fraction * steps) + 1.01), fraction
        assert row["n"] == 3
    check["select"]["progress"] = 0.2
    row = evaluate(found, "made", claims(tmp_path / "study", check)).iloc[0]
    assert row["n"] == 0


def test_several_marks_can_be_asked_for_at_once(tmp_path):
    found = runs(tmp_path, {"silent": lambda _: FAST}, seeds=2)
    select = {**CHECK["select"], "kind": "curve", "progress": [0.1, 0.3]}
    check = {"name": "check", "select": select, "statistic": "every", "rule": {"below": 0}}
    assert evaluate(found, "made", claims(tmp_path / "study", check)).iloc[0]["n"] == 4
