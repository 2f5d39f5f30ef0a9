"""What an evaluation has found so far, so that an interrupted one goes on instead of starting over.

An evaluation may take longer than the time limit of a job. It names its parts and asks for each
through the problem's `Memory`, which keeps the answers in the run's checkpoint. A part draws from a
stream of its own, or through `drawn`, so that no number depends on which parts were remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import astuple, replace
from typing import Any, TypeVar

from torch import Generator

from paper_repro.rows import Row

CHANGES_NO_NUMBER = True

T = TypeVar("T")


class Memory:
    """The parts of one evaluation by name, as tensors and plain data that a checkpoint may hold.

    During an evaluation the training loop sets `found` to what the checkpoint has, and `after` to
    what is called when a part has been added. Outside of it `found` is None and nothing is kept.
    """

    def __init__(self) -> None:
        self.found: dict[str, Any] | None = None
        self.after: Callable[[], None] = lambda: None

    def part(self, name: str, compute: Callable[[], T]) -> T:
        """The part `name`, computed unless it is remembered."""
        if self.found is None:
            return compute()
        if name not in self.found:
            self.found[name] = compute()
            self.after()
        found: T = self.found[name]
        return found

    def drawn(self, name: str, generator: Generator, compute: Callable[[], T]) -> T:
        """`part` for what draws from `generator`, which then stands where the part left it."""
        found, state = self.part(name, lambda: (compute(), generator.get_state()))
        generator.set_state(state)
        return found

    def rows(self, name: str, compute: Callable[[], Iterable[Row]]) -> list[Row]:
        """`part` for rows; their values come back as the same doubles."""
        plain = self.part(name, lambda: [astuple(_plain(row)) for row in compute()])
        return [Row(*fields) for fields in plain]


def _plain(row: Row) -> Row:
    """Numbers as Python's own: a checkpoint holds none of numpy's."""
    return replace(row, value=float(row.value), step=int(row.step))
