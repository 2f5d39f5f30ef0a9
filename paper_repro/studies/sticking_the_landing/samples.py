"""Numbers that claims of this study first make of the rows of a run: one per seed."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd

from paper_repro.claims.check import Check
from paper_repro.claims.selection import table
from paper_repro.results.frames import Results


def exponent(results: Results, check: Check) -> pd.DataFrame:
    """Slope of log value against log K, by least squares over the K that `check` selects: the
    exponent of a power law (Rainforth et al. 2018, section 3). A gap where a K has no value or one
    that is not positive."""
    points = pd.concat(
        table(results, check.but(select={"k": k})).assign(k=k) for k in check.select["k"]
    )
    rows = []
    for seed, found in points.groupby("seed"):
        runs = sorted({run for text in found["run"] for run in cast(str, text).split()})
        value = np.nan
        if (found["value"] > 0).all():
            value = np.polyfit(np.log(found["k"]), np.log(found["value"]), 1)[0]
        rows.append({"unit": "", "seed": seed, "value": value, "run": " ".join(runs)})
    return pd.DataFrame(rows, columns=["unit", "seed", "value", "run"])
