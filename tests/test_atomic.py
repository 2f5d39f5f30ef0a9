"""Files on disks that are full, closed, or know less than a local one."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paper_repro import atomic, cli
from paper_repro.errors import UserError
from tests.training import problems

REPOSITORY = Path(__file__).parents[1]
UNKNOWN = [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS]  # what a file system answers that has no such


@pytest.fixture(autouse=True)
def _nothing_said_yet() -> None:
    atomic._warn.cache_clear()


def refusing(number: int, only: Callable[..., bool] = lambda *_: True) -> Callable[..., Any]:
    """A system call that fails with this error where `only` says so of its arguments."""

    def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
        def refused(*arguments: Any) -> Any:
            if only(*arguments):
                raise OSError(number, os.strerror(number))
            return call(*arguments)

        return refused

    return wrap


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_failed_write_is_one_line_and_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "folder" / "metrics.csv"
    atomic.write_text(path, "old\n")
    monkeypatch.setattr(os, "fsync", refusing(number)(os.fsync))
    with pytest.raises(UserError, match=r"folder/metrics\.csv: cannot be written \(") as caught:
        atomic.write_text(path, "new\n")
    assert os.strerror(number) in str(caught.value)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert path.read_text() == "old\n"
    assert list(path.parent.iterdir()) == [path]
    atomic.write_text(path, "nëw\n")
    assert path.read_bytes() == "nëw\n".encode()


@pytest.mark.parametrize("number", UNKNOWN)
def test_where_nothing_can_be_synced_files_are_written_with_one_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
) -> None:
    monkeypatch.setattr(os, "fsync", refusing(number)(os.fsync))
    for i in range(3):
        atomic.write_text(tmp_path / f"{i}", "text")
    assert {path.read_text() for path in tmp_path.iterdir()} == {"text"}
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("paper_repro: warning: the file system does not sync (")


def test_where_folders_cannot_be_opened_files_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = refusing(errno.EACCES, lambda path, flags: path == tmp_path)
    monkeypatch.setattr(os, "open", folder(os.open))
    atomic.write_text(tmp_path / "a", "text")
    assert (tmp_path / "a").read_text() == "text"


@pytest.mark.parametrize("number", [errno.EEXIST, errno.EPERM, errno.EACCES])
def test_where_a_file_cannot_be_replaced_it_goes_first(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
) -> None:
    there = refusing(number, lambda source, target: Path(target).exists())
    monkeypatch.setattr(os, "replace", there(os.replace))
    for text in ("first", "second", "third"):
        atomic.write_text(tmp_path / "a", text)
        assert (tmp_path / "a").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert capsys.readouterr().err.count("does not replace files") == 1


@pytest.mark.parametrize("number", [errno.ENOLCK, *UNKNOWN])
def test_without_locks_a_run_trains_with_one_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(number)(fcntl.flock))
    out = problems.train(problems.cell(seeds=(0, 1)), tmp_path)
    lines = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(lines) == 1
    assert "the file system has no locks (" in lines[0]
    monkeypatch.undo()
    whole = problems.train(problems.cell(seeds=(0, 1)), tmp_path / "whole")
    assert problems.metrics(out, 1) == problems.metrics(whole, 1)


def test_without_locks_the_files_of_another_writer_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(errno.ENOLCK)(fcntl.flock))
    from paper_repro.training.store import Entry

    entry = Entry(tmp_path)
    other = tmp_path / f".checkpoint.pt.elsewhere.1{atomic.TEMPORARY}"
    other.write_bytes(b"half")
    with entry.locked(lambda: None):
        assert other.exists()
    monkeypatch.undo()
    with entry.locked(lambda: None):
        assert not other.exists()


@pytest.mark.parametrize("kind", ["store", "out", "log"])
def test_a_file_where_a_folder_should_be_is_one_line_before_anything_trains(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    paths = {name: tmp_path / "fine" / name for name in ("store", "out", "log")}
    paths[kind] = tmp_path / "file" / "below"
    with pytest.raises(SystemExit) as left:
        _train(paths)
    assert left.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"'{tmp_path}/file' is not a folder" in line
    with pytest.raises(UserError, match=rf"{tmp_path}/file/below: cannot be written \("):
        atomic.folder(paths[kind])


def test_a_disk_that_fills_while_training_is_one_line_and_what_was_saved_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, written = problems.cell(), atomic.write_bytes
    saved: list[Path] = []

    def fill(path: Path, data: bytes) -> None:
        saved.append(path)
        if len(saved) > 3:
            monkeypatch.setattr(os, "fsync", refusing(errno.ENOSPC)(os.fsync))
        written(path, data)

    monkeypatch.setattr(atomic, "write_bytes", fill)
    with pytest.raises(UserError, match=r"checkpoint\.pt: cannot be written \(No space left"):
        problems.train(cell, tmp_path, checkpoint_seconds=0.0)
    monkeypatch.undo()
    out = problems.train(cell, tmp_path, log=tmp_path / "log")
    assert "resumed at step 3/60" in (tmp_path / "log").read_text()
    whole = problems.train(cell, tmp_path / "whole")
    assert problems.metrics(out) == problems.metrics(whole)


def test_interrupted_while_it_waits_for_a_lock_it_leaves_with_130_and_no_traceback(
    tmp_path: Path,
) -> None:
    paths = {name: tmp_path / name for name in ("store", "out", "log")}
    script = (
        "import fcntl, os, signal, sys\n"
        "def flock(file, how):\n"
        "    if how & fcntl.LOCK_NB: raise BlockingIOError(11, 'busy')\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "fcntl.flock = flock\n"
        "from paper_repro import cli\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *_arguments(paths)],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )
    assert done.returncode == 130
    assert "is being trained by another process; waiting for it" in done.stderr
    assert "Traceback" not in done.stderr


def _train(paths: dict[str, Path]) -> int:
    return cli.main(_arguments(paths))


def _arguments(paths: dict[str, Path]) -> list[str]:
    given = [f"--{name}={path}" for name, path in paths.items()]
    cell = ["--study=sticking_the_landing", "--tier=smoke", "--cell", "exactness"]
    return ["train", *cell, *given, "--device=cpu"]
