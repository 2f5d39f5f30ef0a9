"""A copy of the checkout in which the workflow may run, be edited and be killed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Clone:
    """A copy of the tracked (and not ignored) files, and Snakemake run inside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            key: value for key, value in os.environ.items() if key != "PAPER_REPRO_DATA"
        } | {"PYTHONPATH": str(folder)}

    def snakemake(self, *arguments: str, ok: bool = True) -> str:
        """Run `snakemake`; its whole output. Asserts the exit status unless `ok` is False."""
        command = [sys.executable, "-m", "snakemake", *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        output = done.stdout + done.stderr
        assert (done.returncode == 0) == ok, output[-6000:]
        return output

    def planned(self, *arguments: str) -> set[str]:
        """Cells of the jobs that a dry run would train."""
        text = self.snakemake("--dry-run", "--cores", "2", *arguments)
        made = re.findall(r"^rule train\w*:\n(?:    .*\n)*?    output: (.*)$", text, re.M)
        return {Path(folder).name for line in made for folder in line.split(", ")}


def copy_checkout(folder: Path) -> Clone:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    return Clone(folder)


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which nothing has run."""
    return copy_checkout(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which the whole smoke tier has run."""
    made = copy_checkout(tmp_path_factory.mktemp("smoke"))
    made.snakemake("--cores", "2", "--config", "tier=smoke")
    return made
