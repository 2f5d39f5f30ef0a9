"""How soon a run is as good as another one was at its end: steps and seconds to a target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from paper_repro.results.frames import FINISHED, Results

SERIES = ["study", "experiment", "cell", "seed", "metric", "split", "at", "estimator"]
SIGNS = {"lower": -1, "higher": 1}


def to_target(
    results: Results, finals: pd.DataFrame, targets: Sequence[float] | pd.Series, better: str
) -> pd.DataFrame:
    """For each final row (as `Results.finals` gives them) the first recorded point, of its curve or
    its end, at which the value is at least as good as the row's target ("lower" or "higher" is
    `better`). A run is measured at marks only, so this is late by up to the distance of two.

    Columns, with the index of `finals`: `step`, `progress` (step / steps of the run) and `seconds`
    (training time up to there at the run's mean speed); all are infinite where the target is never
    reached, so that no failure drops out of a comparison. ValueError for a target that is not
    finite and for another `better`.
    """
    wanted = np.asarray(targets, dtype=float)
    if better not in SIGNS:
        raise ValueError(f"better: {better!r} is not one of {', '.join(SIGNS)}")
    if not np.isfinite(wanted).all():
        raise ValueError("targets: must be finite; a run without a result sets none")
    goals = finals[SERIES].assign(target=wanted, place=range(len(finals)))
    curves = results.curves[results.curves["status"] == FINISHED]
    points = pd.concat([curves, finals])[[*SERIES, "step", "value"]].merge(goals, on=SERIES)
    good = points[SIGNS[better] * (points["value"] - points["target"]) >= 0]
    step = good.groupby("place")["step"].min().reindex(range(len(finals))).fillna(np.inf)
    runs = results.runs.set_index(["study", "cell", "seed"])["steps_per_second"]
    speed = runs.reindex(pd.MultiIndex.from_frame(finals[["study", "cell", "seed"]])).to_numpy()
    found = {
        "step": step.to_numpy(),
        "progress": step.to_numpy() / finals["steps"].to_numpy(),
        "seconds": step.to_numpy() / speed,
    }
    return pd.DataFrame(found, index=finals.index)
