"""A file is written anew only where it says something new; rounding is nothing new."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from paper_repro.drawing.tables import Estimate, Table, estimate, render
from paper_repro.results import keeping
from paper_repro.results.collect import concatenate

HEAD = "cell,mean,n,verdict\n"


def table(mean: float, half_width: float = 0.25, n: int = 3, note: str = "As is, 0.5.") -> Table:
    return Table(("cell", "value"), (("a", Estimate(mean, half_width, n)),), (note,))


def stale(folder: Path) -> dict[Path, bytes]:
    """All files of a folder, made to look old."""
    for path in folder.iterdir():
        os.utime(path, (1e9, 1e9))
    return {path: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1.84294249,3,ok", "1.84294251,3,ok"),  # the last digits
        ("4.4e-15,3,ok", "3.6e-15,3,ok"),  # numbers near 1 that cancel
        ("0,3,ok", "2.08e-17,3,ok"),
        ("-1.5e-30,3,ok", "1.5e-30,3,ok"),
        ("nan,3,ok", "nan,3,ok"),
    ],
)
def test_rounding_makes_no_difference(old: str, new: str) -> None:
    assert keeping.same_csv(f"{HEAD}a,{old}\n", f"{HEAD}a,{new}\n")


@pytest.mark.parametrize(
    "new",
    [
        "a,0.27181,3,ok",  # the fifth digit
        "a,0.2718,4,ok",
        "a,0.2718,3,lost",
        "a,,3,ok",
        "a,0.2718,3",
        "a,nan,3,ok",
        "a,0.2718,3,ok\na,0.2718,3,ok",
    ],
)
def test_everything_else_is_a_difference(new: str) -> None:
    assert not keeping.same_csv(f"{HEAD}a,0.2718,3,ok\n", f"{HEAD}{new}\n")


def test_large_counts_are_exact() -> None:
    assert not keeping.same_csv(f"{HEAD}a,1,10000001,ok\n", f"{HEAD}a,1,10000002,ok\n")


def test_a_rule_that_reads_another_number_is_another_text() -> None:
    assert not keeping.same_csv("rule\nmean < 1e-06\n", "rule\nmean < 2e-06\n")


def test_a_table_that_says_the_same_stays_but_is_as_new_as_its_rows(tmp_path: Path) -> None:
    render(table(0.125), tmp_path / "t")
    before = stale(tmp_path)
    assert len(before) == 3
    render(table(0.125 + 1e-14), tmp_path / "t")  # 0.12 becomes 0.13 in Markdown
    for path, raw in before.items():
        assert path.read_bytes() == raw, path.name
        assert path.stat().st_mtime > 1e9


@pytest.mark.parametrize(
    "other",
    [table(0.126), table(0.125, n=4), table(0.125, note="As is, 0.6."), table(0.125, 0.26)],
)
def test_a_table_that_says_something_else_is_replaced_whole(tmp_path: Path, other: Table) -> None:
    for name in ("changed", "fresh"):
        (tmp_path / name).mkdir()
    render(table(0.125), tmp_path / "changed/t")
    render(other, tmp_path / "changed/t")
    render(other, tmp_path / "fresh/t")
    for path in (tmp_path / "fresh").iterdir():
        assert (tmp_path / "changed" / path.name).read_bytes() == path.read_bytes()


def test_a_table_of_which_a_file_is_gone_is_written_again(tmp_path: Path) -> None:
    render(table(0.125), tmp_path / "t")
    (tmp_path / "t.tex").unlink()
    render(table(0.125), tmp_path / "t")
    assert (tmp_path / "t.tex").is_file()


def test_verdicts_that_are_the_same_stay_and_another_verdict_replaces_them(tmp_path: Path) -> None:
    study, out = tmp_path / "study.csv", tmp_path / "claims.csv"
    study.write_text(f"{HEAD}a,0.123456,3,supported\n")
    concatenate([study], out)
    before = out.read_bytes()
    study.write_text(f"{HEAD}a,0.123457,3,supported\n")
    concatenate([study], out)
    assert out.read_bytes() == before
    study.write_text(f"{HEAD}a,0.123457,3,contradicted\n")
    concatenate([study], out)
    assert out.read_bytes() == study.read_bytes()


def test_equal_numbers_have_an_interval_of_zero_however_their_mean_is_rounded() -> None:
    found = estimate([0.050238, 0.050238, 0.050238 * (1 + 2e-16)])
    assert str(found) == "0.05024 ± 0"
