"""docs/verdicts.md explains what the rules do: its drawings are made by them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "verdicts.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def drawings() -> ModuleType:
    spec = importlib.util.spec_from_file_location("drawings", DOCS / "drawings.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words(svg: Path) -> list[str]:
    """The texts of a drawing, which stand in its comments."""
    return re.findall(r"<!-- (.*?) -->", svg.read_text(encoding="utf-8"))


def test_the_drawings_say_what_the_rules_say_today(drawings: ModuleType, tmp_path: Path) -> None:
    drawings.main(tmp_path)
    for name in drawings.DRAWINGS:
        assert f"({name}.svg)" in TEXT
        assert words(DOCS / f"{name}.svg") == words(tmp_path / f"{name}.svg"), "docs/drawings.py"


def test_every_rule_is_drawn_with_every_verdict(drawings: ModuleType) -> None:
    for title, rule, shown in drawings.RULES:
        border = drawings.Border.of(rule)
        judged = [drawings.judged(border, drawings.seeds(low, high)) for low, high in shown]
        found = {drawings.borders.verdict(outcome) for outcome in judged}
        assert found == {"supported", "contradicted", "inconclusive"}, title


def test_a_missing_run_takes_the_verdict_and_turns_none(drawings: ModuleType) -> None:
    said = words(DOCS / "verdicts-claim.svg")
    assert said.count("✓ supported") == 3 + 2
    assert said.count("? inconclusive") == 1
    assert not any("contradicted" in text for text in said)


def test_the_page_is_linked_from_where_a_reader_comes() -> None:
    root = DOCS.parent
    for name in ("README.md", "CONTRIBUTING.md", "paper_repro/report/template.html"):
        assert "docs/verdicts.md" in (root / name).read_text(encoding="utf-8")
