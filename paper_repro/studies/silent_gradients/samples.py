"""Numbers per seed that claims of the study test and no plain selection of rows gives."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paper_repro.claims.check import Check
from paper_repro.claims.selection import table
from paper_repro.results.frames import Results


def log_value(results: Results, check: Check) -> pd.DataFrame:
    """The logarithm of a metric that is a ratio already; what is not positive is a gap."""
    found = table(results, check)
    value = found["value"].where(found["value"] > 0)
    return found.assign(value=np.log(value), of="log ratio")
