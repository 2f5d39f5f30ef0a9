"""The run store: finished and half-finished runs, filed by what they compute.

The key of a run is its identity (`training.identity`). So a finished run is found again by every
study that asks for the same computation, survives a failed job, and is trained anew once anything
that can change its numbers has changed. A lock file beside it keeps two processes from training
the same run.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paper_repro import atomic, record
from paper_repro.training.identity import run_id

COLUMNS = ("split", "step", "metric", "value", "unit", "at", "estimator", "kind", "status")


@dataclass(frozen=True)
class Entry:
    """One run's folder in the store."""

    folder: Path

    @staticmethod
    def of(store: Path, key: str) -> Entry:
        """The entry of `key`, which need not exist yet."""
        return Entry(store / key[:2] / key)

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def result(self) -> record.Run | None:
        """The finished run, None if there is none; raises `record.Damaged` for one to discard."""
        found = record.read(self.folder)
        if found and found.record["run_id"] != run_id(self.folder.name):
            raise record.Damaged(f"{self.folder / record.RECORD} is of another run")
        return found

    @contextmanager
    def locked(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the run's lock; calls `waiting` once if another process holds it. What is in the way
        of the entry's folder, lock or checkpoint is moved aside."""
        for folder in (self.folder.parent, self.folder):
            atomic.make_room(folder, folder=True)
        atomic.make_room(self.folder / "lock")
        with atomic.locked(self.folder / "lock", waiting) as alone:
            atomic.make_room(self.checkpoint)
            for leftover in self.folder.glob(f".*{atomic.TEMPORARY}") if alone else ():
                atomic.remove(leftover)  # of a writer that was killed; nobody else writes here
            yield

    def discard(self) -> None:
        """Forget a damaged result: the run starts over, or goes on from its checkpoint."""
        atomic.make_room(self.folder / record.RECORD)
        atomic.remove(self.folder / record.RECORD)

    def finish(
        self,
        rows: list[list[str]],
        arrays: dict[str, np.ndarray] | None,
        said: dict[str, Any],
    ) -> None:
        """File the result, of which run.json says what is `said`, and drop the checkpoint."""
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
        files = {record.METRICS: table.getvalue().encode()}
        if arrays is not None:
            buffer = io.BytesIO()
            np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
            files[record.ARRAYS] = buffer.getvalue()
        record.write(self.folder, said, files)
        atomic.remove(self.checkpoint)

    def materialise(self, out: Path, address: dict[str, Any]) -> None:
        """Copy the result to the folder `out`.

        `address` replaces what run.json says of who asked: the entry may have been trained
        for another cell of the same content.
        """
        found = self.result()
        assert found, f"{self.folder} has no result"
        record.write(out, {**found.record, **address}, found.files)
