"""Which rows a check looks at: selection, pairing on common random numbers, and what is missing.

A value that a check needs and that does not exist (run missing, diverged, not a number, partner
missing) is a gap. Gaps are counted, never skipped: survivors alone prove nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paper_repro.claims import abscissa
from paper_repro.claims import reported as reported_numbers
from paper_repro.claims.crossing import part_of
from paper_repro.claims.curve_summaries import reduced
from paper_repro.claims.filters import matches, passes
from paper_repro.claims.interpolation import height
from paper_repro.claims.rules import COUNTING
from paper_repro.claims.time_to_target import to_target
from paper_repro.claims.tuning import chosen
from paper_repro.errors import UserError, unknown
from paper_repro.results.frames import FINISHED, Results

# Two runs are comparable only at the same seed, scale and data.
COMMON = ["seed", "tier", "steps", "fingerprint"]
# What another experiment computes from the data alone holds for every seed and number of steps.
PER_DATA = ["tier", "fingerprint"]


@dataclass(frozen=True)
class Sample:
    """What a statistic works on.

    `rows` has one row per measured number, with columns `unit` (text naming the comparison, such
    as "dataset=mnist, k=5"), `seed`, `value`, and those of the rows it came from. `gaps` names the
    runs whose numbers should be there and are not; `cells` every cell used, with its run count;
    `left_out` the units of runs that the check's `given` excepts.
    """

    rows: pd.DataFrame
    gaps: tuple[str, ...]
    cells: tuple[tuple[str, int], ...]
    left_out: tuple[str, ...] = ()

    @property
    def tiers(self) -> tuple[str, ...]:
        """Tiers of the rows used."""
        return tuple(sorted(set(self.rows["tier"])))


def sample(
    results: Results,
    study: str,
    check: Mapping[str, Any],
    reported: Path,
) -> Sample:
    """The numbers a check is about.

    `select` holds column filters: a value, a list of values, or {min, max}; `progress` of 0.05
    means the point after 5 % of the steps. `span` makes one number per run of a curve, its mean or
    rank correlation with the step (`spans.reduced`), and `progress` then is the stretch. `versus`
    overrides some filters to name the other side of a pair, or names a source in the study's
    reported.csv. `pairing` says difference, ratio, log_ratio, or reach: the progress at which a run
    is first as good as its partner was at the end, infinite if never. A ratio of numbers that are
    not both positive has no logarithm and is a gap. Partners share the `units` columns and COMMON;
    what another experiment computes without training is one number for all seeds on the same data.

    `crossing` {metric, below} makes `progress` "before" or "after" the point at which a run first
    crosses (`crossing.part_of`). `given` {select, value} keeps the units for which a number of
    another selection, its mean over seeds, passes a filter, so that an exception is a rule and not
    a choice: the others are `left_out`, and where that number is missing there is a gap. `along`
    names a metric x: the other side then is a curve over x of many runs, and the value is the
    height above it at one's own x (`along.height`).

    `tuned` (`over`, `metric`, `select`, `best`: see `tuning.chosen`) leaves, on either side, only
    the cells whose parameter `over` was best on validation data.
    """
    filters, units = check["select"], check.get("units", [])
    rows, gaps = _choose(results, study, check, filters)
    measured = set(rows["unit"])
    rows = rows.assign(unit=_unit(rows, units))
    where = f"{study}/claims.yaml: {check['name']}"
    left_out: tuple[str, ...] = ()
    if "given" in check:
        rows, undecided, left_out = _given(results, study, check, rows, where)
        gaps |= undecided
    used = [rows]
    places = abscissa.column(rows, check, where)
    if check["statistic"] not in COUNTING:
        _unique(rows, ["unit", "seed", *places], where)
    if "along" in check:
        rows, lonely = _along(results, study, check, rows, where)
        gaps |= lonely
    elif versus := check.get("versus"):
        if "reported" in versus:
            other = _reported(reported, study, versus["reported"], filters, units, measured)
            on = ["unit"]
        else:
            other, _ = _choose(results, study, check, {**filters, **versus})
            other = other.assign(unit=_unit(other, units))
            untrained = len(other) > 0 and bool((other["steps"] == 0).all())
            on = ["unit", *(PER_DATA if "experiment" in versus and untrained else COMMON)]
            _unique(rows, ["unit", *COMMON, *places], where)
        _unique(other, on, where)
        rows, lonely, partners = _pair(results, rows, other, on, check)
        if "reported" not in versus:  # what nobody reported is no gap in our runs
            gaps |= lonely
            used.append(partners)
    counts = pd.concat(used).groupby("cell", sort=True)["seed"].nunique()
    cells = tuple((str(cell), int(n)) for cell, n in counts.items())
    return Sample(rows.reset_index(drop=True), tuple(sorted(gaps)), cells, left_out)


def _given(
    results: Results, study: str, check: Mapping[str, Any], rows: pd.DataFrame, where: str
) -> tuple[pd.DataFrame, set[str], tuple[str, ...]]:
    """Rows of the units whose other number passes, runs that lack one, and the other units."""
    given, on = check["given"], ["unit", *(name for name in COMMON if name != "seed")]
    other, _ = _choose(results, study, {"name": check["name"]}, given["select"])
    other = other.assign(unit=_unit(other, check.get("units", [])))
    _unique(other, [*on, "seed"], f"{where}: given")
    number = other.groupby(on, as_index=False)["value"].mean()
    found = rows[on].merge(number, on=on, how="left")["value"].set_axis(rows.index)
    kept = found.notna() & passes(found, given["value"])
    excepted = set(rows.loc[found.notna() & ~kept, "unit"])
    return rows[kept], _names(rows[found.isna()]), tuple(sorted(excepted))


def _along(
    results: Results, study: str, check: Mapping[str, Any], rows: pd.DataFrame, where: str
) -> tuple[pd.DataFrame, set[str]]:
    """Rows whose value is the height above the curve of the other side; those without one, and
    runs that the curve lacks: without its last point it would seem to end earlier."""
    other = {**check["select"], **check["versus"]}
    curve, lacking = _choose(results, study, check, other)
    curve = curve.assign(unit=_unit(curve, check.get("units", [])))
    sides = [(rows, check["select"]), (curve, other)]
    points, curve = (_beside(results, study, check, *side, where) for side in sides)
    points["value"] = height(points, curve[curve["x"] > 0], ["unit", *COMMON])
    known = points["value"].notna()
    return points[known], lacking | _names(points[~known])


def _beside(
    results: Results,
    study: str,
    check: Mapping[str, Any],
    rows: pd.DataFrame,
    filters: Mapping[str, Any],
    where: str,
) -> pd.DataFrame:
    """Rows with the number of `along` of their run as `x`, nan where it has none."""
    run = ["cell", "seed"]
    found, _ = _choose(results, study, check, {**filters, **check["along"]})
    _unique(found.assign(unit="along"), run, where)
    return rows.merge(found[[*run, "value"]].rename(columns={"value": "x"}), on=run, how="left")


def _choose(
    results: Results, study: str, check: Mapping[str, Any], filters: Mapping[str, Any]
) -> tuple[pd.DataFrame, set[str]]:
    """Rows with a usable value that pass the filters, and the runs that should have had some; of
    cells that were `tuned`, the chosen ones' and, where none could be chosen, those that lack."""
    wanted, tuned, span = dict(filters), check.get("tuned"), check.get("span", "")
    experiment, metric = wanted.pop("experiment"), wanted.pop("metric")
    kind = wanted.pop("kind", "curve" if span else "final")
    stretch = wanted.pop("progress", {}) if span else {}
    if kind == "final":
        rows = results.finals(study, experiment, metric)
    else:
        rows = results.frame(study, experiment, metric, "curve")
        rows = rows[rows["status"] == FINISHED]
    rows = rows[matches(rows, wanted, f"{study}/claims.yaml: {check['name']}")]
    whole = rows
    if span and isinstance(stretch, str):
        marker = results.frame(study, experiment, check["crossing"]["metric"], "curve")
        rows = part_of(rows, marker, check["crossing"]["below"], stretch)
        stretch = {}
    if span:
        rows = reduced(rows, stretch, span)
    runs = results.unfinished(study, experiment)
    planned = runs["cell"].isin(set(rows["cell"])) | _planned(runs, wanted)
    gaps = _names(runs[planned])
    if tuned:  # a chosen cell has all its runs; what others lack is a gap where none is chosen
        picked = _tuned(results, study, experiment, tuned)
        meant = {*rows["cell"], *runs.loc[planned, "cell"]}
        open_groups = picked[(picked["cell"] == "") & ~picked["candidates"].map(meant.isdisjoint)]
        gaps = {run for lost in open_groups["lost"] for run in lost}
        rows = rows[rows["cell"].isin(set(picked["cell"]))]
    gaps |= _names(whole) - _names(rows) if span else set()  # nothing is left of the curve
    finite = np.isfinite(rows["value"])
    return rows[finite], gaps | _names(rows[~finite])


def _tuned(results: Results, study: str, experiment: str, tuned: Mapping[str, Any]) -> pd.DataFrame:
    """`chosen`, once for all checks that ask the same."""
    key = json.dumps([study, experiment, dict(tuned)], sort_keys=True)
    if key not in results.choices:
        given = {name: tuned[name] for name in ("over", "metric", "best")}
        found = chosen(results, study, experiment, filters=tuned["select"], **given)
        results.choices[key] = found
    return results.choices[key]


def _planned(runs: pd.DataFrame, filters: Mapping[str, Any]) -> pd.Series:
    """Whether runs without rows belong to a selection, judged by the settings of their cells."""
    settings = {name: value for name, value in filters.items() if name in runs}
    estimator = settings.pop("estimator", None)
    passed = matches(runs, settings)
    if estimator is not None:  # a cell without its own estimator measures several
        passed &= passes(runs["estimator"], estimator) | (runs["estimator"] == "")
    return passed


def _unit(rows: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Text such as "dataset=mnist, k=5" per row."""
    text = pd.Series("", index=rows.index, dtype=object)
    for i, column in enumerate(columns):
        values = rows[column] if column in rows else pd.Series("", rows.index, dtype=object)
        shown = values.map(lambda v: f"{v:.12g}" if isinstance(v, Real) else str(v))
        text = text + (", " if i else "") + f"{column}=" + shown.astype(object)
    return text


def _unique(rows: pd.DataFrame, on: Sequence[str], where: str) -> None:
    twice = rows[rows.duplicated(list(on), keep=False)]
    if len(twice):
        unit = twice["unit"].iloc[0]
        raise UserError(
            f"{where}: several rows for {unit or 'one seed'}; add columns to select or units"
        )


def _pair(
    results: Results,
    rows: pd.DataFrame,
    other: pd.DataFrame,
    on: Sequence[str],
    check: Mapping[str, Any],
) -> tuple[pd.DataFrame, set[str], pd.DataFrame]:
    """Rows whose value is compared with their partner's, rows without a (finite) result, and the
    partners used."""
    partner = [*on, "value", *(["cell"] if "cell" in other else [])]
    merged = rows.merge(other[partner], on=list(on), how="left", suffixes=("", "_other"))
    mine, theirs = (merged[name].to_numpy(float) for name in ("value", "value_other"))
    merged["value_own"] = mine  # for a statistic that reduces the two sides apart
    pairing = check["pairing"]
    if pairing == "reach":
        paired = np.isfinite(theirs)  # what never gets there is infinite, and stays
        better = check["rule"]["better"]
        found = to_target(results, merged[paired], theirs[paired], better)["progress"]
        merged["value"] = found.reindex(merged.index)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            merged["value"] = mine - theirs if pairing == "difference" else mine / theirs
        if pairing == "log_ratio":
            merged["value"] = np.log(merged["value"].where((mine > 0) & (theirs > 0)))
        paired = np.isfinite(merged["value"].to_numpy())
    done = merged[paired]
    used = done.assign(cell=done["cell_other"]) if "cell_other" in done else done.iloc[:0]
    return done, _names(merged[~paired]), used


def _names(rows: pd.DataFrame) -> set[str]:
    """Runs of rows as cell:seed."""
    return {f"{cell}:{seed}" for cell, seed in zip(rows["cell"], rows["seed"], strict=True)}


def _reported(
    path: Path,
    study: str,
    source: str,
    filters: Mapping[str, Any],
    units: Sequence[str],
    measured: set[str],
) -> pd.DataFrame:
    """Published numbers of one source as rows with `unit` and `value`; UserError if they are not in
    one of the units `measured`, where something was."""
    if not path.is_file():
        raise UserError(f"{path}: not there, but a check compares with {source!r} of it")
    table = reported_numbers.frame(path, study)
    chosen = table[table["id"].str.startswith(f"{source}-")]
    if chosen.empty:
        raise UserError(f"{path}: no id begins with {source}-")
    known = {name: filters[name] for name in ("metric", "estimator") if name in filters}
    chosen = chosen[matches(chosen, known)]
    if measured and (odd := sorted({*chosen["unit"]} - measured)):
        what = f"{path}: unit of {source}'s {filters['metric']}, as our rows bear it"
        raise UserError(unknown(what, odd[0], sorted(measured)))
    return chosen.assign(unit=_unit(chosen, units))[["unit", "value"]]
