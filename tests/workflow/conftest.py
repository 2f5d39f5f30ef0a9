"""A copy of the checkout in which the workflow may run, be edited and be killed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


# What a checkout holds beside its own files, as .gitignore has it; "/" is the checkout.
IGNORED = (
    *("*/.git", "*/.venv", "*/.snakemake", "*/.*_cache", "*/__pycache__", "*/*.egg-info"),
    *("/build", "/data", "/runs", "/logs"),
    *("/results/[!p]*", "/results/published/report.html"),
    *("/results/published/studies/tables.done", "/results/published/studies/*/claims.csv"),
    "/results/published/studies/*/robustness.csv",
    "/figures/[!p]*",
)


class Clone:
    """A copy of the checkout's own files, and Snakemake run inside it or elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            key: value for key, value in os.environ.items() if key != "PAPER_REPRO_DATA"
        } | {"PYTHONPATH": str(folder)}

    def snakemake(
        self,
        *arguments: str,
        ok: bool = True,
        cwd: Path | None = None,
        python: str = sys.executable,
    ) -> str:
        """Run `snakemake`; its whole output. Asserts the exit status unless `ok` is False."""
        return self.run(python, "-m", "snakemake", *arguments, ok=ok, cwd=cwd)

    def run(self, *command: str, ok: bool = True, cwd: Path | None = None) -> str:
        """Run a command in the clone or in `cwd`; its whole output, as `snakemake`."""
        done = subprocess.run(
            command,
            cwd=cwd or self.folder,
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


def own_files() -> list[str]:
    """The checkout's files, tracked or not ignored, as git lists them or, in an unpacked archive or
    without git, as IGNORED leaves them."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return unpacked(ROOT)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def unpacked(root: Path) -> list[str]:
    """Files below `root` that IGNORED leaves."""
    found = []
    for folder, folders, files in os.walk(root):
        here = "/" if Path(folder) == root else f"/{Path(folder).relative_to(root)}/"
        own = {n for n in folders + files if not any(fnmatch(here + n, i) for i in IGNORED)}
        folders[:] = [name for name in folders if name in own]
        found += [(here + name)[1:] for name in files if name in own]
    return found


def copy_checkout(folder: Path) -> Clone:
    for name in own_files():
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
