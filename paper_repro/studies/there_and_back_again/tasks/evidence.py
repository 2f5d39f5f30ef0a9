"""ELBO and log evidence where the ELBO is stationary: exact if linear, else a gap like sigma^2.

Fyffe, "There and Back Again" (arXiv 1912.10309), abstract; formulas and toys are ours. A linear
VAE (`linear_evidence`), a curve as decoder with points drawn anew by each seed (`curve`, T4 and
T5). Arrays: sigma [S], z [Z], hessian [S, Z], mean and variance [S, P] of the points' posteriors.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from paper_repro.cell import Cell
from paper_repro.rows import Row
from paper_repro.studies.there_and_back_again.tasks import curve, linear_evidence
from paper_repro.training.measurement import measurement
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream

PARAMS = {"points": {"type": "integer", "minimum": 2, "default": 150}}


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Measure once, on the CPU."""
    arrays: dict[str, np.ndarray] = {}

    def rows() -> Iterator[Row]:
        yield from linear_evidence.rows(stream(seed, "init", "linear"))
        yield from curve.rows(stream(seed, "init", "curve"), cell.params["points"], arrays)

    return measurement(lambda: list(rows()), lambda: arrays)
