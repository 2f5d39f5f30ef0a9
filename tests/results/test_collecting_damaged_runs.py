"""Runs, folders and files that cannot be collected or joined are named in one line."""

from __future__ import annotations

import pytest

from paper_repro.cli import main
from paper_repro.errors import UserError
from paper_repro.results import measured
from paper_repro.results.collect import ROW_COLUMNS, collect
from paper_repro.rows import Row
from tests.results.made_runs import cell, write_run

ROWS = [
    Row("nll", 1.5, "nats/image", "test", at="samples=50"),
    Row("nll", 2.5, "nats/image", "validation", at="samples=50"),
    Row("elbo", -3.0, "nats/image", "train", step=7, kind="curve"),
]
HEAD = ",".join(ROW_COLUMNS) + "\n"

DAMAGES = {  # edit of a stored metrics.csv, what the line says
    "cut within a row": (lambda text: text[:-12], r"line 4: cut short"),
    "cut in half": (lambda text: text[: len(text) // 2], r"line \d: cut short"),
    "a row cut and ended": (lambda text: text[:-12] + "\n", r"line 4: \d fields, not 9"),
    "a row of nothing": (lambda text: text + "mo\n", r"line 5: 1 fields, not 9"),
    "the header alone": (lambda text: HEAD, r"no row of the run"),
    "nothing": (lambda text: "", r"empty"),
    "zeros": (lambda text: "\0" * len(text), r"line 1: a NUL byte"),
    "other columns": (lambda text: text.replace("metric", "name", 1), r"its columns differ"),
    "a doubled row": (lambda text: text + text.splitlines(True)[1], r"line 5: stands there twice"),
    "text for a value": (lambda text: text.replace("2.5", "high"), r"line 3: value 'high' is no"),
    "no value": (lambda text: text.replace("2.5", ""), r"line 3: value '' is no number"),
    "an unknown unit": (lambda text: text.replace("nats/", "bits/"), r"line 2: unit: 'bits/image'"),
    "an unknown kind": (lambda text: text.replace("curve", "curl"), r"line 4: kind: 'curl' is not"),
    "another status": (
        lambda text: text.replace("ok", "fine", 1),
        r"line 2: status 'fine' in a run",
    ),
    "no metric": (lambda text: text.replace("nll", "", 1), r"line 2: no metric"),
    "a step of text": (lambda text: text.replace("train,7", "train,last"), r"line 4: step 'last'"),
    "a blank line": (lambda text: HEAD + "\n" + text[len(HEAD) :], r"line 2: blank"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_run_is_never_collected(tmp_path, name):
    edit, pattern = DAMAGES[name]
    one = cell(seeds=2)
    for seed in (0, 1):
        path = write_run(tmp_path / "runs", one, seed, ROWS) / "metrics.csv"
    path.write_text(edit(path.read_text()))
    with pytest.raises(UserError, match=str(path)):
        collect([one], tmp_path / "runs", tmp_path / "out", "paper")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=f"metrics.csv(: |, ){pattern}"):
        measured.rows_of_run(path.read_bytes(), ROW_COLUMNS, "ok", path)


def test_a_run_that_diverged_has_a_row_that_says_so(tmp_path):
    path = write_run(tmp_path / "runs", cell(seeds=1), 0, ROWS) / "metrics.csv"
    with pytest.raises(UserError, match=r"seed0/metrics\.csv: no row says that the run diverged"):
        measured.rows_of_run(path.read_bytes(), ROW_COLUMNS, "diverged", path)


@pytest.mark.parametrize(
    ("what", "words"),
    [("sources", "trained by different code"), ("fingerprint", "trained on different data")],
)
def test_seeds_of_one_cell_that_differ_in_code_or_data_are_not_collected(tmp_path, what, words):
    one = cell(seeds=2, dataset="digits")
    write_run(tmp_path / "runs", one, 0, ROWS)
    write_run(tmp_path / "runs", one, 1, ROWS, **{what: "other"})
    with pytest.raises(UserError, match=rf"runs/made/{one.id}: its seeds were {words}; snakemake"):
        collect([one], tmp_path / "runs", tmp_path / "out", "paper")
    assert not (tmp_path / "out").exists()
    write_run(tmp_path / "runs", one, 0, ROWS, **{what: "other"}, torch="2.13.0")
    collect([one], tmp_path / "runs", tmp_path / "out", "paper")


def test_a_run_ends_well_or_diverged(tmp_path):
    write_run(tmp_path / "runs", cell(seeds=1), 0, ROWS, status="done")
    with pytest.raises(UserError, match=r"seed0/metrics\.csv: status of the run: 'done' is not"):
        collect([cell(seeds=1)], tmp_path / "runs", tmp_path / "out", "paper")


def refusal(arguments, capsys):
    """The line with which a command ends, status 2."""
    try:
        status = main(arguments)
    except SystemExit as end:
        status = end.code
    assert status == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["join", "absent.csv"], "absent.csv"),
        (["join", "empty.csv"], "empty.csv"),
        (["join", "folder"], "folder"),
        (["join", "cut.csv"], "cut.csv, line 2: cut short"),
        (["join", "latin.csv"], "latin.csv, line 2: is not UTF-8"),
        (["join", "whole.csv", "short.csv"], "short.csv: its columns differ from those of"),
        (["merge", "absent"], "absent"),
        (["merge", "folder"], "folder/metrics.csv: not there"),
        (["merge", "whole.csv"], "whole.csv"),
        (["collect", "--tier=smoke", "--study=conformance", "--runs=absent"], "absent"),
        (["collect", "--tier=smoke", "--study=conformance", "--runs=whole.csv"], "whole.csv"),
        (["export", "--results=absent"], "absent"),
        (["export", "--results=folder"], "folder/metrics.csv: not there"),
    ],
)
def test_what_is_not_there_or_no_table_is_named(tmp_path, arguments, named, monkeypatch, capsys):
    (tmp_path / "folder").mkdir()
    for name, raw in {
        "empty.csv": b"",
        "whole.csv": b"x,y\n1,2\n",
        "cut.csv": b"x,y\n1,2",
        "short.csv": b"x\n1\n",
        "latin.csv": b"x,y\n1,\xe9\n",
    }.items():
        (tmp_path / name).write_bytes(raw)
    monkeypatch.chdir(tmp_path)
    assert named in refusal([*arguments, "--out", "made.zip"], capsys)
    assert not (tmp_path / "made.zip").exists()


def test_two_folders_with_the_same_study_are_not_merged(tmp_path, capsys):
    one = cell(seeds=1)
    write_run(tmp_path / "runs", one, 0, ROWS)
    for name in ("a", "b"):
        collect([one], tmp_path / "runs", tmp_path / name, "paper")
    roots = [str(tmp_path / name) for name in ("a", "b")]
    for given in (roots, roots[:1] * 2):
        line = refusal(["merge", *given, "--out", str(tmp_path / "out")], capsys)
        assert f"study made is in {roots[0]} too" in line
