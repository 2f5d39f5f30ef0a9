"""YAML as users write it, read strictly: a mistake is one line with file, line and column.

The words and numbers are those of YAML 1.2 (https://yaml.org/spec/1.2.2, core schema), which do not
surprise: 1e-3 is a number, `on`, `no`, 12:30 and 2024-01-01 are texts. What can be read in two ways
(010, 0x1F), what no setting means (infinity, not a number), a key that stands twice, and anything
that is not a mapping of plain values are refused. Merging (<<) and aliases work as usual.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import yaml

from paper_repro.errors import UserError

CHANGES_NO_NUMBER = True

LARGEST = 2_000_000  # bytes of a file, of which the largest shipped has 30,000
VALUES = 200_000  # in a file, aliases written out
DEPTH = 40
PREFIX = "tag:yaml.org,2002:"
PLAIN = {PREFIX + name for name in ("map", "seq", "str", "int", "float", "bool", "null", "merge")}
WORDS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0[xob][0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "merge": ("<<", ["<"]),
}
# What the parser calls them; said as a user would.
PLAINER = {
    "found character that cannot start any token": "a character that cannot stand here",
    "mapping values are not allowed in this context": "a colon that cannot stand here; quote "
    "texts that have one",
    "did not find expected ',' or ']'": "a list that is not closed by ]",
    "did not find expected ',' or '}'": "a mapping that is not closed by }",
    "did not find expected <document start>": "text that belongs to no key",
    "but found another document": "a second document; one file is one",
    "could not find expected ':'": "a line without a colon after its key",
}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml's parser, ten times as fast as Python's, with the words above and no others."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for _name, (_pattern, _first) in WORDS.items():
    _Loader.add_implicit_resolver(PREFIX + _name, re.compile(f"^(?:{_pattern})$"), _first)


def _integer(loader: Any, node: yaml.ScalarNode) -> int:
    text = node.value.lstrip("-+")
    if not text.isdecimal() or (len(text) > 1 and text[0] == "0"):
        raise _mistake(f"{node.value} reads in two ways; write it in decimal, or quoted", node)
    if len(text) > 18:
        raise _mistake(f"a whole number of {len(text)} digits", node)
    return int(node.value)


def _number(loader: Any, node: yaml.ScalarNode) -> float:
    try:
        value = float(node.value)
    except ValueError:  # .inf and .nan, or a tag that lies
        value = math.nan
    if not math.isfinite(value):
        raise _mistake(f"{node.value} is not a finite number", node)
    return value


def _boolean(loader: Any, node: yaml.ScalarNode) -> bool:
    if node.value.lower() not in ("true", "false"):  # a tag that lies
        raise _mistake(f"{node.value} is neither true nor false", node)
    return bool(node.value.lower() == "true")


_Loader.add_constructor(PREFIX + "bool", _boolean)
_Loader.add_constructor(PREFIX + "int", _integer)
_Loader.add_constructor(PREFIX + "float", _number)


def read(path: Path, name: str) -> dict[str, Any]:
    """The mapping in a YAML file; `name` is what messages call it.

    UserError, naming the place, for a file that cannot be read, is no YAML or is refused above.
    """
    return parse(_text(path, name), name)


def parse(text: str, name: str) -> dict[str, Any]:
    """The mapping written in `text`; UserError as in `read`."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise UserError(f"{name}: is empty")
            if not isinstance(node, yaml.MappingNode):
                raise _mistake("expected a mapping, `key: value`", node)
            _check(node)
            found: dict[str, Any] = loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise UserError(f"{name}: {_said(error, text)}") from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"
        raise UserError(f"{name}: {place}: a control character") from None
    except RecursionError:
        raise UserError(f"{name}: more than {DEPTH} levels") from None
    return found


def _text(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise UserError(f"{name}: has more than {LARGEST:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = len(before) - before.rfind(b"\n")
        place = f"line {before.count(bytes([10])) + 1}, column {column}"
        raise UserError(f"{name}: {place}: is not UTF-8; save it as such") from None


def _check(top: yaml.Node) -> None:
    """Refuse, by YAMLError, what reading would pass over: see above."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: yaml.Node, depth: int) -> int:
        """Values in a node, its aliases written out; each node is looked at once."""
        if id(node) in open_nodes:
            raise _mistake("an alias of something that contains it", node)
        if id(node) in sizes:
            return sizes[id(node)]
        if node.tag not in PLAIN:
            raise _mistake(f"tag {node.tag.replace(PREFIX, '!!')} has no meaning here", node)
        if depth > DEPTH:
            raise _mistake(f"more than {DEPTH} levels", node)
        open_nodes.add(id(node))
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        total = 1 + sum(size(child, depth + 1) for child in _children(node))
        if total > VALUES:
            raise _mistake(f"more than {VALUES:,} values, aliases written out", node)
        open_nodes.remove(id(node))
        sizes[id(node)] = total
        return total

    size(top, 1)


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from (key, value)
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _check_keys(node: yaml.MappingNode) -> None:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if key.tag not in (PREFIX + "str", PREFIX + "merge"):
            shown = repr(key.value) if isinstance(key, yaml.ScalarNode) else "a list or mapping"
            raise _mistake(f"the key {shown} is no text; quote it if it is meant", key)
        line = key.start_mark.line + 1
        if key.value in lines:
            raise _mistake(f"key {key.value!r} is there twice; see line {lines[key.value]}", key)
        lines[key.value] = line


def _mistake(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _said(error: yaml.MarkedYAMLError, text: str) -> str:
    """Place and problem; where a tab is to blame, that."""
    mark = error.problem_mark or error.context_mark
    problem = PLAINER.get(error.problem or "", error.problem or "is no YAML")
    if mark is None:
        return problem
    lines = text.split("\n")
    here = lines[mark.line] if mark.line < len(lines) else ""
    if here[: mark.column + 1].strip() == "" and "\t" in here[: mark.column + 1]:
        problem = "a tab; indent by spaces"
    elif error.context_mark and error.context_mark.line != mark.line:
        problem += f" (begun on line {error.context_mark.line + 1})"
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
