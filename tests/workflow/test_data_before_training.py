"""Data sets that cannot be had stop the workflow with one line, before anything trains."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from paper_repro import grid
from paper_repro.data import search
from paper_repro.workflow import require_data
from tests.workflow.conftest import Clone


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no data named by the shell."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(search.VARIABLE, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("study", "data_dir", "download", "words"),
    [
        ("infinite_gradients", "", True, "dataset celeba_half_64: no celeba-half in ./data, and"),
        ("sticking_the_landing", "", False, "dataset mnist: no MNIST/raw in ./data"),
        ("sticking_the_landing", "empty", True, "data_dir: empty is empty"),
        ("conformance", "gone", True, "data_dir: gone is not a folder"),
    ],
)
def test_jobs_whose_data_cannot_be_had_are_refused_in_one_line(
    elsewhere: Path,
    capsys: pytest.CaptureFixture[str],
    study: str,
    data_dir: str,
    download: bool,
    words: str,
) -> None:
    Path("empty").mkdir()
    cells = grid.expand(study, "reduced")
    with pytest.raises(SystemExit, match="2"):
        require_data(cells, {"data_dir": data_dir, "download": download})
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_a_set_that_can_be_downloaded_is_no_mistake(elsewhere: Path) -> None:
    cells = grid.expand("sticking_the_landing", "reduced")
    require_data(cells, {"data_dir": "", "download": True})
    assert not list(elsewhere.iterdir())


def test_snakemake_refuses_what_would_train_without_its_data_and_nothing_else(
    clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(search.VARIABLE, raising=False)
    config = ("--config", "tier=reduced", "studies=infinite_gradients,sticking_the_landing")
    output = clone.snakemake("-n", *config, ok=False)
    (line,) = [line for line in output.splitlines() if "celeba-half" in line]
    assert line.startswith("paper_repro: dataset celeba_half_64: no celeba-half in ./data, and it ")
    clone.snakemake("-n", "sticking_the_landing", *config)  # whose data can be downloaded
    clone.snakemake("-n", "fetch", *config)
    cells = grid.expand("infinite_gradients", "reduced")
    try:
        for cell in cells:  # trained where the data were: drawn anew without them
            if "celeba_half_64" in cell.datasets:
                (clone.folder / "results/reduced/runs/infinite_gradients" / cell.id).mkdir(
                    parents=True
                )
        clone.snakemake("-n", *config, "--rerun-triggers", "mtime")
    finally:
        shutil.rmtree(clone.folder / "results/reduced")
