"""README.md, Makefile and docs say what the published rows say."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from paper_repro import catalogue
from paper_repro.cli import main
from paper_repro.errors import UserError
from paper_repro.grid import study_names
from paper_repro.report import hours, readme

ROOT = Path(__file__).parents[2]
CLAIMS = ROOT / "results/published/claims.csv"
FILES = ("README.md", "Makefile", "docs/decisions.md")
MARKERS = "\n".join([*readme.CLAIMS, *readme.HOURS])


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the files that are written into."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_what_is_written_from_the_published_rows_is_what_stands_there(clone: Path) -> None:
    readme.update(clone, CLAIMS)
    for name in FILES:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert (clone / name).read_text(encoding="utf-8") == text, (
            "run: python -m paper_repro readme"
        )
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"| landing-B{i} |" in text for i in range(1, 15))


def test_readme_makefile_and_docs_state_the_hours_of_the_published_costs() -> None:
    """By costs.csv, which counts per cell what runs.csv counts per run."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in FILES]
    begin, end = readme.HOURS
    texts[0] = texts[0].partition(begin)[2].partition(end)[0]
    total = 0.0
    for study in study_names():
        costs = pd.read_csv(ROOT / f"results/published/studies/{study}/costs.csv")
        costs = costs[(costs["tier"] == "reduced") & (costs["device"] == "cpu")]
        spent = costs["seconds"].sum() / 3600
        said = f"{spent:.1f}" if spent >= 0.05 else "under 0.1"
        (row,) = (line for line in texts[0].splitlines() if line.startswith(f"| `{study}` | "))
        assert f" | {said} | " in row
        assert all(f"{study} {said}" in text for text in texts[1:])
        total += spent
    assert f" | {total:.1f} | " in texts[0].splitlines()[-1]
    assert all(f"runs took {total:.1f} core-hours" in text for text in texts[1:])


RUNS = pd.DataFrame(
    [
        ("a", "reduced", "cpu", 0, 1800.0, "ok"),
        ("a", "reduced", "cpu", 1, 5400.0, "diverged"),
        ("a", "reduced", "", 2, float("nan"), "missing"),
        ("a", "paper", "cpu", 0, 3600.0, "ok"),
        ("a", "reduced", "cuda", 3, 3600.0, "ok"),
        ("b", "reduced", "cpu", 0, 36.0, "ok"),
        ("c", "paper", "cuda", 0, 36.0, "ok"),
    ],
    columns=["study", "tier", "device", "seed", "seconds", "status"],
)


def test_core_hours_are_of_runs_that_ended_at_this_tier_on_a_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hours, "load_runs", lambda root: RUNS)
    found = hours.core_hours(Path(), ["c", "b", "a", "without_rows"])
    assert list(found["study"]) == ["c", "b", "a"]
    assert list(found["hours"]) == [0, 0.01, 2]
    assert hours.sentence(found) == (
        "3 of 7 runs took 2.0 core-hours: c under 0.1, b under 0.1, a 2.0"
    )
    assert hours.table(found).splitlines()[2:] == [
        "| `c` | 0 of 1 | under 0.1 | 0 s |",
        "| `b` | 1 | under 0.1 | 36 s |",
        "| `a` | 2 of 5 | 2.0 | 90 min |",
        "| all | 3 of 7 | 2.0 | 90 min |",
    ]
    of_all = hours.by_study(RUNS).set_index(["study", "tier", "device"])["runs"].to_dict()
    assert of_all["a", "reduced", "cuda"] == of_all["a", "paper", "cpu"] == 1
    assert sum(of_all.values()) == 6


def test_the_plan_says_what_the_published_runs_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hours, "load_runs", lambda root: RUNS)
    (line,) = catalogue.hour_lines(Path("rows"), ["a", "b"], "reduced")
    assert line == "rows, by the clock: 3 of 6 runs took 2.0 core-hours: a 2.0, b under 0.1"
    assert not list(catalogue.hour_lines(Path("rows"), ["a", "b"], "quick"))


def test_another_verdict_changes_the_table(tmp_path: Path) -> None:
    altered = tmp_path / "claims.csv"
    text = CLAIMS.read_text(encoding="utf-8")
    altered.write_text(text.replace("supported", "contradicted"), encoding="utf-8")
    assert readme.block(altered) != readme.block(CLAIMS)


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_markers_is_refused_and_none_is_written(name: str, clone: Path) -> None:
    before = {other: (clone / other).read_text(encoding="utf-8") for other in FILES}
    before["README.md"] = before["README.md"].replace(" holds ", " is so ")
    before[name] = "nothing"
    for other, text in before.items():
        (clone / other).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=rf"{name}: no lines"):
        readme.update(clone, CLAIMS)
    assert {other: (clone / other).read_text(encoding="utf-8") for other in FILES} == before


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_there_is_named_in_one_line(
    name: str, clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clone / name).unlink()
    assert main(["readme", "--clone", str(clone), "--claims", str(CLAIMS)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(clone / name) in line


def test_verdicts_that_are_not_there_are_named(clone: Path) -> None:
    with pytest.raises(UserError, match=r"claims\.csv: not there"):
        readme.update(clone, clone / "claims.csv")


@pytest.mark.parametrize("content", ["", "study,claim\na,b\n", "a,b\n1,2,3,4\n", "\0\x01"])
def test_a_file_that_holds_no_verdicts_is_refused(content: str, clone: Path) -> None:
    (clone / "claims.csv").write_text(content)
    (clone / "README.md").write_text(MARKERS)
    with pytest.raises(UserError, match=r"claims\.csv"):
        readme.update(clone, clone / "claims.csv")
    assert (clone / "README.md").read_text() == MARKERS


@pytest.mark.parametrize("markers", ["{1} {0}", "{0} {0} {1}", "{0} {1} {1}"])
@pytest.mark.parametrize("pair", [readme.CLAIMS, readme.HOURS])
def test_markers_out_of_order_or_twice_are_refused(
    markers: str, pair: tuple[str, str], clone: Path
) -> None:
    text = MARKERS.replace("\n".join(pair), markers.format(*pair))
    (clone / "README.md").write_text(text)
    with pytest.raises(UserError, match="once each"):
        readme.update(clone, CLAIMS)


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
