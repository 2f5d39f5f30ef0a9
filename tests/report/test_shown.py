"""A line of claims.csv in words: what decides, in which unit, over how many seeds, how surely."""

from __future__ import annotations

import pytest

from paper_repro.claims.verdicts import CLAIM_COLUMNS
from paper_repro.report import shown


def row(**entries: str) -> dict[str, str]:
    """A supported finding of three seeds, but for `entries`."""
    usual = {"study": "made", "claim": "made-A1", "kind": "finding", "verdict": "supported"}
    usual |= {"estimate": "-0.2712", "ci_low": "-0.31", "ci_high": "-0.2345", "n": "3"}
    usual |= {"unit": "nats/image", "words": "a gain", "registered": "unknown"}
    assert entries.keys() <= set(CLAIM_COLUMNS)
    return {**dict.fromkeys(CLAIM_COLUMNS, ""), **usual, **entries}


def test_an_estimate_is_written_with_its_interval_and_its_unit_where_there_are() -> None:
    assert shown.estimate(row()) == "-0.271 [-0.31, -0.234] nats/image"
    assert shown.estimate(row(unit="1")) == "-0.271 [-0.31, -0.234]"
    assert shown.estimate(row(ci_low="", ci_high="")) == "-0.271 nats/image"
    assert shown.estimate(row(estimate="")) == shown.ABSENT


@pytest.mark.parametrize(
    ("kind", "verdict", "n", "word", "badge"),
    [
        ("fact", "supported", "20", "holds", "identity checked"),
        ("fact", "contradicted", "20", "fails", "identity checked"),
        ("fact", "inconclusive", "19", "inconclusive", ""),
        ("fact", "not run", "0", "not run", ""),
        ("finding", "supported", "3", "supported", "replicated over 3 seeds"),
        ("finding", "contradicted", "10", "contradicted", "replicated over 10 seeds"),
        ("finding", "inconclusive", "1", "inconclusive", "one seed, not replicated"),
        ("finding", "not run", "0", "not run", ""),
    ],
)
def test_facts_hold_or_fail_and_findings_say_over_how_many_seeds(
    kind: str, verdict: str, n: str, word: str, badge: str
) -> None:
    found = row(kind=kind, verdict=verdict, n=n)
    assert (shown.word(found), shown.badge(found)) == (word, badge)


def test_a_claim_shows_the_check_that_decides_it() -> None:
    checks = [row(check="mean", estimate="7"), row(check="drop", words="reversed", n="5")]
    whole = row(verdict="contradicted", deciding="drop", words="reversed", n="5")
    assert shown.decider(whole, checks) == checks[1]
    said = "-0.271 [-0.31, -0.234] nats/image, n = 5: reversed"
    assert shown.decided(whole, checks) == f"drop: {said}"
    assert shown.decided(whole, checks[1:]) == said  # no name where there is but one


def test_a_fact_shows_its_rule_and_a_withheld_verdict_its_reason() -> None:
    fact = row(kind="fact", check="bias", rule="bias_z: every value within [-6, 6]", words="holds")
    whole = {**fact, "check": "", "deciding": "bias", "ci_low": "", "ci_high": "", "n": "20"}
    assert shown.decided(whole, [fact]).endswith("nats/image, n = 20: every value within [-6, 6]")
    withheld = row(verdict="inconclusive", deciding="drop", note="supported alone, not by Holm; x")
    check = row(check="drop", role="decides")
    assert shown.words(withheld, [check]) == "supported alone, not by Holm"
    withheld["note"] = "drop contradicts alone, not by Holm"
    assert shown.words(withheld, [check]) == "contradicts alone, not by Holm"
    assert shown.words(withheld, [{**check, "verdict": "inconclusive"}]) == "a gain"


def test_what_cannot_be_decided_says_why_and_not_what_its_interval_seems_to_say() -> None:
    whole = row(verdict="inconclusive", deciding="drop")
    gap = {
        "check": "drop",
        "p_support": "1",
        "p_refute": "1",
        "note": "decides: k=1; not settled: a:0",
    }
    check = row(**gap, verdict="inconclusive")
    assert shown.words(whole, [check]) == "not settled"
    assert shown.words(whole, [{**check, "note": "decides: k=1"}]) == "a gain"
    assert shown.words(whole, [{**check, "p_refute": "0.4"}]) == "a gain"
    apart = {"role": "precondition", "verdict": "contradicted", "words": "not comparable: sse 1.6"}
    assert shown.words(whole, [{**check, **apart}]) == "not comparable: sse 1.6"


def test_a_claim_that_no_run_answers_says_why() -> None:
    unrun = row(verdict="not run", estimate="", words="", deciding="drop", note="no such rows")
    assert shown.decided(unrun, [row(check="drop")]) == "no such rows"
    assert shown.decided({**unrun, "note": ""}, []) == shown.ABSENT


def test_a_tally_keeps_facts_and_findings_apart() -> None:
    claims = [row(kind="fact"), row(kind="fact"), row(kind="fact", verdict="contradicted")]
    claims += [row(), row(verdict="not run"), row(verdict="inconclusive"), row()]
    assert shown.tally(claims) == (
        "3 facts: 2 hold, 1 fails; 4 findings: 2 supported, 1 inconclusive, 1 not run"
    )
    assert shown.tally([row(kind="fact")]) == "1 fact: 1 holds"


def test_that_rules_were_fixed_before_the_runs_is_said_of_those_alone_whose_runs_prove_it() -> None:
    before, after, unknown, unrun = (
        row(registered=word) for word in ("before", "after", "unknown", "")
    )
    proven = shown.registration([before, before, unrun])
    assert proven.startswith("Every rule and margin was fixed before the runs")
    assert "no record: the runs of all 2" in shown.registration([unknown, unknown, unrun])
    for others in ([after], [unknown], [after, unknown]):
        said = shown.registration([before, *others])
        assert "Every" not in said
        assert f"the rules of 1 of {1 + len(others)} claims" in said
        assert ("1 are judged by a rule that changed" in said) == (after in others)
        assert ("1 carry no record" in said) == (unknown in others)
    assert "Every" not in shown.registration([unrun])


def test_power_is_told_with_its_unit_and_the_seeds_that_an_open_claim_needs() -> None:
    found = row(detects="0.4", detects_holm="1.25", seeds_needed="12")
    said = "0.4 nats/image beyond a border (1.25 after Holm's correction)"
    assert said in shown.power(found)
    assert "12 seeds" not in shown.power(found)
    still = {**found, "verdict": "inconclusive"}
    assert "needs 12 seeds" in shown.power(still)
    assert "needs" not in shown.power({**still, "seeds_needed": "inf"})
    assert shown.power(row()) == ""


def test_robustness_counts_the_rules_that_agree_and_names_those_that_do_not() -> None:
    agreeing = {"alpha 0.1": "supported", "without seed 0": "supported"}
    others = {**agreeing, "without seed 2": "inconclusive", "alpha 0.01": "inconclusive"}
    assert shown.robustness("supported", agreeing) == "supported under 2 of 2 other rules"
    assert shown.robustness("supported", others) == (
        "supported under 2 of 4 other rules; hangs on seed 2; not under: alpha 0.01"
    )
    lost = {f"without seed {seed}": "inconclusive" for seed in range(3)}
    assert shown.robustness("supported", lost).endswith("0 of 3 other rules; hangs on every seed")
    assert shown.robustness("supported", {}) == ""
    told = {"as stated": "supported", "first held": "3"}
    assert shown.robustness("supported", told) == ""
    assert shown.robustness("supported", {**told, **agreeing}) == (
        "supported under 2 of 2 other rules; held from 3 seeds on"
    )
