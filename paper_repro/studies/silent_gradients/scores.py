"""What the study's tables are made of: scores of runs, chosen learning rates, paired differences.

A learning rate is chosen on validation images, per data set and method; the numbers in the tables
are of test images. Runs of two methods that share seed, data and steps are pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from paper_repro.claims.filters import matches
from paper_repro.claims.selection import COMMON
from paper_repro.claims.time_to_target import SERIES, to_target
from paper_repro.claims.tuning import chosen
from paper_repro.data.names import DATASETS
from paper_repro.drawing import study_rows
from paper_repro.drawing.labels import NOT_RUN
from paper_repro.drawing.study_rows import StudyRows
from paper_repro.drawing.style import seeds_text
from paper_repro.drawing.tables import NONE, Entry, estimate
from paper_repro.results.files import MISSING
from paper_repro.results.frames import FINISHED, Results
from paper_repro.studies.silent_gradients import methods

STUDY = "silent_gradients"
FIXED, LEARNED = "fixed_variance", "learned_variance"  # E1 and E2
VARIANCE = "likelihood_options.variance"
# What an experiment is judged by. E1 has a closed form; E2 is evaluated by drawing (hard) samples
# for the nonlinear decoder, under its own likelihood. `estimate` "": that coordinate is absent.
CLOSED = {"metric": "elbo", "at": {"estimate": "closed_form"}, "better": "higher"}
SAMPLED = {
    "metric": "bits_per_dim",
    "at": {"estimate": "", "likelihood": "gaussian_pixel"},
    "better": "lower",
}
JUDGED: dict[str, dict[str, Any]] = {
    **dict.fromkeys((FIXED, "sigma", "latent_size"), CLOSED),
    **dict.fromkeys((LEARNED, "annealing", "guide_form", "variance_form"), SAMPLED),
}
BEST = {"higher": "highest", "lower": "lowest"}
SETTINGS = ("dataset", VARIANCE, "dim", "lr", "variance_form", "guide")  # columns to rely on
ROW = [*dict.fromkeys([*SERIES, *COMMON]), "step", "value", "kind", "status", "progress", "model"]
SAME = ["dataset", VARIANCE, "dim", "family"]  # what compared methods share
LEVELS = 256  # of grey, by which nats become bits per dimension


def cells(results: Results, experiment: str) -> pd.DataFrame:
    """Settings of every cell of an experiment, run or not: a row per cell, with its `method`."""
    return named(results.frame(STUDY, experiment, kind="final").drop_duplicates("cell"))


def tuned(results: Results, experiment: str) -> pd.DataFrame:
    """One cell per method and data set of E1 or E2: the learning rate that `chosen` names, and
    with `rate` the text to show. Where none has all its runs, the one with the fewest lost."""
    rule = JUDGED[experiment]
    picked = chosen(
        results,
        STUDY,
        experiment,
        over="lr",
        metric=rule["metric"],
        filters={"split": "validation", **rule["at"]},
        best=BEST[rule["better"]],
    )
    runs = results.runs[results.runs["study"] == STUDY]
    gone = runs[runs["status"] != FINISHED]["cell"].value_counts()
    begun = set(runs[runs["status"] != MISSING]["cell"])
    rates = {}
    for cell, value, candidates in picked[["cell", "value", "candidates"]].itertuples(index=False):
        fewest = min(candidates, key=lambda c: gone.get(c, 0))
        none = NOT_RUN if begun.isdisjoint(candidates) else "none complete"
        rates[cell or fewest] = f"{value:g}" if cell else none
    every = cells(results, experiment)
    return every[every["cell"].isin(rates)].assign(rate=every["cell"].map(rates))


def lost(results: Results, *experiments: str) -> pd.DataFrame:
    """Runs of experiments without usable numbers, a row each, with their `status`."""
    return named(StudyRows(results, STUDY).lost(*experiments))


def read(
    results: Results, experiment: str, metric: str, split: str = "test", **at: Any
) -> pd.DataFrame:
    """Values of a metric in finished runs, at every mark and at the last step: one row per run,
    step and estimator. `at` are coordinates, "" for one that must be absent; ValueError where they
    leave several values."""
    rows = results.ended(STUDY, experiment, metric)
    rows = rows[matches(rows, {"split": split, **at})]
    first = rows.sort_values("kind", key=lambda kind: kind != "final", kind="stable")
    one = ["cell", "seed", "step", "estimator"]
    found = first.drop_duplicates([*one, "at"])
    if found.duplicated(one).any():
        raise ValueError(f"{experiment}: several {metric} of one run with {at}")
    return named(found)


def judged(results: Results, *experiments: str, split: str = "test") -> pd.DataFrame:
    """The scores by which E1 or E2, or their ablations, are judged."""
    rules = [(name, JUDGED[name]) for name in experiments]
    parts = [read(results, name, rule["metric"], split, **rule["at"]) for name, rule in rules]
    return pd.concat(parts) if len(parts) > 1 else parts[0]


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns of the frame that tables need, with those of `SETTINGS`, "" where a cell lacks
    one, and `method`, `family`, `baseline` and `window`."""
    names = {
        "method": methods.label(frame),
        "family": methods.family(frame),
        "baseline": methods.baseline(frame),
        "window": methods.window(frame),
    }
    known = {
        name: frame[name].astype(object).where(frame[name].notna(), "") if name in frame else ""
        for name in SETTINGS
    }
    return frame[[name for name in ROW if name in frame]].assign(**known, **names)


def in_order(every: pd.DataFrame) -> Iterator[pd.Series]:
    """Cells one by one: data sets as they come, then by variance, family, latents and method, and
    where these agree as they come."""
    datasets = list(dict.fromkeys(every["dataset"]))

    def rank(cell: pd.Series) -> tuple[Any, ...]:
        family, *rest = methods.order(cell["family"], cell["method"])
        return (
            datasets.index(cell["dataset"]),
            _size(cell[VARIANCE]),
            family,
            _size(cell["dim"]),
            *rest,
        )

    yield from sorted((cell for _, cell in every.iterrows()), key=rank)


def of(rows: pd.DataFrame, cell: pd.Series | None) -> pd.DataFrame:
    """The rows of one cell."""
    return rows[rows["cell"] == cell["cell"]] if cell is not None else rows.iloc[:0]


def partner(every: pd.DataFrame, cell: pd.Series, method: str) -> pd.Series | None:
    """The cell of another method for the same data, variance, latents and family."""
    same = matches(every, {**cell[SAME], "method": method})
    return every[same].iloc[0] if method and same.any() else None


def with_main(results: Results, experiment: str, main: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The cells of E1 or E2 with the data, rate and steps of an ablation's, and its own."""
    own, usual = cells(results, experiment), cells(results, main)
    shared = ["tier", "dataset", "lr", "steps"]
    return usual[keys(usual, shared).isin(keys(own, shared))], own


def keys(frame: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """The entries of several columns as one text per row."""
    return frame[list(columns)].astype(str).agg("|".join, axis=1) if len(frame) else frame["cell"]


def last(rows: pd.DataFrame) -> pd.DataFrame:
    """The scores at the end of the runs."""
    return rows[rows["kind"] == "final"]


def at_mark(rows: pd.DataFrame, progress: float) -> pd.DataFrame:
    """The scores at a fraction of the run, none where there is no such mark."""
    return rows[matches(rows, {"progress": progress})]


def at_best(rows: pd.DataFrame, validation: pd.DataFrame) -> pd.DataFrame:
    """The score of each run at the step at which its validation score (bits/dim) was lowest."""
    run = ["cell", "seed"]
    finite = validation[np.isfinite(validation["value"])]
    best = finite.sort_values(["value", "step"]).drop_duplicates(run)
    return rows.merge(best[[*run, "step"]], on=[*run, "step"])


def measured(rows: pd.DataFrame, cell: pd.Series, gone: pd.DataFrame) -> Entry:
    """Mean over seeds of the scores of a cell; of the lost runs `gone` those that should be in it
    are counted."""
    return estimate(of(rows, cell)["value"], list(of(gone, cell)["status"]))


def difference(
    rows: pd.DataFrame, cell: pd.Series, other: pd.Series | None, gone: pd.DataFrame
) -> Entry:
    """Mean paired difference of two cells; a seed lost on either side counts once."""
    both = pd.concat([of(gone, cell), of(gone, other)]).drop_duplicates("seed")
    return estimate(paired(of(rows, cell), of(rows, other)), list(both["status"]))


def paired(rows: pd.DataFrame, other: pd.DataFrame) -> pd.Series:
    """Differences of the scores of runs that are pairs, indexed by what pairs share."""
    if rows.empty or other.empty:
        return pd.Series(dtype=float)
    mine, theirs = study_rows.paired(rows, other)
    return mine - theirs


def reached(
    results: Results, experiment: str, judged: pd.DataFrame, cell: pd.Series, partner: pd.Series
) -> pd.DataFrame:
    """When the runs of a cell were first as good as their partners at the end, by `judged`
    validation scores; columns `progress`, `seconds`, and `own`, the seconds of the partner's whole
    training."""
    mine, other = of(judged, cell), of(judged, partner)
    if mine.empty or other.empty:
        return pd.DataFrame({"progress": [], "seconds": [], "own": []}, dtype=float)
    ends, goals = (last(side).set_index(COMMON) for side in (mine, other))
    both = ends.index.intersection(goals.index)
    both = both[np.isfinite(goals.loc[both, "value"])]
    ends, goals = (side.loc[both].reset_index() for side in (ends, goals))
    better = JUDGED[experiment]["better"]
    points = replace(results, curves=mine[mine["kind"] == "curve"])  # spares a search in all curves
    found = to_target(points, ends, goals["value"], better)
    return found.assign(own=to_target(points, goals, goals["value"], better)["seconds"])


def time_to(values: pd.Series) -> Entry:
    """Mean of times that are infinite where the target was never reached, which is said."""
    never = int(np.isinf(values).sum())
    return f"never in {never} of {len(values)}" if never else estimate(values)


def bits(rows: pd.DataFrame) -> pd.DataFrame:
    """ELBOs in nats/image as nominal bits/dim: of pixels k/255 as if they were dequantised."""
    dims = rows["dataset"].map({name: math.prod(d["shape"]) for name, d in DATASETS.items()})
    return rows.assign(value=(-rows["value"] / dims + math.log(LEVELS)) / math.log(2))


def head(cell: pd.Series, *names: str) -> list[Entry]:
    """Settings of a cell as a table shows them."""
    found = [cell[name] for name in names]
    return [f"{v:g}" if isinstance(v, int | float) else str(v) or NONE for v in found]


def origin(*frames: pd.DataFrame) -> str:
    """Where the numbers of a table come from: tier, steps and seeds of each data set."""
    known = [frame for frame in frames if len(frame)]
    if not known:
        return ""
    parts = []
    for names, rows in pd.concat(known).groupby(["dataset", "tier", "steps"], sort=False):
        dataset, tier, steps = map(str, names)
        parts.append(f"{dataset}: tier {tier}, {int(steps):,} steps, {seeds_text(rows)}")
    return (
        f"Our runs ({'; '.join(parts)}); mean ± half width of the 95 % t interval over seeds. "
        "No number of the paper is known to us; sizes, rates and schedules are our choice."
    )


def _size(setting: Any) -> float:
    return float(setting) if setting != "" else math.inf
