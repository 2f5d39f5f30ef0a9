"""E3, E9, E10 and learning rates: Hessians of trained decoders, counts of outputs, chosen rates.

Fyffe, "There and Back Again" (arXiv 1912.10309); experiments and measures are ours.
"""

from __future__ import annotations

import math

import pandas as pd

from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing.labels import NOT_RUN
from paper_repro.drawing.tables import NONE, Entry, Table, estimate
from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again import methods, rates
from paper_repro.studies.there_and_back_again.table_rows import (
    METHODS,
    OURS,
    data_name,
    measured,
    origin,
    places,
)

AT = {"mean": "at the mean", "sampled": "over draws"}
HESSIAN = {"variance_error": "error", "curvature_penalty": "penalty"}


def hessian(results: Results) -> Table:
    """E3 and E10: posterior variances against the Hessian, and what one for all images costs."""
    rows: list[list[Entry]] = []
    parts = []
    for experiment, preprocessing in (("elbo", ""), ("bernoulli", "binarised")):
        every = methods.named(results.finals(methods.STUDY, experiment))
        lost = methods.lost(results, experiment)
        used = pick(every, metric="used", z="sampled")
        parts.append(used)
        for dataset, method in places(used, lost):
            for split in ("train", "test"):
                where = {"dataset": dataset, "method": method}
                row: list[Entry] = [data_name(dataset, preprocessing), method, split]
                row.append(measured(pick(used, split=split), lost, **where))
                for metric in HESSIAN:
                    for z in AT:
                        mine = pick(every, metric=metric, split=split, z=z)
                        row.append(_median(mine, lost, where))
                rows.append(row)
    columns = [f"{title}, {z}" for title in HESSIAN.values() for z in AT.values()]
    return Table(
        ["data set", "method", "images", "latents used", *columns],
        rows,
        [
            METHODS,
            "V: posterior variances; H: prior precision + J^T G J, J the decoder's Jacobian and G "
            "the likelihood's Fisher metric, of the native evaluation, at the posterior's mean or "
            "averaged over draws of it. Where the ELBO is stationary in learned variances, V_jj "
            "H_jj = 1; one variance for all images can only meet that on average.",
            "Latents used: mean V_jj below half of the prior's variance. Error: median over images "
            "and used latents of the absolute V_jj H_jj - 1. Penalty: 1/2 (ln det E H - E ln det "
            "H) in nats/image, what one V for all images costs against one for each.",
            _images(parts),
            origin(*parts),
        ],
    )


def _median(frame: pd.DataFrame, lost: pd.DataFrame, where: dict[str, str]) -> Entry:
    """As `measured`, of runs of which some use no latent and so have no error."""
    values, gone = pick(frame, **where)["value"], list(pick(lost, **where)["status"])
    none_used = len(values) > 0 and values.isna().all()
    return NONE if none_used and not gone else estimate(values, gone)


def _images(frames: list[pd.DataFrame]) -> str:
    counts = sorted({f"{n:g}" for f in frames if len(f) for n in f["hessian_images"].unique()})
    return f"The first {' or '.join(counts)} images of each split." if counts else ""


def outputs(results: Results) -> Table:
    """E9: outputs and parameters of both networks, and their shares of the full VAE's."""
    rows_of = methods.named(results.finals(methods.STUDY, "elbo"))
    lost = methods.lost(results, "elbo")
    one = rows_of.drop_duplicates(["cell", "metric", "at"])  # a count is the same for all seeds
    rows: list[list[Entry]] = []
    for dataset, method in places(one, lost):
        row: list[Entry] = [shown(dataset), method]
        for metric in ("encoder_outputs", "decoder_outputs", "parameters"):
            own, full = (
                pick(one, dataset=dataset, method=name, metric=metric)["value"]
                for name in (method, methods.HEAD)
            )
            row.append(f"{own.sum():,.0f}" if len(own) else NOT_RUN)
            row.append(f"{own.sum() / full.sum():.3f}" if len(own) and len(full) else NOT_RUN)
        rows.append(row)
    names = ("encoder outputs", "decoder outputs", "parameters")
    columns = [title for name in names for title in (name, f"{name}, share")]
    notes = [
        METHODS,
        f"Share: of the full VAE's, called {methods.HEAD}, whose networks put out a variance for "
        "every latent and every value. Parameters are those of encoder, decoder and likelihood "
        "together. Counts are exact and do not depend on the seed.",
        _tiers(one),
    ]
    return Table(["data set", "method", *columns], rows, notes)


def learning_rates(results: Results) -> Table:
    """Validation ELBO at every learning rate, which one that chooses, and which one E1 has."""
    found = rates.candidates(results)
    best, planned = rates.chosen(found), rates.of_e1(results)
    datasets = list(dict.fromkeys(name for one in found for name in one.scores))
    rows: list[list[Entry]] = []
    for one in found:
        said = ["chosen"] if best.get(one.method) == one.rate else []
        said += ["in E1"] if one.rate in planned.get(one.method, []) else []
        scores = [_score(one.scores[name], one.lost[name]) for name in datasets]
        average = _score(one.mean, []) if not math.isnan(one.mean) else "out"
        rows.append([one.method, f"{one.rate:g}", *scores, average, ", ".join(said) or NONE])
    frame = methods.finals(results, "learning_rates", **rates.SCORE)
    notes = [
        METHODS,
        "Rate: Adam's, where its schedule starts. Numbers are native ELBOs of validation images in "
        "nats/value. Chosen: of every method the rate with the highest mean over the data sets; a "
        "rate that diverged on one of them is out. In E1: the rate with which E1 is planned.",
        origin(frame),
    ]
    columns = ["method", "rate", *map(shown, datasets), "mean", "choice"]
    return Table(columns, rows, notes)


def _score(value: float, lost: list[str]) -> Entry:
    return f"{value:.4f}" if not math.isnan(value) else estimate([], lost or ["diverged"])


def _tiers(frame: pd.DataFrame) -> str:
    tiers = " + ".join(sorted(set(frame["tier"])))
    return f"Tier {tiers}. {OURS}" if tiers else f"Not run. {OURS}"
