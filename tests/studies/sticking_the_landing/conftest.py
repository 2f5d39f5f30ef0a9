"""Building and training this study's toy tasks at test size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from paper_repro import registry
from paper_repro.cell import Cell
from paper_repro.grid import complete
from paper_repro.training.problem import Problem
from paper_repro.training.run import train_cell

STUDY = "sticking_the_landing"


def _cell(task: str, seeds: tuple[int, ...] = (0,), **params: Any) -> Cell:
    params = complete(STUDY, task, params, task)
    return Cell(STUDY, task, task, "smoke", task, params, seeds)


@pytest.fixture
def build() -> Callable[..., Problem]:
    """build(task, seed=0, **params) -> Problem on the CPU."""

    def build(task: str, seed: int = 0, **params: Any) -> Problem:
        problem: Problem = registry.load("tasks", task, STUDY).build(
            _cell(task, **params), seed, "cpu"
        )
        return problem

    return build


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., pd.DataFrame]:
    """train(task, seeds=(0,), together=None, **params) -> rows of all seeds, by the real loop.

    Coordinates of `at` become columns.
    """

    def train(
        task: str, seeds: tuple[int, ...] = (0,), together: bool | None = None, **params: Any
    ) -> pd.DataFrame:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        train_cell(
            _cell(task, seeds, **params),
            out / "store",
            out,
            device="cpu",
            threads=1,
            sources=[],
            together=together,
        )
        frames = []
        for seed in seeds:
            frame = pd.read_csv(out / f"seed{seed}" / "metrics.csv", keep_default_na=False)
            at = [
                dict(pair.split("=", 1) for pair in text.split(",") if pair) for text in frame["at"]
            ]
            coordinates = pd.DataFrame(at, index=frame.index)
            for name in coordinates:
                numbers = pd.to_numeric(coordinates[name], errors="coerce")
                if numbers.notna().sum() == coordinates[name].notna().sum():
                    coordinates[name] = numbers
            frames.append(frame.join(coordinates).assign(seed=seed))
        return pd.concat(frames, ignore_index=True)

    return train
