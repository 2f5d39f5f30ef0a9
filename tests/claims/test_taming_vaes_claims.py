"""Claims of "Taming VAEs" on made-up rows of its grid and on the published ones: true rows support,
turned ones contradict, what is missing, unsettled or not comparable decides nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from paper_repro import registry
from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.check import Check, read
from paper_repro.claims.verdicts import evaluate
from paper_repro.results.frames import load
from paper_repro.studies.taming_vaes import samples
from tests import synthetic_results as synthetic
from tests.studies.taming_vaes import tv_runs

FOLDER = registry.STUDIES / tv_runs.STUDY
PUBLISHED = Path(__file__).parents[2] / "results" / "published" / "studies" / tv_runs.STUDY
MINE = ("C5", "C6", "C8", "C9", "C10", "C11", "C12", "C13")
SWEEP = ("sweep", "floor")


def kept(root: Path, claims) -> Path:  # type: ignore[no-untyped-def]
    """A folder with these claims of the study alone."""
    stated = yaml.safe_load((FOLDER / "claims.yaml").read_text())
    wanted = [one for one in stated["claims"] if one["id"].removeprefix("taming-") in claims]
    del stated["deviations"]
    root.mkdir(parents=True, exist_ok=True)
    (root / "claims.yaml").write_text(yaml.safe_dump({**stated, "claims": wanted}))
    shutil.copy(FOLDER / "samples.py", root)
    return root


def by_check(found: pd.DataFrame) -> pd.DataFrame:
    """Verdicts by names such as C5 and C5.met_0.1."""
    name = found["claim"].str.removeprefix("taming-")
    return found.set_index(name + np.where(found["check"] == "", "", ".") + found["check"])


def judge(root: Path, claims=MINE, **options) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    found = tv_runs.results(root, **options)
    return by_check(evaluate(found, tv_runs.STUDY, kept(root / "claims", claims)))


def turned(experiment: str, *metrics: str, how: Callable[[float], float], **params: object):  # type: ignore[no-untyped-def]
    """Changes the numbers of these metrics in the cells of an experiment with these parameters."""

    def change(row, cell, seed):  # type: ignore[no-untyped-def]
        mine = cell.experiment == experiment and row.metric in metrics
        mine &= all(cell.params.get(name) == value for name, value in params.items())
        return replace(row, value=how(row.value)) if mine else row

    return change


def moving(experiment: str, metric: str, **params: object):  # type: ignore[no-untyped-def]
    """Lets a multiplier fall by a fifth at the very end of a run."""

    def change(row, cell, seed):  # type: ignore[no-untyped-def]
        mine = cell.experiment == experiment and row.metric == metric
        mine &= row.kind == "curve" and row.step == cell.params["steps"]
        mine &= all(cell.params.get(name) == value for name, value in params.items())
        return replace(row, value=0.8 * row.value) if mine else row

    return change


@cache
def checks() -> dict[str, Check]:
    claims = read(FOLDER / "claims.yaml", tv_runs.STUDY)
    return {f"{one.id[7:]}.{check.name}": check for one in claims for check in one.checks}


def test_true_rows_support_every_claim_and_exceptions_are_named(tmp_path):
    found = judge(tmp_path)
    assert found.loc[list(MINE), "verdict"].to_dict() == dict.fromkeys(MINE, SUPPORTED)
    assert "cifar10" in found.loc["C5.met_0.06", "note"]
    assert "excepted by rule" in found.loc["C6.rate_k06", "note"]
    assert found.loc["C5.unexcepted", "verdict"] == CONTRADICTED
    assert "cifar10" in found.loc["C12.class_kept", "note"]  # its classifier is too bad


def test_without_rows_every_claim_is_not_run(tmp_path):
    found = evaluate(load(synthetic.empty(tmp_path)), tv_runs.STUDY, FOLDER)
    assert set(found["verdict"]) == {NOT_RUN}


def test_an_error_above_kappa_contradicts_and_one_below_meets_the_constraint(tmp_path):
    for name, factor, verdict in [("above", 1.13, CONTRADICTED), ("below", 0.8, SUPPORTED)]:
        where = {"dataset": "mnist", "kappa": 0.1}
        change = turned("sweep", "relative_mse", how=lambda v, f=factor: f * v, **where)
        found = judge(tmp_path / name, ["C5"], tier="reduced", change=change, only=SWEEP)
        assert found.loc["C5", "verdict"] == verdict, name
        assert found.loc["C5.aimed_at_0.1", "verdict"] == CONTRADICTED, name


def test_without_the_floor_nothing_is_excepted_and_nothing_decided(tmp_path):
    lost = {("floor", 0): "missing"}
    found = judge(tmp_path, ["C5", "C6"], tier="reduced", only=SWEEP, lost=lost)
    assert set(found.loc[["C5", "C6"], "verdict"]) == {INCONCLUSIVE}


@pytest.mark.parametrize("metric", ["rate", "multiplier_RE"])
def test_one_pair_out_of_order_breaks_monotony(tmp_path, metric):
    change = turned("sweep", metric, how=lambda v: 3 * v, dataset="fashion_mnist", kappa=0.125)
    found = judge(tmp_path, ["C6"], tier="reduced", change=change, only=SWEEP)
    which = "rate_k10" if metric == "rate" else "multiplier_k10"
    assert found.loc[f"C6.{which}", "verdict"] == found.loc["C6", "verdict"] == CONTRADICTED


def test_a_multiplier_on_its_way_decides_nothing(tmp_path):
    change = moving("sweep", "multiplier_RE", dataset="mnist", kappa=0.1)
    found = judge(tmp_path / "sweep", ["C5", "C6"], tier="reduced", change=change, only=SWEEP)
    for name in ("C5.met_0.1", "C6.rate_k10", "C6.rate_k08", "C5", "C6"):
        assert found.loc[name, "verdict"] == INCONCLUSIVE, name
        assert "not settled: sweep-mnist" in found.loc[name, "note"], name
    assert found.loc["C6.rate_k125", "verdict"] == SUPPORTED
    change = moving("constraints", "multiplier_CLA", constraints={"CLA": 0.9}, kappa=0)
    found = judge(tmp_path / "cla", ["C12"], change=change, only=("constraints",))
    assert found.loc["C12", "verdict"] == INCONCLUSIVE
    assert found.loc["C12.pattern_kept", "verdict"] == SUPPORTED


def test_a_trajectory_is_read_in_its_parts(tmp_path):
    only = ("trajectory",)

    def early(row, cell, seed):  # type: ignore[no-untyped-def]
        first = row.metric == "multiplier_RE" and row.step < 0.1 * cell.params["steps"]
        return replace(row, value=9 * row.value) if first else row

    for name, change in {
        "crosses": turned("trajectory", "relative_mse", how=lambda v: 2 * v),
        "smallest_after": early,
    }.items():
        found = judge(tmp_path / name, ["C8"], change=change, only=only)
        assert found.loc[f"C8.{name}", "verdict"] == CONTRADICTED, name
        assert found.loc["C8", "verdict"] == CONTRADICTED, name

    def plateau(row, cell, seed):  # type: ignore[no-untyped-def]
        late = row.metric == "multiplier_RE" and row.step > 0.3 * cell.params["steps"]
        return replace(row, value=100 + tv_runs.noise(seed, row.step)) if late else row

    found = judge(tmp_path / "plateau", ["C8"], change=plateau, only=only)
    assert found.loc["C8.grows_again", "verdict"] == CONTRADICTED
    assert "beyond" in found.loc["C8.grows_again", "words"]


def test_equal_rates_are_the_null_and_unequal_errors_no_comparison(tmp_path):
    only = ("same_error_elbo", "same_error_geco")
    same = turned("same_error_geco", "rate", how=lambda v: v + 8)
    found = judge(tmp_path / "null", ["C9"], change=same, only=only)
    assert found.loc["C9", "verdict"] == CONTRADICTED
    assert found.loc["C9", "words"].startswith(("no gain", "reversed", "a gain, but"))
    assert found.loc["C9.stationarity_null", "verdict"] == SUPPORTED
    apart = turned("same_error_geco", "mse", how=lambda v: 1.05 * v)
    found = judge(tmp_path / "apart", ["C9"], change=apart, only=only)
    assert found.loc["C9", "verdict"] == INCONCLUSIVE
    assert found.loc["C9", "deciding"] == "same_error"
    assert "not comparable" in found.loc["C9.same_error", "words"]
    worse = turned("same_error_geco", "rate", how=lambda v: v + 40)
    found = judge(tmp_path / "worse", ["C9"], change=worse, only=only)
    assert (found.loc["C9", "verdict"], found.loc["C9", "words"]) == (CONTRADICTED, "reversed")


@pytest.mark.parametrize(
    ("shift", "verdict"), [(0.0, SUPPORTED), (-1.5, INCONCLUSIVE), (-5.0, CONTRADICTED)]
)
def test_brackets_decide_only_where_they_are_apart(tmp_path, shift, verdict):
    only = ("marginal_elbo", "marginal_geco")
    change = turned("marginal_elbo", "marginal_kl", how=lambda v: v + shift)
    if shift < -2:  # the bracket stays above its floor
        both = turned("marginal_elbo", "marginal_kl_floor", how=lambda v: v + shift)
        one = change
        change = lambda row, cell, seed: both(one(row, cell, seed), cell, seed)  # noqa: E731
    assert judge(tmp_path, ["C10"], change=change, only=only).loc["C10", "verdict"] == verdict


def test_an_upper_side_at_its_floor_says_nothing(tmp_path):
    only = ("marginal_elbo", "marginal_geco")
    change = turned("marginal_geco", "marginal_kl_floor", how=lambda v: 3.7)
    found = judge(tmp_path, ["C10"], change=change, only=only)
    assert found.loc["C10", "verdict"] == INCONCLUSIVE
    assert found.loc["C10", "deciding"] == "upper_side_geco"


def test_a_beta_that_suits_all_data_sets_contradicts(tmp_path):
    only = ("sweep", "fixed_beta")

    def suits(row, cell, seed):  # type: ignore[no-untyped-def]
        mine = cell.experiment == "fixed_beta" and row.metric == "mse"
        if not mine:
            return row
        beta = cell.params["objective_options"]["beta"]
        error = 0.1005 * (beta / 0.1) ** 0.2 * (1 + 1e-4 * tv_runs.noise(cell.id, seed))
        return replace(row, value=error**2)

    found = judge(tmp_path, ["C11"], change=suits, only=only)
    assert found.loc["C11.same_kappa", "verdict"] == SUPPORTED
    assert found.loc["C11.best_beta", "verdict"] == found.loc["C11", "verdict"] == CONTRADICTED


def test_a_class_that_is_lost_contradicts(tmp_path):
    change = turned("constraints", "accuracy", how=lambda v: v - 0.2, constraints={"CLA": 0.9})
    found = judge(tmp_path, ["C12"], change=change, only=("constraints",))
    assert found.loc["C12.class_kept", "verdict"] == found.loc["C12", "verdict"] == CONTRADICTED
    assert found.loc["C12.pixels_dropped", "verdict"] == SUPPORTED


def test_annealing_is_compared_with_bounds_of_geco_s_curve_and_a_hole_in_it_is_a_gap(tmp_path):
    only = ("sweep", "baselines")

    def on_curve(below: float):  # type: ignore[no-untyped-def]
        return turned("baselines", "rate", how=lambda v: v - 6 - below, objective="gqn")

    found = judge(tmp_path / "above", ["C13"], change=on_curve(-1.5), only=only)
    assert found.loc["C13", "verdict"] == INCONCLUSIVE  # above the tangents, below the chord
    found = judge(tmp_path / "on", ["C13"], change=on_curve(0), only=only)
    assert found.loc["C13", "verdict"] == CONTRADICTED
    assert found.loc["C13", "words"] != "reversed"
    found = judge(tmp_path / "below", ["C13"], change=on_curve(9), only=only)
    assert (found.loc["C13", "verdict"], found.loc["C13", "words"]) == (CONTRADICTED, "reversed")
    found = judge(tmp_path / "hole", ["C13"], only=only, lost={("sweep", 1): "diverged"})
    assert found.loc["C13", "verdict"] == INCONCLUSIVE


def test_a_convex_curve_lies_between_its_chords_and_tangents():
    def curve(x):  # type: ignore[no-untyped-def]
        return 1 / x

    known = np.array([1.0, 3.0])
    points = (known, curve(known), 1 / known**2)
    for x in (1.0, 1.2, 2.0, 2.9, 3.0, 5.0):
        below, above = samples.convex_bounds(x, *points)
        assert below - 1e-12 <= curve(x) <= above + 1e-12
    straight = np.interp(2.0, known, curve(known))
    assert samples.convex_bounds(2.0, *points) == pytest.approx((1 / 3 + 1 / 9, straight))
    assert samples.convex_bounds(9.0, *(side[1:] for side in points)) == pytest.approx((0, 1 / 3))
    assert np.isnan(samples.convex_bounds(0.5, *points)).all()


def test_the_best_single_beta_is_between_those_that_were_trained():
    off = pd.DataFrame([[-0.3, 0.1], [-0.1, 0.3]], columns=[0.01, 1.0])
    assert samples._smallest_worst(off) == pytest.approx(0.1)
    assert samples._smallest_worst(off.abs().iloc[:1] * 0 + 0.2) != pytest.approx(0.2)  # an end
    assert np.isnan(samples._smallest_worst(off.replace(0.1, np.nan)))
    assert np.isnan(samples._smallest_worst(off + 0.5))  # a smaller beta would be better


def test_a_peak_is_compared_on_both_sides_of_the_crossing(monkeypatch):
    error = {0: [2.0, 1.1, 0.9, 1.2], 1: [2.0, 1.5, 1.2, 1.1]}  # the second never crosses
    lagrange = {0: [1.0, 2.0, 6.0, 3.0], 1: [1.0, 2.0, 6.0, 3.0]}

    def curves(results, check):  # type: ignore[no-untyped-def]
        values = error if check.select["metric"] == "relative_mse" else lagrange
        rows = [("u", s, f"c:{s}", i, v) for s, side in values.items() for i, v in enumerate(side)]
        return pd.DataFrame(rows, columns=["unit", "seed", "run", "step", "value"])

    monkeypatch.setattr(samples, "curves", curves)
    found = samples.peak_after_crossing(None, checks()["C8.smallest_after"])
    assert found["value"].tolist() == pytest.approx([np.log(3), np.nan], nan_ok=True)


def test_the_weakest_split_needs_all_sets_that_the_run_counts(monkeypatch):
    splits = {0: [0.99, 0.97, np.nan], 1: [0.99, np.nan, np.nan]}

    def table(results, check):  # type: ignore[no-untyped-def]
        if check.select["metric"] == "sets_with_gap":
            rows = [("", seed, 2.0, f"c:{seed}") for seed in splits]
        else:
            rows = [
                (f"set={i}", s, v, f"c:{s}") for s, vs in splits.items() for i, v in enumerate(vs)
            ]
        return pd.DataFrame(rows, columns=["unit", "seed", "value", "run"])

    monkeypatch.setattr(samples, "table", table)
    found = samples.weakest_split(None, checks()["C4.onset"])
    assert found["value"].tolist() == pytest.approx([0.97, np.nan], nan_ok=True)


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    folder = kept(tmp_path_factory.mktemp("published"), ["C2", "C4", "C5", "C8", "C9", "C13"])
    return by_check(evaluate(load(PUBLISHED), tv_runs.STUDY, folder))


def test_published_facts_hold_and_their_instances_are_runs(published):
    for name in ("C2", "C4"):
        assert (published.loc[name, "verdict"], published.loc[name, "n"]) == (SUPPORTED, 3)
    assert published.loc["C4.end", "verdict"] == CONTRADICTED


def test_published_runs_that_had_not_arrived_leave_their_claims_open(published):
    assert published.loc["C5", "verdict"] == INCONCLUSIVE
    assert "kappa0.08" in published.loc["C5", "note"]
    assert published.loc["C5.met_0.1", "verdict"] == SUPPORTED
    assert "not comparable" in published.loc["C9.same_error", "words"]


def test_published_trajectories_and_annealed_runs_are_what_a_short_script_finds(published):
    rows = pd.read_csv(PUBLISHED / "curves.csv.gz", low_memory=False)
    mine = rows[(rows["experiment"] == "trajectory") & (rows["metric"] == "multiplier_RE")]
    bends = [
        np.log(run["value"].max() / run.loc[run["step"] > 0.95 * run["steps"], "value"].mean())
        for _, run in mine.groupby("seed")
    ]
    assert published.loc["C8.grows_again", "estimate"] == pytest.approx(np.mean(bends), rel=1e-4)
    assert published.loc["C8", "verdict"] == SUPPORTED
    assert published.loc["C13", "verdict"] == INCONCLUSIVE  # one seed


def test_claims_name_figures_that_the_study_makes():
    known = registry.keys(FOLDER / "figures.py", "FIGURES")
    claims = read(FOLDER / "claims.yaml", tv_runs.STUDY)
    assert {name for claim in claims for name in claim.figure.split()} <= set(known)
