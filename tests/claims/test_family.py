"""Claims of a study are tested together: Holm's adjustment, a fixed family, deciding checks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.family import Part, claim_p, decide, family_size, holm


def finding(name="x", support=1.0, refute=1.0, **others):
    return Part(name, "finding", support=support, refute=refute, **others)


def fact(name="f", holds: bool | None = True, **others):
    return Part(name, "fact", holds=holds, **others)


def condition(holds):
    return Part("same error", "finding", "precondition", holds=holds)


def alone(*parts):
    return decide({"c": parts})["c"]


def test_holm_is_the_textbooks():
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_with_claims_not_run_is_holm_with_ones():
    p = [0.001, 0.02, 0.004]
    assert holm(p, 6) == pytest.approx(holm([*p, 1.0, 1.0, 1.0])[:3])
    assert holm(p, 6) == pytest.approx([0.006, 0.08, 0.02])


def test_holm_never_turns_the_order_and_never_exceeds_one():
    rng = np.random.default_rng(0)
    for _ in range(50):
        p = rng.uniform(0, 1, 7) ** 3
        adjusted = np.array(holm(list(p), 9))
        assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
        assert ((adjusted >= p) & (adjusted <= 1)).all()


@pytest.mark.parametrize(("p", "m"), [([0.1, 0.2], 1), ([0.1, math.nan], 2)])
def test_a_family_smaller_than_its_claims_or_without_a_p_is_refused(p, m):
    with pytest.raises(ValueError, match="in a family"):
        holm(p, m)


def test_claims_p_is_the_largest_of_support_and_the_smallest_times_the_checks_of_refutation():
    parts = [finding("a", 0.01, 0.9), finding("b", 0.03, 0.004), fact()]
    assert claim_p(parts) == pytest.approx((0.03, 0.008))
    assert claim_p([*parts, fact("g", None)]) == pytest.approx((1.0, 0.008))
    beside = finding("c", 0.5, 0.0001, role="beside")
    assert claim_p([*parts, beside]) == claim_p(parts)
    assert claim_p([*parts, condition(True)]) == claim_p(parts)
    assert claim_p([*parts, condition(None)]) == claim_p([*parts, condition(False)]) == (1, 1)


def test_the_family_is_the_claims_that_rest_on_a_finding_run_or_not():
    claims = {
        "run": [finding(support=0.01)],
        "not run": [finding(run=False)],
        "mixed": [fact(), finding()],
        "fact": [fact()],
        "beside": [fact(), finding(role="beside", support=0.01)],
        "condition": [fact(), condition(True)],
    }
    assert family_size(claims) == 3
    decided = decide(claims)
    assert {d.m for d in decided.values()} == {3}
    assert decided["run"].holm_support == pytest.approx(0.03)
    assert math.isnan(decided["fact"].holm_support)


def test_a_claim_does_not_gain_by_a_run_that_another_one_lost():
    """With m counted from what has run, losing `b` would support `a`."""
    whole = {"a": [finding(support=0.03)], "b": [finding(support=0.6)]}
    lost = {**whole, "b": [finding(run=False)]}
    assert holm([0.03])[0] < 0.05  # a family of those that have run
    for claims in (whole, lost):
        assert decide(claims)["a"].verdict == INCONCLUSIVE
        assert decide(claims)["a"].holm_support == pytest.approx(0.06)


def test_no_claim_is_more_decided_when_checks_of_any_claim_become_open():
    rng, order, lost = np.random.default_rng(1), {NOT_RUN: 0, INCONCLUSIVE: 1}, 0
    for _ in range(300):
        claims = {}
        for i in range(6):
            support = rng.uniform(0, 1, 2) ** 6
            claims[str(i)] = [
                finding("a", support[0]) if rng.random() < 0.7 else finding("a", 1.0, 0.001),
                finding("b", support[1]),
                *([fact(holds=bool(rng.random() < 0.8))] if rng.random() < 0.3 else []),
                *([condition(True)] if rng.random() < 0.3 else []),
            ]
        fewer = {
            name: [
                Part(q.name, q.kind, q.role, run=q.role == "decides" and rng.random() < 0.5)
                if rng.random() < 0.2
                else q
                for q in parts
            ]
            for name, parts in claims.items()
        }
        before, after = decide(claims), decide(fewer)
        for name in claims:
            was, now = before[name].verdict, after[name].verdict
            assert now == was or order.get(now, 2) < order.get(was, 2)
            lost += now != was
    assert lost > 50


def test_each_direction_is_adjusted_by_itself():
    claims = {"a": [finding(support=0.02)], "b": [finding(refute=0.02)]}
    decided = decide(claims)
    assert decided["a"].holm_support == decided["b"].holm_refute == pytest.approx(0.04)
    assert (decided["a"].verdict, decided["b"].verdict) == (SUPPORTED, CONTRADICTED)
    assert decided["a"].p_holm == decided["b"].p_holm == pytest.approx(0.04)


def test_facts_decide_without_a_p():
    assert alone(fact()).verdict == SUPPORTED
    assert alone(fact(), fact("g", None)).verdict == INCONCLUSIVE
    assert alone(fact(), fact("g", None)).deciding == "g"
    failed = alone(fact(), fact("g", False), finding(support=0.001))
    assert (failed.verdict, failed.deciding) == (CONTRADICTED, "g")
    assert alone(fact(), finding(support=0.01)).verdict == SUPPORTED
    many = {str(i): [fact(), finding()] for i in range(20)} | {"c": [fact(holds=False), finding()]}
    assert decide(many)["c"].verdict == CONTRADICTED  # Holm has no part in it


def test_a_precondition_that_fails_or_is_open_leaves_its_claim_undecided():
    for holds, said in ((False, "not met"), (None, "open")):
        found = alone(condition(holds), finding(support=0.001), fact("f", False))
        assert (found.verdict, found.deciding) == (INCONCLUSIVE, "same error")
        assert found.note == f"precondition same error is {said}"
    assert alone(condition(True), finding(support=0.001)).verdict == SUPPORTED


def test_what_has_not_run_is_said():
    assert alone(finding(run=False), fact(holds=None, run=False)).verdict == NOT_RUN
    assert alone(finding(run=False), fact(holds=None, run=True)).verdict == INCONCLUSIVE
    assert alone(finding(run=False), condition(True)).verdict == NOT_RUN


def test_the_deciding_check():
    a, b = finding("a", 0.001, 0.9), finding("b", 0.02, 0.9)
    assert alone(a, b, fact()).deciding == "b"  # supported: the largest supporting p
    c, d = finding("c", 0.9, 0.01), finding("d", 0.9, 0.002)
    assert alone(a, c, d).deciding == "d"  # contradicted: the smallest refuting p
    e = finding("e", 0.2, 0.4)
    assert alone(a, e, finding("g", 0.9, 0.9)).deciding == "e"  # else the first that is open
    assert alone(a, finding("h", 0.9, 0.9, role="beside")).deciding == "a"


def test_a_verdict_that_holm_withholds_is_noted():
    others = {str(i): [finding()] for i in range(9)}
    found = decide({"c": [finding("a", 0.01), finding("b", 0.02)], **others})["c"]
    assert (found.verdict, found.deciding) == (INCONCLUSIVE, "b")
    assert found.note == "supported alone, not by Holm among 10 claims (p = 0.2)"
    found = decide({"c": [finding("a", 0.01), finding("b", 1.0, 0.01)], **others})["c"]
    assert (found.verdict, found.deciding) == (INCONCLUSIVE, "b")
    assert found.note == "b contradicts alone, not by Holm among 10 claims (p = 0.2)"
    found = alone(finding("a"), finding("b", 1.0, 0.04))
    assert found.note == "b contradicts alone, not by the correction among 2 checks (p = 0.08)"
    assert alone(finding("a", 0.2)).note == ""


def test_a_claim_that_no_check_decides_is_an_error():
    with pytest.raises(ValueError, match="a check that decides"):
        alone(condition(True), finding(role="beside"))
