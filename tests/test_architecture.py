"""docs/architecture.md shows the floors that `make lint` checks."""

from __future__ import annotations

import re
import tomllib

from paper_repro import registry

ROOT = registry.PACKAGE.parent


def test_the_page_lists_the_floors_that_are_checked() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    shown = text.split("From the top", 1)[1].split("```")[1].split("\n")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = settings["tool"]["importlinter"]["contracts"]
    checked = [set(re.findall(r"\w+", line)) for line in contract["layers"]]
    assert [set(re.findall(r"\w+", line)) for line in shown if line] == checked


def test_every_room_of_the_tree_is_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    tree = text.split("```", 2)[1]
    rooms = set(re.findall(r"\b(\w+)/", tree))
    folders = {path.parent.name for path in registry.PACKAGE.glob("*/__init__.py")}
    assert folders <= rooms
