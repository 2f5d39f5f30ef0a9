"""E1 and E10: ELBO, rate and distortion of every method, and how far methods are apart.

Fyffe, "There and Back Again" (arXiv 1912.10309); the experiments and both evaluations, those of
protocol `frozen`, are ours. The best method of a table is not marked: whether one is better is
asked of paired differences, by claims.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from paper_repro.claims.filters import pick
from paper_repro.drawing.labels import METRICS
from paper_repro.drawing.tables import NONE, Entry, Table
from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again import arrival, methods
from paper_repro.studies.there_and_back_again.table_rows import (
    METHODS,
    compared,
    data_name,
    measured,
    origin,
    places,
)

PER_VALUE = "nats/value"
COLUMNS = {
    "elbo": METRICS["elbo"],
    "elbo_per_value": f"ELBO ({PER_VALUE})",
    "bits_per_dim": "bits/dim",
    "rate": "rate (nats/image)",
    "distortion": "distortion (nats/image)",
    "iwae": "IWAE (nats/image)",
}
EVALUATIONS = {
    "native": "Native evaluation: each method's own prior, fitted to all training images where its "
    "objective fits one, and its own likelihood of clean data, whose variance is that of all "
    "training images where it is solved for.",
    "common": "Common evaluation: for every method one scalar variance, the mean squared error of "
    "the training images, and the diagonal Gaussian prior that fits the training images best, so "
    "that a gain is neither the bound's nor the prior's. Binarised pixels keep their own "
    "likelihood.",
}


class Group(NamedTuple):
    """The runs of one experiment: test rows of its metrics, lost runs, what its data are called."""

    rows: pd.DataFrame
    lost: pd.DataFrame
    binarised: bool
    arrivals: dict[str, arrival.Arrival]

    def label(self, dataset: str) -> str:
        """How a table calls a data set."""
        if self.binarised:
            return data_name(dataset, "binarised")
        return arrival.label(dataset, self.arrivals)

    def of(self, metric: str, evaluation: str) -> pd.DataFrame:
        """One number per run."""
        return pick(self.rows, metric=metric, evaluation=evaluation)


def groups(results: Results) -> Iterator[Group]:
    """E1 and E10, as far as they are planned."""
    arrivals = arrival.arrivals(results)
    for experiment in ("elbo", "bernoulli"):
        rows = methods.named(results.finals(methods.STUDY, experiment))
        lost = methods.lost(results, experiment)
        yield Group(pick(rows, split="test"), lost, experiment == "bernoulli", arrivals)


def elbo(results: Results) -> Table:
    """Test ELBO by the native evaluation."""
    return _bounds(results, "native")


def elbo_common(results: Results) -> Table:
    """Test ELBO by the evaluation that all methods share."""
    return _bounds(results, "common")


def _bounds(results: Results, evaluation: str) -> Table:
    found = list(groups(results))
    rows: list[list[Entry]] = []
    for group in found:
        frames = {metric: group.of(metric, evaluation) for metric in COLUMNS}
        for dataset, method in places(group.rows, group.lost):
            where = {"dataset": dataset, "method": method}
            entries = {m: measured(frame, group.lost, **where) for m, frame in frames.items()}
            if group.binarised:  # no density of 8 bits
                entries["bits_per_dim"] = NONE
            rows.append([group.label(dataset), method, *entries.values()])
    notes = [
        METHODS,
        f"Test images, dequantised by uniform noise unless binarised. {EVALUATIONS[evaluation]}",
        "ELBO = - rate - distortion. Bits/dim: the ELBO per value in bits, of pixels dequantised "
        f"to their own number of levels. {_importance(found)} The table elbo_differences compares "
        "methods in pairs.",
        arrival.note(found[0].arrivals),
        origin(*(group.of("elbo", evaluation) for group in found)),
    ]
    return Table(["data set", "method", *COLUMNS.values()], rows, notes)


def elbo_differences(results: Results) -> Table:
    """How far methods are apart, in pairs, by both evaluations."""
    found = list(groups(results))
    rows: list[list[Entry]] = []
    for group in found:
        sides = [
            (methods.differences(group.of("elbo_per_value", evaluation), to), to)
            for evaluation in EVALUATIONS
            for to in (methods.VAE, methods.FITTED)
        ]
        gaps = [group.of("gap", evaluation) for evaluation in EVALUATIONS]
        for dataset, method in places(group.rows, group.lost):
            row: list[Entry] = [group.label(dataset), method]
            for differences, to in sides:
                entry = compared(differences, group.lost, method, to, dataset=dataset)
                row.append(NONE if method == to else entry)
            where = {"dataset": dataset, "method": method}
            rows.append([*row, *(measured(gap, group.lost, **where) for gap in gaps)])
    columns = [f"ELBO - {to}, {e}" for e in EVALUATIONS for to in (methods.VAE, methods.FITTED)]
    notes = [
        f"{METHODS} ELBO - VAE, ELBO - fitted prior: test ELBO ({PER_VALUE}) less that of the "
        "other method's run of the same seed; above 0 the method of the row is better. Native and "
        "common: the evaluations of the tables elbo and elbo_common; natively a variance head is "
        "another density.",
        f"IWAE - ELBO in nats/image, of the same draws. {_importance(found)}",
        arrival.note(found[0].arrivals),
        origin(*(group.of("elbo_per_value", "native") for group in found)),
    ]
    gaps_of = [f"IWAE - ELBO, {evaluation}" for evaluation in EVALUATIONS]
    return Table(["data set", "method", *columns, *gaps_of], rows, notes)


def _importance(found: list[Group]) -> str:
    """What the importance bound is of."""
    rows = pd.concat([group.of("iwae", "native") for group in found])
    if rows.empty:
        return ""
    samples, images = (
        " or ".join(f"{number:g}" for number in sorted(rows[f"importance_{name}"].unique()))
        for name in ("samples", "images")
    )
    return (
        f"IWAE: the bound of {samples} importance samples, of the first {images} test images "
        "alone, so that it may be below the ELBO of all."
    )
