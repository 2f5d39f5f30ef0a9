"""claims.csv read back: what stands there must be what the studies' claims.yaml ask for.

Estimates and p values of single checks are taken as they are. Checked are which rows there are,
their words, and that the verdict of every claim, the check that decides it and its numbers follow
from the checks by the rules of the family.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from paper_repro import grid, registry
from paper_repro.claims import check as claim_check
from paper_repro.claims import family
from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.check import Check, Claim
from paper_repro.claims.family import Decision, Part
from paper_repro.claims.verdicts import CLAIM_COLUMNS
from paper_repro.claims.wording import describe
from paper_repro.errors import UserError, quoted, unknown
from paper_repro.results import csvfile

VERDICTS = (SUPPORTED, CONTRADICTED, INCONCLUSIVE, NOT_RUN)
REGISTERED = ("before", "after", "unknown", "")
NUMBERS = ("estimate", "ci_low", "ci_high", "p_support", "p_refute", "p_holm")
POWER = ("detects", "detects_holm", "seeds_needed")
REPEATED = ("estimate", "ci_low", "ci_high", "unit", "n")  # of the check that decides
Row = Mapping[str, str]
Rows = dict[tuple[str, str], Row]  # of a study, by claim and check ("" for the claim itself)


def read(path: Path, studies: Iterable[str]) -> pd.DataFrame:
    """The rows of a claims.csv as text. UserError, naming the row, unless it holds those of all
    claims and checks of `studies` and of any other study that it names."""
    head, *records = csvfile.read(path, CLAIM_COLUMNS)
    rows = [dict(zip(head, record, strict=True)) for record in records]
    found: dict[str, Rows] = {study: {} for study in studies}
    for line, row in enumerate(rows, start=2):
        key = (row["claim"], row["check"])
        name = f"{row['study']}/{_name(key)}"
        if row["study"] not in grid.folders():
            raise UserError(
                f"{path}, line {line}: {unknown('study', row['study'], grid.folders())}"
            )
        if key in found.setdefault(row["study"], {}):
            raise UserError(f"{path}, line {line}: {name} stands there twice")
        if fault := _fault(row):
            raise UserError(f"{path}, line {line}: {name}: {fault}")
        found[row["study"]][key] = row
    for study, own in found.items():
        claims = claim_check.read(registry.STUDIES / study / "claims.yaml", study)
        fault = next(_other_words(claims, own), "") or next(_other_verdicts(claims, own), "")
        if fault:
            raise UserError(f"{path}: {study}/{fault}; judge the claims again")
    return pd.DataFrame(rows, columns=CLAIM_COLUMNS, dtype=str)


def decisions(claims: Sequence[Claim], rows: Rows) -> dict[str, Decision]:
    """What follows for the claims of a study from the rows of their checks."""
    return family.decide(
        {
            claim.id: [_part(check, rows[claim.id, check.name]) for check in claim.checks]
            for claim in claims
        }
    )


def _part(check: Check, row: Row) -> Part:
    return Part(
        check.name,
        check.kind,
        check.role,
        support=float(row["p_support"] or 1.0),
        refute=float(row["p_refute"] or 1.0),
        holds={SUPPORTED: True, CONTRADICTED: False}.get(row["verdict"]),
        run=row["verdict"] != NOT_RUN,
    )


def _fault(row: Row) -> str:
    """What is wrong with a row by itself; "" for nothing."""
    for column, words in (("verdict", VERDICTS), ("registered", REGISTERED)):
        if row[column] not in words:
            return unknown(column, row[column], words)
    for tier in row["tier"].split():
        if tier not in grid.TIERS:
            return unknown("tier", tier, grid.TIERS)
    if not row["tier"] and row["verdict"] in (SUPPORTED, CONTRADICTED):
        return f"{row['verdict']}, but at no tier"
    for column in (*NUMBERS, *POWER):
        if row[column] and not _is_number(row[column]):
            return f"{column} {quoted(row[column])} is no number"
    return ""


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def _other_words(claims: Sequence[Claim], rows: Rows) -> Iterator[str]:
    """Rows that a study's claims do not have, have not got, or word otherwise."""
    stated: dict[tuple[str, str], dict[str, str]] = {}
    for claim in claims:
        words = {key: getattr(claim, key) for key in ("statement", "source", "by", "figure")}
        stated[claim.id, ""] = {**words, "kind": claim.kind, "role": ""}
        for check in claim.checks:
            own = {"kind": check.kind, "role": check.role, "rule": describe(check)}
            stated[claim.id, check.name] = {**words, **own}
    for key in (*stated, *rows):
        if (key in stated) != (key in rows):
            yield f"{_name(key)} is {'not there' if key in stated else 'stated nowhere'}"
            continue
        for column, text in stated[key].items():
            if rows[key][column] != " ".join(text.split()):
                yield f"{_name(key)} has another {column} than claims.yaml"


def _other_verdicts(claims: Sequence[Claim], rows: Rows) -> Iterator[str]:
    """Claims whose row does not follow from those of their checks."""
    for name, found in decisions(claims, rows).items():
        row = rows[name, ""]
        if row["verdict"] != found.verdict:
            yield f"{name} is {row['verdict']}, by its checks {found.verdict}"
        if row["deciding"] != found.deciding:
            yield f"{name} is decided by {quoted(row['deciding'])}, by its checks {found.deciding}"
        for column in REPEATED:
            if row[column] != rows[name, found.deciding][column]:
                yield f"{name} has another {column} than {found.deciding}, which decides it"


def _name(key: tuple[str, str]) -> str:
    return ".".join(filter(None, key))
