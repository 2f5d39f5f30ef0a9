"""Whatever is deleted from the published rows, no published claim is more decided for it.

Every check is asked about a sample of what may be lost: a minute for all of them together.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paper_repro import grid, registry
from paper_repro.claims.check import Check, Claim, read
from paper_repro.claims.evidence import gather, tier_of
from paper_repro.results.frames import Results, load
from tests.claims.deletion import (
    Lost,
    everything_of,
    faults,
    strength,
    subsets,
    values_of,
    verdicts,
    without,
)

PUBLISHED = Path(__file__).parents[2] / "results/published/studies"
COLUMNS = ("metric", "seed", "estimator", "cell", "dataset")


@cache
def published(study: str) -> tuple[Results, list[Claim]]:
    return load(PUBLISHED / study), read(registry.STUDIES / study / "claims.yaml", study)


def concerned(study: str, check: Check) -> Results:
    """The rows that a check looks at; all of its study where a function of its own does."""
    if check.sample:
        return published(study)[0]
    return of_experiments(
        study, frozenset({check.select["experiment"], check.other.get("experiment")})
    )


@cache  # checks of the same experiments share what is made of their rows
def of_experiments(study: str, named: frozenset[str | None]) -> Results:
    results = published(study)[0]
    tables = {name: getattr(results, name) for name in ("metrics", "curves", "cells", "runs")}
    return replace(
        results, **{name: rows[rows["experiment"].isin(named)] for name, rows in tables.items()}
    )


def asked_for(results: Results, check: Check) -> Results:
    """Of these rows those with a metric that the check names: what is worth deleting."""
    rules = (check.select, check.tuned or {}, check.settled or {})
    metrics = {check.error, *(rule.get("metric") for rule in rules)}
    some = {name: getattr(results, name) for name in ("metrics", "curves")}
    return replace(
        results, **{name: rows[rows["metric"].isin(metrics)] for name, rows in some.items()}
    )


def losses(results: Results, check: Check, rng: np.random.Generator) -> list[Lost]:
    """A random set of rows, and all rows of one arm, unit, seed or metric; of a check that stands
    beside its claim one of the two."""
    near = results if check.sample else asked_for(results, check)
    if near.metrics.empty and near.curves.empty:
        return []
    some, whole = [*subsets(near, rng, 3)], values_of(near, COLUMNS)
    picked = [
        some[rng.integers(len(some))],
        everything_of(near, *whole[rng.integers(len(whole))]),
    ]
    return picked if check.decides else [picked[rng.integers(2)]]


@pytest.mark.parametrize("study", grid.study_names())
def test_deleting_published_rows_never_makes_a_verdict_more_decided(study):
    _, claims = published(study)
    rng = np.random.default_rng(sorted(grid.study_names()).index(study))
    found = []
    for claim in claims:
        for check in claim.checks:
            rows = concerned(study, check)
            lost = losses(rows, check, rng)
            one = replace(claim, checks=(replace(check, decides=True),))
            found += faults(rows, [one], iter(lost))
    assert found == []


def rows_where(rows: pd.DataFrame, **wanted: object) -> pd.Index:
    passed = pd.Series(True, index=rows.index)
    for column, value in wanted.items():
        passed &= (
            rows[column].str.contains(value, regex=False)
            if isinstance(value, str) and column == "cell"
            else rows[column] == value
        )
    return rows.index[passed]


NONE = pd.Index([], dtype=int)


def error_curve(results: Results) -> Lost:
    where = {"experiment": "sweep", "metric": "relative_mse", "dataset": "cifar10", "seed": 2}
    gone = rows_where(results.curves, cell="kappa0.08", **where)
    return Lost("the error's curve of one run", NONE, gone)


def four_rows(results: Results) -> Lost:
    """Those that stand against the claim most."""
    rows = results.metrics.loc[rows_where(results.metrics, experiment="curve", metric="auroc")]
    return Lost("four metric rows", rows.nsmallest(4, "value").index, NONE)


def cifar_of_silent(results: Results) -> Lost:
    gone = rows_where(results.metrics, dataset="cifar10", estimator="annealed")
    return Lost("all CIFAR-10 rows of the silent method", gone, NONE)


FAULTS = [  # that turned verdicts before what vanished was a gap
    ("taming_vaes", "taming-C5", error_curve),
    ("infinite_gradients", "infinite-A13", four_rows),
    ("silent_gradients", "silent-C10", cifar_of_silent),
]


@pytest.mark.parametrize(("study", "name", "lose"), FAULTS)
def test_a_vanished_row_does_not_turn_the_verdicts_that_it_once_turned(study, name, lose):
    results, claims = published(study)
    (claim,) = (one for one in claims if one.id == name)
    lost = lose(results)
    assert len(lost.metrics) + len(lost.curves)
    assert faults(results, [claim], iter([lost]), whole=True) == []


def test_the_lost_rows_of_the_silent_method_leave_its_claim_open_and_their_runs_named():
    results, claims = published("silent_gradients")
    (claim,) = (one for one in claims if one.id == "silent-C10")
    fewer = without(results, cifar_of_silent(results))
    tier = tier_of(results, claim)
    after = [gather(fewer, check, tier) for check in claim.checks]
    assert any(
        "missing or diverged: learned_variance-cifar10" in " ".join(one.notes) for one in after
    )
    assert [strength(results, check, tier) for check in claim.checks] != [
        strength(fewer, check, tier) for check in claim.checks
    ]
    assert verdicts(fewer, claims)[claim.id] in ("inconclusive", "not run")
