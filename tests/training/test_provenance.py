"""What a run says it was made with, and how far that decides its digits."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch

from paper_repro import grid
from paper_repro.training import provenance
from paper_repro.training.run import train_cell
from tests.training import problems

ME = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
ROUNDING = 1e-4  # relative; 3e-6 was found


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository in the place of the package's."""
    package = tmp_path / "clone" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for command in (["init", "-q"], ["add", "."], [*ME, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(package.parent), *command], check=True)
    monkeypatch.setattr(provenance, "PACKAGE", package)
    return package.parent


def _commit() -> str:
    return str(provenance.commit.__wrapped__())


def test_the_commit_is_that_of_the_sources_and_edits_show(clone: Path) -> None:
    found = _commit()
    assert len(found) == 40
    (clone / "package" / "__init__.py").write_text("edited = True\n")
    assert _commit() == found + "+dirty"


def test_the_commit_is_not_that_of_the_repository_that_the_environment_names(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _commit()
    other = tmp_path / "other"
    other.mkdir()
    for command in (["init", "-q"], [*ME, "commit", "-q", "--allow-empty", "-m", "another"]):
        subprocess.run(["git", *command], check=True, cwd=other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    assert _commit() == found


def test_the_commit_of_a_clone_that_another_user_owns_is_known(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _commit()
    strict = tmp_path / "bin" / "git"  # that takes every clone for another user's
    strict.parent.mkdir()
    strict.write_text(
        f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec "{shutil.which("git")}" "$@"\n'
    )
    strict.chmod(0o755)
    monkeypatch.setenv("PATH", str(strict.parent), prepend=os.pathsep)
    command = ["git", "-C", str(clone), "rev-parse", "HEAD"]
    plain = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "dubious ownership" in plain.stderr
    assert _commit() == found


def test_where_git_does_not_tell_the_commit_the_reason_is_said(
    clone: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (clone / ".git" / "HEAD").write_text("nonsense\n")
    assert _commit() == "unknown"
    (line,) = capfd.readouterr().err.splitlines()
    assert f"{clone}: git does not tell the commit (fatal: " in line


def test_where_git_is_not_installed_a_clone_has_no_known_commit_and_an_archive_none(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(clone))
    assert _commit() == "unknown"
    assert "git does not tell the commit" in capfd.readouterr().err
    (clone / ".git").rename(clone / "moved")
    assert _commit() == ""
    assert capfd.readouterr().err == ""


def test_run_json_says_what_decides_the_last_digits(tmp_path: Path) -> None:
    record = problems.record(problems.train(problems.cell(), tmp_path))
    assert record["threads"] == torch.get_num_threads() == 1
    assert record["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert "blas" in record["blas"] or "mkl" in record["blas"]


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_equal_threads_give_equal_bytes_and_other_threads_the_same_up_to_rounding(
    tmp_path: Path,
) -> None:
    cell = next(c for c in grid.expand("taming_vaes", "smoke") if "convdraw" in c.id)

    def trained(name: str, threads: int) -> Path:
        store, out = tmp_path / name, tmp_path / f"{name}-out"
        train_cell(cell, store, out, device="cpu", threads=threads, sources=[])
        return out / "seed0" / "metrics.csv"

    one, again, two = trained("one", 1), trained("again", 1), trained("two", 2)
    assert one.read_bytes() == again.read_bytes()
    tables = [pd.read_csv(path, keep_default_na=False) for path in (one, two)]
    names = [table.drop(columns="value") for table in tables]
    pd.testing.assert_frame_equal(*names)
    pd.testing.assert_series_equal(tables[0]["value"], tables[1]["value"], rtol=ROUNDING)
