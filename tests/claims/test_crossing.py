"""Curves before and after the point where a run first gets below a number."""

from __future__ import annotations

import pandas as pd
import pytest

from paper_repro.claims.checks import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.crossing import part_of
from paper_repro.claims.names import read as load_claims
from paper_repro.claims.verdicts import evaluate
from paper_repro.errors import UserError
from paper_repro.rows import Row
from tests.results.made_runs import cell, claims, results

ERROR = [3.0, 2.0, 0.9, 1.1, 1.0]  # below 1 first at the third point
MULTIPLIER = [2.0, 4.0, 8.0, 6.0, 3.0]
CHECK = {
    "name": "check",
    "select": {"experiment": "fit", "metric": "multiplier", "progress": "after"},
    "versus": {"progress": "before"},
    "crossing": {"metric": "error", "below": 1},
    "span": "highest",
    "pairing": "ratio",
    "statistic": "every",
    "rule": {"above": 1},
}


def runs(tmp_path, error=ERROR, multiplier=MULTIPLIER):
    def make(one, seed):
        pairs = [("error", error), ("multiplier", multiplier)]
        return [
            Row(name, value, "1", step=20 * (i + 1), kind="curve")
            for name, values in pairs
            for i, value in enumerate(values)
        ]

    return results(tmp_path, [cell("fit", seeds=2)], make)


def judged(tmp_path, check, **curves):
    return evaluate(runs(tmp_path, **curves), "made", claims(tmp_path / "study", check)).iloc[0]


@pytest.mark.parametrize(("part", "steps"), [("before", [20, 40]), ("after", [60, 80, 100])])
def test_the_point_of_the_crossing_is_the_first_of_after(tmp_path, part, steps):
    found = runs(tmp_path)
    curves, marker = (found.frame("made", "fit", n, "curve") for n in ("multiplier", "error"))
    one = part_of(curves, marker, 1.0, part)
    assert one.groupby("seed")["step"].apply(list).tolist() == [steps, steps]


def test_a_run_that_never_crosses_is_before_it_to_its_end(tmp_path):
    found = runs(tmp_path, error=[2.0] * 5)
    curves, marker = (found.frame("made", "fit", n, "curve") for n in ("multiplier", "error"))
    assert len(part_of(curves, marker, 1.0, "before")) == len(curves)
    assert part_of(curves, marker, 1.0, "after").empty
    with pytest.raises(ValueError, match="part: 'later'"):
        part_of(curves, marker, 1.0, "later")
    with pytest.raises(ValueError, match="several curves"):
        part_of(curves, pd.concat([curves, curves]), 1.0, "after")


def test_a_peak_at_or_after_the_crossing_supports_and_an_earlier_one_contradicts(tmp_path):
    row = judged(tmp_path / "late", CHECK)
    assert (row["verdict"], row["estimate"]) == (SUPPORTED, 2.0)
    assert "where error is first below 1" in row["rule"]
    row = judged(tmp_path / "early", CHECK, multiplier=[2.0, 9.0, 8.0, 6.0, 3.0])
    assert row["verdict"] == CONTRADICTED


def test_without_a_crossing_there_is_a_gap_and_no_verdict(tmp_path):
    row = judged(tmp_path, CHECK, error=[2.0] * 5)
    assert row["verdict"] == NOT_RUN
    assert "missing or diverged" in row["note"]
    whole = {**CHECK, "select": {**CHECK["select"], "progress": {"min": 0}}}
    del whole["versus"], whole["crossing"], whole["pairing"]
    assert judged(tmp_path / "all", whole, error=[2.0] * 5)["verdict"] == SUPPORTED


def test_lowest_and_highest_are_those_of_the_stretch(tmp_path):
    base = {k: v for k, v in CHECK.items() if k not in ("versus", "crossing", "pairing")}
    for place, (span, stretch, value) in enumerate(
        [("lowest", {"max": 0.6}, 2.0), ("highest", {"min": 0.6}, 6.0), ("lowest", {}, 2.0)]
    ):
        select = {**base["select"], "progress": {"min": 0, **stretch}}
        row = judged(tmp_path / str(place), {**base, "select": select, "span": span})
        assert row["estimate"] == value


@pytest.mark.parametrize("lacking", ["crossing", "span"])
def test_parts_of_a_run_need_a_crossing_and_a_span(tmp_path, lacking):
    check = {key: value for key, value in CHECK.items() if key != lacking}
    with pytest.raises(UserError, match="go together"):
        load_claims(claims(tmp_path, check) / "claims.yaml", "made")


def test_one_of_two_runs_that_never_crosses_leaves_it_open(tmp_path):
    def make(one, seed):
        error = ERROR if seed == 0 else [2.0] * 5
        return [
            Row(name, value, "1", step=20 * (i + 1), kind="curve")
            for name, values in (("error", error), ("multiplier", MULTIPLIER))
            for i, value in enumerate(values)
        ]

    found = results(tmp_path, [cell("fit", seeds=2)], make)
    row = evaluate(found, "made", claims(tmp_path / "study", CHECK)).iloc[0]
    assert row["verdict"] == INCONCLUSIVE
