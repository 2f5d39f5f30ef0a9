"""README.md says what the published verdicts say."""

from pathlib import Path

import pytest

from paper_repro.cli import main
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
    assert all(f"| landing-B{i} |" in text for i in range(1, 15))


def test_another_verdict_changes_the_table(tmp_path: Path) -> None:
    altered = tmp_path / "claims.csv"
    text = CLAIMS.read_text(encoding="utf-8")
    altered.write_text(text.replace("supported", "contradicted"), encoding="utf-8")
    assert readme.block(altered) != readme.block(CLAIMS)


def test_a_readme_without_markers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing", encoding="utf-8")
    with pytest.raises(UserError, match="no lines"):
        readme.update(tmp_path / "README.md", CLAIMS)


@pytest.mark.parametrize("name", ["README.md", "claims.csv"])
def test_a_file_that_is_not_there_is_named_in_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {"README.md": ROOT / "README.md", "claims.csv": CLAIMS} | {name: tmp_path / name}
    arguments = ["--readme", str(paths["README.md"]), "--claims", str(paths["claims.csv"])]
    with pytest.raises(SystemExit) as stopped:
        main(["readme", *arguments])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / name) in line


@pytest.mark.parametrize("content", ["", "study,claim\na,b\n", "a,b\n1,2,3,4\n", "\0\x01"])
def test_a_file_that_holds_no_verdicts_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "claims.csv").write_text(content)
    (tmp_path / "README.md").write_text(f"{readme.BEGIN}\n{readme.END}\n")
    with pytest.raises(UserError, match=r"claims\.csv"):
        readme.update(tmp_path / "README.md", tmp_path / "claims.csv")
    assert (tmp_path / "README.md").read_text() == f"{readme.BEGIN}\n{readme.END}\n"


@pytest.mark.parametrize("markers", ["{1} {0}", "{0} {0} {1}", "{0} {1} {1}"])
def test_markers_out_of_order_or_twice_are_refused(markers: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(markers.format(readme.BEGIN, readme.END))
    with pytest.raises(UserError, match="once each"):
        readme.update(tmp_path / "README.md", CLAIMS)


LINES = CLAIMS.read_text(encoding="utf-8").splitlines(keepends=True)
CLAIM = next(line for line in LINES if ",landing-B1,," in line)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (LINES[:3], "is not there"),
        (
            [line for line in LINES if not line.startswith("taming_vaes,")],
            "/taming-C1 is not there",
        ),
        ([line for line in LINES if line != CLAIM], "/landing-B1 is not there"),
        ([*LINES, CLAIM], "/landing-B1 stands there twice"),
        ([*LINES, CLAIM.replace("-B1,", "-B99,")], "/landing-B99 is stated nowhere"),
        ([line.replace(",reduced,", ",smoke,") for line in LINES], "line 2: a verdict at tier 's"),
        ([line.replace(",reduced,", ",,") for line in LINES], "line 3: supported, but at no tier"),
        ([line.replace(",supported,", ",yes,") for line in LINES], "line 3: verdict: 'yes' is not"),
    ],
)
def test_verdicts_that_are_not_those_of_all_published_claims_are_refused(
    lines: list[str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "claims.csv").write_text("".join(lines), encoding="utf-8")
    with pytest.raises(UserError, match=r"^.*claims\.csv.*" + message):
        readme.block(tmp_path / "claims.csv")
