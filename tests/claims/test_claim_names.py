"""A misspelt word in a claim is refused with the nearest that exists; none changes a verdict."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace

import pytest

from paper_repro import config, grid, registry
from paper_repro.claims import names as claim_names
from paper_repro.claims.verdicts import evaluate
from paper_repro.errors import UserError
from paper_repro.results import places
from paper_repro.rows import Row
from paper_repro.schemas import read_yaml
from paper_repro.training import loop
from tests.results.made_runs import MEAN, SELECT, cell, claims, results

STUDY = "sticking_the_landing"
CHECK = {
    "name": "check",
    "select": {"experiment": "gaussian_fit", "metric": "kl", "estimator": ["total", "path"]},
    "versus": {"estimator": "path", "optimizer": "adam"},
    "statistic": "mean",
    "rule": {"below": 0},
}


# A coordinate of the study, which is a setting of experiment table1 too.
COORDINATES = ["pair", "k"]


def written(**changes):
    check = deepcopy(CHECK) | changes
    claim = {"id": "Z1", "figure": "fig1", "checks": [check]}
    return {"study": STUDY, "coordinates": COORDINATES, "claims": [claim]}


def selecting(**changes):
    return written(select=CHECK["select"] | changes)


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
    (selecting(progress="befor"), "select.progress: 'befor' is not within 0 and 1, before or", ""),
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
        written(given={"select": {"experiment": "nope", "metric": "kl"}, "value": 1}),
        "given.select.experiment: 'nope'",
        "",
    ),
    (written(crossing={"metric": "klx", "below": 1}), "crossing.metric: 'klx'", ""),
]


@pytest.mark.parametrize(("made", "message", "nearest"), WRONG)
def test_a_name_that_nothing_in_the_study_bears_is_refused(made, message, nearest):
    with pytest.raises(UserError) as caught:
        claim_names.check_names(made, STUDY)
    assert f"{STUDY}/claims.yaml: Z1.check: {message}" in str(caught.value)
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
@pytest.mark.parametrize("side", ["select", "versus", "given"])
def test_settings_that_no_cell_has_together_are_refused(experiment, filters, message, side):
    metric = {"gaussian_fit": "kl", "exactness": "bias_z", "table1": "nll"}[experiment]
    wanted = {"experiment": experiment, "metric": metric} | filters
    made = {
        "select": written(select=wanted, versus={"experiment": "flow_fit"}),
        "versus": written(versus=wanted),
        "given": written(given={"select": wanted, "value": 1}),
    }[side]
    with pytest.raises(UserError) as caught:
        claim_names.check_names(made, STUDY)
    assert f"no cell of {experiment} has, at any tier, " in str(caught.value)
    for part in message.split(", "):
        assert part in str(caught.value)


def test_what_is_beyond_all_tiers_says_so_and_is():
    burda = {"experiment": "table1", "metric": "nll", "steps": {"min": 8000000}}
    whole = {"versus": {"reported": "burda2016"}, "beyond_tiers": True}
    claim_names.check_names(written(select=burda, **whole), STUDY)
    with pytest.raises(
        UserError, match=r"beyond_tiers: tier smoke has table1-digits-layers1-elbo-k1"
    ):
        claim_names.check_names(written(select=burda | {"steps": {"max": 60}}, **whole), STUDY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": {"x": "samples"}}, "rule.x: 'samples' is not one of "),
        ({"rule": {"x": "points"}}, "rule.x: 'points' has not two numbers in snr's cells"),
        ({"rule": {"x": "model"}}, "rule.x: 'model' has not two numbers in snr's cells"),
        ({"units": ["group", "dtype"]}, "units: 'dtype' is not one of "),
    ],
)
def test_a_column_that_no_row_of_the_experiment_has_is_refused(change, message):
    select = {"experiment": "snr", "metric": "snr", "estimator": "total"}
    check = {"select": select, "versus": {"estimator": "dreg"}}
    with pytest.raises(UserError) as caught:
        claim_names.check_names(written(**check, **change), STUDY)
    assert f"Z1.check: {message}" in str(caught.value)


@pytest.mark.parametrize(
    ("x", "at"), [("k", ""), ("a", "a=path"), ("k", "k=0")], ids=["lacks", "text", "zero"]
)
def test_a_slope_over_what_no_row_gives_a_number_is_one_line(tmp_path, x, at):
    found = results(tmp_path, [cell(estimator="path")], lambda *_: [Row("kl", 1.0, "nats", at=at)])
    check = {"name": "check", "select": SELECT, "statistic": "slope", "rule": {"x": x, "below": 0}}
    message = f"check: rule.x: not every row of kl has a number above 0 as '{x}'"
    with pytest.raises(UserError, match=message):
        evaluate(found, "made", claims(tmp_path / "study", check))


# Slips in shipped claims that no name gives away: what is written, and what the line says.
SHIPPED_SLIPS = [
    ("silent_gradients", "k: 1}", 'k: "1"}', "versus.k: '1' is a text; leave the quotes away"),
    ("silent_gradients", "variance: 0.1", "variance: '0.1'", "options.variance: '0.1' is a text"),
    (
        "conformance",
        "temperature: 0.2",
        "temperature: '0.2'",
        "select.temperature: '0.2' is a text",
    ),
    ("taming_vaes", "kappa: 0.06}", "kappa: '0.06'}", "select.kappa: '0.06' is a text; leave the"),
    (
        "silent_gradients",
        "progress: 0.05}",
        "progress: 0.06}",
        "select.progress: no run has a curve row at 0.06; progress of its evaluations: 0.01, ",
    ),
    (
        "silent_gradients",
        "kind: curve",
        "kind: final",
        "select.progress: no run has a final row at 0.01; final rows are of the end, kind: curve",
    ),
    (
        "silent_gradients",
        "kind: final, progress: 1}",
        "kind: final, progress: 0.5}",
        "select.progress: no run has a final row at 0.5; final rows are of the end, kind: curve",
    ),
    (
        "silent_gradients",
        "over: lr\n",
        "over: lr.form\n",
        "tuned.over: 'lr.form' is nothing in fixed",
    ),
    (
        "silent_gradients",
        "over: lr\n",
        "over: likelihood\n",
        "'likelihood' is 'gaussian' in fixed_",
    ),
    ("taming_vaes", "{max: 0}", "{max: 0, min: 1}", "C5.met: given.value: min is above max"),
    ("taming_vaes", "value: {max: 0}", "value: '0'", "given.value: '0' is not a number, a list of"),
    ("taming_vaes", "value: {max: 0}", "value: true", "given.value: True is not a number, a list"),
]


@pytest.mark.parametrize(("study", "old", "new", "message"), SHIPPED_SLIPS)
def test_a_value_that_no_row_can_have_is_refused(tmp_path, study, old, new, message):
    text = (registry.STUDIES / study / "claims.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "claims.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        claim_names.read(tmp_path / "claims.yaml", study)
    assert message in str(caught.value)


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
        claim_names.check_names(selecting(**filters), STUDY)
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
    made = selecting(**filters)
    del made["claims"][0]["checks"][0]["versus"]
    claim_names.check_names(made, STUDY)


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
    made = written()
    made["claims"][0]["figure"] = "fig1 snrr"
    with pytest.raises(UserError, match=r"Z1: figure: 'snrr' .* did you mean 'snr'\?"):
        claim_names.check_names(made, STUDY)


def test_a_value_twice_in_a_list_is_refused():
    with pytest.raises(UserError, match=r"x: select\.estimator: 'path' is there twice"):
        claim_names.check_numbers(CHECK | {"select": {"estimator": ["path", "a", "path"]}}, "x")
    with pytest.raises(UserError, match=r"x: select\.k: 1\.0 is there twice"):
        claim_names.check_numbers(CHECK | {"select": {"k": [1, 1.0]}}, "x")


def test_a_number_in_the_rules_of_a_task_is_no_value_of_a_coordinate():
    select = {"experiment": "estimators", "metric": "bias_z_max", "k": [2, 3]}
    made = written(select=select) | {"coordinates": ["k"]}
    del made["claims"][0]["checks"][0]["versus"]
    made["claims"][0]["figure"] = "conformance"
    with pytest.raises(UserError, match=r"select\.k: 3 is nothing that its task"):
        claim_names.check_names(made, "conformance")


def test_every_row_of_a_cell_may_be_named():
    right = {
        "cell": "gaussian_fit-total-adam",
        "tier": "paper",
        "seed": 0,
        "progress": {"min": 0.5},
    }
    made = selecting(**right)
    del made["claims"][0]["checks"][0]["versus"]
    claim_names.check_names(made, STUDY)


def test_the_names_of_the_unchanged_claim_exist():
    claim_names.check_names(written(), STUDY)


@pytest.mark.parametrize("study", grid.study_names())
def test_every_name_in_the_shipped_claims_exists(study):
    assert claim_names.read(registry.STUDIES / study / "claims.yaml", study)["claims"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"select": {"experiment": "gausian_fit", "metric": "kl"}}, "gausian_fit"),
        ({"rule": {"below": 0, "x": "k"}}, "rule key 'x' means nothing to 'every'"),
        ({"pairing": "ratio"}, "pairing 'ratio' needs versus"),
    ],
)
def test_claims_are_checked_before_anything_trains(monkeypatch, change, message):
    def mistaken(path):
        read = read_yaml(path)
        if path.name == "claims.yaml":
            read["claims"][0]["checks"][0] |= change
        return read

    monkeypatch.setattr(claim_names, "read_yaml", mistaken)
    with pytest.raises(UserError, match=message):
        config.check({"tier": "smoke", "studies": STUDY})


def test_a_metric_that_a_finished_experiment_lacks_is_named_in_the_note(tmp_path):
    found = results(tmp_path, [cell(estimator="path")], lambda *_: [Row("kl", 1.0, "nats")])
    check = {**MEAN, "select": {**SELECT, "metric": "kll"}}
    row = evaluate(found, "made", claims(tmp_path / "study", check)).iloc[0]
    assert row["verdict"] == "not run"
    assert row["note"] == "fit has run, but no row of it has metric kll"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rates.likelihood: 10", "rates.likelihood: 11", "rates.likelihood: 11 is not one of "),
        ("threshold: 0.5", "threshold: 0.55", "threshold: 0.55 is nothing that its task names"),
        ("z: mean", "z: meen", "z: 'meen' is nothing that its task names; did you mean '"),
        ("metric: gamma", "metric: gama", "is nothing that its task names; did you mean 'gamma"),
        ("figure: slope", "figure: slop", "figure: 'slop' is not one of "),
        ("  - threshold\n", "  - treshold\n", "unknown column 'threshold'"),
    ],
)
def test_a_slip_in_a_shipped_claim_is_found(tmp_path, old, new, message):
    study = "infinite_gradients"
    text = (registry.STUDIES / study / "claims.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "claims.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        claim_names.read(tmp_path / "claims.yaml", study)
    assert message in str(caught.value)
