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
from typing import Any

from paper_repro import grid, parameters, registry
from paper_repro.cell import Cell
from paper_repro.errors import UserError, nearest, quoted, unknown
from paper_repro.results import places, source_names
from paper_repro.results.files import COLUMNS
from paper_repro.results.places import number
from paper_repro.schemas import reads_as_number

FREE = ("experiment", "reported")  # checked elsewhere
PLACES = ("cell", "tier", "seed", "cell_estimator")  # of a row, known of every cell
SPLITS = ("train", "validation", "test")


class Experiment:
    """What the rows of one experiment can be called."""

    inside = ("compare", *(f"estimator_options.{name}" for name in parameters.NESTED))

    def __init__(self, study: str, name: str) -> None:
        self.study, self.name = study, name
        written = grid.experiments(study)[name]
        self.task = written["task"]
        protocol = written.get("params", {}).get("protocol")
        rules = parameters.rules_of(study, self.task, protocol)
        defaults = {name: rule["default"] for name, rule in rules.items() if "default" in rule}
        self.settings: dict[str, list[Any]] = {}
        self.listed: list[Any] = []  # entries of lists, at which a run may measure
        self.seeds, self.tiers = set[int](), list[str]()
        self._add(defaults)  # of what all tiers override: runs too long for any of them
        for tier in grid.TIERS:
            if (scale := grid.at_tier(written, tier)) is None:
                continue
            fixed, axes, seeds = scale
            self.seeds |= {*seeds}
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
        self.words = frozenset[str]().union(*map(source_names.words, files))
        self.written = frozenset[str]().union(*map(source_names.coordinates, files))
        self.patterns = {pattern for path in files for pattern in source_names.patterns(path)}

    def check_column(self, column: str, where: str) -> None:
        """UserError for a column that no row of the experiment has."""
        known = {*COLUMNS["metrics"], "kind", "progress", "cell_estimator"}
        known |= {*self.settings, *self.written}
        if column not in known:
            raise UserError(unknown(where, column, sorted(known)))

    def check_abscissa(self, column: str, where: str) -> None:
        """UserError for a column whose values no row tells apart, or that are no numbers."""
        self.check_column(column, where)
        values = [one for one in self.settings.get(column, []) if number(one)]
        if column not in self.written and not any(one != values[0] for one in values):
            raise UserError(f"{where}: {column!r} has not two numbers in {self.name}'s cells")

    def check_cells(
        self, filters: Mapping[str, Any], where: str, beyond: bool = False
    ) -> list[dict[str, list[Any]]]:
        """The cells, at any tier, that have all the settings that filters ask for. UserError where
        there is none; of filters said to be `beyond` all tiers, where there is one."""
        wanted = {
            column: value
            for column, value in filters.items()
            if column in {*self.settings, *PLACES} - {*FREE, "step", *self.written}
        }
        names = wanted.get("estimator", [])
        if not self.measured.isdisjoint(names if isinstance(names, list) else [names]):
            del wanted["estimator"]
        found = [cell for cell in self.flat if all(_has(cell, *one) for one in wanted.items())]
        if found and beyond:
            (name,), (tier,) = found[0]["cell"], found[0]["tier"]
            raise UserError(f"{where}: beyond_tiers: tier {tier} has {name}, which it selects")
        if not found and not beyond:
            shown = ", ".join(f"{name} {_shown(value)}" for name, value in wanted.items())
            raise UserError(f"{where}: no cell of {self.name} has, at any tier, {shown}")
        return found

    def check_tuned(self, over: str, where: str) -> None:
        """UserError for a parameter that is not one number in every cell to choose from."""
        for cell in self.flat:
            if len(found := cell.get(over, [])) != 1 or not number(found[0]):
                shown = ", ".join(map(quoted, found)) or "nothing"
                raise UserError(f"{where}: {over!r} is {shown} in {cell['cell'][0]}, no number")

    def check(self, column: str, wanted: Any, coordinates: Collection[str], where: str) -> None:
        """UserError for a value of a filter that no row can have."""
        if column in FREE:
            return
        if column in ("progress", "step"):
            places.check_range(column, wanted, where)
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
            elif column in self.settings:  # measured at entries of a list, or at numbers of its own
                every = [*known, *self.listed, *registry.numbers(self.path)]
                if not any(within(one, wanted) for one in every):
                    shown = ", ".join(f"{one:g}" for one in sorted(filter(number, set(known))))
                    raise UserError(f"{where}: {_shown(wanted)}: its values are {shown or 'none'}")
            return
        for value in wanted if isinstance(wanted, list) else [wanted]:
            if value == "" or any(equal(value, one) for one in known):
                continue
            if reads_as_number(value) and (measured or any(map(number, known))):
                raise UserError(f"{where}: {quoted(value)} is a text; leave the quotes away")
            if not measured:
                raise UserError(unknown(where, value, known))
            if not self.says(value, column):  # what a run measures is named in its sources
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
                return sorted(self.seeds)
            case "cell":
                return self.cells
        return None

    @cached_property
    def flat(self) -> list[dict[str, list[Any]]]:
        """Its cells at all tiers: their settings and PLACES, each with all its values; `estimator`
        with those of all rows."""
        found = []
        for cell in _cells(self.study).get(self.name, ()):
            entries: dict[str, list[Any]] = {
                "cell": [cell.id],
                "tier": [cell.tier],
                "seed": list(cell.seeds),
                "cell_estimator": [cell.params["estimator"]],
            }
            for key, entry in _flat(cell.params):
                entries.setdefault(key, []).append(entry)
            entries["estimator"] += [one for key in self.inside for one in entries.get(key, [])]
            found.append(entries)
        return found

    @cached_property
    def cells(self) -> list[str]:
        """Ids of its cells at all tiers."""
        return list(dict.fromkeys(cell["cell"][0] for cell in self.flat))

    @cached_property
    def estimators(self) -> list[str]:
        """Estimators of its cells, and those that their rows may name besides: compared ones, those
        inside another's options, and those that its task measures."""
        keys = ("estimator", *self.inside)
        found = {one for key in keys for one in self.settings.get(key, [])}
        return sorted(found & set(registry.names("estimators")) | self.measured)

    @cached_property
    def measured(self) -> set[str]:
        """Estimators that its task may measure in any cell."""
        listed = registry.constant("tasks", self.task, "ESTIMATORS", self.study) or ()
        return {*listed, *source_names.words(self.path)} & set(registry.names("estimators"))

    def _add(self, params: Mapping[str, Any]) -> None:
        for name, value in params.items():
            if isinstance(value, Mapping) and "of" in value:  # a number from another run
                value = {"metric": name, "times": 1, **value}
            self.listed += value if isinstance(value, list) else []
            for key, entry in _flat({name: value}):
                self.settings.setdefault(key, []).append(entry)

    def says(self, word: Any, column: str) -> bool:
        """Whether the sources write a number or text, a formatted one that could give it, or its
        parts, of which the second starts with _. A coordinate that is a setting too is written by
        the task itself."""
        if not isinstance(word, str):
            every = [one for found in self.settings.values() for one in found]
            if column in self.settings:
                every = [*self.listed, *registry.numbers(self.path)]
            elif str(word) in self.words:
                return True
            return any(equal(word, one) for one in every if number(one))
        words = source_names.words(self.path) if column in self.settings else self.words
        ends = [at for at, letter in enumerate(word) if letter == "_" and at]
        joined = any(word[:at] in words and word[at:] in words for at in ends)
        return word in words or joined or any(re.fullmatch(p, word) for p in self.patterns)


@cache
def _cells(study: str) -> dict[str, list[Cell]]:
    """The cells of a study at all tiers, by experiment."""
    found: dict[str, list[Cell]] = {}
    for tier in grid.TIERS:
        for cell in grid.expand(study, tier):
            found.setdefault(cell.experiment, []).append(cell)
    return found


@cache
def experiment(study: str, name: str) -> Experiment:
    """An experiment that the study has; its files are read once."""
    return Experiment(study, name)


def _has(cell: Mapping[str, list[Any]], column: str, wanted: Any) -> bool:
    """Whether one of a cell's values passes a filter; a column that it lacks holds "" alone."""
    values = cell.get(column, [""])
    if isinstance(wanted, Mapping):
        return any(within(value, wanted) for value in values)
    every = wanted if isinstance(wanted, list) else [wanted]
    return any(equal(value, one) for value in values for one in every)


def _shown(wanted: Any) -> str:
    """A filter in words."""
    if not isinstance(wanted, Mapping):
        return quoted(wanted)
    return " and ".join(f"{end} {value}" for end, value in wanted.items())


def _check_numbers(known: Collection[Any], where: str) -> None:
    """UserError for a {min, max} of a column of texts."""
    if not any(map(number, known)):
        shown = ", ".join(sorted({quoted(one) for one in known})[:6]) or "none"
        raise UserError(f"{where}: min and max are for numbers; its values are {shown}")


def _flat(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by the names that filters use, those inside options as ``rates.likelihood``, and
    each entry of a list."""
    for name, value in params.items():
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, Mapping):
                yield from _flat(entry, f"{prefix}{name}.")
            elif not isinstance(entry, list):
                yield f"{prefix}{name}", entry


def within(value: Any, ends: Mapping[str, float]) -> bool:
    """Whether a value is a number that a filter {min, max} lets pass."""
    return number(value) and ends.get("min", -math.inf) <= value <= ends.get("max", math.inf)


def equal(one: Any, other: Any) -> bool:
    """Equal as `filters.passes` has it: numbers to nine digits, texts exactly; a text is no number,
    though a filter would take it for one."""
    if number(one) and number(other):
        return math.isclose(one, other, rel_tol=1e-9)
    return number(one) == number(other) and str(one) == str(other)
