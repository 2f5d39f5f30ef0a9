"""What the report says, gathered from the CSVs of a tier: verdicts, tables, runs, costs, versions.

Everything here is text ready to print; the page only arranges it. Absent files and rows stay
visible as "not run".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame

from paper_repro.report import hours, shown
from paper_repro.report.shown import ABSENT, SYMBOLS, Row
from paper_repro.results.frames import Results

SHORT = 24  # characters that a cell keeps on one line
ROLES = {"decides": "", "precondition": " (precondition)", "beside": " (does not decide)"}
RUN_COLUMNS = {
    "run_id": "run",
    "cell": "cell",
    "seed": "seed",
    "tier": "tier",
    "device_name": "device",
    "steps": "steps",
    "seconds": "seconds",
    "torch": "torch",
    "commit": "commit",
    "status": "status",
    "finished": "finished",
}


@dataclass(frozen=True)
class Column:
    """Head of a column and how to set it: ``number`` flush right, ``short`` on one line, or
    "" for running text."""

    name: str
    kind: str


@dataclass(frozen=True)
class Table:
    """A table ready to print; without rows nothing was run."""

    columns: list[Column] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True)
class Claim:
    """A claim with its verdict, its checks, and the runs behind it; numbers are those of the check
    that decides it (`shown`)."""

    id: str
    statement: str
    source: str
    rule: str
    note: str
    verdict: str
    symbol: str
    word: str  # the verdict in the words of its kind
    badge: str
    estimate: str
    measure: str  # name of the check that decides
    words: str
    n: str
    registered: str
    robustness: str
    power: str
    tier: str
    figures: list[str]
    checks: Table
    runs: dict[str, list[tuple[int, str]]]  # cell -> its seeds with their run ids
    more: str  # runs that claims.csv only counts
    commands: list[str]


def table(frame: DataFrame, names: dict[str, str] | None = None) -> Table:
    """`frame` as a printable table; `names` picks and renames columns."""
    if names:
        frame = frame[list(names)].rename(columns=names)
    texts = frame.map(_text)
    columns = [Column(str(name), _kind(texts[name])) for name in texts]
    return Table(columns, texts.to_numpy().tolist())


def markdown_table(path: Path) -> tuple[Table, list[str]]:
    """The pipe table of a Markdown file, and the paragraphs beneath it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head, _, *rows = [_pipes(line) for line in lines if line.startswith("|")]
    notes = [line for line in lines if line and not line.startswith("|")]
    return table(DataFrame(rows, columns=head)), notes


def _pipes(line: str) -> list[str]:
    entries = re.split(r"(?<!\\)\|", line.strip()[1:-1])
    return [entry.strip().replace(r"\|", "|") for entry in entries]


def claims(results: Results, rows: DataFrame, other_rules: DataFrame) -> list[Claim]:
    """The claims of one study, in the order of its claims.csv `rows`; `other_rules` are the lines
    of tables/robustness.csv."""
    records = rows.to_dict("records")
    found = []
    for row in records:
        if row["check"] == "":
            others = other_rules[other_rules["claim"] == row["claim"]]
            verdicts = dict(zip(map(str, others["rule"]), map(str, others["verdict"]), strict=True))
            found.append(_claim(results, row, shown.checks_of(row, records), verdicts))
    return found


def _claim(
    results: Results, row: Row, checks: Sequence[Row], other_rules: Mapping[str, str]
) -> Claim:
    cells, more = _cells(row["runs"])
    runs = results.runs[(results.runs["study"] == row["study"]) & results.runs["cell"].isin(cells)]
    runs = runs[runs["tier"].isin(row["tier"].split())] if row["tier"] else runs
    where = runs[["tier", "cell"]].drop_duplicates()
    decider = shown.decider(row, checks)
    return Claim(
        id=row["claim"],
        statement=row["statement"],
        source=f"{row['source']} ({_owner(row['by'])})",
        rule=row["rule"],
        note=row["note"],
        verdict=row["verdict"],
        symbol=SYMBOLS.get(row["verdict"], ""),
        word=shown.word(row),
        badge=shown.badge(decider),
        estimate=shown.estimate(row),
        measure=row["deciding"] if row["verdict"] != "not run" else "",
        words=shown.words(row, checks),
        n=row["n"],
        registered=row["registered"],
        robustness=shown.robustness(row["verdict"], other_rules),
        power=shown.power(decider),
        tier=row["tier"] or ABSENT,
        figures=row["figure"].split(),
        checks=_checks(checks),
        runs={
            str(cell): list(zip(found["seed"], found["run_id"], strict=True))
            for cell, found in runs.groupby("cell", sort=False)
        },
        more=more,
        commands=[
            command(row["study"], cell, tier)
            for tier, cell in zip(where["tier"], where["cell"], strict=True)
        ],
    )


def command(study: str, cell: str, tier: str) -> str:
    """What trains one cell alone, from the top of the repository."""
    return f"snakemake --cores all --config tier={tier} -- results/{tier}/runs/{study}/{cell}"


def run_table(results: Results, study: str) -> Table:
    """The runs of a study."""
    runs = results.runs[results.runs["study"] == study]
    return table(runs, RUN_COLUMNS) if len(runs) else Table()


def cost_table(results: Results) -> Table:
    """Cost per experiment, tier and device: cells, runs, hours, peak memory."""
    costs = results.costs
    if costs.empty:
        return Table()
    groups = costs.groupby(["study", "experiment", "tier", "device_name"], sort=True)
    found = groups.agg(
        cells=("cell", "nunique"),
        runs=("runs", "sum"),
        hours=("seconds", lambda seconds: seconds.sum() / 3600),
        peak_memory_mib=("peak_memory_mib", "max"),
    )
    return table(found.reset_index().rename(columns={"peak_memory_mib": "peak memory (MiB)"}))


def hour_table(results: Results) -> Table:
    """Hours of the runs of each study, tier and device, and the longest run."""
    found = hours.by_study(results.runs)
    return table(found.rename(columns={"longest": "longest run (s)"})) if len(found) else Table()


def fingerprint_table(results: Results) -> Table:
    """Data sets of the rows with the fingerprint of the data they were measured on."""
    rows = pd.concat([results.metrics, results.curves])
    rows = rows[rows["dataset"] != ""]
    found = (
        rows[["dataset", "fingerprint", "tier"]].drop_duplicates().sort_values(["dataset", "tier"])
    )
    return table(found) if len(found) else Table()


def version_table(results: Results) -> Table:
    """Where runs were made: tier, device, torch, Python, commit, with their number."""
    keys = ["tier", "device", "device_name", "torch", "python", "commit"]
    if results.runs.empty:
        return Table()
    found = results.runs.groupby(keys, sort=True).agg(
        runs=("run_id", "size"), newest=("finished", "max")
    )
    return table(found.reset_index())


def _checks(checks: Sequence[Row]) -> Table:
    if not checks:
        return Table()
    columns = {
        "check": [row["check"] + ROLES.get(row["role"], "") for row in checks],
        "rule": [row["rule"] for row in checks],
        "verdict": [_verdict(row) for row in checks],
        "estimate [95 % interval]": [shown.estimate(row) for row in checks],
        "p for": [shown.short(row["p_support"]) for row in checks],
        "p against": [shown.short(row["p_refute"]) for row in checks],
        "n": [row["n"] for row in checks],
        "kind": [row["kind"] for row in checks],
        "note": [row["note"] for row in checks],
    }
    return table(DataFrame(columns))


def _verdict(row: Row) -> str:
    """``✓ supported: above 0``; of a fact ``✓ holds``."""
    said = f"{SYMBOLS.get(row['verdict'], '')} {shown.word(row)}"
    return f"{said}: {row['words']}" if row["words"] not in ("", shown.word(row)) else said


def _cells(runs: str) -> tuple[list[str], str]:
    """Cells of a claim's `runs`, ``cell:3 other:3 +2 cells``, and what is only counted there."""
    named, _, more = runs.partition(" +")
    return [part.rsplit(":", 1)[0] for part in named.split()], more


def _owner(by: str) -> str:
    return "a published claim" if by == "paper" else "our claim"


def _text(value: Any) -> str:
    """A cell of a table: three significant decimals for fractions, whole numbers as they are."""
    if isinstance(value, float):
        if value != value:
            return ""
        return f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.4g}"
    return str(value)


def _kind(texts: pd.Series) -> str:
    known = texts[~texts.isin(["", ABSENT])]
    if len(known) and pd.to_numeric(known, errors="coerce").notna().all():
        return "number"
    return "short" if texts.str.len().max() <= SHORT else ""
