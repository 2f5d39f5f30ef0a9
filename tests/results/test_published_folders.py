"""What is published has a folder a study: an import writes those it changes, a reader has all."""

from __future__ import annotations

import os
import shutil

import pytest

from paper_repro.cli import main
from paper_repro.errors import UserError
from paper_repro.results import sound
from paper_repro.results.archive import pack
from paper_repro.results.files import NAMES
from paper_repro.results.frames import load
from paper_repro.results.published import import_results
from tests.results.test_publishing import EXPERIMENT, HOME, STUDY, carry, machine, values


def test_an_import_writes_the_folders_of_the_studies_whose_rows_it_changes_alone(tmp_path):
    """And whoever reads the results folder has the rows of all."""
    published = tmp_path / "published"
    theirs = machine(
        tmp_path / "a", "paper", (0,), study="silent_gradients", experiment="gradients"
    )
    carry(theirs, published)
    carry(machine(tmp_path / "b", "paper", (0, 1)), published)
    one, other = (published / "studies" / name for name in ("silent_gradients", STUDY))
    for path in (*one.rglob("*"), *other.rglob("*")):
        os.utime(path, (0, 0))
    carry(machine(tmp_path / "c", "paper", (0,), name="d"), published)
    assert {path.stat().st_mtime for path in one.rglob("*")} == {0}
    assert min((other / name).stat().st_mtime for name in NAMES.values()) > 0
    os.utime(other / "metrics.csv", (0, 0))
    assert carry(tmp_path / "c" / "out", published) == []  # known already
    assert (other / "metrics.csv").stat().st_mtime == 0
    found = load(published)
    assert list(found.cells["study"]) == ["silent_gradients", STUDY, STUDY]
    assert found.arrays("silent_gradients", "c", 0)["x"].tolist() == [1.0, 1.0]
    assert found.arrays(STUDY, "d", 0)["x"].tolist() == [1.0, 1.0]


def test_what_is_published_is_joined_and_exported_like_the_rows_of_a_tier(tmp_path):
    published = tmp_path / "published"
    theirs = machine(
        tmp_path / "a", "paper", (0,), study="silent_gradients", experiment="gradients"
    )
    ours = machine(tmp_path / "b", "paper", (0, 1))
    for source in (theirs, ours):
        carry(source, published)
    assert main(["merge", "--out", str(tmp_path / "all"), str(theirs), str(ours)]) == 0
    pack(tmp_path / "all", tmp_path / "one.zip")
    pack(published, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    import_results(tmp_path / "two.zip", tmp_path / "again")
    for path in (path for path in published.rglob("*") if path.is_file()):
        again = tmp_path / "again" / path.relative_to(published)
        assert again.read_bytes() == path.read_bytes()


def test_a_study_of_which_nothing_is_published_has_tables_without_rows(tmp_path):
    nothing = tmp_path / "published" / HOME
    assert main(["merge", "--out", str(nothing)]) == 0
    assert load(nothing).finals(STUDY, EXPERIMENT).empty
    theirs = machine(
        tmp_path / "a", "paper", (0,), study="silent_gradients", experiment="gradients"
    )
    carry(theirs, tmp_path / "published")
    assert set(load(tmp_path / "published").metrics["study"]) == {"silent_gradients"}
    carry(machine(tmp_path / "b", "paper", (0, 1)), tmp_path / "published")
    assert values(tmp_path / "published") == ({0: 1.0, 1: 2.0}, {"paper"})


def test_joined_tables_and_rows_in_the_folder_of_another_study_are_not_imported_into(tmp_path):
    source, published = machine(tmp_path / "a", "paper", (0,)), tmp_path / "published"
    shutil.copytree(source, published)
    with pytest.raises(UserError, match="published: holds joined tables"):
        carry(source, published)
    shutil.rmtree(published)
    shutil.copytree(source, published / "studies/silent_gradients")
    theirs = machine(
        tmp_path / "b", "paper", (0,), study="silent_gradients", experiment="gradients"
    )
    pattern = "cells.csv, line 2: a cell of 'taming_vaes' in the folder of 'silent_gradients'"
    for use in (lambda: carry(theirs, published), lambda: sound.read(published)):
        with pytest.raises(UserError, match=pattern):
            use()
