"""Where real sets are looked for, and what a download leaves behind."""

from __future__ import annotations

import errno
import http.client
import lzma
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from paper_repro.data import real, search
from paper_repro.data.names import DATASETS
from paper_repro.errors import UserError
from tests.data.small_sets import HERE, real_set


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


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'gdown'"),
        http.client.IncompleteRead(b""),
        ValueError("unknown url type: 'proxy'"),
        TimeoutError(),
        lzma.LZMAError("Corrupt input data"),
    ],
)
def test_whatever_a_download_fails_of_is_one_line(monkeypatch, error):
    def fail(name: str, root: Path) -> None:
        raise error

    monkeypatch.setattr(search, "_fetch", fail)
    with pytest.raises(UserError, match="and the download failed") as caught:
        search.locate("mnist")
    assert (str(error) or type(error).__name__) in str(caught.value)


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


def test_what_else_lies_beside_a_download_stays(monkeypatch):
    Path("data/MNIST").mkdir(parents=True)
    Path("data/MNIST/mine.txt").touch()
    monkeypatch.setattr(search, "_fetch", lambda name, root: place(root))
    assert (search.locate("mnist") / "MNIST" / "raw").is_dir()
    assert Path("data/MNIST/mine.txt").is_file()


def test_what_a_killed_download_left_is_removed_by_the_next(monkeypatch):
    (Path("data") / ".MNIST-abc123").mkdir(parents=True)
    (Path("data") / ".celeba-abc123").mkdir()  # of another set, which may be on its way
    monkeypatch.setattr(search, "_fetch", lambda name, root: place(root))
    search.locate("mnist")
    left = sorted(path.name for path in Path("data").iterdir())
    assert left == [".MNIST.lock", ".celeba-abc123", "MNIST"]


def test_an_unfinished_folder_of_an_older_download_is_replaced(monkeypatch):
    Path("data/MNIST").mkdir(parents=True)
    monkeypatch.setattr(search, "_fetch", lambda name, root: place(root))
    assert (search.locate("mnist") / "MNIST" / "raw").is_dir()


WANTED = ("mnist", "color_mnist", "mnist_rotate")  # all made of the same files


def in_threads(names: tuple[str, ...]) -> list[Path]:
    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(search.locate, names))


def slow(calls: list[str]) -> Callable[[str, Path], None]:
    def fetch(name: str, root: Path) -> None:
        calls.append(name)
        time.sleep(0.2)
        (place(root) / "MNIST" / "raw" / "file").touch()

    return fetch


@pytest.mark.parametrize("names", [("mnist",) * 3, WANTED])
def test_jobs_that_want_the_same_files_download_them_once(monkeypatch, names):
    calls: list[str] = []
    monkeypatch.setattr(search, "_fetch", slow(calls))
    assert in_threads(names) == [Path("data")] * 3
    assert len(calls) == 1


def test_on_a_file_system_without_locks_the_first_download_to_end_is_kept(monkeypatch):
    def none(handle: object, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    calls: list[str] = []
    monkeypatch.setattr(search.fcntl, "flock", none)
    monkeypatch.setattr(search, "_fetch", slow(calls))
    assert in_threads(WANTED) == [Path("data")] * 3
    assert (Path("data") / "MNIST" / "raw" / "file").is_file()
    assert sorted(path.name for path in Path("data").iterdir()) == [".MNIST.lock", "MNIST"]


@pytest.mark.parametrize("key", ["data_dir", "variable"])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "is not a folder: it is not there"),
        (lambda path: path.touch(), "is not a folder: it is a file"),
        (lambda path: path.mkdir(), "is empty"),
        (lambda path: path.symlink_to("/gone"), "is not a folder: it is not there"),
    ],
)
def test_a_named_folder_that_cannot_hold_data_is_one_line_before_anything_trains(
    tmp_path, monkeypatch, key, make, words
):
    path = tmp_path / "named"
    make(path)
    if key == "variable":
        monkeypatch.setenv(search.VARIABLE, str(path))
    with pytest.raises(UserError) as caught:
        search.check([["mnist"]], path if key == "data_dir" else None)
    shown = "data_dir" if key == "data_dir" else "$PAPER_REPRO_DATA"
    assert str(caught.value).startswith(f"{shown}: {path} {words}")


def test_a_named_folder_that_may_not_be_read_is_one_line(tmp_path, monkeypatch):
    def denied(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(UserError, match=r"cannot be read .Permission denied."):
        search.check([["digits"]], tmp_path)


def test_sets_that_come_with_the_package_need_no_place_and_a_wrong_data_dir_is_named(
    tmp_path, monkeypatch
):
    monkeypatch.setenv(search.VARIABLE, str(tmp_path / "absent"))  # nobody looks there
    assert search.check([["digits"], ["curve", "curve_outliers"]]) == {}
    with pytest.raises(UserError, match=r"data_dir: .*absent"):
        search.check([["digits"]], tmp_path / "absent")


WITH_SIZES = [n for n, entry in DATASETS.items() if any(entry.get("holds", {}).values())]


def complete(root: Path, *names: str) -> Path:
    for name in names:
        folder = root / DATASETS[name]["folder"]
        folder.mkdir(parents=True, exist_ok=True)
        for file, size in DATASETS[name].get("holds", {}).items():
            (folder / file).touch()
            os.truncate(folder / file, size)
    return root


def test_what_can_be_had_is_told_with_its_place_before_anything_trains(tmp_path):
    root = complete(tmp_path / "here", "mnist", "celeba_half_64")
    runs = [["mnist", "fashion_mnist"], ["celeba_half_64"], ["color_mnist"], ["digits"]]
    assert search.check(runs, root) == {
        "mnist": root,
        "fashion_mnist": None,
        "celeba_half_64": root,
        "color_mnist": root,
    }
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", [n for n, entry in DATASETS.items() if entry["folder"]])
def test_a_set_that_cannot_be_had_is_one_line_before_anything_trains(name, tmp_path):
    with pytest.raises(UserError) as caught:
        search.check([["digits"], [name], ["mnist"]], other(tmp_path), download=False)
    assert f"dataset {name}: no {DATASETS[name]['folder']} in {tmp_path}" in str(caught.value)
    assert ("(nor can mnist be had)" in str(caught.value)) == (name != "mnist")
    if name in search.TORCHVISION:
        assert search.check([[name]], tmp_path) == {name: None}
    else:
        with pytest.raises(UserError, match="it cannot be downloaded"):
            search.check([[name]], tmp_path)


@pytest.mark.parametrize("name", [n for n, entry in DATASETS.items() if entry.get("holds")])
def test_half_a_set_is_named_before_anything_trains(name, tmp_path):
    complete(tmp_path, name)
    assert search.check([[name]], tmp_path, download=False) == {name: tmp_path}
    file = tmp_path / DATASETS[name]["folder"] / list(DATASETS[name]["holds"])[-1]
    file.rename(Path(f"{file}.gz"))
    assert search.check([[name]], tmp_path, download=False) == {name: tmp_path}
    Path(f"{file}.gz").unlink()
    with pytest.raises(UserError) as caught:
        search.check([[name]], tmp_path)
    assert f"dataset {name}: {file}: missing; remove it and" in str(caught.value)


@pytest.mark.parametrize("name", ["mnist", "color_mnist", "cifar10"])
@pytest.mark.parametrize("change", [-1, 1, -7_000_000])
def test_a_file_of_another_size_is_named_before_anything_trains(name, change, tmp_path):
    complete(tmp_path, name)
    file, size = list(DATASETS[name]["holds"].items())[-1]
    path = tmp_path / DATASETS[name]["folder"] / file
    os.truncate(path, size + change)
    with pytest.raises(UserError) as caught:
        search.check([[name]], tmp_path)
    assert f"dataset {name}: {path}: {size + change} bytes, expected {size}; " in str(caught.value)


@pytest.mark.parametrize("name", [pytest.param(n, marks=real_set(n)) for n in WITH_SIZES])
def test_the_sizes_looked_for_are_those_of_the_real_files(name):
    assert search.check([[name]], HERE, download=False) == {name: HERE}


def test_files_that_the_readers_of_fixed_sets_open_are_those_looked_for():
    for name, files in real.FILES.items():
        assert set(DATASETS[name]["holds"]) == set(files)
    for name in ("color_mnist", "mnist_rotate"):
        assert DATASETS[name]["holds"] == DATASETS["mnist"]["holds"]


@pytest.mark.parametrize("deep", ["MNIST", "MNIST/raw"])
def test_who_names_the_sets_own_folder_is_told_what_to_name(tmp_path, deep):
    root = complete(tmp_path / "here", "mnist")
    with pytest.raises(UserError) as caught:
        search.check([["mnist"]], root / deep, download=False)
    assert str(caught.value).endswith(f"; {root} holds it")


def test_two_sets_of_a_run_that_lie_apart_are_named_before_anything_trains(tmp_path, monkeypatch):
    one = complete(tmp_path / "one", "fashion_mnist")
    monkeypatch.setenv(search.VARIABLE, str(complete(tmp_path / "two", "mnist")))
    apart = [["fashion_mnist"], ["mnist"]]
    assert search.check(apart, one) == {"fashion_mnist": one, "mnist": tmp_path / "two"}
    with pytest.raises(UserError, match="put them into one folder"):
        search.check([*apart, ["fashion_mnist", "mnist"]], one)


def test_looking_for_data_imports_neither_torch_nor_numpy():
    code = (
        "import sys; from paper_repro.data import names, search;"
        "search.check([['digits']]); names.memory_mib('mnist');"
        "sys.exit(str({'torch', 'torchvision', 'numpy', 'PIL'} & set(sys.modules) or ''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(search.__file__).parents[2],
    )
    assert not done.stderr.strip(), done.stderr


def test_torchvision_knows_every_set_that_is_said_to_be_downloadable():
    import inspect

    from torchvision import datasets

    for name, (kind, calls) in search.TORCHVISION.items():
        known = getattr(datasets, kind)
        for options in calls:
            assert {"root", "download", *options} <= set(inspect.signature(known).parameters)
        folder = getattr(known, "folder", None) or getattr(known, "base_folder", None) or kind
        assert Path(DATASETS[name]["folder"]).parts[0] == folder
