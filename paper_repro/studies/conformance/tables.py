"""The table of the conformance study: one row per estimator, latent, decoder and bound.

Means over seeds (each another random problem) with the half width of their 95 % t interval.
"""

from __future__ import annotations

import itertools

import numpy as np
from pandas import DataFrame, Series

from paper_repro.claims.filters import pick
from paper_repro.drawing.labels import METRICS
from paper_repro.drawing.tables import NONE, Entry, Table, Tables, estimate
from paper_repro.results.frames import Results
from paper_repro.studies.conformance.figures import BLOCKS, Z_LIMIT, estimators

STUDY, EXPERIMENT = "conformance", "estimators"
ROUNDING = 1e-20  # variances below it are rounding errors of float64
COLUMNS = (
    "latent",
    "decoder",
    "bound",
    "estimator",
    "unbiased",
    "largest |z|",
    "bias / exact gradient",
    METRICS["gradient_variance"],
    "noise / signal",
    "cosine",
    "SNR",
    "seconds / gradient",
    "cost ratio",
    "cost * noise / signal",
    "variance at q = p (nats²)",
    "repeats bitwise",
)
NOTES = (
    "Two samples per gradient everywhere. Largest |z|: bias in standard errors over all "
    "parameters of encoder and decoder; unbiased: below six in every seed. Bias, variance, noise "
    "/ signal (trace of covariance over squared length of the exact gradient), cosine (of single "
    "gradients with the exact one) and SNR are those of the encoder. An unbiased estimator's bias "
    "column is sampling error.",
    "Seconds: one gradient of a VAE on digits, 64-128-128-16, batch of 100, on this machine; cost "
    "ratio: to exact_kl where there is one, else total, else score_function. Cost * noise/signal: "
    "what a gradient of given accuracy costs by averaging, for the unbiased ones.",
    "— does not apply. Variances below 1e-20 are rounding.",
)


def conformance(results: Results) -> Table:
    """Everything that was measured of every estimator."""
    frame = results.finals(STUDY, EXPERIMENT)
    rows: list[list[Entry]] = []
    for block, linear in itertools.product(BLOCKS, (False, True)):
        problem = f"{block.problem}_linear" if linear else block.problem
        mine = pick(frame, problem=problem, bound=block.bound)
        for name in estimators(frame, block):
            found = pick(mine, estimator=name)
            if len(found):
                optimum = pick(frame, problem=problem, metric="variance_at_optimum")
                decoder = "linear" if linear else "network"
                head: list[Entry] = [block.problem, decoder, block.bound, name]
                if block.bound != "elbo":
                    optimum = optimum.iloc[:0]
                rows.append(head + _measured(found, pick(optimum, estimator=name)["value"]))
    return Table(COLUMNS, rows, NOTES)


def _measured(found: DataFrame, optimum: Series) -> list[Entry]:
    """The entries of one row behind its name; `optimum` are variances at q = p."""
    z = pick(found, metric="bias_z_max").groupby("seed")["value"].max()
    noise = _encoder(found, "relative_variance")
    signal = 1 / np.sqrt(noise[noise > ROUNDING])
    ratio = pick(found, metric="cost_ratio").set_index("seed")["value"]
    same = pick(found, metric="repeat_identical")["value"]
    return [
        "yes" if z.max() < Z_LIMIT else "no",
        estimate(z),
        estimate(_encoder(found, "relative_bias")),
        estimate(_encoder(found, "gradient_variance")),
        estimate(noise),
        estimate(pick(found, metric="cosine")["value"]),
        estimate(signal) if len(signal) else "∞",
        estimate(pick(found, metric="seconds_per_gradient")["value"]),
        estimate(ratio),
        estimate((ratio * noise).dropna()),
        estimate(optimum) if len(optimum) else NONE,
        "yes" if same.min() > 0 else "no",
    ]


def _encoder(found: DataFrame, metric: str) -> Series:
    return pick(found, metric=metric, group="encoder").set_index("seed")["value"]


TABLES: Tables = {"conformance": conformance}
