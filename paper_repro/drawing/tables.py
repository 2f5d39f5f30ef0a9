"""Tables: from a study's `TABLES` to CSV (numbers), Markdown and LaTeX (for people).

A study's tables.py declares ``TABLES``, a dict from table id to a function that takes the
`Results` and returns a `Table`. An entry is a text or an `Estimate`; a cell of the grid that has
no rows reads "not run".
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from numpy.typing import ArrayLike

from paper_repro import atomic
from paper_repro.claims.statistics import t_interval
from paper_repro.drawing.labels import NOT_RUN
from paper_repro.registry import product
from paper_repro.results.files import MISSING, csv_text
from paper_repro.results.frames import Results, load
from paper_repro.results.keeping import ROUNDING, keep, same_csv, same_markdown

NONE = "—"  # does not apply
LATEX = {
    **{mark: rf"\{mark}" for mark in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "²": r"\textsuperscript{2}",
    "†": r"\dag{}",
    "—": "---",
}


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with the half width of its 95 % t interval (nan for one seed), and how
    many runs that should be in it are missing or diverged."""

    mean: float
    half_width: float
    n: int
    lost: int = 0

    def __str__(self) -> str:
        lost = f" ({self.lost} of {self.n + self.lost} runs lost)" if self.lost else ""
        return self._number() + lost

    def _number(self) -> str:
        if not math.isfinite(self.half_width):
            return f"{self.mean:.4g} (n = {self.n})"
        size = max(abs(self.mean), self.half_width)
        if size and not 1e-3 <= size < 1e5:
            return f"{self.mean:.2e} ± {self.half_width:.1e}"
        if self.half_width == 0:
            return f"{self.mean:.4g} ± 0"
        digits = min(6, max(0, 1 - math.floor(math.log10(self.half_width))))
        return f"{self.mean:.{digits}f} ± {self.half_width:.{digits}f}"


Entry = str | Estimate


@dataclass(frozen=True)
class Table:
    """Column names, rows of entries ("not run" in each column where there are none), and notes
    that belong under the table; empty ones are left out."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Entry]]
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", self.rows or [[NOT_RUN] * len(self.columns)])
        object.__setattr__(self, "notes", [" ".join(note.split()) for note in self.notes if note])


Tables = dict[str, Callable[[Results], Table]]  # by id


def estimate(values: ArrayLike, lost: Sequence[str] = ()) -> Entry:
    """Mean and interval of one number per seed; `lost` holds the status of each run that should
    have one and has not. "not run" or "diverged" where no number is left."""
    numbers = pd.Series(values, dtype=float)
    finite = numbers[numbers.map(math.isfinite)]
    missing = len(lost) + len(numbers) - len(finite)
    if finite.empty:
        return "diverged" if missing > list(lost).count(MISSING) else NOT_RUN
    found = t_interval(finite)
    # Equal numbers, averaged, may differ from themselves by a rounding.
    alike = found.half_width <= ROUNDING * abs(found.mean)
    return Estimate(found.mean, 0.0 if alike else found.half_width, found.n, missing)


def mean(rows: pd.DataFrame) -> str:
    """Mean of the values of `rows`, for numbers that have no interval; "not run" without any."""
    value = rows["value"].mean()
    return NOT_RUN if pd.isna(value) else f"{value:.4g}"


def tables_of(study: str) -> Tables:
    """The tables of a study by id."""
    return dict(importlib.import_module(f"paper_repro.studies.{study}.tables").TABLES)


def render_study(study: str, root: Path, out: Path) -> None:
    """Write every table of a study as ``out/<study>_<id>.{csv,md,tex}`` (`registry.product`)."""
    results = load(root)
    for name, function in tables_of(study).items():
        render(function(results), out / product(study, name))


def render(table: Table, stem: Path) -> None:
    """Write a table as `stem`.csv, .md and .tex; the files there stay if they say the same."""
    texts = {
        stem.with_name(f"{stem.name}.csv"): as_csv(table),
        stem.with_name(f"{stem.name}.md"): as_markdown(table),
        stem.with_name(f"{stem.name}.tex"): as_latex(table),
    }
    if all(path.is_file() for path in texts) and all(
        same(path.read_text(encoding="utf-8"), text)
        for same, (path, text) in zip((same_csv, same_markdown), texts.items(), strict=False)
    ):
        keep(texts)
        return
    for path, text in texts.items():
        atomic.write_text(path, text)


def as_csv(table: Table) -> str:
    """Numbers apart: an estimate's column is followed by ``<column> half width`` and ``<column>
    n``, the runs in it."""
    measured = [
        any(isinstance(row[i], Estimate) for row in table.rows) for i in range(len(table.columns))
    ]
    head: list[str] = []
    for name, split in zip(table.columns, measured, strict=True):
        head += [name, f"{name} half width", f"{name} n"] if split else [name]
    records = []
    for row in table.rows:
        record: list[str] = []
        for entry, split in zip(row, measured, strict=True):
            if isinstance(entry, Estimate):
                record += [_number(entry.mean), _number(entry.half_width), str(entry.n)]
            else:
                record += [entry, "", ""] if split else [entry]
        records.append(record)
    return csv_text(head, records)


def as_markdown(table: Table) -> str:
    """A pipe table with its notes beneath."""
    lines = [_pipes(table.columns), _pipes(["---"] * len(table.columns))]
    lines += [_pipes([str(entry) for entry in row]) for row in table.rows]
    return "\n".join([*lines, *[f"\n{note}" for note in table.notes]]) + "\n"


def as_latex(table: Table) -> str:
    """A tabular for the booktabs package, its notes as comments and as a last row."""
    width = len(table.columns)
    lines = [
        r"\begin{tabular}{" + "l" * width + "}",
        r"\toprule",
        " & ".join(_escape(name) for name in table.columns) + r" \\",
        r"\midrule",
    ]
    lines += [" & ".join(_escape(str(entry)) for entry in row) + r" \\" for row in table.rows]
    lines.append(r"\bottomrule")
    for note in table.notes:
        lines.append(
            rf"\multicolumn{{{width}}}{{p{{\linewidth}}}}{{\footnotesize {_escape(note)}}} \\"
        )
    return "\n".join([*lines, r"\end{tabular}"]) + "\n"


def measured_at(frame: pd.DataFrame, metric: str, column: str) -> list[float]:
    """Sorted coordinates at which `metric` was measured; none where no row has the column."""
    if column not in frame:
        return []
    return sorted(frame.loc[frame["metric"] == metric, column].dropna().unique().tolist())


def origin(*frames: pd.DataFrame) -> str:
    """The tiers of rows, as a note: ``Tier reduced.``"""
    tiers = sorted({tier for frame in frames for tier in frame["tier"]})
    return f"Tier {' + '.join(tiers)}." if tiers else "Not run."


def _pipes(entries: Sequence[str]) -> str:
    return "| " + " | ".join(entry.replace("|", r"\|") for entry in entries) + " |"


def _escape(text: str) -> str:
    return "".join(LATEX.get(mark, mark) for mark in text)


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.10g}"
