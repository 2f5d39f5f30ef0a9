"""Made-up runs, written as training writes them and collected as the workflow collects them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import yaml

from paper_repro import record
from paper_repro.cell import Cell
from paper_repro.claims.verdicts import evaluate
from paper_repro.results.collect import ROW_COLUMNS, collect
from paper_repro.results.files import csv_text
from paper_repro.results.frames import Results, load
from paper_repro.rows import Row

SELECT = {"experiment": "fit", "metric": "kl", "estimator": "path"}
FACT = {"name": "check", "kind": "fact", "select": SELECT, "of": 1, "rule": {"below": 0.5}}
ALONE = {"name": "check", "kind": "finding", "select": SELECT, "statistic": "mean"}
PAIRED = {**ALONE, "versus": {"estimator": "total"}, "pairing": "difference"}
MEAN = {**PAIRED, "rule": {"below": 0}}
ALL = {**MEAN, "units": ["dataset"], "statistic": "all"}
AT_LEAST = {**ALL, "statistic": "at_least", "rule": {"below": 0, "at_least": 1}}
COUNT = {**MEAN, "statistic": "count", "rule": {"below": 0, "share": 0.5}}

Make = Callable[[Cell, int], Iterable[Row]]


def noise(*key: object) -> float:
    """A standard normal number that depends on the key alone: common random numbers. By a hash,
    which costs a fortieth of a generator."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return NormalDist().inv_cdf((int.from_bytes(digest) + 0.5) / 2**64)


def cell(
    experiment: str = "fit",
    name: str = "",
    *,
    tier: str = "paper",
    seeds: int = 3,
    study: str = "made",
    task: str = "task",
    **params: Any,
) -> Cell:
    """A cell; its id is made of the experiment and its texts and numbers unless `name` is given."""
    full = {"dataset": "", "model": "", "estimator": "", "objective": "", "steps": 100} | params
    shown = [str(value) for key, value in params.items() if key not in ("marks", "curve_points")]
    label = name or "-".join([experiment, *shown])
    return Cell(study, experiment, label, tier, task, full, tuple(range(seeds)))


def write_run(
    root: Path,
    cell: Cell,
    seed: int,
    rows: Iterable[Row],
    status: str = "ok",
    arrays: Mapping[str, np.ndarray] | None = None,
    **changed: Any,
) -> Path:
    """One run's folder, with the fields of a real one."""
    made = made_run(cell, seed, rows, status, arrays, **changed)
    folder = folder_of(root, cell, seed)
    record.write(folder, made.record, made.files)
    return folder


def folder_of(root: Path, cell: Cell, seed: int) -> Path:
    return root / cell.study / cell.id / f"seed{seed}"


def made_run(
    cell: Cell,
    seed: int,
    rows: Iterable[Row],
    status: str = "ok",
    arrays: Mapping[str, np.ndarray] | None = None,
    **changed: Any,
) -> record.Run:
    """What the folder of a run holds."""
    steps = int(cell.params.get("steps", 0))
    said = {
        "run_id": f"{cell.digest()[:8]}{seed:08x}",
        "status": status,
        "cell": json.loads(cell.as_json()),
        "seed": seed,
        "sources": "c0de",
        "fingerprint": "0123456789abcdef" if cell.params.get("dataset") else "",
        "device": "cpu",
        "device_name": "a cpu",
        "python": "3.12.1",
        "torch": "2.11.0",
        "commit": "abc",
        "steps": steps,
        "seconds": 2.0,
        "evaluation_seconds": 0.5,
        "steps_per_second": 50.0,
        "peak_memory_mib": 100.0 + seed,
        "flops": 10 * steps,
        "started": "2026-01-02T03:04:05+00:00",
        "finished": "2026-01-02T03:04:08+00:00",
        **changed,
    }
    lines = [
        (r.split, steps if r.step == -1 else r.step, r.metric, repr(float(r.value)), r.unit)
        + (r.at, r.estimator, r.kind, "ok")
        for r in rows
    ]
    if status == "diverged":
        lines.append(("train", 7, "loss", "nan", "1", "", "", "final", "diverged"))
    text = csv_text(ROW_COLUMNS, [tuple(map(str, line)) for line in lines])
    files = {record.METRICS: text.encode()}
    if arrays is not None:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        files[record.ARRAYS] = buffer.getvalue()
    return record.Run(said, files)


def collected(
    root: Path, cells: Iterable[Cell], runs: Iterable[tuple[Cell, int, record.Run]], tier: str
) -> Results:
    """Results of runs that `collect` is handed as if it had read their folders: of thousands of
    files only arrays are written."""
    found = {folder_of(root, cell, seed): run for cell, seed, run in runs}
    for folder, run in found.items():
        if record.ARRAYS in run.files:
            folder.mkdir(parents=True)
            (folder / record.ARRAYS).write_bytes(run.files[record.ARRAYS])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "read", found.get)
        collect(list(cells), root, root / "out", tier)
    return load(root / "out")


def results(root: Path, cells: Iterable[Cell], make: Make, tier: str = "paper") -> Results:
    """Results of `cells` whose runs have the rows ``make(cell, seed)``; a run for which `make`
    returns None is left missing, one for which it returns "diverged" has diverged."""
    cells = list(cells)
    runs = [
        (one, seed, made_run(one, seed, rows) if rows != "diverged" else diverged(one, seed))
        for one in cells
        for seed in one.seeds
        if (rows := make(one, seed)) is not None
    ]
    return collected(root, cells, runs, tier)


def diverged(cell: Cell, seed: int) -> record.Run:
    return made_run(cell, seed, (), "diverged")


def claims(
    folder: Path,
    *checks: Any,
    coordinates: Iterable[str] = ("k", "a"),
    reported: str = "",
    deviations: Any = None,
) -> Path:
    """A folder with a claims.yaml of one claim per check, or per list of checks; a mapping that
    holds `checks` is a claim with keys of its own."""
    folder.mkdir(exist_ok=True, parents=True)
    prose = {"statement": "It holds.", "source": "us", "by": "ours", "figure": "fig"}
    listed = [{"id": f"made-A{i}", **prose, **_claim(one)} for i, one in enumerate(checks, 1)]
    text = {"study": "made", "coordinates": list(coordinates), "claims": listed}
    if deviations:
        text["deviations"] = deviations
    (folder / "claims.yaml").write_text(yaml.safe_dump(text, sort_keys=False))
    if reported:
        (folder / "reported.csv").write_text(reported)
    return folder


def _claim(one: Any) -> Mapping[str, Any]:
    if isinstance(one, Mapping) and "checks" in one:
        return one
    return {"checks": one if isinstance(one, list) else [one]}


def judged(found: Results, folder: Path) -> dict[str, dict[str, Any]]:
    """Rows of claims.csv by name: "made-A1" of a claim, "made-A1.check" of a check."""
    rows = evaluate(found, "made", folder).to_dict("records")
    return {".".join(filter(None, [row["claim"], row["check"]])): row for row in rows}


def verdict(found: Results, place: Path, check: Any, **options: Any) -> dict[str, Any]:
    """The row of the only claim, which is judged by one check or by a list of them."""
    return judged(found, claims(place / "study", check, **options))["made-A1"]


def without(found: Results, table: str, lost: Any) -> Results:
    """Results that lack the rows of a table for which `lost` is true; its cells and runs stay
    planned."""
    frame = getattr(found, table)
    return replace(found, **{table: frame[~np.asarray(lost, bool)]})


def curve(
    metric: str, values: Iterable[float], every: int, steps: int = 100, **where: Any
) -> list[Row]:
    """A training curve as the loop records it: a point every so many steps and at the end. The
    cell says `curve_points`, steps / every."""
    return [
        Row(metric, value, "1", step=min(every * (i + 1), steps), kind="curve", **where)
        for i, value in enumerate(values)
    ]
