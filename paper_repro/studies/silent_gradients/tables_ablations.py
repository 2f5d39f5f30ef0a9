"""T5 to T8: annealing windows, numbers of latents, forms of the variance, learning rates and noise.

An ablation is compared with the runs of E1 or E2 that have the same data, learning rate and steps;
whether the verdict survives it is said by the interval of the paired difference.
"""

from __future__ import annotations

import math

import pandas as pd

from paper_repro.analysis.results import Results
from paper_repro.analysis.tables import NOT_RUN, Entry, Estimate, Table
from paper_repro.studies.silent_gradients import methods
from paper_repro.studies.silent_gradients.tables_scores import (
    FIXED,
    LEARNED,
    NONE,
    SAME,
    VARIANCE,
    at_best,
    bits,
    cells,
    difference,
    in_order,
    judged_scores,
    keys,
    last,
    lost,
    made,
    measured,
    of,
    origin,
    partner,
    said,
    scores,
    tuned,
    with_main,
)

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
    usual, own = with_main(results, "annealing", LEARNED)
    rows = _guided(results, "annealing", usual, own, "window")
    return made(
        ["data set", "latents", "number", "method", "window", *GUIDED],
        rows,
        "Window: fractions of the run between which the weight of the silent gradient falls from 1 "
        "to 0. One learning rate, not tuned.",
        VERDICTS,
        origin(last(judged_scores(results, "annealing"))),
    )


def variance_form(results: Results) -> Table:
    """T7: how a linear decoder writes its variance, alone and as the guide of E2."""
    sampled = last(judged_scores(results, "variance_form"))
    closed = last(scores(results, "variance_form", "bits_per_dim", estimate="closed_form"))
    gone = lost(results, "variance_form")
    rows: list[list[Entry]] = []
    for cell in in_order(cells(results, "variance_form")):
        head = [
            said(cell[name]) for name in ("dataset", "family", "dim", "method", "variance_form")
        ]
        found = [measured(of(table, cell), of(gone, cell)) for table in (closed, sampled)]
        rows.append(["alone", *head, *found, *[NONE] * (len(GUIDED) - 1)])
    usual, own = with_main(results, "guide_form", LEARNED)
    usual = usual[usual["method"].isin({*own["method"], *own["baseline"]})]
    for row in _guided(results, "guide_form", usual, own, "variance_form"):
        rows.append(["guide", *row[:5], NONE, *row[5:]])
    return made(
        [
            *("linear decoder", "data set", "latents", "number", "method", "form"),
            *("bits/dim, closed form", *GUIDED),
        ],
        rows,
        "Forms of the precision: L0 constant, EXP exp(v.z + c), EXP2 its second-order surrogate, "
        "SQ (v.z + c)². The closed forms of EXP2, and of SQ with discrete latents, are no bounds: "
        "read Monte Carlo. Which form the paper uses is not known to us. Learning rate not tuned.",
        "Alone: the linear decoder is the model. Guide: the nonlinear decoder of E2 is the model, "
        "and the linear one guides its encoder.",
        VERDICTS,
        origin(sampled, last(judged_scores(results, "guide_form"))),
    )


def _guided(
    results: Results, experiment: str, usual: pd.DataFrame, own: pd.DataFrame, varied: str
) -> list[list[Entry]]:
    """Rows of every guided method: the column `varied`, scores, differences and what they say."""
    names = (experiment, LEARNED)
    test, validation = (
        pd.concat([judged_scores(results, name, split) for name in names])
        for split in ("test", "validation")
    )
    gone = pd.concat([lost(results, name) for name in names])
    stages = [last(test), at_best(test, validation)]
    own = own.sort_values(varied, kind="stable")  # not by what their cells are called
    every = pd.concat([usual[usual["baseline"].isin(own["baseline"])], own])
    every = every[every["baseline"] != ""]

    def differences(cell: pd.Series) -> list[Entry]:
        other = partner(usual[usual["lr"] == cell["lr"]], cell, cell["baseline"])
        both = pd.concat([of(gone, cell), of(gone, other)])
        return [difference(of(stage, cell), of(stage, other), both) for stage in stages]

    rows: list[list[Entry]] = []
    for cell in in_order(every):
        same = usual[usual["lr"] == cell["lr"]]
        default = partner(same, cell, methods.guided(cell["baseline"]))
        found = differences(cell)
        said_ = [_verdict(entry) for entry in found]
        if default is None:
            survives = NOT_RUN
        else:
            expected = [_verdict(entry) for entry in differences(default)]
            survives = "usual" if default["cell"] == cell["cell"] else _yes(said_ == expected)
        head = [said(cell[name]) for name in ("dataset", "family", "dim", "method", varied)]
        levels = [measured(of(stage, cell), of(gone, cell)) for stage in stages]
        rows.append([*head, *levels, *found, *said_, survives])
    return rows


def latent_size(results: Results) -> Table:
    """T6: E1 with fewer and more latents."""
    usual, own = with_main(results, "latent_size", FIXED)
    every = pd.concat([usual[usual["method"].isin(own["method"])], own])
    names = ("latent_size", FIXED)
    elbo = last(pd.concat([judged_scores(results, name) for name in names]))
    units = last(
        pd.concat([scores(results, name, "active_units", threshold=0.01) for name in names])
    )
    gone = pd.concat([lost(results, name) for name in names])
    rows: list[list[Entry]] = []
    for cell in in_order(every):
        missing = of(gone, cell)
        silent = partner(every, cell, methods.SILENT)
        both = pd.concat([missing, of(gone, silent)])
        head = [said(cell[n]) for n in ("dataset", VARIANCE, "family", "dim", "method", "lr")]
        final, other = of(elbo, cell), of(elbo, silent)
        own_score = cell["method"] == methods.SILENT
        rows.append(
            [
                *head,
                measured(final, missing),
                measured(bits(final), missing),
                NONE if own_score else difference(bits(final), bits(other), both),
                measured(of(units, cell), missing),
            ]
        )
    return made(
        [
            *("data set", "σ²", "latents", "number", "method", "learning rate"),
            *("ELBO (nats/image)", "nominal bits/dim", "bits/dim - silent", "active units"),
        ],
        rows,
        "ELBO by the closed form. Of a difference above 0, silent is better. Learning rate not "
        "tuned; the sizes of E1 stand here where they ran with this rate and as many steps.",
        origin(elbo[elbo["cell"].isin(every["cell"])]),
    )


def hyper_parameters(results: Results) -> Table:
    """T8: every learning rate of every method, and other noise levels of E1."""
    experiments = {"E1": FIXED, "E1, other σ²": "sigma", "E2": LEARNED}
    every = {title: cells(results, name) for title, name in experiments.items()}
    rates = sorted({lr for frame in every.values() for lr in frame["lr"] if lr != ""})
    rows: list[list[Entry]] = []
    tables = []
    for title, name in experiments.items():
        final, gone = last(judged_scores(results, name)), lost(results, name)
        tables.append(final)
        final = final if name == LEARNED else bits(final)
        picked = (
            tuned(results, name) if name in (FIXED, LEARNED) else every[title].assign(rate=NONE)
        )
        every_method = keys(every[title], [*SAME, "method", "baseline"])
        for cell in in_order(picked):
            of_method = every_method[every[title]["cell"] == cell["cell"]].iloc[0]
            mine = every[title][every_method == of_method]
            found: list[Entry] = []
            for rate in rates:
                at_rate = mine[mine["lr"] == rate]
                one = at_rate.iloc[0] if len(at_rate) else None
                found.append(NONE if one is None else measured(of(final, one), of(gone, one)))
            means = [entry.mean for entry in found if isinstance(entry, Estimate)]
            spread = f"{max(means) - min(means):.3g}" if len(means) > 1 else NONE
            names = ("dataset", VARIANCE, "family", "dim", "method")
            rows.append([title, *[said(cell[n]) for n in names], *found, spread, cell["rate"]])
    return made(
        [
            *("experiment", "data set", "σ²", "latents", "number", "method"),
            *(f"lr {rate:g}" for rate in rates),
            *("worst - best", "chosen on validation"),
        ],
        rows,
        "Test bits/dim at the last step: E1 nominal, by the closed form; E2 by Monte Carlo.",
        origin(*tables),
    )


def _verdict(entry: Entry) -> str:
    if not isinstance(entry, Estimate) or entry.lost or not math.isfinite(entry.half_width):
        return UNDECIDED
    if abs(entry.mean) <= entry.half_width:
        return UNDECIDED
    return LOWER if entry.mean < 0 else HIGHER


def _yes(true: bool) -> str:
    return "yes" if true else "no"
