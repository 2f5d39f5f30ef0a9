"""Claims about trained BILBO and BAGGINS: made-up rows of the study's grid that say so support
them, turned ones contradict, and what is missing, diverged or cut short decides nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paper_repro import registry
from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.check import FINDING, Check
from paper_repro.claims.evidence import Evidence, gather
from paper_repro.claims.filters import matches
from paper_repro.claims.judge import Rules, check_verdict, outcome
from paper_repro.claims.names import read
from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again import arrival, methods
from tests.claims.deletion import Lost, faults, targeted, verdicts, without
from tests.results import there_and_back_again_rows as made
from tests.results.made_runs import results
from tests.results.there_and_back_again_rows import GAIN, LONGER, PENALTY, STUDY

FOLDER = registry.STUDIES / STUDY
TIER = "reduced"
CLAIMS = {claim.id: claim for claim in read(FOLDER / "claims.yaml", STUDY)}
FINDINGS = {claim.id for claim in CLAIMS.values() if claim.kind == FINDING}
Where = Mapping[str, object]
ELBO = {"experiment": "elbo", "metric": "elbo_per_value"}
VAE = {"objective": "elbo", "likelihood": "gaussian_channel"}
ONE = {"objective": "bilbo", "latent_options.scale": 1}


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Results:
    place = tmp_path_factory.mktemp("back")
    return results(place, made.cells(TIER), lambda c, s: list(made.rows(c, s)), TIER)


def where(results: Results, kind: str = "metrics", **wanted: object) -> pd.Series:
    """Which rows of a table are of these cells and coordinates."""
    rows = getattr(results, kind)
    frame = results.frame(STUDY, kind={"metrics": "final", "curves": "curve"}[kind])
    assert len(frame) == len(rows)
    chosen = matches(frame, wanted).to_numpy(bool)
    assert chosen.any(), wanted
    return pd.Series(chosen, rows.index)


def moved(results: Results, by: float, kind: str = "metrics", **wanted: object) -> Results:
    """Results in which `by` is added to some values."""
    rows = getattr(results, kind)
    value = rows["value"] + by * where(results, kind, **wanted)
    return replace(results, **{kind: rows.assign(value=value)})


def lost(results: Results, kind: str = "metrics", **wanted: object) -> Results:
    """Results that lack some rows, their plan unchanged."""
    rows = getattr(results, kind)
    return replace(results, **{kind: rows[~where(results, kind, **wanted)]})


def diverged(results: Results, **wanted: object) -> Results:
    """Results in which the runs that have such rows diverged."""
    rows = results.metrics[where(results, **wanted)]
    gone = set(zip(rows["cell"], rows["seed"], strict=True))
    fewer = without(results, Lost("", rows.index[:0], results.curves.index[:0], tuple(gone)))
    runs = fewer.runs
    out = [key in gone for key in zip(runs["cell"], runs["seed"], strict=True)]
    return replace(fewer, runs=runs.assign(status=runs["status"].mask(out, "diverged")))


def asked(results: Results, name: str, tier: str = TIER) -> tuple[str, str, Evidence]:
    """Verdict and note of one check, such as back-F3.error, by itself."""
    check = named(name)
    evidence = gather(results, check, tier)
    said = outcome(evidence, Rules())
    return check_verdict(evidence, said), said.note, evidence


def named(name: str) -> Check:
    claim, _, check = name.partition(".")
    return next(one for one in CLAIMS[claim].checks if one.name == check)


def verdict_of(results: Results, *names: str) -> dict[str, str]:
    """The verdicts of claims, of all of which the family is."""
    found = verdicts(results, [CLAIMS[name] for name in FINDINGS | {*names}])
    return {name: found[name] for name in names}


def test_rows_that_say_so_support_every_finding(found):
    assert set(verdict_of(found, *FINDINGS, "back-T12").values()) == {SUPPORTED}


def turn(results: Results) -> Results:
    """Rows that say the opposite of every finding."""
    for change, wanted in [
        (0.2, {"experiment": "elbo", "metric": "variance_error", **VAE}),
        (0.2, {"experiment": "bernoulli", "metric": "variance_error"}),
        (PENALTY[methods.FITTED], {"experiment": "elbo", "metric": "curvature_penalty", **ONE}),
        (-GAIN[methods.BILBO] - 0.02, {**ELBO, **ONE, "likelihood": "gaussian_channel"}),
        (-GAIN[methods.BOTH], {**ELBO, **ONE, "likelihood": "baggins"}),
        (0.03, {"experiment": "units", "likelihood": "baggins", "units": 255}),
        (0.1, {"experiment": "optimal_decoder", "points": 500}),
    ]:
        results = moved(results, change, **wanted)
    spike = {"experiment": "memorising", "likelihood": "baggins", "value": {"min": 1.5}}
    return moved(results, 38, "curves", **spike)


def test_rows_that_say_the_opposite_contradict_every_finding(found):
    assert set(verdict_of(turn(found), *FINDINGS).values()) == {CONTRADICTED}


def test_a_learned_variance_that_no_unit_harms_contradicts(found):
    for unit in (0.00392156862745098, 255):
        lower = 0.05 * math.log(255)
        found = moved(found, lower, experiment="units", units=unit, **VAE)
    assert asked(found, "back-F8.learned")[0] == CONTRADICTED
    assert asked(found, "back-F8.same_both")[0] == SUPPORTED


LOST = {
    "back-F1.distance": {"experiment": "optimal_decoder", "points": 500},
    "back-F3.error": {"experiment": "elbo", "metric": "variance_error", **VAE},
    "back-F5.penalty": {"experiment": "elbo", "metric": "curvature_penalty", **ONE},
    "back-F6.native": {**ELBO, "objective": "bilbo", "latent_options.scale": ""},  # the partner
    "back-F13.error": {"experiment": "bernoulli", "metric": "variance_error"},
    # units of the pixels, beside which all others stand
    "back-F8.same_both": {"experiment": "units", "units": 1, **ONE},
    "back-F8.same_baggins": {"experiment": "units", "units": 10, "objective": "elbo"},
}


@pytest.mark.parametrize("name", LOST)
def test_one_seed_that_is_lost_or_diverged_leaves_a_check_open_and_is_named(found, name):
    chosen = {**LOST[name], "seed": 101}
    if "elbo" in chosen["experiment"]:
        chosen["dataset"] = "fashion_mnist"
    for fewer in (lost(found, **chosen), diverged(found, **chosen)):
        verdict, note, _ = asked(fewer, name)
        assert verdict == INCONCLUSIVE
        assert ":101" in note


PARTS = {"BAGGINS": {"likelihood": "baggins"}, "its partner": {"likelihood": "gaussian_channel"}}


@pytest.mark.parametrize("side", PARTS)
@pytest.mark.parametrize("what", ["no number", "zero", "a lost point", "a lost curve"])
def test_a_curve_with_a_hole_has_no_largest_gradient(found, what, side):
    chosen = {"experiment": "memorising", "metric": "grad_decoder", "objective": "elbo",
              "seed": 103, **PARTS[side]}  # fmt: skip
    if what == "a lost curve":
        changed = lost(found, "curves", **chosen)
    elif what == "a lost point":
        changed = lost(found, "curves", **chosen, progress={"min": 0.35, "max": 0.45})
    else:
        point = where(found, "curves", **chosen, progress={"min": 0.35, "max": 0.45})
        curves = found.curves
        value = curves["value"].mask(point, np.nan if what == "no number" else 0.0)
        changed = replace(found, curves=curves.assign(value=value))
    verdict, note, evidence = asked(changed, "back-F9.vae")
    assert verdict == INCONCLUSIVE
    assert list(evidence.table.loc[evidence.table["low"].isna(), "seed"]) == [103]
    assert ":103" in note
    assert asked(changed, "back-F9.bilbo")[0] == SUPPORTED


def test_largest_gradients_are_compared_with_medians_in_logs(found):
    _, _, evidence = asked(found, "back-F9.vae")
    frame = found.frame(STUDY, "memorising", "grad_decoder", "curve")
    frame = frame[(frame["seed"] == 100) & (frame["objective"] == "elbo")]
    of = {name: rows["value"] for name, rows in frame.groupby("likelihood")}
    ratio = {name: values.max() / values.median() for name, values in of.items()}
    expected = math.log(ratio["baggins"] / ratio["gaussian_channel"])
    own = evidence.table.set_index("seed").loc[100]
    assert own["low"] == pytest.approx(expected)
    assert len(own["run"].split()) == 2


TWICE = {"experiment": "twice", "metric": "elbo_per_value"}
SHORT = {  # data sets, and twice its steps by how much the VAE moves, in nats per value
    "mnist": 4.0 / 784, "fashion_mnist": -3.5 / 784, "cifar10": 0.0055, "celeba_half_32": -0.0055,
}  # fmt: skip
ARRIVING = ("back-F3.error", "back-F3.used", "back-F10.common", "back-F15.native")


@pytest.mark.parametrize("dataset", SHORT)
def test_a_set_that_is_cut_short_is_excepted_and_named(found, dataset):
    by = SHORT[dataset] - LONGER
    cut = moved(found, by, **TWICE, dataset=dataset)
    near = moved(found, 0.8 * SHORT[dataset] - LONGER, **TWICE, dataset=dataset)
    worse = moved(cut, 0.3, experiment="elbo", metric="variance_error", dataset=dataset, **VAE)
    worse = moved(worse, -6, experiment="elbo", metric="used", dataset=dataset, **VAE)
    assert arrival.cut_short(worse) == [dataset]  # as tables and figures say
    assert arrival.cut_short(near) == []
    for name in ARRIVING:
        verdict, note, evidence = asked(worse, name)
        assert verdict == SUPPORTED
        assert f"excepted by rule (its VAE is cut short): dataset={dataset}" in note
        assert f"dataset={dataset}" not in set(evidence.table["unit"])
        assert "excepted" not in asked(near, name)[1]
    assert asked(worse, "back-F3.all_sets")[0] == CONTRADICTED


def test_two_sets_that_have_arrived_are_not_three(found):
    for dataset in ("mnist", "cifar10"):
        found = moved(found, 0.01, **TWICE, dataset=dataset)
    for name in ("back-F10.common", "back-F15.native"):
        verdict, note, _ = asked(found, name)
        assert verdict == INCONCLUSIVE
        assert "2 of at least 3 units" in note
    assert asked(found, "back-F10.all_sets")[0] == SUPPORTED
    assert asked(found, "back-F3.error")[0] == SUPPORTED
    for dataset in ("fashion_mnist", "celeba_half_32"):
        found = moved(found, 0.01, **TWICE, dataset=dataset)
    assert asked(found, "back-F3.error")[0] == NOT_RUN


@pytest.mark.parametrize("wanted", [TWICE, {**ELBO, **VAE, "split": "test"}], ids=["long", "once"])
def test_a_vae_of_which_it_is_not_known_is_a_gap_and_named(found, wanted):
    """Also where the set would be excepted: with a seed less nobody can tell."""
    cut = moved(found, 0.01, **TWICE, dataset="mnist")
    for fewer in (
        lost(cut, **wanted, dataset="mnist", seed=101),
        diverged(cut, **wanted, dataset="mnist", seed=101),
    ):
        verdict, note, evidence = asked(fewer, "back-F15.native")
        own = evidence.table[evidence.table["unit"] == "dataset=mnist"]
        assert own["low"].isna().all()
        assert "excepted" not in note
        assert verdict == SUPPORTED  # by the other three
        assert asked(fewer, "back-F3.error")[0] == INCONCLUSIVE
        vae = {run for runs in own["run"] for run in runs.split() if run.endswith(":101")}
        assert any(run.startswith("twice-") for run in vae)
        assert any(run.startswith("elbo-elbo-gaussian_channel") for run in vae)


def test_runs_that_say_whether_a_set_has_arrived_are_on_record(found):
    _, _, evidence = asked(found, "back-F15.native")
    used = set(evidence.runs)
    assert sum(run.startswith("twice-") for run in used) == 12
    assert sum(run.startswith("elbo-elbo-gaussian_channel") for run in used) == 12


@pytest.mark.parametrize("tier", ["smoke", "quick"])
def test_without_a_vae_at_twice_the_steps_no_claim_on_arrived_ones_is_run(tmp_path, tier):
    cells = [cell for cell in made.cells(tier) if cell.experiment == "elbo"]
    found = results(tmp_path, cells, lambda c, s: list(made.rows(c, s)), tier)
    asking = [one for one in CLAIMS.values() if {c.sample for c in one.required} & {"arrived"}]
    assert {one.id for one in asking} == {"back-F3", "back-F10", "back-F15"}
    assert set(verdicts(found, asking).values()) == {NOT_RUN}
    verdict, note, _ = asked(found, "back-F3.error", tier)
    assert verdict == NOT_RUN
    assert "no VAE at twice the steps is planned" in note
    assert "missing" not in note
    assert asked(found, "back-F6.native", tier)[2].ran


def test_few_latents_in_use_are_not_compared(found):
    fewer = moved(found, -3, experiment="elbo", metric="used", dataset="mnist", seed=104, **VAE)
    assert asked(fewer, "back-F3.used")[0] == CONTRADICTED
    assert verdicts(fewer, [CLAIMS["back-F3"]]) == {"back-F3": INCONCLUSIVE}
    collapsed = moved(found, -4, experiment="elbo", metric="used", dataset="mnist", seed=104, **ONE)
    assert asked(collapsed, "back-F5.used")[0] == CONTRADICTED
    assert verdicts(collapsed, [CLAIMS["back-F5"]]) == {"back-F5": INCONCLUSIVE}


FACTS = {  # a number of a trained network that cannot be, and what it contradicts
    "T7.trained": ("metrics", {"metric": "sampling_gap"}, 1.0),
    "T7.in_training": ("curves", {"metric": "sampling_gap", "progress": 0.1}, -1.0),
    "T9.trained_gradient": ("metrics", {"metric": "slope_to_bound"}, 0.2),
    "T9.trained_distortion": ("metrics", {"metric": "above_floor"}, -0.2),
    "T9.in_training_gradient": ("curves", {"metric": "slope_to_bound", "progress": 0.7}, 0.2),
    "T9.in_training_distortion": ("curves", {"metric": "above_floor", "progress": 0.02}, -0.2),
    "T12.encoder": ("metrics", {"metric": "encoder_outputs"}, 16),
    "T12.decoder": ("metrics", {"metric": "decoder_outputs"}, 100),
}


@pytest.mark.parametrize("name", FACTS)
def test_one_wrong_number_of_a_trained_network_contradicts_a_fact(found, name):
    kind, wanted, by = FACTS[name]
    one = {**wanted, **ONE, "likelihood": "baggins", "dataset": "mnist", "seed": 102}
    one["experiment"] = "elbo"
    assert asked(found, f"back-{name}")[0] == SUPPORTED
    assert asked(moved(found, by, kind, **one), f"back-{name}")[0] == CONTRADICTED
    verdict, note, _ = asked(lost(found, kind, **one), f"back-{name}")
    assert verdict == INCONCLUSIVE
    assert ":102" in note


def test_a_sampled_bound_without_its_error_is_open(found):
    fewer = lost(found, metric="sampling_error", dataset="mnist", seed=102, **ONE)
    assert asked(fewer, "back-T7.trained")[0] == INCONCLUSIVE


SAMPLED = ("back-F3.error", "back-F8.learned", "back-F9.vae", "back-F10.common")


@pytest.mark.parametrize("name", SAMPLED)
def test_no_lost_rows_decide_a_check_of_a_sample(found, name):
    check = named(name)
    near = {check.select["experiment"]} | ({"twice"} if check.sample == "arrived" else set())
    tables = {name: getattr(found, name) for name in ("metrics", "curves", "cells", "runs")}
    cut = replace(found, **{n: rows[rows["experiment"].isin(near)] for n, rows in tables.items()})
    if "twice" in near:
        cut = moved(cut, 0.01, **TWICE, dataset="cifar10")
    one = replace(CLAIMS[name.partition(".")[0]], checks=(check,))
    rng = np.random.default_rng(len(name))
    whole = [*targeted(cut, ["seed", "cell"])]
    some = [whole[i] for i in rng.choice(len(whole), 4, replace=False)]
    assert faults(cut, [one], iter([*some, *subsets(cut, rng)])) == []


def subsets(results: Results, rng: np.random.Generator) -> list[Lost]:
    """One row in twenty, and a few runs."""
    none = results.metrics.index[:0], results.curves.index[:0]
    rows = [t.index[rng.random(len(t)) < 0.05] for t in (results.metrics, results.curves)]
    runs = results.runs.iloc[rng.choice(len(results.runs), 3, replace=False)]
    keys = tuple(zip(runs["cell"], runs["seed"].astype(int), strict=True))
    return [Lost("some rows", *rows), Lost("some runs", *none, keys)]
