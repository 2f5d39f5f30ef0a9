"""Claims about trained runs of "Taming VAEs" on made-up rows of its grid: true rows support,
turned ones contradict, and what is missing or overlaps decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from paper_repro import registry
from paper_repro.claims.checks import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.names import read as load_claims
from paper_repro.claims.verdicts import evaluate
from paper_repro.results.frames import load
from tests import synthetic_results as synthetic
from tests.studies.taming_vaes import tv_runs

FOLDER = registry.STUDIES / tv_runs.STUDY
MINE = ("C5", "C6", "C8", "C9", "C10", "C11", "C12", "C13")
SWEEP = ("sweep", "floor")


def judge(tmp_path: Path, claims=MINE, **options) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    stated = load_claims(FOLDER / "claims.yaml", tv_runs.STUDY)
    kept = [claim for claim in stated["claims"] if claim["id"] in claims]
    found = tv_runs.results(tmp_path, **options)
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump({**stated, "claims": kept}))
    return evaluate(found, tv_runs.STUDY, tmp_path).set_index("claim")


def turned(experiment: str, *metrics: str, how: Callable[[float], float], **params: object):  # type: ignore[no-untyped-def]
    """Changes the numbers of these metrics in the cells of an experiment with these parameters."""

    def change(row, cell, seed):  # type: ignore[no-untyped-def]
        mine = cell.experiment == experiment and row.metric in metrics
        mine &= all(cell.params.get(name) == value for name, value in params.items())
        return replace(row, value=how(row.value)) if mine else row

    return change


def test_true_rows_support_every_claim_and_exceptions_are_named(tmp_path):
    found = judge(tmp_path)
    assert set(found.loc[list(MINE), "verdict"]) == {SUPPORTED}
    assert "excluded by rule: dataset=cifar10" in found.loc["C5.met", "note"]
    assert found.loc["C5.met_without_exception", "verdict"] == CONTRADICTED


def test_without_rows_every_claim_is_not_run(tmp_path):
    found = evaluate(load(synthetic.empty(tmp_path)), tv_runs.STUDY, FOLDER)
    assert set(found["verdict"]) == {NOT_RUN}


def test_an_error_missed_by_more_than_five_percent_is_no_exception(tmp_path):
    change = turned("sweep", "relative_mse", how=lambda v: 1.12 * v, dataset="mnist", kappa=0.1)
    found = judge(tmp_path, ["C5"], change=change, only=SWEEP, seeds=2)
    assert found.loc["C5", "verdict"] == CONTRADICTED


def test_without_the_floor_nothing_is_excepted_and_nothing_decided(tmp_path):
    found = judge(tmp_path, ["C5"], only=SWEEP, seeds=2, lost={("floor", 0): "missing"})
    assert found.loc["C5", "verdict"] in (INCONCLUSIVE, NOT_RUN)


@pytest.mark.parametrize("metric", ["rate", "multiplier_RE"])
def test_one_pair_out_of_order_breaks_monotony(tmp_path, metric):
    change = turned("sweep", metric, how=lambda v: 3 * v, dataset="fashion_mnist", kappa=0.125)
    found = judge(tmp_path, ["C6"], change=change, only=SWEEP, seeds=2)
    which = "rate_10" if metric == "rate" else "multiplier_10"
    assert found.loc[f"C6.{which}", "verdict"] == found.loc["C6", "verdict"] == CONTRADICTED


def test_a_trajectory_is_read_in_its_parts(tmp_path):
    only = ("trajectory",)
    for name, change in {
        "crosses": turned("trajectory", "relative_mse", how=lambda v: 2 * v),
        "beta_below_1": turned("trajectory", "multiplier_RE", how=lambda v: 0.001 * v),
        "smallest_after": turned("trajectory", "multiplier_RE", how=lambda v: 1e6 / v),
    }.items():
        found = judge(tmp_path / name, ["C8"], change=change, only=only, seeds=2)
        assert found.loc[f"C8.{name}", "verdict"] == CONTRADICTED, name
        assert found.loc["C8", "verdict"] == CONTRADICTED, name

    def plateau(row, cell, seed):  # type: ignore[no-untyped-def]
        late = row.metric == "multiplier_RE" and row.step > 0.3 * cell.params["steps"]
        return replace(row, value=2000.0) if late else row

    found = judge(tmp_path / "plateau", ["C8"], change=plateau, only=only, seeds=2)
    assert found.loc["C8.grows_again", "verdict"] == CONTRADICTED


def test_equal_rates_are_the_null_and_unequal_errors_no_comparison(tmp_path):
    only = ("same_error_elbo", "same_error_geco")
    same = turned("same_error_elbo", "rate", how=lambda v: v - 4)
    found = judge(tmp_path / "null", ["C9"], change=same, only=only)
    assert found.loc["C9", "verdict"] in (INCONCLUSIVE, CONTRADICTED)
    assert found.loc["C9.lower_rate", "verdict"] == INCONCLUSIVE
    apart = turned("same_error_geco", "mse", how=lambda v: 1.05 * v)
    found = judge(tmp_path / "apart", ["C9"], change=apart, only=only)
    assert found.loc["C9.same_error", "verdict"] == CONTRADICTED
    assert found.loc["C9", "verdict"] == INCONCLUSIVE
    worse = turned("same_error_elbo", "rate", how=lambda v: v - 40)
    found = judge(tmp_path / "worse", ["C9"], change=worse, only=only)
    assert found.loc["C9", "verdict"] == CONTRADICTED


@pytest.mark.parametrize(
    ("shift", "verdict"), [(0.0, SUPPORTED), (-1.5, INCONCLUSIVE), (-5.0, CONTRADICTED)]
)
def test_brackets_decide_only_where_they_are_apart(tmp_path, shift, verdict):
    only = ("marginal_elbo", "marginal_geco")
    change = turned("marginal_elbo", "marginal_kl", how=lambda v: v + shift)
    assert judge(tmp_path, ["C10"], change=change, only=only).loc["C10", "verdict"] == verdict


def test_a_beta_that_suits_all_data_sets_contradicts(tmp_path):
    only = ("sweep", "fixed_beta")
    suits = {"beta": 0.03}
    change = turned("fixed_beta", "off_target", how=lambda v: 0.01, objective_options=suits)
    found = judge(tmp_path, ["C11"], change=change, only=only)
    assert found.loc["C11.same_kappa", "verdict"] == SUPPORTED
    assert found.loc["C11.best_beta", "verdict"] != SUPPORTED


def test_a_class_that_is_lost_contradicts(tmp_path):
    cla = {"CLA": 0.9}
    change = turned("constraints", "accuracy", how=lambda v: 0.7, constraints=cla)
    found = judge(tmp_path, ["C12"], change=change, only=("constraints",), seeds=2)
    assert found.loc["C12.class_kept", "verdict"] == CONTRADICTED
    assert found.loc["C12.pixels_dropped", "verdict"] == SUPPORTED


def test_annealing_below_the_curve_contradicts_and_a_hole_in_the_curve_is_a_gap(tmp_path):
    only = ("sweep", "baselines")
    change = turned("baselines", "rate", how=lambda v: v - 9, objective="gqn")
    found = judge(tmp_path / "below", ["C13"], change=change, only=only, seeds=2)
    assert found.loc["C13", "verdict"] == CONTRADICTED
    found = judge(tmp_path / "hole", ["C13"], only=only, seeds=2, lost={("sweep", 1): "diverged"})
    assert found.loc["C13", "verdict"] == INCONCLUSIVE


def test_claims_name_figures_and_tables_that_the_study_makes():
    known = registry.keys(FOLDER / "figures.py", "FIGURES")
    claims = load_claims(FOLDER / "claims.yaml", tv_runs.STUDY)["claims"]
    assert {name for claim in claims for name in claim["figure"].split()} <= set(known)
