"""The plan of a check: which units and seeds its rows must have, before any row is looked at.

The plan is what the results folder lists as planned (cells and runs, finished or not) and what the
check names. Gaps, duplicates and the number of units follow from it alone, so that a row that
vanished is a gap and never a smaller sample.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paper_repro import grid
from paper_repro.claims.check import Check
from paper_repro.claims.filters import matches, passes
from paper_repro.errors import UserError
from paper_repro.results.frames import Results
from paper_repro.results.row_names import experiment

FREE = {"kind", "progress", "step", "split", "metric", "seed"}  # of a row, not of its cell


@dataclass(frozen=True)
class Unit:
    """One comparison of a check: its name, its coordinates, and the planned cells on both sides."""

    name: str
    values: Mapping[str, Any]
    cells: tuple[str, ...]
    other: tuple[str, ...]
    seeds: tuple[int, ...]
    runs: Mapping[int, str]  # seed -> "cell:seed ..."


def cells(results: Results, check: Check, filters: Mapping[str, Any]) -> pd.DataFrame:
    """The planned cells that pass the filters as far as these are of cells, settings as columns."""
    inside = results.coordinates(check.study, filters["experiment"], filters["metric"])
    of_row = {*FREE, *inside} - {"experiment"}
    asked = {name: wanted for name, wanted in filters.items() if name not in of_row}
    key = repr(("cells", check.study, sorted(inside), asked))
    if key not in results.memory:
        results.memory[key] = _cells(results, check, asked, inside)
    found: pd.DataFrame = results.memory[key]
    return found


def _cells(
    results: Results, check: Check, filters: Mapping[str, Any], inside: Collection[str]
) -> pd.DataFrame:
    frame = results.settings(check.study, filters["experiment"])
    if frame.empty:
        return frame
    asked = {
        name: wanted
        for name, wanted in filters.items()
        if name != "experiment" and (name in frame or name in _settings(check.study, filters))
    }
    estimator = asked.pop("estimator", None)
    passed = matches(frame, asked, check.where)
    if estimator is not None:  # a cell without its own estimator measures several, as may others
        trains = frame["estimator"] if "estimator" in frame else pd.Series("", frame.index)
        own = passes(trains, estimator) | (trains == "")
        compared = [results.parameters(check.study, c).get("compare") or [] for c in frame["cell"]]
        wanted = set(estimator if isinstance(estimator, list) else [estimator])
        passed &= own | np.array([not wanted.isdisjoint(names) for names in compared], bool)
    return frame.loc[passed, [name for name in frame if name not in inside]]


def _settings(study: str, filters: Mapping[str, Any]) -> set[str]:
    """Settings that cells of an experiment have at any tier: of one that none has here, only ""."""
    if study not in grid.folders() or filters["experiment"] not in grid.experiments(study):
        return set()
    known = experiment(study, filters["experiment"])
    return set(known.settings) - known.written


def units(results: Results, check: Check) -> list[Unit]:
    """The planned units, in the order of the plan. UserError for a column of units that cells do
    not have and whose values the check does not name."""
    key = repr(("units", check.study, check.select, check.versus, check.units))
    if key not in results.memory:
        results.memory[key] = _units(results, check)
    found: list[Unit] = results.memory[key]
    return found


def _units(results: Results, check: Check) -> list[Unit]:
    own = cells(results, check, check.select)
    paired = check.versus is not None and "reported" not in check.versus
    theirs = cells(results, check, check.other) if paired else own.iloc[:0]
    paired = paired and not one_for_all_seeds(results, check)
    every = _seeds(results, check.study, own["cell"])
    found = []
    points = _points(check, own)
    members = zip(points, _members(own, points), _members(theirs, points), strict=True)
    for values, mine, partner in members:
        # a unit that the check names and the tier does not plan, or whose runs are nowhere, is
        # missing at every seed
        seeds = _seeds(results, check.study, mine) or every
        if paired and partner:
            seeds = seeds & (_seeds(results, check.study, partner) or seeds)
        sides = (mine, partner)
        runs = {
            seed: " ".join(f"{cell}:{seed}" for cell in dict.fromkeys(itertools.chain(*sides)))
            for seed in seeds
        }
        found.append(Unit(label(values), values, *sides, tuple(sorted(seeds)), runs))
    return found


def seeds(results: Results, check: Check) -> set[int]:
    """The seeds that are planned for what a check selects, on both sides of a pair."""
    found = _seeds(results, check.study, cells(results, check, check.select)["cell"])
    if check.versus is None or "reported" in check.versus:
        return found
    if one_for_all_seeds(results, check):
        return found
    return found & _seeds(results, check.study, cells(results, check, check.other)["cell"])


def one_for_all_seeds(results: Results, check: Check) -> bool:
    """Whether the other side is what another experiment computes from the data, without training:
    one number for all seeds."""
    if "experiment" not in (check.versus or {}):
        return False
    theirs = cells(results, check, check.other)
    return len(theirs) > 0 and bool((theirs["steps"] == 0).all())


def label(values: Mapping[str, Any]) -> str:
    """Text such as "dataset=mnist, k=5"."""
    return ", ".join(f"{name}={_shown(value)}" for name, value in values.items())


def labels(rows: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """`label` per row; a column that is not there holds ""."""
    text = pd.Series("", index=rows.index, dtype=object)
    for i, column in enumerate(columns):
        values = rows[column] if column in rows else pd.Series("", rows.index, dtype=object)
        text = text + (", " if i else "") + f"{column}=" + values.map(_shown).astype(object)
    return text


def _shown(value: Any) -> str:
    if isinstance(value, Real) and not isinstance(value, bool):
        return "" if value != value else f"{float(value):.12g}"
    return str(value)


def _points(check: Check, own: pd.DataFrame) -> list[dict[str, Any]]:
    """The coordinates of every unit."""
    if isinstance(check.units, Mapping):
        return [
            dict(zip(check.units, point, strict=True))
            for point in itertools.product(*check.units.values())
        ]
    if own.empty:
        return []
    for column in check.units:
        if column not in own:
            raise UserError(
                f"{check.where}: units: {column!r} is measured inside a cell: name its values, "
                f"units: {{{column}: [...]}}"
            )
    if not check.units:
        return [{}]
    points = own[list(check.units)].drop_duplicates().itertuples(index=False, name=None)
    return [dict(zip(check.units, point, strict=True)) for point in points]


def _members(frame: pd.DataFrame, points: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """The cells of each unit, as far as it is one of cells. Units share most of their values, each
    of which is looked for once."""
    names = frame["cell"].to_numpy(object) if len(frame) else np.empty(0, object)
    having: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for values in points:
        passed = np.ones(len(frame), bool)
        for column, value in values.items():
            if column in frame:
                key = (column, repr(value))
                if key not in having:
                    having[key] = passes(frame[column], value).to_numpy(bool)
                passed &= having[key]
        yield tuple(names[passed])


def _seeds(results: Results, study: str, names: Iterable[str]) -> set[int]:
    if (key := f"seeds {study}") not in results.memory:
        runs = results.runs[results.runs["study"] == study]
        by_cell = runs.groupby("cell")["seed"].agg(set)
        results.memory[key] = dict(zip(by_cell.index, by_cell, strict=True))
    of_cell: dict[str, set[int]] = results.memory[key]
    return set().union(*(of_cell.get(name, ()) for name in names))
