"""Every mistake made on purpose is caught, and what is right passes the same check."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.wrong_on_purpose.case import Case

FOLDER = Path(__file__).parent
AREAS = sorted(p.stem for p in FOLDER.glob("*.py") if p.stem not in {"case", "test_all_caught"})
CASES: list[Case] = [
    case
    for area in AREAS
    for case in importlib.import_module(f"tests.wrong_on_purpose.{area}").CASES
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_mistake_is_caught_and_the_right_version_passes(case: Case) -> None:
    assert case.caught(case.wrong)
    assert not case.caught(case.right)
