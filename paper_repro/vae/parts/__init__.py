"""Optional parts of a VAE's training and evaluation, loaded where a cell names them.

A part's literal NAMED_BY lists the parameters of a cell by which it is named: with one of them set
the part is in use, and an edit of it concerns that cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from paper_repro import registry


def part(name: str, p: Mapping[str, Any]) -> ModuleType | None:
    """The part `name` where the parameters `p` of a cell name it, else None."""
    named = registry.constant("parts", name, "NAMED_BY")
    return registry.load("parts", name) if any(p.get(key) for key in named) else None
