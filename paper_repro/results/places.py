"""Where in a run its rows lie: points of its training curve, evaluations on the way, its end.

A claim that looks at a `progress` or a `step` where no run has a row would read as one that has not
run. What is known before anything trains is when the loop records (`training.loop.Schedule`) and
evaluates: at the cell's `marks`, and at every multiple of a setting called ..._every.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from paper_repro.errors import UserError, quoted

MOST = 200  # points of a training curve, as in `training.loop`
Cell = Mapping[str, list[Any]]  # settings with all their values, see `row_names`


def number(value: Any) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_range(column: str, wanted: Any, where: str) -> None:
    """UserError for a `progress` outside [0, 1], the whole of a run, or a `step` that is no whole
    number from 0 on."""
    ends = isinstance(wanted, Mapping)
    for one in wanted.values() if ends else wanted if isinstance(wanted, list) else [wanted]:
        if column == "step":
            if not (number(one) and one >= 0 and one == int(one)):
                raise UserError(f"{where}: {quoted(one)} is no number of steps")
        elif not (number(one) and 0 <= one <= 1):
            raise UserError(f"{where}: {quoted(one)} is not within 0 and 1")


def check(cells: Iterable[Cell], filters: Mapping[str, Any], span: bool, where: str) -> None:
    """UserError for a `progress` or `step` of `filters` at which none of the `cells`, those that
    have the other settings, has a row of the kind and split."""
    cells = list(cells)
    kind = filters.get("kind", "curve" if span else "final")
    split = filters.get("split", "train")
    logged = "train" in (split if isinstance(split, list) else [split])
    for column in ("progress", "step") if cells else ():
        wanted = filters.get(column, [])
        for one in wanted if isinstance(wanted, list) else [wanted]:
            if column == "progress" and isinstance(one, Mapping):
                continue  # a stretch of a curve, which has some point
            if not any(_has(cell, column, one, kind, logged) for cell in cells):
                shown = one if number(one) else " and ".join(f"{k} {v}" for k, v in one.items())
                line = f"{where}.{column}: no run has a {kind} row at {shown}"
                raise UserError(f"{line}; {_hint(cells, column, kind)}")


def _hint(cells: Iterable[Cell], column: str, kind: str) -> str:
    """Where there are rows."""
    if kind == "final":
        return "final rows are of the end, kind: curve has those on the way"
    if column == "step":
        return f"runs have up to {max(cell['steps'][0] for cell in cells)} steps"
    marks = sorted({mark for cell in cells for mark in cell.get("marks", [])} | {1})
    return f"progress of its evaluations: {', '.join(f'{mark:g}' for mark in marks)}"


def _has(cell: Cell, column: str, wanted: Any, kind: str, logged: bool) -> bool:
    """Whether runs of a cell have a row there; `logged` ones are of the training curve."""
    (steps,) = cell["steps"]
    if isinstance(wanted, Mapping):
        low, high = wanted.get("min", 0), wanted.get("max", math.inf)
        return bool(low <= steps and (kind == "curve" or steps <= high))
    step = round(wanted * steps) if column == "progress" else wanted
    if step == steps or kind == "final":
        return bool(step == steps)
    marks = cell.get("marks", [])
    if column == "progress":  # not the step: in few steps many fractions fall on one
        marked = any(math.isclose(wanted, mark) for mark in marks)
    else:
        marked = step in [round(mark * steps) for mark in marks]
    every = [value for name, (value, *_) in cell.items() if name.endswith("_every")]
    if logged and step:
        every.append(max(1, -(-steps // min(cell["curve_points"][0], MOST))))
    return marked or any(step % interval == 0 for interval in every)
