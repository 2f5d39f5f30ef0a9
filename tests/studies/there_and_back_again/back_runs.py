"""Rows of this study's tasks at test size."""

from __future__ import annotations

import pandas as pd

from paper_repro import registry
from paper_repro.cell import Cell
from paper_repro.grid import complete
from paper_repro.training.problem import Problem

STUDY = "there_and_back_again"
TASKS = ("identities", "evidence", "limits")


def build(task: str, seed: int = 0, **params: object) -> Problem:
    cell = Cell(STUDY, task, task, "smoke", task, complete(STUDY, task, params, task))
    problem: Problem = registry.load("tasks", task, STUDY).build(cell, seed, "cpu")
    return problem


def measured(task: str, seed: int = 0, **params: object) -> pd.DataFrame:
    """Rows of a task, with coordinates as columns: numbers where they are."""
    rows = build(task, seed, steps=0, **params).evaluate({}, {}, 0)
    frame = pd.DataFrame([vars(row) for row in rows])
    pairs = [[part.split("=") for part in text.split(",") if part] for text in frame.pop("at")]
    at = pd.DataFrame([dict(pair) for pair in pairs])
    for name in at.columns:
        numbers = pd.to_numeric(at[name], errors="coerce")
        at[name] = numbers if numbers.notna().sum() == at[name].notna().sum() else at[name]
    return frame.join(at)


def values(frame: pd.DataFrame, metric: str, **at: object) -> list[float]:
    chosen = frame["metric"] == metric
    for name, value in at.items():
        chosen &= frame[name] == value
    assert chosen.any(), (metric, at)
    return list(frame.loc[chosen, "value"])
