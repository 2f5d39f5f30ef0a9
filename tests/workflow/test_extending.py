"""docs/extending.md is carried out to the letter, as a new user would."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.workflow.conftest import ROOT, Clone, copy_checkout

BLOCK = re.compile(r"^`(?P<path>[\w/.]+)`\n\n```\w+\n(?P<text>.*?)^```$", re.M | re.S)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A copy of the checkout with every file of docs/extending.md written into it."""
    made = copy_checkout(tmp_path_factory.mktemp("extended"))
    found = list(BLOCK.finditer((ROOT / "docs/extending.md").read_text(encoding="utf-8")))
    assert len(found) == 8
    for match in found:
        path = made.folder / match["path"]
        assert not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(match["text"], encoding="utf-8")
    return made


def python(clone: Clone, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=clone.folder,
        env=clone.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_estimator_is_listed_trained_and_alone_in_need_of_training(extended: Clone) -> None:
    assert "half" in python(extended, "-m", "paper_repro", "list")
    grid = extended.folder / "paper_repro/studies/sticking_the_landing/grid.yaml"
    before = extended.planned("--config", "tier=smoke", "studies=sticking_the_landing")
    line = "axes: {method: [*total, *path, *exact_kl, *half]}"  # of tier smoke
    text = grid.read_text(encoding="utf-8")
    assert text.count(line) == 1
    more = line.replace("*half]", "*half, {estimator: half, optimizer: adam}]")
    grid.write_text(text.replace(line, more), encoding="utf-8")
    after = extended.planned("--config", "tier=smoke", "studies=sticking_the_landing")
    assert after - before == {"gaussian_fit-half-adam"}
    target = "results/smoke/runs/sticking_the_landing/gaussian_fit-half-adam"
    extended.snakemake(target, "--cores", "1", "--config", "tier=smoke")
    rows = pd.read_csv(extended.folder / target / "seed0/metrics.csv")
    assert set(rows["status"]) == {"ok"}


def test_the_estimator_tests_pick_a_new_estimator_up(extended: Clone) -> None:
    output = python(
        extended, "-m", "pytest", "-p", "no:cacheprovider", "tests/estimators", "-k", "half", "-v"
    )
    assert re.search(r"[1-9]\d* passed", output)


def test_a_new_objective_is_listed_and_trained(extended: Clone) -> None:
    assert "free_bits" in python(extended, "-m", "paper_repro", "list")
    target = "results/smoke/runs/example/digits-free_bits"
    extended.snakemake(target, "--cores", "1", "--config", "tier=smoke", "studies=example")
    rows = pd.read_csv(extended.folder / target / "seed0/metrics.csv")
    assert set(rows["status"]) == {"ok"}


def test_the_claims_of_a_new_study_are_not_run_on_the_published_rows(extended: Clone) -> None:
    target = "results/published/studies/example/claims.csv"
    extended.snakemake(target, "--cores", "1", "--config", "tier=published")
    verdicts = pd.read_csv(extended.folder / target)["verdict"]
    assert set(verdicts) == {"not run"}


def test_the_examples_are_short(extended: Clone) -> None:
    for name in ("estimators/half.py", "objectives/free_bits.py"):
        text = (extended.folder / "paper_repro" / name).read_text(encoding="utf-8")
        assert len(text.splitlines()) < 40


def test_a_new_paper_is_a_folder_and_nothing_else(extended: Clone) -> None:
    extended.snakemake("example", "--cores", "2", "--config", "tier=smoke", "studies=example")
    claims = pd.read_csv(extended.folder / "results/smoke/studies/example/claims.csv")
    assert claims["claim"].tolist() == ["example-E1"] * 2
    assert claims["check"].fillna("").tolist() == ["", "rate"]
    assert set(claims["verdict"]) <= {"supported", "contradicted", "inconclusive"}
    assert (extended.folder / "figures/smoke/example/rate.png").is_file()
    assert (extended.folder / "results/smoke/tables/example_rate.md").is_file()


def test_the_examples_name_only_files_inside_their_folder() -> None:
    text = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    paths = [Path(match["path"]) for match in BLOCK.finditer(text)]
    outside = [p for p in paths if p.parts[:3] != ("paper_repro", "studies", "example")]
    assert outside == [
        Path("paper_repro/estimators/half.py"),
        Path("paper_repro/objectives/free_bits.py"),
    ]


def test_the_readme_shows_the_estimator_that_is_tried_here() -> None:
    text = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    (code,) = [m["text"] for m in BLOCK.finditer(text) if m["path"].endswith("half.py")]
    assert code in (ROOT / "README.md").read_text(encoding="utf-8")
