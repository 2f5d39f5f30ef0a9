"""What a source file names that can stand in the rows of a run, read without importing it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from paper_repro.units import UNITS


@cache
def words(path: Path) -> frozenset[str]:
    """Texts, keywords, attributes and numbers in a source file: what can stand in a row."""
    code = path.read_text(encoding="utf-8")
    kinds = (r"\"([^\"\n]*)\"", r"'([^'\n]*)'", r"\b(\w+)=", r"\.(\w+)")
    numbers = re.findall(r"(?<![\w.])\d+\.?\d*(?:e-?\d+)?", code)
    texts = frozenset().union(*(re.findall(kind, code) for kind in kinds))
    return texts | {str(kind(number)) for number in numbers for kind in _kinds(number)}


def _kinds(number: str) -> tuple[type, ...]:
    """As a number in a claim may be read: 1 is 1 and 1.0."""
    return (float,) if "." in number or "e" in number else (int, float)


@cache
def coordinates(path: Path) -> frozenset[str]:
    """Names of the coordinates that a source file gives to rows; keys of mappings where it gives
    them by one. One that repeats the setting of its name, ``k=p["k"]``, has that one's values."""
    code = path.read_text(encoding="utf-8")
    names = set(re.findall(r"\bat=f?\"(\w+)=", code))
    calls = re.findall(r"\bcoordinates\(([^()]*(?:\([^()]*\)[^()]*)*)\)", code)
    names |= {name for call in calls for name in re.findall(r"\b(\w+)=(?!p\[\"\1\"\])", call)}
    if any("**" in call for call in calls):
        names |= set(re.findall(r"\"(\w+)\": (?!\{|p\[\"\1\"\])", code))  # no PARAMS
    return frozenset(names)


@cache
def patterns(path: Path) -> tuple[str, ...]:
    """Patterns of the names that a file makes of a text and a value, such as violation_{name}."""
    found = re.findall(r"f\"(\w*(?:\{[^{}\"]*\}\w*)+)\"", path.read_text(encoding="utf-8"))
    parts = [[re.escape(part) for part in re.split(r"\{[^{}]*\}", text)] for text in found]
    return tuple(r"[\w.]+".join(part) for part in parts if max(map(len, part)) > 2)


@cache
def units(path: Path) -> frozenset[tuple[str, str]]:
    """Metrics whose unit a file writes beside them, as in ``Row("nll", value, "nats/image")`` or
    ``("snr", value, "1")``, or in a function that makes a row of the metric it is given."""
    code = path.read_bytes()
    nodes = list(ast.walk(ast.parse(code)))
    given = [node.args for node in nodes if isinstance(node, ast.Call)]
    given += [node.elts for node in nodes if isinstance(node, ast.Tuple)]
    found = {(_text(one[0]), _text(one[2])) for one in given if len(one) > 2}
    makers = [
        (node.name, _text(row.args[2]))
        for node in (nodes if b"Row(" in code else ())
        if isinstance(node, ast.FunctionDef) and node.args.args
        for row in ast.walk(node)
        if isinstance(row, ast.Call) and len(row.args) > 2 and _name(row.func) == "Row"
        if _name(row.args[0]) == node.args.args[0].arg
    ]
    for node in nodes if makers else ():
        if isinstance(node, ast.Call) and node.args:
            found |= {(_text(node.args[0]), unit) for by, unit in makers if by == _name(node.func)}
    return frozenset((metric, unit) for metric, unit in found if metric and unit in UNITS)


def _text(node: ast.expr) -> str:
    """A text that the code writes; "" for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""
