"""How claims.yaml is written: defaults of a claim, checks of one shape, what null removes."""

from __future__ import annotations

import pytest

from paper_repro import grid, registry
from paper_repro.claims.check import Check, family_size, read
from paper_repro.claims.names import read as checked
from paper_repro.errors import UserError
from tests.results.made_runs import COUNT, FACT, MEAN, claims


def written(folder, claim):
    """The only claim of a claims.yaml."""
    return read(claims(folder, claim) / "claims.yaml", "made")[0]


DEFAULTS = {
    "kind": "finding",
    "select": {"experiment": "fit", "metric": "kl", "estimator": "path", "k": 1},
    "versus": {"estimator": "total", "k": 5},
    "pairing": "difference",
    "units": ["dataset"],
    "statistic": "all",
    "rule": {"superior": "lower", "margin": 0.5},
    "why": "half a nat is seen",
}


def test_checks_inherit_what_stands_at_their_claim(tmp_path):
    (check,) = written(tmp_path, {**DEFAULTS, "checks": [{"name": "x"}]}).checks
    assert check == Check(
        study="made", claim="made-A1", name="x", kind="finding", select=DEFAULTS["select"],
        versus=DEFAULTS["versus"], pairing="difference", units=("dataset",), statistic="all",
        rule=DEFAULTS["rule"], why="half a nat is seen",
    )  # fmt: skip


def test_filters_of_a_check_are_merged_over_those_of_its_claim_and_all_else_replaces_it(tmp_path):
    own = {
        "name": "x", "select": {"k": 2, "metric": "nll"}, "versus": {"estimator": "dreg"},
        "units": {"a": [1, 2]}, "rule": {"below": 0},
    }  # fmt: skip
    (check,) = written(tmp_path, {**DEFAULTS, "checks": [own]}).checks
    assert check.select == {"experiment": "fit", "metric": "nll", "estimator": "path", "k": 2}
    assert check.versus == {"estimator": "dreg", "k": 5}
    assert check.other == {**check.select, "estimator": "dreg", "k": 5}
    assert check.units == {"a": (1, 2)}
    assert check.rule == {"below": 0}  # no margin is left of the other rule


def test_null_removes_a_filter(tmp_path):
    own = {"name": "x", "select": {"k": None}, "versus": {"k": None}}
    (check,) = written(tmp_path, {**DEFAULTS, "checks": [own]}).checks
    assert "k" not in check.select
    assert check.other == {**check.select, "estimator": "total"}


def test_null_on_the_other_side_removes_what_this_side_selects(tmp_path):
    """Also one that stands at the claim below a `versus` of the check's own."""
    at_claim = {**DEFAULTS, "versus": {"experiment": "other", "k": None}}
    checks = [{"name": "x"}, {"name": "y", "versus": {"estimator": "total"}}]
    x, y = written(tmp_path, {**at_claim, "checks": checks}).checks
    assert x.other == {"experiment": "other", "metric": "kl", "estimator": "path"}
    assert y.other == {"experiment": "other", "metric": "kl", "estimator": "total"}


def test_each_makes_checks_by_the_values_of_a_column(tmp_path):
    each = {"name": "x", "each": {"k": [1, 2.5]}}
    found = written(tmp_path, {**DEFAULTS, "checks": [each]}).checks
    assert [(one.name, one.select["k"]) for one in found] == [("x_1", 1), ("x_2.5", 2.5)]
    assert {one.select["estimator"] for one in found} == {"path"}


def test_each_makes_checks_by_name(tmp_path):
    each = {
        "small": {"select": {"k": 1}, "rule": {"superior": "lower", "margin": 0.1}},
        "large": {"select": {"k": 50}, "versus": {"k": 1}, "units": {"dataset": ["a"]}},
    }
    own = {"name": "x", "select": {"metric": "nll"}, "each": each}
    small, large = written(tmp_path, {**DEFAULTS, "checks": [own]}).checks
    assert (small.name, large.name) == ("x_small", "x_large")
    assert small.select == {**DEFAULTS["select"], "metric": "nll", "k": 1}
    assert small.rule["margin"] == 0.1
    assert large.rule["margin"] == 0.5
    assert large.versus == {"estimator": "total", "k": 1}
    assert (small.units, large.units) == (("dataset",), {"dataset": ("a",)})


@pytest.mark.parametrize("key", ["kind", "select", "rule"])
def test_what_neither_a_check_nor_its_claim_says_is_missing(tmp_path, key):
    lacking = {name: value for name, value in DEFAULTS.items() if name != key}
    with pytest.raises(UserError, match=rf"made-A1\.x: {key} is missing, here and at its claim"):
        written(tmp_path, {**lacking, "checks": [{"name": "x"}]})


@pytest.mark.parametrize("key", ["experiment", "metric"])
def test_every_check_selects_an_experiment_and_a_metric(tmp_path, key):
    select = {name: value for name, value in DEFAULTS["select"].items() if name != key}
    own = {**DEFAULTS, "select": select, "checks": [{"name": "x"}]}
    with pytest.raises(UserError, match=rf"made-A1\.x: select\.{key} is missing"):
        written(tmp_path, own)


def test_two_checks_of_a_claim_have_two_names_also_those_of_each(tmp_path):
    with pytest.raises(UserError, match="made-A1: check check is there twice"):
        written(tmp_path / "plain", [MEAN, MEAN])
    checks = [{"name": "x", "each": {"k": [1, 2]}}, {"name": "x_1"}]
    with pytest.raises(UserError, match="made-A1: check x_1 is there twice"):
        written(tmp_path / "each", {**DEFAULTS, "checks": checks})


def test_a_claim_that_stands_twice_is_refused(tmp_path):
    folder = claims(tmp_path, MEAN, MEAN)
    text = (folder / "claims.yaml").read_text().replace("made-A2", "made-A1")
    (folder / "claims.yaml").write_text(text)
    with pytest.raises(UserError, match="made-A1 is there twice"):
        checked(folder / "claims.yaml", "made")


def test_a_changed_copy_of_a_check_merges_its_filters_and_leaves_the_check_alone(tmp_path):
    (check,) = written(tmp_path, {**DEFAULTS, "checks": [{"name": "x"}]}).checks
    changed = check.but(select={"k": None, "a": 3}, versus=None)
    assert changed.select == {"experiment": "fit", "metric": "kl", "estimator": "path", "a": 3}
    assert changed.versus is None
    assert check.select == DEFAULTS["select"]
    assert check.versus == DEFAULTS["versus"]


def test_the_family_is_all_manythat_rest_on_a_finding_whatever_stands_beside(tmp_path):
    beside = {**MEAN, "name": "beside", "decides": False}
    met = {**MEAN, "name": "met", "precondition": True, "rule": {"within": [-1, 1]}}
    del met["statistic"]
    fact = {**FACT, "name": "fact"}
    folder = claims(tmp_path, MEAN, [fact, MEAN], [fact, beside], [met, fact], COUNT, fact)
    found = checked(folder / "claims.yaml", "made")
    assert [one.kind for one in found] == ["finding", "finding", "fact", "fact", "finding", "fact"]
    assert family_size(found) == 3
    assert [check.role for check in found[3].checks] == ["precondition", "decides"]
    assert [check.role for check in found[2].checks] == ["decides", "beside"]


@pytest.mark.parametrize("tier", ["smoke", "paper"])
def test_how_many_values_a_run_has_may_differ_by_tier(tmp_path, tier):
    (check,) = written(tmp_path, {**FACT, "of": {"smoke": 2, "paper": 4}, "name": "x"}).checks
    assert check.of_at(tier) == {"smoke": 2, "paper": 4}[tier]
    assert check.of_at("quick") is None
    assert check.but(of=3).of_at(tier) == 3


def test_rules_that_changed_name_their_claim_and_the_verdict_they_replaced(tmp_path):
    change = {"claim": "made-A1", "what": "a margin", "why": "it had none", "before": "supported"}
    folder = claims(tmp_path, MEAN, deviations=[change])
    assert checked(folder / "claims.yaml", "made")
    for key, wrong, message in [
        ("claim", "made-A2", "deviations: claim: 'made-A2' is not one of made-A1"),
        ("before", "refuted", "'refuted' is not one of supported, contradicted"),
        ("why", "", "''"),
    ]:
        folder = claims(tmp_path / key, MEAN, deviations=[{**change, key: wrong}])
        with pytest.raises(UserError) as caught:
            checked(folder / "claims.yaml", "made")
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_ids_of_manyare_unique_in_the_suite_and_begin_as_their_study_does():
    owners: dict[str, str] = {}
    for study in grid.study_names():
        for claim in read(registry.STUDIES / study / "claims.yaml", study):
            assert claim.id not in owners, (claim.id, study, owners.get(claim.id))
            assert claim.id.partition("-")[0] in study.split("_"), (claim.id, study)
            owners[claim.id] = study
    assert len(owners) >= 60


def test_the_language_is_short():
    """61 claims took 2,555 lines before checks inherited from their claims; 1,600 are 26 each."""
    files = {study: registry.STUDIES / study / "claims.yaml" for study in grid.study_names()}
    lines = sum(len(file.read_text("utf-8").splitlines()) for file in files.values())
    many = sum(len(read(file, study)) for study, file in files.items())
    assert lines < 1600 / 61 * many


@pytest.mark.parametrize(
    "own", [{"select": {"kk": None}}, {"each": {"a": {"select": {"kk": None}}}}]
)
def test_a_null_that_removes_nothing_is_a_slip(tmp_path, own):
    with pytest.raises(UserError, match=r"x: select\.kk: null removes nothing there"):
        written(tmp_path, {**DEFAULTS, "checks": [{"name": "x", **own}]})


def test_prose_says_something(tmp_path):
    with pytest.raises(UserError, match="made-A1: source says nothing"):
        written(tmp_path, {**DEFAULTS, "source": "  ", "checks": [{"name": "x"}]})
