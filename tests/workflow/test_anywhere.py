"""The workflow runs wherever it lies, whatever its folder is called and whoever may write there."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from paper_repro import grid
from tests.workflow import conftest
from tests.workflow.conftest import ROOT, Clone, copy_checkout

STUDY = "sticking_the_landing"
CELL = next(cell.id for cell in grid.expand(STUDY, "smoke") if cell.id == "path_to_truth")
ONE = f"results/smoke/runs/{STUDY}/{CELL}"
CONFIG = ("--config", "tier=smoke", f"studies={STUDY}", "cells_per_job=1")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in a folder with a name that a shell must not see unquoted."""
    return copy_checkout(tmp_path_factory.mktemp("odd") / 'it\'s a "clone"; touch PWNED')


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file, but for the byte code that any import may leave."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts
    }


def test_folder_environment_store_and_working_directory_may_have_any_name(
    odd: Clone, tmp_path: Path
) -> None:
    # a virtual environment that is reached by a path with an apostrophe and a space
    environment = tmp_path / "it's mine"
    environment.symlink_to(Path(sys.prefix))
    scratch = tmp_path / "scratch $HOME's"
    scratch.mkdir()
    before = snapshot(odd.folder)
    place = ("--snakefile", str(odd.folder / "Snakefile"), "--directory", str(scratch))
    store = tmp_path / "the store's {own}"
    odd.environment.pop("PYTHONPATH")  # jobs find the package that planned them by themselves
    python = str(environment / "bin" / Path(sys.executable).name)
    odd.environment["HOME"] = str(tmp_path)
    odd.snakemake(ONE, *place, *CONFIG, f"store=~/{store.name}", cwd=tmp_path, python=python)
    assert set(pd.read_csv(scratch / ONE / "seed0/metrics.csv")["status"]) == {"ok"}
    assert list(store.glob("*/*/run.json"))
    assert not list(tmp_path.rglob("PWNED*"))
    assert {path.name for path in scratch.iterdir()} == {".snakemake", "logs", "results"}
    # Nothing is written into the clone, so it may be read-only.
    assert snapshot(odd.folder) == before

    # Moved to another store, results that are there stay as they are.
    output = odd.snakemake(ONE, *place, *CONFIG, f"store={tmp_path / 'other'}", cwd=tmp_path)
    assert "Nothing to be done" in output


def test_names_of_cells_never_reach_a_shell(tmp_path: Path) -> None:
    """The commands of jobs are quoted, whatever the checks of names let through."""
    there = copy_checkout(tmp_path)
    with open(there.folder / "Snakefile", "a") as file:
        file.write(
            "\nfrom dataclasses import replace\nodd = 'a$(touch PWNED)'\n"
            f"CELLS['{STUDY}', odd] = replace(next(iter(CELLS.values())), id=odd)\n"
        )
    target = f"results/smoke/runs/{STUDY}/a$(touch PWNED)"
    output = there.snakemake(target, *CONFIG, "--cores=1", ok=False)
    assert "Error in rule train:" in output
    assert not list(tmp_path.rglob("PWNED*"))


def test_a_folder_that_snakemake_reads_as_a_wildcard_is_refused_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "a {clone}"
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    shutil.copytree(ROOT / "config", folder / "config")
    shutil.copy(ROOT / "Snakefile", folder)
    there = Clone(folder)
    there.environment["PYTHONPATH"] = str(ROOT)
    output = there.snakemake("--dry-run", "--config", "tier=smoke", "--cores", "1", ok=False)
    assert "a {clone}: Snakemake reads {...} as a wildcard; rename the folder" in output


def test_published_rows_are_drawn_in_any_folder(clone: Clone, tmp_path: Path) -> None:
    place = ("--snakefile", str(clone.folder / "Snakefile"), "--directory", str(tmp_path))
    before = snapshot(clone.folder / "results")
    target = "results/published/tables/conformance.csv"
    output = clone.snakemake(target, *place, "--config", "tier=published")
    assert (tmp_path / target).read_bytes() == (clone.folder / target).read_bytes()
    assert "rule rows_conformance" in output
    assert snapshot(clone.folder / "results") == before


def test_snakemake_alone_runs_on_all_cores(clone: Clone) -> None:
    target = "results/published/tables/conformance.csv"
    output = clone.snakemake(target, "--config", "tier=published")
    assert "cores have to be specified" not in output


def test_the_plan_that_is_printed_is_that_of_the_chosen_studies(odd: Clone) -> None:
    cells = grid.expand("conformance", "reduced", 1)
    config = ("--config", "tier=reduced", "studies=conformance", "seeds=1")
    output = odd.snakemake("fetch", *config)
    plan = [line for line in output.splitlines() if " runs, " in line]
    assert plan[-1].startswith(f"tier reduced: {len(cells)} runs")
    assert all(line.startswith("conformance/") for line in plan[:-1])


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the package, unpacked: what a plain `pip install .` puts in place."""
    pytest.importorskip("pip")
    source, wheels, site = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "site"))
    copied = copy_checkout(source)
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    copied.run(sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(wheels), ".")
    (wheel,) = wheels.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    return site


def test_an_installed_package_lists_plans_and_trains_without_a_clone(
    installed: Path, tmp_path: Path
) -> None:
    there = Clone(tmp_path)
    there.environment["PYTHONPATH"] = str(installed)
    where = "import paper_repro; print(paper_repro.__file__)"
    assert there.run(sys.executable, "-P", "-c", where).startswith(str(installed))
    package = (sys.executable, "-P", "-m", "paper_repro")
    assert STUDY in there.run(*package, "list")
    assert "training steps" in there.run(*package, "plan", "--tier", "smoke")
    there.run(*package, "train", "--tier=smoke", f"--study={STUDY}", f"--cell={CELL}")
    assert set(pd.read_csv(tmp_path / ONE / "seed0/metrics.csv")["status"]) == {"ok"}
    output = there.run(*package, "train", "--tier=smoke", "--study=x", "--cell=y", ok=False)
    assert "study: 'x' is not one of" in output


def test_the_tests_copy_an_unpacked_archive_as_they_copy_a_checkout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = set(conftest.unpacked(ROOT))
    table = f"results/published/studies/{STUDY}/metrics.csv"
    assert {"Snakefile", "paper_repro/data/names.py", table} <= found
    assert not any(name.startswith((".git/", "runs/", "build/")) for name in found)
    if shutil.which("git") and (ROOT / ".git").exists():
        tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
        assert {name for name in tracked if (ROOT / name).is_file()} <= found
    monkeypatch.setenv("PATH", "")
    assert set(conftest.own_files()) == found
