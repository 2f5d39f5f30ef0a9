"""README.md says what the published verdicts say."""

from pathlib import Path

import pytest

from paper_repro.errors import UserError
from paper_repro.report import readme

ROOT = Path(__file__).parents[2]
CLAIMS = ROOT / "results/published/claims.csv"


def test_the_claims_of_the_readme_are_the_published_verdicts(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    copy = tmp_path / "README.md"
    copy.write_text(text, encoding="utf-8")
    readme.update(copy, CLAIMS)
    assert copy.read_text(encoding="utf-8") == text, "run: python -m paper_repro readme"
    assert all(f"| B{i} |" in text for i in range(1, 15))


def test_another_verdict_changes_the_table(tmp_path: Path) -> None:
    altered = tmp_path / "claims.csv"
    text = CLAIMS.read_text(encoding="utf-8")
    altered.write_text(text.replace("supported", "contradicted"), encoding="utf-8")
    assert readme.block(altered) != readme.block(CLAIMS)


def test_a_readme_without_markers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing", encoding="utf-8")
    with pytest.raises(UserError, match="no lines"):
        readme.update(tmp_path / "README.md", CLAIMS)
