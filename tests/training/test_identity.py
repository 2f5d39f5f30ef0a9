"""The identity of a run covers what can change its numbers, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from paper_repro import registry
from paper_repro.training.identity import source_hash

ROOT = registry.PACKAGE.parent
CODE = '''
"""Docstring."""

from dataclasses import dataclass


@dataclass
class Point:
    """A point."""

    x: float = 1.0
    y: "int | None" = None


def scaled(point: Point, *, by: float = 2e-3, **rest: str) -> Point:
    """Times `by`."""
    if not rest:
        return None
    return Point(*(by * v for v in (point.x, 1j, b"a", ..., f"{point.y!r:>{by}}" "b")), **rest)
'''


RECORDED = "0c21fc70159dbb58c8e3060311dba4e673e0ac95b9c265a75e90c2353ba44146"


def hash_of(code: str, folder: Path) -> str:
    path = folder / "module.py"
    path.write_text(code, encoding="utf-8")
    return source_hash([path])


def test_words_and_types_are_no_part_of_the_code(tmp_path: Path) -> None:
    plain = CODE
    same = hash_of(plain, tmp_path)
    for old, new in (
        ('"""Docstring."""', '"""Another."""'),
        ("    if not rest:", "    # why\n    if not rest:"),
        ("by: float = 2e-3", "by: object = 2e-3"),
        ("-> Point", "-> None"),
    ):
        assert plain.count(old) == 1
        assert hash_of(plain.replace(old, new), tmp_path) == same
    for old, new in (
        ("2e-3", "2e-4"),
        ("return None", "return"),
        ("x: float = 1.0", "x: float = 1"),
        ("not rest", "rest"),
        ('y: "int', 'y: "str'),  # of a dataclass: types make its fields
        ("by * v", "v * by"),
    ):
        assert plain.count(old) == 1
        assert hash_of(plain.replace(old, new), tmp_path) != same


def test_the_hash_is_the_same_on_every_python(tmp_path: Path) -> None:
    """A number recorded once, and whichever other interpreters there are."""
    (tmp_path / "module.py").write_text(CODE, encoding="utf-8")
    assert source_hash([tmp_path / "module.py"]) == RECORDED
    files = [tmp_path / "module.py", *sorted(registry.PACKAGE.rglob("*.py"))]
    program = (
        "import sys; from pathlib import Path;"
        "from paper_repro.training.identity import source_hash;"
        "print(source_hash(map(Path, sys.argv[1:])))"
    )
    for version in ("3.11", "3.12", "3.13"):
        python = shutil.which(f"python{version}")
        if python and not subprocess.run([python, "-c", ""], capture_output=True).returncode:
            done = subprocess.run(
                [python, "-c", program, *map(str, files)],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            )
            assert done.stdout.strip() == source_hash(files), python


@pytest.mark.parametrize(
    "module", ["units", "registry", "data/names", "training/progress", "errors"]
)
def test_what_changes_no_number_is_in_no_identity(module: str) -> None:
    loop = registry.PACKAGE / "training/loop.py"
    path = registry.PACKAGE / f"{module}.py"
    assert path in registry.closure([loop, path])
    assert path not in registry.closure([loop, path], numbers=True)
