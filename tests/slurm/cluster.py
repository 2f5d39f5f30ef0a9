"""A real SLURM on this machine, in a folder of its own: munged, slurmctld and one slurmd.

    with Cluster(folder) as cluster:
        cluster.run("sbatch", ...)

Needs root and Debian's slurm-wlm (or the like). One node with two pretended GPUs; no accounting, no
cgroups, ports that are free. Leaving the context ends every process it started, jobs included.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
# Nothing here is for production: no cgroups, so that it runs in a container as well.
SLURM_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_min_interval=100000,requeue_delay=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
KillWait=5
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} Gres=gpu:2 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class Cluster:
    """The daemons and what commands need to find them: `environment`."""

    def __init__(self, folder: Path, memory_mb: int = 8000) -> None:
        self.folder = folder
        self.memory_mb = memory_mb
        self.environment = os.environ | {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        }
        self._daemons: list[subprocess.Popen[bytes]] = []

    @staticmethod
    def missing() -> str:
        """What keeps a cluster from being set up here, "" if nothing does."""
        absent = [name for name in DAEMONS if not shutil.which(name)]
        if os.geteuid() != 0:
            return "only root can start a SLURM"
        return f"SLURM is not installed: no {', '.join(absent)}" if absent else ""

    def __enter__(self) -> Cluster:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("state", "spool", "bin"):
            (self.folder / name).mkdir(exist_ok=True)
        # The executor plugin takes all variables of SLURM from the environment of a job's srun.
        srun = self.folder / "bin/srun"
        srun.write_text(
            f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {shutil.which("srun")} "$@"\n'
        )
        srun.chmod(0o755)
        host = socket.gethostname().split(".")[0]
        controller, node = free_ports(2)
        text = SLURM_CONF.format(
            host=host,
            folder=self.folder,
            controller=controller,
            node=node,
            cores=len(os.sched_getaffinity(0)),
            memory=self.memory_mb,
        )
        (self.folder / "slurm.conf").write_text(text)
        gpus = [f"NodeName={host} Name=gpu File={file}\n" for file in ("/dev/null", "/dev/zero")]
        (self.folder / "gres.conf").write_text("".join(gpus))
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(1024))
        munge = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={self.folder}/munge.{end}" for option, end in munge.items()]
        try:
            self._start("munged", "--foreground", "--force", f"--key-file={key}", *options)
            wait(lambda: (self.folder / "munge.socket").exists(), "munged does not start")
            self._start("slurmctld", "-D", "-i")
            self._start("slurmd", "-D", "-N", host)
            wait(lambda: "idle" in self.run("sinfo", "-h", "-o", "%t", check=False), self._logs)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.run("scancel", "--user=root", check=False)
            wait(lambda: not self.run("squeue", "-h", check=False).strip(), "jobs do not end")
        finally:
            self._end()

    def run(self, *command: str, check: bool = True) -> str:
        """Run one of SLURM's commands; its output."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=check
        )
        return done.stdout

    def _start(self, *command: str) -> None:
        log = open(self.folder / f"{command[0]}.out", "wb")  # noqa: SIM115 (the daemon keeps it)
        process = subprocess.Popen(
            command, env=self.environment, stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        self._daemons.append(process)

    def _end(self) -> None:
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _logs(self) -> str:
        texts = [path.read_text(errors="replace") for path in sorted(self.folder.glob("*.out"))]
        return "the node does not come up\n" + "\n".join(text[-2000:] for text in texts)


def wait(
    ready: Callable[[], object], failure: str | Callable[[], str], seconds: float = 60.0
) -> None:
    """Wait until `ready()`; AssertionError with `failure` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, failure if isinstance(failure, str) else failure()
        time.sleep(0.3)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
