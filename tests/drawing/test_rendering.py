"""Tables for people and for machines: digits follow the interval, lost runs are said."""

from __future__ import annotations

import csv
import math
import subprocess
import sys

import pytest

from paper_repro.drawing.tables import (
    Estimate,
    Table,
    as_csv,
    as_latex,
    as_markdown,
    estimate,
    render,
)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (Estimate(86.7623, 0.1234, 3), "86.76 ± 0.12"),
        (Estimate(-0.27, 0.0061, 3), "-0.2700 ± 0.0061"),
        (Estimate(325.2, 14.0, 5), "325 ± 14"),
        (Estimate(7e-7, 2e-7, 20), "7.00e-07 ± 2.0e-07"),
        (Estimate(2.0, 0.0, 3), "2 ± 0"),
        (Estimate(2.125, math.nan, 1), "2.125 (n = 1)"),
        (Estimate(86.7623, 0.1234, 3, 2), "86.76 ± 0.12 (2 of 5 runs lost)"),
    ],
)
def test_digits_follow_the_interval(entry, text):
    assert str(entry) == text


def test_estimates_say_what_was_lost():
    assert estimate([]) == "not run"
    assert estimate([], ["missing", "missing"]) == "not run"
    assert estimate([], ["diverged"]) == "diverged"
    assert estimate([math.nan]) == "diverged"
    found = estimate([1.0, 2.0, math.nan], ["missing"])
    assert isinstance(found, Estimate)
    assert (found.mean, found.n, found.lost) == (1.5, 2, 2)


TABLE = Table(
    ["name", "loss"], [["a_b & 5 %", Estimate(1.5, 0.25, 3)], ["c|d", "not run"]], ["± t"]
)


def test_csv_holds_numbers_apart():
    rows = list(csv.reader(as_csv(TABLE).splitlines()))
    assert rows == [
        ["name", "loss", "loss half width", "loss n"],
        ["a_b & 5 %", "1.5", "0.25", "3"],
        ["c|d", "not run", "", ""],
    ]


def test_markdown_and_latex_escape_their_marks():
    markdown, latex = as_markdown(TABLE), as_latex(TABLE)
    assert r"| c\|d | not run |" in markdown
    assert "| a_b & 5 % | 1.50 ± 0.25 |" in markdown
    assert markdown.endswith("\n\n± t\n")
    assert r"a\_b \& 5 \% & 1.50 $\pm$ 0.25 \\" in latex
    assert latex.count(r"\begin") == latex.count(r"\end") == 1


def test_three_files_are_written(tmp_path):
    render(TABLE, tmp_path / "tables" / "study_table1")
    assert sorted(p.name for p in (tmp_path / "tables").iterdir()) == [
        "study_table1.csv",
        "study_table1.md",
        "study_table1.tex",
    ]


def test_the_whole_analysis_runs_without_torch_and_matplotlib():
    modules = ["results.collect", "results.frames", "results.published", "claims.statistics"]
    modules += ["claims.verdicts", "drawing.tables"]
    names = [f"paper_repro.{name}" for name in modules]
    names.append("paper_repro.studies.sticking_the_landing.tables")
    heavy = "{'torch', 'matplotlib'} & set(sys.modules)"
    code = f"import sys, {', '.join(names)}; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
