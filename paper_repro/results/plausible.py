"""What rows from another machine must be besides `sound`, to be published.

Hashes tell that nothing changed on the way, `sound` that the tables agree. Here rows are held
against the suite and the calendar: studies, experiments, metrics and components that it has, runs
that ended after they began and before now, numbers that can be. Rows that this clone collected
need none of it, and nothing here judges whether a number is right.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from operator import itemgetter

from paper_repro import grid, registry
from paper_repro.data.names import DATASETS
from paper_repro.errors import UserError, nearest, quoted, unknown
from paper_repro.results import row_names
from paper_repro.results.csvfile import Readable
from paper_repro.results.files import COLUMNS, MISSING, NAMES, Tables

# Networks compute in float32, whose largest number is 3.4e38; toys in float64 start from numbers
# near one. Variances and ratios of variances are squares.
LARGEST = 1e39
SQUARED = ("nats^2", "1")
AMOUNTS = ("s", "steps/s", "MiB")  # units of what cannot be negative
AHEAD = timedelta(days=1)  # by which two machines' clocks may differ
SLACK = 60.0  # seconds by which a clock may be set during a run
NAMED = ("study", "experiment", "metric", "estimator", "split", "dataset", "model", "objective")


def check(tables: Tables, root: Readable, latest: str = "") -> None:
    """UserError for the first row of sound tables that cannot be, with its file and line.

    `latest` is a time (ISO 8601) that is known to have passed, whatever this machine's clock says.
    """
    now = max([datetime.now(UTC), *_times(latest)]) + AHEAD
    for i, (study, experiment, _, _, task, _) in enumerate(tables["cells"]):
        if fault := _fault_of_cell(study, experiment, task):
            _refuse(root, "cells", i, fault)
    for i, record in enumerate(tables["runs"]):
        row = dict(zip(COLUMNS["runs"], record, strict=True))
        if row["status"] != MISSING and (fault := _fault_of_run(row, now)):
            _refuse(root, "runs", i, f"{row['study']}/{row['cell']} seed {row['seed']} {fault}")
    ended = _finished(tables)
    for table in ("metrics", "curves"):
        index = COLUMNS[table].index
        named, number = itemgetter(*map(index, NAMED)), itemgetter(index("value"), index("unit"))
        status_at, run_of = index("status"), itemgetter(*map(index, ("study", "cell", "seed")))
        for i, record in enumerate(tables[table]):
            if record[status_at] == MISSING:
                continue
            if fault := _fault_of_number(*number(record)) or _fault_of_names(
                *named(record), diverged=record[status_at] != "ok"
            ):
                _refuse(root, table, i, fault)
            if table == "metrics":
                ended.pop(run_of(record), None)
    for run, i in ended.items():
        fault = f"run {run[0]}/{run[1]} seed {run[2]} has no row in {NAMES['metrics']}"
        _refuse(root, "runs", i, fault)


def _refuse(root: Readable, table: str, index: int, fault: str) -> None:
    raise UserError(f"{root / NAMES[table]}, line {index + 2}: {fault}")


def _finished(tables: Tables) -> dict[tuple[str, ...], int]:
    """The place in its table of every run that ended."""
    columns = ("study", "cell", "seed", "status")
    runs = map(itemgetter(*map(COLUMNS["runs"].index, columns)), tables["runs"])
    return {run[:3]: i for i, run in enumerate(runs) if run[3] != MISSING}


@cache
def _fault_of_cell(study: str, experiment: str, task: str) -> str:
    if study not in grid.folders():
        return unknown("study", study, grid.folders())
    for what, given, known in (
        ("experiment", experiment, grid.experiments(study)),
        ("task", task, registry.names("tasks", study)),
    ):
        if given not in known:
            return f"{study}: {unknown(what, given, known)}"
    return ""


def _fault_of_run(row: dict[str, str], now: datetime) -> str:
    times = dict(
        zip(("started", "finished"), _times(row["started"], row["finished"]), strict=False)
    )
    for name in ("started", "finished"):
        if not _times(row[name]):
            return f"{name} {quoted(row[name])}, which is no time in UTC such as {now.isoformat()}"
        if times[name] > now:
            return f"{name} {row[name]}, which is still to come"
    lasted = (times["finished"] - times["started"]).total_seconds()
    if lasted < 0:
        return f"finished {row['finished']}, before it started, {row['started']}"
    if float(row["seconds"]) > lasted + SLACK:
        return f"worked {row['seconds']} seconds in the {lasted:.0f} between its start and its end"
    return ""


def _times(*texts: str) -> list[datetime]:
    """Those of the texts that are times in UTC, as run.json has them."""
    found = []
    for text in texts:
        try:
            time = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")
        except ValueError:
            continue
        if text.endswith("+00:00"):
            found.append(time)
    return found


def _fault_of_number(value: str, unit: str) -> str:
    """NaN and infinity say that something overflowed, and may stand; so large a number may not."""
    number = float(value)
    most = LARGEST**2 if unit in SQUARED else LARGEST
    if most < abs(number) < math.inf or (abs(number) == math.inf and "inf" not in value):
        return f"value {value} in {unit} is beyond any that is computed here ({most:g})"
    return f"value {value} in {unit} is negative" if number < 0 and unit in AMOUNTS else ""


@cache
def _fault_of_names(
    study: str,
    experiment: str,
    metric: str,
    estimator: str,
    split: str,
    *parts: str,
    diverged: bool,
) -> str:
    """A run that diverged has a row of the training loop, whose metric no task names."""
    found = row_names.experiment(study, experiment)
    if not diverged and not found.says(metric, "metric"):
        near = nearest(metric, found.words)
        hint = f"; did you mean {near!r}?" if near else ""
        return f"metric {quoted(metric)} is nothing that the task of {experiment} writes{hint}"
    if estimator and estimator not in found.estimators and not found.says(estimator, "estimator"):
        return unknown("estimator", estimator, found.estimators)
    if split and split not in row_names.SPLITS:
        return unknown("split", split, row_names.SPLITS)
    rooms: tuple[tuple[str, Iterable[str]], ...] = (
        ("dataset", DATASETS),
        ("model", registry.names("models")),
        ("objective", registry.names("objectives")),
    )
    for (what, known), given in zip(rooms, parts, strict=True):
        if given and given not in known:
            return unknown(what, given, sorted(known))
    return ""
