"""A mistake in claims.yaml stops with one line that names it."""

from __future__ import annotations

import pytest

from paper_repro.analysis.claim_names import read as load_claims
from paper_repro.errors import UserError
from tests.analysis.made_runs import MEAN, SELECT, claims

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
]


@pytest.mark.parametrize(("change", "message"), MISTAKES)
def test_mistakes_in_claims_are_named_in_one_line(tmp_path, change, message):
    folder = claims(tmp_path / "study", {**MEAN, **change})
    with pytest.raises(UserError) as caught:
        load_claims(folder / "claims.yaml", "made")
    assert message in str(caught.value)
    assert "made/claims.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


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
