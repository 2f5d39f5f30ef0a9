"""Names and numbers of a claims.yaml: each must exist in the study's grid, sources or figures.

A misspelt estimator would otherwise drop out of a comparison, and a misspelt experiment would read
as one that has not run; `row_names` says what rows can be called. Imports neither torch nor pandas,
so that the workflow checks claims before anything trains.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from paper_repro import grid, parameters, registry
from paper_repro.claims import reported
from paper_repro.claims.rules import STATISTICS, check_deciding, check_together
from paper_repro.errors import UserError, nearest, quoted, unknown
from paper_repro.results import places
from paper_repro.results.files import COLUMNS
from paper_repro.results.row_names import Experiment, equal, experiment
from paper_repro.schemas import check_schema, read_yaml, schema

Filters = Mapping[str, Any]


def read(path: Path, study: str) -> dict[str, Any]:
    """A claims.yaml whose keys, names and numbers are right; UserError names the first mistake.

    Names are looked up where the study has a grid, which made-up studies of the tests lack.
    """
    where = f"{study}/claims.yaml"
    if not path.is_file():
        raise UserError(f"{path}: missing; every study needs claims.yaml")
    claims = read_yaml(path)
    check_schema(claims, schema("claims"), where)
    if claims["study"] != study:
        raise UserError(f"{where}: study is {claims['study']!r}, its folder {study!r}")
    _check_twice((claim["id"] for claim in claims["claims"]), f"{where}: claim")
    columns = _columns(study) | set(claims["coordinates"])
    for claim in claims["claims"]:
        place = f"{where}: {claim['id']}"
        _check_twice((check["name"] for check in claim["checks"]), f"{place}: check")
        for check in claim["checks"]:
            if check["statistic"] not in STATISTICS:
                what = f"{place}.{check['name']}: statistic"
                raise UserError(unknown(what, check["statistic"], STATISTICS))
            check_columns(check, columns, f"{place}.{check['name']}")
            check_together(check, f"{place}.{check['name']}")
            check_numbers(check, f"{place}.{check['name']}")
        check_deciding(claim, place)
    if study in grid.folders():
        check_names(claims, study)
    return claims


def check_columns(check: Mapping[str, Any], known: set[str], where: str) -> None:
    """Columns that filters, units and rules name must exist."""
    rule = check["rule"]
    columns = [*check["select"], *check.get("versus", {}), *check.get("units", [])]
    columns += [rule["x"]] if "x" in rule else []
    columns += check.get("given", {"select": {}})["select"]
    if tuned := check.get("tuned"):
        if tuned["over"] in columns:
            raise UserError(f"{where}: {tuned['over']!r} is tuned; it has no place in the check")
        columns += [*tuned["select"], tuned["over"].partition(".")[0]]
    for column in columns:
        if column not in known | {"kind", "reported"}:
            listed = ", ".join(sorted(known))
            near = nearest(column, known)
            hint = f"; did you mean {near!r}?" if near else ""
            raise UserError(f"{where}: unknown column {column!r}; allowed: {listed}{hint}")


def check_numbers(check: Mapping[str, Any], where: str) -> None:
    """Intervals must run upwards, counts fit into what they count, and lists name a value once."""
    rule = check["rule"]
    for name in ("within", "outside"):
        if name in rule and not rule[name][0] < rule[name][1]:
            raise UserError(f"{where}: rule.{name}: {rule[name]} does not run upwards")
    for name in ("at_least", "at_most"):
        if name in rule and rule[name] > rule.get("of", math.inf):
            raise UserError(f"{where}: rule.{name}: {rule[name]} is more than of, {rule['of']}")
    sides = [*_sides(check), ("given", {"value": check.get("given", {}).get("value")})]
    for side, filters in sides:
        for column, wanted in filters.items():
            if isinstance(wanted, dict) and wanted.get("min", -math.inf) > wanted.get(
                "max", math.inf
            ):
                raise UserError(f"{where}: {side}.{column}: min is above max")
            if isinstance(wanted, list):
                for place, value in enumerate(wanted):
                    if any(equal(value, other) for other in wanted[:place]):
                        what = f"{where}: {side}.{column}"
                        raise UserError(f"{what}: {quoted(value)} is there twice")


def check_names(claims: Mapping[str, Any], study: str) -> None:
    """Every experiment, metric, value, figure and reported number must exist; UserError offers the
    nearest."""
    sources = _reported(study)
    figures = registry.keys(registry.STUDIES / study / "figures.py", "FIGURES")
    for claim in claims["claims"]:
        whose = f"{study}/claims.yaml: {claim['id']}"
        for figure in claim["figure"].split():
            if figure not in figures:
                raise UserError(unknown(f"{whose}: figure", figure, figures))
        for check in claim["checks"]:
            where = f"{whose}.{check['name']}"
            source = check.get("versus", {}).get("reported")
            if source is not None and source not in sources:
                raise UserError(unknown(f"{where}: versus.reported", source, sources))
            for side, filters in _sides(check):
                whole = filters if side != "versus" else {**check["select"], **filters}
                experiment = whole.get("experiment", check["select"]["experiment"])
                looked_at = _experiment(study, experiment, f"{where}: {side}.experiment")
                for column, wanted in filters.items():
                    place = f"{where}: {side}.{column}"
                    looked_at.check(column, wanted, claims["coordinates"], place)
                beyond = side in ("select", "versus") and check.get("beyond_tiers", False)
                found = looked_at.check_cells(whole, f"{where}: {side}", beyond)
                places.check(found, whole, "span" in check, f"{where}: {side}")
            looked_at = _experiment(study, check["select"]["experiment"], where)
            for unit in check.get("units", []):
                looked_at.check_column(unit, f"{where}: units")
            if "x" in check["rule"]:
                looked_at.check_abscissa(check["rule"]["x"], f"{where}: rule.x")
            if tuned := check.get("tuned"):
                other = check.get("versus", {}).get("experiment", looked_at.name)
                for one in {looked_at, _experiment(study, other, where)}:
                    one.check_tuned(tuned["over"], f"{where}: tuned.over")
            for key in check.keys() & {"crossing", "along", "tuned"}:
                looked_at.check("metric", check[key]["metric"], (), f"{where}: {key}.metric")


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


def _sides(check: Mapping[str, Any]) -> Iterator[tuple[str, Filters]]:
    """The filters of a check, each with the key under which they stand."""
    yield "select", check["select"]
    if "versus" in check and "reported" not in check["versus"]:
        yield "versus", check["versus"]
    if "given" in check:
        yield "given.select", check["given"]["select"]
    if "tuned" in check:
        yield "tuned.select", check["tuned"]["select"]


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
