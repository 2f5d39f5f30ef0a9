"""Tables of the runs that differ in gamma: Figure 4 of Dai, Wenliang and Wipf (2021) as numbers.

Numbers are means over seeds with the half width of their 95 % t interval, of test images unless
said; ratios are of the two runs of a seed. MMD is the WAE statistic times 1000, our choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from paper_repro.claims.curve_summaries import reduced
from paper_repro.drawing.labels import METRICS, NOT_RUN
from paper_repro.drawing.study_rows import Setting, paired
from paper_repro.drawing.tables import NONE, Entry, Table, estimate
from paper_repro.results.frames import Results
from paper_repro.studies.infinite_gradients import gamma_rows
from paper_repro.studies.infinite_gradients.gamma_rows import CLOSED, FIXED, LEARNED, PAIR, SIZES

GRADIENTS = {
    "grad_z": "d/dz",
    "grad_z_batch": "d/dz of batch mean",
    "grad_decoder": "decoder",
    "grad_encoder": "encoder",
}
BOTH = ("celeba", "miniature")
START, END = {"max": 0.01}, {"min": 0.96}  # stretches of a run, as in claim infinite-A7

# A column: its title and what it holds of the runs of a family.
Column = tuple[str, Callable[[Results, str, Sequence[str]], pd.DataFrame]]


def final(title: str, metric: str, split: str = "test", times: float = 1, **at: Any) -> Column:
    """A column of final values."""

    def read(results: Results, family: str, names: Sequence[str]) -> pd.DataFrame:
        found = gamma_rows.finals(results, family, names, metric, split, **at)
        return found.assign(value=found["value"] * times)

    return title, read


def stretch(title: str, metric: str, where: Mapping[str, float], span: str = "mean") -> Column:
    """A column of one number for a stretch of a training curve."""

    def read(results: Results, family: str, names: Sequence[str]) -> pd.DataFrame:
        return reduced(gamma_rows.curves(results, family, names, metric), where, span)

    return title, read


GAMMA = final("gamma", "gamma", "train")
RATIO = final("mse of training images", "mse", "train", z="sampled")
SSE = final("sum of squares", "sse", z="sampled")
SSE_MEAN = final("sum of squares at the mean of z", "sse", z="mean")
MMD = final(METRICS["mmd"], "mmd", times=gamma_rows.MILLI)
COUNTS = [
    final(f"active dims ({threshold:g})", "informative_units", threshold=threshold)
    for threshold in (0.1, 0.5, 0.9)
]
RANK = final(METRICS["effective_rank"], "effective_rank")
UNITS = final(METRICS["active_units"], "active_units")


def figure4(results: Results) -> Table:
    """Figure 4(a): reconstruction error and MMD, their ratios, and the paper's numbers."""
    columns = [GAMMA, RATIO, SSE, SSE_MEAN, MMD]
    titles, rows = _grid(results, ("celeba",), PAIR, columns)
    rows = rows or [[NOT_RUN] * len(titles)]
    frames = [read(results, "celeba", PAIR) for _, read in columns]
    for setting in gamma_rows.settings(*frames):
        ratios = [_ratio(frame, setting) for frame in frames]
        rows.append([str(setting), "fixed / learned, by seed", *ratios])
    for run in ("learned", "fixed"):
        sse, mmd = (
            f"{gamma_rows.reported(name, run, 'celeba128'):.1f}"
            for name in ("sse", "mmd_times_1000")
        )
        rows.append(["CelebA 128x128", f"paper, {run}", NONE, NONE, sse, NONE, mmd])
    notes = [
        "Squared errors are summed over the pixels of an image in [0, 1]; gamma is compared with "
        "the mean squared error per pixel of training images at a sampled z, equation (6).",
        f"{gamma_rows.MMD_NOTE}.",
        f"{gamma_rows.UNITS_NOTE}.",
    ]
    return Table(titles, rows, notes)


def gradient_norms(results: Results) -> Table:
    """Figure 4(b): gradient norms at the start and end of training."""
    columns = [
        stretch(f"{title}, {when}", metric, where)
        for metric, title in GRADIENTS.items()
        for when, where in (("start", START), ("end", END))
    ]
    columns.append(stretch("rank correlation with the step", "grad_z", {"max": 0.5}, "spearman"))
    titles, rows = _grid(results, BOTH, (*PAIR, CLOSED), columns)
    notes = [
        "Means over the first 1 % and the last 4 % of the steps (500 and 2,000 of 50,000); a run "
        "whose curve has no point that early has its first point.",
        "d/dz: norm per image of the gradient of the negative ELBO at a sampled z, mean over the "
        "batch; that of equation (3) is twice as large. The rank correlation is that of the first "
        "of them over the first half of the run.",
    ]
    return Table(titles, rows, notes)


def active_dims(results: Results) -> Table:
    """Latent dimensions in use, by every rule."""
    titles, rows = _grid(results, BOTH, (*SIZES, CLOSED), [*COUNTS, UNITS, RANK])
    notes = [
        "Active dims: mean posterior variance below the threshold in brackets; active units: "
        "variance of the posterior mean above 0.01; effective rank: eigenvalues of the covariance "
        "of posterior means above 1 % of the largest.",
        f"The data of the miniature have {gamma_rows.TRUE_DIMS} dimensions.",
    ]
    return Table(titles, rows, notes)


def anneal(results: Results) -> Table:
    """How fast gamma falls, and what comes of it."""
    titles, rows = _grid(results, BOTH, gamma_rows.SPEEDS, [GAMMA, RATIO, SSE, MMD, COUNTS[1]])
    notes = [
        "Slowest first. On CelebA the usual rate of log gamma is twice that of the networks, as "
        "if log sqrt(gamma) were learned.",
        f"{gamma_rows.MMD_NOTE}.",
    ]
    return Table(titles, rows, notes)


def over_regularised(results: Results) -> Table:
    """Gamma fixed at its optimum and far above it."""
    columns = [GAMMA, SSE, SSE_MEAN, MMD, COUNTS[1], RANK]
    titles, rows = _grid(results, BOTH, SIZES, columns)
    return Table(titles, rows, [f"{gamma_rows.MMD_NOTE}."])


def miniature(results: Results) -> Table:
    """Figure 4 in miniature."""
    columns = [
        *(GAMMA, SSE, MMD, COUNTS[1]),
        *(stretch(f"d/dz, {n}", "grad_z", w) for n, w in (("start", START), ("end", END))),
    ]
    titles, rows = _grid(results, ("miniature",), (*PAIR, CLOSED), columns)
    notes = [
        f"Vectors of 100 numbers with {gamma_rows.TRUE_DIMS} true dimensions; our construction. "
        "Gradients are means over the first 1 % and last 4 % of the steps.",
        f"{gamma_rows.MMD_NOTE}.",
    ]
    return Table(titles, rows, notes)


def _grid(
    results: Results, families: Iterable[str], names: Sequence[str], columns: Sequence[Column]
) -> tuple[list[str], list[list[Entry]]]:
    """Titles, and a row per setting and run that was planned."""
    rows: list[list[Entry]] = []
    for family in families:
        frames = [read(results, family, names) for _, read in columns]
        lost = gamma_rows.lost(results, family, names)
        for setting in gamma_rows.settings(*frames, lost):
            for name in names:
                gone = list(gamma_rows.of(lost, setting, name)["status"])
                found = [gamma_rows.of(frame, setting, name)["value"] for frame in frames]
                if gone or any(map(len, found)):
                    entries = [estimate(v, gone) if len(v) or gone else NONE for v in found]
                    rows.append([str(setting), gamma_rows.NAMES[name], *entries])
    return ["data", "run", *(title for title, _ in columns)], rows


def _ratio(frame: pd.DataFrame, setting: Setting) -> Entry:
    """Fixed over learned of the seeds that have both."""
    sides = [gamma_rows.of(frame, setting, name) for name in (FIXED, LEARNED)]
    fixed, learned = paired(sides[0], sides[1])
    return estimate((fixed / learned).replace([np.inf, -np.inf], np.nan).dropna())
