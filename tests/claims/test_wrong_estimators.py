"""Wrong estimators and objectives, measured as the conformance study measures, turn its claims.

A mistake is put in the place of the part it is a mistake of; the study's own task measures it on
one random problem, and its rows take the place of the published ones. Measured with the right
part in its place, the same claim holds.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from paper_repro import contracts, registry
from paper_repro.claims.borders import CONTRADICTED, SUPPORTED
from paper_repro.claims.evidence import gather
from paper_repro.claims.judge import Collected, collected, judge
from paper_repro.claims.verdicts import evaluate
from paper_repro.results.frames import Results, load
from paper_repro.rows import Row
from paper_repro.studies.conformance.problems import PROBLEMS, problem
from paper_repro.studies.conformance.tasks import conformance as task
from tests.wrong_on_purpose import estimators, objectives
from tests.wrong_on_purpose.case import Case

Measured = list[tuple[str, int, Row]]  # problem, seed, row

STUDY = "conformance"
PUBLISHED = Path(__file__).parents[2] / "results/published/studies/conformance"
DRAWS = 10_000
SLIGHT = {"current reward in the moving average": 100_000}  # a tenth of the gradient is missing
SEEDS = 5  # of the published rows

# Those whose name does not end in the problem on which they are caught, and what they contradict.
PROBLEM = {
    "current reward in the moving average": "bernoulli",
    "mean over pixels": "gaussian",
    "KL of the wrong direction": "gaussian",
    "STL for the IWAE bound": "gaussian",
    "frozen mixture weights": "mixture",
    "sign of the choice": "mixture",
    "a silent gradient that draws": "gaussian_linear",
    "doubled KL": "gaussian",
    "KL of the wrong sign": "gaussian",
    "IWAE as a mean of logs": "gaussian",
}
CLAIM = {
    "STL for the IWAE bound": "K4",
    "a silent gradient that draws": "K2",
    "inverted temperature": "K5",
}
# No conformance claim can see these: they stay unit tests.
UNSEEN = {
    "mean over pixels beside a summed KL": "likelihoods are the problems' own",
    "gamma taken as a standard deviation": "likelihoods are the problems' own",
    "IWAE without the log of K": "a constant, which no gradient has",
    "beta on the likelihood": "an objective without an exact gradient there",
    "beta on the entropy alone": "an objective without an exact gradient there",
    "BILBO with centred moments": "an objective without an exact gradient there",
    "BILBO with detached moments": "an objective without an exact gradient there",
    "full BILBO with detached moments": "an objective without an exact gradient there",
    "full BILBO without covariances": "an objective without an exact gradient there",
    "centred BILBO about zero": "an objective without an exact gradient there",
    "BILBO with logs averaged over minibatches": "evaluated, not trained",
    "multiplier of the wrong sign": "no multiplier there",
    "constraint subtracted twice": "no multiplier there",
    "GECO with a doubled KL": "an objective without an exact gradient there",
}
SEEN = [c for c in estimators.CASES + objectives.CASES if c.name not in UNSEEN]


def part_of(case: Case) -> tuple[str, str]:
    """Kind and name of the part that the case is a mistake of."""
    right = case.right.func if isinstance(case.right, partial) else case.right
    kind, name = right.__module__.split(".")[-2:]
    return kind, name


def put_in(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    """Let the package find the mistake where it looks for the part."""
    kind, name = part_of(case)
    reader = {"estimators": "estimator", "objectives": "objective"}[kind]
    find = getattr(contracts, reader)
    if kind == "objectives":
        wrong = SimpleNamespace(bound=case.wrong)
    else:
        accepts = inspect.signature(case.wrong).parameters
        options = {k: v for k, v in find(name).OPTIONS.items() if k in accepts}
        wrong = SimpleNamespace(terms=case.wrong, OPTIONS=options, STATE={})
    monkeypatch.setattr(contracts, reader, lambda n: wrong if n == name else find(n))


def place(case: Case) -> tuple[str, str]:
    """The problem and the objective by which the case is caught; "" for a sweep of all."""
    kind, name = part_of(case)
    if case.name == "inverted temperature":
        return "", ""
    objective = name if kind == "objectives" else "iwae" if "IWAE" in case.name else "elbo"
    return PROBLEM.get(case.name) or case.name.split(", ")[1], objective


def measured(case: Case) -> Measured:
    """Problem, seed and rows of the part that the case is about, as the package finds it now."""
    kind, name = part_of(case)
    at, objective = place(case)
    if at:
        p = {"k": 2, "draws": SLIGHT.get(case.name, DRAWS)}
        chosen = ["total" if kind == "objectives" else name]
        found = task.against_exact(problem(at, 0), at, objective, chosen, p, 0)
        return [(at, 0, row) for row in found]
    p = {"k": 2, "draws": 2000, "compare": [name], "temperatures": [0.2, 1.0]}
    discrete = [n for n, latent in PROBLEMS.items() if latent in ("bernoulli", "categorical")]
    return [
        (n, seed, row)
        for n in discrete
        for seed in range(SEEDS)
        for row in task.temperature_sweep(problem(n, seed), n, p, seed)
    ]


@cache
def published() -> Results:
    return load(PUBLISHED)


@cache
def judged_before() -> Collected:
    return collected(published(), STUDY, registry.STUDIES / STUDY)


def replaced(rows: Measured) -> Results:
    """The published results with the numbers of these rows in the place of theirs."""
    found = published()
    metrics = found.metrics.copy()
    key = ["cell", "seed", "metric", "at", "estimator"]
    place = pd.Series(metrics.index, pd.MultiIndex.from_frame(metrics[key]))
    for at, seed, row in rows:
        cell = f"estimators-{PROBLEMS[at]}"
        metrics.loc[place[cell, seed, row.metric, row.at, row.estimator], "value"] = row.value
    return replace(found, metrics=metrics)


def verdict_of(case: Case, rows: Measured) -> str:
    """The verdict of the claim that covers the case; the others keep their evidence."""
    wanted, results = f"{STUDY}-{CLAIM.get(case.name, 'K1')}", replaced(rows)
    claims = [
        (claim, tier, tuple(gather(results, check, tier) for check in claim.checks))
        if claim.id == wanted
        else (claim, tier, evidence)
        for claim, tier, evidence in judged_before()
    ]
    return next(one.decision.verdict for one in judge(claims) if one.claim.id == wanted)


@pytest.mark.parametrize("case", SEEN, ids=lambda case: case.name)
def test_the_mistake_contradicts_the_claim_that_covers_it(case, monkeypatch):
    put_in(monkeypatch, case)
    assert verdict_of(case, list(measured(case))) == CONTRADICTED


def test_measured_with_the_right_parts_every_claim_holds():
    right = {(part_of(case), place(case)): case for case in SEEN}
    rows = [row for case in right.values() for row in measured(case)]
    found = evaluate(replaced(rows), STUDY, registry.STUDIES / STUDY)
    assert set(found["verdict"]) == {SUPPORTED}, found[["claim", "check", "verdict", "note"]]


def test_every_mistake_is_seen_or_said_not_to_be():
    names = {case.name for case in estimators.CASES + objectives.CASES}
    assert set(UNSEEN) <= names
    assert set(PROBLEM) | set(CLAIM) <= names
