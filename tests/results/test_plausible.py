"""Rows that agree among themselves, with hashes that fit, are imported only if they can be."""

from __future__ import annotations

import shutil

import pytest

from paper_repro.cli import main
from paper_repro.errors import UserError
from paper_repro.results import sums
from paper_repro.results.files import NAMES
from paper_repro.results.published import import_results
from tests.results.test_damaged_tables import dropping, exchanging, folder, lines, put, setting
from tests.results.test_publishing import HOME

RUN = "taming_vaes/fit-a seed 0"

WRONG = {  # edits by table, what the line says
    "an unknown study": (
        dict.fromkeys(NAMES, exchanging(b"taming_vaes", b"taming_vae")),
        "cells.csv, line 2: study: 'taming_vae' is not one of .*did you mean 'taming_vaes'?",
    ),
    "an unknown experiment": (
        dict.fromkeys(NAMES, exchanging(b"sweep", b"sweap")),
        "cells.csv, line 2: taming_vaes: experiment: 'sweap' is not .*did you mean 'sweep'?",
    ),
    "an unknown task": (
        {"cells": setting(2, task="constrained")},
        "cells.csv, line 2: taming_vaes: task: 'constrained' is not one of",
    ),
    "an unknown metric": (
        {"metrics": setting(2, metric="nlll")},
        "metrics.csv, line 2: metric 'nlll' is nothing that the task of sweep writes",
    ),
    "an unknown metric of a curve": (
        {"curves": setting(3, metric="elbow")},
        "curves.csv.gz, line 3: metric 'elbow' is nothing .*did you mean 'elbo'?",
    ),
    "an unknown estimator": (
        {"metrics": setting(2, estimator="totl")},
        "metrics.csv, line 2: estimator: 'totl' is not one of",
    ),
    "an unknown split": (
        {"metrics": setting(2, split="tset")},
        "metrics.csv, line 2: split: 'tset' is not one of .*did you mean 'test'?",
    ),
    "an unknown data set": (
        {t: exchanging(b"cifar10", b"cifar11") for t in ("metrics", "curves", "cells")},
        "metrics.csv, line 9: dataset: 'cifar11' is not one of .*did you mean 'cifar10'?",
    ),
    "an end before the start": (
        {"runs": setting(2, finished="2025-12-31T23:59:59+00:00")},
        f"runs.csv, line 2: {RUN} finished 2025-.*, before it started, 2026-01-02",
    ),
    "an end to come": (
        {"runs": setting(2, finished="9999-01-02T03:04:05+00:00")},
        f"runs.csv, line 2: {RUN} finished 9999-.*, which is still to come",
    ),
    "a start to come": (
        {"runs": setting(2, started="9999-01-02T03:04:05+00:00")},
        f"runs.csv, line 2: {RUN} started 9999-.*, which is still to come",
    ),
    "a day that is none": (
        {"runs": setting(2, started="2026-02-30T03:04:05+00:00")},
        f"runs.csv, line 2: {RUN} started '2026-02-30.*', which is no time in UTC",
    ),
    "no time": ({"runs": setting(3, finished="")}, "line 3: .* finished '', which is no time"),
    "a time of no zone": (
        {"runs": setting(2, started="2026-01-02T03:04:05")},
        "line 2: .* started '2026-01-02T03:04:05', which is no time in UTC",
    ),
    "more work than time": (
        {"runs": setting(2, seconds="3600")},
        f"line 2: {RUN} worked 3600 seconds in the 3 between its start and its end",
    ),
    "a value beyond all": (
        {"metrics": setting(2, value="-1.743e300")},
        "metrics.csv, line 2: value -1.743e300 in nats/image is beyond any",
    ),
    "a value beyond float32": (
        {"curves": setting(2, value="1e40")},
        "curves.csv.gz, line 2: value 1e40 in nats/image is beyond any",
    ),
    "a variance beyond all": (
        {"metrics": setting(2, value="1e300", unit="nats^2")},
        "metrics.csv, line 2: value 1e300 in nats.* is beyond any",
    ),
    "a value beyond float64": ({"metrics": setting(2, value="1e999")}, "value 1e999 in .* beyond"),
    "a negative time": (
        {"metrics": setting(2, value="-3", unit="s")},
        "metrics.csv, line 2: value -3 in s is negative",
    ),
    "curves alone": ({"metrics": dropping(2, 3)}, f"runs.csv, line 2: run {RUN} has no row in met"),
}


def changed(root, edits):
    """A results folder whose tables were edited and its hashes made anew."""
    out = folder(root)
    for table, edit in edits.items():
        put(out / NAMES[table], edit(lines(out / NAMES[table])))
    for path in out.glob("arrays/taming_vaes/*/*.npz"):
        if b"taming_vae," in (out / "cells.csv").read_bytes():
            path.unlink()
    sums.write(out)
    return out


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_not_imported_though_its_hashes_fit(tmp_path, name):
    edits, pattern = WRONG[name]
    out, published = changed(tmp_path, edits), tmp_path / "published"
    with pytest.raises(UserError, match=pattern):
        import_results(out, published)
    assert not [path for path in published.rglob("*") if path.is_file()]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-3.4e38", "5e-324"])
def test_a_run_that_overflowed_is_imported(tmp_path, value):
    out = changed(tmp_path, {"metrics": setting(2, value=value)})
    assert import_results(out, tmp_path / "published")
    assert f",{value},".encode() in (tmp_path / "published" / HOME / "metrics.csv").read_bytes()


def test_a_clock_behind_the_published_rows_refuses_none_as_early(tmp_path):
    """They are known to have been made."""
    later = {"runs": exchanging(b"2026-01-02", b"9999-01-02")}
    out = changed(tmp_path, later)
    published = tmp_path / "published"
    home = published / HOME
    shutil.copytree(folder(tmp_path / "there"), home)
    put(home / "runs.csv", later["runs"](lines(home / "runs.csv")))
    sums.write(home)
    assert import_results(out, published) == []


def test_the_line_names_the_users_zip(tmp_path, capsys):
    out = changed(tmp_path, {"metrics": setting(2, value="1e300")})
    rows = str(tmp_path / "rows.zip")
    assert main(["export", "--results", str(out), "--out", rows]) == 0
    assert main(["import", rows, "--published", str(tmp_path / "published")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{rows}/metrics.csv, line 2: value 1e300" in line
