"""claims.csv read back: what stands there must be what the studies' claims.yaml ask for.

Estimates and the verdicts of single checks are taken as they are. Checked are which rows there are,
their words, and that the verdict of a claim of several checks follows from theirs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from paper_repro import grid, registry
from paper_repro.claims import names as claim_names
from paper_repro.claims.checks import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.verdicts import CLAIM_COLUMNS, combined
from paper_repro.claims.wording import describe
from paper_repro.errors import UserError, quoted, unknown
from paper_repro.results import csvfile

VERDICTS = (SUPPORTED, CONTRADICTED, INCONCLUSIVE, NOT_RUN)
NUMBERS = ("estimate", "ci_low", "ci_high", "p_value", "p_holm")
STATED = ("statement", "source", "by", "figure")
Rows = dict[str, dict[str, str]]  # of a study, by the name of claim or check


def read(path: Path, studies: Iterable[str]) -> pd.DataFrame:
    """The rows of a claims.csv as text. UserError, naming the row, unless it holds those of all
    claims and checks of `studies` and of any other study that it names."""
    head, *records = csvfile.read(path, CLAIM_COLUMNS)
    rows = [dict(zip(head, record, strict=True)) for record in records]
    found: dict[str, Rows] = {study: {} for study in studies}
    for line, row in enumerate(rows, start=2):
        name = f"{row['study']}/{row['claim']}"
        if row["study"] not in grid.folders():
            raise UserError(
                f"{path}, line {line}: {unknown('study', row['study'], grid.folders())}"
            )
        if row["claim"] in found.setdefault(row["study"], {}):
            raise UserError(f"{path}, line {line}: {name} stands there twice")
        if fault := _fault(row):
            raise UserError(f"{path}, line {line}: {name}: {fault}")
        found[row["study"]][row["claim"]] = row
    for study, own in found.items():
        if fault := next(_faults_of_study(study, own), ""):
            raise UserError(f"{path}: {study}/{fault}; judge the claims again")
    return pd.DataFrame(rows, columns=CLAIM_COLUMNS, dtype=str)


def _fault(row: Mapping[str, str]) -> str:
    """What is wrong with a row by itself; "" for nothing."""
    if row["verdict"] not in VERDICTS:
        return unknown("verdict", row["verdict"], VERDICTS)
    for tier in row["tier"].split():
        if tier not in grid.TIERS:
            return unknown("tier", tier, grid.TIERS)
    if not row["tier"] and row["verdict"] in (SUPPORTED, CONTRADICTED):
        return f"{row['verdict']}, but at no tier"
    for column in NUMBERS:
        if row[column] and not _is_number(row[column]):
            return f"{column} {quoted(row[column])} is no number"
    return ""


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def _faults_of_study(study: str, rows: Rows) -> Iterator[str]:
    """What a study's rows do not share with its claims.yaml."""
    stated: dict[str, Mapping[str, Any]] = {}
    rules: dict[str, str] = {}
    whole = []
    for claim in claim_names.read(registry.STUDIES / study / "claims.yaml", study)["claims"]:
        checks = {check["name"]: check for check in claim["checks"]}
        alone = len(checks) == 1
        names = {name: claim["id"] if alone else f"{claim['id']}.{name}" for name in checks}
        stated |= dict.fromkeys([*names.values(), claim["id"]], claim)
        rules |= {names[name]: describe(check) for name, check in checks.items()}
        whole += [] if alone else [(claim, names)]
    for name in (*stated, *rows):
        if (name in stated) != (name in rows):
            yield f"{name} is {'not there' if name in stated else 'stated nowhere'}"
            continue
        for key in STATED:
            if rows[name][key] != _one_line(stated[name][key]):
                yield f"{name} has another {key} than claims.yaml"
        if name in rules and rows[name]["rule"] != _one_line(rules[name]):
            yield f"{name} has another rule than claims.yaml"
    for claim, names in whole:
        verdict = combined(claim, {check: rows[name]["verdict"] for check, name in names.items()})
        if rows[claim["id"]]["verdict"] != verdict:
            yield f"{claim['id']} is {rows[claim['id']]['verdict']}, by its checks {verdict}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
