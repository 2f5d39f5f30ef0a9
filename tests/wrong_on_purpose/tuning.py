"""Mistakes in choosing learning rates and in timing who is first: what would flatter a method."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from paper_repro.claims.time_to_target import to_target
from paper_repro.claims.tuning import chosen
from paper_repro.results.frames import Results
from paper_repro.rows import Row
from tests.results.made_runs import cell, results
from tests.wrong_on_purpose.case import Case

# By validation 0.1 is best for both; on test data 0.3 is; at 1.0 one run of `path` diverged whose
# siblings are the best of all.
VALIDATION = {0.1: -4.0, 0.3: -5.0, 1.0: -9.0}
TEST = {0.1: -7.0, 0.3: -3.0, 1.0: -9.0}


def _tried() -> Results:
    cells = [cell(estimator=e, lr=lr) for e in ("total", "path") for lr in VALIDATION]

    def make(one: Any, seed: int) -> Any:
        rate, fails = one.params["lr"], one.params["lr"] == 1 and one.params["estimator"] == "path"
        if fails and seed == 2:
            return "diverged"
        scores = {"validation": VALIDATION[rate] + 8 * fails, "test": TEST[rate] + 8 * fails}
        return [Row("elbo", value, "nats/image", split=split) for split, value in scores.items()]

    with tempfile.TemporaryDirectory() as folder:
        return results(Path(folder), cells, make)


def _peeking(found: Results, *where: str, **options: Any) -> pd.DataFrame:
    other = {"test": "validation", "validation": "test"}
    swapped = found.metrics.assign(split=found.metrics["split"].replace(other))
    return chosen(replace(found, metrics=swapped), *where, **options)


def _survivors_alone(found: Results, *where: str, **options: Any) -> pd.DataFrame:
    return chosen(replace(found, runs=found.runs[found.runs["status"] == "ok"]), *where, **options)


def _siblings_dropped(found: Results, *where: str, **options: Any) -> pd.DataFrame:
    picked = chosen(found, *where, **options)
    return picked[picked["lost"].map(len) == 0]


def _chooses_wrongly(choose: Any) -> bool:
    options = {"metric": "elbo", "filters": {"split": "validation"}, "best": "highest"}
    picked = choose(_tried(), "made", "fit", over="lr", **options)
    return set(picked["cell"]) != {"fit-total-0.1", "fit-path-0.1"}


def _never_is_left_out(*given: Any) -> pd.DataFrame:
    found = to_target(*given)
    return found[found["step"] < math.inf]


def _end_only(found: Results, *given: Any) -> pd.DataFrame:
    return to_target(replace(found, curves=found.curves.iloc[:0]), *given)


def _times_wrongly(time: Any) -> bool:
    """Of two runs that are at -4 after a third and end at -2, one is to reach -4, one -1."""

    def make(*_: Any) -> list[Row]:
        early = Row("elbo", -4.0, "nats/image", step=30, kind="curve")
        return [early, Row("elbo", -2.0, "nats/image", step=100)]

    with tempfile.TemporaryDirectory() as folder:
        found = results(Path(folder), [cell(seeds=2)], make)
    finals = found.finals("made", "fit", "elbo")
    return bool(time(found, finals, [-4.0, -1.0], "higher")["progress"].tolist() != [0.3, math.inf])


CASES = [
    Case("tuning on the test split", chosen, _peeking, _chooses_wrongly),
    Case("tuning on the runs that survived", chosen, _survivors_alone, _chooses_wrongly),
    Case("tuning that drops a failure's siblings", chosen, _siblings_dropped, _chooses_wrongly),
    Case("a target never reached is left out", to_target, _never_is_left_out, _times_wrongly),
    Case("a target is looked for at the end alone", to_target, _end_only, _times_wrongly),
]
