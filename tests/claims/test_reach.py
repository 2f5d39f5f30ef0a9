"""A claim that no tier could decide is refused when it is read, and not run."""

from __future__ import annotations

import pytest

from paper_repro import grid, registry
from paper_repro.claims import names, reach
from paper_repro.claims.check import Check, Claim
from paper_repro.errors import UserError

STUDY = "sticking_the_landing"
SEEDS = 20  # of gaussian_fit at tier paper


def check(**changes):
    said = {
        "study": STUDY, "claim": "landing-Z1", "name": "x", "kind": "finding",
        "select": {"experiment": "gaussian_fit", "metric": "kl_last100", "estimator": "total",
                   "optimizer": "adam"},
        "rule": {"below": 0}, "statistic": "mean",
    }  # fmt: skip
    return Check(**(said | changes))


def claim(*checks, name="landing-Z1"):
    return Claim(STUDY, name, "It holds.", "us", "ours", "fig1", tuple(checks))


def refused(*checks, others=()):
    with pytest.raises(UserError) as caught:
        reach.check([claim(*checks), *others], STUDY)
    line = str(caught.value)
    assert line.startswith(f"{STUDY}/claims.yaml: landing-Z1.x: out of reach of tier ")
    assert "\n" not in line
    return line


def test_what_the_plan_can_decide_is_accepted():
    reach.check([claim(check())], STUDY)
    assert reach.largest(claim(check())) == "paper"


COUNT = {"statistic": "count", "rule": {"below": 0, "share": 0.5}}


def test_a_count_that_all_seeds_could_not_make_significant():
    line = refused(check(select={**check().select, "tier": "smoke"}, **COUNT))
    assert "tier smoke, the largest: 3 of 3 seeds have p = 0.25, above 0.05/1" in line


@pytest.mark.parametrize(("share", "m", "fits"), [(0.5, 1, True), (0.5, 30, True),
                                                  (0.9, 1, False), (0.8, 1, True),
                                                  (0.8, 30, False)])  # fmt: skip
def test_a_count_is_asked_of_the_shares_and_family_that_it_has(share, m, fits):
    one = check(statistic="count", rule={"below": 0, "share": share})
    others = [claim(check(), name=f"landing-Z{i}") for i in range(2, m + 1)]
    p = 2 * share**SEEDS
    assert (p <= 0.05 / m) == fits
    if fits:
        reach.check([claim(one), *others], STUDY)
    else:
        assert f"{SEEDS} of {SEEDS} seeds have p = {p:.2g}, above 0.05/{m}" in refused(
            one, others=others
        )


def test_a_finding_of_one_seed():
    select = {"experiment": "exactness", "metric": "bias_z", "estimator": "path"}
    assert "1 seeds" in refused(check(select=select))
    fact = check(select=select, kind="fact", statistic="every", of=9)
    reach.check([claim(fact)], STUDY)
    reach.check([claim(check(select=select, decides=False), check())], STUDY)


def test_more_units_than_the_largest_tier_has():
    within = {key: v for key, v in check().select.items() if key != "estimator"}
    two = check(select={**within, "estimator": ["total", "path"]}, units=("estimator",))
    reach.check([claim(two.but(of=2))], STUDY)
    assert "2 of 3 units" in refused(two.but(of=3))
    named = two.but(units={"estimator": ("total", "path")}, of=3)
    reach.check([claim(named)], STUDY)  # what it names, it has: too few rows are gaps


@pytest.mark.parametrize("of", [None, {"smoke": 2, "quick": 2, "reduced": 2}])
def test_a_fact_that_does_not_say_how_many_values_its_largest_tier_has(of):
    fact = check(kind="fact", statistic="every", of=of)
    assert "of does not say how many values a run has at tier paper" in refused(fact)
    reach.check([claim(fact.but(of={"paper": 1}))], STUDY)


def test_the_largest_tier_is_one_that_all_deciding_checks_share():
    smoke = check(select={**check().select, "tier": "smoke"}, name="y")
    assert reach.largest(claim(check(), smoke)) == "smoke"
    aside = check(select={**check().select, "tier": "smoke"}, name="y", decides=False)
    assert reach.largest(claim(check(), aside)) == "paper"


@pytest.mark.parametrize("study", grid.study_names())
def test_every_published_claim_is_within_reach_and_names_what_exists(study):
    found = names.read(registry.STUDIES / study / "claims.yaml", study)
    assert found
    reach.check(found, study)


def test_a_count_of_a_sample_is_asked_of_its_seeds_too():
    line = refused(check(select={**check().select, "tier": "smoke"}, sample="any", **COUNT))
    assert "3 of 3 seeds have p = 0.25" in line


def test_units_that_no_cell_has_and_cells_that_are_one_unit():
    within = {key: v for key, v in check().select.items() if key != "estimator"}
    two = check(select={**within, "estimator": ["total", "path"]})
    assert "are one unit; add columns to units or select" in refused(two)
    named = two.but(units={"estimator": ("total", "path"), "dim": (100, 7)})
    assert "no cell has estimator total, dim 7" in refused(named)
    reach.check([claim(two.but(units={"estimator": ("total", "path"), "dim": (100,)}))], STUDY)
