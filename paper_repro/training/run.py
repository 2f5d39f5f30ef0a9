"""Training a cell: all its seeds in one job, each filed in the run store as it ends.

On CUDA the seeds train together, on a CPU, where stacking gains little, one after another.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from paper_repro import atomic, record, registry, run_inputs
from paper_repro.cell import Cell
from paper_repro.errors import UserError
from paper_repro.record import Registered
from paper_repro.training import checkpoint, loop, provenance
from paper_repro.training.checkpoint import Snapshot
from paper_repro.training.identity import run_id, run_key, source_hash
from paper_repro.training.problem import Problem, check
from paper_repro.training.progress import Progress, reporter
from paper_repro.training.store import Entry

COUNT_FLOPS = 60.0  # seconds of training from which on counting them (3 s) is worth its time
WAITING = "is being trained by another process; waiting for it"
Build = Callable[[Cell, int, str], Problem]


@dataclass(frozen=True)
class Job:
    """What all seeds of a cell have in common. `device` is "cpu" or "cuda"."""

    cell: Cell
    build: Build
    store: Path
    out: Path
    runs: Path
    device: str
    threads: int
    sources: str
    report: Callable[[str], None]
    checkpoint_seconds: float
    register: Callable[[], Registered]


@dataclass
class Run:
    """One seed of the job's cell."""

    seed: int
    cell: Cell  # with the number that this seed takes from another run
    key: str
    problem: Problem
    entry: Entry
    progress: Progress
    started: str
    registered: Registered = field(default_factory=dict)


def train_cell(
    cell: Cell,
    store: Path,
    out: Path | None,
    *,
    device: str,
    threads: int,
    sources: list[Path],
    runs: Path | None = None,
    log: Path | None = None,
    build: Build | None = None,
    together: bool | None = None,
    checkpoint_seconds: float = 30.0,
    register: Callable[[], Registered] = dict,
) -> None:
    """Train all seeds of a cell, leaving ``out/seed<k>/{run.json, metrics.csv[, arrays.npz]}``.

    Seeds finished before are taken from `store`, killed ones go on from their checkpoint. `out`
    defaults to the workflow's folder, and so does `runs`, where other cells of the study lie that
    hand a number to this one. `device` is "cpu", "cuda" or "auto"; `sources` are the files
    whose content is part of a run's identity; `log` also receives the progress lines. `build`
    replaces the task's own; `together` forces training the seeds as a bundle, or one by one.
    `register` says what is fixed before the runs; it is asked when step 0 of one starts, and never
    again for that run, however often it is resumed or taken from the store.
    SystemExit (143, 130, 129) after SIGTERM, SIGINT, SIGHUP; UserError for what the user can mend.
    """
    device = provenance.prepare(device, threads)
    usual = Path("results", cell.tier, "runs", cell.study)
    job = Job(
        cell,
        build or registry.load("tasks", cell.task, cell.study).build,
        store,
        out or usual / cell.id,
        runs or usual,
        device,
        threads,
        source_hash(sources),
        reporter(log),
        checkpoint_seconds,
        register,
    )
    atomic.folder(job.out)  # refused before anything trains; the store is when it is locked
    together = device == "cuda" if together is None else together
    for seeds in [cell.seeds] if together else [(seed,) for seed in cell.seeds]:
        _train_seeds(job, seeds, together)


def _train_seeds(job: Job, seeds: tuple[int, ...], together: bool) -> None:
    runs = [_open(job, seed) for seed in seeds]
    unfinished = [run for run in runs if not _result(run)]
    with ExitStack() as locks:
        # In the order of keys, so that two processes never hold what the other waits for.
        for run in sorted(unfinished, key=lambda run: run.key):
            locks.enter_context(run.entry.locked(partial(run.progress.say, WAITING)))
        # Another process may have finished some meanwhile.
        unfinished = [run for run in unfinished if not _result(run, discard=True)]
        pending = [(run, _resume(job, run)) for run in unfinished]
        if pending and _steps(job):
            check(pending[0][0].problem)
        # A kill between two checkpoints of a bundle leaves its members at different steps.
        pending.sort(key=lambda pair: (pair[1].status, pair[1].step))
        for (status, _), group in groupby(pending, lambda pair: (pair[1].status, pair[1].step)):
            members = list(group)
            if status == "ok":
                snapshots = _train(job, members, together)
            else:  # found to have diverged before the interruption
                snapshots = [snapshot for _, snapshot in members]
            for (run, _), snapshot in zip(members, snapshots, strict=True):
                _finish(job, run, snapshot, len(members))
    for run in runs:
        address = provenance.address(job.cell, run.seed, job.device, job.threads)
        run.entry.materialise(job.out / f"seed{run.seed}", address)


def _open(job: Job, seed: int) -> Run:
    cell = run_inputs.with_received_value(job.cell, seed, job.runs)
    problem = job.build(cell, seed, job.device)
    key = run_key(cell, seed, job.sources, problem.fingerprint, job.device)
    progress = Progress(job.report, f"{job.cell.id} seed {seed}", _steps(job), problem.progress)
    run = Run(seed, cell, key, problem, Entry.of(job.store, key), progress, provenance.now())
    if (found := _result(run)) is not None:
        status, step = found.record["status"], found.record["steps"]
        ended = "" if status == "ok" else f"; it {status} at step {step}"
        progress.say(f"already trained{ended}")
    return run


def _result(run: Run, discard: bool = False) -> record.Run | None:
    """The run's result in the store; a damaged one is none, and goes if `discard`, with a line."""
    try:
        return run.entry.result()
    except record.Damaged as damage:
        if discard:  # the lock is held
            run.progress.say(f"{damage}; training again")
            run.entry.discard()
        return None


def _steps(job: Job) -> int:
    return int(job.cell.params["steps"])


def _resume(job: Job, run: Run) -> Snapshot:
    """The run's checkpoint, or its beginning; the run is told what was registered at its step 0."""
    path = run.entry.checkpoint
    snapshot = checkpoint.load(path, job.device) if path.is_file() else None
    if snapshot is not None:
        run.progress.say(f"resumed at step {snapshot.step}/{_steps(job)}")
        run.registered = snapshot.registered
        return snapshot
    if path.is_file():
        run.progress.say(f"{path} is damaged; starting over")
    run.registered = job.register()
    return checkpoint.fresh(run.problem, run.started)


def _train(job: Job, members: list[tuple[Run, Snapshot]], together: bool) -> list[Snapshot]:
    runs = [run for run, _ in members]
    for run, snapshot in members:
        run.progress.begin(snapshot.step)

    def save(snapshots: list[Snapshot]) -> None:
        for run, snapshot in zip(runs, snapshots, strict=True):
            # The loop knows nothing of it: what a run is judged by changes no number.
            checkpoint.save(run.entry.checkpoint, replace(snapshot, registered=run.registered))

    return loop.train(
        [run.problem for run in runs],
        [snapshot for _, snapshot in members],
        loop.Schedule.of(
            runs[0].problem, _steps(job), job.cell.params.get("curve_points", loop.MAX_CURVE_POINTS)
        ),
        loop.Hooks(save, lambda i, *shown: runs[i].progress.show(*shown), job.checkpoint_seconds),
        stacked=together,
    )


def _finish(job: Job, run: Run, snapshot: Snapshot, together: int) -> None:
    """File the result of a run that has ended; UserError where nothing was measured."""
    if not snapshot.rows and snapshot.status == "ok":
        raise UserError(
            f"seed {run.seed}: ended without a row; its settings let nothing be measured"
        )
    arrays = None
    if run.problem.arrays and snapshot.status == "ok":
        ended = {**snapshot.state, **snapshot.params}
        arrays = run.problem.arrays({name: t.to(job.device) for name, t in ended.items()})
    seconds = snapshot.seconds
    flops = provenance.flops_per_step(run.problem) if seconds >= COUNT_FLOPS else None
    settled = {n: v for n, v in run.cell.params.items() if v != job.cell.params[n]}
    said: dict[str, Any] = {
        "run_id": run_id(run.key),
        "status": snapshot.status,
        "run_inputs": settled,
        **provenance.address(job.cell, run.seed, job.device, job.threads),
        "sources": job.sources,
        "fingerprint": run.problem.fingerprint,
        "data_note": run.problem.note,
        **provenance.environment(job.device),
        "seeds_together": together,
        "steps": snapshot.step,
        "seconds": seconds,
        "evaluation_seconds": snapshot.evaluation_seconds,
        "steps_per_second": snapshot.step / seconds if seconds else 0.0,
        "peak_memory_mib": provenance.peak_memory_mib(job.device),
        "flops_per_step": flops,
        "flops": (flops or 0) * snapshot.step,
        "started": snapshot.started,
        "finished": provenance.now(),
        "registered": run.registered,
    }
    run.entry.finish(snapshot.rows, arrays, said)
    run.progress.end(snapshot.status, seconds, snapshot.evaluation_seconds)
