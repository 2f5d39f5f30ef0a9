"""A mistake in claims.yaml stops with one line that names it."""

from __future__ import annotations

import pytest

from paper_repro.claims.checks import FUNCTIONS
from paper_repro.claims.names import read as load_claims
from paper_repro.claims.rules import STATISTICS
from paper_repro.errors import UserError
from tests.results.made_runs import EVERY, MEAN, SELECT, claims

MISTAKES = [
    ({"statistics": "mean"}, "unknown key 'statistics'"),
    ({"statistic": "median"}, "statistic: 'median' is not one of every"),
    ({"rule": {"below": 0, "above": 0}}, "a rule names one of above, below"),
    ({"rule": {"seeds": 3}}, "a rule names one of"),
    ({"rule": {"below": 0, "x": "k"}}, "rule key 'x' means nothing to 'mean'"),
    ({"rule": {"under": 0}}, "unknown key 'under'"),
    ({"statistic": "count", "rule": {"below": 0, "at_least": 1}}, "'count' needs rule key 'of'"),
    ({"statistic": "count", "rule": {"below": 0, "of": 1}}, "needs one of at_least, at_most"),
    ({"select": {**SELECT, "estimatr": "path"}}, "unknown column 'estimatr'"),
    ({"versus": {"estimatr": "path"}}, "unknown column 'estimatr'"),
    ({"units": ["layer"]}, "unknown column 'layer'"),
    ({"select": {"metric": "kl"}}, "'experiment' is a required property"),
    ({"pairing": "quotient"}, "'quotient' is not one of difference, ratio"),
    ({"versus": {"reported": "a", "k": 1}}, "versus.k: reported stands alone"),
    (
        {"statistic": "slope", "rule": {"x": "estimator", "below": 0}},
        "rule.x: select holds 'estimator' at 'path'",
    ),
    ({"decides": False}, "A1: decides: none of its checks decides"),
]
ITSELF = [  # sides that share a row
    {"estimator": "path"},
    {"estimator": ["total", "path"]},
    {"estimator": "path", "kind": "final"},
    {"estimator": "path", "k": 5},
    {"a": {"max": 0.5}},
    {"a": {"min": 0.1, "max": 0.9}},
    {"a": [0.4, 0.5]},
]
APART = [
    {"estimator": "total"},
    {"estimator": ["total", "dreg"]},
    {"experiment": "other"},
    {"metric": "elbo"},
    {"a": {"max": 0.49}},
    {"a": 0.4},
]


@pytest.mark.parametrize(("change", "message"), MISTAKES)
def test_mistakes_in_claims_are_named_in_one_line(tmp_path, change, message):
    folder = claims(tmp_path / "study", {**MEAN, **change})
    with pytest.raises(UserError) as caught:
        load_claims(folder / "claims.yaml", "made")
    assert message in str(caught.value)
    assert "made/claims.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def read(folder, *checks):
    return load_claims(claims(folder / "study", *checks) / "claims.yaml", "made")


@pytest.mark.parametrize("versus", ITSELF)
def test_rows_are_not_compared_with_themselves(tmp_path, versus):
    select = {**SELECT, "a": {"min": 0.5}}
    with pytest.raises(UserError, match=r"A1\.check: versus: rows of select are on that side too"):
        read(tmp_path, {**EVERY, "select": select, "versus": versus})


@pytest.mark.parametrize("versus", APART)
def test_rows_are_compared_with_others(tmp_path, versus):
    select = {**SELECT, "a": {"min": 0.5}}
    assert read(tmp_path, {**EVERY, "select": select, "versus": versus})


@pytest.mark.parametrize(
    ("select", "versus", "units", "column"),
    [
        ({}, {"estimator": "total"}, ["estimator"], "estimator"),
        ({}, {"estimator": "total"}, ["k", "estimator"], "estimator"),
        ({"k": 1}, {"k": [2, 3], "estimator": "total"}, ["k"], "k"),
        ({}, {"experiment": "other"}, ["experiment"], "experiment"),
        ({"a": {"min": 2}}, {"a": {"max": 1}}, ["a"], "a"),
        ({"seed": 0}, {"seed": 1}, [], "seed"),
        ({"steps": 100}, {"steps": 200}, [], "steps"),
        ({"tier": "paper"}, {"tier": "quick"}, [], "tier"),
    ],
)
def test_sides_that_can_never_be_paired_are_refused(tmp_path, select, versus, units, column):
    check = {**MEAN, "select": {**SELECT, **select}, "versus": versus}
    with pytest.raises(
        UserError, match=rf"A1\.check: versus\.{column}: partners share their {column}"
    ):
        read(tmp_path, {**check, "units": units})


def test_sides_may_differ_in_what_partners_do_not_share(tmp_path):
    assert read(tmp_path, {**MEAN, "units": ["k"]})
    longer = {"experiment": "other", "steps": 200}  # computed without training, see `selection`
    assert read(tmp_path, {**MEAN, "select": {**SELECT, "steps": 100}, "versus": longer})


def test_a_comparison_says_its_pairing(tmp_path):
    without = {key: value for key, value in EVERY.items() if key != "pairing"}
    with pytest.raises(UserError, match=r"A1\.check: versus needs pairing, one of difference, rat"):
        read(tmp_path, without)
    alone = {key: value for key, value in EVERY.items() if key != "versus"}
    with pytest.raises(UserError, match=r"A1\.check: pairing 'ratio' needs versus"):
        read(tmp_path, alone)


def test_a_condition_decides(tmp_path):
    beside = {**MEAN, "name": "beside", "decides": False, "condition": True}
    with pytest.raises(UserError, match=r"A1\.beside: condition: goes with a check that decides"):
        read(tmp_path, [MEAN, beside])


def test_every_statistic_has_its_rule():
    assert list(FUNCTIONS) == list(STATISTICS)


def test_a_claim_that_stands_twice_is_refused(tmp_path):
    folder = claims(tmp_path / "study", MEAN, MEAN)
    text = (folder / "claims.yaml").read_text().replace("id: A2", "id: A1")
    (folder / "claims.yaml").write_text(text)
    with pytest.raises(UserError, match="A1 is there twice"):
        load_claims(folder / "claims.yaml", "made")


NUMBERS = [
    ({"rule": {"within": [2, 1]}}, "rule.within: [2, 1] does not run upwards"),
    ({"rule": {"outside": [1, 1]}}, "rule.outside: [1, 1] does not run upwards"),
    (
        {"statistic": "count", "rule": {"below": 0, "at_least": 5, "of": 4}},
        "rule.at_least: 5 is more than of, 4",
    ),
    ({"select": {**SELECT, "k": {"min": 3, "max": 1}}}, "select.k: min is above max"),
    ({"select": {**SELECT, "k": {"mim": 3}}}, "select.k: unknown key 'mim'; allowed: max, min"),
    ({"statistic": "maen"}, "statistic: 'maen' is not one of every, "),
]


@pytest.mark.parametrize(("change", "message"), NUMBERS)
def test_numbers_of_a_rule_must_make_sense(tmp_path, change, message):
    folder = claims(tmp_path / "study", {**MEAN, **change})
    with pytest.raises(UserError) as caught:
        load_claims(folder / "claims.yaml", "made")
    assert message in str(caught.value)
    assert str(caught.value).startswith("made/claims.yaml")


@pytest.mark.parametrize("number", [".nan", ".inf", "1e400"])
def test_a_rule_is_of_finite_numbers(tmp_path, number):
    folder = claims(tmp_path / "study", MEAN)
    text = (folder / "claims.yaml").read_text().replace("below: 0", f"below: {number}")
    assert number in text
    (folder / "claims.yaml").write_text(text)
    with pytest.raises(UserError, match=r"line \d+, column \d+: .* is not a finite number"):
        load_claims(folder / "claims.yaml", "made")


def test_two_checks_of_a_claim_have_two_names(tmp_path):
    folder = claims(tmp_path / "study", [MEAN, MEAN])
    with pytest.raises(UserError, match="A1: check check is there twice"):
        load_claims(folder / "claims.yaml", "made")
