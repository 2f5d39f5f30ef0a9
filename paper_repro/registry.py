"""The parts a cell is made of, found by name without importing them.

One module is one component and its file name is its name: `estimators/path.py` is the estimator
``path``. Metadata (docstring, SUPPORTS, PARAMS, ...) are literals read from the syntax tree, so
that a grid can be checked, and its jobs planned, without importing torch. The import closure
computed here tells the workflow which source files a cell depends on.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from paper_repro import naming
from paper_repro.errors import UserError, unknown

CHANGES_NO_NUMBER = True

PACKAGE = Path(__file__).parent
STUDIES = PACKAGE / "studies"


ROOMS = {
    "latents": "distributions",
    "vaes": "vae",
    "parts": "vae/parts",
    "protocols": "vae/protocols",
}


def folders(kind: str, study: str = "") -> list[Path]:
    """Folders that hold components of `kind`: ``estimators``, ``objectives``, ``latents``,
    ``likelihoods``, ``models``, of task vae its ``parts``, ``protocols`` and ``vaes``, or a study's
    own ``tasks``."""
    if kind == "tasks":
        return [STUDIES / study / "tasks"] if study else []
    return [PACKAGE / ROOMS.get(kind, kind)]


def names(kind: str, study: str = "") -> list[str]:
    """Names of all components of `kind`, sorted. A component declares SUPPORTS, PARAMS or
    COMPONENT; helper modules beside it declare none of them."""
    return sorted(_files(kind, study))


def path_of(kind: str, name: str, study: str = "") -> Path:
    """The file of component `name`; UserError with the names allowed if there is none."""
    if name in (known := _files(kind, study)):
        return known[name]
    raise UserError(unknown(kind.removesuffix("s"), name, sorted(known)))


@cache  # a grid asks for its cells' parts thousands of times
def _files(kind: str, study: str) -> dict[str, Path]:
    """Files of all components of `kind` by name; of two of a name the first room's."""
    found = (path for room in reversed(folders(kind, study)) for path in room.glob("*.py"))
    declared = {"SUPPORTS", "PARAMS", "COMPONENT"}
    own = {p.stem: p for p in found if visible(p) and declared & literals(p).keys()}
    # what a room itself trains is its task.py, by the room's name
    shared = PACKAGE.glob("*/task.py") if kind == "tasks" else ()
    return own | {path.parent.name: path for path in shared}


def load(kind: str, name: str, study: str = "") -> ModuleType:
    """Import component `name`."""
    return importlib.import_module(module_name(path_of(kind, name, study)))


def describe(kind: str, name: str, study: str = "") -> str:
    """First line of the component's docstring."""
    text = ast.get_docstring(_tree(path_of(kind, name, study))) or ""
    return text.splitlines()[0] if text else ""


def constant(kind: str, name: str, key: str, study: str = "") -> Any:
    """The literal `key` of component `name`, or None where it declares none. It may stand in a
    module of its own, from which the component imports it."""
    path = path_of(kind, name, study)
    if key in (found := literals(path)):
        return found[key]
    return literals(elsewhere).get(key) if (elsewhere := _imported(path).get(key)) else None


@cache
def _imported(path: Path) -> dict[str, Path]:
    """Upper-case names that a file imports from the package, each with the file they stand in."""
    found: dict[str, Path] = {}
    for node in _tree(path).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE.name}."):
            file = PACKAGE.parent.joinpath(*str(node.module).split(".")).with_suffix(".py")
            found |= {alias.name: file for alias in node.names if alias.name.isupper()}
    return {name: file for name, file in found.items() if file.is_file()}


@cache
def literals(path: Path) -> dict[str, Any]:
    """Module-level upper-case constants of a file whose values are literals."""
    found: dict[str, Any] = {}
    for node in _tree(path).body:
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            continue
        if isinstance(target, ast.Name) and target.id.isupper():
            try:
                found[target.id] = ast.literal_eval(value)
            except ValueError:
                continue
    return found


def closure(paths: list[Path], *, numbers: bool = False) -> list[Path]:
    """Every file of the package that `paths` import, directly or not, themselves included.

    Modules imported by name at run time (the components) are not seen: name them in `paths`. The
    package's own __init__ is left out, with what it imports for a notebook. `numbers` asks for what
    can change the numbers of a run: modules that declare CHANGES_NO_NUMBER, with what they alone
    import, are left out, such as messages, locks and progress lines.
    """
    return sorted(set().union(*(_reach(path, numbers) for path in paths)))


@cache  # a fit asks for its estimator at every step, and a path is slow to resolve
def module_name(path: Path) -> str:
    """Dotted name of a file of the package."""
    parts = path.resolve().relative_to(PACKAGE.parent.resolve()).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:  # an encoding that is none is one too
        line = f":{error.lineno}" if error.lineno else ""
        raise UserError(f"{path}{line}: {error.msg}") from None
    except ValueError as error:  # older Pythons' word for null bytes
        raise UserError(f"{path}: {error}") from None


def visible(path: Path) -> bool:
    """Not a file or folder that editors, notebooks and file systems keep for themselves."""
    return not path.name.startswith(".")


@cache
def _reach(path: Path, numbers: bool) -> frozenset[Path]:
    """The import closure of one file."""
    own = (PACKAGE / "__init__.py").resolve()
    todo, seen = [path.resolve()], {own}
    while todo:
        path = todo.pop()
        if path not in seen and not (numbers and literals(path).get("CHANGES_NO_NUMBER")):
            seen.add(path)
            todo.extend(_imports(path))
    return frozenset(seen - {own})


@cache
def _imports(path: Path) -> frozenset[Path]:
    modules: set[str] = set()
    for node in _statements(_tree(path)):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules.add(node.module)
            modules.update(f"{node.module}.{alias.name}" for alias in node.names)
    own = (module for module in modules if module.split(".")[0] == PACKAGE.name)
    return frozenset[Path]().union(*map(_files_of, own))


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """All statements of a module, whatever they stand in; their expressions are not walked."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        yield node
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            todo += getattr(node, block, ())


@cache
def _files_of(module: str) -> frozenset[Path]:
    """The files of the package that importing a dotted name runs: of a.b.c also those of a and
    a.b; of a name inside a module that module's."""
    parent = module.rpartition(".")[0]
    base = PACKAGE.parent.joinpath(*module.split("."))
    found = {f.resolve() for f in (base.with_suffix(".py"), base / "__init__.py") if f.is_file()}
    return frozenset(found) | (_files_of(parent) if parent else frozenset())


def product(study: str, name: str) -> str:
    """Name of a study's table among those of all studies, ``<study>_<id>``; the one that bears the
    study's own name stands for the whole study and is called by it."""
    return study if name == study else f"{study}_{name}"


def drawing(study: str, name: str) -> str:
    """Path of a figure, without suffix, below figures/<tier>: ``<study>/<id>``, and ``<study>`` for
    the one that bears the study's own name."""
    return study if name == study else f"{study}/{name}"


@cache
def numbers(path: Path) -> frozenset[float]:
    """Numbers that the code of a file writes, but for those of its rules, the literal PARAMS."""
    code = (n for n in _tree(path).body if not _assigns(n, "PARAMS"))
    found = (
        node.value for part in code for node in ast.walk(part) if isinstance(node, ast.Constant)
    )
    return frozenset(n for n in found if isinstance(n, int | float) and not isinstance(n, bool))


def _assigns(node: ast.stmt, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return any(getattr(target, "id", "") == name for target in targets)


def keys(path: Path, name: str) -> list[str]:
    """Keys of the module-level dictionary `name` of a file, e.g. the ids in FIGURES."""
    for node in _tree(path).body:
        value = getattr(node, "value", None)
        if isinstance(value, ast.Dict) and _assigns(node, name):
            found = [ast.literal_eval(key) for key in value.keys if key is not None]
            place = f"{path.parent.name}/{path.name}: {name}"
            naming.check_distinct([naming.check_name(key, place) for key in found], place)
            return found
    raise UserError(f"{path}: no dictionary {name} at module level")
