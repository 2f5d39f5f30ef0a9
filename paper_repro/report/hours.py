"""How long published runs took, study by study, in words: for README, Makefile, docs, plan, report.

Hours are by the clock: `seconds` in runs.csv is the wall-clock time of a run's training and
evaluation, not the CPU's. Tier reduced trains a run on one thread of a CPU (`threads` in config/),
so of such runs they are core-hours, too many where cores had other work. Starting Python, reading
data and drawing are in no run.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from paper_repro.results.files import MISSING
from paper_repro.results.frames import load_runs

TIER, DEVICE = "reduced", "cpu"
HELP, INDENT = "        reduced    real data sets, shortened                ", " " * 19
WIDTH = 92


def by_study(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per study, tier and device of the `runs` that ended (columns of runs.csv): their number
    `runs`, their `hours` and the `longest` of them in seconds."""
    ended = runs[runs["status"] != MISSING]
    groups = ended.groupby(["study", "tier", "device"], sort=True)
    found = groups.agg(runs=("seed", "size"), hours=("seconds", "sum"), longest=("seconds", "max"))
    return found.assign(hours=found["hours"] / 3600).reset_index()


def core_hours(root: Path, studies: Sequence[str], tier: str = TIER) -> pd.DataFrame:
    """Of each of `studies` that has runs under `root` (a results folder): how many there are,
    missing ones too (`planned`), and of those that ended at `tier` on a CPU the columns of
    `by_study`, 0 without any. UserError for a folder that is damaged."""
    runs = load_runs(root)
    planned = runs["study"].value_counts()
    found = by_study(runs[runs["tier"] == tier]).set_index("study")
    found = found.loc[found["device"] == DEVICE, ["runs", "hours", "longest"]]
    wanted = [study for study in studies if study in planned]
    return found.reindex(wanted, fill_value=0).assign(planned=planned).reset_index(names="study")


def sentence(found: pd.DataFrame) -> str:
    """``855 of 866 runs took 11.7 core-hours: taming_vaes 3.8, conformance 0.1``."""
    rows = found.to_dict("records")
    parts = ", ".join(f"{row['study']} {_hours(row['hours'])}" for row in rows)
    runs = _runs(int(found["runs"].sum()), int(found["planned"].sum()))
    return f"{runs} runs took {_hours(found['hours'].sum())} core-hours: {parts}"


def table(found: pd.DataFrame) -> str:
    """A row of Markdown per study, and one of all."""
    lines = ["| study | runs | core-hours | longest run |", f"|{' --- |' * 4}"]
    for row in found.to_dict("records"):
        runs, longest = _runs(row["runs"], row["planned"]), _duration(row["longest"])
        lines.append(f"| `{row['study']}` | {runs} | {_hours(row['hours'])} | {longest} |")
    runs = _runs(int(found["runs"].sum()), int(found["planned"].sum()))
    total, longest = _hours(found["hours"].sum()), _duration(found["longest"].max())
    return "\n".join([*lines, f"| all | {runs} | {total} | {longest} |"])


def recipe(found: pd.DataFrame) -> str:
    """The lines of the Makefile that print tier reduced on its page of help."""
    first, _, studies = sentence(found).partition(": ")
    wrapped = textwrap.wrap(studies, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    lines = [f"{HELP}{first}:", *wrapped]
    return "\n".join(f"\t@echo '{line}'" for line in lines)


def _runs(ended: int, planned: int) -> str:
    return f"{ended}" if ended == planned else f"{ended} of {planned}"


def _hours(hours: float) -> str:
    return f"{hours:.1f}" if hours >= 0.05 else "under 0.1"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
