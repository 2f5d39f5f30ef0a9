"""Where real sets are looked for, and what a download leaves behind."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from paper_repro.data import search
from paper_repro.data.names import DATASETS
from paper_repro.errors import UserError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> None:
    """No real data and no network: an empty working directory, and a download that must not be."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(search.VARIABLE, raising=False)

    def refuse(name: str, root: Path) -> None:
        raise AssertionError(f"{name} would be downloaded")

    monkeypatch.setattr(search, "_fetch", refuse)


def place(root: Path) -> Path:
    (root / "MNIST" / "raw").mkdir(parents=True)
    return root


def other(root: Path) -> Path:
    """A folder that holds something, and no data set."""
    (root / "something").touch()
    return root


def test_data_dir_comes_before_the_variable_and_that_before_data(tmp_path, monkeypatch):
    setting, variable = place(tmp_path / "setting"), place(tmp_path / "variable")
    place(tmp_path / "data")
    assert search.locate("mnist") == Path("data")
    monkeypatch.setenv(search.VARIABLE, str(variable))
    assert search.locate("mnist") == variable
    assert search.locate("mnist", setting) == setting


def test_a_folder_without_the_set_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "setting" / "FashionMNIST").mkdir(parents=True)
    monkeypatch.setenv(search.VARIABLE, str(place(tmp_path / "variable")))
    assert search.locate("mnist", tmp_path / "setting") == tmp_path / "variable"


def test_a_broken_set_is_reported_and_not_passed_over(tmp_path, monkeypatch):
    from paper_repro.data.catalogue import load

    place(tmp_path / "data")
    with pytest.raises(UserError, match=r"dataset mnist: setting/MNIST/raw/train.*: missing"):
        load("mnist", place(Path("setting")))


@pytest.mark.parametrize("key", ["data_dir", "variable"])
def test_a_named_folder_that_does_not_exist_is_an_error(tmp_path, monkeypatch, key):
    place(tmp_path / "data")
    absent = tmp_path / "absent"
    if key == "variable":
        monkeypatch.setenv(search.VARIABLE, str(absent))
    with pytest.raises(UserError, match="absent is not a folder") as caught:
        search.locate("mnist", absent if key == "data_dir" else None)
    assert str(caught.value).startswith("data_dir" if key == "data_dir" else "$PAPER_REPRO_DATA")


@pytest.mark.parametrize("name", [n for n, entry in DATASETS.items() if entry["folder"]])
def test_without_leave_to_download_a_missing_set_is_one_line_with_the_remedy(name, tmp_path):
    with pytest.raises(UserError) as caught:
        search.locate(name, other(tmp_path), download=False)
    message = str(caught.value)
    assert f"dataset {name}: no {DATASETS[name]['folder']} in {tmp_path}, ./data" in message
    assert "data_dir=... or $PAPER_REPRO_DATA" in message
    assert "\n" not in message
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["imagenet32", "tiny_imagenet32"])
def test_a_set_without_a_public_download_says_so(name):
    with pytest.raises(UserError, match="it cannot be downloaded"):
        search.locate(name, download=True)


def test_a_download_goes_into_data_once(monkeypatch):
    calls = []
    monkeypatch.setattr(search, "_fetch", lambda name, root: calls.append(place(root)))
    assert search.locate("mnist") == Path("data")
    assert search.locate("mnist") == Path("data")
    assert len(calls) == 1
    assert sorted(p.name for p in Path("data").iterdir()) == [".MNIST.lock", "MNIST"]


def test_a_failed_download_leaves_nothing_behind_and_is_one_line(monkeypatch):
    def fail(name: str, root: Path) -> None:
        place(root)  # half of the files are there
        raise RuntimeError(
            "Error downloading train-images:\nTried https://a, got:\n<urlopen error>"
        )

    monkeypatch.setattr(search, "_fetch", fail)
    with pytest.raises(UserError, match="Error downloading train-images: Tried") as caught:
        search.locate("mnist")
    assert "\n" not in str(caught.value)
    assert "data_dir=..." in str(caught.value)
    assert [p.name for p in Path("data").iterdir()] == [".MNIST.lock"]


def test_an_unfinished_folder_of_an_older_download_is_replaced(monkeypatch):
    Path("data/MNIST").mkdir(parents=True)
    monkeypatch.setattr(search, "_fetch", lambda name, root: place(root))
    assert (search.locate("mnist") / "MNIST" / "raw").is_dir()


def test_two_jobs_that_want_the_same_set_download_it_once(monkeypatch):
    calls, found = [], []

    def slow(name: str, root: Path) -> None:
        calls.append(name)
        time.sleep(0.2)
        place(root)

    monkeypatch.setattr(search, "_fetch", slow)
    jobs = [threading.Thread(target=lambda: found.append(search.locate("mnist"))) for _ in range(3)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert calls == ["mnist"]
    assert found == [Path("data")] * 3


def test_torchvision_knows_every_set_that_is_said_to_be_downloadable():
    import inspect

    from torchvision import datasets

    for name, (kind, calls) in search.TORCHVISION.items():
        known = getattr(datasets, kind)
        for options in calls:
            assert {"root", "download", *options} <= set(inspect.signature(known).parameters)
        folder = getattr(known, "folder", None) or getattr(known, "base_folder", None) or kind
        assert Path(DATASETS[name]["folder"]).parts[0] == folder
