"""The learning rate is the one best on validation data, among those that never failed."""

from __future__ import annotations

import math

import pytest

from paper_repro.claims.borders import INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.check import read
from paper_repro.claims.evidence import gather
from paper_repro.claims.names import read as load_claims
from paper_repro.claims.tuning import chosen
from paper_repro.errors import UserError
from paper_repro.rows import Row
from tests.results.made_runs import cell, claims, results, verdict, without

VALIDATION = {"split": "validation"}
TUNED = {"over": "lr", "metric": "elbo", "select": VALIDATION, "best": "highest"}
CHECK = {
    "name": "check",
    "kind": "finding",
    "select": {"experiment": "fit", "metric": "elbo", "split": "test", "estimator": "silent"},
    "versus": {"estimator": "total"},
    "pairing": "difference",
    "tuned": TUNED,
    "statistic": "mean",
    "rule": {"above": 0},
}


def scored(tmp_path, scores, seeds=3, tests=None, **params):
    """Runs of every (estimator, lr) in `scores`: validation score plus a little per seed, a test
    score of its own where `tests` has one. None: not run; a function: of the seed."""
    cells = [cell("fit", estimator=e, lr=lr, seeds=seeds, **params) for e, lr in scores]

    def make(one, seed):
        key = one.params["estimator"], one.params["lr"]
        score = scores[key](seed) if callable(scores[key]) else scores[key]
        if score is None or score == "diverged":
            return score
        test = (tests or {}).get(key, score)
        slope = 1 + one.params["lr"] + 0.5 * (one.params["estimator"] == "silent")
        return [
            Row("elbo", value + 0.01 * seed * slope, "nats/image", split=split)
            for split, value in (("validation", score), ("test", test))
        ]

    return results(tmp_path, cells, make)


def choose(found, **changes):
    options = {"over": "lr", "metric": "elbo", "filters": VALIDATION, "best": "highest"}
    return chosen(found, "made", "fit", **(options | changes))


def one(tmp_path, scores, **options):
    picked = choose(scored(tmp_path, {("total", lr): s for lr, s in scores.items()}, **options))
    assert len(picked) == 1
    return picked.iloc[0]


def judged(found, tmp_path, check=CHECK):
    return verdict(found, tmp_path, check, coordinates=["lr"])


@pytest.mark.parametrize(("best", "rate"), [("highest", 0.3), ("lowest", 0.1)])
def test_each_group_of_cells_has_its_own_best_value(tmp_path, best, rate):
    scores = {("total", 0.1): -5.0, ("total", 0.3): -4.0, ("path", 0.1): -5.0, ("path", 0.3): -2.0}
    picked = choose(scored(tmp_path, scores), best=best)
    assert list(picked["cell"]) == [f"fit-path-{rate}", f"fit-total-{rate}"]
    assert list(picked["value"]) == [rate, rate]
    assert picked["scores"][1] == pytest.approx({0.1: -4.989, 0.3: -3.987})
    assert picked["score"][1] == picked["scores"][1][rate]
    assert picked["candidates"][1] == ("fit-total-0.1", "fit-total-0.3")


def test_of_equals_the_smaller_value_is_chosen(tmp_path):
    cells = [cell("fit", estimator="total", lr=lr) for lr in (0.3, 0.1, 1.0)]
    found = results(tmp_path, cells, lambda *_: [Row("elbo", -1.0, "1", split="validation")])
    for best in ("highest", "lowest"):
        assert choose(found, best=best)["value"][0] == 0.1


@pytest.mark.parametrize("failure", [None, "diverged", math.nan, math.inf])
def test_a_candidate_that_failed_on_one_seed_is_not_chosen_and_its_siblings_stay(tmp_path, failure):
    broken = {0.1: -5.0, 0.3: lambda seed: failure if seed == 1 else -1.0}
    found = one(tmp_path, broken)
    assert found["value"] == 0.1
    assert math.isnan(found["scores"][0.3])
    assert found["lost"] == ("fit-total-0.3:1",)


def test_a_group_without_a_whole_candidate_has_no_choice_and_says_what_is_lost(tmp_path):
    found = one(tmp_path, {0.1: lambda s: None if s == 0 else -1.0, 0.3: lambda _: "diverged"})
    assert found["cell"] == ""
    assert math.isnan(found["value"])
    assert math.isnan(found["score"])
    assert set(found["lost"]) == {"fit-total-0.1:0", *(f"fit-total-0.3:{s}" for s in range(3))}


def test_the_test_split_has_no_say(tmp_path):
    scores = {("total", 0.1): -5.0, ("total", 0.3): -6.0}
    found = scored(tmp_path, scores, tests={("total", 0.1): -9.0, ("total", 0.3): -1.0})
    assert choose(found)["value"][0] == 0.1
    for peeking in ({"split": "test"}, {}, {"split": ["validation", "test"]}):
        with pytest.raises(ValueError, match="choose on split 'validation'"):
            choose(found, filters=peeking)


def test_cells_that_differ_in_more_than_the_tuned_value_do_not_compete(tmp_path):
    cells = [cell("fit", lr=lr, sizes={"hidden": h}) for lr in (0.1, 0.3) for h in ([8], [9])]
    picked = choose(
        results(tmp_path, cells, lambda c, _: [Row("elbo", -c.params["lr"], "1", "validation")])
    )
    assert list(picked["value"]) == [0.1, 0.1]
    assert ['"hidden": [8]' in group for group in picked["group"]] == [True, False]


def test_an_entry_of_an_object_can_be_tuned(tmp_path):
    cells = [
        cell("fit", name=f"c{start}", lr={"schedule": "cosine", "from": start, "to": 0})
        for start in (0.3, 0.1)
    ]
    found = results(
        tmp_path, cells, lambda c, _: [Row("elbo", c.params["lr"]["from"], "1", "validation")]
    )
    assert list(choose(found, over="lr.from")["cell"]) == ["c0.3"]
    with pytest.raises(UserError, match="lr: cells to choose from need a number"):
        choose(found)


def test_an_ambiguous_score_is_refused(tmp_path):
    rows = [Row("elbo", 1.0, "1", split="validation", at=f"k={k}") for k in (1, 2)]
    found = results(tmp_path, [cell("fit", lr=0.1)], lambda *_: rows)
    with pytest.raises(UserError, match=r"several elbo of fit-0\.1 to choose by"):
        choose(found)
    assert choose(found, filters={**VALIDATION, "k": 2})["score"][0] == 1.0
    with pytest.raises(ValueError, match="best: 'largest'"):
        choose(found, best="largest")


def test_nothing_to_choose_from_is_an_empty_frame(tmp_path):
    picked = chosen(
        scored(tmp_path, {("total", 0.1): 1.0}), "made", "other",
        over="lr", metric="elbo", filters=VALIDATION, best="highest",
    )  # fmt: skip
    assert picked.empty
    assert "cell" in picked


def test_both_sides_of_a_comparison_stand_at_their_own_best_rate(tmp_path):
    # On test data each has a rate at which it would look better than where validation puts it.
    scores = {
        ("silent", 0.1): -3.0, ("silent", 0.3): -2.0, ("total", 0.1): -4.0, ("total", 0.3): -5.0,
    }  # fmt: skip
    tests = {**scores, ("silent", 0.1): -1.0, ("total", 0.3): -0.5}
    row = judged(scored(tmp_path, scores, tests=tests), tmp_path)
    assert row["verdict"] == SUPPORTED
    assert row["estimate"] == pytest.approx(-2.0 + 4.0 + 0.01 * 0.7)
    assert row["runs"] == "fit-silent-0.3:3 fit-total-0.1:3"
    assert row["rule"].endswith(
        "mean > 0 (95 % t interval over seeds), "
        "at the learning rate best on validation (highest elbo)"
    )
    untuned = {name: value for name, value in CHECK.items() if name != "tuned"}
    with pytest.raises(UserError, match="several rows"):
        judged(scored(tmp_path / "again", scores), tmp_path / "again", untuned)


BOTH = {
    ("silent", 0.1): -3.0,
    ("silent", 0.3): -1.0,
    ("total", 0.1): -4.0,
    ("total", 0.3): -3.5,
}


def diverging(where):
    whole = BOTH[where]
    return {**BOTH, where: lambda s: "diverged" if s == 2 else whole}


@pytest.mark.parametrize("lost", BOTH)
def test_a_candidate_that_diverged_is_out_of_the_race(tmp_path, lost):
    row = judged(scored(tmp_path, diverging(lost)), tmp_path)
    left = [*(key for key in BOTH if key != lost)]
    picked = [max((k for k in left if k[0] == e), key=BOTH.get) for e in ("silent", "total")]
    assert row["estimate"] == pytest.approx(BOTH[picked[0]] - BOTH[picked[1]], abs=0.02)
    assert (row["n"], row["note"]) == (3, "")
    assert row["runs"] == " ".join(f"fit-{e}-{lr}:3" for e, lr in picked)


@pytest.mark.parametrize("lost", BOTH)
def test_a_score_that_is_missing_might_have_been_the_best_and_leaves_a_gap(tmp_path, lost):
    whole = BOTH[lost]
    row = judged(scored(tmp_path, {**BOTH, lost: lambda s: None if s == 2 else whole}), tmp_path)
    assert row["verdict"] in (INCONCLUSIVE, NOT_RUN)
    assert row["n"] == 0
    assert f"fit-{lost[0]}-" in row["note"]


@pytest.mark.parametrize("lost", BOTH)
def test_a_validation_row_that_vanished_is_a_missing_score(tmp_path, lost):
    found = scored(tmp_path, BOTH)
    assert judged(found, tmp_path / "whole")["verdict"] == SUPPORTED
    rows, (estimator, rate) = found.metrics, lost
    gone = (rows["cell"] == f"fit-{estimator}-{rate}") & (rows["split"] == "validation")
    row = judged(without(found, "metrics", gone & (rows["seed"] == 1)), tmp_path / "one")
    assert row["verdict"] in (INCONCLUSIVE, NOT_RUN)


def test_a_missing_score_beside_a_diverged_one_changes_nothing(tmp_path):
    """The candidate is out already."""
    scores = {**BOTH, ("silent", 0.3): lambda s: ["diverged", None, -1.0][s]}
    row = judged(scored(tmp_path, scores), tmp_path)
    assert row["runs"] == "fit-silent-0.1:3 fit-total-0.3:3"


@pytest.mark.parametrize("side", ["silent", "total"])
def test_a_side_that_diverged_at_every_rate_is_a_gap(tmp_path, side):
    scores = {(name, lr): -3.0 for name in ("silent", "total") for lr in (0.1, 0.3)}
    scores |= {(side, lr): lambda s: "diverged" if s == 2 else -1.0 for lr in (0.1, 0.3)}
    scores["other", 0.1] = lambda _: None  # not part of the comparison
    row = judged(scored(tmp_path, scores), tmp_path)
    assert row["verdict"] in (INCONCLUSIVE, NOT_RUN)
    assert row["n"] == 0
    assert f"fit-{side}-0.1:" in row["note"]
    assert "other" not in row["note"]


@pytest.mark.parametrize(("lost", "n"), [("diverged", 10), (None, 0)])
def test_in_a_count_only_what_is_sure_to_have_failed_is_a_failure(tmp_path, lost, n):
    """At one rate a run diverged; at the other one a run of ten diverged, or its score is lost."""
    scores = {
        ("silent", 0.1): lambda s: "diverged" if s == 2 else -3.0,
        ("silent", 0.3): lambda s: lost if s == 3 else -1.0,
        ("total", 0.1): -4.0,
    }
    check = {**CHECK, "statistic": "count", "rule": {"above": 0, "share": 0.5}}
    row = judged(scored(tmp_path, scores, seeds=10), tmp_path, check)
    assert row["n"] == n
    assert row["words"] == ("0 of 10 seeds" if n else "0 of 0 seeds, 10 open")


def test_a_unit_that_could_not_be_tuned_leaves_the_others_open(tmp_path):
    cells = [
        cell("fit", dataset=d, estimator=e, lr=lr)
        for d in ("a", "b") for e in ("silent", "total") for lr in (0.1, 0.3)
    ]  # fmt: skip

    def make(one, seed):
        if one.params["dataset"] == "b" and one.params["estimator"] == "total" and seed == 0:
            return "diverged"
        gain = 1.0 if one.params["estimator"] == "silent" else 0.0
        value = gain + 0.001 * seed * gain
        return [Row("elbo", value, "nats/image", split=s) for s in ("validation", "test")]

    found = results(tmp_path, cells, make)
    for statistic in ("mean", "all"):
        check = {**CHECK, "units": ["dataset"], "statistic": statistic}
        row = judged(found, tmp_path / statistic, check)
        assert row["verdict"] == INCONCLUSIVE
        assert "missing or diverged" in row["note"]
    some = {**CHECK, "units": ["dataset"], "statistic": "at_least"}
    some["rule"] = {"above": 0, "at_least": 1}
    row = judged(found, tmp_path / "some", some)
    assert (row["verdict"], row["estimate"]) == (SUPPORTED, pytest.approx(1.001))


MISTAKES = [
    ({"tuned": {**TUNED, "select": {"split": "test"}}}, "'test' is not one of validation"),
    ({"tuned": {**TUNED, "select": {}}}, "'split' is a required property"),
    ({"tuned": {**TUNED, "best": "largest"}}, "'largest' is not one of lowest, highest"),
    ({"tuned": {**TUNED, "split": "validation"}}, "unknown key 'split'"),
    ({"tuned": {**TUNED, "select": {**VALIDATION, "estimat": "x"}}}, "unknown column 'estimat'"),
    ({"tuned": {**TUNED, "over": "rate"}}, "unknown column 'rate'"),
    ({"units": ["lr"]}, "'lr' is tuned; it has no place in the check"),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES)
def test_mistakes_in_tuned_are_named_in_one_line(tmp_path, change, message):
    folder = claims(tmp_path / "study", {**CHECK, **change}, coordinates=["lr"])
    with pytest.raises(UserError) as caught:
        load_claims(folder / "claims.yaml", "made")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_candidates_that_lost_were_looked_at(tmp_path):
    found = scored(tmp_path, {("silent", 0.1): 1.0, ("silent", 0.2): 2.0, ("total", 0.1): 0.0})
    check = read(claims(tmp_path / "study", CHECK) / "claims.yaml", "made")[0].checks[0]
    evidence = gather(found, check, "paper")
    assert {run.rpartition(":")[0] for run in evidence.runs} == {"fit-silent-0.2", "fit-total-0.1"}
    assert {run.rpartition(":")[0] for run in evidence.looked} == {"fit-silent-0.1"}
