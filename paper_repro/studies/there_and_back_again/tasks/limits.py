"""Toys without anything drawn: the flow limit, and finite data under their best decoder.

Fyffe, "There and Back Again" (arXiv 1912.10309), abstract; formulas and toys are ours. The ELBO of
clean data as the likelihood's variance vanishes (`flow`, T11 and T14); gaps of points on a curve
whose decoder is the optimal one (`finite_data`, T4). Every seed has the same numbers. Arrays: those
of `finite_data.rows`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from paper_repro.cell import Cell
from paper_repro.rows import Row
from paper_repro.studies.there_and_back_again.tasks import finite_data, flow
from paper_repro.training.measurement import measurement
from paper_repro.training.problem import Problem

PARAMS = {
    "counts": {  # of points
        "type": "array",
        "items": {"type": "integer", "minimum": 2},
        "minItems": 1,
        "default": [12, 48, 24],
    },
}


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Measure once, on the CPU."""
    arrays: dict[str, np.ndarray] = {}

    def rows() -> Iterator[Row]:
        yield from flow.rows()
        yield from finite_data.rows(cell.params["counts"], arrays)

    return measurement(lambda: list(rows()), lambda: arrays)
