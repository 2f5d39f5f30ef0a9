"""Several seeds of a cell as one optimisation problem, or a single seed as itself.

Small networks on a GPU are bound by kernel launches, so the seeds of a cell are stacked along a
leading member axis and the loss is mapped over it by torch.vmap: one launch serves all seeds. The
sum of the members' losses is differentiated; each member's gradient is its own. Optimisers
are elementwise, generators and batches are per member, so no member sees another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from paper_repro.training import optimizers
from paper_repro.training.checkpoint import Snapshot
from paper_repro.training.problem import Problem, Tensors


class Bundle:
    """Live training state of one or more seeds that stand at the same step.

    With `stacked` every tensor has a leading member axis [M, ...]; without it there is exactly one
    member and no such axis. `sums` is [1 + logs] or [1 + logs, M] on the device.
    """

    def __init__(self, problems: list[Problem], snapshots: list[Snapshot], stacked: bool) -> None:
        if len({s.step for s in snapshots}) != 1 or (len(problems) != 1 and not stacked):
            raise ValueError("a bundle needs members of one step; several must be stacked")
        self.problems, self.snapshots, self.stacked = problems, snapshots, stacked
        first = problems[0]
        self.step = snapshots[0].step
        self.loss: Callable[[Tensors, Tensors, Tensors], tuple[Tensor, Tensors, Tensors]]
        self.loss = torch.vmap(first.loss) if stacked else first.loss
        self.draw = self._draw_all if stacked else first.draw
        self.params = {
            name: p.requires_grad_()
            for name, p in self._join([s.params for s in snapshots]).items()
        }
        self.state = self._join([s.state for s in snapshots])
        slots = {
            slot: list(self._join([s.slots[slot] for s in snapshots]).values())
            for slot in snapshots[0].slots
        }
        self.leaves = list(self.params.values())
        factors = [first.rates.get(name, 1.0) for name in self.params]
        self.optimizer = optimizers.build(first.optimizer, self.leaves, slots, self.step, factors)
        sums = [s.sums for s in snapshots]
        device = self.leaves[0].device if self.leaves else "cpu"  # a task that only measures
        self.sums = (torch.stack(sums, dim=-1) if stacked else sums[0].clone()).to(device)
        for problem, snapshot in zip(problems, snapshots, strict=True):
            for name, generator in problem.generators.items():
                generator.set_state(snapshot.generators[name])

    def member(self, index: int, tensors: Tensors) -> Tensors:
        """Member `index`'s detached view of `tensors`."""
        return {name: (t[index] if self.stacked else t).detach() for name, t in tensors.items()}

    def alive(self) -> list[int]:
        """Indices of the members that have not diverged."""
        return [i for i, s in enumerate(self.snapshots) if s.status == "ok"]

    def finite(self) -> list[bool]:
        """Which members have finite sums and parameters. Waits for the device."""
        finite = self.sums.reshape(self.sums.shape[0], -1).isfinite().all(0)
        for p in self.leaves:
            finite &= p.detach().reshape(finite.shape[0], -1).isfinite().all(1)
        return finite.tolist()

    def retire(self, index: int) -> None:
        """Mark a member as diverged; it stays as it is now, whatever the bundle goes on to do."""
        self.snapshots[index] = replace(self.snapshot(index), status="diverged")

    def all_snapshots(self) -> list[Snapshot]:
        """`snapshot` of every member."""
        return [self.snapshot(i) for i in range(len(self.problems))]

    def snapshot(self, index: int) -> Snapshot:
        """A copy of member `index` as it stands, sharing no memory with the bundle.

        A diverged member stays as it was when it was found.
        """
        old = self.snapshots[index]
        if old.status == "diverged":
            return old
        slots = {
            slot: self.member(index, dict(zip(self.params, tensors, strict=True)))
            for slot, tensors in self.optimizer.slots.items()
        }
        generators = self.problems[index].generators
        return Snapshot(
            params=_copy(self.member(index, self.params)),
            state=_copy(self.member(index, self.state)),
            slots={slot: _copy(tensors) for slot, tensors in slots.items()},
            generators={name: g.get_state() for name, g in generators.items()},
            sums=(self.sums[:, index] if self.stacked else self.sums).cpu().clone(),
            started=old.started,
            step=self.step,
            status=old.status,
            rows=[list(row) for row in old.rows],
            seconds=old.seconds,
            evaluation_seconds=old.evaluation_seconds,
            found=dict(old.found),
        )

    def _draw_all(self, step: int) -> Tensors:
        return self._join([problem.draw(step) for problem in self.problems])

    def _join(self, members: list[Tensors]) -> Tensors:
        if not self.stacked:
            return {name: t.clone() for name, t in members[0].items()}
        return {name: torch.stack([m[name] for m in members]) for name in members[0]}


def _copy(tensors: Tensors) -> Tensors:
    return {name: t.clone() for name, t in tensors.items()}
