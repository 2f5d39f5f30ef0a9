"""Carrying rows between machines: export a tier's results, import them into the published ones.

A cell stands in results/published once, at the highest tier that anyone ran: ``paper`` rows
replace ``reduced`` rows of the same cell, all of them, since a mean over two schedules means
nothing. Within a tier, runs of several machines are joined seed by seed and the newer import wins
a seed, unless settings or data differ: then it replaces the whole cell. Runs that are missing
never replace runs that ended. ``quick`` and ``smoke`` train on embedded data and are refused.
Pictures are kept of a cell's first seed alone: no figure shows another's, and they are most of
what is shipped. Every study has a folder of its own, and an import writes those alone whose rows it
changes.
"""

from __future__ import annotations

import dataclasses
import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from paper_repro.errors import UserError
from paper_repro.results import archive, csvfile, plausible, registrations, sound, staged, sums
from paper_repro.results.csvfile import Readable, Record
from paper_repro.results.files import (
    COLUMNS,
    MISSING,
    NAMES,
    RANK,
    STUDIES,
    RunKey,
    Tables,
    array_path,
    arrays_of,
    load_arrays,
    parts,
    paths,
    read_tables,
)

PER_RUN = ("metrics", "curves", "runs")


@dataclass(frozen=True)
class _Run:
    """All rows of one run, by table, and its arrays if it has some."""

    rows: dict[str, list[Record]]
    arrays: Readable | None

    def get(self, column: str) -> str:
        """A column of its row of runs.csv."""
        return self.rows["runs"][0][COLUMNS["runs"].index(column)]

    def numbers(self) -> list[Record]:
        """Its rows without the columns that say where and when they were made."""
        keep = [i for i, name in enumerate(COLUMNS["metrics"]) if name not in ("run_id", "torch")]
        rows = self.rows["metrics"] + self.rows["curves"]
        return [tuple(row[i] for i in keep) for row in rows]


@dataclass(frozen=True)
class _Cell:
    """One cell: its row of cells.csv, its runs by seed, its costs by device."""

    address: Record
    runs: dict[str, _Run] = field(default_factory=dict)
    costs: dict[str, Record] = field(default_factory=dict)

    @property
    def tier(self) -> str:
        return self.address[COLUMNS["cells"].index("tier")]

    @property
    def finished(self) -> dict[str, _Run]:
        """Runs that ended, well or diverged."""
        return {seed: run for seed, run in self.runs.items() if run.get("status") != MISSING}

    @property
    def fingerprints(self) -> set[str]:
        return {run.get("fingerprint") for run in self.finished.values()}


def import_results(source: Path, published: Path) -> list[str]:
    """Merge an exported zip (or a folder of tables) into `published`.

    Returns a line per cell that changed or was refused, saying what was done and why. UserError,
    and `published` as it was, if `source` is damaged or no export, or holds rows of a tier that is
    never published.
    """
    with ExitStack() as stack:
        root: Readable = source
        if source.is_dir():
            names = paths(source)
        else:
            root, names = stack.enter_context(archive.opened(source))
        tables = _tables(root, names)
        incoming = _cells(tables, root)
        _check_tiers(incoming, source)
        stack.enter_context(staged.held(published))
        mended = staged.settle(published)
        report = ["finished an import that had been interrupted"] if mended else []
        plausible.check(tables, root, _latest(published))
        content = {}
        for study in sorted({study for study, _ in incoming}):
            home = published / STUDIES / study
            there = paths(home) or (home / sums.NAME).is_file()
            known = sound.read(home, study) if there else {table: [] for table in COLUMNS}
            cells = _cells(known, home)
            _check_tiers(cells, home)
            for key, cell in sorted(incoming.items()):
                if key[0] == study:
                    cells[key], done = merge_cell(cells.get(key), cell)
                    report += [f"{'/'.join(key)}: {done}"] if done else []
            _check_settings(cells, source)
            part = _part(cells, known["registrations"] + tables["registrations"])
            if part[0] != known:
                content[f"{STUDIES}/{study}"] = part
        if content:
            staged.replace(content, published)
    return report


def _check_tiers(cells: dict[tuple[str, str], _Cell], where: Path) -> None:
    for cell in cells.values():
        if cell.tier not in RANK:
            raise UserError(
                f"{where}: rows of tier {cell.tier!r} are not published; "
                f"only {' and '.join(RANK)} train on real data"
            )


def _check_settings(cells: dict[tuple[str, str], _Cell], source: Path) -> None:
    """UserError for two cells of an experiment that compute the same, as a grid has none."""
    found: dict[tuple[str, str, str], str] = {}
    for _, experiment, id, _, task, params in (cell.address for cell in cells.values()):
        settings = (experiment, task, json.dumps(json.loads(params), sort_keys=True))
        if (same := found.setdefault(settings, id)) != id:
            raise UserError(
                f"{source}: cell {id} would have the very settings of {same}, under a second name"
            )


def _latest(published: Path) -> str:
    """When the last of the published runs finished. UserError where tables of several studies lie
    joined: whoever reads the folder would find those, and not what is imported."""
    studies = parts(published)
    if studies == [published] and paths(published):
        raise UserError(
            f"{published}: holds joined tables; an import writes {STUDIES}/<study>: delete them"
        )
    at, runs = COLUMNS["runs"].index("finished"), NAMES["runs"]
    there = (study / runs for study in studies if (study / runs).is_file())
    return max((row[at] for path in there for row in csvfile.read(path)[1:]), default="")


def merge_cell(old: _Cell | None, new: _Cell) -> tuple[_Cell, str]:
    """The cell to publish, and in words what was done ("" for nothing)."""
    mine = f"{new.tier} ({len(new.finished)} runs)"
    if old is None:
        return new, f"{mine} added"
    theirs = f"{old.tier} ({len(old.finished)} runs)"
    if not new.finished:
        return old, ""
    if not old.finished or RANK[new.tier] > RANK[old.tier]:
        return new, f"{mine} replaces {theirs}"
    if RANK[new.tier] < RANK[old.tier]:
        return old, f"{mine} ignored: {theirs} is there"
    if old.address != new.address:
        return new, f"CONFLICT: {mine} replaces {theirs}, trained with other settings"
    if old.fingerprints != new.fingerprints:
        return new, f"CONFLICT: {mine} replaces {theirs}, trained on other data"
    return _join(old, new)


def _join(old: _Cell, new: _Cell) -> tuple[_Cell, str]:
    """One cell of both machines' runs; of two runs of a seed the newer import counts."""
    before, after = old.finished, new.finished
    added = [seed for seed in after if seed not in before]
    changed = [s for s in after if s in before and after[s].numbers() != before[s].numbers()]
    runs = {**old.runs, **new.runs, **before, **after}
    devices = {run.get("device_name") for run in runs.values()}
    costs = {d: row for d, row in {**old.costs, **new.costs}.items() if d in devices}
    done = [f"{new.tier} seeds {' '.join(added)} added"] if added else []
    if changed:
        done.append(f"CONFLICT: seeds {' '.join(changed)} replaced by runs with other numbers")
    return dataclasses.replace(new, runs=runs, costs=costs), "; ".join(done)


def _tables(root: Readable, names: list[str]) -> Tables:
    """The tables of `root`, which holds the files `names`. Where it lists no hashes, what its rows
    say goes first."""
    if listed := (root / sums.NAME).is_file():
        sound.verify(root, names)
    tables = read_tables(root)
    sound.check(tables, root)
    arrays = arrays_of(root, tables)
    owned = {array_path(Path(), key).as_posix() for key in arrays}
    for name in names:
        if name.endswith(".npz") and name not in owned:
            raise UserError(f"{root / name}: belongs to no run in runs.csv")
    for path in arrays.values():
        load_arrays(path)
    if not listed:
        raise UserError(
            f"{root / sums.NAME}: not there, so nothing tells whether the rows are as they were "
            "written; export them again where they were made"
        )
    return tables


def _cells(tables: Tables, root: Readable) -> dict[tuple[str, str], _Cell]:
    """Cells of a folder of tables by study and id."""
    arrays = arrays_of(root, tables)
    cells: dict[tuple[str, str], _Cell] = {}
    for row in tables["cells"]:
        cells[_key("cells", row)] = _Cell(row)
    for table in PER_RUN:
        seed_at = COLUMNS[table].index("seed")
        for row in tables[table]:
            key, seed = _key(table, row), row[seed_at]
            runs = cells[key].runs
            if seed not in runs:
                runs[seed] = _Run({name: [] for name in PER_RUN}, arrays.get((*key, seed)))
            runs[seed].rows[table].append(row)
    device_at = COLUMNS["costs"].index("device_name")
    for row in tables["costs"]:
        cells[_key("costs", row)].costs[row[device_at]] = row
    return cells


def _part(cells: dict[tuple[str, str], _Cell], registered: list[Record]) -> staged.Part:
    """The tables and arrays of these cells; the lines `registered` have what their runs carry."""
    tables: Tables = {table: [] for table in COLUMNS}
    tables["registrations"] = registered
    arrays: dict[RunKey, Readable] = {}
    for cell in sorted(cells.values(), key=lambda cell: cell.address[:3]):
        tables["cells"].append(cell.address)
        tables["costs"] += [row for _, row in sorted(cell.costs.items())]
        by_seed = sorted(cell.runs.items(), key=lambda pair: int(pair[0]))
        first = next((seed for seed, run in by_seed if run.arrays), None)
        for seed, run in by_seed:
            for table in PER_RUN:
                tables[table] += run.rows[table]
            if run.arrays is not None and (seed == first or not _pictures(run.arrays)):
                arrays[*_key("cells", cell.address), seed] = run.arrays
    tables["registrations"] = registrations.used(tables)
    return tables, arrays


def _pictures(path: Readable) -> bool:
    """Whether all that a run saved is pictures, uint8 [n, C, H, W]."""
    return all(a.dtype == np.uint8 and a.ndim == 4 for a in load_arrays(path).values())


def _key(table: str, row: Record) -> tuple[str, str]:
    columns = COLUMNS[table]
    return row[columns.index("study")], row[columns.index("cell")]
