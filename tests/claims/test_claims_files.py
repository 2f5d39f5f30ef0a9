"""A mistake in claims.yaml stops with one line that names it."""

from __future__ import annotations

import pytest

from paper_repro.claims import names
from paper_repro.claims.names import read as load_claims
from paper_repro.errors import UserError
from tests.results.made_runs import ALL, AT_LEAST, COUNT, FACT, MEAN, SELECT, claims

FINDING_ALONE = {key: v for key, v in MEAN.items() if key not in ("versus", "pairing")}
RATIO = {**MEAN, "pairing": "ratio"}
SUPERIOR = {"superior": "lower", "margin": 0.1}
WHY = {"why": "a tenth is seen"}
MET = {**MEAN, "name": "met", "precondition": True, "rule": {"within": [-1, 1]}}
MET = {key: value for key, value in MET.items() if key != "statistic"}


def but(check, *gone, **changes):
    return {key: value for key, value in (check | changes).items() if key not in gone}


MISTAKES = {
    "an unknown key": (but(MEAN, statistics="mean"), "unknown key 'statistics'"),
    "an unknown statistic": (but(MEAN, statistic="maen"), "'maen' is not one of every, mean"),
    "an unknown kind": (but(MEAN, kind="law"), "'law' is not one of fact, finding"),
    "an unknown pairing": (but(MEAN, pairing="quotient"), "'quotient' is not one of difference"),
    "an unknown rule": (but(MEAN, rule={"under": 0}), "unknown key 'under'"),
    "an unknown span": (but(MEAN, span="median"), "'median' is not one of mean, spearman"),
    "an unknown side": (but(MEAN, rule={"superior": "more", "margin": 1}), "'more' is not one of"),
    "two rules": (but(MEAN, rule={"below": 0, "above": 0}), "a rule names one of above, below, "),
    "no rule": (but(MEAN, rule={"margin": 1}), "a rule names one of above, below, equivalent"),
    # What has no error rate on noisy seeds is for facts, and what tests seeds is not for facts.
    "every on a finding": (but(MEAN, statistic="every"), "'every' has no error rate where seeds"),
    "no statistic on a finding": (but(MEAN, "statistic"), "a finding has mean, all, at_least or"),
    "a statistic on a fact": (but(FACT, statistic="mean"), "a fact is asked of every value"),
    "a region for a mean": (but(MEAN, rule={"within": [0, 1]}), "rule key 'within' means nothing"),
    "a margin in a fact": (but(FACT, rule={"below": 0, "margin": 1}), "'margin' means nothing to"),
    "a share of a mean": (but(MEAN, rule={"below": 0, "share": 0.5}), "'share' means nothing to"),
    "units of a mean": (but(MEAN, rule={"below": 0, "at_least": 2}), "'at_least' means nothing"),
    # Margins.
    "a margin without a reason": (but(MEAN, rule=SUPERIOR), "a margin needs why"),
    "a gain without a margin": (but(MEAN, rule={"superior": "lower"}), "margin goes with equival"),
    "no worse without": (but(MEAN, rule={"not_worse": "lower"}), "margin goes with equivalent, no"),
    "equal without": (but(MEAN, rule={"equivalent": 0}), "margin goes with equivalent, not_worse"),
    "a margin at a number": (but(MEAN, rule={"below": 0, "margin": 1}, **WHY), "margin goes with"),
    "a margin of nothing": (but(MEAN, rule={**SUPERIOR, "margin": 0}, **WHY), "margin: 0"),
    # Counts.
    "a count without a share": (but(COUNT, rule={"below": 0}), "'count' needs rule key 'share'"),
    "a share of all": (but(COUNT, rule={"below": 0, "share": 1}), "share: 1"),
    "a gain that is counted": (but(COUNT, rule=SUPERIOR, **WHY), "'count' needs rule key 'share'"),
    "at least of none": (but(AT_LEAST, rule={"below": 0}), "'at_least' needs rule key 'at_least'"),
    "more than there are": (
        but(AT_LEAST, rule={"below": 0, "at_least": 5}, of=4),
        "rule.at_least: 5 is more than of, 4",
    ),
    # Facts.
    "a fact without of": (but(FACT, "of"), "a fact needs of, how many values a planned run has"),
    "units without values": (but(FACT, "of", units=["dataset"]), "a fact needs of, how many"),
    "an error without equals": (but(FACT, error="kl_se"), "error goes with equals and differs"),
    "equals without an error": (but(FACT, rule={"equals": 0}), "error goes with equals and dif"),
    "differs without an error": (but(FACT, rule={"differs": 0}), "error goes with equals and dif"),
    "an error of a finding": (but(MEAN, rule={"equals": 0}, error="se"), "'equals' means nothing"),
    "none of each": (but(FACT, of=0), "of: 0"),
    # Pairs.
    "a ratio in a finding": (RATIO, "means of raw ratios are not taken; 'log_ratio'"),
    "a pair without a pairing": (but(MEAN, "pairing"), "versus needs pairing, one of difference"),
    "a pairing without a pair": (but(MEAN, "versus"), "pairing 'difference' needs versus"),
    "reported and more": (but(MEAN, versus={"reported": "a", "k": 1}), "versus.k: reported stands"),
    # Preconditions.
    "a precondition with a mean": ([MEAN, but(MET, statistic="mean")], "is asked of every pair"),
    "a precondition beside": ([MEAN, but(MET, decides=False)], "a precondition decides: no dec"),
    "a precondition below": ([MEAN, but(MET, rule={"below": 1})], "'below' means nothing to a p"),
    "a precondition alone": (MET, "made-A1: decides: none of its checks decides"),
    "nothing decides": (but(MEAN, decides=False), "made-A1: decides: none of its checks decides"),
    # Stretches of curves.
    "a span of a point": (
        but(FINDING_ALONE, span="mean", select={**SELECT, "progress": 0.5}),
        "span needs progress as {min, max}",
    ),
    "a span of the end": (
        but(FINDING_ALONE, span="mean", select={**SELECT, "kind": "final"}),
        "span looks at a stretch of a curve; no final rows",
    ),
    "settled by all of a run": (
        but(MEAN, settled={"metric": "kl", "last": 0.9, "within": 0.1}),
        "settled.last: 0.9",
    ),
    "settled by nothing": (but(MEAN, settled={"metric": "kl", "last": 0.1}), "'within' is a requ"),
    # Numbers.
    "an interval downwards": (but(FACT, rule={"within": [2, 1]}), "[2, 1] does not run upwards"),
    "an interval of nothing": (but(FACT, rule={"outside": [1, 1]}), "[1, 1] does not run upwards"),
    "a range downwards": (
        but(MEAN, select={**SELECT, "k": {"min": 3, "max": 1}}),
        "select.k: min is above max",
    ),
    "a slip in a range": (but(MEAN, select={**SELECT, "k": {"mim": 3}}), "unknown key 'mim'"),
    "a value twice": (
        but(MEAN, select={**SELECT, "k": [1, 2, 1.0]}),
        "select.k: 1.0 is there twice",
    ),
    "a text twice": (
        but(MEAN, versus={"estimator": ["total", "dreg", "total"]}),
        "versus.estimator: 'total' is there twice",
    ),
    "a unit twice": (but(ALL, units={"k": [1, 1]}), "units.k: 1 is there twice"),
    "units that are not selected": (
        but(ALL, units={"k": [1, 2]}, select={**SELECT, "k": 3}),
        "units.k: select has none of its values",
    ),
    # Columns.
    "an unknown column": (but(MEAN, select={**SELECT, "estimatr": 1}), "column 'estimatr'"),
    "one of the other side": (
        but(MEAN, versus={"estimator": "total", "estimatr": 1}),
        "unknown column 'estimatr'",
    ),
    "one of the units": (but(MEAN, units=["layer"]), "unknown column 'layer'"),
    "an unknown sample": (but(MEAN, sample="slope"), "sample: 'slope' is not one of"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_claims_are_named_in_one_line(tmp_path, mistake):
    check, message = MISTAKES[mistake]
    folder = claims(tmp_path / "study", check)
    with pytest.raises(UserError) as caught:
        load_claims(folder / "claims.yaml", "made")
    assert message in str(caught.value)
    assert str(caught.value).startswith("made/claims.yaml")
    assert "\n" not in str(caught.value)


RIGHT = {
    "a mean": MEAN,
    "a gain": but(MEAN, rule=SUPERIOR, **WHY),
    "no worse": but(MEAN, rule={"not_worse": "lower", "margin": 1}, **WHY),
    "equal": but(MEAN, rule={"equivalent": 0, "margin": 1}, **WHY),
    "a log ratio": but(MEAN, pairing="log_ratio"),
    "a count within": but(COUNT, rule={"within": [0, 1], "share": 0.5}),
    "in all units": ALL,
    "in some units": AT_LEAST,
    "a fact": FACT,
    "a fact outside": but(FACT, rule={"outside": [0, 1]}),
    "a ratio in a fact": but(FACT, versus={"estimator": "total"}, pairing="ratio"),
    "a fact with an error": but(FACT, rule={"equals": 0}, error="kl_se"),
    "a bias that is there": but(FACT, rule={"differs": 0}, error="kl_se"),
    "a fact by units": but(FACT, "of", units={"k": [1, 2]}),
    "a precondition": [MEAN, but(MET, pairing="ratio")],
    "what is settled": but(MEAN, settled={"metric": "kl", "last": 0.1, "within": 0.1}),
}


@pytest.mark.parametrize("right", RIGHT)
def test_what_makes_sense_is_accepted(tmp_path, right):
    assert read(tmp_path, RIGHT[right])


def read(folder, *checks):
    return load_claims(claims(folder / "study", *checks) / "claims.yaml", "made")


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


@pytest.mark.parametrize("versus", ITSELF)
def test_rows_are_not_compared_with_themselves(tmp_path, versus):
    select = {**SELECT, "a": {"min": 0.5}}
    with pytest.raises(UserError, match=r"A1\.check: versus: rows of select are on that side too"):
        read(tmp_path, {**MEAN, "select": select, "versus": versus})


@pytest.mark.parametrize("versus", APART)
def test_rows_are_compared_with_others(tmp_path, versus):
    select = {**SELECT, "a": {"min": 0.5}}
    assert read(tmp_path, {**MEAN, "select": select, "versus": versus})


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
    check |= {"units": units} if units else {}
    with pytest.raises(
        UserError, match=rf"A1\.check: versus\.{column}: partners share their {column}"
    ):
        read(tmp_path, check)


def test_sides_may_differ_in_what_partners_do_not_share(tmp_path):
    assert read(tmp_path, {**MEAN, "units": ["k"]})
    longer = {"experiment": "other", "steps": 200}  # computed without training, see `selection`
    assert read(tmp_path, {**MEAN, "select": {**SELECT, "steps": 100}, "versus": longer})


@pytest.mark.parametrize("number", [".nan", ".inf", "1e400"])
def test_a_rule_is_of_finite_numbers(tmp_path, number):
    folder = claims(tmp_path / "study", MEAN)
    text = (folder / "claims.yaml").read_text().replace("below: 0", f"below: {number}")
    assert number in text
    (folder / "claims.yaml").write_text(text)
    with pytest.raises(UserError, match=r"line \d+, column \d+: .* is not a finite number"):
        load_claims(folder / "claims.yaml", "made")


def test_a_sample_is_a_public_function_of_the_studys_own(tmp_path):
    folder = claims(tmp_path / "study", {**MEAN, "sample": "slope"})
    for text, known in [("def _slope(a, b): ...", False), ("slope = max", False),
                        ("import x\ndef slope(results, check): ...", True)]:  # fmt: skip
        (folder / "samples.py").write_text(text)
        names._samples.cache_clear()
        if known:
            assert load_claims(folder / "claims.yaml", "made")
        else:
            with pytest.raises(UserError, match=r"made-A1\.check: sample: 'slope'"):
                load_claims(folder / "claims.yaml", "made")
