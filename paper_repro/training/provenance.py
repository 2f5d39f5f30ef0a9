"""What a run was made with: device, versions, commit, cost.

Numbers that vary from one execution to the next, times above all, stand in run.json only, so that
metrics.csv can be compared byte by byte.
"""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import paper_repro
from paper_repro.cell import Cell
from paper_repro.errors import UserError
from paper_repro.training.problem import Problem

PACKAGE = Path(paper_repro.__file__).parent


def prepare(device: str, threads: int) -> str:
    """Set up torch for a job; returns "cpu" or "cuda", which "auto" leaves open.

    Float32 is float32 (no TF32). UserError for a device that is not there. Not called here is
    torch.use_deterministic_algorithms: it imports torch's compiler, 3.5 s a job, and changes no
    kernel that training a small network on a CPU uses.
    """
    # Read by cuBLAS when CUDA starts; without it the order of sums may differ between two runs.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if device not in {"auto", "cpu", "cuda"}:
        raise UserError(f"device: {device!r} is not one of auto, cpu, cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device: no CUDA device found; use device=cpu or device=auto")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
    return device


def flops_per_step(problem: Problem) -> int:
    """Floating-point operations of the matrix products and convolutions of one training step.

    Makes a throw-away step, which moves the problem's generators: for a run that has ended. The
    first call imports torch's compiler, 3 s.
    """
    from torch.utils.flop_counter import FlopCounterMode

    params = {name: p.detach().clone().requires_grad_() for name, p in problem.params.items()}
    with FlopCounterMode(display=False) as counter:
        problem.loss(params, problem.state, problem.draw(0))[0].backward()
    return counter.get_total_flops()


def peak_memory_mib(device: str) -> float:
    """Largest memory this process has held so far: allocated on the GPU, else resident."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def now() -> str:
    """The time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def environment(device: str) -> dict[str, Any]:
    """Device, versions and commit, as they stand in run.json.

    Device, device_name, threads, cpu_capability and blas decide the last digits of every number
    (docs/promises.md).
    """
    return {
        "device": device,
        "device_name": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "blas": _blas(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": version("torchvision"),
        "numpy": np.__version__,
        "paper_repro": paper_repro.__version__,
        "commit": commit(),
        # The digest of the image that the run is in, "" outside one (Containerfile).
        "container": os.environ.get("PAPER_REPRO_IMAGE", ""),
    }


def address(cell: Cell, seed: int, device: str, threads: int) -> dict[str, Any]:
    """Who asked for the run, and the command that repeats it without the run store."""
    again = f"build/again/{cell.study}/{cell.id}"
    return {
        "cell": json.loads(cell.as_json()),
        "seed": seed,
        "command": f"python -m paper_repro train --tier {cell.tier} --study {cell.study}"
        f" --cell {cell.id} --seed {seed} --device {device} --threads {threads}"
        f" --store {again}/store --out {again}/out",
    }


@cache
def commit() -> str:
    """Commit of the package's sources, "+dirty" if they differ from it, "" outside git; "unknown",
    with a line that says why, in a clone of which git will say nothing."""
    try:
        if _git("ls-files", "__init__.py") != "__init__.py":
            return ""  # installed into an environment that happens to lie in somebody's repository
        changed = _git("status", "--porcelain", "--untracked-files=no", ".")
        return _git("rev-parse", "HEAD") + ("+dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError) as error:
        clones = [folder for folder in PACKAGE.parents if (folder / ".git").exists()]
        if not clones:
            return ""
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[0]
        print(
            f"paper_repro: warning: {clones[0]}: git does not tell the commit ({said}); "
            'run.json will say "unknown"',
            file=sys.stderr,
        )
        return "unknown"


def _git(*arguments: str) -> str:
    """What git says of the package, whoever owns the clone: it is its code that runs here."""
    command = ["git", "-c", "safe.directory=*", "--no-optional-locks", "-C", str(PACKAGE)]
    # In a hook or an alias of git, GIT_DIR and its like name the repository that runs it.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=True, env=env
    )
    return done.stdout.strip()


def _blas() -> str:
    """Libraries of the matrix products, torch's and numpy's."""
    ours = re.search(r"BLAS_INFO=([^,]+)", torch.__config__.show())
    theirs = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{ours[1] if ours else 'unknown'}, {theirs.get('name')} {theirs.get('version')}"


def _processor() -> str:
    """Model name of the CPU."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
