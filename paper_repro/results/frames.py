"""Results of a tier as data frames: rows joined with the settings of their cells.

Figures, tables and verdicts all read through here, from CSV files alone.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paper_repro.errors import UserError
from paper_repro.results import sound
from paper_repro.results.files import COLUMNS, NAMES, array_path, load_arrays, parts, paths

NUMBERS = {
    *("value", "seed", "step", "steps", "runs", "seconds", "steps_per_second"),
    *("peak_memory_mib", "flops"),
}
WHOLE = ("step", "steps")  # whole numbers that an unfinished run may lack: -1 there
FINISHED = "ok"
NUMERIC = re.compile("[0-9]|inf|nan", re.IGNORECASE)  # a text without is no number
P = ParamSpec("P")


def _remembered(
    read: Callable[Concatenate[Results, P], pd.DataFrame],
) -> Callable[Concatenate[Results, P], pd.DataFrame]:
    """Cache the read methods: dozens of checks and panels ask for the same rows."""

    @functools.wraps(read)
    def once(self: Results, /, *args: P.args, **kwargs: P.kwargs) -> pd.DataFrame:
        key = (read.__name__, args, tuple(sorted(kwargs.items())))
        if key not in self.answers:
            self.answers[key] = read(self, *args, **kwargs)
        return self.answers[key].copy()

    return once


@dataclass(frozen=True)
class Results:
    """The rows of one results folder (results/<tier>).

    `metrics` holds final rows, `curves` thinned training curves, with the same columns; `runs` one
    row per run, `costs` and `cells` one per cell, `registrations` one per claim of every digest
    that `runs` names. Texts are never NaN: what is absent is "".
    """

    root: Path
    metrics: pd.DataFrame
    curves: pd.DataFrame
    cells: pd.DataFrame
    runs: pd.DataFrame
    costs: pd.DataFrame
    registrations: pd.DataFrame
    answers: dict[Any, pd.DataFrame] = field(default_factory=dict, init=False)
    memory: dict[str, Any] = field(default_factory=dict, init=False)  # of what is made of the rows

    @_remembered
    def frame(
        self,
        study: str,
        experiment: str | None = None,
        metric: str | None = None,
        kind: str | None = None,
    ) -> pd.DataFrame:
        """Tidy rows of a study, optionally of one experiment, metric, and kind (final or curve).

        Added columns: every parameter of the cells that is not a list, every coordinate of `at`
        (which goes before a parameter of the same name), `kind`, `cell_estimator` (the one the
        cell trained with; the row's own `estimator` may be another) and `progress` (step / steps).
        Numeric columns are numbers. Rows of missing and diverged runs are included: see `status`.
        """
        parts = []
        for name, table in (("final", "metrics"), ("curve", "curves")):
            if kind in (None, name):
                found = self._found(table, study, experiment, metric)
                parts.append(found.assign(kind=name))
        if not parts:
            raise ValueError(f"kind is 'final' or 'curve', not {kind!r}")
        found = pd.concat(parts, ignore_index=True)
        found["progress"] = found["step"] / found["steps"].where(found["steps"] > 0)
        return self._join(study, found)

    @_remembered
    def finals(self, study: str, experiment: str, metric: str | None = None) -> pd.DataFrame:
        """Final rows that stand for a run: of runs that ended well, and where a number was measured
        on the way too, the last one. Values may still be NaN."""
        rows = self.ended(study, experiment, metric, "final")
        series = ["cell", "seed", "metric", "split", "at", "estimator"]
        return rows[rows["step"] == rows.groupby(series)["step"].transform("max")]

    @_remembered
    def ended(
        self, study: str, experiment: str, metric: str | None = None, kind: str | None = None
    ) -> pd.DataFrame:
        """The rows of `frame` of runs that ended well, those on the way included."""
        rows = self.frame(study, experiment, metric, kind)
        rows = rows[rows["status"] == FINISHED]
        lost = self.unfinished(study, experiment)
        if lost.empty:
            return rows
        runs, gone = (pd.MultiIndex.from_frame(f[["cell", "seed"]]) for f in (rows, lost))
        return rows[~runs.isin(gone)]

    @_remembered
    def unfinished(self, study: str, experiment: str) -> pd.DataFrame:
        """Runs planned for an experiment that have no usable numbers (missing or diverged), with
        the parameters of their cells as columns."""
        runs = self.runs
        wanted = (runs["study"] == study) & (runs["experiment"] == experiment)
        found = runs[wanted & (runs["status"] != FINISHED)].reset_index(drop=True)
        return self._join(study, found)

    def parameters(self, study: str, cell: str) -> dict[str, Any]:
        """The parameters of a cell."""
        return self._params.get((study, cell), {})

    @_remembered
    def settings(self, study: str, experiment: str) -> pd.DataFrame:
        """The planned cells of an experiment, one row each, with their parameters as columns."""
        cells = self.cells
        wanted = (cells["study"] == study) & (cells["experiment"] == experiment)
        return self._join(study, cells[wanted].reset_index(drop=True))

    def coordinates(self, study: str, experiment: str, metric: str) -> frozenset[str]:
        """The coordinates that any row of a metric bears or, of one without rows, any row."""
        key = repr(("coordinates", study, experiment, metric))
        if key not in self.memory:
            places = set[str]()
            for asked in (metric, None):
                for table in ("metrics", "curves") if not places else ():
                    places |= {*self._found(table, study, experiment, asked)["at"].unique()}
            self.memory[key] = frozenset(name for at in places for name in _coordinates(at))
        found: frozenset[str] = self.memory[key]
        return found

    def at(self, tier: str) -> Results:
        """The rows of one tier; the same object whenever it is asked for."""
        if (key := f"at {tier}") not in self.memory:
            frames = {name: getattr(self, name) for name in NAMES if "tier" in COLUMNS[name]}
            kept = {name: frame["tier"] == tier for name, frame in frames.items()}
            alone = all(rows.all() for rows in kept.values())
            fewer = {name: frame[kept[name]] for name, frame in frames.items()}
            self.memory[key] = None if alone else replace(self, **fewer)
        found: Results | None = self.memory[key]
        return self if found is None else found

    def arrays(self, study: str, cell: str, seed: int) -> dict[str, NDArray[Any]]:
        """Arrays that a run saved; empty where it saved none."""
        places = (array_path(part, (study, cell, str(seed))) for part in parts(self.root))
        return next((load_arrays(path) for path in places if path.is_file()), {})

    def _found(
        self, table: str, study: str, experiment: str | None, metric: str | None
    ) -> pd.DataFrame:
        """The rows of a table (metrics or curves), in their order."""
        places = [
            at
            for (one, of, measured), at in self._places[table].items()
            if one == study and experiment in (None, of) and metric in (None, measured)
        ]
        rows: pd.DataFrame = getattr(self, table)
        return rows.iloc[np.sort(np.concatenate(places))] if places else rows.iloc[:0]

    @cached_property
    def _places(self) -> dict[str, dict[tuple[str, str, str], NDArray[np.intp]]]:
        """Where the rows of every study, experiment and metric stand, by table: texts are compared
        once, not for each of the dozens of readers."""
        names = ["study", "experiment", "metric"]
        return {
            table: getattr(self, table).groupby(names, sort=False).indices
            for table in ("metrics", "curves")
        }

    @cached_property
    def _params(self) -> dict[tuple[str, str], dict[str, Any]]:
        cells = self.cells
        return {
            (study, cell): json.loads(params)
            for study, cell, params in zip(
                cells["study"], cells["cell"], cells["params"], strict=True
            )
        }

    def _join(self, study: str, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows of a study with parameters and coordinates as columns."""
        of_cell = self._params
        cells, params = _spread(rows["cell"], lambda cell: _plain(of_cell.get((study, cell), {})))
        if "estimator" in params:
            params["cell_estimator"] = params["estimator"]
        places, at = _spread(rows["at"], _coordinates) if "at" in rows else (cells, {})
        added = {}
        for name in dict.fromkeys([*params, *at]):
            if name in rows.columns:
                continue  # a row's own columns say what is true of that row
            if name in params and name in at:
                own = at[name][places]
                values = _numeric(np.where(pd.isna(own), params[name][cells], own))
            elif name in at:
                values = _numeric(at[name])[places]
            else:
                values = _numeric(params[name])[cells]
            added[name] = pd.Series(values, rows.index, values.dtype)
        return pd.concat([rows, pd.DataFrame(added, index=rows.index)], axis=1)


def load(root: Path) -> Results:
    """Read the tables of a results folder, of one study or of several (`parts`); UserError names
    what is missing or was changed."""
    _verify(root)
    return Results(root, **{table: _joined(root, table) for table in NAMES})


def load_runs(root: Path) -> pd.DataFrame:
    """The runs of a results folder alone, as in `Results.runs`; UserError as by `load`."""
    _verify(root)
    return _joined(root, "runs")


def _verify(root: Path) -> None:
    for part in parts(root):
        sound.verify(part, paths(part))


def _joined(root: Path, table: str) -> pd.DataFrame:
    frames = [_read(part / NAMES[table], COLUMNS[table]) for part in parts(root)]
    joined = pd.concat(frames, ignore_index=True)
    # Every study's folder lists what its runs carry, and two may carry the same.
    return joined.drop_duplicates(ignore_index=True) if table == "registrations" else joined


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    numbers = [name for name in columns if name in NUMBERS - {"value"}]
    frame = pd.read_csv(
        path,
        dtype={name: float if name in numbers else str for name in columns},
        keep_default_na=False,
        na_values={name: ["", "nan", "NaN"] for name in numbers},
    )
    if list(frame.columns) != list(columns):
        raise UserError(f"{path}: its columns differ from what this version writes; collect anew")
    if "value" in frame:  # by NumPy: pandas before 3 reads some numbers a digit off
        frame["value"] = frame["value"].replace("", "nan").to_numpy("U").astype(float)
    for name in WHOLE:
        if name in frame:
            frame[name] = frame[name].fillna(-1).astype(int)
    if "seed" in frame:
        frame["seed"] = frame["seed"].astype(int)
    return frame


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters fit for a column: an object's entries as ``name.entry``. A list of values spans
    coordinates of the rows and is no setting; one of objects is numbered, ``name.0.entry``."""
    found: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, list):
            value = {str(i): entry for i, entry in enumerate(value) if isinstance(entry, dict)}
        if isinstance(value, dict):
            found |= {f"{name}.{entry}": v for entry, v in _plain(value).items()}
        else:
            found[name] = value
    return found


def _coordinates(at: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in at.split(",")) if at else {}


def _spread(
    keys: pd.Series, columns_of: Callable[[Any], dict[str, Any]]
) -> tuple[NDArray[np.intp], dict[str, NDArray[Any]]]:
    """Columns named by `columns_of(key)`, of one entry per different key, NaN where a key lacks a
    name; and the position there of each row's."""
    codes, unique = pd.factorize(keys)
    found = [columns_of(key) for key in unique]
    columns = {}
    for name in dict.fromkeys(name for entries in found for name in entries):
        columns[name] = np.empty(len(unique), dtype=object)
        columns[name][:] = [entries.get(name, np.nan) for entries in found]
    return codes, columns


def _numeric(column: NDArray[Any]) -> NDArray[Any]:
    """The column as numbers if every entry is one or empty (booleans stay), else unchanged. Texts
    are read by Python: 1e-30 must equal 1e-30, which pandas before 3 reads a digit off."""
    if all(type(v) in (int, float) for v in column):  # as they are; the rest is for texts
        found = np.array(column.tolist())
        if found.dtype.kind in "if":
            return found
    given = [v for v in column if v != "" and v == v]
    if any(isinstance(v, str) and not NUMERIC.search(v) for v in given):
        return column
    if not given or any(isinstance(v, bool) for v in given):
        return column
    if pd.to_numeric(pd.Series(given, dtype=object), errors="coerce").isna().any():
        return column
    parsed = pd.Series([_parsed(entry) for entry in column], dtype=object)
    return pd.to_numeric(parsed, errors="coerce").to_numpy()


def _parsed(entry: Any) -> Any:
    """A text as the number it is, if it is one."""
    for number in (int, float) if isinstance(entry, str) else ():
        try:
            return number(entry)
        except ValueError:
            continue
    return entry
