"""The column `rule.x` over which a slope is fitted or a minimax takes the best setting.

What a run measures, and at which places, is known only from its rows: a coordinate that those of a
metric lack, or whose values are texts, has no slope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from paper_repro.errors import UserError


def column(rows: pd.DataFrame, check: Mapping[str, Any], where: str) -> list[str]:
    """The column that a check's rule names, if any; UserError, beginning with `where`, unless every
    row has a number there (of a slope, which takes logarithms, one above 0)."""
    if "x" not in check["rule"]:
        return []
    name = check["rule"]["x"]
    kind = "a number above 0" if check["statistic"] == "slope" else "a number"
    found = pd.to_numeric(rows.get(name, pd.Series(np.nan, rows.index)), errors="coerce")
    if found.isna().any() or (check["statistic"] == "slope" and (found <= 0).any()):
        metric = check["select"]["metric"]
        raise UserError(f"{where}: rule.x: not every row of {metric} has {kind} as {name!r}")
    return [name]
