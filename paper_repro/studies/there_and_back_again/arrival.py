"""Has the VAE of E1 arrived? Its test ELBO against that at twice the steps, seed by seed (ours)."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from paper_repro.claims.filters import pick
from paper_repro.data.names import DATASETS, shown
from paper_repro.drawing.tables import Entry, Estimate, estimate
from paper_repro.results.files import MISSING
from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again import methods
from paper_repro.studies.there_and_back_again.samples import ARRIVED, ARRIVED_ELSE


class Arrival(NamedTuple):
    """How much higher the ELBO is at twice the steps, and how much that may be, in nats/image."""

    change: Entry
    limit: float

    @property
    def known(self) -> bool:
        """Whether every run of `twice` has its partner."""
        return isinstance(self.change, Estimate) and not self.change.lost

    @property
    def short(self) -> bool:
        """Whether the VAE is cut short."""
        return (
            self.known and isinstance(self.change, Estimate) and abs(self.change.mean) > self.limit
        )


def arrivals(results: Results) -> dict[str, Arrival]:
    """By data set, of those that were planned at twice the steps."""
    where = {"metric": "elbo_per_value", "evaluation": "native"}
    twice = methods.finals(results, "twice", **where)
    lost = methods.lost(results, "twice")
    once = pick(methods.finals(results, "elbo", **where), method=methods.VAE)
    keys = ["dataset", "seed", "fingerprint"]
    both = twice.merge(once[[*keys, "value"]], how="left", on=keys, suffixes=("", "_once"))
    both["value"] -= both["value_once"]
    return {
        dataset: _arrival(dataset, pick(both, dataset=dataset), pick(lost, dataset=dataset))
        for dataset in methods.datasets(twice, lost)
    }


def _arrival(dataset: str, pairs: pd.DataFrame, lost: pd.DataFrame) -> Arrival:
    pixels = math.prod(DATASETS[dataset]["shape"])
    limit = ARRIVED.get(f"dataset={dataset}", ARRIVED_ELSE)
    changes = pixels * pairs["value"].dropna()
    gone = [*lost["status"], *[MISSING] * (len(pairs) - len(changes))]
    return Arrival(estimate(changes, gone), pixels * limit)


def label(dataset: str, found: dict[str, Arrival]) -> str:
    """A data set's name, with what must be known of its VAE."""
    short = dataset in found and found[dataset].short
    return f"{shown(dataset)} (cut short)" if short else shown(dataset)


def note(found: dict[str, Arrival]) -> str:
    """What was found, as a note of a table."""
    if not any(one.known for one in found.values()):
        return "Whether the VAE has arrived is not known: no run at twice the steps."
    parts = [
        f"{shown(dataset)} {one.change} (at most {one.limit:.3g}"
        f"{', so cut short' if one.short else ''})"
        for dataset, one in found.items()
    ]
    return (
        f"The VAE's native test ELBO at twice the steps less that here, nats/image: "
        f"{'; '.join(parts)}. Cut short: its mean is further from 0."
    )
