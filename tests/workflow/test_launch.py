"""`make` goes on after any kill: what the launcher does before Snakemake starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paper_repro import launch
from paper_repro.errors import UserError
from tests.workflow.conftest import ROOT

# A workflow of one job that does not end by itself, and runs no job that was not asked for.
SNAKEFILE = """
rule all:
    input:
        "done",


rule slow:
    output:
        touch("done"),
    shell:
        "test -e quick || sleep 60"
"""
LAUNCH = (sys.executable, "-m", "paper_repro.launch", "--cores", "1", "--rerun-incomplete")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(*command: str) -> subprocess.Popen[bytes]:
    """Start a workflow and return when it holds Snakemake's locks and its job has started."""
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (launch.LOCKS.is_dir() and any(launch.LOCKS.iterdir())):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    return process


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*LAUNCH, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_after_sigkill_the_same_command_goes_on(place: Path) -> None:
    kill(start(*LAUNCH))
    assert any(launch.LOCKS.iterdir())
    (place / "quick").touch()
    again = run()
    assert again.returncode == 0, again.stderr
    assert "A killed run left its locks here; they are removed." in again.stderr
    assert (place / "done").exists()


def test_two_runs_in_one_folder_are_refused_by_name_and_the_first_goes_on(place: Path) -> None:
    first = start(*LAUNCH)
    second = run()
    kill(first)
    assert second.returncode == 2
    assert second.stderr.startswith(f"paper_repro: another make (process {first.pid} on ")
    assert second.stderr.count("\n") == 1


def test_the_locks_of_a_snakemake_started_by_hand_are_left_alone_while_it_runs(place: Path) -> None:
    first = start(sys.executable, "-m", "snakemake", "--cores", "1")
    second = run()
    locks = list(launch.LOCKS.iterdir())
    kill(first)
    assert second.returncode == 1
    assert "LockException" in second.stderr
    assert locks


def test_locks_of_another_machine_are_left_alone(tmp_path: Path) -> None:
    holder = tmp_path / ".snakemake/holder"
    holder.parent.mkdir()
    holder.write_text("elsewhere 12\n")
    assert not launch.hold(holder)
    with pytest.raises(UserError, match="another make"):
        launch.hold(holder)


@pytest.mark.parametrize("home", ["/proc/none", "/dev/null"])
def test_a_home_that_cannot_be_written_to_is_no_hindrance(
    home: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", home)
    plain = subprocess.run([sys.executable, "-m", "snakemake", "-n"], capture_output=True)
    assert plain.returncode != 0  # else the launcher need not look
    assert run("-n").returncode == 0


def test_a_file_system_without_locks_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    assert not launch.hold(tmp_path / "new/holder")
