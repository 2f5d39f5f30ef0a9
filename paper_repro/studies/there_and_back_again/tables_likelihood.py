"""E2, E7 and the sweep of bits: what a bounded variance does in any unit, on few images, by bound.

Fyffe, "There and Back Again" (arXiv 1912.10309); BAGGINS is our reading of its abstract, and the
experiments are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import pandas as pd

from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing.labels import METRICS
from paper_repro.drawing.tables import NONE, Entry, Estimate, Table
from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again import methods, rates
from paper_repro.studies.there_and_back_again.table_rows import (
    METHODS,
    by_run,
    measured,
    origin,
    places,
)

VARIANT, BITS = "likelihood_options.variant", "likelihood_options.bits"
SWEEP = ("bits", "elbo")
CLEAN = {"split": "test", "evaluation": "native"}
OF_ALL = {"split": "train", "evaluation": "native"}
MEASURES = {
    METRICS["elbo"]: ("elbo", CLEAN),
    "ELBO (nats/value)": ("elbo_per_value", CLEAN),
    "gamma": ("gamma", OF_ALL),
    "training MSE per pixel": ("mse", {"split": "train"}),
    "information (bits/value)": ("information", OF_ALL),
}
GRADIENTS = {"grad_decoder": "decoder", "grad_z": "latent"}


def scale(results: Results) -> Table:
    """E2: test ELBO with data in units of c, and its difference to c = 1."""
    frame = methods.finals(results, "units", "elbo_per_value", evaluation="native")
    lost = methods.lost(results, "units")
    keys = ["dataset", "method", "seed", "tier", "steps", "fingerprint"]
    at_one = pick(frame, units=1)[[*keys, "value"]]
    pairs = frame.merge(at_one, on=keys, suffixes=("", "_at_one"))
    pairs = pairs.assign(value=pairs["value"] - pairs["value_at_one"])
    rows: list[list[Entry]] = []
    for dataset, method in places(frame, lost):
        where = {"dataset": dataset, "method": method}
        for unit in sorted({*frame.get("units", []), *lost.get("units", [])}):
            either = pd.concat([pick(lost, units=c) for c in (unit, 1)])
            either = either.drop_duplicates(["dataset", "method", "seed"])
            rows.append(
                [
                    shown(dataset),
                    method,
                    _unit(unit),
                    measured(pick(frame, units=unit), pick(lost, units=unit), **where),
                    NONE if unit == 1 else measured(pick(pairs, units=unit), either, **where),
                ]
            )
    notes = [
        "Pixels times c, networks that see standardised data and whose outputs are scaled by the "
        "data's standard deviation. ELBO: native, of test images, plus D ln c, which is what "
        "another unit changes of a density of D values. Difference: to c = 1, of the same seed. A "
        "learned variance starts at 1 in the unit of the data.",
        origin(frame),
    ]
    columns = ["data set", "method", "c", "ELBO + D ln c (nats/value)", "difference to c = 1"]
    return Table(columns, rows, notes)


def _unit(value: float) -> str:
    """1/255 as it is meant, 10 as it is."""
    known = Fraction(value).limit_denominator(255)
    return str(known) if value < 0.1 and math.isclose(known, value) else f"{value:g}"


def memorising(results: Results) -> Table:
    """E7: the largest gradient norm over the median one, and where the variance ends."""
    lost = methods.lost(results, "memorising")
    gamma = by_run(methods.finals(results, "memorising", "gamma", "train", evaluation="native"))
    error = methods.finals(results, "memorising", "mse", "train")
    norms = {name: _norms(results, name) for name in GRADIENTS}
    rows: list[list[Entry]] = []
    for dataset, method in places(gamma, lost):
        where = {"dataset": dataset, "method": method}
        row: list[Entry] = [shown(dataset), method]
        for frame in norms.values():
            log = measured(frame, lost, **where)
            row += [f"{math.exp(log.mean):.3g}" if isinstance(log, Estimate) else log, log]
        rows.append([*row, *(measured(part, lost, **where) for part in (gamma, error))])
    columns = [
        title
        for name in GRADIENTS.values()
        for title in (f"{name}, largest / median", f"{name}, ln of it")
    ]
    notes = [
        METHODS,
        "64 images of whole grey levels, not dequantised, so that nothing but a bound keeps the "
        "variance from 0. Norms of the gradient by the decoder's first weight and, in the mean "
        "over images, by the latent variable; a norm is the mean over the steps between two "
        "records of the training curve. Largest / median: geometric mean over seeds; its "
        "logarithm, which claim back-F9 compares, has the interval.",
        "Gamma: the likelihood's variance at the end; MSE: of the images that were trained on, at "
        "a draw of z. Both are of pixels in [0, 1].",
        origin(gamma),
    ]
    return Table(
        ["data set", "method", *columns, "gamma", METRICS["mse"]],
        rows,
        notes,
    )


def _norms(results: Results, metric: str) -> pd.DataFrame:
    """ln(largest / median) of every run's curve; NaN where a norm is not finite or zero."""
    curve = methods.named(results.ended(methods.STUDY, "memorising", metric, "curve"))
    norms = curve.assign(value=curve["value"].where(curve["value"] > 0))
    keys = ["cell", "dataset", "method", "seed", "tier", "steps"]
    runs = norms.groupby(keys, sort=False)["value"]
    ratio = runs.agg(lambda one: one.max(skipna=False) / one.median(skipna=False)).reset_index()
    return ratio.assign(value=np.log(ratio["value"]))


def bits(results: Results) -> Table:
    """BAGGINS A, B and C by the bound: ELBO of clean data, variance and information."""
    finals = (methods.named(results.finals(methods.STUDY, name)) for name in SWEEP)
    every = _bounded(results, finals)
    lost = _bounded(results, (methods.lost(results, name) for name in SWEEP))
    frames = [by_run(pick(every, metric=metric, **at)) for metric, at in MEASURES.values()]
    rows: list[list[Entry]] = []
    for dataset in methods.datasets(every, lost):
        mine = pd.concat([pick(part, dataset=dataset)[[VARIANT, BITS]] for part in (every, lost)])
        for variant, bound in sorted(set(mine.itertuples(index=False, name=None))):
            where = {"dataset": dataset, VARIANT: variant, BITS: bound}
            found = [measured(frame, lost, **where) for frame in frames]
            rows.append([shown(dataset), variant, f"{bound:g}", *found])
    notes = [
        "VAE with BAGGINS, our reading of the abstract. The bound is on the information per value, "
        "1/2 log2(1 + s2 / gamma), s2 the variance of the data: it is met at gamma_min. Variant A, "
        "that of the other tables: gamma = mean squared residual + gamma_min; B: the larger of the "
        "two; C: gamma_min, whatever the residual.",
        "ELBO: native, of clean test images, with gamma of the whole training set. MSE: of "
        "training images at a draw of z. It and gamma are of pixels in [0, 1].",
        "A at 8 bits is that of E1, where this ran with the same rate and as many steps.",
        origin(frames[0]),
    ]
    return Table(["data set", "variant", "bound (bits)", *MEASURES], rows, notes)


def _bounded(results: Results, frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Rows or lost runs of the sweep and of E1, of the latter those of BAGGINS with the rate and
    steps of the sweep; options by default as columns."""
    keys = ["dataset", "tier", "steps", "rate"]
    plans = [methods.named(results.settings(methods.STUDY, name)) for name in SWEEP]
    kept = ["cell", "method", *keys]
    own, usual = (plan.assign(rate=rates.rate(plan)).reindex(columns=kept) for plan in plans)
    usual = pick(usual, method=methods.BAGGINS).merge(own[keys].drop_duplicates(), on=keys)
    found = pd.concat(frames, ignore_index=True)
    found = found[found["cell"].isin({*own["cell"], *usual["cell"]})]
    for name, value in ((VARIANT, "A"), (BITS, 8.0)):
        given = found.get(name, pd.Series(None, found.index, dtype=object))
        found = found.assign(**{name: given.fillna(value)})
    return found
