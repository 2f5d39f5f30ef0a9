"""Frames of results: coordinates and parameters become columns, failed runs stay visible."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paper_repro.errors import UserError
from paper_repro.results.collect import collect
from paper_repro.results.frames import load
from paper_repro.rows import Row
from tests.results.made_runs import cell, results, write_run


def measured(one, seed):
    return [
        Row("snr", 2.0, "1", at="k=10,group=encoder", estimator="dreg"),
        Row("snr", 3.0, "1", at="k=2,group=decoder"),
        Row("kl", 5.0, "nats", step=50),
        Row("kl", 1.0, "nats"),
        Row("kl", 9.0, "nats", step=50, kind="curve"),
    ]


def test_coordinates_and_parameters_become_numeric_columns(tmp_path):
    one = cell("snr", estimator="total", k=1, lr=0.5, fixed=True, grid=[1, 2], seeds=1)
    frame = results(tmp_path, [one], measured).frame("made", "snr", "snr")
    assert list(frame["k"]) == [10.0, 2.0]  # the coordinate goes before the parameter
    assert list(frame["group"]) == ["encoder", "decoder"]
    assert list(frame["estimator"]) == ["dreg", "total"]
    assert set(frame["cell_estimator"]) == {"total"}
    assert set(frame["lr"]) == {0.5}
    assert set(frame["fixed"]) == {True}
    assert "grid" not in frame
    assert pd.api.types.is_numeric_dtype(frame["k"])


def test_numbers_are_read_to_their_last_digit(tmp_path):
    """pandas before 3 reads 1e-30 and 0.0012050214310773508 a digit off, so rows were not found."""
    exact = ["1e-30", "0.0012050214310773508", "1.2453319728510153e-05"]

    def rows(one, seed):
        return [Row("snr", float(text), "1", at=f"eps={text}") for text in exact]

    frame = results(tmp_path, [cell("snr", seeds=1)], rows).frame("made", "snr", "snr")
    assert list(frame["value"]) == [float(text) for text in exact]
    assert list(frame["eps"]) == [float(text) for text in exact]


def test_settings_inside_options_become_columns(tmp_path):
    one = cell(options={"variance": 0.1}, constraints=[{"name": "RE", "kappa": 0.06}], seeds=1)
    frame = results(tmp_path, [one], measured).frame("made", metric="snr")
    assert set(frame["options.variance"]) == {0.1}
    assert set(frame["constraints.0.kappa"]) == {0.06}
    assert set(frame["constraints.0.name"]) == {"RE"}


def test_progress_and_kind_tell_curves_from_finals(tmp_path):
    found = results(tmp_path, [cell(seeds=1)], measured)
    frame = found.frame("made", metric="kl")
    assert list(frame["kind"]) == ["final", "final", "curve"]
    assert list(frame["progress"]) == [0.5, 1.0, 0.5]
    assert list(found.frame("made", metric="kl", kind="curve")["value"]) == [9.0]
    with pytest.raises(ValueError, match="final"):
        found.frame("made", kind="curves")


def test_finals_are_the_last_values_of_runs_that_ended_well(tmp_path):
    one = cell(seeds=3)
    write_run(tmp_path / "runs", one, 0, measured(one, 0))
    write_run(tmp_path / "runs", one, 1, measured(one, 1)[:3], status="diverged")
    collect([one], tmp_path / "runs", tmp_path / "out", "paper")
    found = load(tmp_path / "out")
    kl = found.finals("made", "fit", "kl")
    assert list(zip(kl["seed"], kl["value"], strict=True)) == [(0, 1.0)]
    assert set(found.frame("made", metric="kl", kind="final")["seed"]) == {0, 1}
    lost = found.unfinished("made", "fit")
    assert list(zip(lost["seed"], lost["status"], strict=True)) == [(1, "diverged"), (2, "missing")]


def test_missing_runs_are_rows_without_a_number(tmp_path):
    found = results(tmp_path, [cell(dataset="", seeds=2)], lambda *_: None)
    frame = found.frame("made")
    assert list(frame["status"]) == ["missing", "missing"]
    assert frame["value"].isna().all()
    assert set(frame["dataset"]) == {""}


def test_a_study_without_rows_gives_an_empty_frame(tmp_path):
    found = results(tmp_path, [cell(seeds=1)], measured)
    frame = found.frame("other", "fit", "kl")
    assert isinstance(frame, pd.DataFrame)
    assert frame.empty
    assert found.finals("other", "fit").empty
    assert found.unfinished("other", "fit").empty


def test_arrays_come_back_by_run(tmp_path):
    one = cell(seeds=2)
    write_run(tmp_path / "runs", one, 0, measured(one, 0), arrays={"surface": np.eye(2)})
    write_run(tmp_path / "runs", one, 1, measured(one, 1))
    collect([one], tmp_path / "runs", tmp_path / "out", "paper")
    found = load(tmp_path / "out")
    np.testing.assert_array_equal(found.arrays("made", one.id, 0)["surface"], np.eye(2))
    assert found.arrays("made", one.id, 1) == {}


def test_a_missing_file_and_foreign_columns_are_named(tmp_path):
    with pytest.raises(UserError, match=r"metrics\.csv: not there"):
        load(tmp_path)
    collect([cell(seeds=1)], tmp_path / "runs", tmp_path, "paper")
    (tmp_path / "runs.csv").write_text("run_id,study\n")
    with pytest.raises(UserError, match=r"runs\.csv: its columns"):
        load(tmp_path)
