"""The loop itself: what it records, what it waits for, what it refuses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from paper_repro.training import checkpoint, loop, progress
from paper_repro.training.problem import Problem, check
from tests.training import problems


def _line(steps: int, log: str = "loss") -> Problem:
    """Loss = -weight, so sgd at rate 1 makes the weight count the steps."""

    def loss(
        params: dict[str, Tensor], state: dict[str, Tensor], batch: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        return -params["w"].sum(), state, {"w": params["w"].detach().sum()}

    return Problem(
        params={"w": torch.zeros(1)},
        loss=loss,
        draw=lambda step: {},
        evaluate=lambda params, state, step: [],
        optimizer={"name": "sgd", "lr": 1.0},
        log_units={"w": "1"},
    )


def _train(problem: Problem, steps: int, curve_points: int, **hooks: Any) -> checkpoint.Snapshot:
    nothing: dict[str, Any] = {
        "save": lambda snapshots: None,
        "show": lambda *shown: None,
        "checkpoint_seconds": 1e9,
    }
    (end,) = loop.train(
        [problem],
        [checkpoint.fresh(problem)],
        loop.Schedule.of(problem, steps, curve_points),
        loop.Hooks(**{**nothing, **hooks}),
        stacked=False,
    )
    return end


def test_a_curve_point_is_the_mean_since_the_one_before() -> None:
    end = _train(_line(10), 10, curve_points=3)
    # The logs are 0, 1, ..., 9: the weight before each step.
    assert [(row[1], row[3]) for row in end.rows] == [("4", "1.5"), ("8", "5.5"), ("10", "8.5")]
    assert end.params["w"].item() == 10.0


@pytest.mark.parametrize("steps", [1, 199, 200, 201, 1000, 12345])
@pytest.mark.parametrize("wanted", [1, 100, 200, 10_000])
def test_no_curve_has_more_points_than_asked_for_or_200(steps: int, wanted: int) -> None:
    every = loop.Schedule.of(_line(steps), steps, wanted).every
    assert 1 <= -(-steps // every) <= min(wanted, 200)


def test_the_schedule_sets_the_rate_of_each_step() -> None:
    problem = _line(4)
    problem.learning_rate = lambda step: 10.0**step
    assert _train(problem, 4, 1).params["w"].item() == 1111.0


def test_the_problem_s_own_tensors_stay_as_they_were() -> None:
    problem = _line(5)
    _train(problem, 5, 1)
    assert problem.params["w"].item() == 0.0
    assert not problem.params["w"].requires_grad


def test_between_records_nothing_waits_for_the_device() -> None:
    """Reading a number is aten::_local_scalar_dense; as many in 40 steps as in 400."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Reads(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            counts[func.overloadpacket.__name__] += 1
            return func(*args, **(kwargs or {}))

    reads = []
    for steps in (40, 400):
        counts: Counter[str] = Counter()
        problem = problems.fit(problems.cell(steps=steps), 0, "cpu")
        with Reads():
            _train(problem, steps, 4)
        assert counts["exp"] >= steps  # the mode did see the steps
        reads.append(counts["_local_scalar_dense"])
    assert reads[0] == reads[1]


def test_checkpoints_come_when_due_and_hold_the_step(tmp_path: Path) -> None:
    steps: list[int] = []

    def save(snapshots: list[checkpoint.Snapshot]) -> None:
        steps.extend(s.step for s in snapshots)
        checkpoint.save(tmp_path / "checkpoint.pt", snapshots[0])

    _train(_line(6), 6, 2, save=save, checkpoint_seconds=0.0)
    assert steps == [1, 2, 3, 4, 5, 6]
    loaded = checkpoint.load(tmp_path / "checkpoint.pt", "cpu")
    assert loaded is not None
    assert loaded.params["w"].item() == 6.0
    steps.clear()
    _train(_line(6), 6, 2, save=save, checkpoint_seconds=1e9)
    assert steps == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"log_units": {"w": "1", "kl": "nats"}}, "logs"),
        ({"state": {"average": torch.zeros(())}, "loss": "forgets"}, "state"),
        ({"params": {"w": torch.zeros(1), "idle": torch.zeros(1)}}, "does not depend on idle"),
        ({"loss": "batched"}, "0-d"),
        ({"draw": lambda step: {"x": torch.tensor([0.0, float("nan")])}}, "'x' of the first batch"),
    ],
)
def test_a_broken_promise_of_a_problem_is_named(change: dict[str, Any], message: str) -> None:
    problem = _line(1)
    loss = problem.loss
    replacements = {
        "forgets": lambda p, s, b: (loss(p, s, b)[0], {}, loss(p, s, b)[2]),
        "batched": lambda p, s, b: (-p["w"], s, loss(p, s, b)[2]),
    }
    for name, value in change.items():
        setattr(problem, name, replacements.get(value, value) if name == "loss" else value)
    with pytest.raises(ValueError, match=message):
        check(problem)


def test_progress_is_a_line_every_ten_seconds_and_one_at_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    report = progress.reporter(tmp_path / "logs" / "cell.log")
    run = progress.Progress(report, "mnist-path seed 3", 5000, "elbo")
    run.begin(200)
    for second in range(1, 26):
        clock[0] = float(second)
        run.show(200 + 100 * second, -102.309)
    run.end("ok", 48.0, 3.4)
    lines = (tmp_path / "logs" / "cell.log").read_text().splitlines()
    assert lines == [
        "mnist-path seed 3  step 1200/5000  elbo -102.31  100 steps/s  00:38 left",
        "mnist-path seed 3  step 2200/5000  elbo -102.31  100 steps/s  00:28 left",
        "mnist-path seed 3  step 2700/5000  elbo -102.31  100 steps/s  done"
        "  00:48 training, 00:03 evaluation",
    ]
    assert capsys.readouterr().err.splitlines() == lines
    assert progress.duration(3723.4) == "1:02:03"
