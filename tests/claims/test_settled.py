"""What had not arrived at its end, or is not known to have, decides nothing."""

from __future__ import annotations

import sys
from types import ModuleType

import pandas as pd
import pytest

from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.check import read
from paper_repro.claims.selection import curves, table
from paper_repro.claims.whole_curves import whole
from paper_repro.errors import UserError
from paper_repro.rows import Row
from tests.results.made_runs import (
    ALL,
    FACT,
    MEAN,
    cell,
    claims,
    curve,
    noise,
    results,
    verdict,
    without,
)

RULE = {"metric": "multiplier", "last": 0.2, "within": 0.1}
SETTLED = {**MEAN, "settled": RULE}
FLAT = [10.0, 5.0, 3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
RISING = [*FLAT[:8], 2.0, 2.3]  # 15 % over the last fifth


def runs(tmp_path, values, seeds=3, **params):
    """Runs of `path` and `total` with curves ``values[estimator](seed)``, of a point every 10."""
    cells = [
        cell(estimator=e, seeds=seeds, curve_points=10, **params) for e in ("path", "total")
    ]

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
    assert (f"not settled: fit-{side}:1 (15 %)" in row["note"]) == (side in asked)


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


# Whole curves


STEPS = {"loop": range(10, 101, 10), "marks": (20, 50), "every": range(0, 101, 25)}


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
    found = runs(tmp_path, {"path": flat, "total": flat}, dataset="a")
    select = {"experiment": "fit", "metric": "multiplier", "estimator": "path"}
    check = {**ALL, "select": select, "versus": {"estimator": "total"}}
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


# Samples


def sampled(monkeypatch, function):
    module = ModuleType("samples")
    module.gain = function  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "paper_repro.studies.made.samples", module)


SAMPLE = {**ALL, "sample": "gain"}


def asked(tmp_path, check, name="study"):
    folder = tmp_path / name
    folder.mkdir(parents=True)
    (folder / "samples.py").write_text("def gain(results, check): ...\n")
    return check


@pytest.fixture
def found(tmp_path):
    cells = [cell(dataset=d, estimator=e, seeds=4) for d in "ab" for e in ("path", "total")]
    return results(
        tmp_path / "made", cells,
        lambda c, s: [Row("kl", (c.params["estimator"] == "total") + 0.1 * noise(c.id, s), "nats")],
    )  # fmt: skip


def changed(**columns):
    """A sample that is the plain table, with some of its values replaced."""

    def function(results, check):
        rows = table(results, check)[["unit", "seed", "run", "value"]]
        return rows.assign(**{name: values(rows) for name, values in columns.items()})

    return function


def test_a_sample_takes_the_place_of_the_table(tmp_path, found, monkeypatch):
    sampled(monkeypatch, changed(value=lambda rows: rows["value"] * 2))
    plain = verdict(found, tmp_path / "plain", ALL)
    row = verdict(found, tmp_path, asked(tmp_path, SAMPLE))
    assert row["estimate"] == pytest.approx(2 * plain["estimate"])
    assert (row["verdict"], row["runs"]) == (SUPPORTED, plain["runs"])
    assert row["rule"].startswith("gain of kl")


def test_a_gap_of_a_sample_decides_nothing(tmp_path, found, monkeypatch):
    sampled(monkeypatch, changed(value=lambda rows: rows["value"].mask(rows.index == 1)))
    row = verdict(found, tmp_path, asked(tmp_path, SAMPLE))
    assert row["verdict"] == INCONCLUSIVE
    assert "fit-a-path:1" in row["note"]


def test_bounds_support_from_the_unfavourable_and_refute_from_the_favourable_end(
    tmp_path, found, monkeypatch
):
    def wide(by):
        return changed(low=lambda r: r["value"] - by, high=lambda r: r["value"] + by)

    turned = {**SAMPLE, "rule": {"above": 0}}
    for name, by, expected in [("near", 0.1, SUPPORTED), ("wide", 5, INCONCLUSIVE)]:
        sampled(monkeypatch, wide(by))
        row = verdict(found, tmp_path / name, asked(tmp_path, SAMPLE, f"{name}/study"))
        assert row["verdict"] == expected
        row = verdict(found, tmp_path / name / "t", asked(tmp_path, turned, f"{name}/t/study"))
        assert row["verdict"] == {SUPPORTED: CONTRADICTED}.get(expected, INCONCLUSIVE)


def test_units_that_a_rule_excepts_are_left_out_and_named(tmp_path, found, monkeypatch):
    def except_(units):
        return changed(
            excepted=lambda r: ["below the floor" * (u in units) for u in r["unit"]],
            value=lambda r: r["value"].mask(r["unit"] == "dataset=b", 1.0 + r["seed"]),
        )

    sampled(monkeypatch, except_([]))
    assert verdict(found, tmp_path / "n", asked(tmp_path, SAMPLE, "n/study"))["verdict"] != SUPPORTED
    sampled(monkeypatch, except_(["dataset=b"]))
    row = verdict(found, tmp_path / "b", asked(tmp_path, SAMPLE, "b/study"))
    assert row["verdict"] == SUPPORTED
    assert "excepted by rule (below the floor): dataset=b" in row["note"]
    assert "fit-b" not in row["runs"]
    sampled(monkeypatch, except_(["dataset=a", "dataset=b"]))
    row = verdict(found, tmp_path / "all", asked(tmp_path, SAMPLE, "all/study"))
    assert row["verdict"] == NOT_RUN
    assert "excepted by rule" in row["note"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda r, c: table(r, c).drop(columns="seed"), "sample gain returns no seed"),
        (lambda r, c: table(r, c).drop(columns="value"), "sample gain returns no value"),
        (lambda r, c: pd.concat([table(r, c)] * 2), "returns a unit and seed twice"),
    ],
)
def test_a_sample_that_is_none_is_an_error(tmp_path, found, monkeypatch, function, message):
    sampled(monkeypatch, function)
    with pytest.raises(UserError, match=message):
        verdict(found, tmp_path, asked(tmp_path, SAMPLE))
