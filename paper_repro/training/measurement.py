"""A task that only measures: the rows are computed once, and nothing is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from paper_repro.rows import Row
from paper_repro.training.memory import Memory
from paper_repro.training.problem import Problem, Tensors


def measurement(
    rows: Callable[[], list[Row]],
    arrays: Callable[[], dict[str, np.ndarray]] | None = None,
    fingerprint: str = "",
    memory: Memory | None = None,
) -> Problem:
    """The problem whose single evaluation gives `rows`, after which `arrays` is asked for what it
    saves; `fingerprint` is that of its data, `memory` holds the parts of `rows`."""

    def loss(params: Tensors, state: Tensors, batch: Tensors) -> tuple[Any, Tensors, Tensors]:
        raise RuntimeError("a measurement has no loss; its cell must have steps = 0")

    return Problem(
        params={},
        loss=loss,
        draw=lambda step: {},
        evaluate=lambda params, state, step: rows(),
        arrays=(lambda params: arrays()) if arrays else None,
        fingerprint=fingerprint,
        memory=memory or Memory(),
    )
