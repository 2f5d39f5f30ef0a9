"""Mistakes in saying how well one setting serves all data sets: what would flatter either side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from paper_repro.claims.checks import Finding, minimax
from paper_repro.claims.selection import Sample
from tests.wrong_on_purpose.case import Case

# Distance from the target by beta, and that of the partner, in two seeds.
OWN = {("a", 0.1): 0.1, ("b", 0.1): 2.0, ("a", 1.0): 0.5, ("b", 1.0): 0.4}
OTHER = {"a": 0.1, "b": 0.01}
RULE = {"x": "beta", "above": 3.0}


def _sample() -> Sample:
    rows = [
        {"unit": unit, "beta": beta, "seed": seed, "tier": "paper", "value_own": own + 0.01 * seed,
         "value_other": OTHER[unit], "value": (own + 0.01 * seed) / OTHER[unit]}
        for (unit, beta), own in OWN.items() for seed in range(2)
    ]  # fmt: skip
    return Sample(pd.DataFrame(rows), (), ())


def _tuned_for_each(sample: Sample, rule: Mapping[str, Any]) -> Finding:
    rows = sample.rows
    best = rows.loc[rows.groupby(["unit", "seed"])["value_own"].idxmin()].assign(beta=0.0)
    return minimax(replace(sample, rows=best), rule)


def _ratio_by_unit(sample: Sample, rule: Mapping[str, Any]) -> Finding:
    return minimax(replace(sample, rows=sample.rows.drop(columns="value_other")), rule)


def _average_unit(sample: Sample, rule: Mapping[str, Any]) -> Finding:
    rows = sample.rows
    means = rows.groupby(["beta", "seed", "tier"], as_index=False)[["value_own", "value_other"]]
    return minimax(replace(sample, rows=means.mean().assign(unit="")), rule)


def _reads_wrongly(statistic: Any) -> bool:
    """Of beta = 1 the worst is a, 0.5 and 0.51; the partner's worst is 0.1."""
    return abs(statistic(_sample(), RULE).estimate - 5.05) > 1e-9


CASES = [
    Case("a setting tuned for each data set", minimax, _tuned_for_each, _reads_wrongly),
    Case("ratios unit by unit before the worst", minimax, _ratio_by_unit, _reads_wrongly),
    Case("the average unit instead of the worst", minimax, _average_unit, _reads_wrongly),
]
