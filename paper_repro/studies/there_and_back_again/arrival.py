"""Has the VAE of E1 arrived? Its test ELBO against that at twice the steps, seed by seed (ours).

A data set on which it has not is cut short: what training would still change there is larger than
the differences between methods that are asked for.
"""

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

PER_IMAGE = [unit.removeprefix("dataset=") for unit in ARRIVED]  # limited by nats per image
LIMITS = {"elbo": 28 * 28 * min(ARRIVED.values()), "elbo_per_value": ARRIVED_ELSE}
UNITS = {"elbo": "nats/image", "elbo_per_value": "nats/value"}


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


def cut_short(results: Results) -> list[str]:
    """The data sets on which it has not."""
    return [dataset for dataset, one in arrivals(results).items() if one.short]


def metric(dataset: str) -> str:
    """The metric by which a data set is judged."""
    return "elbo" if dataset in PER_IMAGE else "elbo_per_value"


def remaining(results: Results, dataset: str) -> pd.DataFrame:
    """The VAE's native test ELBO at the marks and at the end of E1, less that of the same seed at
    the end of twice the steps, in the unit of the data set's limit."""
    where = {"dataset": dataset, "evaluation": "native"}
    named = metric(dataset)
    mine = methods.progress(results, "elbo", named, **where)
    far = methods.finals(results, "twice", named, **where)[["seed", "tier", "value"]]
    pairs = pick(mine, method=methods.VAE).merge(far, on=["seed", "tier"], suffixes=("", "_far"))
    return pairs.assign(value=pairs["value"] - pairs["value_far"])


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
