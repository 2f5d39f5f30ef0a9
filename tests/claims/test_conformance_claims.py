"""The conformance study's claims on made-up rows: right ones pass, broken ones are caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paper_repro import grid, registry
from paper_repro.cell import Cell
from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.names import read as load_claims
from paper_repro.claims.verdicts import evaluate
from paper_repro.results.collect import collect
from paper_repro.results.frames import load
from paper_repro.rows import Row, coordinates
from paper_repro.studies.conformance import figures, measure, tables
from paper_repro.studies.conformance.exact import computable
from paper_repro.studies.conformance.measure import FAMILIES
from paper_repro.studies.conformance.problems import PROBLEMS
from tests.results.made_runs import noise, results

STUDY = "conformance"
PUBLISHED = Path(__file__).parents[2] / "results/published"
FOLDER = registry.STUDIES / STUDY
LINEAR = ("gaussian", "bernoulli", "categorical")
RELAXED = ("gumbel_softmax", "gumbel_softmax_st", "straight_through")
VARIANCE = {"silent": 1e-30, "exact_kl": 0.5, "score_function": 700.0, "rloo": 20.0}


def make(cell: Cell, seed: int) -> Iterator[Row]:
    latent = cell.params["latent"]
    for problem in [latent, *([f"{latent}_linear"] if latent in LINEAR else [])]:
        for estimator in cell.params["compare"]:
            for bound in ("elbo", "iwae"):
                yield from estimator_rows(problem, estimator, bound, seed)
            if estimator == "gumbel_softmax":
                for t in (0.2, 0.5, 1.0):
                    at = coordinates(problem=problem, temperature=t)
                    for metric, value in (("bias", 0.2 * t), ("variance", 0.1 / t)):
                        name = f"temperature_relative_{metric}"
                        value *= np.exp(0.05 * noise(seed, problem, t, metric))
                        yield Row(name, value, "1", at=at, estimator=estimator)
    for estimator in {"path", "total"} & set(cell.params["compare"]):
        value, at = 1e-30 if estimator == "path" else 3.0, coordinates(problem=latent, k=2)
        yield Row("variance_at_optimum", value, "nats^2", at=at, estimator=estimator)


def estimator_rows(problem: str, estimator: str, bound: str, seed: int) -> Iterator[Row]:
    iwae = bound == "iwae"
    if iwae != (estimator == "dreg") and not (estimator in ("total", "path") and iwae):
        return
    if (estimator == "silent" and not problem.endswith("_linear")) or (
        iwae and "gaussian" not in problem
    ):
        return
    biased = estimator in RELAXED or (iwae and estimator == "path")
    at = {"problem": problem, "bound": bound, "k": 2}
    variance = VARIANCE.get(estimator, 5.0) * np.exp(0.05 * noise(seed, problem, estimator))
    for group in ("encoder", "decoder"):
        z = 80.0 if biased and group == "encoder" else 2.5
        for metric, value, unit in (
            ("bias_z_max", z, "1"),
            ("relative_bias", 0.1 if biased else 0.004, "1"),
            ("gradient_variance", variance, "nats^2"),
            ("relative_variance", variance / 10, "1"),
        ):
            yield Row(metric, value, unit, at=coordinates(**at, group=group), estimator=estimator)
    for metric, value, unit in (
        ("cosine", 0.5, "1"),
        ("repeat_identical", float(estimator == "silent"), "1"),
        ("seconds_per_gradient", 0.002, "s"),
        ("cost_ratio", 1.1, "1"),
    ):
        yield Row(metric, value, unit, at=coordinates(**at), estimator=estimator)


def verdicts(
    tmp_path, change: Callable[[Row], Row | None] = lambda row: row, tier: str = "paper"
) -> pd.Series:
    def changed(cell: Cell, seed: int) -> list[Row]:
        return [row for row in map(change, make(cell, seed)) if row is not None]

    found = evaluate(results(tmp_path, grid.expand(STUDY, tier), changed, tier), STUDY, FOLDER)
    return by_name(found)


def by_name(found: pd.DataFrame) -> pd.Series:
    """Verdicts by claim ("K5") or check ("K5.bias"), the study left out."""
    names = found["claim"] + ("." + found["check"]).where(found["check"] != "", "")
    return found.set_index(names.str.removeprefix("conformance-"))["verdict"]


def replace(row: Row, **values: object) -> Row:
    return Row(**{**vars(row), **values})  # type: ignore[arg-type]


@pytest.mark.parametrize("tier", grid.TIERS)
def test_rows_as_they_should_be_support_every_claim_that_has_seeds_enough(tmp_path, tier):
    found = verdicts(tmp_path, tier=tier)
    few = ("K5", "K6", "K8") if tier == "smoke" else ()  # findings need two seeds
    assert dict(found) == {
        c: INCONCLUSIVE if c.startswith(few) and few else SUPPORTED for c in found.index
    }
    assert {f"K{i}" for i in range(1, 9)} <= set(found.index)


SLIPS = {
    "K1.elbo_discrete": lambda r: r.metric == "bias_z_max" and r.estimator == "rloo",
    "K1.iwae": lambda r: r.metric == "bias_z_max" and r.estimator == "dreg",
    "K2.variance": lambda r: r.metric == "gradient_variance" and r.estimator == "silent",
    "K3.path": lambda r: r.metric == "variance_at_optimum" and r.estimator == "path",
}


@pytest.mark.parametrize("claim", SLIPS)
def test_a_number_that_is_too_large_contradicts_its_claim(tmp_path, claim):
    found = verdicts(tmp_path, lambda r: replace(r, value=1e4) if SLIPS[claim](r) else r)
    assert found[claim] == found[claim.split(".")[0]] == CONTRADICTED


REVERSED = {
    "K5.bias": lambda r: r.metric == "temperature_relative_bias" and "temperature=1" in r.at,
    "K5.variance": lambda r: r.metric == "temperature_relative_variance" and "=0.2" in r.at,
    "K6.rloo": lambda r: r.metric == "gradient_variance" and r.estimator == "score_function",
    "K8.rloo": lambda r: r.metric == "gradient_variance" and r.estimator == "rloo",
}


@pytest.mark.parametrize("claim", REVERSED)
def test_an_effect_of_the_other_sign_contradicts_its_claim(tmp_path, claim):
    found = verdicts(
        tmp_path, lambda r: replace(r, value=1e-3 * r.value) if REVERSED[claim](r) else r
    )
    assert found[claim] == found[claim.split(".")[0]] == CONTRADICTED


def test_a_row_that_vanished_leaves_its_claim_open(tmp_path):
    gone = {
        "K1": lambda r: r.estimator == "partial" and r.metric == "bias_z_max",
        "K3": lambda r: r.estimator == "path" and r.metric == "variance_at_optimum",
        "K6": lambda r: r.estimator == "rloo" and r.metric == "gradient_variance",
    }
    found = verdicts(tmp_path, lambda r: None if any(g(r) for g in gone.values()) else r)
    assert {claim: found[claim] for claim in gone} == dict.fromkeys(gone, INCONCLUSIVE)


MISSING = {
    "K2.bitwise": lambda r: r.metric == "repeat_identical" and r.estimator == "silent",
    "K3.total": lambda r: r.metric == "variance_at_optimum" and r.estimator == "total",
    "K4.path": lambda r: r.metric == "bias_z_max" and "iwae" in r.at and r.estimator == "path",
    "K7": lambda r: r.metric == "bias_z_max" and r.estimator == "straight_through",
}


@pytest.mark.parametrize("claim", MISSING)
def test_a_number_that_is_too_small_contradicts_its_claim(tmp_path, claim):
    found = verdicts(tmp_path, lambda r: replace(r, value=1e-4) if MISSING[claim](r) else r)
    assert found[claim] == found[claim.split(".")[0]] == CONTRADICTED


def test_a_gradient_that_repeats_without_being_silent_contradicts_its_claim(tmp_path):
    found = verdicts(
        tmp_path, lambda r: replace(r, value=1.0) if r.metric == "repeat_identical" else r
    )
    assert found["K2.others_vary_gaussian"] == found["K2"] == CONTRADICTED


def test_claims_name_figures_that_the_study_draws():
    known = registry.keys(FOLDER / "figures.py", "FIGURES")
    claims = load_claims(FOLDER / "claims.yaml", STUDY)
    assert {name for claim in claims for name in claim.figure.split()} <= set(known)


def test_claims_about_unbiasedness_name_every_estimator_that_promises_it():
    k1 = next(c for c in load_claims(FOLDER / "claims.yaml", STUDY) if c.id == "conformance-K1")
    for bound in ("elbo", "iwae"):
        found = [c for c in k1.checks if c.select["bound"] == bound]
        named = {e for check in found for e in check.select["estimator"]}
        for name in registry.names("estimators"):
            promised = registry.constant("estimators", name, "UNBIASED")
            if promised is None:
                promised = registry.constant("estimators", name, "OBJECTIVES")
            code_only = name == "path_code" and bound == "iwae"
            assert (name in named) == (bound in promised) or code_only, (name, bound)


def test_facts_count_the_rows_that_the_study_measures():
    """`of` of every fact, from what the estimators declare that they serve."""
    cells = {c.params["latent"]: c.params["compare"] for c in grid.expand(STUDY, "paper")}
    for claim in load_claims(FOLDER / "claims.yaml", STUDY):
        for check in (c for c in claim.checks if c.kind == "fact"):
            wanted = check.select
            latents = np.atleast_1d(wanted["latent"])
            for latent in latents:
                named = set(np.atleast_1d(wanted["estimator"])) & set(cells[latent])
                at_optimum = wanted["metric"] == "variance_at_optimum"
                groups = 2 if wanted["metric"] in ("bias_z_max", "gradient_variance") else 1
                many = sum(
                    1 if at_optimum or "group" in wanted else groups
                    for name in named
                    for problem, kind in PROBLEMS.items()
                    for bound in np.atleast_1d(wanted.get("bound", FAMILIES))
                    if kind == latent
                    and not (at_optimum and (problem != latent or bound != "elbo"))
                    and measure.serves(name, problem, bound)
                    and computable(kind, bound, 2)
                )
                assert check.of == many, (check.where, latent)


def test_published_rows_support_every_claim():
    found = by_name(evaluate(load(PUBLISHED), STUDY, FOLDER))
    assert set(found) == {SUPPORTED}, found[found != SUPPORTED]


def test_figure_and_table_have_a_row_for_every_estimator(tmp_path):
    found = results(tmp_path, grid.expand(STUDY, "paper"), make, "paper")
    made = figures.conformance(found)
    labels = [t.get_text() for axes in made.axes for t in axes.get_yticklabels()]
    assert {"silent (analytic)", "RLOO", "DReG", "partial", "Gumbel-Softmax ST"} <= set(labels)
    assert "10 seeds" in str(made.get_label())
    rows = tables.conformance(found).rows
    names = {(row[0], row[1], row[2], row[3]) for row in rows}
    assert ("bernoulli", "linear", "elbo", "silent") in names
    assert ("bernoulli", "network", "elbo", "silent") not in names
    unbiased = {row[3] for row in rows if row[4] == "no"}
    assert unbiased == {*RELAXED, "path"}
    silent = next(row for row in rows if row[3] == "silent")
    assert "∞" in silent
    assert silent[-1] == "yes"


def test_without_rows_figure_table_and_claims_say_not_run(tmp_path):
    collect([], tmp_path / "runs", tmp_path / "out", "paper")
    empty = load(tmp_path / "out")
    texts = [t.get_text() for axes in figures.conformance(empty).axes for t in axes.texts]
    assert any("not run" in text for text in texts)
    assert set(tables.conformance(empty).rows[0]) == {"not run"}
    assert set(evaluate(empty, STUDY, FOLDER)["verdict"]) == {NOT_RUN}
