"""T5 to T8: annealing windows, numbers of latents, forms of the variance, learning rates and noise.

An ablation is compared with the runs of E1 or E2 that have the same data, learning rate and steps;
whether the verdict survives it is said by the interval of the paired difference.
"""

from __future__ import annotations

import math

import pandas as pd

from paper_repro.drawing.labels import METRICS, NOT_RUN
from paper_repro.drawing.tables import NONE, Entry, Estimate, Table
from paper_repro.results.frames import Results
from paper_repro.studies.silent_gradients import methods, scores
from paper_repro.studies.silent_gradients.scores import FIXED, LEARNED, SAME, VARIANCE

LOWER, HIGHER, UNDECIDED = "lower", "higher", "undecided"
GUIDED = (
    *("bits/dim, last step", "bits/dim, best checkpoint", "difference, last", "difference, best"),
    *("verdict, last", "verdict, best", "as usual"),
)
VERDICTS = (
    "Bits/dim of test images by Monte Carlo. Difference: to the method that it anneals to, paired; "
    "below 0, the silent gradient helps. Verdict: lower or higher where the 95 % interval of the "
    "difference excludes 0 and no run is lost, else undecided. As usual: whether both verdicts are "
    "those of the setting that E2 uses."
)


def annealing(results: Results) -> Table:
    """T5: when the silent gradient is faded out."""
    usual, own = scores.with_main(results, "annealing", LEARNED)
    return Table(
        ["data set", "latents", "number", "method", "window", *GUIDED],
        _guided(results, "annealing", usual, own, "window"),
        [
            "Window: fractions of the run between which the weight of the silent gradient falls "
            "from 1 to 0. One learning rate, not tuned.",
            VERDICTS,
            scores.origin(scores.last(scores.judged(results, "annealing"))),
        ],
    )


def variance_form(results: Results) -> Table:
    """T7: how a linear decoder writes its variance, alone and as the guide of E2."""
    sampled = scores.judged(results, "variance_form")
    closed = scores.read(results, "variance_form", "bits_per_dim", estimate="closed_form")
    gone = scores.lost(results, "variance_form")
    rows: list[list[Entry]] = []
    for cell in scores.in_order(scores.cells(results, "variance_form")):
        head = scores.head(cell, "dataset", "family", "dim", "method", "variance_form")
        found = [scores.measured(scores.last(table), cell, gone) for table in (closed, sampled)]
        rows.append(["alone", *head, *found, *[NONE] * (len(GUIDED) - 1)])
    usual, own = scores.with_main(results, "guide_form", LEARNED)
    usual = usual[usual["method"].isin({*own["method"], *own["baseline"]})]
    for row in _guided(results, "guide_form", usual, own, "variance_form"):
        rows.append(["guide", *row[:5], NONE, *row[5:]])
    return Table(
        [
            *("linear decoder", "data set", "latents", "number", "method", "form"),
            *("bits/dim, closed form", *GUIDED),
        ],
        rows,
        [
            "Forms of the precision: L0 constant, EXP exp(v.z + c), EXP2 its second-order "
            "surrogate, SQ (v.z + c)². The closed forms of EXP2, and of SQ with discrete latents, "
            "are no bounds: read Monte Carlo. Which form the paper uses is not known to us. "
            "Learning rate not tuned.",
            "Alone: the linear decoder is the model. Guide: the nonlinear decoder of E2 is the "
            "model, and the linear one guides its encoder.",
            VERDICTS,
            scores.origin(*map(scores.last, (sampled, scores.judged(results, "guide_form")))),
        ],
    )


def _guided(
    results: Results, experiment: str, usual: pd.DataFrame, own: pd.DataFrame, varied: str
) -> list[list[Entry]]:
    """Rows of every guided method: the column `varied`, scores, differences and what they say."""
    names = (experiment, LEARNED)
    test, validation = (
        scores.judged(results, *names, split=split) for split in ("test", "validation")
    )
    gone = scores.lost(results, *names)
    stages = [scores.last(test), scores.at_best(test, validation)]
    own = own.sort_values(varied, kind="stable")  # not by what their cells are called
    every = pd.concat([usual[usual["baseline"].isin(own["baseline"])], own])

    def differences(cell: pd.Series) -> list[Entry]:
        other = scores.partner(usual[usual["lr"] == cell["lr"]], cell, cell["baseline"])
        return [scores.difference(stage, cell, other, gone) for stage in stages]

    rows: list[list[Entry]] = []
    for cell in scores.in_order(every[every["baseline"] != ""]):
        same = usual[usual["lr"] == cell["lr"]]
        default = scores.partner(same, cell, methods.guided(cell["baseline"]))
        found = differences(cell)
        verdicts = [_verdict(entry) for entry in found]
        if default is None:
            survives = NOT_RUN
        elif default["cell"] == cell["cell"]:
            survives = "usual"
        else:
            expected = [_verdict(entry) for entry in differences(default)]
            survives = "yes" if verdicts == expected else "no"
        head = scores.head(cell, "dataset", "family", "dim", "method", varied)
        levels = [scores.measured(stage, cell, gone) for stage in stages]
        rows.append([*head, *levels, *found, *verdicts, survives])
    return rows


def latent_size(results: Results) -> Table:
    """T6: E1 with fewer and more latents."""
    usual, own = scores.with_main(results, "latent_size", FIXED)
    every = pd.concat([usual[usual["method"].isin(own["method"])], own])
    names = ("latent_size", FIXED)
    elbo = scores.last(scores.judged(results, *names))
    units = [scores.read(results, name, "active_units", threshold=0.01) for name in names]
    nominal, active = scores.bits(elbo), scores.last(pd.concat(units))
    gone = scores.lost(results, *names)
    rows: list[list[Entry]] = []
    for cell in scores.in_order(every):
        other = scores.partner(every, cell, methods.SILENT)
        own_score = cell["method"] == methods.SILENT
        rows.append(
            [
                *scores.head(cell, "dataset", VARIANCE, "family", "dim", "method", "lr"),
                *(scores.measured(table, cell, gone) for table in (elbo, nominal)),
                NONE if own_score else scores.difference(nominal, cell, other, gone),
                scores.measured(active, cell, gone),
            ]
        )
    return Table(
        [
            *("data set", "σ²", "latents", "number", "method", "learning rate"),
            *(METRICS["elbo"], "nominal bits/dim", "bits/dim - silent", METRICS["active_units"]),
        ],
        rows,
        [
            "ELBO by the closed form. A positive difference: silent is better. Learning rate not "
            "tuned; the sizes of E1 stand here where they ran with this rate and as many steps.",
            scores.origin(elbo[elbo["cell"].isin(every["cell"])]),
        ],
    )


def hyper_parameters(results: Results) -> Table:
    """T8: every learning rate of every method, and other noise levels of E1."""
    experiments = {"E1": FIXED, "E1, other σ²": "sigma", "E2": LEARNED}
    every = {title: scores.cells(results, name) for title, name in experiments.items()}
    rates = sorted({lr for frame in every.values() for lr in frame["lr"] if lr != ""})
    rows: list[list[Entry]] = []
    tables = []
    for title, name in experiments.items():
        mine, gone = every[title], scores.lost(results, name)
        tables.append(scores.last(scores.judged(results, name)))
        final = tables[-1] if name == LEARNED else scores.bits(tables[-1])
        tuned = name in (FIXED, LEARNED)
        picked = scores.tuned(results, name) if tuned else mine.assign(rate=NONE)
        method = scores.keys(mine, [*SAME, "method", "baseline"])
        for cell in scores.in_order(picked):
            alike = mine[method == method[mine["cell"] == cell["cell"]].iloc[0]]
            found: list[Entry] = []
            for rate in rates:
                at_rate = alike[alike["lr"] == rate]
                known = len(at_rate) > 0
                found.append(scores.measured(final, at_rate.iloc[0], gone) if known else NONE)
            means = [entry.mean for entry in found if isinstance(entry, Estimate)]
            spread = f"{max(means) - min(means):.3g}" if len(means) > 1 else NONE
            head = scores.head(cell, "dataset", VARIANCE, "family", "dim", "method")
            rows.append([title, *head, *found, spread, cell["rate"]])
    return Table(
        [
            *("experiment", "data set", "σ²", "latents", "number", "method"),
            *(f"lr {rate:g}" for rate in rates),
            *("worst - best", "chosen on validation"),
        ],
        rows,
        [
            "Test bits/dim at the last step: E1 nominal, by the closed form; E2 by Monte Carlo.",
            scores.origin(*tables),
        ],
    )


def _verdict(entry: Entry) -> str:
    if not isinstance(entry, Estimate) or entry.lost or not math.isfinite(entry.half_width):
        return UNDECIDED
    if abs(entry.mean) <= entry.half_width:
        return UNDECIDED
    return LOWER if entry.mean < 0 else HIGHER
