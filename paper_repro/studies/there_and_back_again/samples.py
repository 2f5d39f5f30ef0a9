"""Numbers of runs that no single row holds, for claims.yaml."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paper_repro.claims.check import Check
from paper_repro.claims.selection import curves, table
from paper_repro.results.frames import Results

KEYS = ["unit", "seed"]
# How far the VAE's test ELBO may still be from that at twice the steps, in nats per value: 3 nats
# of 28x28 pixels; 0.005 of colour images, 15 nats of 3x32x32.
ARRIVED = {"dataset=mnist": 3 / 784, "dataset=fashion_mnist": 3 / 784}
ARRIVED_ELSE = 0.005


def spikes(results: Results, check: Check) -> pd.DataFrame:
    """ln(largest / median) of a run's gradient norms, minus that of its partner [log ratio].

    Norms are means over the steps between two records of the curve. A run without a curve, or with
    a norm that is not finite, is a gap.
    """
    own = _spike(results, check.but(versus=None))
    other = _spike(results, check.but(select=dict(check.versus or {}), versus=None))
    both = own.merge(other, on=KEYS, how="left", suffixes=("", "_of_other"))
    return both.assign(
        value=both["value"] - both["value_of_other"],
        run=both["run"] + " " + both["run_of_other"].fillna(""),
        of="log ratio",
    )[[*KEYS, "value", "run", "of"]]


def _spike(results: Results, check: Check) -> pd.DataFrame:
    norms = curves(results, check.but(select={"kind": "curve"}))
    norms["value"] = norms["value"].where(norms["value"] > 0)
    runs = norms.groupby([*KEYS, "run"], sort=False)["value"]
    peak = runs.agg(lambda one: one.max(skipna=False) / one.median(skipna=False))
    return np.log(peak).reset_index()


def beside_pixels(results: Results, check: Check) -> pd.DataFrame:
    """A score in each of the units in `units` minus that in units of the pixels, by seed."""
    found = table(results, check)
    pixels = table(results, check.but(select={"units": 1}, units=()))
    both = found.merge(pixels, on="seed", how="left", suffixes=("", "_of_pixels"))
    return both.assign(
        value=both["value"] - both["value_of_pixels"],
        run=both["run"] + " " + both["run_of_pixels"].fillna(""),
    )[[*KEYS, "value", "run", "of"]]


def arrived(results: Results, check: Check) -> pd.DataFrame:
    """The plain numbers, except of data sets whose VAE is cut short: at twice the steps its test
    ELBO is further away than ARRIVED, in the mean over the seeds of `twice`. Where a tier plans no
    VAE at twice the steps, no data set counts."""
    found, moved = table(results, check), _moved(results, check)
    if moved.empty:
        return found.assign(excepted="no VAE at twice the steps is planned")
    by_set = moved.groupby("unit")
    change = by_set["value"].agg(lambda one: one.mean(skipna=False)).abs()
    limit = np.array([ARRIVED.get(unit, ARRIVED_ELSE) for unit in change.index])
    known, short = change.index[change.notna()], change.index[change > limit]
    return found.assign(
        value=found["value"].where(found["unit"].isin(known)),
        run=found["run"] + found["unit"].map(by_set["run"].agg(" ".join)).fillna(""),
        excepted=np.where(found["unit"].isin(short), "its VAE is cut short", ""),
    )


def _moved(results: Results, check: Check) -> pd.DataFrame:
    """The VAE's test ELBO at twice the steps minus that of E1, by data set and seed."""
    select = {
        "experiment": "elbo",
        "split": "test",
        "metric": "elbo_per_value",
        "evaluation": "native",
        "objective": "elbo",
        "likelihood": "gaussian_channel",
    }
    once = Check(check.study, check.claim, check.name, check.kind, select, {}, units=("dataset",))
    twice = table(results, once.but(select={"experiment": "twice"}))
    both = twice.merge(table(results, once), on=KEYS, how="left", suffixes=("", "_once"))
    return both.assign(
        value=both["value"] - both["value_once"],
        run=" " + both["run"] + " " + both["run_once"].fillna(""),
    )[[*KEYS, "value", "run"]]
