"""What a run is known by: a hash of everything that can change its numbers, and of nothing else.

The cell's task and parameters, the seed, the code that the loop and the cell's parts import, the
content of the data and the kind of device. Needs no more than Python itself.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from paper_repro.cell import Cell

CHANGES_NO_NUMBER = True
TYPES = {("arg", "annotation"), ("FunctionDef", "returns")}


def source_hash(sources: Iterable[Path]) -> str:
    """SHA-256 over names and code of the files, whatever their order and place on the disk.

    Code is the syntax tree without docstrings and without the types of functions: rewording a
    comment must not retrain anything. The same on every Python that the package runs on.
    """
    files = sorted((path.name, _code_hash(path.read_bytes())) for path in sources)
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


@cache  # the cells of a job share most of their files
def _code_hash(source: bytes) -> str:
    return hashlib.sha256(repr(said(ast.parse(source))).encode()).hexdigest()


def said(node: Any) -> Any:
    """A syntax tree as nested lists, without what is empty: Pythons differ in which empty fields a
    node has, and Python 3.12 in ending some formatted strings with an empty part."""
    if isinstance(node, list):
        return [said(part) for part in node]
    if not isinstance(node, ast.AST):
        return node
    fields = {
        name: value
        for name, value in ast.iter_fields(node)
        if value is not None and value != [] and (type(node).__name__, name) not in TYPES
    }
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
        fields["body"] = node.body[1:]
    if isinstance(node, ast.JoinedStr):
        fields["values"] = [v for v in node.values if getattr(v, "value", None) != ""]
    return [type(node).__name__, *((name, said(value)) for name, value in sorted(fields.items()))]


def run_key(cell: Cell, seed: int, sources: str, fingerprint: str, device: str) -> str:
    """The run's address; `sources` as by `source_hash`, `device` is "cpu" or "cuda"."""
    content = json.dumps([cell.digest(), seed, sources, fingerprint, device])
    return hashlib.sha256(content.encode()).hexdigest()


def run_id(key: str) -> str:
    """The short name of a run, which stands in every table."""
    return key[:16]
