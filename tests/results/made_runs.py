"""Made-up runs, written as training writes them and collected as the workflow collects them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from paper_repro import record
from paper_repro.cell import Cell
from paper_repro.results.collect import ROW_COLUMNS, collect
from paper_repro.results.files import csv_text
from paper_repro.results.frames import Results, load
from paper_repro.rows import Row

SELECT = {"experiment": "fit", "metric": "kl", "estimator": "path"}
PAIRED = {"name": "check", "select": SELECT, "versus": {"estimator": "total"}}
MEAN = {**PAIRED, "pairing": "difference", "statistic": "mean", "rule": {"below": 0}}
EVERY = {**PAIRED, "pairing": "ratio", "statistic": "every", "rule": {"below": 0.1}}
COUNT = {**EVERY, "statistic": "count", "rule": {"below": 0.1, "at_least": 3, "of": 4}}

Make = Callable[[Cell, int], Iterable[Row]]


def noise(*key: object) -> float:
    """A standard normal number that depends on the key alone: common random numbers."""
    return float(np.random.default_rng(list(repr(key).encode())).normal())


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
    label = name or "-".join([experiment, *[str(v) for v in params.values()]])
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
    folder = root / cell.study / cell.id / f"seed{seed}"
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
    record.write(folder, said, files)
    return folder


def results(root: Path, cells: Iterable[Cell], make: Make, tier: str = "paper") -> Results:
    """Results of `cells` whose runs have the rows ``make(cell, seed)``; a run for which `make`
    returns None is left missing, one for which it returns "diverged" has diverged."""
    cells = list(cells)
    for one in cells:
        for seed in one.seeds:
            rows = make(one, seed)
            if rows is not None:
                status = "diverged" if rows == "diverged" else "ok"
                write_run(root / "runs", one, seed, () if status != "ok" else rows, status)
    collect(cells, root / "runs", root / "out", tier)
    return load(root / "out")


def claims(folder, *checks, coordinates=("k", "a"), reported=""):
    """A folder with a claims.yaml of one claim per check (or of one claim, for a list)."""
    folder.mkdir(exist_ok=True)
    listed = [
        {"id": f"A{i}", "statement": "It holds.", "source": "us", "by": "ours", "figure": "fig"}
        | {"checks": check if isinstance(check, list) else [check]}
        for i, check in enumerate(checks, 1)
    ]
    text = {"study": "made", "coordinates": list(coordinates), "claims": listed}
    (folder / "claims.yaml").write_text(yaml.safe_dump(text))
    if reported:
        (folder / "reported.csv").write_text(reported)
    return folder
