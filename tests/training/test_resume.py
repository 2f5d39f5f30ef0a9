"""Kill a run at any moment, start it again: it loses little and changes no number."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from paper_repro.cell import Cell
from paper_repro.rows import Row
from paper_repro.training import checkpoint
from paper_repro.training.problem import Problem
from tests.training import problems

SEEDS = (0, 1, problems.DIVERGES)


def _process(cell: Cell, folder: Path, together: bool, pause: float) -> subprocess.Popen[str]:
    arguments = [folder, int(together), cell.as_json(), pause]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.problems", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


@pytest.mark.parametrize("together", [False, True])
def test_killed_at_random_steps_it_ends_with_the_same_bytes(tmp_path: Path, together: bool) -> None:
    cell = problems.cell(seeds=SEEDS)
    whole = problems.train(cell, tmp_path / "whole", together=together)
    dice = random.Random(7 + together)
    for _ in range(3):  # killed while it draws, computes or saves
        with _process(cell, tmp_path / "killed", together, pause=0.0) as process:
            assert process.stdout is not None
            for _ in range(dice.randrange(3, 25)):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    log = tmp_path / "log"
    out = problems.train(cell, tmp_path / "killed", together=together, log=log)
    assert "resumed at step" in log.read_text()
    for seed in SEEDS:
        assert problems.metrics(out, seed) == problems.metrics(whole, seed)
        assert not list((tmp_path / "killed" / "store").rglob("checkpoint.pt"))
        assert not list((tmp_path / "killed" / "store").rglob("*.tmp"))


def _interrupting(number: int, at: int) -> Callable[[Cell, int, str], Problem]:
    """The small problem with a signal to this very process in the draw of step `at`."""

    def build(cell: Cell, seed: int, device: str) -> Problem:
        problem = problems.fit(cell, seed, device)
        draw = problem.draw

        def draw_and_signal(step: int) -> dict[str, Tensor]:
            if step == at:
                os.kill(os.getpid(), number)
            return draw(step)

        problem.draw = draw_and_signal
        return problem

    return build


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)],
)
def test_a_signal_ends_the_step_saves_and_leaves(
    tmp_path: Path, number: int, status: int, together: bool
) -> None:
    cell = problems.cell(seeds=(0, 1))
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as stopped:
        problems.train(cell, tmp_path, build=_interrupting(number, at=17), together=together)
    assert stopped.value.code == status
    assert signal.getsignal(number) is before
    log = tmp_path / "log"
    out = problems.train(cell, tmp_path, together=together, log=log)
    assert "seed 0  resumed at step 18/60" in log.read_text()
    whole = problems.train(cell, tmp_path / "whole", together=together)
    assert [problems.metrics(out, s) for s in (0, 1)] == [
        problems.metrics(whole, s) for s in (0, 1)
    ]


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        problems.train(problems.cell(), tmp_path, build=_interrupting(signal.SIGHUP, at=17))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert problems.record(tmp_path / "out")["steps"] == 60


@pytest.mark.parametrize("at", [20, 60])
def test_a_signal_does_not_wait_for_a_long_evaluation(tmp_path: Path, at: int) -> None:
    def build(cell: Cell, seed: int, device: str) -> Problem:
        problem = problems.fit(cell, seed, device)
        evaluate = problem.evaluate

        def endless(params: dict[str, Tensor], state: dict[str, Tensor], step: int) -> list[Row]:
            if step == at:
                os.kill(os.getpid(), signal.SIGTERM)
                raise AssertionError("the evaluation went on")
            return evaluate(params, state, step)

        problem.evaluate = endless
        return problem

    with pytest.raises(SystemExit) as stopped:
        problems.train(problems.cell(), tmp_path, build=build)
    assert stopped.value.code == 143
    out = problems.train(problems.cell(), tmp_path, log=tmp_path / "log")
    assert f"resumed at step {at}/60" in (tmp_path / "log").read_text()
    assert problems.metrics(out) == problems.metrics(
        problems.train(problems.cell(), tmp_path / "whole")
    )


def test_members_killed_at_different_steps_finish_as_one_by_one(tmp_path: Path) -> None:
    cell = problems.cell(seeds=(0, 1, 2))
    for seed, step in ((0, 10), (1, 30), (2, 10)):
        with pytest.raises(SystemExit):
            problems.train(
                problems.cell(seeds=(seed,)), tmp_path, build=_interrupting(signal.SIGTERM, step)
            )
    out = problems.train(cell, tmp_path, together=True)
    whole = problems.train(cell, tmp_path / "whole")
    for seed in cell.seeds:
        assert problems.metrics(out, seed) == problems.metrics(whole, seed)
    assert [problems.record(out, s)["seeds_together"] for s in cell.seeds] == [2, 1, 2]


def _checkpoint(folder: Path, at: int) -> Path:
    """The checkpoint of the small problem, interrupted in step `at`."""
    with pytest.raises(SystemExit):
        problems.train(problems.cell(), folder, build=_interrupting(signal.SIGTERM, at))
    (found,) = (folder / "store").rglob("checkpoint.pt")
    return found


@pytest.mark.parametrize("kept", [0, 100, -20])
def test_a_truncated_checkpoint_is_discarded_with_one_line(tmp_path: Path, kept: int) -> None:
    path = _checkpoint(tmp_path, 40)
    path.write_bytes(path.read_bytes()[:kept])
    out = problems.train(problems.cell(), tmp_path, log=tmp_path / "log")
    lines = (tmp_path / "log").read_text().splitlines()
    assert sum("is damaged; starting over" in line for line in lines) == 1
    assert problems.metrics(out) == problems.metrics(
        problems.train(problems.cell(), tmp_path / "whole")
    )


def test_no_flipped_bit_of_a_checkpoint_is_trained_on(tmp_path: Path) -> None:
    path, dice = _checkpoint(tmp_path, 40), random.Random(3)
    whole = path.read_bytes()
    assert checkpoint.load(path, "cpu")
    for bit in dice.sample(range(8 * len(whole)), 200):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        assert checkpoint.load(path, "cpu") is None


def test_the_checkpoint_of_another_run_is_not_trained_on(tmp_path: Path) -> None:
    path = _checkpoint(tmp_path, 40)
    elsewhere = tmp_path / "other" / path.name
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(path.read_bytes())
    assert checkpoint.load(elsewhere, "cpu") is None


def test_two_processes_never_train_the_same_run(tmp_path: Path) -> None:
    def never(cell: Cell, seed: int, device: str) -> Problem:
        problem = problems.fit(cell, seed, device)
        problem.draw = lambda step: pytest.fail("trained a second time")
        return problem

    cell = problems.cell(steps=100)
    with _process(cell, tmp_path, together=False, pause=0.005) as first:
        assert first.stdout is not None
        for _ in range(3):
            first.stdout.readline()
        out = problems.train(cell, tmp_path, build=never, out="second", log=tmp_path / "log")
        first.stdout.read()
    assert first.returncode == 0
    assert (tmp_path / "log").read_text().count("is being trained by another process") == 1
    assert problems.metrics(out) == problems.metrics(tmp_path / "out")


def test_a_checkpoint_holds_nothing_but_data(tmp_path: Path) -> None:
    payload = _checkpoint(tmp_path, 4).read_bytes()[checkpoint.SEAL :]
    content = torch.load(io.BytesIO(payload), weights_only=True)
    assert content["step"] == 5
    assert content["params"].keys() == {"mean", "log_scale"}
    assert content["slots"].keys() == {"first", "second"}
    assert content["generators"].keys() == {"noise"}
