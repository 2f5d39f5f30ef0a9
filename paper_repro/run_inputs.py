"""Numbers that a run takes from another run of its seed, such as a learned variance to be fixed.

A parameter ``{of: experiment, metric: name, times: factor}`` takes a metric (by default that of the
parameter's own name) from a run of another experiment of the study, times a factor (by default 1).
The source is the one cell of that experiment that has the same values on all axes of that
experiment. A task lists in RUN_INPUTS the parameters that may come from another run: those whose
number enters a run as a tensor of its own, since seeds that train together share one loss.

Here a cell finds its source when a grid is expanded, and its number before it trains. The number
itself is then part of the run's identity.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from paper_repro import record
from paper_repro.cell import Cell
from paper_repro.errors import UserError, unknown
from paper_repro.schemas import check_schema

RULES = {
    "type": "object",
    "additionalProperties": False,
    "required": ["of"],
    "properties": {
        "of": {"type": "string"},
        "metric": {"type": "string", "minLength": 1},
        "times": {"type": "number", "exclusiveMinimum": 0},
    },
}


def resolve(
    params: Mapping[str, Any],
    allowed: Iterable[str],
    earlier: Iterable[tuple[Cell, frozenset[str]]],
    where: str,
) -> dict[str, Any]:
    """`params` with the source cell written into what comes from another run.

    `earlier` are the cells of the grid so far, each with the names of its axes' parameters.
    UserError for a wrong key, for more than one such parameter, and where no cell or more than one
    fits.
    """
    found = {name: params[name] for name in allowed if isinstance(params.get(name), Mapping)}
    if not found:
        return dict(params)
    if len(found) > 1:
        raise UserError(
            f"{where}: {' and '.join(found)}: only one parameter may come from another run"
        )
    ((name, given),) = found.items()
    check_schema(dict(given), RULES, f"{where}: {name}")
    earlier = list(earlier)
    before = dict.fromkeys(cell.experiment for cell, _ in earlier)
    if given["of"] not in before:
        raise UserError(unknown(f"{where}: {name}.of: earlier experiment", given["of"], before))
    fits = [
        cell.id
        for cell, axes in earlier
        if cell.experiment == given["of"]
        and all(cell.params[axis] == params[axis] for axis in axes)
    ]
    if len(fits) != 1:
        raise UserError(
            f"{where}: {name}: expected one earlier cell of {given['of']} with the same axis "
            f"values, found {len(fits)}"
        )
    return {**params, name: {"metric": name, "times": 1, **given, "cell": fits[0]}}


def source_cell(cell: Cell) -> str:
    """Id of the cell whose runs those of this one wait for, "" if none."""
    received = _received(cell)
    return received[1]["cell"] if received else ""


def with_received_value(cell: Cell, seed: int, runs: Path) -> Cell:
    """The cell of one seed, with the number in place of what describes it.

    `runs` is the folder of the study's runs. The number of a run that diverged is NaN, with which
    the dependent run diverges too. UserError where the source has not run, or lacks the metric.
    """
    received = _received(cell)
    if not received:
        return cell
    name, given = received
    path = runs / given["cell"] / f"seed{seed}"
    try:
        found = record.read(path)
    except record.Damaged as damage:
        raise UserError(f"{damage}; train cell {given['cell']} again") from None
    if not found:
        raise UserError(f"{path} is not there; train cell {given['cell']} first")
    text = io.StringIO(found.files[record.METRICS].decode(), newline="")
    rows = [row for row in csv.DictReader(text) if row["kind"] == "final"]
    values = [float(row["value"]) for row in rows if row["metric"] == given["metric"]]
    diverged = any(row["status"] != "ok" for row in rows)
    if not values and not diverged:
        raise UserError(f"{path} has no metric {given['metric']!r}")
    value = math.nan if diverged else values[-1] * given["times"]
    return replace(cell, params={**cell.params, name: value})


def _received(cell: Cell) -> tuple[str, Mapping[str, Any]] | None:
    for name, value in cell.params.items():
        if isinstance(value, Mapping) and "cell" in value and "of" in value:
            return name, value
    return None
