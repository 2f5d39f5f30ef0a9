"""From a study's grid.yaml to its cells, with every mistake named before anything trains.

A grid names experiments; an experiment names a task, fixed `params`, `axes` whose product makes
the cells, and `seeds`. `tiers` overrides any of the three for one tier; what is not overridden
is the paper's own scale. Nothing here imports torch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from paper_repro import naming, registry, run_inputs
from paper_repro.cell import Cell
from paper_repro.errors import UserError, nearest, quoted, unknown
from paper_repro.fits import check_parts, components
from paper_repro.parameters import complete
from paper_repro.schemas import check_schema, read_yaml, schema

TIERS = ("smoke", "quick", "reduced", "paper")
MOST = 20_000  # points of one experiment: a slip in an axis is found before memory ends


def study_names() -> list[str]:
    """Studies that have a grid, sorted by name: papers first, then what is `ours`."""
    return sorted(folders(), key=lambda name: bool(_grid(name).get("ours")))


def folders() -> list[str]:
    """Names of the studies, whose grids need not be right."""
    found = (path.parent for path in registry.STUDIES.glob("*/grid.yaml"))
    return sorted(folder.name for folder in found if registry.visible(folder))


@cache
def _grid(study: str) -> dict[str, Any]:
    if study not in (known := folders()):
        raise UserError(unknown("study", study, known))
    where = f"{study}/grid.yaml"
    naming.check_name(study, f"{where}: study")
    grid = read_yaml(registry.STUDIES / study / "grid.yaml")
    check_schema(grid, schema("grid"), where)
    if grid["study"] != study:
        raise UserError(f"{where}: study is {grid['study']!r}, its folder {study!r}")
    for name, experiment in grid["experiments"].items():
        naming.check_name(name, f"{where}: experiment")
        for tier, override in experiment.get("tiers", {}).items():
            for axis in override.get("axes", {}).keys() - experiment.get("axes", {}).keys():
                place = f"{where}: {name}.tiers.{tier}.axes: axis"
                raise UserError(unknown(place, axis, experiment.get("axes", {})))
    naming.check_distinct(grid["experiments"], f"{where}: experiments")
    return grid


def experiments(study: str) -> dict[str, Any]:
    """The experiments of a study as its grid has them, by name."""
    found: dict[str, Any] = _grid(study)["experiments"]
    return found


def at_tier(
    experiment: Mapping[str, Any], tier: str
) -> tuple[dict[str, Any], dict[str, list[Any]], range] | None:
    """Fixed parameters, axes and seeds of an experiment; None where the tier skips it. Seeds begin
    with `first_seed`, so that runs that are to confirm something use none that a pilot used."""
    override = experiment.get("tiers", {}).get(tier, {})
    if override.get("skip"):
        return None
    fixed = {**experiment.get("params", {}), **override.get("params", {})}
    axes = {**experiment.get("axes", {}), **override.get("axes", {})}
    first, many = (override.get(key, experiment.get(key, 0)) for key in ("first_seed", "seeds"))
    return fixed, axes, range(first, first + many)


def expand(study: str, tier: str, max_seeds: int | None = None) -> list[Cell]:
    """All cells of a study at a tier, checked, in grid order.

    `max_seeds` cuts the number of seeds of every cell. UserError names the first mistake.
    """
    if tier not in TIERS:
        raise UserError(unknown("tier", tier, TIERS))
    cells: dict[str, Cell] = {}
    axes_of: dict[str, frozenset[str]] = {}
    for name, experiment in experiments(study).items():
        if (scale := at_tier(experiment, tier)) is None:
            continue
        fixed, axes, seeds = scale
        own = experiment.get("tiers", {}).get(tier, {}).get("params", {})
        _check_overlaps(axes, own, f"{study}/grid.yaml: {name}", tier)
        seeds = seeds[:max_seeds] if max_seeds else seeds
        computed: dict[str, str] = {}
        if (points := math.prod(map(len, axes.values()))) > MOST:
            raise UserError(f"{study}/grid.yaml: {name}: {points:,} cells, at most {MOST:,}")
        for point in _product(axes):
            place = f"{study}/grid.yaml: {name}"
            label = naming.cell_id([name, *_labels(point)], place)
            where = f"{study}/grid.yaml: {label}"
            params = complete(study, experiment["task"], {**fixed, **point}, where)
            if may := registry.constant("tasks", experiment["task"], "RUN_INPUTS", study):
                earlier = ((made, axes_of[id]) for id, made in cells.items())
                params = run_inputs.resolve(params, may, earlier, where)
            cell = Cell(study, name, label, tier, experiment["task"], params, tuple(seeds))
            check_parts(cell, where)
            source = run_inputs.source_cell(cell)
            if source and (lost := sorted(set(seeds) - set(cells[source].seeds))):
                raise UserError(f"{where}: {source}, which it needs, has no seed {lost[0]}")
            if label in cells:
                raise UserError(f"{where}: two points of the grid have this name")
            if (same := computed.setdefault(cell.digest(), label)) != label:
                raise UserError(f"{where}: has the very settings of {same}; it would be run twice")
            cells[label], axes_of[label] = cell, frozenset(point)
    naming.check_distinct(cells, f"{study}/grid.yaml: cells")
    return list(cells.values())


def find(study: str, tier: str, ids: Iterable[str], max_seeds: int | None = None) -> list[Cell]:
    """The cells with these ids, in their order; UserError if the grid lacks one."""
    cells = {cell.id: cell for cell in expand(study, tier, max_seeds)}
    for name in (ids := list(ids)):
        if name not in cells:
            near = nearest(name, cells)
            hint = f"; did you mean {near!r}?" if near else ""
            raise UserError(
                f"cell: {quoted(name)} is not in {study}/grid.yaml at tier {tier}{hint} "
                f"(plan --study {study} --tier {tier} --cells lists them)"
            )
    return [cells[name] for name in ids]


def _product(axes: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Points of the product; an axis value that is a mapping sets several parameters at once."""
    for values in itertools.product(*axes.values()):
        point: dict[str, Any] = {}
        for name, value in zip(axes, values, strict=True):
            point.update(value if isinstance(value, dict) else {name: value})
        yield point


def _check_overlaps(
    axes: Mapping[str, list[Any]], own: Mapping[str, Any], where: str, tier: str
) -> None:
    """UserError for a key whose value would have no effect: of two axes the later one's counts, and
    an axis that sets a key at every point leaves nothing to the tier's `own` parameters."""
    set_by: dict[str, str] = {}
    for axis, values in axes.items():
        keys = [value.keys() if isinstance(value, dict) else {axis} for value in values]
        for key in dict.fromkeys(itertools.chain.from_iterable(keys)):
            if key in set_by:
                raise UserError(f"{where}: axes {set_by[key]!r} and {axis!r} both set {key!r}")
            set_by[key] = axis
            if key in own and all(key in found for found in keys):
                place = f"{where}.tiers.{tier}.params"
                raise UserError(f"{place}: {key!r} has no effect, axis {axis!r} always sets it")


def _labels(point: Mapping[str, Any]) -> list[str]:
    """Readable parts of a cell id: texts as they are, numbers behind their name (``k5``), those
    inside objects (options) and lists of objects likewise.

    How long a cell trains is a matter of the tier: a cell has one name at all of them.
    """
    parts = []
    for name, value in point.items():
        if name == "steps":
            continue
        if isinstance(value, bool):
            parts += [name] if value else []
        elif isinstance(value, int | float):
            parts.append(f"{name}{value:g}")
        elif isinstance(value, str) and value:
            parts.append(value)
        elif isinstance(value, Mapping):
            parts += _labels(value)
        elif isinstance(value, list):
            parts += [
                part for entry in value if isinstance(entry, Mapping) for part in _labels(entry)
            ]
    return parts


def sources(cell: Cell) -> list[Path]:
    """Source files whose edit can change the cell's numbers: what the loop and its parts import."""
    from paper_repro.data.names import DATASETS

    params = cell.params
    parts = [
        registry.PACKAGE / "training" / "loop.py",
        registry.path_of("tasks", cell.task, cell.study),
    ]
    parts += [registry.path_of(room, name) for room, name in components(params)]
    for room in ("estimators", "objectives"):
        named = registry.constant("tasks", cell.task, room.upper(), cell.study) or []
        parts += [registry.path_of(room, name) for name in named]
    for name in cell.datasets:
        module = DATASETS[name]["module"]
        parts.append(registry.PACKAGE.parent / (module.replace(".", "/") + ".py"))
    return registry.closure(parts, numbers=True)
