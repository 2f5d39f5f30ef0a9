"""What runs carry of what stood fixed before them goes wherever their rows go, and no further."""

from __future__ import annotations

import zipfile

import pytest

from paper_repro.cli import main
from paper_repro.errors import UserError
from paper_repro.results.archive import pack
from paper_repro.results.files import COLUMNS, NAMES, csv_text, read_tables
from paper_repro.results.frames import load
from paper_repro.results.published import import_results
from paper_repro.results.registrations import digest
from tests.results.test_publishing import HOME, STUDY, carry, machine

OLD = {STUDY: {"taming-C1": "a" * 64}, "theirs": {"theirs-A1": "b" * 64}}
NEW = {STUDY: {"taming-C1": "c" * 64}}


def carried(root) -> dict[str, str]:
    """The digest of every run, by study, cell and seed, all of which are listed."""
    found = load(root)
    listed = set(found.registrations["digest"])
    assert listed == set(found.runs["registered"]) - {""}
    runs = found.runs[["study", "cell", "seed"]].astype(str).agg("/".join, axis=1)
    return dict(zip(runs, found.runs["registered"], strict=True))


def test_a_digest_is_short_and_of_nothing_but_what_is_registered():
    assert digest({}) == ""
    turned = {study: OLD[study] for study in reversed(OLD)}
    assert digest(turned) == digest(OLD) != digest(NEW)
    assert len(digest(OLD)) == 12


def test_collected_runs_carry_theirs_and_runs_of_an_older_version_none(tmp_path):
    out = machine(tmp_path, "paper", (0, 1), planned=3, registered=OLD)
    ours = f"{STUDY}/c/"
    assert carried(out) == {f"{ours}0": digest(OLD), f"{ours}1": digest(OLD), f"{ours}2": ""}
    lines = read_tables(out)["registrations"]
    assert sorted(lines) == [
        (digest(OLD), STUDY, "taming-C1", "a" * 64),
        (digest(OLD), "theirs", "theirs-A1", "b" * 64),
    ]
    assert set(carried(machine(tmp_path / "b", "paper", (0,))).values()) == {""}


def test_seeds_of_two_machines_keep_their_own_and_what_no_run_carries_goes(tmp_path):
    published = tmp_path / "published"
    carry(machine(tmp_path / "a", "paper", (0,), planned=2, registered=OLD), published)
    carry(machine(tmp_path / "b", "paper", (1,), planned=2, registered=NEW), published)
    ours = f"{STUDY}/c/"
    assert carried(published) == {f"{ours}0": digest(OLD), f"{ours}1": digest(NEW)}
    carry(machine(tmp_path / "c", "paper", (0,), planned=2, value=3.0), published)
    assert carried(published) == {f"{ours}0": "", f"{ours}1": digest(NEW)}


def test_joined_studies_list_a_registration_once_and_part_with_it_again(tmp_path):
    theirs = {"study": "silent_gradients", "experiment": "gradients"}
    one = machine(tmp_path / "a", "paper", (0,), registered=OLD)
    two = machine(tmp_path / "b", "paper", (0,), registered=OLD, **theirs)
    three = machine(tmp_path / "c", "paper", (1,), planned=2, registered=NEW, name="d")
    assert main(["merge", "--out", str(tmp_path / "all"), str(one), str(two)]) == 0
    assert len(read_tables(tmp_path / "all")["registrations"]) == 2
    published = tmp_path / "published"
    carry(tmp_path / "all", published)
    carry(three, published)
    silent = read_tables(published / "studies/silent_gradients")
    assert {line[0] for line in silent["registrations"]} == {digest(OLD)}
    assert len(read_tables(published / HOME)["registrations"]) == 3
    assert len(load(published).registrations) == 3
    pack(published, tmp_path / "again.zip")
    import_results(tmp_path / "again.zip", tmp_path / "copy")
    for name in NAMES.values():
        assert (tmp_path / "copy" / HOME / name).read_bytes() == (
            published / HOME / name
        ).read_bytes()


def test_an_export_of_an_older_version_is_one_line_that_says_what_to_do(tmp_path):
    """And so is a folder: their runs are there to be collected again."""
    out = machine(tmp_path / "a", "paper", (0,))
    tables = read_tables(out)
    old = csv_text(COLUMNS["runs"][:-1], [row[:-1] for row in tables["runs"]])
    (out / "runs.csv").write_text(old)
    (out / "registrations.csv").unlink()
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as packed:
        for name in NAMES.values():
            if (out / name).is_file():
                packed.write(out / name, name)
    pattern = "registrations.csv: not there, as in rows of an older version; collect the runs again"
    for use in (
        lambda: import_results(tmp_path / "old.zip", tmp_path / "published"),
        lambda: load(out),
    ):
        with pytest.raises(UserError, match=pattern):
            use()
    again = machine(tmp_path / "a", "paper", (0,))
    assert carry(again, tmp_path / "published")
