"""The suite in a notebook: the rows of a tier as data frames, and one VAE trained from named parts.

Both are reached as ``paper_repro.load`` and so on; importing ``paper_repro`` loads neither pandas
nor torch.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from paper_repro import fits, grid, parameters, record, registry
from paper_repro.cell import Cell
from paper_repro.errors import UserError, unknown

if TYPE_CHECKING:
    import numpy as np
    from pandas import DataFrame

    from paper_repro.training.problem import Problem


class Tables(NamedTuple):
    """The tables of a tier. `metrics` has a row per final number, `curves` per point of a training
    curve, `claims` per claim and per check of it, `runs` per run, `cells` and `costs` per cell."""

    metrics: DataFrame
    curves: DataFrame
    claims: DataFrame
    runs: DataFrame
    cells: DataFrame
    costs: DataFrame


class Trained(NamedTuple):
    """What a run left: its final numbers, its training curves, its arrays (pictures, if asked for)
    and what was said of it (status, seconds, versions)."""

    metrics: DataFrame
    curves: DataFrame
    arrays: dict[str, np.ndarray]
    record: dict[str, Any]


def load(tier: str = "published", root: str | Path = "results") -> Tables:
    """The tables in ``root/<tier>``; those shipped are found from anywhere.

    UserError where there are none, or where they are not what was written.

    >>> import paper_repro
    >>> tables = paper_repro.load("published")
    >>> sorted(set(tables.claims["verdict"]) & {"supported", "contradicted"})
    ['contradicted', 'supported']
    """
    import pandas as pd

    from paper_repro.results import frames as results

    folder = Path(root, tier)
    if tier == "published" and not folder.is_dir():
        folder = registry.PACKAGE.parent / "results" / tier
    if tier not in (known := [*grid.TIERS, "published"]):
        raise UserError(unknown("tier", tier, known))
    if not (folder / "claims.csv").is_file():
        raise UserError(f"{folder}: no tables of tier {tier}; run snakemake --config tier={tier}")
    found = results.load(folder)
    claims = pd.read_csv(folder / "claims.csv", keep_default_na=False)
    return Tables(found.metrics, found.curves, claims, found.runs, found.cells, found.costs)


def build(*, seed: int = 0, device: str = "cpu", threads: int = 1, **params: Any) -> Problem:
    """One VAE, ready to train: the parameters of task vae by name, the others at their defaults.

    A `Problem` has the initial weights, the loss, the batches and the evaluation as functions.
    UserError names the parameter that is wrong or does not fit the others.

    >>> import paper_repro
    >>> problem = paper_repro.build(
    ...     dataset="digits", likelihood="bernoulli", preprocessing="binarised", objective="elbo",
    ...     estimator="path", dim=4, sizes={"hidden": [16]}, steps=10)
    >>> problem.log_units["elbo"]
    'nats/image'
    """
    from paper_repro.training import provenance

    cell = _cell(params, seed)
    _data(cell)
    task = registry.load("tasks", cell.task)
    problem: Problem = task.build(cell, seed, provenance.prepare(device, _threads(threads)))
    return problem


def train(*, seed: int = 0, device: str = "auto", threads: int = 1, **params: Any) -> Trained:
    """Train one VAE and measure it; nothing is kept on the disk. Parameters as for `build`.

    >>> import paper_repro
    >>> run = paper_repro.train(
    ...     dataset="digits", likelihood="gaussian_gamma", objective="elbo", estimator="exact_kl",
    ...     dim=4, sizes={"hidden": [16]}, steps=20, test_images=50, train_images=50)
    >>> run.record["status"], "elbo" in set(run.metrics["metric"])
    ('ok', True)
    """
    import numpy as np
    import pandas as pd

    from paper_repro.training.run import train_cell

    cell = _cell(params, seed)
    _data(cell)
    with tempfile.TemporaryDirectory() as scratch:
        store, out = Path(scratch, "store"), Path(scratch, "out")
        train_cell(cell, store, out, device=device, threads=_threads(threads), sources=[], log=None)
        found = record.read(out / f"seed{seed}")
    assert found
    rows = pd.read_csv(io.BytesIO(found.files[record.METRICS]), keep_default_na=False)
    arrays = {}
    if record.ARRAYS in found.files:
        with np.load(io.BytesIO(found.files[record.ARRAYS])) as archive:
            arrays = dict(archive)
    final, curve = (rows[rows["kind"] == kind] for kind in ("final", "curve"))
    return Trained(final, curve, arrays, found.record)


def _cell(params: dict[str, Any], seed: int) -> Cell:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UserError(f"seed: {seed!r} is not a whole number from 0")
    complete = parameters.complete("", "vae", params, "vae")
    cell = Cell("notebook", "vae", "vae", "", "vae", complete, (seed,))
    fits.check_parts(cell, "vae")
    return cell


def _threads(threads: int) -> int:
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise UserError(f"threads: {threads!r} is not a whole number from 1")
    return threads


def _data(cell: Cell) -> None:
    """Find the data sets, which are downloaded where they can be."""
    from paper_repro.data import search

    search.point_to(cell.datasets, None, True)
