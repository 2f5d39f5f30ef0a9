"""No command writes over rows of others, runs, or what it reads; a lost file would be as silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from paper_repro.cli import main
from paper_repro.errors import UserError
from paper_repro.results.collect import collect, concatenate, merge
from paper_repro.results.files import NAMES
from paper_repro.results.published import import_results
from paper_repro.rows import Row
from tests.results.made_runs import cell, write_run
from tests.results.test_publishing import STUDY, machine

CLAIMS = "study,claim,check,verdict\nmade,A1,,supported\n"


def gathered(root: Path, out: str, study: str = "made", tier: str = "quick") -> Path:
    """A folder of tables, made of one run."""
    one = cell(study=study, tier=tier, seeds=1)
    write_run(root / "runs", one, 0, [Row("nll", 1.0, "nats/image")])
    collect([one], root / "runs", root / out, tier)
    return root / out


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("study", "tier"), [("other", "quick"), ("made", "smoke")])
def test_rows_of_another_study_or_tier_are_not_collected_over(
    tmp_path: Path, study: str, tier: str
) -> None:
    there = gathered(tmp_path, "out", study, tier)
    before = contents(there)
    with pytest.raises(UserError, match=f"out: holds rows of {study} at tier {tier}; give another"):
        gathered(tmp_path, "out")
    assert contents(there) == before
    (there / "cells.csv").unlink()  # the other tables tell as well
    with pytest.raises(UserError, match=f"out: holds rows of {study} at tier {tier}; give another"):
        gathered(tmp_path, "out")


def test_the_same_study_is_collected_again(tmp_path: Path) -> None:
    before = contents(gathered(tmp_path, "out"))
    assert contents(gathered(tmp_path, "out")) == before


def test_tables_do_not_hide_those_of_studies_below_them(tmp_path: Path) -> None:
    one = gathered(tmp_path, "quick/studies/made")
    other = gathered(tmp_path, "quick/studies/other", "other")
    with pytest.raises(UserError, match=r"quick: tables there would hide the rows in .*/made"):
        gathered(tmp_path, "quick")
    elsewhere = gathered(tmp_path, "elsewhere", "third")
    with pytest.raises(UserError, match=r"quick: tables there would hide the rows in .*/made"):
        merge([elsewhere], tmp_path / "quick")
    merge([one, other], tmp_path / "quick")  # as the workflow does, and again
    merge([one, other], tmp_path / "quick")


def test_rows_are_not_merged_over_what_is_read_or_is_of_others(tmp_path: Path) -> None:
    one, other = gathered(tmp_path, "a"), gathered(tmp_path, "b", "other")
    before = contents(tmp_path)
    for out, words in ((one, "is read and would be"), (tmp_path / "c", "holds rows of third at")):
        gathered(tmp_path, "c", "third")
        with pytest.raises(UserError, match=words):
            merge([one, other], out)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("command", ["collect", "merge"])
def test_the_folder_of_a_run_takes_no_tables(tmp_path: Path, command: str) -> None:
    one = gathered(tmp_path, "a")
    run = tmp_path / "runs/made/fit/seed0"
    before = contents(run)
    use = {
        "collect": lambda: gathered(tmp_path, "runs/made/fit/seed0", "other"),
        "merge": lambda: merge([one], run),
    }
    with pytest.raises(UserError, match="seed0: is the folder of a run"):
        use[command]()
    assert contents(run) == before


def test_rows_of_several_tiers_are_not_put_together(tmp_path: Path) -> None:
    gathered(tmp_path, "quick/studies/made")
    with pytest.raises(UserError, match="rows of tiers quick and smoke are not joined"):
        gathered(tmp_path, "quick/studies/other", "other", "smoke")
    for tier in ("smoke", "reduced", "paper"):
        gathered(tmp_path / tier, "out", f"at_{tier}", tier)
    gathered(tmp_path / "quick", "out")
    for tiers in (("quick", "smoke"), ("quick", "paper"), ("reduced", "paper")):
        roots = [tmp_path / tier / "out" for tier in tiers]
        with pytest.raises(UserError, match=f"rows of tiers {' and '.join(sorted(tiers))} are not"):
            merge(roots, tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_published_rows_of_both_tiers_are_merged(tmp_path: Path) -> None:
    published = tmp_path / "published"
    import_results(machine(tmp_path / "a", "reduced", (0,)), published)
    theirs = ("silent_gradients", "gradients")
    import_results(
        machine(tmp_path / "b", "paper", (0,), study=theirs[0], experiment=theirs[1]), published
    )
    merge([published / "studies" / name for name in (STUDY, theirs[0])], tmp_path / "all")
    assert (tmp_path / "all" / NAMES["cells"]).is_file()


def test_nothing_is_imported_into_the_rows_of_a_tier_that_is_not_published(tmp_path: Path) -> None:
    machine(tmp_path / "a", "quick", (0,))
    home = tmp_path / "quick/studies" / STUDY
    home.parent.mkdir(parents=True)
    (tmp_path / "a/out").rename(home)
    before = contents(home)
    with pytest.raises(UserError, match=f"{home}: rows of tier 'quick' are not published"):
        import_results(machine(tmp_path / "b", "paper", (0,)), tmp_path / "quick")
    assert contents(home) == before


FILES = {  # command, and a file that it does not write over
    "claims --study conformance --results out": ["metrics.csv", "reported.csv", "grid.yaml"],
    "join claims.csv": ["metrics.csv", "claims.csv", "out/runs.csv", "grid.yaml"],
    "manifest --figures figures": ["metrics.csv", "run.json", "captions.json"],
    "report --results out --figures figures": ["metrics.csv", "run.json", "grid.yaml"],
    "train --tier smoke --study conformance --cell x --log": ["metrics.csv", "run.json"],
}


@pytest.mark.parametrize(
    ("command", "name"), [(words, name) for words, names in FILES.items() for name in names]
)
def test_a_file_of_another_kind_stays(
    tmp_path: Path, command: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    gathered(tmp_path, "out")
    texts = {
        "claims.csv": CLAIMS,
        "reported.csv": "id,value\nA,1\n",
        "grid.yaml": "study: made\n",
        "run.json": '{"run_id": "0"}\n',
        "captions.json": '{"fig": "A figure."}\n',
        "metrics.csv": (tmp_path / "out/metrics.csv").read_text(),
    }
    for file, text in texts.items():
        (tmp_path / file).write_text(text)
    (tmp_path / "figures/made").mkdir(parents=True)
    (tmp_path / "figures/made/captions.json").write_text("{}")
    before = contents(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = command.split() if command.endswith("--log") else [*command.split(), "--out"]
    try:
        status = main([*words, name])
    except SystemExit as left:
        status = left.code
    line = capsys.readouterr().err
    assert status == 2
    assert name in line
    assert line.count("\n") == 1
    assert "holds something else" in line or "is read and would" in line or "of a table" in line
    assert contents(tmp_path) == before


def test_verdicts_are_not_joined_twice(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CLAIMS)
    (tmp_path / "b.csv").write_text(CLAIMS.replace("supported", "contradicted"))
    with pytest.raises(UserError, match=r"b\.csv, line 2: made A1 is in .*a\.csv, line 2, too"):
        concatenate([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "claims.csv")
    (tmp_path / "b.csv").write_text("x,y\n1,2\n1,2\n")
    with pytest.raises(UserError, match=r"b\.csv, line 3: the line is in .*b\.csv, line 2, too"):
        concatenate([tmp_path / "b.csv"], tmp_path / "out.csv")
    (tmp_path / "b.csv").write_text(CLAIMS.replace("A1", "A2"))
    for _ in range(2):  # verdicts go over earlier ones
        concatenate([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "claims.csv")
