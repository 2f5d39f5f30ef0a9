"""Column filters, as claims.yaml writes them: a value, a list of values, or {min, max}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


def matches(rows: pd.DataFrame, filters: Mapping[str, Any]) -> pd.Series:
    """Which rows pass every filter; a column that is not there holds "" in every row.

    `progress` of 0.05 means the step that a mark of 0.05 falls on, which is rounded: with 90 steps
    the fifth one (or fourth: half to even), whose own progress is not quite 0.05.
    """
    passed = pd.Series(True, index=rows.index)
    for column, wanted in filters.items():
        values = rows[column] if column in rows else pd.Series("", rows.index, dtype=object)
        if column == "progress" and not isinstance(wanted, dict):
            marks = wanted if isinstance(wanted, list) else [wanted]
            values, wanted = rows["step"], [np.rint(mark * rows["steps"]) for mark in marks]
        passed &= passes(values, wanted)
    return passed


def passes(values: pd.Series, wanted: Any) -> pd.Series:
    """Which values pass one filter; numbers are equal to nine digits, texts exactly."""
    if isinstance(wanted, list):
        return pd.concat([passes(values, one) for one in wanted], axis=1).any(axis=1)
    if isinstance(wanted, dict):
        numbers = pd.to_numeric(values, errors="coerce")
        low, high = wanted.get("min", -np.inf), wanted.get("max", np.inf)
        return (numbers >= low) & (numbers <= high)
    if isinstance(wanted, bool | str):
        return values.astype(object).fillna("").astype(str) == str(wanted)
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    return pd.Series(np.isclose(numbers, wanted, rtol=1e-9, atol=0.0), values.index)
