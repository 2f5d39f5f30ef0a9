"""Numbers of a run that no single row holds, for claims.yaml."""

from __future__ import annotations

from collections.abc import Mapping

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
    return runs.agg(lambda points: points.mean(skipna=False)).reset_index().assign(of="log ratio")


def below_best(results: Results, check: Check) -> pd.DataFrame:
    """A score at each of the latent spaces in `units` minus the best of all smaller ones that are
    planned, seed by seed, in the unit of the score. The best of several is a little too good, which
    makes it harder for the large space to be no worse."""
    rows = table(results, check.but(units=("dim",)))
    rows["dim"] = rows["unit"].str.removeprefix("dim=").astype(float)
    of = {dim: part.set_index("seed") for dim, part in rows.groupby("dim")}
    found = []
    for dim in check.units["dim"] if isinstance(check.units, Mapping) else ():
        smaller = [one for one in of if one < dim]
        if dim not in of or not smaller:
            continue
        best = pd.concat([of[one]["value"] for one in smaller], axis=1).max(axis=1, skipna=False)
        made = of[dim].assign(unit=f"dim={dim}", value=of[dim]["value"] - best)
        for one in smaller:
            made["run"] = made["run"] + " " + of[one]["run"]
        found.append(made.reset_index())
    columns = ["unit", "seed", "value", "run", "of"]
    return pd.concat(found)[columns] if found else pd.DataFrame(columns=columns)
