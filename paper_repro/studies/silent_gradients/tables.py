"""Tables of the study "Silent Gradients" (Shao, Liu and Van den Broeck, 2025, arXiv 2508.03587).

The paper has nine tables whose contents are not known to us; these nine are our proposal. Numbers
are means over seeds with the half width of their 95 % t interval, of test images unless said;
every method has the learning rate that is best on validation images. Differences are paired.
"""

from __future__ import annotations

import pandas as pd

from paper_repro.claims.filters import matches
from paper_repro.drawing.labels import METRICS, NOT_RUN
from paper_repro.drawing.tables import NONE, Entry, Table, Tables, estimate
from paper_repro.results.frames import Results
from paper_repro.studies.silent_gradients import methods, scores
from paper_repro.studies.silent_gradients.scores import FIXED, LEARNED, STUDY, VARIANCE
from paper_repro.studies.silent_gradients.tables_ablations import (
    annealing,
    hyper_parameters,
    latent_size,
    variance_form,
)
from paper_repro.studies.silent_gradients.tables_cost import cost

EARLY = (0.05, 0.2, 0.5)  # fractions of a run at which methods are also compared
TUNED = (
    "Learning rate: for every data set and method the one of the grid with the best mean "
    'validation score at the last step, of those without a lost run ("none complete": no such).'
)
NOMINAL = (
    "Nominal bits/dim: (-ELBO/D + log 256)/log 2, as if pixels in [0, 1] were dequantised; ELBO by "
    "the closed form for every method."
)


def fixed_variance(results: Results) -> Table:
    """T1: a linear decoder of fixed variance, trained by every estimator."""
    every, gone = scores.tuned(results, FIXED), scores.lost(results, FIXED)
    elbo, training, validation = (
        scores.judged(results, FIXED, split=split) for split in ("test", "train", "validation")
    )
    final = scores.last(elbo)
    nominal, training = scores.bits(final), scores.last(training)
    rate = scores.last(scores.read(results, FIXED, "rate"))
    units = scores.last(scores.read(results, FIXED, "active_units", threshold=0.01))
    errors = {z: scores.last(scores.read(results, FIXED, "mse", z=z)) for z in ("mean", "sampled")}
    ceilings = {
        name: results.finals(STUDY, "ceiling", name) for name in ("ceiling_elbo", "ceiling_empty")
    }
    rows: list[list[Entry]] = []
    for cell in scores.in_order(every):
        silent = scores.partner(every, cell, methods.SILENT)
        own_score = cell["method"] == methods.SILENT
        error = errors["mean" if cell["family"] == "Gaussian" else "sampled"]
        row = scores.head(cell, "dataset", VARIANCE, "family", "dim", "method", "rate")
        row += [scores.measured(table, cell, gone) for table in (final, nominal)]
        row += [NONE if own_score else scores.difference(nominal, cell, silent, gone)]
        row += [scores.measured(table, cell, gone) for table in (error, rate, units)]
        row += _below_ceiling(cell, scores.of(training, cell), scores.of(gone, cell), ceilings)
        if own_score or silent is None:
            row += [NONE, NONE]
        else:
            when = scores.reached(results, FIXED, validation, silent, cell)
            row += [scores.time_to(when["progress"]), scores.time_to(when["seconds"] / when["own"])]
        rows.append(row)
    return Table(
        [
            *("data set", "σ²", "latents", "number", "method", "learning rate"),
            *(METRICS["elbo"], "nominal bits/dim", "bits/dim - silent"),
            *("MSE", METRICS["rate"], METRICS["active_units"]),
            *("training ELBO below ceiling (nats/image)", "gap closed"),
            *("silent as good after (of its run)", "seconds of silent / own"),
        ],
        rows,
        [
            TUNED,
            NOMINAL + " A positive difference: silent is better.",
            "MSE per pixel of the decoder's mean, at E z for Gaussian latents and at a hard "
            "sample for discrete ones. Active units: the posterior mean's variance over images is "
            "above 0.01. Ceiling: the largest training ELBO that Gaussian latents allow "
            "(probabilistic PCA); gap: from no latents at all to the ceiling. No such ceiling is "
            "known for discrete latents.",
            "As good: silent's validation score reaches this method's final one; measured at "
            "marks only, so late by up to the distance of two. Seconds: of training, up to there "
            "and of this method's whole run.",
            scores.origin(final),
        ],
    )


def _below_ceiling(
    cell: pd.Series, training: pd.DataFrame, gone: pd.DataFrame, ceilings: dict[str, pd.DataFrame]
) -> list[Entry]:
    """Distance of the training ELBO to the ceiling and the part of the gap that is closed."""
    if cell["family"] != "Gaussian":
        return [NONE, NONE]
    where = {"dataset": cell["dataset"], "variance": cell[VARIANCE], "images": "evaluated"}
    top, empty = ceilings["ceiling_elbo"], ceilings["ceiling_empty"]
    top = top[matches(top, {**where, "dim": cell["dim"]})]
    empty = empty[matches(empty, where)]
    if top.empty or empty.empty:
        return [NOT_RUN, NOT_RUN]
    high, low = top["value"].iloc[0], empty["value"].iloc[0]
    status = list(gone["status"])
    return [
        estimate(high - training["value"], status),
        estimate((training["value"] - low) / (high - low), status),
    ]


def continuous(results: Results) -> Table:
    """T2: a nonlinear decoder of learned variance, Gaussian latents."""
    return _learned(results, ["Gaussian"])


def discrete(results: Results) -> Table:
    """T3: a nonlinear decoder of learned variance, Bernoulli and categorical latents."""
    return _learned(results, ["Bernoulli", "categorical"])


def _learned(results: Results, families: list[str]) -> Table:
    every, gone = scores.tuned(results, LEARNED), scores.lost(results, LEARNED)
    test, validation = (
        scores.judged(results, LEARNED, split=split) for split in ("test", "validation")
    )
    stages = [scores.last(test), scores.at_best(test, validation)]
    every_stage = [*stages, *(scores.at_mark(test, progress) for progress in EARLY)]
    rows: list[list[Entry]] = []
    for cell in scores.in_order(every[every["family"].isin(families)]):
        other = scores.partner(every, cell, cell["baseline"])
        row = scores.head(cell, "dataset", "family", "dim", "method", "rate")
        row += [scores.measured(stage, cell, gone) for stage in stages]
        row += [
            scores.difference(stage, cell, other, gone) if cell["baseline"] else NONE
            for stage in every_stage
        ]
        rows.append(row)
    return Table(
        [
            *("data set", "latents", "number", "method", "learning rate", "bits/dim, last step"),
            *("bits/dim, best checkpoint", "difference, last", "difference, best"),
            *(f"difference after {progress:.0%}" for progress in EARLY),
        ],
        rows,
        [
            TUNED,
            "Bits/dim of test images dequantised by uniform noise, by Monte Carlo with hard "
            "samples, from encoder and nonlinear decoder alone. Best checkpoint: the mark at "
            "which the run's validation bits/dim is lowest. Difference: to the method without "
            "silent gradients that it anneals to, paired; below 0, the silent gradient helps.",
            scores.origin(scores.last(test[test["family"].isin(families)])),
        ],
    )


def gradients(results: Results) -> Table:
    """T4: bias, variance and direction of the encoder's gradient at start, middle and end."""
    parts = [
        scores.read(results, "gradients", f"encoder_gradient_{name}", "train")
        for name in ("relative_variance", "relative_bias", "relative_bias_noise", "cosine")
    ]
    variance, gone = parts[0], scores.lost(results, "gradients")
    points = variance.drop_duplicates(["cell", "method", "progress"]).sort_values("progress")
    names = ("dataset", "family", "dim", "method")
    rows: list[list[Entry]] = []
    for point in scores.in_order(points):
        where = {name: point[name] for name in ("cell", "method", "step")}
        found = [scores.measured(part[matches(part, where)], point, gone) for part in parts]
        rows.append([*scores.head(point, *names), f"{point['progress']:.0%}", *found])
    for cell in scores.in_order(scores.cells(results, "gradients")):
        if cell["cell"] not in set(variance["cell"]):  # a cell without a number is still a row
            nothing = scores.measured(variance, cell, gone)
            rows.append([*scores.head(cell, *names), NONE, *[nothing] * len(parts)])
    return Table(
        [
            *("data set", "latents", "number", "estimator", "progress", "variance / |exact|²"),
            *("bias / |exact|", "sampling error of the bias", "cosine"),
        ],
        rows,
        [
            "Gradient of one minibatch's mean ELBO in the encoder's weights, E1; all estimators "
            "at the weights of a run trained by silent gradients, with the same draws. Exact: "
            "closed form. Variance: trace of the covariance of one draw. A bias near its sampling "
            "error is none. Cosine: mean over single draws, to exact. Each estimator with the "
            "fewest samples it works with (RLOO: 2) and a settled baseline.",
            _theory(results),
            scores.origin(scores.last(variance)),
        ],
    )


def _theory(results: Results) -> str:
    """How variances of small models compare with their formulas, which we derived."""
    ratios = results.finals(STUDY, "exactness", "variance_ratio")["value"].dropna()
    if ratios.empty:
        return ""
    return (
        "On small models the measured variances of reparam and score functions are "
        f"{ratios.min():.3f} to {ratios.max():.3f} times those of the formulas (exactness)."
    )


TABLES: Tables = {
    "t1_fixed_variance": fixed_variance,
    "t2_continuous": continuous,
    "t3_discrete": discrete,
    "t4_gradients": gradients,
    "t5_annealing": annealing,
    "t6_latent_size": latent_size,
    "t7_variance_form": variance_form,
    "t8_hyperparameters": hyper_parameters,
    "t9_cost": cost,
}
