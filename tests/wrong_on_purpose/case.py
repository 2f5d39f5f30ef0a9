"""A mistake people make, beside what is right, and the check that must tell them apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """`caught(wrong)` must be True and `caught(right)` False; `caught` is the check that the
    suite applies to its own parts, not one made up for the mistake."""

    name: str
    right: Any
    wrong: Any
    caught: Callable[[Any], bool]
