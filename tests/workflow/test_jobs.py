"""How the cells of a tier are shared out among training jobs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from paper_repro import catalogue, cli, grid
from paper_repro.cell import Cell
from paper_repro.errors import UserError
from paper_repro.training import run
from paper_repro.workflow import cell_of, gpus, memory_mb, minutes, source_runs, training_jobs
from tests.workflow.conftest import Clone

CELLS = [("a", f"a{i}") for i in range(13)] + [("b", "b0")]
GRID = ("--study=sticking_the_landing", "--tier=smoke")


def test_every_cell_trains_in_one_job_of_its_study_in_the_order_of_the_grid() -> None:
    jobs = training_jobs(CELLS, 5, "runs")
    assert [cell_of(folder) for folders in jobs.values() for folder in folders] == CELLS
    assert list(jobs) == ["train_a_1", "train_a_2", "train_a_3", "train_b_1"]
    assert all(folder.startswith(f"runs/{job[6]}/") for job in jobs for folder in jobs[job])


def test_jobs_of_a_study_differ_by_one_cell_at_most_and_hold_no_more_than_allowed() -> None:
    for allowed in range(2, 15):
        sizes = [len(folders) for job, folders in training_jobs(CELLS, allowed, "").items()]
        assert max(sizes) <= allowed
        assert max(sizes[:-1]) - min(sizes[:-1]) <= 1  # the last is study b's


def test_a_job_waits_for_the_cells_of_other_jobs_that_hand_it_a_number() -> None:
    def cell(id: str, giver: str = "") -> Cell:
        handed = {"gamma": {"of": "e", "cell": giver}} if giver else {}
        return Cell("a", "e", id, "smoke", "t", handed)

    cells = [cell("a"), cell("b", "a"), cell("c", "z"), cell("d", "z"), cell("e", "y")]
    assert source_runs(cells, "runs") == ["runs/a/y", "runs/a/z"]
    assert source_runs(cells[:2], "runs") == []


def test_one_cell_a_job_is_one_rule_with_wildcards() -> None:
    assert training_jobs(CELLS, 1, "runs") == {"train": ["runs/{study}/{cell}"]}


@pytest.mark.parametrize(
    ("error", "said"),
    [(UserError("no such data"), "{cell}: no such data"), (ValueError("NaN"), "while training")],
)
def test_an_error_names_the_cell_of_the_job_it_is_about(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second, *_ = [cell.id for cell in grid.expand("sticking_the_landing", "smoke")]

    def train_cell(cell: Cell, *_: object, **__: object) -> None:
        if cell.id == second:
            raise error

    monkeypatch.setattr(run, "train_cell", train_cell)
    args = cli.parser().parse_args(["train", *GRID, "--cell", first, second])
    with pytest.raises(type(error)) as caught:
        args.function(args)
    shown = [str(caught.value), *getattr(caught.value, "__notes__", [])]
    assert any(said.format(cell=second) in line and second in line for line in shown)


def test_a_cell_that_the_grid_lacks_is_named() -> None:
    first = grid.expand("sticking_the_landing", "smoke")[0].id
    args = cli.parser().parse_args(["train", *GRID, "--cell", first, "absent"])
    with pytest.raises(UserError, match="'absent' is not in sticking_the_landing"):
        args.function(args)


@pytest.mark.parametrize(
    ("device", "cluster", "here", "asked"),
    [
        ("cpu", False, True, 0),
        ("cpu", True, True, 0),
        ("cuda", False, False, 1),
        ("cuda", True, False, 1),
        ("auto", False, False, 0),
        ("auto", False, True, 1),
        ("auto", True, False, 1),  # a login node without a GPU says nothing of the others
    ],
)
def test_a_job_asks_for_a_gpu_by_its_device(
    device: str, cluster: bool, here: bool, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: here)
    assert gpus(device, cluster) == asked


def test_a_job_asks_for_the_memory_of_its_largest_data_set_and_for_more_after_a_failure() -> None:
    def cell(*datasets: str) -> Cell:
        named = dict(zip(("dataset", "outliers"), datasets, strict=False))
        return Cell("a", "e", "id", "paper", "t", named)

    small = memory_mb([cell("digits"), cell()], 1)
    mnist, celeba = memory_mb([cell("mnist")], 1), memory_mb([cell("celeba128")], 1)
    # the largest processes of the published runs: 0.8 GB with embedded data, 4.2 GB with real ones
    assert 900 < small < 2000
    assert 4300 < mnist < 6000
    assert celeba > 202_599 * 3 * 128 * 128 / 1e6 + 4300
    assert memory_mb([cell("digits"), cell("celeba128"), cell("mnist")], 1) == celeba
    assert memory_mb([cell("mnist", "celeba128")], 1) > celeba
    assert memory_mb([cell("mnist")], 3) >= 2 * mnist
    assert minutes("paper", 2) > minutes("paper", 1)


def test_every_tier_that_trains_has_a_time_limit_and_every_cell_a_memory_of_its_own() -> None:
    for tier in grid.TIERS:
        assert minutes(tier, 1) > 0
        for study in grid.study_names():
            assert all(memory_mb([cell], 1) >= 1500 for cell in grid.expand(study, tier))


def test_the_plan_counts_the_cells_it_is_given() -> None:
    cells = grid.expand("conformance", "smoke", 1)
    *experiments, total = catalogue.summary(cells, "smoke")
    assert all(line.startswith("conformance/") for line in experiments)
    assert total == f"tier smoke: {len(cells)} runs, 0 training steps"


def test_a_packed_job_asks_for_its_gpu_and_nothing_else_asks_for_any(clone: Clone) -> None:
    config = ("--config", "tier=smoke", "studies=conformance", "device=cuda")
    output = clone.snakemake("--dry-run", "--cores=2", *config)
    asked = dict(re.findall(r"^rule (\w+):\n(?:    .*\n)*?    resources: (.*)$", output, re.M))
    assert "gpu=1, runtime=20, mem_mb=1500" in asked.pop("train_conformance_1")
    assert len(asked) > 5
    assert not any("gpu" in text for text in asked.values())
