"""What the rows of an experiment can be called, known before anything trains.

Settings are looked up in the cells of all tiers, and so are seeds, ids and tiers. What a run
measures is known only once it has run; its names (metrics, coordinates) are texts in the sources
of the experiment's task, where a misspelt one is not found.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from paper_repro import grid, parameters, registry
from paper_repro.analysis.files import COLUMNS
from paper_repro.errors import UserError, nearest, quoted, unknown

FREE = ("experiment", "reported", "step")  # checked elsewhere, or what only a run tells
PARTS = ("before", "after")  # of a curve, see `crossing`
SPLITS = ("train", "validation", "test")


class Experiment:
    """What the rows of one experiment can be called."""

    def __init__(self, study: str, name: str) -> None:
        self.study, self.name = study, name
        written = grid.experiments(study)[name]
        self.task = written["task"]
        protocol = written.get("params", {}).get("protocol")
        rules = parameters.rules_of(study, self.task, protocol)
        defaults = {name: rule["default"] for name, rule in rules.items() if "default" in rule}
        self.settings: dict[str, list[Any]] = {}
        self.listed: list[Any] = []  # entries of lists, at which a run may measure
        self.seeds, self.tiers = 0, list[str]()
        self._add(defaults)  # of what all tiers override: runs too long for any of them
        for tier in grid.TIERS:
            if (scale := grid.at_tier(written, tier)) is None:
                continue
            fixed, axes, seeds = scale
            self.seeds = max(self.seeds, seeds)
            self.tiers.append(tier)
            always = set[str]()
            for axis, values in axes.items():
                points = [v if isinstance(v, Mapping) else {axis: v} for v in values]
                always |= set.intersection(*(set(point) for point in points))
                for point in points:
                    self._add(point)
            self._add({k: v for k, v in fixed.items() if k not in always})
        self.path = registry.path_of("tasks", self.task, study)
        rooms = ("parts", "protocols", "vaes") if "protocol" in rules else ()
        parts = [registry.path_of(room, name) for room in rooms for name in registry.names(room)]
        files = registry.closure([self.path, *parts])
        self.words = frozenset[str]().union(*map(_words, files))
        self.written = frozenset[str]().union(*map(_coordinates, files))
        self.patterns = {pattern for path in files for pattern in _patterns(path)}

    def check(self, column: str, wanted: Any, coordinates: Collection[str], where: str) -> None:
        """UserError for a value of a filter that no row can have."""
        if column in FREE:
            return
        if column == "progress":
            _check_progress(wanted, where)
            return
        # a coordinate of one task may be a setting of another, or inside one (a name with a dot)
        setting = column in self.settings and column not in self.written
        measured = column in coordinates and not setting
        measured |= column in COLUMNS["metrics"] and column not in self.settings
        known = self._fixed(column)
        if known is None:
            known = self.settings.get(column, [])
        else:
            measured = False
        if isinstance(wanted, dict):
            if not measured:
                _check_numbers(known, where)
            return
        for value in wanted if isinstance(wanted, list) else [wanted]:
            if value == "" or any(equal(value, one) for one in known):
                continue
            if not measured:
                raise UserError(unknown(where, value, known))
            if not self._says(value, column):  # what a run measures is named in its sources
                near = nearest(value, self.words) if isinstance(value, str) else ""
                hint = f"; did you mean {near!r}?" if near else ""
                raise UserError(f"{where}: {quoted(value)} is nothing that its task names{hint}")

    def _fixed(self, column: str) -> list[Any] | None:
        """The values of a column that is no parameter alone; None for others."""
        match column:
            case "estimator":
                return self.estimators
            case "cell_estimator":
                return list(dict.fromkeys(self.settings["estimator"]))
            case "split":
                return list(SPLITS)
            case "kind":
                return ["final", "curve"]
            case "tier":
                return self.tiers
            case "seed":
                return list(range(self.seeds))
            case "cell":
                return self.cells
        return None

    @cached_property
    def cells(self) -> list[str]:
        """Ids of its cells at all tiers."""
        found = (cell for tier in grid.TIERS for cell in grid.expand(self.study, tier))
        return list(dict.fromkeys(cell.id for cell in found if cell.experiment == self.name))

    @cached_property
    def estimators(self) -> list[str]:
        """Estimators of its cells, and those that their rows may name besides: compared ones, those
        inside another's options, and those that its task measures."""
        inside = [f"estimator_options.{name}" for name in parameters.NESTED]
        found = {
            one for key in ("estimator", "compare", *inside) for one in self.settings.get(key, [])
        }
        listed = registry.constant("tasks", self.task, "ESTIMATORS", self.study) or ()
        known = set(registry.names("estimators"))
        return sorted((found | set(listed) | _words(self.path)) & known)

    def _add(self, params: Mapping[str, Any]) -> None:
        for name, value in params.items():
            if isinstance(value, Mapping) and "of" in value:  # a number handed on, see `handed`
                value = {"metric": name, "times": 1, **value}
            self.listed += value if isinstance(value, list) else []
            for key, entry in _flat({name: value}):
                self.settings.setdefault(key, []).append(entry)

    def _says(self, word: Any, column: str) -> bool:
        """Whether the sources write a number or text, or a formatted one that could give it. A
        coordinate that is a setting too is written by the task itself."""
        if not isinstance(word, str):
            every = [one for found in self.settings.values() for one in found]
            if column in self.settings:
                every = [*self.listed, *registry.numbers(self.path)]
            elif str(word) in self.words:
                return True
            return any(equal(word, one) for one in every if _number(one))
        words = _words(self.path) if column in self.settings else self.words
        return word in words or any(re.fullmatch(pattern, word) for pattern in self.patterns)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_progress(wanted: Any, where: str) -> None:
    """UserError for a stretch or mark outside [0, 1], the whole of a run."""
    marks = wanted.values() if isinstance(wanted, dict) else [wanted]
    for mark in marks if not isinstance(wanted, list) else wanted:
        if mark in PARTS and not isinstance(wanted, dict):
            continue
        if not _number(mark) or not 0 <= mark <= 1:
            raise UserError(f"{where}: {quoted(mark)} is not within 0 and 1, before or after")


def _check_numbers(known: Collection[Any], where: str) -> None:
    """UserError for a {min, max} of a column of texts."""
    if not any(map(_number, known)):
        shown = ", ".join(sorted({quoted(one) for one in known})[:6]) or "none"
        raise UserError(f"{where}: min and max are for numbers; its values are {shown}")


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
def _coordinates(path: Path) -> frozenset[str]:
    """Names of the coordinates that a source file gives to rows; keys of mappings where it gives
    them by one. One that repeats the setting of its name, ``k=p["k"]``, has that one's values."""
    code = path.read_text(encoding="utf-8")
    calls = re.findall(r"\bcoordinates\(([^()]*(?:\([^()]*\)[^()]*)*)\)", code)
    names = {name for call in calls for name in re.findall(r"\b(\w+)=(?!p\[\"\1\"\])", call)}
    if any("**" in call for call in calls):
        names |= set(re.findall(r"\"(\w+)\": (?!\{|p\[\"\1\"\])", code))  # no PARAMS
    return frozenset(names)


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


def equal(one: Any, other: Any) -> bool:
    """Equal as `filters.passes` has it: numbers to nine digits, texts exactly."""
    if any(isinstance(side, bool | str) or side is None for side in (one, other)):
        return str(one) == str(other)
    return math.isclose(one, other, rel_tol=1e-9)
