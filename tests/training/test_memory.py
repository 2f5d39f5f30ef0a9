"""An evaluation that takes longer than the job may run ends some day, with the same numbers."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from paper_repro import grid, registry
from paper_repro.cell import Cell
from paper_repro.rows import Row
from paper_repro.training import checkpoint, loop
from paper_repro.training.memory import Memory
from paper_repro.training.problem import Problem
from paper_repro.vae import split, trained
from paper_repro.vae.protocols import importance
from tests.training import problems

PARTS = 5
CELLS = [
    ("sticking_the_landing", "table1-digits-layers2-iwae-k5-path"),
    ("sticking_the_landing", "training_variance"),
    ("sticking_the_landing", "exactness"),
    ("silent_gradients", "gradients-digits-bernoulli-dim8-silent"),
    ("sticking_the_landing", "snr"),
    ("silent_gradients", "exactness-digits"),
    ("conformance", "estimators-categorical"),
]


class Slow:
    """The small problem with an evaluation of five parts that draw one after another, and a signal
    to this process in every second part, as if the time were up."""

    def __init__(self, number: int) -> None:
        self.number, self.computed = number, 0
        self.asked: list[tuple[int, int]] = []

    def __call__(self, cell: Cell, seed: int, device: str) -> Problem:
        problem = problems.fit(cell, seed, device)

        def part(step: int, i: int, noise: torch.Generator) -> Tensor:
            self.computed += 1
            if self.number and self.computed % 2 == 0:
                os.kill(os.getpid(), self.number)
                raise AssertionError("the part went on")
            self.asked.append((step, i))
            return torch.randn(3, generator=noise)

        def evaluate(params: dict[str, Tensor], state: dict[str, Tensor], step: int) -> list[Row]:
            noise = problems.stream(seed, "evaluation", str(step))
            found = [
                problem.memory.drawn(str(i), noise, lambda i=i: part(step, i, noise))
                for i in range(PARTS)
            ]
            return [Row("drawn", float(v), "1") for v in torch.cat(found)]

        problem.evaluate = evaluate
        return problem


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_evaluation_longer_than_the_time_limit_ends_some_day(
    tmp_path: Path, number: int
) -> None:
    cell, slow, stops = problems.cell(), Slow(number), []
    while len(stops) < 20:
        try:
            out = problems.train(cell, tmp_path, build=slow)
            break
        except SystemExit as stopped:
            stops.append(stopped.code)
    assert 10 < len(stops) < 20
    assert set(stops) == {128 + number}
    assert slow.asked == [(step, i) for step in (0, 20, 60) for i in range(PARTS)]
    whole = problems.train(cell, tmp_path / "whole", build=Slow(0))
    assert problems.metrics(out) == problems.metrics(whole)


def test_a_part_is_saved_as_soon_as_it_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[list[str]] = []
    monkeypatch.setattr(checkpoint, "save", lambda path, run: saved.append(list(run.found)))
    problems.train(problems.cell(steps=0), tmp_path, build=Slow(0), checkpoint_seconds=0.0)
    assert saved == [[str(i) for i in range(n)] for n in range(1, PARTS + 1)]


def evaluated(
    study: str, id: str, found: dict[str, Any] | None = None
) -> tuple[list[list[str]], dict[str, Any]]:
    """Rows of a cell's evaluation, but for times, that begins with these parts; all parts then."""
    (cell,) = grid.find(study, "smoke", [id])
    problem = registry.load("tasks", cell.task, study).build(cell, 0, "cpu")
    buffer = io.BytesIO()  # as a checkpoint keeps them
    torch.save(found or {}, buffer)
    problem.memory.found = torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
    rows = problem.evaluate(problem.params, problem.state, cell.params["steps"])
    numbers = [row for row in rows if row.unit != "s" and row.metric != "cost_ratio"]
    return [loop.fields(row, 0, "ok") for row in numbers], problem.memory.found


@pytest.mark.parametrize(("study", "id"), CELLS)
def test_numbers_do_not_depend_on_which_parts_were_remembered(study: str, id: str) -> None:
    whole, parts = evaluated(study, id)
    assert len(parts) >= 2
    for kept in (1, len(parts) - 1):
        assert evaluated(study, id, dict(list(parts.items())[:kept]))[0] == whole


@pytest.mark.parametrize(
    ("limits", "module", "study", "id"),
    [(importance.ROWS, importance, *CELLS[0]), (trained.VALUES, split, *CELLS[3])],
)
def test_images_in_many_parts_give_the_numbers_of_one(
    limits: dict[str, int], module: ModuleType, study: str, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(limits, "cpu", 3000)
    whole, few = evaluated(study, id)
    monkeypatch.setattr(module, "PART", 1)
    cut, many = evaluated(study, id)
    assert cut == whole
    assert len(many) > len(few)
    assert evaluated(study, id, dict(list(many.items())[: len(many) // 2]))[0] == whole


def test_outside_of_the_training_loop_nothing_is_remembered() -> None:
    memory, values = Memory(), iter((1.0, 2.0))
    assert [memory.part("a", lambda: next(values)) for _ in range(2)] == [1.0, 2.0]


def test_rows_come_back_as_they_were() -> None:
    memory, row = Memory(), Row("m", torch.tensor(0.1).item(), "1", "test", "k=1", "path", 3)
    memory.found = {}
    assert memory.rows("a", lambda: [row]) == [row]
    assert memory.rows("a", lambda: pytest.fail("computed again")) == [row]
