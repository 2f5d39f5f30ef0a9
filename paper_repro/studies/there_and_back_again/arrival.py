"""Whether the VAE of E1 has arrived: its ELBO against its own at twice the steps (ours).

A data set on which it has not is cut short: what training would still change there is larger than
the differences between methods that are asked for.
"""

from __future__ import annotations

import pandas as pd

from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again import methods
from paper_repro.studies.there_and_back_again.methods import VAE

PER_IMAGE = ("mnist", "fashion_mnist")  # limited by nats per image, others by nats per value
LIMITS = {"elbo": 3.0, "elbo_per_value": 0.005}
UNITS = {"elbo": "nats/image", "elbo_per_value": "nats/value"}


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
    pairs = mine[mine["method"] == VAE].merge(far, on=["seed", "tier"], suffixes=("", "_far"))
    return pairs.assign(value=pairs["value"] - pairs["value_far"])


def cut_short(results: Results) -> list[str]:
    """The data sets where the mean over seeds of what remained at the end of E1 is beyond the
    limit; those never trained for twice the steps are not among them."""
    found = []
    for dataset in methods.datasets(methods.finals(results, "twice", "elbo")):
        pairs = remaining(results, dataset)
        ended = pairs.loc[pairs["kind"] == "final", "value"]
        if abs(ended.mean()) > LIMITS[metric(dataset)]:
            found.append(dataset)
    return found
