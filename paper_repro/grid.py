"""From a study's grid.yaml to its cells, with every mistake named before anything trains.

A grid names experiments; an experiment names a task, fixed `params`, `axes` whose product makes
the cells, and `seeds`. `tiers` overrides any of the three for one tier; what is not overridden
is the paper's own scale. Nothing here imports torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from paper_repro import handed, registry
from paper_repro.cell import DATA, Cell
from paper_repro.errors import UserError
from paper_repro.schemas import check_schema, read_yaml, schema

TIERS = ("smoke", "quick", "reduced", "paper")
# Options of an estimator that name other estimators.
NESTED = ("first", "second")
# Parameters that every task understands; a task's own PARAMS are added to these.
COMMON = {
    "dataset": {"type": "string", "default": ""},
    "model": {"type": "string", "default": ""},
    "estimator": {"type": "string", "default": ""},
    "objective": {"type": "string", "default": ""},
    "likelihood": {"type": "string", "default": ""},
    # estimators whose gradients are measured side by side on the weights of one run
    "compare": {"type": "array", "items": {"type": "string"}, "default": []},
    "steps": {"type": "integer", "minimum": 0, "default": 0},
    "curve_points": {"type": "integer", "minimum": 1, "maximum": 200, "default": 100},
}


def study_names() -> list[str]:
    """Studies that have a grid, sorted by name: papers first, then what is `ours`."""
    names = sorted(path.parent.name for path in registry.STUDIES.glob("*/grid.yaml"))
    return sorted(names, key=lambda name: bool(_grid(name).get("ours")))


@cache
def _grid(study: str) -> dict[str, Any]:
    path = registry.STUDIES / study / "grid.yaml"
    if not path.is_file():
        raise UserError(f"study: {study!r} is not one of {', '.join(study_names())}")
    grid: dict[str, Any] = read_yaml(path)
    check_schema(grid, schema("grid"), f"{study}/grid.yaml")
    if grid["study"] != study:
        raise UserError(f"{study}/grid.yaml: study is {grid['study']!r}, its folder {study!r}")
    return grid


def expand(study: str, tier: str, max_seeds: int | None = None) -> list[Cell]:
    """All cells of a study at a tier, checked, in grid order.

    `max_seeds` cuts the number of seeds of every cell. UserError names the first mistake.
    """
    if tier not in TIERS:
        raise UserError(f"tier: {tier!r} is not one of {', '.join(TIERS)}")
    cells: dict[str, Cell] = {}
    axes_of: dict[str, frozenset[str]] = {}
    for name, experiment in _grid(study)["experiments"].items():
        override = experiment.get("tiers", {}).get(tier, {})
        if override.get("skip"):
            continue
        fixed = {**experiment.get("params", {}), **override.get("params", {})}
        axes = {**experiment.get("axes", {}), **override.get("axes", {})}
        seeds = override.get("seeds", experiment["seeds"])
        seeds = min(seeds, max_seeds) if max_seeds else seeds
        for point in _product(axes):
            label = "-".join([name, *_labels(point)])
            where = f"{study}/grid.yaml: {label}"
            params = complete(study, experiment["task"], {**fixed, **point}, where)
            if may := registry.constant("tasks", experiment["task"], "HANDED", study):
                earlier = ((made, axes_of[id]) for id, made in cells.items())
                params = handed.resolve(params, may, earlier, where)
            cell = Cell(study, name, label, tier, experiment["task"], params, tuple(range(seeds)))
            check_parts(cell, where)
            if label in cells:
                raise UserError(f"{where}: two points of the grid have this name")
            cells[label], axes_of[label] = cell, frozenset(point)
    return list(cells.values())


def find(study: str, tier: str, ids: Iterable[str], max_seeds: int | None = None) -> list[Cell]:
    """The cells with these ids, in their order; UserError if the grid lacks one."""
    cells = {cell.id: cell for cell in expand(study, tier, max_seeds)}
    for name in (ids := list(ids)):
        if name not in cells:
            raise UserError(f"cell: {name!r} is not in {study}/grid.yaml at tier {tier}")
    return [cells[name] for name in ids]


def _product(axes: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Points of the product; an axis value that is a mapping sets several parameters at once."""
    for values in itertools.product(*axes.values()):
        point: dict[str, Any] = {}
        for name, value in zip(axes, values, strict=True):
            point.update(value if isinstance(value, dict) else {name: value})
        yield point


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


def complete(study: str, task: str, params: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check a cell's parameters against its task and fill in the task's defaults."""
    properties = {**COMMON, **registry.constant("tasks", task, "PARAMS", study)}
    required = [name for name, rule in properties.items() if "default" not in rule]
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }
    check_schema(dict(params), schema, where)
    return {name: params.get(name, rule.get("default")) for name, rule in properties.items()}


def components(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The registry's components that a cell names, as (room, name): estimators, objective, latent,
    likelihood and networks, those inside an estimator's options included."""
    options = params.get("estimator_options") or {}
    named = {
        "estimators": [
            params["estimator"],
            *params["compare"],
            *(value for key, value in options.items() if key in NESTED),
        ],
        "objectives": [params["objective"]],
        "likelihoods": [params["likelihood"]],
        "latents": [params.get("latent", "")],
        "models": [params["model"], params.get("decoder", ""), params.get("guide", "")],
    }
    return [  # task `vae` calls its number of latent units `latent`
        (room, name)
        for room, found in named.items()
        for name in found
        if name and isinstance(name, str)
    ]


def check_parts(cell: Cell, where: str) -> None:
    """Refuse parts that do not fit together: UserError naming the part and what is allowed."""
    from paper_repro.data.names import DATASETS

    params, chosen = cell.params, components(cell.params)
    allowed_names = [(key, params[key], list(DATASETS)) for key in DATA if key in params]
    allowed_names += [(room[:-1], name, registry.names(room)) for room, name in chosen]
    for part, name, known in allowed_names:
        if name and name not in known:
            raise UserError(f"{where}: {part} {name!r} is not one of {', '.join(known)}")
    objective = params["objective"]
    served = {
        "SUPPORTS": ("posterior", posterior_kind(cell)),
        "OBJECTIVES": ("objective", objective and family(objective)),
        "LIKELIHOODS": ("likelihood", params["likelihood"]),
        "PRIORS": ("prior", params.get("prior", "")),
        "MODELS": ("decoder", params.get("decoder") or params["model"]),
    }
    guided = params.get("guide") and (params.get("estimator_options") or {}).get("first")
    for room, name in chosen:
        part = room[:-1]
        # beside a guide the first of two estimators sees the guide, not the decoder
        own = {"MODELS": ("decoder", params["guide"])} if name == guided else {}
        for key, (other, value) in {**served, **own}.items():
            allowed = registry.constant(room, name, key)
            if allowed and value and value not in allowed:
                raise UserError(
                    f"{where}: {part} {name!r} cannot serve {other} {value!r}; "
                    f"it serves {', '.join(allowed)}"
                )


def family(objective: str) -> str:
    """The kind of estimate an objective asks of a gradient estimator: its literal LIKE
    (``elbo``: an expectation, ``iwae``: the log of a mean), by default its own name."""
    return str(registry.constant("objectives", objective, "LIKE") or objective)


def posterior_kind(cell: Cell) -> str:
    """Kind of posterior the cell's task builds: its literal POSTERIOR, a name or
    ``{param: {value: name}}`` where a parameter decides."""
    kind = registry.constant("tasks", cell.task, "POSTERIOR", cell.study) or ""
    if isinstance(kind, dict):
        ((param, kinds),) = kind.items()
        kind = kinds[cell.params[param]]
    return str(kind)


def sources(cell: Cell) -> list[Path]:
    """Source files whose edit can change the cell's numbers: the import closure of its parts."""
    from paper_repro.data.names import DATASETS

    params = cell.params
    parts = [
        registry.PACKAGE / "training" / "run.py",
        registry.path_of("tasks", cell.task, cell.study),
    ]
    parts += [registry.path_of(room, name) for room, name in components(params)]
    for room in ("estimators", "objectives"):
        named = registry.constant("tasks", cell.task, room.upper(), cell.study) or []
        parts += [registry.path_of(room, name) for name in named]
    for name in cell.datasets:
        module = DATASETS[name]["module"]
        parts.append(registry.PACKAGE.parent / (module.replace(".", "/") + ".py"))
    return registry.closure(parts)
