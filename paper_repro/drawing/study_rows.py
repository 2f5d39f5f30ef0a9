"""Rows of one study, as its figures and tables ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paper_repro import registry
from paper_repro.claims import reported
from paper_repro.claims.filters import matches, pick
from paper_repro.claims.selection import COMMON
from paper_repro.data.names import holds_vectors, shown
from paper_repro.results.frames import Results

RUN = ["cell", "seed"]


@dataclass(frozen=True)
class StudyRows:
    """The rows of `study` among the results of a tier. `where` are filters of columns (`filters`):
    settings, coordinates, splits."""

    results: Results
    study: str

    def finals(self, *experiments: str, metric: str | None = None, **where: Any) -> pd.DataFrame:
        """Final rows of the runs that ended well (`Results.finals`)."""
        found = [self.results.finals(self.study, name, metric) for name in experiments]
        return _kept(found, where)

    def curves(self, *experiments: str, metric: str, **where: Any) -> pd.DataFrame:
        """Training curves of the runs that ended well."""
        found = [self.results.ended(self.study, name, metric, "curve") for name in experiments]
        return _kept(found, {"split": "train", **where})

    def lost(self, *experiments: str, **where: Any) -> pd.DataFrame:
        """Runs planned that left no numbers, a row each."""
        return _kept([self.results.unfinished(self.study, name) for name in experiments], where)

    def with_lost(self, *experiments: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Final rows of experiments, and the runs that left none."""
        return self.finals(*experiments), self.lost(*experiments)

    def arrays(self, rows: pd.DataFrame, name: str = "") -> dict[str, NDArray[Any]]:
        """Arrays of the first run of `rows`, by seed, that saved some, or that of `name`; empty
        where none did."""
        runs = rows[RUN].drop_duplicates().sort_values(["seed", "cell"])
        for cell, seed in runs.itertuples(index=False):
            saved = self.results.arrays(self.study, cell, int(seed))
            if saved and (not name or name in saved):
                return saved
        return {}

    def pictures(self, rows: pd.DataFrame, name: str, most: int | None = None) -> NDArray[np.uint8]:
        """Pictures [n, C, H, W] of the first run of `rows` that saved some of that name, `most` at
        most; n = 0 where none did."""
        nothing = np.empty((0, 1, 1, 1), dtype=np.uint8)
        return np.asarray(self.arrays(rows, name).get(name, nothing), dtype=np.uint8)[:most]


class Setting(NamedTuple):
    """A data set and the model trained on it, under the name that readers see."""

    dataset: str
    model: str

    def __str__(self) -> str:
        name = shown(self.dataset)
        return name if holds_vectors(self.dataset) else f"{name}, {self.model}"


def settings(
    *frames: pd.DataFrame, datasets: Sequence[str], models: Sequence[str] = ()
) -> list[Setting]:
    """The settings of rows or lost runs (columns `dataset` and `shown_model`): by model, then by
    data set, in the orders given, others last."""
    pairs = [frame[["dataset", "shown_model"]] for frame in frames]
    found = {Setting(*pair) for frame in pairs for pair in frame.itertuples(index=False)}
    return sorted(found, key=lambda s: (_place(models, s.model), _place(datasets, s.dataset), s))


def of(frame: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Rows of a setting."""
    return pick(frame, dataset=setting.dataset, shown_model=setting.model)


def reported_numbers(study: str, **where: Any) -> pd.DataFrame:
    """Numbers that the paper or others report, with who does as `by`."""
    frame = reported.frame(registry.STUDIES / study / "reported.csv", study)
    return pick(frame.assign(by=[name.partition("-")[0] for name in frame["id"]]), **where)


def paired(rows: pd.DataFrame, other: pd.DataFrame, *more: str) -> tuple[pd.Series, pd.Series]:
    """Values of runs that are pairs (`selection.COMMON`, and columns `more`), indexed by what they
    share; runs without a partner are left out."""
    keys = [*COMMON, *more]
    mine, theirs = (side.set_index(keys)["value"] for side in (rows, other))
    mine, theirs = mine.align(theirs)
    both = mine.notna() & theirs.notna()
    return mine[both], theirs[both]


def _kept(frames: Sequence[pd.DataFrame], where: dict[str, Any]) -> pd.DataFrame:
    rows = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    return rows[matches(rows, where)] if where else rows


def _place(order: Sequence[str], name: str) -> int:
    return order.index(name) if name in order else len(order)
