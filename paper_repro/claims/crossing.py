"""Training curves before and after the step at which a run first gets to where it should be.

A Lagrange multiplier rises for as long as its constraint is violated and may fall afterwards
(Rezende and Viola, "Taming VAEs", 2018, Figure 3): what is said of it is said of a part of the run
whose length differs from run to run.
"""

from __future__ import annotations

import pandas as pd

RUN = ["study", "cell", "seed"]
BEFORE, AFTER = "before", "after"


def part_of(curves: pd.DataFrame, marker: pd.DataFrame, below: float, part: str) -> pd.DataFrame:
    """The points of `curves` before the crossing of their run, or at it and later ("after").

    A run crosses at the first point of its curve in `marker` whose value is less than `below`;
    that point, the mean of the steps since the one before, belongs to "after". A run that never
    crosses counts wholly as before. ValueError for another `part`, or several markers a run.
    """
    if part not in (BEFORE, AFTER):
        raise ValueError(f"part: {part!r} is not one of {BEFORE}, {AFTER}")
    if marker.duplicated([*RUN, "step"]).any():
        raise ValueError("marker: several curves of a run")
    crossed = marker[marker["value"] < below].groupby(RUN)["step"].min().rename("crossed")
    step = curves[RUN].merge(crossed.reset_index(), on=RUN, how="left")["crossed"]
    early = (curves["step"] < step.fillna(float("inf")).to_numpy()).to_numpy()
    return curves[early] if part == BEFORE else curves[~early]
