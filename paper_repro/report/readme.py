"""The claims table of README.md, written from the published verdicts and never by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from paper_repro import atomic, grid, registry
from paper_repro.errors import UserError, unknown
from paper_repro.report import shown
from paper_repro.report.shown import Row
from paper_repro.results.files import RANK
from paper_repro.schemas import read_yaml

BEGIN, END = "<!-- claims: begin -->", "<!-- claims: end -->"
COLUMNS = (
    *("study", "claim", "check", "statement", "by", "kind", "unit", "estimate", "ci_low"),
    *("ci_high", "n", "verdict", "words", "deciding", "registered", "tier", "note"),
)
MARKS = {**shown.SYMBOLS, "not run": "·"}


def update(readme: Path, claims: Path) -> None:
    """Replace what stands between the markers of `readme` by the verdicts of `claims`.

    UserError if a file is not there or not such a file, or has not one of each marker.
    """
    if not readme.is_file():
        raise UserError(f"{readme}: not there; name the README to write into by --readme")
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or text.count(BEGIN) > 1 or text.count(END) > 1:
        raise UserError(f"{readme}: no lines {BEGIN} and {END}, in this order and once each")
    atomic.write_text(readme, f"{before}{BEGIN}\n{block(claims)}\n{END}{after}")


def block(claims: Path) -> str:
    """The verdicts as a Markdown table a study, one row a claim with the check that decides it;
    the others are left to the report. UserError if `claims` is not there or holds no verdicts, or
    others than those of all claims of all studies on rows that are published."""
    if not claims.is_file():
        raise UserError(f"{claims}: not there; judge the claims first (snakemake does)")
    try:
        rows = pd.read_csv(claims, keep_default_na=False, dtype=str)
    except ValueError as error:  # pandas' own errors are of its kind, and UnicodeDecodeError
        raise UserError(f"{claims}: {error}") from None
    if lacking := [name for name in COLUMNS if name not in rows]:
        raise UserError(
            f"{claims}: no column {lacking[0]!r}; give it a claims.csv as the workflow writes it"
        )
    for i, (verdict, tier) in enumerate(zip(rows["verdict"], rows["tier"], strict=True), 2):
        _check_row(f"{claims}, line {i}", verdict, tier)
    records = rows.to_dict("records")
    whole = [row for row in records if not row["check"]]
    _check_whole(whole, claims)
    studies = dict.fromkeys(row["study"] for row in whole)
    sections = [_section(study, [r for r in records if r["study"] == study]) for study in studies]
    return "\n".join([shown.registration(whole), "", *sections])


def _check_row(where: str, verdict: str, tier: str) -> None:
    if verdict not in MARKS:
        raise UserError(unknown(f"{where}: verdict", verdict, MARKS))
    if not tier and verdict in ("supported", "contradicted"):
        raise UserError(f"{where}: {verdict}, but at no tier")
    for word in tier.split():
        if word not in RANK:
            raise UserError(f"{where}: a verdict at tier {word!r}; {' and '.join(RANK)} count")


def _check_whole(rows: Sequence[Row], claims: Path) -> None:
    """UserError unless each claim of each study has one row."""
    found = [(row["study"], row["claim"]) for row in rows]
    stated = [
        (study, claim["id"])
        for study in grid.study_names()
        for claim in read_yaml(registry.STUDIES / study / "claims.yaml")["claims"]
    ]
    for key in (*stated, *found):
        fault = "is stated nowhere" if key not in stated else ""
        if (times := found.count(key)) != 1:
            fault = "stands there twice" if times else "is not there"
        if fault:
            raise UserError(f"{claims}: claim {'/'.join(key)} {fault}; judge the claims again")


def _section(study: str, rows: Sequence[Row]) -> str:
    tally = shown.tally(row for row in rows if not row["check"])
    head = f"<details><summary><code>{study}</code>: {tally}</summary>"
    return f"{head}\n\n{_table(rows)}\n\n</details>"


def _table(rows: Sequence[Row]) -> str:
    lines = ["| | claim | by | verdict | decided by | rule fixed | tier |", f"|{' --- |' * 7}"]
    for row in (row for row in rows if not row["check"]):
        checks = shown.checks_of(row, rows)
        verdict = f"{MARKS[row['verdict']]} {shown.word(row)}"
        if said := shown.badge(shown.decider(row, checks)):
            verdict += f", *{said}*"
        owner = "the paper" if row["by"] == "paper" else "us"
        cells = [row["claim"], row["statement"], owner, verdict, shown.decided(row, checks)]
        cells += [row["registered"], row["tier"]]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)
