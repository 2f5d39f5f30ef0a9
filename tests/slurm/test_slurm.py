"""Tier smoke through profiles/slurm on a real SLURM: jobs are cancelled, requeued and killed.

    PAPER_REPRO_TEST_SLURM=1 python -m pytest tests/slurm -v

takes some minutes and needs root, SLURM and the extra `slurm`; otherwise skipped, with the reason.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, wait
from tests.workflow.conftest import Clone, copy_checkout

STUDY = "sticking_the_landing"
CONFIG = ("--config", "tier=smoke", f"studies={STUDY}")
PROFILE = ("--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks=3")
TABLE = f"results/smoke/studies/{STUDY}/metrics.csv"
CLAIMS = f"results/smoke/studies/{STUDY}/claims.csv"


def missing() -> str:
    """Why these tests cannot run here, "" if they can."""
    if not os.environ.get("PAPER_REPRO_TEST_SLURM"):
        return "takes minutes; PAPER_REPRO_TEST_SLURM=1 asks for it"
    if not find_spec("snakemake_executor_plugin_slurm"):
        return "the executor plugin is not installed: pip install '.[slurm]'"
    return Cluster.missing()


if reason := missing():
    pytest.skip(reason, allow_module_level=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("slurm")) as made:
        yield made


@pytest.fixture
def there(tmp_path: Path, cluster: Cluster) -> Clone:
    """A clone whose Snakemake sees the cluster."""
    made = copy_checkout(tmp_path / "clone")
    made.environment |= {key: cluster.environment[key] for key in ("SLURM_CONF", "PATH")}
    return made


def start(there: Clone, *arguments: str) -> subprocess.Popen[str]:
    with open(there.folder / "output.txt", "w") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *PROFILE, *arguments],
            cwd=there.folder,
            env=there.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )


def jobs(cluster: Cluster, state: str) -> list[str]:
    return cluster.run("squeue", "-h", "-t", state, "-o", "%i").split()


def processes(job: str) -> list[int]:
    """Processes of a running job."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "environ").read_bytes()
            if f"SLURM_JOB_ID={job}\0".encode() in text:
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def trains(there: Clone) -> int:
    """How many runs have begun: their entries in the store."""
    return len(list(there.folder.glob("runs/*/*")))


def test_cancelled_requeued_and_killed_jobs_end_with_the_rows_of_a_local_run(
    there: Clone, cluster: Cluster, tmp_path: Path
) -> None:
    run = start(there, CLAIMS, *CONFIG)
    hit: dict[str, str] = {}
    # Each while it trains; a requeued job keeps its number, another is submitted anew.
    for blow in ("cancel", "requeue", "kill"):
        before = trains(there)
        wait(
            lambda before=before: (set(jobs(cluster, "R")) - set(hit)) and trains(there) > before,
            lambda: (there.folder / "output.txt").read_text()[-4000:],
            180,
        )
        job = min(set(jobs(cluster, "R")) - set(hit), key=int)
        hit[job] = blow
        if blow == "cancel":
            cluster.run("scancel", job)
        elif blow == "requeue":
            cluster.run("scontrol", "requeue", job)
            # SLURM would leave it alone for two minutes
            cluster.run("scontrol", "update", f"JobId={job}", "StartTime=now", check=False)
        else:
            for process in processes(job):
                os.kill(process, signal.SIGKILL)
    status = run.wait(600)
    output = (there.folder / "output.txt").read_text()
    assert status == 0, output[-6000:]
    assert set(hit.values()) == {"cancel", "requeue", "kill"}
    assert len(re.findall(r"^Trying to restart job", output, re.M)) >= 2  # cancelled and killed
    # What is not training ran here, not on a node.
    assert {"collect", "claims"} == set(re.findall(rf"^localrule (\w+)_{STUDY}:", output, re.M))
    assert all(rule.startswith("train") for rule in re.findall(r"^rule (\w+):", output, re.M))

    alone = copy_checkout(tmp_path / "alone")
    alone.snakemake("--cores", "2", TABLE, *CONFIG)
    assert (there.folder / TABLE).read_bytes() == (alone.folder / TABLE).read_bytes()


@pytest.mark.parametrize(("device", "asked"), [("cpu", ""), ("auto", "gres:gpu:1")])
def test_jobs_ask_for_the_gpu_that_their_device_needs_and_run_side_by_side(
    device: str, asked: str, there: Clone, cluster: Cluster
) -> None:
    # A limit that profiles/default sets for one machine's GPU counts nothing on a cluster.
    run = start(there, TABLE, "--resources=gpu=1", *CONFIG, f"device={device}")
    wait(lambda: len(jobs(cluster, "R")) == 2, "two jobs do not run at once", 90)
    shown = cluster.run("scontrol", "show", "job", jobs(cluster, "R")[0])
    run.send_signal(signal.SIGINT)
    assert run.wait(120) != 0
    found = re.findall(r"TresPerJob=(\S+)", shown)
    assert found == ([asked] if asked else [])
    assert "MinMemoryNode=1500M" in shown
    assert "TimeLimit=00:20:00" in shown
    wait(lambda: not jobs(cluster, "R"), "Ctrl-C leaves jobs on the cluster")
    time.sleep(1)
