"""Names and numbers of a claims.yaml: each must exist in the study's grid, sources or figures.

A misspelt estimator would otherwise drop out of a comparison, and a misspelt experiment would read
as one that has not run; `row_names` says what rows can be called. Imports neither torch nor pandas,
so that the workflow checks claims before anything trains.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from paper_repro import grid, parameters, registry
from paper_repro.claims import check as language
from paper_repro.claims import reach, reported
from paper_repro.claims.check import Check, Claim
from paper_repro.claims.rules import check_claim
from paper_repro.errors import UserError, nearest, unknown
from paper_repro.results import places
from paper_repro.results.files import COLUMNS
from paper_repro.results.row_names import Experiment, experiment

Filters = Mapping[str, Any]


def read(path: Path, study: str) -> list[Claim]:
    """The claims of a claims.yaml whose keys, names and numbers are right; UserError names the
    first mistake.

    Names are looked up where the study has a grid, which made-up studies of the tests lack. Files
    that are what they were when last read are not checked again.
    """
    files = (path.parent / name for name in (path.name, "samples.py", "reported.csv", "grid.yaml"))
    content = (file.read_bytes() if file.is_file() else b"" for file in files)
    return list(_checked(path, study, *content))


@cache
def _checked(path: Path, study: str, *content: bytes) -> tuple[Claim, ...]:
    where = f"{study}/claims.yaml"
    document = language.document(path, study)
    claims = [language.claim_of(written, study) for written in document["claims"]]
    _check_twice((claim.id for claim in claims), f"{where}: claim")
    columns = _columns(study) | set(document["coordinates"])
    for claim in claims:
        check_claim(claim)
        for check in claim.checks:
            check_columns(check, columns)
            if check.sample and check.sample not in _samples(path.parent / "samples.py"):
                known = sorted(_samples(path.parent / "samples.py"))
                raise UserError(unknown(f"{check.where}: sample", check.sample, known))
    deviations = document.get("deviations", ())
    _check_twice((deviation["claim"] for deviation in deviations), f"{where}: deviation of")
    for deviation in deviations:
        if deviation["claim"] not in (ids := [claim.id for claim in claims]):
            raise UserError(unknown(f"{where}: deviations: claim", deviation["claim"], ids))
    if study in grid.folders():
        check_names(claims, document["coordinates"], study)
        reach.check(claims, study)
    return tuple(claims)


def check_columns(check: Check, known: set[str]) -> None:
    """Columns that filters and units name must exist."""
    where = check.where
    columns = [*check.select, *(check.versus or {}), *check.columns]
    if tuned := check.tuned:
        if tuned["over"] in columns:
            raise UserError(f"{where}: {tuned['over']!r} is tuned; it has no place in the check")
        columns += [*tuned["select"], tuned["over"].partition(".")[0]]
    columns += (check.settled or {}).get("select", {})
    for column in columns:
        if column not in known | {"kind", "reported"}:
            listed = ", ".join(sorted(known))
            near = nearest(column, known)
            hint = f"; did you mean {near!r}?" if near else ""
            raise UserError(f"{where}: unknown column {column!r}; allowed: {listed}{hint}")


def check_names(claims: Iterable[Claim], coordinates: list[str], study: str) -> None:
    """Every experiment, metric, value, figure and reported number must exist; UserError offers the
    nearest."""
    sources = _reported(study)
    figures = registry.keys(registry.STUDIES / study / "figures.py", "FIGURES")
    for claim in claims:
        for figure in claim.figure.split():
            if figure not in figures:
                where = f"{study}/claims.yaml: {claim.id}: figure"
                raise UserError(unknown(where, figure, figures))
        for check in claim.checks:
            _check_names(check, coordinates, sources)


def _check_names(check: Check, coordinates: list[str], sources: list[str]) -> None:
    study, where = check.study, check.where
    source = (check.versus or {}).get("reported")
    if source is not None and source not in sources:
        raise UserError(unknown(f"{where}: versus.reported", source, sources))
    for side, filters in _sides(check):
        whole = check.other if side == "versus" else filters
        named = whole.get("experiment", check.select["experiment"])
        looked_at = _experiment(study, named, f"{where}: {side}.experiment")
        for column, wanted in filters.items():
            if wanted is not None:
                looked_at.check(column, wanted, coordinates, f"{where}: {side}.{column}")
        beyond = side in ("select", "versus") and check.beyond_tiers
        found = looked_at.check_cells(whole, f"{where}: {side}", beyond)
        if not check.sample:
            places.check(found, whole, bool(check.span), f"{where}: {side}")
    looked_at = _experiment(study, check.select["experiment"], where)
    for unit in check.columns:
        looked_at.check_column(unit, f"{where}: units")
    if isinstance(check.units, dict):
        for unit, values in check.units.items():
            looked_at.check(unit, list(values), coordinates, f"{where}: units.{unit}")
    if tuned := check.tuned:
        other = check.other["experiment"]
        for one in {looked_at, _experiment(study, other, where)}:
            one.check_tuned(tuned["over"], f"{where}: tuned.over")
        looked_at.check("metric", tuned["metric"], (), f"{where}: tuned.metric")
    if check.settled:
        side = check.settled.get("of", "select")
        named = check.other["experiment"] if side == "versus" else looked_at.name
        settles = _experiment(study, named, where)
        settles.check("metric", check.settled["metric"], (), f"{where}: settled.metric")
        for column, wanted in check.settled.get("select", {}).items():
            settles.check(column, wanted, coordinates, f"{where}: settled.select.{column}")
    if check.error:
        looked_at.check("metric", check.error, (), f"{where}: error")


@cache
def _samples(path: Path) -> set[str]:
    """Functions of a study's samples.py that a check may name."""
    if not path.is_file():
        return set()
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for node in body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "paper_repro.studies"
        ):
            # its code would be no part of what is on record of a claim's rules (`registration`)
            raise UserError(f"{path}: {node.module}: what samples use stands in this file itself")
    found = (node.name for node in body if isinstance(node, ast.FunctionDef))
    return {name for name in found if not name.startswith("_")}


def _columns(study: str) -> set[str]:
    """Columns that rows of the study can have, from the tasks' literals."""
    known = {*COLUMNS["metrics"], *parameters.COMMON, "cell_estimator", "progress"}
    for task in registry.names("tasks", study):
        for protocol in (None, *registry.names("protocols")):
            known |= set(parameters.rules_of(study, task, protocol))
    return known - {"value", "at", "run_id"}


@cache
def _reported(study: str) -> list[str]:
    """Sources of the numbers in reported.csv: the parts of its ids before a dash."""
    path = registry.STUDIES / study / "reported.csv"
    if not path.is_file():
        return []
    ids = [row["id"].split("-") for row in reported.read(path, study)]
    found = ("-".join(parts[:end]) for parts in ids for end in range(1, len(parts)))
    return list(dict.fromkeys(found))


def _sides(check: Check) -> Iterator[tuple[str, Filters]]:
    """The filters of a check, each with the key under which they stand."""
    yield "select", check.select
    if check.versus and "reported" not in check.versus:
        yield "versus", check.versus
    if check.tuned:
        yield "tuned.select", check.tuned["select"]


def _experiment(study: str, name: str, where: str) -> Experiment:
    """UserError where the study has no such experiment."""
    if name not in (written := grid.experiments(study)):
        raise UserError(unknown(where, name, written))
    return experiment(study, name)


def _check_twice(names: Iterable[str], what: str) -> None:
    seen = set[str]()
    for name in names:
        if name in seen:
            raise UserError(f"{what} {name} is there twice")
        seen.add(name)
