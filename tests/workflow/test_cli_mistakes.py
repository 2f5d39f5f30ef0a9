"""The command line: a mistake is one line and status 2 before any work, and no traceback."""

from __future__ import annotations

import argparse
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from paper_repro import __version__, arguments, cli
from tests.workflow.conftest import ROOT

TRAIN = "train --tier smoke --study sticking_the_landing --cell gaussian_fit-total-adam"
WRONG = [
    ("trian", "command: 'trian' is not one of ", "did you mean 'train'?"),
    ("plan", "the following arguments are required: --tier", ""),
    ("plan --tier quik", "--tier: 'quik' is not one of smoke, quick", "did you mean 'quick'?"),
    ("plan --tier smoke --study stl", "study: 'stl' is not one of ", ""),
    ("plan --tier smoke --studdy x", "unrecognized arguments: --studdy x", ""),
    ("plan --tier smoke --study taming_vaes --study conformance", "--study: is given twice", ""),
    (f"{TRAIN} --threads 1 --threads=2", "--threads: is given twice", ""),
    (f"{TRAIN} --out new --out new2", "--out: is given twice", ""),
    ("join --out x.csv --out y.csv x", "--out: is given twice", ""),
    (f"{TRAIN}x", "cell: 'gaussian_fit-total-adamx' is not in", "mean 'gaussian_fit-total-adam'?"),
    (f"{TRAIN} --seeds -3", "--seeds: '-3' is not a whole number from 0 to 10000", ""),
    (f"{TRAIN} --seeds 1.0", "--seeds: '1.0' is not a whole number", ""),
    (f"{TRAIN} --seed -1", "--seed: '-1' is not a whole number", ""),
    (f"{TRAIN} --threads 0", "--threads: '0' is not a whole number from 1 to 1024", ""),
    (f"{TRAIN} --threads two", "--threads: 'two' is not a whole number", ""),
    (f"{TRAIN} --device cud", "--device: 'cud' is not one of auto, cpu, cuda", "mean 'cuda'?"),
    (f"{TRAIN} --data-dir nope", "--data-dir: 'nope' is not a folder", ""),
    (f"{TRAIN} --out file", "--out: 'file' is not a folder", ""),
    (f"{TRAIN} --out file/x", "--out: 'file' is not a folder", ""),
    (f"{TRAIN} --out=", "--out: '' is no path", ""),
    (f"{TRAIN} --store=", "--store: '' is no path", ""),
    (f"{TRAIN} --data-dir=", "--data-dir: '' is no path", ""),
    (f"{TRAIN} --log=", "--log: '' is no path", ""),
    ("import --published= file", "--published: '' is no path", ""),
    (f"{TRAIN} --store file", "--store: 'file' is not a folder", ""),
    (f"{TRAIN} --log folder", "--log: 'folder' is a folder; name a file", ""),
    (f"{TRAIN} --log file/x", "--log: 'file' is not a folder", ""),
    (f"{TRAIN} --cell other --out new", "--out: is the folder of one cell", ""),
    (f"{TRAIN} other --out new", "--out: is the folder of one cell, but several are named", ""),
    ("figures --study nope --results . --out x", "--study: 'nope' is not one of", ""),
    ("tables --study ../x --results . --out x", "--study: '../x' is not one of", ""),
    ("figures --study conformance --results nope --out x", "--results: 'nope' is not a", ""),
    ("figures --study conformance --results . --out x", "metrics.csv: not there", ""),
    ("tables --study conformance --results . --out file", "--out: 'file' is not a folder", ""),
    ("claims --study conformance --results . --out folder", "'folder' is a folder; name", ""),
    ("join --out x.csv nope.csv", "files: 'nope.csv' is not a file", ""),
    ("join --out x.csv file", "files: 'file' is empty", ""),
    ("collect --tier smoke --study conformance --runs no --out x", "--runs: 'no' is not a", ""),
    ("manifest --figures nope --out x.json", "--figures: 'nope' is not a folder", ""),
    ("report --results nope --figures . --out x.html", "--results: 'nope' is not a folder", ""),
    ("readme", "--claims: 'results/published/claims.csv' is not a file", ""),
    ("readme --clone nope", "--clone: 'nope' is not a folder", ""),
    ("export --results nope --out x.zip", "--results: 'nope' is not a folder", ""),
    ("export --results . --out metrics.csv", "--out: 'metrics.csv' does not end in .zip", ""),
    ("export --results . --out new/", "--out: 'new/' does not end in .zip", ""),
    ("import nope.zip", "source: 'nope.zip' is not a file", ""),
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an empty `file` and an empty `folder`, to work in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(("words", "message", "hint"), WRONG)
def test_a_mistake_is_one_line_and_status_2_before_any_work(
    place: Path, capsys: pytest.CaptureFixture[str], words: str, message: str, hint: str
) -> None:
    try:
        status = cli.main(words.split())
    except SystemExit as left:  # argparse's way
        status = left.code  # type: ignore[assignment]
    out, line = capsys.readouterr()
    assert (status, out) == (2, "")
    assert line.startswith("paper_repro: ")
    assert line.count("\n") == 1
    assert message in line
    assert hint in line
    assert sorted(path.name for path in place.iterdir()) == ["file", "folder"]


def run(
    *words: str, python: tuple[str, ...] = (), redirect: str = ""
) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, behind a shell that may redirect its output."""
    whole = [sys.executable, *python, "-m", "paper_repro", *words]
    return subprocess.run(
        ["bash", "-c", f'"$@" {redirect}', "bash", *whole],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("words", [TRAIN, "fetch --tier smoke --study conformance"])
def test_an_environment_that_torch_refuses_is_one_line(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)  # of a torch in this process
    monkeypatch.setenv("TORCH_LOGS", "nonsense")
    if words == TRAIN:
        words += f" --store {tmp_path / 'store'} --out {tmp_path / 'out'}"
    done = run(*words.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("paper_repro: torch: cannot be imported (Invalid log settings:")
    assert "; correct or unset TORCH_LOGS" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_without_a_command_the_help_is_printed() -> None:
    done = run()
    assert done.returncode == 0
    assert "train" in done.stdout
    assert done.stderr == ""


def test_the_version_is_printed() -> None:
    assert run("--version").stdout == f"{__version__}\n"


def test_a_reader_that_leaves_is_no_error() -> None:
    done = run("list", redirect='| head -n 1; exit "${PIPESTATUS[0]}"')
    assert done.stdout == "estimators:\n"
    assert done.stderr == ""
    assert done.returncode in (0, 141)  # 0 where all was written before the reader left


def test_a_closed_reader_is_met_without_a_traceback() -> None:
    done = run("list", redirect='> >(exec 0<&-; sleep 1); exit "$?"')
    assert done.stderr == ""
    assert done.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line() -> None:
    done = run("list", redirect="> /dev/full")
    assert done.returncode == 2
    assert done.stderr == "paper_repro: No space left on device\n"


def test_a_path_that_turns_out_wrong_is_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(args: object) -> None:
        (place / "file" / "below").read_text()

    monkeypatch.setattr(cli, "list_", refuse)
    assert cli.main(["list"]) == 2
    line = capsys.readouterr().err
    assert line == f"paper_repro: {place / 'file' / 'below'}: Not a directory\n"


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "list_", lambda args: {}["ours"])
    with pytest.raises(KeyError):
        cli.main(["list"])


@pytest.mark.parametrize("words", ["list", "plan --tier smoke", "-h", "train -h"])
def test_every_command_works_without_docstrings(words: str) -> None:
    done = run(*words.split(), python=("-OO",))
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_an_interrupt_is_one_line_and_status_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "list_", wait)
    assert cli.main(["list"]) == 130
    assert capsys.readouterr().err == "paper_repro: interrupted; the same command goes on\n"
    monkeypatch.setattr(cli, "main", wait)  # while Python still imports
    with pytest.raises(SystemExit, match="130"):
        runpy.run_module("paper_repro", run_name="__main__")


def test_names_of_cells_are_printed_and_are_those_to_train() -> None:
    done = run(*["plan", "--tier", "smoke", "--study", "sticking_the_landing", "--cells"])
    assert "gaussian_fit-total-adam" in done.stdout.splitlines()


def test_several_studies_may_be_named_by_one_option_or_by_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def fetch(args: argparse.Namespace) -> None:
        seen.append(args.study)

    monkeypatch.setattr(cli, "fetch", fetch)
    studies = ["taming_vaes", "conformance"]
    assert cli.main(["fetch", "--tier", "smoke", "--study", *studies]) == 0
    assert cli.main(["fetch", "--tier", "smoke", *(f"--study={name}" for name in studies)]) == 0
    assert seen == [studies, studies]


@pytest.mark.parametrize(("text", "ok"), [("0", True), ("7", True), ("8", False), ("+1", False),
                                          ("", False), ("1e3", False), ("0x1", False)])  # fmt: skip
def test_a_whole_number_is_read_in_its_range_alone(text: str, ok: bool) -> None:
    read = arguments.whole(0, 7)
    if ok:
        assert read(text) == int(text)
    else:
        with pytest.raises(arguments.argparse.ArgumentTypeError):
            read(text)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused_before_any_work(place: Path) -> None:
    (place / "folder").chmod(0o500)
    with pytest.raises(arguments.argparse.ArgumentTypeError, match="cannot be written to"):
        arguments.folder_to_write("folder/new")
