"""What claims about trained VAEs first make of the rows: one number per planned unit and seed.

Rezende and Viola, "Taming VAEs" (arXiv 1810.00597). A function takes the results and a check of
claims.yaml, and returns columns unit, seed, value and run (`claims.selection.table`), where NaN is
a gap; some also `excepted`, the rule by which a unit does not count, or `low` and `high`, between
which a value lies; `of` is the unit of the value. RMS errors are per pixel, KLs in nats per image.
"The end" of a run is the mean over its last 5 %, on training batches, at a sampled z.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paper_repro.claims.check import Check
from paper_repro.claims.selection import curves, table
from paper_repro.results.frames import Results

Numbers = NDArray[np.float64]
KEYS = ["unit", "seed"]
PLANE = [*KEYS, "run", "rate", "error"]
END = {"min": 0.95}
SETS = range(20)  # of random data for the spectral link, those without an eigen-gap among them
LOG = "log ratio"
BETA = "objective_options.beta"
BETAS = 2001  # between the smallest and the largest beta that was trained
# What the images themselves score, which no reconstruction needs to beat, by constraint.
LIMITS = {"constraints.CLA": "classifier_accuracy", "constraints.PNCC": "patch_limit"}


def weakest_split(results: Results, check: Check) -> pd.DataFrame:
    """C4: the smallest |correlation| over a seed's random sets with an eigen-gap, as many as the
    run says that there are."""
    every = table(results, check.but(units={"set": tuple(SETS)}))
    found = every.groupby("seed")["value"].agg(["min", "count"])
    sets = table(results, check.but(select={"metric": "sets_with_gap"}))
    complete = found["count"].reindex(sets["seed"]).to_numpy() == sets["value"].to_numpy()
    return sets.assign(value=np.where(complete, found["min"].reindex(sets["seed"]), np.nan))


def excess(results: Results, check: Check) -> pd.DataFrame:
    """ln(RMS error / kappa) of numbers of `relative_mse`, squared error over kappa^2."""
    found = table(results, check)
    return found.assign(value=0.5 * np.log(found["value"]), of=LOG)


def reachable_excess(results: Results, check: Check) -> pd.DataFrame:
    """C5: `excess`, except of thresholds that the network cannot reach."""
    return _with_floor(results, check, excess(results, check))


def reachable(results: Results, check: Check) -> pd.DataFrame:
    """C6: the plain numbers, except of thresholds that the network cannot reach."""
    return _with_floor(results, check, table(results, check))


def _with_floor(results: Results, check: Check, found: pd.DataFrame) -> pd.DataFrame:
    """Except units whose network, trained in the same steps with beta near 0 (`floor`), ends with
    an error of kappa or more, its mean over seeds; without that number the unit is a gap."""
    select = {"experiment": "floor", "metric": "excess", "split": "train", "progress": None}
    floors = table(results, check.but(select=select, versus=None, pairing="", span=""))
    lowest, found = _mean_of_unit(floors, found), _resting_on(floors, found)
    kappa = check.select["kappa"]
    rule = f"its network ends at or above kappa = {kappa:g} with beta near 0"
    return found.assign(
        value=found["value"].where(np.isfinite(lowest)),
        excepted=np.where(lowest >= 0, rule, ""),
    )


def peak_after_crossing(results: Results, check: Check) -> pd.DataFrame:
    """C8: ln of the largest value of a curve from the crossing on over the largest before it. The
    crossing is the first point (a mean over steps) whose error is below kappa; a run without it, or
    with nothing before it, is a gap."""
    error = curves(results, check.but(select={"metric": "relative_mse"}))
    crossing = error[error["value"] < 1].groupby(KEYS)["step"].min().rename("crossing")
    own = curves(results, check).merge(crossing.reset_index(), on=KEYS, how="left")
    after = own["value"].where(own["step"] >= own["crossing"])
    before = own["value"].where(own["step"] < own["crossing"])
    split = own.assign(after=after, before=before).groupby(KEYS, as_index=False)
    peaks = split.agg({"after": "max", "before": "max", "run": "first"})
    return peaks.assign(value=np.log(peaks["after"] / peaks["before"]), of=LOG)


def peak_over_end(results: Results, check: Check) -> pd.DataFrame:
    """C8: ln of the largest value of a curve over its end."""
    peak = table(results, check.but(span="highest"))
    end = table(results, check.but(span="mean", select={"progress": END}))
    return peak.assign(value=np.log(peak["value"] / _beside(end, peak)), of=LOG)


def bracket(results: Results, check: Check) -> pd.DataFrame:
    """C10: bounds of the difference of two quantities, each of them known between its sides `low`
    and `high`."""
    sides = {}
    for side, other in (("low", "high"), ("high", "low")):
        versus = {**(check.versus or {}), "side": other}
        one = check.but(select={"side": side}, versus=versus, pairing="difference")
        sides[side] = table(results, one)
    high = _beside(sides["high"], sides["low"])
    return sides["low"].assign(low=sides["low"]["value"], high=high)


def best_beta(results: Results, check: Check) -> pd.DataFrame:
    """C11: ln of how much farther from the wanted error the worst unit is under the best single
    beta than under the same kappa.

    Distances are |ln(RMS error / kappa)|; the squared errors of `select` are of betas, those of
    `versus` of kappa. Between the betas that were trained ln(error) is linear in ln(beta), so that
    a coarse grid is no handicap of beta; where an end of the grid is best, a better beta may lie
    beyond, and there is a gap.
    """
    own = check.but(versus=None, pairing="", units=("dataset", "model", BETA))
    other = own.but(select=dict(check.versus or {}), units=("dataset", "model"))
    kappa = other.select["kappa"]
    errors, matched = table(results, own), table(results, other)
    place = errors["unit"].str.rsplit(f", {BETA}=", n=1)
    errors = errors.assign(set=place.str[0], beta=place.str[1].astype(float))
    rows = []
    for seed, mine in errors.groupby("seed"):
        theirs = matched[matched["seed"] == seed]
        if theirs.empty:
            continue  # no partner is planned
        off = mine.pivot_table("value", "set", "beta", dropna=False)
        off = 0.5 * np.log(off) - np.log(kappa)
        same = (0.5 * np.log(theirs["value"]) - np.log(kappa)).abs().max(skipna=False)
        complete = set(off.index) == set(theirs["unit"])
        best = _smallest_worst(off) if complete else np.nan
        runs = " ".join(dict.fromkeys(" ".join([*mine["run"], *theirs["run"]]).split()))
        rows.append(("", seed, np.log(best / same), runs))
    return pd.DataFrame(rows, columns=[*KEYS, "value", "run"]).assign(of=LOG)


def _smallest_worst(off: pd.DataFrame) -> float:
    """The largest |value| over rows at the beta where it is smallest; NaN if one is missing, or
    for an end of the betas, the columns."""
    logs = np.log(off.columns.to_numpy(float))
    fine = np.linspace(logs[0], logs[-1], BETAS)
    worst = np.max([np.abs(np.interp(fine, logs, row)) for row in off.to_numpy(float)], axis=0)
    place = int(np.argmin(worst))
    inside = bool(np.isfinite(off.to_numpy(float)).all()) and 0 < place < BETAS - 1
    return float(worst[place]) if inside else np.nan


def possible(results: Results, check: Check) -> pd.DataFrame:
    """C12: the plain numbers, except of data sets whose images themselves do not meet the
    constraint that `select` names."""
    found = table(results, check)
    name = next(name for name in LIMITS if check.select.get(name))
    select = {"metric": LIMITS[name], "z": None}
    limits = table(results, check.but(select=select, versus=None, pairing=""))
    limit, found = _mean_of_unit(limits, found), _resting_on(limits, found)
    wanted = check.select[name]
    rule = f"its images themselves score less than {wanted:g}"
    return found.assign(
        value=found["value"].where(np.isfinite(limit)),
        excepted=np.where(limit < wanted, rule, ""),
    )


def above_curve(results: Results, check: Check) -> pd.DataFrame:
    """C13: bounds of a run's KL minus GECO's at the same error (`convex_bounds`); GECO's runs are
    `versus`, one per kappa. Only the two of neighbouring errors count, and are named in `run`."""
    own = check.but(versus=None, pairing="", span="mean", select={"progress": END})
    other = own.but(select=dict(check.versus or {}), units=(*own.columns, "kappa"))
    runs = _plane(results, own)
    points = _plane(results, other)
    points["multiplier"] = _beside(_metric(results, other, "multiplier_RE"), points)
    points["unit"] = points["unit"].str.rsplit(", kappa=", n=1).str[0]
    grouped = {key: curve.sort_values("error") for key, curve in points.groupby(KEYS)}
    rows = []
    for unit, seed, used, rate, error in zip(*(runs[name] for name in PLANE), strict=True):
        low, high, near = np.nan, np.nan, grouped.get((unit, seed), points.iloc[:0])
        if len(near) and np.isfinite([rate, error]).all() and not near.isna().any(axis=None):
            place = int(np.searchsorted(near["error"], error))
            near = near.iloc[max(place - 1, 0) : place + 1]
            known = near[["error", "rate", "multiplier"]].to_numpy(float).T
            below, above = convex_bounds(float(error), *known)
            low, high = rate - above, rate - below
        rows.append((unit, seed, low, high, " ".join([used, *near["run"]])))
    return pd.DataFrame(rows, columns=[*KEYS, "low", "high", "run"]).assign(of="nats/image")


def convex_bounds(
    x: float, error: Numbers, rate: Numbers, multiplier: Numbers
) -> tuple[float, float]:
    """Bounds at a summed squared error x of a convex, falling curve of which neighbouring points
    are known, by rising error, and minus the slope there: of GECO, its KL and lambda = -dKL/dC.

    Chords lie above a convex curve and tangents below. Beyond the largest error the curve is at
    most as high as there; below the smallest error there is no upper bound: NaN, both.
    """
    if x < error[0]:
        return np.nan, np.nan
    tangents = rate - multiplier * (x - error)
    return max(0.0, float(tangents.max())), float(np.interp(x, error, rate))


def _plane(results: Results, check: Check) -> pd.DataFrame:
    """KL as `rate` and summed squared error as `error` of the ends of runs."""
    found = _metric(results, check, "rate").rename(columns={"value": "rate"})
    final = {"split": "test", "z": "sampled", "progress": None}
    total, each = (
        table(results, check.but(span="", select={**final, "metric": name}))
        for name in ("sse", "mse")
    )
    pixels = total.assign(value=total["value"] / _beside(each, total))
    mse = _metric(results, check, "mse")
    return found.assign(error=_beside(mse, found) * _beside(pixels, found))[PLANE]


def _metric(results: Results, check: Check, metric: str) -> pd.DataFrame:
    return table(results, check.but(select={"metric": metric}))


def _beside(found: pd.DataFrame, base: pd.DataFrame) -> Numbers:
    """The values of `found` in the order of the units and seeds of `base`."""
    merged = base[KEYS].merge(found[[*KEYS, "value"]], on=KEYS, how="left", validate="one_to_one")
    return merged["value"].to_numpy(float)


def _resting_on(other: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """`found` with the runs of `other` of each row's unit beside its own: they decide too."""
    runs = {unit: " ".join(rows["run"]) for unit, rows in other.groupby("unit")}
    also = [runs.get(unit, "") for unit in found["unit"]]
    return found.assign(
        run=[
            " ".join(dict.fromkeys(f"{a} {b}".split()))
            for a, b in zip(found["run"], also, strict=True)
        ]
    )


def _mean_of_unit(found: pd.DataFrame, base: pd.DataFrame) -> Numbers:
    """The mean over seeds of `found`, NaN with a gap, for the unit of every row of `base`."""
    means = found.groupby("unit")["value"].agg(lambda values: values.mean(skipna=False))
    return np.asarray(means.reindex(base["unit"]), np.float64)
