"""The table of robustness of a suite: how many other defensible rules give each verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from paper_repro import atomic
from paper_repro.claims.robustness import HELD, STATED, write
from paper_repro.drawing import tables


def render(files: Sequence[Path], out: Path) -> None:
    """Join the tables of studies: every verdict in the CSV file `out`, and a row per finding as
    Markdown and LaTeX beside it."""
    read = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in files]
    rows = pd.concat([frame for frame in read if len(frame)] or read[:1], ignore_index=True)
    texts = {".md": tables.as_markdown(_summary(rows)), ".tex": tables.as_latex(_summary(rows))}
    for suffix, text in texts.items():
        atomic.write_text(out.with_suffix(suffix), text)
    write(rows, out)


def _summary(rows: pd.DataFrame) -> tables.Table:
    """One row per finding: its verdict, how many other rules agree, and which do not."""
    found = []
    for claim, part in rows.groupby("claim", sort=False):
        verdict = part.loc[part["rule"] == STATED, "verdict"].iloc[0]
        others = part[~part["rule"].isin([STATED, HELD])]
        held = "".join(part.loc[part["rule"] == HELD, "verdict"])
        odd = others[others["agrees"] == "no"]
        said = "; ".join(f"{r}: {v}" for r, v in zip(odd["rule"], odd["verdict"], strict=True))
        agree = f"{len(others) - len(odd)} of {len(others)}"
        found.append([str(claim), verdict, agree, held or tables.NONE, said or tables.NONE])
    columns = ["claim", "verdict", "rules that agree", "held from seeds", "by other rules"]
    return tables.Table(columns, found)
