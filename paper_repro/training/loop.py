"""The one training loop of every study.

Between record points nothing waits for the device: logs add up in one tensor, which is read at
most 200 times a run. At a record point the means since the last one become rows of training
curves, and members with non-finite numbers become `diverged`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from paper_repro.rows import Row
from paper_repro.training.bundle import Bundle
from paper_repro.training.checkpoint import Snapshot
from paper_repro.training.interrupt import Interrupt, Stop
from paper_repro.training.optimizers import clip_by_module
from paper_repro.training.problem import Problem

MAX_CURVE_POINTS = 200
WORTH_SAVING = 2.0  # seconds of training that are saved before the last evaluation


@dataclass(frozen=True)
class Schedule:
    """When the loop does what; `every` steps and after the last one it records."""

    steps: int
    every: int
    evaluations: frozenset[int]

    @staticmethod
    def of(problem: Problem, steps: int, curve_points: int) -> Schedule:
        """At most min(curve_points, 200) records, evenly spaced but for the last."""
        every = max(1, -(-steps // max(1, min(curve_points, MAX_CURVE_POINTS))))
        return Schedule(steps, every, frozenset({*problem.evaluate_at, steps}))


@dataclass(frozen=True)
class Hooks:
    """What the loop tells the outside world.

    save(snapshots): called at most every `checkpoint_seconds` and when interrupted.
    show(index, step, value): a member's newest mean of the log shown on progress lines.
    """

    save: Callable[[list[Snapshot]], None]
    show: Callable[[int, int, float], None]
    checkpoint_seconds: float


def fields(row: Row, step: int, status: str) -> list[str]:
    """`row` as the fields of a metrics.csv, written so that reading returns the same double."""
    return [
        row.split,
        str(step if row.step == -1 else row.step),
        row.metric,
        repr(float(row.value)),
        row.unit,
        row.at,
        row.estimator,
        row.kind,
        status,
    ]


def train(
    problems: list[Problem],
    snapshots: list[Snapshot],
    schedule: Schedule,
    hooks: Hooks,
    stacked: bool,
) -> list[Snapshot]:
    """Train and evaluate members that stand at one step; returns them as they ended.

    A signal ends the step, saves and raises SystemExit with the status of `Interrupt`. Nothing is
    raised for divergence: such a member ends with status "diverged" and one row that says when.
    """
    bundle = Bundle(problems, snapshots, stacked)
    with Interrupt() as interrupt:
        trainer = _Trainer(bundle, schedule, hooks, interrupt)
        try:
            trainer.run()
        except Stop:
            trainer.save()
            raise SystemExit(interrupt.status) from None
    return bundle.all_snapshots()


class _Trainer:
    """The loop's clocks and the actions between steps."""

    def __init__(
        self, bundle: Bundle, schedule: Schedule, hooks: Hooks, interrupt: Interrupt
    ) -> None:
        self.bundle, self.schedule, self.hooks = bundle, schedule, hooks
        self.interrupt = interrupt
        self.account = "seconds"  # to which the time is booked
        self.clock = time.perf_counter()
        self.saved = time.monotonic()

    def run(self) -> None:
        bundle, last = self.bundle, self.schedule.steps
        while True:
            if bundle.step in self.schedule.evaluations:
                if bundle.step == last and time.monotonic() - self.saved > WORTH_SAVING:
                    self.save()  # the last evaluation can take longer than a checkpoint interval
                self.evaluate()
            if bundle.step == last or not bundle.alive():
                return
            self.advance(min(e for e in self.schedule.evaluations if e > bundle.step))

    def advance(self, until: int) -> None:
        """Steps up to step `until`, recording and saving on the way."""
        bundle, schedule = self.bundle, self.schedule
        step = stepper(bundle)
        while bundle.step < until:
            step()
            if bundle.step % schedule.every == 0 or bundle.step == schedule.steps:
                self.record()
                if not bundle.alive():
                    break
            if self.interrupt.signal:
                raise Stop
            self.save_if_due()
        self.charge()

    def record(self) -> None:
        """Turn the logs added up since the last record into rows."""
        bundle, step, every = self.bundle, self.bundle.step, self.schedule.every
        finite = bundle.finite()
        count = step - (step - 1) // every * every
        means = (bundle.sums / count).reshape(bundle.sums.shape[0], -1).T.tolist()
        bundle.sums.zero_()
        self.retire(finite)
        for i in bundle.alive():
            problem = bundle.problems[i]
            logs = dict(zip(problem.log_units, means[i][1:], strict=True))
            rows = [
                Row(name, value, problem.log_units[name], split="train", kind="curve")
                for name, value in logs.items()
            ]
            bundle.snapshots[i].rows += [fields(row, step, "ok") for row in rows]
            self.hooks.show(i, step, logs.get(problem.progress, means[i][0]))

    def evaluate(self) -> None:
        """Run every live member's evaluation; all rows of this step are kept, or none.

        What an interrupted evaluation found is saved with the members, and not computed again.
        """
        bundle, step = self.bundle, self.bundle.step
        self.retire(bundle.finite())
        self.charge()
        self.account = "evaluation_seconds"
        with self.interrupt.immediate():
            found = {i: self.rows_of(i) for i in bundle.alive()}
        for i, rows in found.items():
            bundle.snapshots[i].rows += [fields(row, step, "ok") for row in rows]
            bundle.snapshots[i].found = {}
        self.charge()
        self.account = "seconds"

    def rows_of(self, i: int) -> list[Row]:
        """A member's evaluation, saving between its parts."""
        bundle, problem = self.bundle, self.bundle.problems[i]
        problem.memory.found = bundle.snapshots[i].found
        problem.memory.after = self.save_if_due
        params, state = bundle.member(i, bundle.params), bundle.member(i, bundle.state)
        rows = problem.evaluate(params, state, bundle.step)
        problem.memory.found = None
        return rows

    def retire(self, finite: list[bool]) -> None:
        """Mark live members that are not finite as diverged, with one row that says when."""
        bundle = self.bundle
        for i in bundle.alive():
            if not finite[i]:
                problem = bundle.problems[i]
                unit = problem.log_units.get(problem.progress, "1")
                row = fields(Row("loss", math.nan, unit, split="train"), bundle.step, "diverged")
                bundle.snapshots[i].rows.append(row)
                bundle.retire(i)

    def save_if_due(self) -> None:
        if time.monotonic() - self.saved >= self.hooks.checkpoint_seconds:
            self.save()

    def save(self) -> None:
        self.charge()
        self.hooks.save(self.bundle.all_snapshots())
        self.saved = time.monotonic()

    def charge(self) -> None:
        """Book the time since the last call, shared equally by the members."""
        now, account = time.perf_counter(), self.account
        for snapshot in self.bundle.snapshots:
            share = (now - self.clock) / len(self.bundle.snapshots)
            setattr(snapshot, account, getattr(snapshot, account) + share)
        self.clock = now


def stepper(bundle: Bundle) -> Callable[[], None]:
    """A function that makes one step of `bundle`: draw, differentiate, update, add up the logs.

    What changes from step to step, the batch, the learning rates and the state, is copied into
    tensors that stay where they are; the rest of the step reads and writes these alone.
    """
    first, leaves, state, sums = bundle.problems[0], bundle.leaves, bundle.state, bundle.sums
    optimizer, static = bundle.optimizer, dict[str, Tensor]()
    constant = first.optimizer["lr"]
    rate = first.learning_rate or (lambda _: constant)
    names, params = tuple(first.log_units), tuple(bundle.params)
    clip = first.optimizer.get("clip", 0)
    watch = torch.vmap(first.watch) if first.watch and bundle.stacked else first.watch

    def load() -> None:
        for name, tensor in bundle.draw(bundle.step).items():
            if name in static:
                static[name].copy_(tensor)
            else:
                static[name] = tensor.clone()
        optimizer.rate(bundle.step, rate(bundle.step))

    def body() -> None:
        losses, moved, logs = bundle.loss(bundle.params, state, static)
        # Not torch.autograd.grad: only accumulated gradients surely share the parameters' memory
        # layout, on which the fused optimiser relies.
        (losses.sum() if bundle.stacked else losses).backward()
        with torch.no_grad():
            gradients: list[Tensor] = [p.grad for p in leaves]  # type: ignore[misc]
            if watch:
                logs = logs | watch(dict(zip(params, gradients, strict=True)))
            if clip:
                clip_by_module(params, gradients, clip, stacked=bundle.stacked)
            optimizer.update(gradients)
            sums.add_(torch.stack([losses, *[logs[name] for name in names]]))
            for name, tensor in moved.items():
                if tensor is not state[name]:
                    state[name].copy_(tensor)
        for p in leaves:
            p.grad = None

    def step() -> None:
        load()
        body()
        bundle.step += 1

    return step
