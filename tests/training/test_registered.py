"""A run keeps what was registered at its step 0, however often it is resumed or asked for again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from paper_repro.cell import Cell
from paper_repro.training import checkpoint
from paper_repro.training.problem import Problem
from tests.training import problems

OLD = {"study": {"study-A1": "0" * 64}}
NEW = {"study": {"study-A1": "1" * 64}}
SEEDS = (0, 1)


def _cut_short(at: int = 30) -> Callable[[Cell, int, str], Problem]:
    """The small problem, whose process is told to end in the draw of step `at`."""

    def build(cell: Cell, seed: int, device: str) -> Problem:
        problem = problems.fit(cell, seed, device)
        draw = problem.draw

        def draw_and_end(step: int) -> dict[str, Tensor]:
            if step == at:
                os.kill(os.getpid(), signal.SIGTERM)
            return draw(step)

        problem.draw = draw_and_end
        return problem

    return build


def _begun(folder: Path, together: bool = True) -> list[Path]:
    """Checkpoints of runs that began under the old rules and were cut short."""
    cell = problems.cell(seeds=SEEDS)
    with pytest.raises(SystemExit):
        problems.train(cell, folder, build=_cut_short(), together=together, register=lambda: OLD)
    found = sorted((folder / "store").rglob("checkpoint.pt"))
    assert len(found) == (len(SEEDS) if together else 1)
    return found


def _carried(out: Path) -> list[object]:
    return [problems.record(out, seed)["registered"] for seed in SEEDS]


@pytest.mark.parametrize("together", [False, True])
def test_a_rule_changed_between_checkpoint_and_resumption_leaves_the_old_hash(
    tmp_path: Path, together: bool
) -> None:
    whole = problems.train(problems.cell(seeds=SEEDS), tmp_path / "whole", together=together)
    _begun(tmp_path, together)
    out = problems.train(
        problems.cell(seeds=SEEDS), tmp_path, together=together, register=lambda: NEW
    )
    # One by one, the second seed had not begun when the process ended.
    assert _carried(out) == ([OLD, OLD] if together else [OLD, NEW])
    for seed in SEEDS:
        assert problems.metrics(out, seed) == problems.metrics(whole, seed)
        assert problems.record(out, seed)["run_id"] == problems.record(whole, seed)["run_id"]


def test_it_outlives_several_checkpoints(tmp_path: Path) -> None:
    _begun(tmp_path)
    for at in (40, 50):
        with pytest.raises(SystemExit):
            problems.train(
                problems.cell(seeds=SEEDS),
                tmp_path,
                build=_cut_short(at),
                together=True,
                checkpoint_seconds=0.0,
                register=lambda: NEW,
            )
    out = problems.train(problems.cell(seeds=SEEDS), tmp_path, together=True, register=lambda: NEW)
    assert _carried(out) == [OLD, OLD]


def test_a_stored_run_that_is_reused_keeps_its_own(tmp_path: Path) -> None:
    """For another cell of the same content too; nobody is asked again."""
    cell = problems.cell(seeds=SEEDS)
    problems.train(cell, tmp_path, register=lambda: OLD)
    again = problems.train(
        cell, tmp_path, out="again", register=lambda: pytest.fail("asked for a run that ended")
    )
    assert _carried(again) == [OLD, OLD]


def test_a_run_that_diverged_keeps_it(tmp_path: Path) -> None:
    cell = problems.cell(seeds=(problems.DIVERGES,))
    out = problems.train(cell, tmp_path, register=lambda: OLD)
    assert problems.record(out, problems.DIVERGES)["registered"] == OLD


def test_a_checkpoint_of_an_older_version_is_resumed_and_carries_none(tmp_path: Path) -> None:
    for path in _begun(tmp_path):
        snapshot = checkpoint.load(path, "cpu")
        assert snapshot is not None
        assert snapshot.registered == OLD
        del vars(snapshot)["registered"]
        checkpoint.save(path, snapshot)
        assert b"study-A1" not in path.read_bytes()
    log = tmp_path / "log"
    out = problems.train(
        problems.cell(seeds=SEEDS), tmp_path, together=True, log=log, register=lambda: NEW
    )
    assert "resumed at step" in log.read_text()
    assert _carried(out) == [{}, {}]


def test_a_run_that_starts_over_is_registered_anew(tmp_path: Path) -> None:
    first, _ = _begun(tmp_path)
    first.write_bytes(first.read_bytes()[:-1])
    out = problems.train(problems.cell(seeds=SEEDS), tmp_path, together=True, register=lambda: NEW)
    assert sorted(_carried(out), key=str) == [OLD, NEW]
