"""Damaged results: whatever is lost or changed, the same command ends with the right rows."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from paper_repro import grid, workflow
from paper_repro.cell import Cell
from paper_repro.training.identity import source_hash
from tests.results.made_runs import cell, write_run
from tests.workflow.conftest import Clone, copy_checkout

STUDY = "conformance"
TABLE = f"results/smoke/studies/{STUDY}/metrics.csv"
SAME = ("--cores", "1", TABLE, "--config", "tier=smoke", f"studies={STUDY}")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which one study has run and been collected."""
    made = copy_checkout(tmp_path_factory.mktemp("damage"))
    made.snakemake(*SAME)
    return made


def flip(path: Path) -> None:
    """Turn one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def other(folder: Path) -> None:
    """Put another cell's run in the place of this one's."""
    donor = next(f for f in sorted(folder.parent.parent.iterdir()) if f != folder.parent)
    shutil.rmtree(folder)
    shutil.copytree(donor / "seed0", folder)


WAYS: list[Callable[[Path], None]] = [
    other,
    shutil.rmtree,
    lambda folder: (folder / "metrics.csv").unlink(),
    lambda folder: (folder / "run.json").write_bytes(b""),
    lambda folder: cut(folder / "metrics.csv"),
    lambda folder: flip(folder / "run.json"),
]


def copies(clone: Clone) -> dict[str, Path]:
    """The folder of every cell's first seed, by cell."""
    root = clone.folder / f"results/smoke/runs/{STUDY}"
    return {cell.name: cell / "seed0" for cell in sorted(root.iterdir())}


def contents(clone: Clone) -> dict[str, list[str]]:
    """Lines of every copy and of the collected table, but for the rows that are times."""
    found = {cell: seed / "metrics.csv" for cell, seed in copies(clone).items()}
    lines = {
        name: path.read_text(encoding="utf-8").splitlines()
        for name, path in {**found, TABLE: clone.folder / TABLE}.items()
    }
    return {
        name: [line for line in own if "seconds" not in line and "cost_ratio" not in line]
        for name, own in lines.items()
    }


def fault(root: Path, one: Cell) -> str:
    """What is wrong with a cell's folder now."""
    workflow.copies.cache_clear()
    return workflow.damaged(str(root / one.study / one.id), one)


def outdated(root: Path, one: Cell) -> bool:
    workflow.copies.cache_clear()
    return workflow.outdated(str(root / one.study / one.id), one)


@pytest.fixture(scope="module")
def real() -> Cell:
    """A cell of a grid with two seeds."""
    return replace(grid.expand(STUDY, "smoke")[0], seeds=(0, 1))


def test_a_cell_that_has_not_run_or_gets_more_seeds_is_not_damaged(tmp_path: Path) -> None:
    one = cell(seeds=3)
    folder = str(tmp_path / one.study / one.id)
    assert fault(tmp_path, one) == ""
    for seed in (0, 1):
        write_run(tmp_path, replace(one, seeds=(0, 1)), seed, [])
    shutil.copytree(f"{folder}/seed0", f"{folder}/seed0.bak")
    assert fault(tmp_path, one) == ""
    write_run(tmp_path, one, 1, [])
    assert fault(tmp_path, one) == f"{folder}/seed2 is not there"


def test_a_cell_trained_by_hand_with_fewer_seeds_is_not_complete(
    tmp_path: Path, real: Cell
) -> None:
    today = source_hash(grid.sources(real))
    assert not outdated(tmp_path, real)  # not run at all: Snakemake sees that
    write_run(tmp_path, replace(real, seeds=(0,)), 0, [], sources=today)
    assert fault(tmp_path, real) == ""
    assert outdated(tmp_path, real)
    write_run(tmp_path, real, 1, [], sources=today)
    assert not outdated(tmp_path, real)


def test_a_cell_of_other_code_than_todays_runs_again(tmp_path: Path, real: Cell) -> None:
    for seed in real.seeds:
        write_run(tmp_path, real, seed, [], sources="0ther")
    assert fault(tmp_path, real) == ""  # Snakemake says that the code has changed
    assert outdated(tmp_path, real)


@pytest.mark.parametrize(
    ("what", "words"),
    [("sources", "trained by different code"), ("fingerprint", "trained on different data")],
)
def test_seeds_of_different_code_or_data_are_no_cell(
    tmp_path: Path, real: Cell, what: str, words: str
) -> None:
    for seed in real.seeds:
        write_run(tmp_path, real, seed, [])
    write_run(tmp_path, replace(real, seeds=(0, 1, 2)), 2, [], **{what: "other"})
    assert fault(tmp_path, real) == ""  # a seed that nobody asks for
    write_run(tmp_path, real, 1, [], **{what: "other"})
    folder = tmp_path / real.study / real.id
    assert fault(tmp_path, real) == f"{folder}: its seeds were {words}"


def test_an_edit_with_an_old_date_judges_again(trained: Clone) -> None:
    claims = trained.folder / f"paper_repro/studies/{STUDY}/claims.yaml"
    verdicts = f"results/smoke/studies/{STUDY}/claims.csv"
    dry = ("--dry-run", "--cores", "1", verdicts, "--config", "tier=smoke", f"studies={STUDY}")
    trained.snakemake(*[word for word in dry if word != "--dry-run"])
    assert "Nothing to be done" in trained.snakemake(*dry)
    text = claims.read_text(encoding="utf-8")
    claims.write_text(text + "# edited\n", encoding="utf-8")
    os.utime(claims, (0, 0))  # as an unpacked archive or rsync leaves it
    output = trained.snakemake(*dry)
    claims.write_text(text, encoding="utf-8")
    assert f"rule claims_{STUDY}:" in output
    assert "rule train" not in output


def test_a_setting_that_is_changed_in_the_grid_trains_again(trained: Clone) -> None:
    grid = trained.folder / f"paper_repro/studies/{STUDY}/grid.yaml"
    assert not trained.planned(*SAME)
    text = grid.read_text(encoding="utf-8")
    grid.write_text(
        re.sub(r"(smoke:.*?draws: )\d+", r"\g<1>1077", text, flags=re.S), encoding="utf-8"
    )
    os.utime(grid, (0, 0))
    planned = trained.planned(*SAME)
    grid.write_text(text, encoding="utf-8")
    assert planned == set(copies(trained))


def test_damaged_copies_come_back_from_the_run_store_by_the_same_command(trained: Clone) -> None:
    before = contents(trained)
    hurt = dict(list(copies(trained).items())[: len(WAYS)])
    for way, folder in zip(WAYS, hurt.values(), strict=True):
        way(folder)
    assert set(hurt) <= trained.planned(*SAME)
    output = trained.snakemake(*SAME)
    assert contents(trained) == before
    assert output.count("; its job runs again\n") == len(hurt)
    assert "already trained" in output
    assert "  done  " not in output
    assert "Nothing to be done" in trained.snakemake(*SAME)


def test_a_seed_trained_by_edited_code_is_replaced_from_the_run_store(trained: Clone) -> None:
    before = contents(trained)
    one, copy = next(iter(copies(trained).items()))
    loop = trained.folder / "paper_repro/training/loop.py"
    text, times = loop.read_text(encoding="utf-8"), loop.stat()
    loop.write_text(text + "\nEDITED = True\n", encoding="utf-8")
    words = ("train", "--tier", "smoke", "--study", STUDY, "--cell", one)
    trained.run(sys.executable, "-m", "paper_repro", *words)
    loop.write_text(text, encoding="utf-8")
    os.utime(loop, ns=(times.st_atime_ns, times.st_mtime_ns))
    edited = json.loads((copy / "run.json").read_text())["run_id"]
    assert one in trained.planned(*SAME)
    output = trained.snakemake(*SAME)
    assert "already trained" in output
    assert "  done  " not in output
    assert contents(trained) == before
    assert json.loads((copy / "run.json").read_text())["run_id"] != edited
    assert "Nothing to be done" in trained.snakemake(*SAME)


def test_where_the_store_is_damaged_too_the_run_is_trained_again(trained: Clone) -> None:
    before = contents(trained)
    hurt = dict(list(copies(trained).items())[:4])
    for way, folder in zip(WAYS[2:], hurt.values(), strict=True):
        key = json.loads((folder / "run.json").read_text())["run_id"]
        (entry,) = (trained.folder / "runs").glob(f"*/{key}*")
        way(folder)
        way(entry)
    output = trained.snakemake(*SAME)
    assert contents(trained) == before
    assert output.count("; training again\n") == len(hurt)
    for id in copies(trained):
        assert (f"{id} seed 0  done" in output) == (id in hurt)
