"""Kill whole workflows and single runs at random; what they end with must not show it.

    python -m tests.kill_campaign --kills 100

In a copy of the checkout a smoke run is started, killed at a random moment by a random signal (to
the whole group, to the process that was started, or to a job), and started again by the same
command, until it ends; then its rows are compared, byte by byte but for those that are times, with
an uninterrupted run's, and the next cycle begins from nothing. The plan of the kills follows from
the seed, which is printed; the moments they hit do not. Exit status 1 if a row was lost or changed
or if a command failed that nobody had killed.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.workflow.conftest import Clone, copy_checkout

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
TARGETS = ("group", "parent", "job")
MADE = ("results", "figures", "logs", "runs", ".snakemake", "alone")  # what a cycle leaves behind
TIMES = {"s", "steps/s"}  # units of rows that no two runs have in common
TARGET = "results/smoke/studies/taming_vaes/metrics.csv"
PATIENCE = 600.0  # seconds a command may take
DYING = 90.0  # seconds that one which was sent a signal may take to end


@dataclass(frozen=True)
class Kind:
    """A command to be killed, and the folder below the clone that holds its rows."""

    name: str
    arguments: tuple[str, ...]
    rows: str


def workflow(target: str) -> Kind:
    """What makes a file or folder of tier smoke, one seed a cell; a cell's folder is made alone."""
    _, _, what, study, *_ = target.split("/")
    config = ["tier=smoke", f"studies={study}", "seeds=1"] + ["cells_per_job=1"] * (what == "runs")
    command = ("snakemake", "--cores", "1", target, "--config", *config)
    return Kind("workflow", command, "results/smoke")


def run(study: str, cell: str) -> Kind:
    """The training of one cell."""
    paths = ("--store", "alone/store", "--out", f"alone/runs/{study}/{cell}", "--device", "cpu")
    cell_of = ("--study", study, "--tier", "smoke", "--cell", cell)
    return Kind("run", ("paper_repro", "train", *cell_of, *paths), "alone/runs")


@dataclass
class Tally:
    """What a campaign counts."""

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)  # by signal and target
    cycles: Counter[str] = field(default_factory=Counter)
    again: int = 0
    unlocked: int = 0
    stuck: int = 0  # Snakemake itself, in its handler of SIGTERM
    lost: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def table(self) -> str:
        """For people."""
        head = f"{'':8}" + "".join(f"{target:>8}" for target in TARGETS)
        lines = [head] + [
            f"{name:8}" + "".join(f"{self.kills[name, target]:8}" for target in TARGETS)
            for name in (number.name for number in SIGNALS)
        ]
        cycles = ", ".join(f"{count} of a {kind}" for kind, count in sorted(self.cycles.items()))
        lines += [
            f"{self.kills.total()} kills in {self.cycles.total()} cycles ({cycles or 'none'})",
            f"{self.again} times the same command again, {self.unlocked} of them after --unlock, "
            f"{self.stuck} after SIGKILL to a Snakemake that SIGTERM had stopped for good",
            f"{len(self.lost)} runs lost, {len(self.changed)} tables changed, "
            f"{len(self.failed)} commands failed",
        ]
        return "\n".join([*lines, *self.lost, *self.changed, *self.failed])


class Campaign:
    """Cycles of one kind after another in a clone, killed as `dice` say."""

    def __init__(self, clone: Clone, kinds: list[Kind], dice: random.Random) -> None:
        self.clone, self.kinds, self.dice = clone, kinds, dice
        self.tally = Tally()
        self.whole: dict[str, dict[str, list[list[str]]]] = {}
        self.seconds: dict[str, float] = {}
        for kind in kinds:  # uninterrupted
            start = time.monotonic()
            if self.start(kind).wait(PATIENCE):
                raise RuntimeError(f"{kind.name}: fails without being killed\n{self.log()}")
            self.seconds[kind.name] = time.monotonic() - start
            self.whole[kind.name] = self.rows(kind)
            self.clear()

    def start(self, kind: Kind) -> subprocess.Popen[bytes]:
        """The command, in a process group of its own."""
        command = [sys.executable, "-m", *kind.arguments]
        with open(self.clone.folder / "log", "wb") as log:
            return subprocess.Popen(
                command,
                cwd=self.clone.folder,
                env=self.clone.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def log(self) -> str:
        return (self.clone.folder / "log").read_text(errors="replace")[-3000:]

    def clear(self) -> None:
        for name in MADE:
            shutil.rmtree(self.clone.folder / name, ignore_errors=True)

    def rows(self, kind: Kind) -> dict[str, list[list[str]]]:
        """Every table of rows by its path, without the rows that are times."""
        root, found = self.clone.folder / kind.rows, {}
        for path in sorted(root.rglob("metrics.csv")):
            with path.open(newline="", encoding="utf-8") as file:
                lines = list(csv.reader(file))
            unit, metric = lines[0].index("unit"), lines[0].index("metric")
            found[str(path.relative_to(root))] = [
                [cell for name, cell in zip(lines[0], line, strict=True) if name != "run_id"]
                for line in lines
                if line[unit] not in TIMES and "ratio" not in line[metric]
            ]
        return found

    def cycle(self, kills: int) -> None:
        """From nothing to the end, with at most `kills` kills."""
        kind, groups = self.dice.choice(self.kinds), []
        while True:
            process = self.start(kind)
            groups.append(process.pid)
            killed = bool(kills) and self.kill(process, kind)
            kills -= killed
            if self.end(process, killed) == 0:
                break
            if not killed:
                self.tally.failed.append(f"{' '.join(kind.arguments)}\n{self.log()}")
                break
            self.tally.again += 1
            self.unlock(kind)
        self.tally.cycles[kind.name] += 1
        self.compare(kind)
        for group in groups:  # orphans of a killed parent
            signal_group(group, signal.SIGKILL)
        self.clear()

    def end(self, process: subprocess.Popen[bytes], killed: bool) -> int:
        """The exit status, once it has ended.

        Snakemake (9.27) takes a lock in its handler of SIGTERM that its main thread may hold at
        that moment, and then waits for itself forever. Nothing of this suite runs by then, and what
        a user does is done here: SIGKILL.
        """
        with suppress(subprocess.TimeoutExpired):
            return process.wait(DYING if killed else PATIENCE)
        waits_for_itself = killed and not training(process.pid)
        signal_group(process.pid, signal.SIGKILL)
        status = process.wait(PATIENCE)
        if not waits_for_itself:
            raise RuntimeError(f"did not end within its time\n{self.log()}")
        self.tally.stuck += 1
        return status

    def kill(self, process: subprocess.Popen[bytes], kind: Kind) -> bool:
        """Wait and kill; False if it had ended before."""
        number, target = self.dice.choice(SIGNALS), self.dice.choice(TARGETS)
        delay = self.dice.uniform(0, 1.1 * self.seconds[kind.name])
        try:
            process.wait(delay)
            return False
        except subprocess.TimeoutExpired:
            pass
        jobs = training(process.pid) if target == "job" and kind.name == "workflow" else []
        if jobs:
            os.kill(self.dice.choice(jobs), number)
        elif target == "group":
            signal_group(process.pid, number)
        else:
            target = "parent"
            process.send_signal(number)
        self.tally.kills[number.name, target] += 1
        return True

    def unlock(self, kind: Kind) -> None:
        """Before the same command again: Snakemake leaves a lock where it was killed outright."""
        locks = self.clone.folder / ".snakemake/locks"
        if kind.name == "workflow" and locks.is_dir() and any(locks.iterdir()):
            self.clone.snakemake("--unlock", *kind.arguments[1:])
            self.tally.unlocked += 1

    def compare(self, kind: Kind) -> None:
        whole, found = self.whole[kind.name], self.rows(kind)
        self.tally.lost += sorted(f"lost: {path}" for path in whole.keys() - found.keys())
        self.tally.changed += sorted(
            f"changed: {path}" for path in whole.keys() & found.keys() if whole[path] != found[path]
        )


def training(parent: int) -> list[int]:
    """Processes below `parent` that train."""
    found = []
    try:
        for process in psutil.Process(parent).children(recursive=True):
            words = process.cmdline()
            if "paper_repro" in words and "train" in words:
                found.append(process.pid)
    except psutil.NoSuchProcess:
        return []
    return found


def signal_group(group: int, number: int) -> None:
    """Signal what is left of a process group."""
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def main(arguments: list[str] | None = None) -> int:
    """Run a campaign and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None, help="of the plan; default: a new one")
    parser.add_argument("--target", default=TARGET, help="of the workflows")
    parser.add_argument("--cell", default="gaussian_fit-path-adam", help="of sticking_the_landing")
    parser.add_argument("--only", choices=["workflow", "run"], help="kind of what is killed")
    args = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if args.seed is None else args.seed
    print(f"--kills {args.kills} --seed {seed}", flush=True)
    kinds = [workflow(args.target), run("sticking_the_landing", args.cell)]
    with tempfile.TemporaryDirectory(prefix="kill_campaign.") as folder:
        clone = copy_checkout(Path(folder))
        chosen = [kind for kind in kinds if args.only in {None, kind.name}]
        campaign = Campaign(clone, chosen, random.Random(seed))
        tally = campaign.tally
        while tally.kills.total() < args.kills and not tally.failed:
            left = args.kills - tally.kills.total()
            campaign.cycle(min(left, campaign.dice.randint(1, 5)))
            print(f"{tally.kills.total()} kills, {tally.cycles.total()} cycles", flush=True)
    print(tally.table())
    return int(bool(tally.lost or tally.changed or tally.failed))


if __name__ == "__main__":
    sys.exit(main())
