"""A misspelt word in a claim is refused with the nearest that exists; none changes a verdict."""

from __future__ import annotations

import re
import shutil
from types import SimpleNamespace

import pytest

from paper_repro import config, grid, registry
from paper_repro.claims import check as language
from paper_repro.claims import names as claim_names
from paper_repro.claims.check import Check, Claim
from paper_repro.errors import UserError
from paper_repro.results import places
from paper_repro.rows import Row
from paper_repro.schemas import read_yaml
from paper_repro.training import loop
from tests.results.made_runs import ALONE, SELECT, cell, results, verdict

STUDY = "sticking_the_landing"
SELECTED = {"experiment": "gaussian_fit", "metric": "kl", "estimator": ["total", "path"]}
VERSUS = {"estimator": "path", "optimizer": "adam"}
# A coordinate of the study, which is a setting of experiment table1 too.
COORDINATES = ["pair", "k"]
STATED = ("It holds.", "us", "ours", "fig1")


def written(study=STUDY, **changes):
    said = {"kind": "finding", "select": SELECTED, "versus": VERSUS, "statistic": "mean",
            "rule": {"below": 0}, "pairing": "difference"}  # fmt: skip
    return Check(study=study, claim="landing-Z1", name="check", **(said | changes))


def selecting(**changes):
    return written(select=SELECTED | changes)


def check_names(check, coordinates=COORDINATES, figure="fig1"):
    claim = Claim(check.study, "landing-Z1", *STATED[:3], figure, (check,))
    claim_names.check_names([claim], coordinates, check.study)


WRONG = [
    (selecting(estimator=["totl", "path"]), "select.estimator: 'totl' is not one of", "total"),
    (selecting(experiment="gausian_fit"), "select.experiment: 'gausian_fit'", "gaussian_fit"),
    (selecting(metric="kl_last_100"), "select.metric: 'kl_last_100' is nothing", "kl_last100"),
    (selecting(pair=0.377), "select.pair: 0.377 is nothing that its task names", ""),
    (selecting(optimizer="adm"), "select.optimizer: 'adm' is not one of adam, sgd", "adam"),
    (selecting(samples=7), "select.samples: 7 is not one of 1", ""),
    (selecting(estimator=["total", "deterministic"]), "select.estimator: 'deterministic' is", ""),
    (selecting(estimator="dreg"), "select.estimator: 'dreg' is not one of control_variate, ", ""),
    (selecting(dim=50), "select.dim: 50 is not one of ", ""),
    (selecting(dataset="mnist"), "select.dataset: 'mnist' is not one of ", ""),
    (selecting(layers=1), "select.layers: 1 is not one of none", ""),
    (selecting(cell="gaussian_fit-total-adm"), "select.cell: ", "gaussian_fit-total-adam"),
    (selecting(cell="table1-exact"), "select.cell: 'table1-exact' is not one of gauss", ""),
    (selecting(tier="papr"), "select.tier: 'papr' is not one of smoke", "paper"),
    (selecting(seed=99), "select.seed: 99 is not one of ", ""),
    (selecting(seed=[0, 99]), "select.seed: 99 is not one of ", ""),
    (selecting(kind="curves"), "select.kind: 'curves' is not one of final, curve", "curve"),
    (selecting(progress={"min": 5}), "select.progress: 5 is not within 0 and 1", ""),
    (selecting(progress=-0.1), "select.progress: -0.1 is not within 0 and 1", ""),
    (selecting(progress="befor"), "select.progress: 'befor' is not within 0 and 1", ""),
    (selecting(optimizer={"min": 0}), "select.optimizer: min and max are for numbers; its", ""),
    (selecting(estimator={"min": 0}), "select.estimator: min and max are for numbers; its", ""),
    (
        selecting(experiment="table1", estimator="path", metric="nll", k=[1, 3]),
        "select.k: 3 is not one of 1, 5, 50",
        "",
    ),
    (
        selecting(experiment="snr", metric="snr", k={"min": 100000}),
        "select.k: min 100000: its values are 1, 3, 10, 30, 100, 300, 1000",
        "",
    ),
    (selecting(split="tset"), "select.split: 'tset' is not one of train", "test"),
    (selecting(pair="not_a_pair_of_anything"), "select.pair: 'not_a_pair", ""),
    (written(versus={"estimator": "pth"}), "versus.estimator: 'pth'", "path"),
    (written(versus={"experiment": "flowfit"}), "versus.experiment: 'flowfit'", "flow_fit"),
    (written(versus={"reported": "burdaa"}), "versus.reported: 'burdaa'", ""),
    (
        written(settled={"metric": "klx", "last": 0.1, "within": 0.1}),
        "settled.metric: 'klx' is nothing that its task names",
        "",
    ),
    (
        written(settled={"metric": "kl", "last": 0.1, "within": 0.1, "select": {"split": "tran"}}),
        "settled.select.split: 'tran' is not one of train",
        "train",
    ),
    (written(error="kl_sx"), "error: 'kl_sx' is nothing that its task names", ""),
    (written(units={"estimator": ("pth",)}), "units.estimator: 'pth' is not one of", "path"),
]


@pytest.mark.parametrize(("made", "message", "nearest"), WRONG)
def test_a_name_that_nothing_in_the_study_bears_is_refused(made, message, nearest):
    with pytest.raises(UserError) as caught:
        check_names(made)
    assert f"{STUDY}/claims.yaml: landing-Z1.check: {message}" in str(caught.value)
    assert f"did you mean {nearest!r}?" * bool(nearest) in str(caught.value)


# On both sides of a comparison, whichever has the filter; each names settings that some cell has.
NO_CELL = [
    ("gaussian_fit", {"steps": {"min": 1401}}, "steps min 1401"),
    ("gaussian_fit", {"dim": {"min": 11, "max": 99}}, "dim min 11 and max 99"),
    ("gaussian_fit", {"optimizer": "sgd", "score": "fixed"}, "optimizer 'sgd', score 'fixed'"),
    ("gaussian_fit", {"dim": 10, "tier": "paper"}, "dim 10, tier 'paper'"),
    ("gaussian_fit", {"seed": 19, "tier": "quick"}, "tier 'quick', seed 19"),
    ("exactness", {"draws": {"min": 2000000}}, "draws min 2000000"),
    ("table1", {"tier": "smoke", "lr.stages": 6}, "tier 'smoke', lr.stages 6"),
]


@pytest.mark.parametrize(("experiment", "filters", "message"), NO_CELL)
@pytest.mark.parametrize("side", ["select", "versus"])
def test_settings_that_no_cell_has_together_are_refused(experiment, filters, message, side):
    metric = {"gaussian_fit": "kl", "exactness": "bias_z", "table1": "nll"}[experiment]
    wanted = {"experiment": experiment, "metric": metric} | filters
    made = {
        "select": written(select=wanted, versus={"experiment": "flow_fit"}),
        "versus": written(versus=wanted),
    }[side]
    with pytest.raises(UserError) as caught:
        check_names(made)
    assert f"no cell of {experiment} has, at any tier, " in str(caught.value)
    for part in message.split(", "):
        assert part in str(caught.value)


def test_what_is_beyond_all_tiers_says_so_and_is():
    burda = {"experiment": "table1", "metric": "nll", "steps": {"min": 8000000}}
    whole = {"versus": {"reported": "burda2016"}, "beyond_tiers": True}
    check_names(written(select=burda, **whole))
    with pytest.raises(
        UserError, match=r"beyond_tiers: tier smoke has table1-digits-layers1-elbo-k1"
    ):
        check_names(written(select=burda | {"steps": {"max": 60}}, **whole))


def test_a_column_that_no_row_of_the_experiment_has_is_refused():
    select = {"experiment": "snr", "metric": "snr", "estimator": "total"}
    made = written(select=select, versus={"estimator": "dreg"}, units=("group", "dtype"))
    with pytest.raises(UserError, match=r"Z1\.check: units: 'dtype' is not one of "):
        check_names(made)


# Slips in shipped claims: what is looked for, what is written, and what the line says.
SHIPPED_SLIPS = [
    ("silent_gradients", r"\bk: 1}", 'k: "1"}', ".k: '1' is a text; leave the quotes away"),
    ("silent_gradients", r"variance: 0\.1,", "variance: '0.1',", "variance: '0.1' is a text"),
    ("conformance", r"temperature: 0\.2", "temperature: '0.2'", "temperature: '0.2' is a text"),
    ("taming_vaes", r"\{kappa: 0\.06}", "{kappa: '0.06'}", "select.kappa: '0.06' is a text; leave"),
    (
        "silent_gradients",
        r"kind: curve, progress: 0\.05}",
        "kind: curve, progress: 0.06}",
        "select.progress: no run has a curve row at 0.06; progress of its evaluations: 0.01, ",
    ),
    (
        "silent_gradients",
        r"kind: curve, progress: 0\.01}",
        "kind: final, progress: 0.01}",
        "select.progress: no run has a final row at 0.01; final rows are of the end, kind: curve",
    ),
    (
        "silent_gradients",
        r"kind: final, progress: 1}",
        "kind: final, progress: 0.5}",
        "versus.progress: no run has a final row at 0.5; final rows are of the end, kind: curve",
    ),
    (
        "silent_gradients",
        r"over: lr,",
        "over: lr.form,",
        "tuned.over: 'lr.form' is nothing in fixed",
    ),
    ("silent_gradients", r"over: lr,", "over: likelihood,", "'likelihood' is 'gaussian' in fixed_"),
    ("infinite_gradients", r"rates\.likelihood: 10}", "rates.likelihood: 11}", "11 is not one of "),
    ("infinite_gradients", r"z: mean\b", "z: meen", "names; did you mean '"),
    ("infinite_gradients", r"metric: gamma,", "metric: gama,", "did you mean 'gamma"),
    ("infinite_gradients", r"figure: slope\n", "figure: slop\n", "figure: 'slop' is not one of "),
    ("infinite_gradients", r"\[z, threshold,", "[z, treshold,", "unknown column 'threshold'"),
    (
        "infinite_gradients",
        r"sample: gamma_over_error",
        "sample: gamma_over",
        "'gamma_over' is not",
    ),
    ("infinite_gradients", r"metric: gamma, last", "metric: gama, last", "settled.metric: 'gama'"),
    ("taming_vaes", r"experiment: sweep\b", "experiment: swep", "'swep' is not one of"),
    ("sticking_the_landing", r"statistic: mean\b", "statistic: every", "no error rate where seeds"),
    (
        "silent_gradients",
        r"(margin: 0\.0488}\n) +why: [^\n]*\n",
        r"\1",
        "a margin needs why: why this much matters",
    ),
]


@pytest.mark.parametrize(("study", "old", "new", "message"), SHIPPED_SLIPS)
def test_a_slip_in_a_shipped_claim_is_found(tmp_path, study, old, new, message):
    text = (registry.STUDIES / study / "claims.yaml").read_text(encoding="utf-8")
    assert re.search(old, text)
    (tmp_path / "claims.yaml").write_text(re.sub(old, new, text, count=1), encoding="utf-8")
    if (samples := registry.STUDIES / study / "samples.py").is_file():
        shutil.copy(samples, tmp_path)
    with pytest.raises(UserError) as caught:
        claim_names.read(tmp_path / "claims.yaml", study)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"step": "100"}, "select.step: '100' is no number of steps"),
        ({"step": "late"}, "select.step: 'late' is no number of steps"),
        ({"step": [100, 0.5]}, "select.step: 0.5 is no number of steps"),
        ({"step": {"min": -1}}, "select.step: -1 is no number of steps"),
        ({"step": 7}, "select.step: no run has a final row at 7; final rows are of the end"),
        ({"step": {"max": 99}}, "select.step: no run has a final row at max 99; final rows"),
        ({"step": 7, "kind": "curve"}, "select.step: no run has a curve row at 7; runs have up to"),
        (
            {"step": {"min": 1401}, "kind": "curve"},
            "select.step: no run has a curve row at min 1401; runs have up to 1400 steps",
        ),
    ],
)
def test_a_step_at_which_no_run_has_a_row_is_refused(filters, message):
    with pytest.raises(UserError) as caught:
        check_names(selecting(**filters))
    assert f"Z1.check: {message}" in str(caught.value)


@pytest.mark.parametrize(
    "filters",
    [
        {"step": 1400},
        {"step": [400, 1400]},
        {"step": {"min": 100}},
        {"step": 50, "kind": "curve"},  # of an evaluation
        {"step": 0, "kind": "curve"},
        {"step": 20, "kind": "curve"},  # of the training curve
        {"progress": 0.25, "kind": "curve"},
        {"progress": 1},
    ],
)
def test_a_step_at_which_some_run_has_a_row_is_accepted(filters):
    check_names(selecting(**filters).but(versus=None))


@pytest.mark.parametrize(("steps", "points"), [(400, 40), (1400, 70), (1000, 300), (90, 7), (5, 9)])
def test_points_of_a_training_curve_are_where_the_loop_records(steps, points):
    made = {"steps": [steps], "curve_points": [points]}
    every = loop.Schedule.of(SimpleNamespace(evaluate_at=()), steps, points).every
    for step in range(steps + 1):
        recorded = step in (steps, *range(every, steps, every))
        for column, place in (("step", step), ("progress", step / steps)):
            filters = {column: place, "kind": "curve"}
            if recorded:
                places.check([made], filters, False, "x")
            else:
                with pytest.raises(UserError, match=f"x.{column}: no run has a curve row at"):
                    places.check([made], filters, False, "x")


def test_a_figure_that_the_study_does_not_draw_is_refused():
    with pytest.raises(UserError, match=r"Z1: figure: 'snrr' .* did you mean 'snr'\?"):
        check_names(written(), figure="fig1 snrr")


def test_a_number_in_the_rules_of_a_task_is_no_value_of_a_coordinate():
    select = {"experiment": "estimators", "metric": "bias_z_max", "k": [2, 3]}
    with pytest.raises(UserError, match=r"select\.k: 3 is nothing that its task"):
        check_names(written("conformance", select=select, versus=None), ["k"], "conformance")


def test_every_row_of_a_cell_may_be_named():
    right = {
        "cell": "gaussian_fit-total-adam",
        "tier": "paper",
        "seed": 0,
        "progress": {"min": 0.5},
    }
    check_names(selecting(**right).but(versus=None))


def test_the_names_of_the_unchanged_claim_exist():
    check_names(written())


@pytest.mark.parametrize("study", grid.study_names())
def test_every_name_in_the_shipped_claims_exists(study):
    assert claim_names.read(registry.STUDIES / study / "claims.yaml", study)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"select": {"experiment": "gausian_fit", "metric": "kl"}}, "gausian_fit"),
        (
            {"rule": {"superior": "lower", "below": 0}},
            "rule key 'superior' means nothing to a fact",
        ),
        ({"pairing": "ratio"}, "pairing 'ratio' needs versus"),
    ],
)
def test_claims_are_checked_before_anything_trains(monkeypatch, change, message):
    """The first claim of the study is a fact of one check."""

    def mistaken(path):
        read = read_yaml(path)
        if path.name == "claims.yaml":
            claim = read["claims"][0]
            plain = {"name": "x", "kind": "fact", "of": 1, "rule": {"below": 0}}
            select = {"experiment": "gaussian_fit", "metric": "kl"}
            prose = {key: claim[key] for key in (*language.PROSE, "id")}
            read["claims"][0] = prose | {"checks": [plain | {"select": select} | change]}
        return read

    monkeypatch.setattr(language, "read_yaml", mistaken)
    claim_names._checked.cache_clear()
    with pytest.raises(UserError, match=message):
        config.check({"tier": "smoke", "studies": STUDY})


def test_a_metric_that_a_finished_experiment_lacks_leaves_the_claim_open(tmp_path):
    found = results(tmp_path, [cell(estimator="path")], lambda *_: [Row("kl", 1.0, "nats")])
    check = {**ALONE, "select": {**SELECT, "metric": "kll"}, "rule": {"below": 0}}
    row = verdict(found, tmp_path, check)
    assert (row["verdict"], row["n"]) == ("inconclusive", 0)
    assert "missing or diverged: fit-path:0 fit-path:1 fit-path:2" in row["note"]
