"""The command that brings a tier's data sets to where training looks for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paper_repro import cli, grid
from paper_repro.data import search
from paper_repro.data.names import DATASETS
from tests.data.small_sets import TEST, TRAIN, idx, publish


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> None:
    """An empty working directory, and no network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(search.VARIABLE, raising=False)

    def fail(name: str, root: Path) -> None:
        raise OSError("no network")

    monkeypatch.setattr(search, "_fetch", fail)


@pytest.fixture
def small(tmp_path, monkeypatch) -> Path:
    """A data directory with a small MNIST and a small Fashion-MNIST."""
    images = np.random.default_rng(0).integers(0, 256, (15, 28, 28), dtype=np.uint8)
    for name in ("mnist", "fashion_mnist"):
        folder = tmp_path / "here" / DATASETS[name]["folder"]
        folder.mkdir(parents=True)
        files = {TRAIN: (12, idx(images[:12])), TEST: (3, idx(images[12:]))}
        publish(monkeypatch, name, files)
        for file, (_, content) in files.items():
            (folder / file).write_bytes(content)
    return tmp_path / "here"


def asked_for(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let every study's cells name these sets."""
    (cell, *_) = grid.expand("sticking_the_landing", "smoke")
    cells = [type(cell)(**{**vars(cell), "params": {"dataset": name}}) for name in names]
    monkeypatch.setattr(grid, "expand", lambda study, tier, max_seeds=None: cells)


def test_every_set_of_a_tier_is_read_and_told_with_its_images_and_place(small, monkeypatch, capsys):
    asked_for(monkeypatch, "mnist", "digits", "fashion_mnist", "mnist")
    assert cli.main(["fetch", "--tier", "reduced", "--data-dir", str(small)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        [name, "15", "images", "from", str(small)] for name in ("mnist", "fashion_mnist")
    ]


def test_a_set_that_cannot_be_had_is_a_line_and_the_others_are_read_all_the_same(
    small, monkeypatch, capsys
):
    asked_for(monkeypatch, "omniglot", "celeba_half_64", "mnist", "fashion_mnist")
    broken = small / DATASETS["mnist"]["folder"] / TEST
    broken.write_bytes(broken.read_bytes()[:-9])
    assert cli.main(["fetch", "--tier", "reduced", "--data-dir", str(small)]) == 2
    printed = capsys.readouterr()
    omniglot, celeba, mnist, fashion = printed.out.splitlines()
    assert "cannot be had: dataset omniglot: " in omniglot
    assert "the download failed (no network)" in omniglot
    assert "it cannot be downloaded" in celeba
    assert f"{broken}: 2359 bytes, expected 2368" in mnist
    assert "15 images" in fashion
    assert "3 of 4 data sets cannot be had: omniglot, celeba_half_64, mnist" in printed.err


@pytest.mark.parametrize(("count", "words"), [(1, "1 image is"), (3, "3 images are")])
def test_the_line_that_stops_fetch_says_why_a_set_cannot_be_had(
    small, monkeypatch, capsys, count, words
):
    asked_for(monkeypatch, "mnist", "celeba_half_64")
    folder = small / DATASETS["celeba_half_64"]["folder"]
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (89, 109)).save(folder / f"{number}.png")
    assert cli.main(["fetch", "--tier", "reduced", "--data-dir", str(small)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "1 of 2 data sets cannot be had: celeba_half_64; dataset celeba_half_64: " in error
    assert f"{words} too few to split into train, validation, test" in error


def test_what_is_downloaded_lies_where_training_looks_for_it(small, monkeypatch, capsys, tmp_path):
    calls = []

    def download(name: str, root: Path) -> None:
        calls.append(name)
        folder = root / DATASETS[name]["folder"]
        folder.parent.mkdir(parents=True)
        (small / DATASETS[name]["folder"]).rename(folder)

    monkeypatch.setattr(search, "_fetch", download)
    asked_for(monkeypatch, "mnist")
    for _ in range(2):
        assert cli.main(["fetch", "--tier", "reduced", "--study", "sticking_the_landing"]) == 0
    assert calls == ["mnist"]
    assert search.locate("mnist", download=False) == Path("data")


def test_a_tier_of_embedded_sets_needs_nothing(capsys):
    assert cli.main(["fetch", "--tier", "smoke"]) == 0
    assert "nothing to fetch" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tier", "big"], "'big' is not one of smoke, quick, reduced, paper"),
        (["--tier", "smoke", "--study", "nope"], "'nope' is not one of"),
    ],
)
def test_an_unknown_tier_or_study_is_one_line(capsys, arguments, words):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["fetch", *arguments])
    assert words in capsys.readouterr().err
