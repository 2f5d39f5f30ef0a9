"""Identities of optimal decoder, posterior variance, BILBO and BAGGINS, checked on random problems.

Fyffe, "There and Back Again" (arXiv 1912.10309), of which only the abstract is known to us: the
formulas are our derivation. Each seed draws other problems. `optimal_decoder` (T1, T2),
`stationary` (T3, T13), `information` (T7, B1 to B7), `bounded` (T8, T9, H1 to H6); float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paper_repro.cell import Cell
from paper_repro.rows import Row
from paper_repro.studies.there_and_back_again.tasks import (
    bounded,
    information,
    optimal_decoder,
    stationary,
)
from paper_repro.training.measurement import measurement
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream

PARAMS: dict[str, Any] = {}


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Measure once, on the CPU."""
    return measurement(lambda: list(rows(seed)))


def rows(seed: int) -> Iterator[Row]:
    """All rows of one seed; each part has a stream of its own."""
    yield from optimal_decoder.rows(stream(seed, "init", "optimal_decoder"))
    yield from stationary.rows(stream(seed, "init", "stationary"))
    yield from information.rows(stream(seed, "init", "information"))
    yield from bounded.rows(stream(seed, "init", "bounded"))
