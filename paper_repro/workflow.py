"""What the Snakefile asks of the package: configuration, cells, and the source files of a job.

A mistake ends Snakemake with its one line: whatever exception it is given from a Snakefile,
Snakemake prints with forty lines of its own frames.
"""

from __future__ import annotations

import functools
import hashlib
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from paper_repro import config as configuration
from paper_repro import grid, record, registry, run_inputs
from paper_repro.cell import Cell
from paper_repro.data import search
from paper_repro.data.names import DATASETS, memory_mib
from paper_repro.errors import UserError
from paper_repro.training import identity

P = ParamSpec("P")
T = TypeVar("T")


def _in_one_line(function: Callable[P, T]) -> Callable[P, T]:
    """The function, which ends the process with status 2 at a mistake of the user."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except UserError as error:
            print(f"paper_repro: {error}", file=sys.stderr)
            sys.exit(2)

    return wrapped


tier_of = _in_one_line(configuration.tier_of)
check_device = _in_one_line(configuration.check_device)


@_in_one_line
def check_place(folder: str) -> None:
    """UserError where Snakemake would take a part of the clone's own path for a wildcard."""
    if {"{", "}"} & set(folder):
        raise UserError(f"{folder}: Snakemake reads {{...}} as a wildcard; rename the folder")


@_in_one_line
def load_cells(config: dict[str, Any], *, claims: bool) -> dict[tuple[str, str], Cell]:
    """Check `config` in place, with the studies' `claims`; the cells of its tier by (study, cell),
    none for ``published``."""
    configuration.check(config, claims=claims)
    if config["tier"] == "published":
        return {}
    return {
        (study, cell.id): cell
        for study in config["studies"]
        for cell in grid.expand(study, config["tier"], config["seeds"])
    }


@_in_one_line
def require_data(cells: Iterable[Cell], config: dict[str, Any]) -> None:
    """UserError where a data set of cells that are to be trained cannot be had."""
    if runs := sorted({tuple(cell.datasets) for cell in cells}):
        _require(tuple(runs), config["data_dir"], config["download"])


_require = functools.cache(search.check)  # many jobs ask for the same sets


def training_jobs(
    cells: Iterable[tuple[str, str]], cells_per_job: int, runs: str
) -> dict[str, list[str]]:
    """Rules that train, by name, each with the folders below `runs` that one job of it makes.

    One cell a job: the single rule ``train``, with wildcards. More: a rule for every job, which
    holds at most `cells_per_job` cells of one study, neighbours in the grid, in its order.
    """
    if cells_per_job == 1:
        return {"train": [f"{runs}/{{study}}/{{cell}}"]}
    found = {}
    for study, own in groupby(cells, key=lambda key: key[0]):
        folders = [f"{runs}/{study}/{cell}" for _, cell in own]
        count = math.ceil(len(folders) / cells_per_job)
        cuts = [round(len(folders) * i / count) for i in range(count + 1)]
        for i, (start, end) in enumerate(pairwise(cuts), 1):
            found[f"train_{study}_{i}"] = folders[start:end]
    return found


def cell_of(folder: str) -> tuple[str, str]:
    """Study and id of the cell whose runs lie in `folder`."""
    return Path(folder).parent.name, Path(folder).name


def local(path: Path | str) -> str:
    """A file of the package relative to the working directory, where it lies in it."""
    path, here = Path(path), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def sources(*paths: str) -> list[str]:
    """Files of the package that a job reads, so that an edit re-runs it and nothing else."""
    return [local(file) for file in registry.closure([registry.PACKAGE / p for p in paths])]


def samples(study: str) -> list[str]:
    """Files that make the samples of a study's claims, if it has any."""
    file = f"studies/{study}/samples.py"
    return sources(file) if (registry.PACKAGE / file).is_file() else []


def cell_sources(cells: Iterable[Cell]) -> list[str]:
    """Files that can change the numbers of one of the cells."""
    return sorted({local(file) for cell in cells for file in grid.sources(cell)})


def entries(cell: Cell) -> list[dict[str, Any]]:
    """What the table of data sets says of those of a cell, but for the words."""
    found = [DATASETS[name] for name in cell.datasets]
    return [{key: value for key, value in entry.items() if key != "line"} for entry in found]


def content(files: Iterable[Path | str]) -> str:
    """SHA-256 of what is in the files: as a parameter of a rule it re-runs a job whose sources were
    changed and kept an old date (rsync, an unpacked archive), of which Snakemake sees nothing."""
    return hashlib.sha256("".join(map(_content, files)).encode()).hexdigest()


@functools.cache  # many jobs have most of their sources in common
def _content(file: Path | str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def source_runs(cells: Iterable[Cell], runs: str) -> list[str]:
    """Folders, below `runs`, of the runs that hand a number to those of a job's `cells`, but for
    the job's own: there the source has its turn first, as in the grid."""
    cells = list(cells)
    wanted = {(cell.study, source) for cell in cells if (source := run_inputs.source_cell(cell))}
    return sorted(
        f"{runs}/{study}/{id}" for study, id in wanted - {(cell.study, cell.id) for cell in cells}
    )


def damaged(folder: str, cell: Cell) -> str:
    """What is wrong with the copies of a cell's runs in its folder: one is damaged, another run's,
    or gone although it was made, or its seeds differ in code or data. "" if nothing, or if the cell
    has not run.

    Snakemake sees that a folder is there, not what is in it; the job fills it from the run store.
    """
    wrong, runs = copies(folder)
    mixed = record.mixed([runs[seed] for seed in cell.seeds if seed in runs])
    return wrong or (f"{folder}: {mixed}" if mixed else "")


def outdated(folder: str, cell: Cell) -> bool:
    """Whether runs of a cell lie in its folder, but not those of all its seeds by today's code:
    some were perhaps trained by hand."""
    _, runs = copies(folder)
    code = _source_hash(tuple(grid.sources(cell)))
    found = [runs[seed]["sources"] if seed in runs else "" for seed in cell.seeds]
    return Path(folder).is_dir() and any(hash != code for hash in found)


@functools.cache  # Snakemake asks again and again
def copies(folder: str) -> tuple[str, dict[int, Mapping[str, Any]]]:
    """The first fault of the copies in a cell's folder, and what the whole ones' run.json say, by
    seed."""
    runs: dict[int, Mapping[str, Any]] = {}
    if not Path(folder).is_dir():
        return "", runs
    made: set[int] = set()  # seeds that the copies found were made with
    for path in sorted(p for p in Path(folder).glob("seed*") if p.name[4:].isdigit()):
        try:
            run = record.read(path)
        except record.Damaged as damage:
            return str(damage), runs
        if run:
            if record.misplaced(run.record, *cell_of(folder), path.name):
                return f"{path} is of another run", runs
            made |= set(run.record["cell"]["seeds"])
            runs[run.record["seed"]] = run.record
    lost = sorted(made - runs.keys()) if runs else [0]
    return (f"{folder}/seed{lost[0]} is not there" if lost else ""), runs


_source_hash = functools.cache(identity.source_hash)


def figures(study: str, root: str) -> list[str]:
    """Files of a study's figures below figures/<tier>: the keys of FIGURES in its module."""
    names = registry.keys(registry.STUDIES / study / "figures.py", "FIGURES")
    stems = [registry.drawing(study, name) for name in names]
    return [f"{root}/{stem}.{kind}" for stem in stems for kind in ("pdf", "png")]


def tables(study: str, root: str) -> list[str]:
    """Files of a study's tables below results/<tier>: the keys of TABLES in its module."""
    names = registry.keys(registry.STUDIES / study / "tables.py", "TABLES")
    stems = [registry.product(study, name) for name in names]
    return [f"{root}/tables/{stem}.{kind}" for stem in stems for kind in ("csv", "md", "tex")]


def data_options(config: dict[str, Any]) -> list[str]:
    """What a job is told about where the real data sets lie."""
    folder = [f"--data-dir={config['data_dir']}"] if config["data_dir"] else []
    return folder + ([] if config["download"] else ["--no-download"])


def gpus(device: str, cluster: bool) -> int:
    """How many GPUs a training job asks for.

    ``auto`` asks for one where this machine has one. On a cluster this machine says nothing about
    the others, so it asks for one there: a job refused is better than one on a CPU unawares.
    """
    if device == "auto":
        return int(cluster or Path("/dev/nvidia0").exists())
    return int(device == "cuda")


def memory_mb(cells: Iterable[Cell], attempt: int) -> int:
    """Memory in MB that a job with these cells asks for, half as much again at every new attempt.

    Beside the images the largest process of the published runs held 0.8 GB with embedded data and
    4.2 GB with real ones; reading takes half of the images' memory as well.
    """
    most = 0
    for cell in cells:
        real = [name for name in cell.datasets if DATASETS[name]["folder"]]
        images = sum(map(memory_mib, real)) * 2**20 / 1e6
        most = max(most, int((5000 if real else 1500) + 1.5 * images))
    return int(most * 1.5 ** (attempt - 1))


def minutes(tier: str, attempt: int) -> int:
    """Time limit of a training job, chosen by hand, longer at every new attempt. A job that is cut
    short goes on from its checkpoints."""
    return {"smoke": 20, "quick": 60, "reduced": 120, "paper": 240}[tier] * attempt
