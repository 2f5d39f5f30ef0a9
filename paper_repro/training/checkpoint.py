"""The complete state of one run between two steps, and its file.

A snapshot always belongs to a single seed, also where seeds train together, so that any of them
can be resumed alone or in other company.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from paper_repro import atomic
from paper_repro.record import Registered
from paper_repro.training import optimizers
from paper_repro.training.problem import Problem

CHANGES_NO_NUMBER = True

SEAL = hashlib.sha256().digest_size  # bytes before the payload of a file


@dataclass
class Snapshot:
    """A run after `step` updates, recorded up to and evaluated before that step.

    slots: the optimiser's memory, slot -> parameter -> tensor. sums [1 + logs], float64: loss and
    logs added up since the last record. rows: the fields of metrics.csv so far. found: parts of the
    evaluation at this step (`Memory`). registered: `record.Registered`, as taken at step 0. Seconds
    count this run's share of the wall time, over all resumptions.
    """

    params: dict[str, Tensor]
    state: dict[str, Tensor]
    slots: dict[str, dict[str, Tensor]]
    generators: dict[str, Tensor]
    sums: Tensor
    started: str = ""
    step: int = 0
    status: str = "ok"
    rows: list[list[str]] = field(default_factory=list)
    seconds: float = 0.0
    evaluation_seconds: float = 0.0
    found: dict[str, Any] = field(default_factory=dict)
    registered: Registered = field(default_factory=dict)  # absent from older files


def fresh(problem: Problem, started: str = "") -> Snapshot:
    """The snapshot before the first step; `started` is the time for run.json."""
    params = {name: p.detach().clone() for name, p in problem.params.items()}
    slots = optimizers.initial_slots(problem.optimizer, list(params.values()))
    return Snapshot(
        params=params,
        state={name: s.detach().clone() for name, s in problem.state.items()},
        slots={s: dict(zip(params, tensors, strict=True)) for s, tensors in slots.items()},
        generators={name: g.get_state() for name, g in problem.generators.items()},
        sums=torch.zeros(1 + len(problem.log_units), dtype=torch.float64),
        started=started,
    )


def save(path: Path, snapshot: Snapshot) -> None:
    """Write atomically, sealed; tensors keep their values and lose their device."""
    buffer = io.BytesIO()
    torch.save(vars(snapshot), buffer)
    payload = buffer.getvalue()
    atomic.write_bytes(path, _seal(path, payload) + payload)


def load(path: Path, device: str) -> Snapshot | None:
    """The snapshot saved at `path`, its tensors on `device`; None if the file is not whole.

    torch.load takes an archive with a flipped bit for another number: hence the seal.
    """
    try:
        content = path.read_bytes()
    except OSError:  # unreadable sectors
        return None
    payload = content[SEAL:]
    if _seal(path, payload) != content[:SEAL]:
        return None
    try:
        found = Snapshot(**torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True))
    except Exception:  # another version of torch can raise almost anything; starting over is safe
        return None
    for tensors in (found.params, found.state, *found.slots.values()):
        tensors.update({name: t.to(device) for name, t in tensors.items()})
    return found


def _seal(path: Path, payload: bytes) -> bytes:
    """SHA-256 of the payload and of the run it belongs to, whose key is its folder's name."""
    digest = hashlib.sha256(path.parent.name.encode())
    digest.update(payload)
    return digest.digest()
