"""Figures 2 to 5: reconstructions, with the mean squared error as the number behind each row.

Pictures are the decoder's mean at the posterior's mean (Gaussian latents) or at a hard sample
(others), saved by the runs. Original images stand beside them only where a data set may be shown:
photographs of ImageNet never are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.data.names import may_be_shown, shown
from paper_repro.drawing import picture_rows as strips
from paper_repro.drawing import style
from paper_repro.drawing.labels import NOT_RUN
from paper_repro.drawing.study_rows import StudyRows
from paper_repro.results.files import MISSING
from paper_repro.results.frames import Results
from paper_repro.studies.silent_gradients import methods, scores
from paper_repro.studies.silent_gradients.figures_rows import by_method, main, of_cells, setting
from paper_repro.studies.silent_gradients.scores import FIXED, LEARNED, STUDY

ERROR = """MSE: mean squared error per pixel of all {} images evaluated, mean over seeds ± half
        width of the 95 % t interval; the pictures are those of the first seed"""
Z = {"Gaussian": "mean"}  # where reconstructions are taken; others: "sampled"


class Strip(NamedTuple):
    """One row of a figure: a method by family and name; several names mean the best of them."""

    family: str
    names: tuple[str, ...]


FIRST = (
    Strip("Gaussian", (methods.SILENT,)),
    Strip("Gaussian", (methods.REPARAM,)),
    Strip("Bernoulli", (methods.SILENT,)),
    Strip("Bernoulli", (methods.GUMBEL, methods.GUMBEL_ST)),
    Strip("Bernoulli", (methods.REINFORCE,)),
)
SECOND = tuple(
    Strip(family, (name,)) for family, *pair in methods.PAIRS for name in pair
)  # each baseline, then the same with silent


def f2_fixed_variance(results: Results) -> Figure:
    """Figure 2: validation images through the linear decoder of E1."""
    every = main(scores.tuned(results, FIXED))
    data = setting(every) or "First experiment"
    made, where = _figure(results, FIXED, "validation", every, FIRST, data)
    text = f"""Reconstructions of validation images after training with each method (the rows are
    those of the paper's Figure 2): first experiment, one linear decoder of fixed variance, each
    method at its best learning rate on validation images; of the two Gumbel-Softmax estimators the
    one that is better there. Gaussian latents are decoded at their mean, Bernoulli latents at a
    hard sample. {ERROR.format("validation")} ({"; ".join([where, data])}). Data, sizes and rates
    are ours."""
    return style.caption(made, text)


def f3_mnist(results: Results) -> Figure:
    """Figure 3: MNIST through the nonlinear decoder of E2 (digits at small scale)."""
    return _second(results, 3, "mnist", "digits")


def f4_imagenet(results: Results) -> Figure:
    """Figure 4: Tiny-ImageNet at 32x32 in place of ImageNet; model outputs only."""
    return _second(results, 4, "tiny_imagenet32", "")


def f5_cifar10(results: Results) -> Figure:
    """Figure 5: CIFAR-10 through the nonlinear decoder of E2 (patches at small scale)."""
    return _second(results, 5, "cifar10", "patches")


def _second(results: Results, number: int, wanted: str, instead: str) -> Figure:
    every = scores.tuned(results, LEARNED)
    known = set(every["dataset"])
    dataset = instead if wanted not in known and instead in known else wanted
    data = shown(dataset)
    if dataset != wanted:
        data += f" in place of {shown(wanted)}"
    mine = pick(every, dataset=dataset)
    made, where = _figure(results, LEARNED, "test", mine, SECOND, data)
    if wanted == "tiny_imagenet32":
        data += """, not the paper's ImageNet but fewer classes and images; its photographs are not
        reprinted, only what the models make of them"""
    text = f"""Test images reconstructed by the nonlinear decoder after training with each
    estimator, alone and with the silent gradient of a linear guide annealed away (Figure {number}
    of the paper). Data: {data}. Gaussian latents are decoded at their mean, Bernoulli latents at a
    hard sample. {ERROR.format("test")}, each method at its best learning rate on validation images
    ({where}). Data, networks and rates are ours."""
    return style.caption(made, text)


def _figure(
    results: Results,
    experiment: str,
    split: str,
    every: DataFrame,
    methods_shown: Sequence[Strip],
    data: str,
) -> tuple[Figure, str]:
    """A strip of originals, where they may be shown, and one per method; also what `style.origin`
    says. `every` are the cells that stand for methods, of one data set."""
    validation = scores.last(
        of_cells(scores.judged(results, experiment, split="validation"), every)
    )
    gone = of_cells(scores.lost(results, experiment), every)
    drawn, saved = [], StudyRows(results, STUDY)
    runs = results.runs[results.runs["study"] == STUDY]
    if len(every) and may_be_shown(every["dataset"].iloc[0]):
        originals = saved.pictures(of_cells(runs, every), f"originals_{split}", strips.PICTURES)
        drawn.append(strips.Strip("originals", originals, "" if len(originals) else NOT_RUN))
    for strip in methods_shown:
        rows = _best(every, validation, strip)
        name = rows["method"].iloc[0] if len(rows) else strip.names[-1]
        mine = of_cells(runs, rows)
        pictures = saved.pictures(mine, f"pictures_{split}", strips.PICTURES)
        errors = scores.read(results, experiment, "mse", split, z=Z.get(strip.family, "sampled"))
        text = _lost(gone, strip)
        if len(pictures):
            error = scores.last(of_cells(errors, rows))["value"]
            text = strips.number(error, "MSE {:.4f}", "{:.4f}")
        drawn.append(strips.Strip(f"{name}\n({strip.family})", pictures, text))
    made = strips.figure(drawn, f"{data}, {split} images")
    where = style.mark(made, validation, gone)
    return made, where


def _best(every: DataFrame, validation: DataFrame, strip: Strip) -> DataFrame:
    """Validation scores of a strip's method; of several names that of the highest mean, since
    only strips of E1 have several and ELBOs are to be high."""
    mine = pick(every, family=strip.family)
    mine = mine[mine["method"].isin(strip.names)]
    found = [rows for _, rows in by_method(mine, validation)]
    return max(found, key=lambda rows: float(rows["value"].mean()), default=mine.iloc[:0])


def _lost(gone: DataFrame, strip: Strip) -> str:
    """``3 runs diverged`` where that is why there are no pictures, else "not run"."""
    mine = gone[(gone["family"] == strip.family) & gone["method"].isin(strip.names)]
    return style.lost_text(mine[mine["status"] != MISSING]) or NOT_RUN
