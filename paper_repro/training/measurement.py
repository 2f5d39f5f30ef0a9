"""A task that only measures: the rows are computed once, and nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from paper_repro.rows import Row
from paper_repro.training.problem import Problem, Tensors


def measurement(
    rows: Callable[[], list[Row]],
    arrays: Mapping[str, np.ndarray] | None = None,
    fingerprint: str = "",
) -> Problem:
    """The problem whose single evaluation gives `rows`; `fingerprint` is that of its data."""

    def loss(params: Tensors, state: Tensors, batch: Tensors) -> tuple[Any, Tensors, Tensors]:
        raise RuntimeError("a measurement has no loss; its cell must have steps = 0")

    return Problem(
        params={},
        loss=loss,
        draw=lambda step: {},
        evaluate=lambda params, state, step: rows(),
        arrays=None if arrays is None else lambda params: dict(arrays),
        fingerprint=fingerprint,
    )
