"""What a study's own function makes of the rows takes the place of the planned table."""

from __future__ import annotations

import sys
from types import ModuleType

import pandas as pd
import pytest

from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.selection import table
from paper_repro.errors import UserError
from paper_repro.rows import Row
from tests.results.made_runs import ALL, cell, noise, results, verdict


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
    assert (
        verdict(found, tmp_path / "n", asked(tmp_path, SAMPLE, "n/study"))["verdict"] != SUPPORTED
    )
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
        (changed(value=lambda r: r["value"] < 0), "returns a value that is no number"),
        (changed(value=lambda r: r["value"].astype(str)), "returns a value that is no number"),
        (changed(low=lambda r: r["value"] + 1, high=lambda r: r["value"]), "a low above its high"),
        (changed(run=lambda r: None), "something else than texts in unit, run"),
        (changed(run=lambda r: ""), "returns a row that names no run"),
        (changed(run=lambda r: "no-such-run:0"), "no-such-run:0, which is no planned run"),
        (changed(excepted=lambda r: True), "something else than texts in unit, run, excepted"),
        (
            changed(excepted=lambda r: ["low" * (seed == 0) for seed in r["seed"]]),
            "a unit that is excepted at some seeds alone",
        ),
        (changed(seed=lambda r: r["seed"] + 10), "seed 10, which is not planned"),
    ],
)
def test_a_sample_that_is_none_is_an_error(tmp_path, found, monkeypatch, function, message):
    sampled(monkeypatch, function)
    with pytest.raises(UserError, match=message):
        verdict(found, tmp_path, asked(tmp_path, SAMPLE))


def test_a_planned_seed_that_a_sample_leaves_out_is_a_gap(tmp_path, found, monkeypatch):
    sampled(monkeypatch, lambda r, c: changed()(r, c).query("seed != 0"))
    row = verdict(found, tmp_path, asked(tmp_path, SAMPLE))
    assert (row["verdict"], row["n"]) == (INCONCLUSIVE, 3)
    assert "no value: dataset=a seed 0" in row["note"]
