"""Column filters, as claims.yaml writes them: a value, a list of values, or {min, max}; `pick` is
the plain one of figures and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from paper_repro.errors import UserError


def matches(rows: pd.DataFrame, filters: Mapping[str, Any], where: str = "filter") -> pd.Series:
    """Which rows pass every filter; a column that is not there holds "" in every row. UserError for
    {min, max} of texts, which begins with `where`.

    `progress` of 0.05 means the step that a mark of 0.05 falls on, which is rounded: with 90 steps
    the fifth one (or fourth: half to even), whose own progress is not quite 0.05.
    """
    passed = pd.Series(True, index=rows.index)
    for column, wanted in filters.items():
        values = rows[column] if column in rows else pd.Series("", rows.index, dtype=object)
        if column == "progress" and not isinstance(wanted, dict):
            marks = wanted if isinstance(wanted, list) else [wanted]
            values, wanted = rows["step"], [np.rint(mark * rows["steps"]) for mark in marks]
        if isinstance(wanted, dict):
            _check_numbers(values, f"{where}: {column}")
        passed &= passes(values, wanted)
    return passed


def _check_numbers(values: pd.Series, where: str) -> None:
    """UserError for a {min, max} of a column of texts, none of which could pass."""
    written = values[values.notna() & (values != "")]
    if len(written) and pd.to_numeric(written, errors="coerce").isna().all():
        shown = ", ".join(map(repr, written.unique()[:3]))
        raise UserError(f"{where}: min and max are for numbers; its values are {shown}")


def passes(values: pd.Series, wanted: Any) -> pd.Series:
    """Which values pass one filter; numbers are equal to nine digits, texts exactly."""
    if isinstance(wanted, list):
        return pd.Series(np.any([passes(values, one) for one in wanted], axis=0), values.index)
    if isinstance(wanted, dict):
        numbers = pd.to_numeric(values, errors="coerce")
        low, high = wanted.get("min", -np.inf), wanted.get("max", np.inf)
        return (numbers >= low) & (numbers <= high)
    if isinstance(wanted, bool | str):
        text = str(wanted)
        each = values.to_numpy(object)
        found = [("" if one is None or one != one else str(one)) == text for one in each]
        return pd.Series(found, values.index, dtype=bool)
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    return pd.Series(np.isclose(numbers, wanted, rtol=1e-9, atol=0.0), values.index)


def pick(frame: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    """Rows of `frame` whose columns equal `wanted`; none where a column does not exist."""
    for column, value in wanted.items():
        if column not in frame:
            return frame.iloc[:0]
        frame = frame[frame[column] == value]
    return frame
