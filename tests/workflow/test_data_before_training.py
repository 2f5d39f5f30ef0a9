"""Data sets that cannot be had stop the workflow with one line, before anything trains."""

from __future__ import annotations

from pathlib import Path

import pytest

from paper_repro.data import search
from paper_repro.workflow import load_cells

CELEBA = "dataset celeba_half_64: no celeba-half in "


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(search.VARIABLE, raising=False)


def asked(**changes: object) -> dict[str, object]:
    return {"tier": "reduced", "studies": "infinite_gradients", **changes}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (asked(), f"{CELEBA}./data, and it cannot be downloaded"),
        (asked(studies="sticking_the_landing", download=False), "dataset mnist: no MNIST/raw in "),
        (asked(data_dir="empty"), "data_dir: empty is empty"),
        ({"tier": "smoke", "data_dir": "/gone"}, "config.data_dir: '/gone' is not a folder"),
    ],
)
def test_a_set_that_cannot_be_had_is_one_line_when_the_dag_is_built(
    config: dict[str, object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    with pytest.raises(SystemExit, match="2"):
        load_cells(config)
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_a_set_that_can_be_downloaded_is_no_mistake() -> None:
    assert load_cells(asked(studies="sticking_the_landing"))
    assert not Path("data").exists()


def test_who_has_trained_draws_anew_without_the_data() -> None:
    Path("celeba-half").mkdir()
    cells = load_cells(asked(data_dir="."))
    Path("celeba-half").rmdir()
    for study, cell in cells:
        Path("results/reduced/runs", study, cell).mkdir(parents=True)
    assert load_cells(asked()).keys() == cells.keys()
    Path("results/reduced/runs", *next(p for p in cells if "celeba" in p[1])).rmdir()
    with pytest.raises(SystemExit, match="2"):
        load_cells(asked())
