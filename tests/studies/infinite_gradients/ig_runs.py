"""Runs of this study's tasks at test size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from paper_repro import registry
from paper_repro.cell import Cell
from paper_repro.grid import complete
from paper_repro.rows import Row
from paper_repro.training.problem import Problem
from paper_repro.training.run import train_cell

STUDY = "infinite_gradients"


def cell(task: str, seeds: tuple[int, ...] = (0,), **params: Any) -> Cell:
    return Cell(STUDY, task, task, "smoke", task, complete(STUDY, task, params, task), seeds)


def build(task: str, seed: int = 0, **params: Any) -> Problem:
    problem: Problem = registry.load("tasks", task, STUDY).build(cell(task, **params), seed, "cpu")
    return problem


def measured(task: str, seed: int = 0, **params: Any) -> pd.DataFrame:
    """Rows of a task that only measures, with coordinates as columns."""
    return frame(build(task, seed, **params).evaluate({}, {}, 0))


def trained(
    tmp_path: Path,
    task: str,
    seeds: tuple[int, ...] = (0,),
    together: bool | None = None,
    **params: Any,
) -> pd.DataFrame:
    """Final rows of all seeds, by the real loop."""
    out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
    train_cell(
        cell(task, seeds, **params),
        out / "store",
        out,
        device="cpu",
        threads=1,
        sources=[],
        together=together,
    )
    frames = []
    for seed in seeds:
        table = pd.read_csv(out / f"seed{seed}" / "metrics.csv", keep_default_na=False)
        table = table[table["kind"] == "final"]
        rows = [
            Row(m, v, u, at=at)
            for m, v, u, at in table[["metric", "value", "unit", "at"]].itertuples(index=False)
        ]
        frames.append(frame(rows).assign(seed=seed))
    return pd.concat(frames, ignore_index=True)


def frame(rows: list[Row]) -> pd.DataFrame:
    """One line per row; coordinates of `at` become columns, numbers where they are."""
    table = pd.DataFrame(
        [
            dict(pair.split("=") for pair in row.at.split(",") if pair)
            | {"metric": row.metric, "value": float(row.value)}
            for row in rows
        ]
    )
    for name in table.columns.difference(["metric", "value"]):
        numbers = pd.to_numeric(table[name], errors="coerce")
        if numbers.notna().sum() == table[name].notna().sum():
            # by Python: pandas before 3 reads some numbers a digit off
            table[name] = [float(text) for text in table[name]]
    return table


def only(table: pd.DataFrame, metric: str, **at: Any) -> pd.Series:
    """Values of a metric at coordinates."""
    chosen = table[table["metric"] == metric]
    for name, value in at.items():
        chosen = chosen[chosen[name] == value]
    assert len(chosen)
    return chosen["value"]
