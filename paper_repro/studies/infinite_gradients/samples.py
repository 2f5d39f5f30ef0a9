"""Numbers of a run that no single row holds, for claims.yaml."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paper_repro.claims.check import Check
from paper_repro.claims.selection import curves, table
from paper_repro.results.frames import Results


def gamma_over_error(results: Results, check: Check) -> pd.DataFrame:
    """log(gamma / gamma*) of every run over the stretch of training that `progress` names, gamma*
    being eq. (6) of Dai, Wenliang and Wipf (NeurIPS 2021) on the batches: the mean squared error
    per pixel [log ratio].

    That error is in the distortion that is trained, D = d/2 log(2 pi gamma) + d gamma* / (2 gamma)
    nats per image of d pixels. A curve's point is a mean over steps in which gamma hardly moves.
    """
    whole = check.but(select={"progress": None})
    gamma = curves(results, whole)
    distortion = curves(results, whole.but(select={"metric": "distortion"}))
    point = ["unit", "seed", "run", "step"]
    joined = gamma.merge(distortion, on=point, how="left", suffixes=("", "_distortion"))
    final = {"kind": "final", "z": "sampled", "split": "test"}
    sizes = {}
    for metric in ("sse", "mse"):
        rows = table(results, whole.but(select={**final, "metric": metric}))
        sizes[metric] = rows.set_index(["unit", "seed"])["value"]
    pixels = (sizes["sse"] / sizes["mse"]).round().rename("pixels")
    joined = joined.join(pixels, on=["unit", "seed"])
    share = 2 * joined["value_distortion"] / joined["pixels"]
    share = share - np.log(2 * np.pi * joined["value"])  # gamma* / gamma
    joined["value"] = -np.log(share.where(share > 0))
    # a curve that is not there has no progress: it stays, as a gap
    inside = ~(joined["progress"] < check.select["progress"]["min"])
    runs = joined[inside].groupby(["unit", "seed", "run"], sort=False)["value"]
    return runs.agg(lambda values: values.mean(skipna=False)).reset_index()


def below_best(results: Results, check: Check) -> pd.DataFrame:
    """A score at each of the latent spaces in `units` minus the best of all smaller ones that are
    planned, seed by seed, in the unit of the score. The best of several is a little too good, which
    makes it harder for the large space to be no worse."""
    rows = table(results, check.but(units=("dim",)))
    rows["dim"] = rows["unit"].str.removeprefix("dim=").astype(float)
    scores, runs = (rows.pivot(index="seed", columns="dim", values=v) for v in ("value", "run"))
    found = []
    for dim in check.units["dim"]:
        smaller = scores.columns[scores.columns < dim]
        if dim not in scores or smaller.empty:
            continue
        value = scores[dim] - scores[smaller].max(axis=1, skipna=False)
        used = runs[[*smaller, dim]].agg(" ".join, axis=1)
        found.append(pd.DataFrame({"unit": f"dim={dim}", "value": value, "run": used}))
    columns = ["unit", "seed", "value", "run"]
    return pd.concat(found).reset_index()[columns] if found else pd.DataFrame(columns=columns)
