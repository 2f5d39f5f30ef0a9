"""An edit of a part re-runs the cells that use it and no other.

What a cell uses is found here by rules of this file alone: by the words in its parameters, and by
what the files of those words import.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from paper_repro import grid, registry
from paper_repro.cell import Cell
from paper_repro.data.names import DATASETS

PACKAGE = registry.PACKAGE
Params = Mapping[str, Any]
NETWORKS = {"burda": "layered", "convdraw": "convdraw"} | dict.fromkeys(
    ("mlp_standardised", "conv_standardised"), "standardised"
)  # of all others "model"


def estimators(p: Params) -> set[str]:
    options = p.get("estimator_options") or {}
    return {p["estimator"], *p["compare"], *(options.get(key) for key in ("first", "second"))}


def parts(p: Params) -> set[str]:
    used = {
        "constraints": p["kappa"] != 0 or bool(p["constraints"]),
        "guide": p["guide"] == "linear",
        "gradient_norms": p["watch"],
        "outliers": p.get("outliers", "") != "",
        "gradients": len(p["compare"]) > 0,
        "classifier": p["classifier_steps"] > 0,
        "hessian": p.get("hessian_images", 0) > 0,
        "marginal": bool(p.get("marginal")),
    }
    return {name for name, is_used in used.items() if is_used}


def of_a_vae(named: Callable[[Params], set[str]]) -> Callable[[Params], set[str]]:
    return lambda p: named(p) if "protocol" in p else set()


NAMED: dict[str, Callable[[Params], set[str]]] = {
    "estimators": estimators,
    "objectives": lambda p: {p["objective"]},
    "likelihoods": lambda p: {p["likelihood"]},
    "latents": lambda p: {p.get("latent")},
    "models": lambda p: {p["model"], p.get("decoder"), p.get("guide")},
    "vaes": of_a_vae(lambda p: {NETWORKS.get(p["model"], "model")}),
    "parts": of_a_vae(parts),
    "protocols": of_a_vae(lambda p: {p["protocol"]}),
}


@cache
def imports(path: Path) -> frozenset[Path]:
    """Files of the package that a file imports, directly or not, itself included."""
    todo, found = [path], set[Path]()
    while todo:
        if (file := todo.pop()) in found:
            continue
        text = file.read_text(encoding="utf-8")
        if "\nCHANGES_NO_NUMBER = True" in text:
            continue
        found.add(file)
        for node in ast.walk(ast.parse(text)):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}", *(f"{node.module}.{a.name}" for a in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            files = [PACKAGE.parent / (name.replace(".", "/") + ".py") for name in names]
            todo += [file for file in files if PACKAGE in file.parents and file.is_file()]
    return frozenset(found)


def named(cell: Cell) -> frozenset[Path]:
    """The files that the words of a cell's parameters stand for, and those of its task and loop."""
    found = {PACKAGE / "training/loop.py", registry.path_of("tasks", cell.task, cell.study)}
    for room, words in NAMED.items():
        known = {name: registry.path_of(room, name) for name in registry.names(room)}
        used = words(cell.params)
        if room in ("estimators", "objectives"):  # of which a task itself measures several
            used |= set(registry.constant("tasks", cell.task, room.upper(), cell.study) or ())
        found |= {path for name, path in known.items() if name in used}
    for dataset in cell.datasets:
        found.add(PACKAGE.parent / (DATASETS[dataset]["module"].replace(".", "/") + ".py"))
    return frozenset(found)


class Use(NamedTuple):
    """A cell, the files whose edit re-runs it, and those that it uses by the rules above."""

    cell: Cell
    sources: frozenset[Path]
    used: frozenset[Path]


@cache
def uses() -> list[Use]:
    """Every cell of every study at every tier."""
    return [
        Use(cell, frozenset(grid.sources(cell)), frozenset().union(*map(imports, named(cell))))
        for study in grid.study_names()
        for tier in grid.TIERS
        for cell in grid.expand(study, tier)
    ]


def misses(path: Path) -> list[str]:
    """Cells that an edit of a file re-runs though they do not use it, or does not though they
    do."""
    return [u.cell.id for u in uses() if (path in u.sources) != (path in u.used)]


COMPONENTS = [(room, name) for room in NAMED for name in registry.names(room)]


@pytest.mark.parametrize(("room", "name"), COMPONENTS, ids=str)
def test_an_edit_of_a_part_marks_exactly_the_cells_that_use_it(room: str, name: str) -> None:
    path = registry.path_of(room, name)
    assert not misses(path)
    assert not all(path in use.sources for use in uses())


def alone(room: str, name: str, wanted: Callable[[Params], bool]) -> None:
    """Not even an import brings the part to another cell."""
    path = registry.path_of(room, name)
    found = [use.cell for use in uses() if path in use.sources]
    assert found == [
        u.cell for u in uses() if "protocol" in u.cell.params and wanted(u.cell.params)
    ]
    assert found


def test_constraints_are_of_the_cells_with_thresholds_alone() -> None:
    alone("parts", "constraints", lambda p: p["kappa"] != 0 or bool(p["constraints"]))


def test_gradient_norms_are_of_the_cells_that_watch_alone() -> None:
    alone("parts", "gradient_norms", lambda p: p["watch"])


def test_a_likelihood_is_of_the_cells_with_it_alone() -> None:
    """Of whichever task."""
    path = registry.path_of("likelihoods", "gaussian_pixel")
    found = [use.cell.id for use in uses() if path in use.sources]
    assert found == [u.cell.id for u in uses() if u.cell.params["likelihood"] == "gaussian_pixel"]


NO_ROOM = (
    *("results/*.py", "claims/*.py", "drawing/*.py", "report/*.py"),
    *("studies/*/figures*.py", "studies/*/tables*.py"),
)
NO_FILE = ("api.py", "data/names.py", "units.py", "schemas.py", "registry.py", "errors.py")


def test_another_data_set_unit_or_figure_marks_no_cell() -> None:
    files = set(chain.from_iterable(PACKAGE.glob(pattern) for pattern in (*NO_ROOM, *NO_FILE)))
    assert len(files) > 40
    assert not [(use.cell.id, path) for use in uses() for path in use.sources & files]


def test_how_a_data_set_is_read_is_of_the_cells_that_read_it() -> None:
    modules = {PACKAGE.parent / (d["module"].replace(".", "/") + ".py") for d in DATASETS.values()}
    for path in modules:
        assert not misses(path)


def test_the_walk_finds_what_an_import_brings() -> None:
    """Imports of a name, of a module and from within a function, as the package writes them."""

    def stems(paths: Iterable[Path]) -> set[str]:
        return {path.stem for path in paths}

    found = imports(registry.path_of("likelihoods", "gaussian_gamma"))
    assert {"gaussian_gamma", "normal"} <= stems(found)
    assert "errors" not in stems(imports(PACKAGE / "vae/model.py"))
