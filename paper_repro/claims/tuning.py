"""Which setting of a grid a method is judged at: the one best on validation data, for all alike.

Every method gets the same candidates, and none is chosen that failed on any of its seeds: a
learning rate at which one run in five diverges is not what one would use, however well the other
four did. The choice sees validation scores alone; a test score must not choose what it then judges.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from paper_repro.claims.filters import matches
from paper_repro.errors import UserError
from paper_repro.results.frames import Results

SIGNS = {"lowest": 1, "highest": -1}
COLUMNS = ["group", "cell", "value", "score", "scores", "candidates", "lost"]


def chosen(
    results: Results,
    study: str,
    experiment: str,
    *,
    over: str,
    metric: str,
    filters: Mapping[str, Any],
    best: str,
) -> pd.DataFrame:
    """One row per group of an experiment's cells that differ in the parameter `over` alone (an
    entry of an object as ``lr.from``), with the candidate whose final `metric` is `best` ("lowest"
    or "highest") in the mean over seeds; of equals the one with the smaller `over`.

    Only candidates compete all of whose planned seeds ended with a finite score. `filters` narrow
    the rows to one per run and must name the split "validation". Columns:

    - `group`: tier and common parameters as JSON; `candidates`: its cells, by rising `over`;
    - `cell`, `value`, `score`: the chosen cell, its `over` and its mean score; "", nan and nan
      where no candidate is complete;
    - `scores`: value -> mean score of each candidate, nan where one of its runs has none;
    - `lost`: the runs without a score, as cell:seed.

    ValueError for another split or `best`; UserError where `over` of a cell is no number, or a run
    has several scores.
    """
    if filters.get("split") != "validation":
        raise ValueError(f"filters: choose on split 'validation', not {filters.get('split')!r}")
    if best not in SIGNS:
        raise ValueError(f"best: {best!r} is not one of {', '.join(SIGNS)}")
    runs = _scored(results, study, experiment, metric, filters)
    values = runs["value"].groupby(runs["cell"])
    means = values.mean().where(values.count() == values.size())
    numbers = {
        cell: _number(params, over)
        for cell, params in zip(runs["cell"], runs["params"], strict=True)
    }
    rows = []
    for group, members in runs.groupby(_groups(runs, over), sort=False):
        cells = sorted(set(members["cell"]), key=lambda cell: (numbers[cell], cell))
        scored = {cell: float(means[cell]) for cell in cells}
        complete = [cell for cell in cells if not np.isnan(scored[cell])]
        # min takes the first of equals, which has the smallest number
        cell = min(complete, key=lambda cell: SIGNS[best] * scored[cell], default="")
        value, score = (numbers[cell], scored[cell]) if cell else (np.nan, np.nan)
        scores = {numbers[one]: scored[one] for one in cells}
        lost = members[members["value"].isna()]
        names = tuple(f"{c}:{s}" for c, s in zip(lost["cell"], lost["seed"], strict=True))
        rows.append((group, cell, value, score, scores, tuple(cells), names))
    return pd.DataFrame(rows, columns=COLUMNS)


def _scored(
    results: Results, study: str, experiment: str, metric: str, filters: Mapping[str, Any]
) -> pd.DataFrame:
    """Every planned run with its score as `value`, nan where there is no finite one, and the
    parameters of its cell."""
    runs = results.runs
    runs = runs[(runs["study"] == study) & (runs["experiment"] == experiment)]
    finals = results.finals(study, experiment, metric)
    at_end = finals["step"] == finals["steps"]
    finals = finals.loc[at_end & matches(finals, filters), ["cell", "seed", "value"]]
    if (twice := finals[finals.duplicated(["cell", "seed"])]).size:
        raise UserError(
            f"{study}: several {metric} of {twice['cell'].iloc[0]} to choose by; add filters"
        )
    scored = runs[["cell", "seed", "tier"]].merge(finals, on=["cell", "seed"], how="left")
    scored["value"] = scored["value"].where(np.isfinite(scored["value"]))
    params = {cell: results.parameters(study, cell) for cell in scored["cell"]}
    return scored.assign(params=scored["cell"].map(params))


def _groups(runs: pd.DataFrame, over: str) -> pd.Series:
    """Per run what it shares with its fellow candidates, as text."""
    text = {
        cell: json.dumps({"tier": tier, **_without(params, over.split("."))}, sort_keys=True)
        for cell, tier, params in zip(runs["cell"], runs["tier"], runs["params"], strict=True)
    }
    return runs["cell"].map(text).astype(object)


def _without(params: Mapping[str, Any], path: list[str]) -> dict[str, Any]:
    """Parameters without the entry at `path`."""
    head, *rest = path
    left = {name: value for name, value in params.items() if name != head}
    inner = params.get(head)
    return left | ({head: _without(inner, rest)} if rest and isinstance(inner, dict) else {})


def _number(params: Mapping[str, Any], over: str) -> float:
    value: Any = params
    for part in over.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{over}: cells to choose from need a number, not {value!r}")
    return float(value)
