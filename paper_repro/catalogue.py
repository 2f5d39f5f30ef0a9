"""What the suite contains, in lines for a terminal: `list` and `plan`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from paper_repro import grid, registry
from paper_repro.cell import Cell
from paper_repro.data.names import DATASETS
from paper_repro.errors import UserError
from paper_repro.schemas import read_yaml

PARTS = ("estimators", "objectives", "latents", "likelihoods", "models")


def lines() -> Iterator[str]:
    """Every component, data set, study and task, one line each with its citation; in brackets
    the latents that an estimator or objective serves."""
    for kind in (*PARTS, "parts", "protocols"):
        yield f"{kind}:"
        for name in registry.names(kind):
            serves = registry.constant(kind, name, "SUPPORTS") or []
            line = f"  {name:<20} {registry.describe(kind, name)}"
            yield line + (f"  [{', '.join(serves)}]" if serves else "")
    yield "data sets:"
    yield from (f"  {name:<20} {entry['line']}" for name, entry in DATASETS.items())
    yield "studies:"
    for study in grid.study_names():
        title = read_yaml(registry.STUDIES / study / "grid.yaml")["title"]
        yield f"  {study:<20} {title}"
        for task in registry.names("tasks", study):
            yield f"    task {task:<20} {registry.describe('tasks', task, study)}"


def cell_lines(study: str | None, tier: str) -> Iterator[str]:
    """The name of every cell of a tier, after its study's where all studies are meant."""
    for name in [study] if study else grid.study_names():
        for cell in grid.expand(name, tier):
            yield cell.id if study else f"{name} {cell.id}"


def plan_lines(study: str | None, tier: str) -> Iterator[str]:
    """Cells, runs and training steps of a tier by experiment, before anything trains, and what is
    known so far: the hours and verdicts of this tier or, where it has none, those shipped."""
    for_all = [study] if study else grid.study_names()
    yield from summary((cell for name in for_all for cell in grid.expand(name, tier)), tier)
    for root in (Path("results", tier), registry.PACKAGE.parent / "results/published"):
        if (root / "claims.csv").is_file():
            yield from hour_lines(root, for_all, tier)
            yield from known_lines(root / "claims.csv", for_all, tier)
            return


def hour_lines(root: Path, studies: list[str], tier: str) -> Iterator[str]:
    """What the runs of `tier` under `root` took on a CPU; nothing where there are none."""
    from paper_repro.report import hours  # pandas: the workflow does not wait for it

    try:
        found = hours.core_hours(root, studies, tier)
    except UserError as error:
        yield f"no hours: {error}"
        return
    if found["runs"].sum():
        yield f"{root}, by the clock: {hours.sentence(found)}"


def known_lines(claims: Path, studies: list[str], tier: str) -> Iterator[str]:
    """What a claims.csv says of `studies`: the claims, each with the check that decides it, and a
    warning of every margin that is smaller than what the seeds of `tier` would show."""
    from paper_repro.claims import judged, power_report  # pandas: the workflow does not wait for it
    from paper_repro.report import shown

    try:
        rows = judged.read(claims, studies).to_dict("records")
    except UserError as error:  # of other claims than today's, say; the plan holds without
        yield f"no verdicts: {error}"
        return
    yield f"verdicts of {claims}, with the check that decides:"
    for row in rows:
        if row["study"] in studies and not row["check"]:
            said = shown.decided(row, shown.checks_of(row, rows))
            yield f"  {row['claim']:<16} {shown.word(row):<12} {said}"
    warnings = [line for study in studies for line in power_report.warnings(rows, study, tier)]
    if warnings:
        yield (
            f"warning: by the spread over seeds behind these verdicts, tier {tier} would not show, "
            "in four of five repetitions, an effect as large as these margins "
            "(python -m paper_repro power has the seeds that would):"
        )
    yield from (f"  {line}" for line in warnings)


def summary(cells: Iterable[Cell], tier: str) -> Iterator[str]:
    """The number of `cells`, runs and training steps, by experiment and in all."""
    total_runs = total_steps = 0
    for (study, experiment), group in groupby(cells, lambda cell: (cell.study, cell.experiment)):
        chosen = list(group)
        runs = sum(len(cell.seeds) for cell in chosen)
        steps = sum(len(cell.seeds) * cell.params["steps"] for cell in chosen)
        total_runs, total_steps = total_runs + runs, total_steps + steps
        yield f"{study}/{experiment}: {len(chosen)} cells, {runs} runs, {steps:,} steps"
    yield f"tier {tier}: {total_runs} runs, {total_steps:,} training steps"
