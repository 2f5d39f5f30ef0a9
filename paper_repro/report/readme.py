"""What README.md, Makefile and docs say of the published rows, written from them, never by hand.

Between two markers stand, in README, the verdicts, and in all three files the hours of tier
reduced.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from paper_repro import atomic, grid, registry
from paper_repro.errors import UserError, unknown
from paper_repro.report import hours, shown
from paper_repro.report.shown import Row
from paper_repro.results.files import RANK
from paper_repro.schemas import read_yaml

COLUMNS = (
    *("study", "claim", "check", "statement", "by", "kind", "unit", "estimate", "ci_low"),
    *("ci_high", "n", "verdict", "words", "deciding", "registered", "tier", "note"),
)
CLAIMS = ("<!-- claims: begin -->", "<!-- claims: end -->")
HOURS = ("<!-- hours: begin -->", "<!-- hours: end -->")
RECIPE = ("@# hours: begin", "@# hours: end")
MARKS = {**shown.SYMBOLS, "not run": "·"}


def update(clone: Path, claims: Path) -> None:
    """Write what `claims`, and the rows in the same folder, say into the files of `clone`.

    UserError, before any is written, if one is not there or not such a file, or has not one of
    each marker.
    """
    written = {}
    for name, texts in _texts(claims).items():
        path = clone / name
        if not path.is_file():
            raise UserError(f"{path}: not there; name the folder of the suite by --clone")
        written[path] = path.read_text(encoding="utf-8")
        for (begin, end), text in texts:
            written[path] = _replaced(written[path], begin, end, text, path)
    for path, text in written.items():
        atomic.write_text(path, text)


def _texts(claims: Path) -> dict[str, list[tuple[tuple[str, str], str]]]:
    """By file the texts that stand in it, each with its two markers."""
    verdicts = block(claims)
    found = hours.core_hours(claims.parent, grid.study_names())
    return {
        "README.md": [(CLAIMS, f"\n{verdicts}\n"), (HOURS, f"\n{hours.table(found)}\n")],
        "Makefile": [(RECIPE, f"\n{hours.recipe(found)}\n\t")],
        "docs/decisions.md": [(HOURS, hours.sentence(found))],
    }


def _replaced(text: str, begin: str, end: str, new: str, path: Path) -> str:
    before, first, rest = text.partition(begin)
    _, last, after = rest.partition(end)
    if not (first and last) or text.count(begin) > 1 or text.count(end) > 1:
        raise UserError(f"{path}: no lines {begin} and {end}, in this order and once each")
    return f"{before}{begin}{new}{end}{after}"


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
