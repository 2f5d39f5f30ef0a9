"""Names and numbers of a claims.yaml: each must exist in the study's grid, sources or figures.

A misspelt estimator would otherwise drop out of a comparison, and a misspelt experiment would read
as one that has not run. Settings are looked up in the cells of all tiers. What a run measures is
known only once it has run; its names (metrics, splits, coordinates) are texts in the sources of the
experiment's cells, where a misspelt one is not found. Imports neither torch nor pandas, so that the
workflow checks claims before anything trains.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from paper_repro import grid, parameters, registry
from paper_repro.analysis import reported
from paper_repro.analysis.files import COLUMNS
from paper_repro.errors import UserError, nearest, quoted, unknown
from paper_repro.schemas import check_schema, read_yaml, schema

Filters = Mapping[str, Any]
# What rows carry whatever the experiment; {min, max} of progress is a stretch of a curve.
FREE = ("progress", "step", "steps", "seed", "kind", "reported", "cell", "tier")
# Columns whose values are known whatever the experiment.
KNOWN: dict[str, Callable[[], list[str]]] = {
    "estimator": lambda: registry.names("estimators"),
    "cell_estimator": lambda: registry.names("estimators"),
    "split": lambda: ["train", "validation", "test"],
}


def read(path: Path, study: str) -> dict[str, Any]:
    """A claims.yaml whose keys, names and numbers are right; UserError names the first mistake.

    Names are looked up where the study has a grid, which made-up studies of the tests lack.
    """
    where = f"{study}/claims.yaml"
    if not path.is_file():
        raise UserError(f"{path}: not there; a study states its claims in it")
    claims = read_yaml(path)
    check_schema(claims, schema("claims"), where)
    if claims["study"] != study:
        raise UserError(f"{where}: study is {claims['study']!r}, its folder {study!r}")
    _check_twice((claim["id"] for claim in claims["claims"]), f"{where}: claim")
    columns = _columns(study) | set(claims["coordinates"])
    statistics = registry.keys(registry.PACKAGE / "analysis" / "checks.py", "STATISTICS")
    for claim in claims["claims"]:
        place = f"{where}: {claim['id']}"
        _check_twice((check["name"] for check in claim["checks"]), f"{place}: check")
        for check in claim["checks"]:
            if check["statistic"] not in statistics:
                what = f"{place}.{check['name']}: statistic"
                raise UserError(unknown(what, check["statistic"], statistics))
            check_columns(check, columns, f"{place}.{check['name']}")
            check_numbers(check, f"{place}.{check['name']}")
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
    """Intervals must run upwards, and counts fit into what they count."""
    rule = check["rule"]
    for name in ("within", "outside"):
        if name in rule and not rule[name][0] < rule[name][1]:
            raise UserError(f"{where}: rule.{name}: {rule[name]} does not run upwards")
    for name in ("at_least", "at_most"):
        if name in rule and rule[name] > rule.get("of", math.inf):
            raise UserError(f"{where}: rule.{name}: {rule[name]} is more than of, {rule['of']}")
    for side, filters in _sides(check):
        for column, wanted in filters.items():
            if isinstance(wanted, dict) and wanted.get("min", -math.inf) > wanted.get(
                "max", math.inf
            ):
                raise UserError(f"{where}: {side}.{column}: min is above max")


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
            looked_at = _experiment(study, check["select"]["experiment"], where)
            for key in check.keys() & {"crossing", "along", "tuned"}:
                looked_at.check("metric", check[key]["metric"], (), f"{where}: {key}.metric")


def _columns(study: str) -> set[str]:
    """Columns that rows of the study can have, from the tasks' literals."""
    known = {*COLUMNS["metrics"], *parameters.COMMON, "cell_estimator", "progress"}
    for task in registry.names("tasks", study):
        known |= set(registry.constant("tasks", task, "PARAMS", study) or {})
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


class _Experiment:
    """What the rows of one experiment can be called."""

    def __init__(self, study: str, written: Mapping[str, Any]) -> None:
        task = written["task"]
        rules = registry.constant("tasks", task, "PARAMS", study) or {}
        self.settings: dict[str, list[Any]] = {}
        self._add({name: rule["default"] for name, rule in rules.items() if "default" in rule})
        for name in registry.constant("tasks", task, "HANDED", study) or ():
            self._add({name: {"metric": name, "times": 1}})
        for scale in [written, *written.get("tiers", {}).values()]:
            self._add(scale.get("params", {}))
            for axis, values in scale.get("axes", {}).items():
                for value in values:
                    self._add(value if isinstance(value, Mapping) else {axis: value})
        files = registry.closure([registry.path_of("tasks", task, study)])
        self.words = frozenset[str]().union(*map(_words, files))
        self.patterns = {pattern for path in files for pattern in _patterns(path)}

    def check(self, column: str, wanted: Any, coordinates: Iterable[str], where: str) -> None:
        """UserError for a value of a filter that no row can have."""
        if column in FREE or column == "experiment" or isinstance(wanted, dict):
            return
        known = KNOWN[column]() if column in KNOWN else self.settings.get(column, [])
        # a name with a dot is a setting inside another, where the experiment has such a one
        setting = column in self.settings and ("." in column or column not in coordinates)
        for value in wanted if isinstance(wanted, list) else [wanted]:
            if value == "" or any(_equal(value, one) for one in known):
                continue
            if setting or column in KNOWN:
                raise UserError(unknown(where, value, known))
            if not self._says(value):  # what a run measures is named in its sources
                near = nearest(value, self.words) if isinstance(value, str) else ""
                hint = f"; did you mean {near!r}?" if near else ""
                raise UserError(f"{where}: {quoted(value)} is nothing that its task names{hint}")

    def _add(self, params: Mapping[str, Any]) -> None:
        for name, value in _flat(params):
            self.settings.setdefault(name, []).append(value)

    def _says(self, word: Any) -> bool:
        """Whether the sources write a number or text, or a formatted one that could give it."""
        if not isinstance(word, str):
            numbers = (one for found in self.settings.values() for one in found)
            return str(word) in self.words or any(_equal(word, one) for one in numbers)
        if word in self.words:
            return True
        return any(re.fullmatch(pattern, word) for pattern in self.patterns)


def _experiment(study: str, name: str, where: str) -> _Experiment:
    """UserError where the study has no such experiment."""
    if name not in (written := grid.experiments(study)):
        raise UserError(unknown(where, name, written))
    return _read_experiment(study, name)


@cache
def _read_experiment(study: str, name: str) -> _Experiment:
    return _Experiment(study, grid.experiments(study)[name])


@cache
def _words(path: Path) -> frozenset[str]:
    """Texts, keywords, attributes and numbers in a source file: what can stand in a row."""
    code = path.read_text(encoding="utf-8")
    kinds = (r"\"([^\"\n]*)\"", r"'([^'\n]*)'", r"\b(\w+)=", r"\.(\w+)")
    numbers = re.findall(r"(?<![\w.])\d+\.?\d*(?:e-?\d+)?", code)
    texts = frozenset().union(*(re.findall(kind, code) for kind in kinds))
    return texts | {str(kind(number)) for number in numbers for kind in _kinds(number)}


def _kinds(number: str) -> tuple[type, ...]:
    """As a number in a claim may be read: 1 is 1 and 1.0."""
    return (float,) if "." in number or "e" in number else (int, float)


@cache
def _patterns(path: Path) -> tuple[str, ...]:
    """Patterns of the names that a file makes of a text and a value, such as violation_{name}."""
    found = re.findall(r"f\"(\w*(?:\{[^{}\"]*\}\w*)+)\"", path.read_text(encoding="utf-8"))
    parts = [[re.escape(part) for part in re.split(r"\{[^{}]*\}", text)] for text in found]
    return tuple(r"\w+".join(part) for part in parts if max(map(len, part)) > 2)


def _flat(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by the names that filters use, those inside options as ``rates.likelihood``, and
    each entry of a list."""
    for name, value in params.items():
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, Mapping):
                yield from _flat(entry, f"{prefix}{name}.")
            elif not isinstance(entry, list):
                yield f"{prefix}{name}", entry


def _equal(one: Any, other: Any) -> bool:
    """Equal as `filters.passes` has it: numbers to nine digits, texts exactly."""
    if isinstance(one, bool | str) or isinstance(other, bool | str):
        return str(one) == str(other)
    return math.isclose(one, other, rel_tol=1e-9)


def _check_twice(names: Iterable[str], what: str) -> None:
    seen = set[str]()
    for name in names:
        if name in seen:
            raise UserError(f"{what} {name} is there twice")
        seen.add(name)
