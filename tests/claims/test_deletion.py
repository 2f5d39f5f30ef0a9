"""Nothing that vanishes turns a verdict: any set of rows may be lost, none decides more."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.check import read
from paper_repro.claims.selection import table
from paper_repro.results.frames import Results
from paper_repro.rows import Row
from tests.claims.deletion import (
    Lost,
    Strength,
    faults,
    more_decided,
    strength,
    subsets,
    targeted,
    verdicts,
)
from tests.results.made_runs import (
    ALL,
    ALONE,
    AT_LEAST,
    COUNT,
    FACT,
    MEAN,
    SELECT,
    cell,
    claims,
    curve,
    noise,
    results,
)

SETS, SEEDS = ("a", "b"), 7
POINTS = 10


def make(one, seed):
    """Scores at two rates, at a floor for comparison, and a curve; `path` is better by 1."""
    p = one.params
    if one.experiment == "floor":
        return [Row("kl", 3.0, "nats")]
    if (p["estimator"], p["dataset"], p["lr"], seed) == ("path", "a", 0.3, 4):
        return "diverged"
    own = -1.0 if p["estimator"] == "path" else 0.0
    rows = []
    for split in ("validation", "test"):
        value = 2.0 + own + p["lr"] + 0.2 * noise(split, p["dataset"], p["estimator"], seed)
        rows.append(Row("kl", value, "nats", split=split))
    for k in (1, 5):
        z = 0.3 * noise(k, seed, one.id) + (20 if p["estimator"] == "path" else 0)
        rows.append(Row("z", z, "1", at=f"k={k}"))
        rows.append(Row("z_se", 1.0, "1", at=f"k={k}"))
    shift = 1 + 0.005 * noise(one.id, seed)
    level = [np.exp(-i / 2) * (1 + own / 2) + shift for i in range(POINTS)]
    return rows + curve("loss", level, 10, split="train")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    cells = [
        cell("fit", dataset=d, estimator=e, lr=lr, seeds=SEEDS, curve_points=POINTS)
        for d in SETS for e in ("path", "total") for lr in (0.1, 0.3)
    ]  # fmt: skip
    cells += [cell("floor", dataset=d, seeds=1, steps=0) for d in SETS]
    return results(tmp_path_factory.mktemp("deletion"), cells, make)


TEST = {**SELECT, "split": "test", "lr": 0.1}
WHY = {"why": "it is seen"}
TUNED = {"over": "lr", "metric": "kl", "select": {"split": "validation"}, "best": "lowest"}
LOSS = {**SELECT, "metric": "loss", "lr": 0.1, "progress": {"min": 0.5}}
SETTLED = {"metric": "loss", "last": 0.5, "within": 0.1}
UNTUNED = {key: value for key, value in TEST.items() if key != "lr"}
PLAIN = {
    "mean": {**MEAN, "units": ["dataset"], "select": TEST},
    "all": {**ALL, "select": TEST},
    "at_least": {**AT_LEAST, "select": TEST},
    "count": {**COUNT, "units": ["dataset"], "select": TEST},
    "null": {**ALL, "select": TEST, "rule": {"equivalent": -1, "margin": 0.4}, **WHY},
    "refuted": {**ALL, "select": TEST, "rule": {"superior": "higher", "margin": 0.1}, **WHY},
    "refuted_some": {**AT_LEAST, "select": TEST, "rule": {"above": 0, "at_least": 2}},
    "refuted_count": {**COUNT, "select": {**TEST, "dataset": "a"},
                      "rule": {"above": 0, "share": 0.5}},
    "log": {**ALL, "select": TEST, "pairing": "log_ratio", "units": {"dataset": ["a", "b"]}},
    "floor": {**ALL, "select": TEST, "rule": {"below": -0.5},
              "versus": {"experiment": "floor", "estimator": None, "split": None, "lr": None}},
    "tuned": {**ALL, "select": UNTUNED, "tuned": TUNED},
    "tuned_count": {**COUNT, "units": ["dataset"], "select": UNTUNED, "tuned": TUNED},
    "span": {**ALL, "select": LOSS, "span": "mean"},
    "highest": {**ALL, "select": LOSS, "span": "highest", "rule": {"below": 0.01}},
    "settled": {**ALL, "select": TEST, "settled": {**SETTLED, "select": {"split": "train"}}},
    "sample": {**ALL, "select": TEST, "sample": "gain", "rule": {"above": 0.2}},
}  # fmt: skip
Z = {**FACT, "select": {**SELECT, "metric": "z", "lr": 0.1}, "of": 2, "units": ["dataset"]}
FACTS = {
    "holds": {**Z, "rule": {"within": [10, 30]}},
    "fails": {**Z, "rule": {"below": 20}},
    "by_units": {**Z, "rule": {"above": 5}, "of": None, "units": {"dataset": ["a", "b"],
                                                                 "k": [1, 5]}},
    "z": {**Z, "rule": {"differs": 0}, "error": "z_se"},
    "pairs": {**Z, "rule": {"above": 5}, "versus": {"estimator": "total"},
              "pairing": "difference", "units": ["dataset", "k"]},
}  # fmt: skip
MET = {key: value for key, value in PLAIN["mean"].items() if key != "statistic"}
MET |= {"name": "met", "precondition": True, "rule": {"within": [-2.5, 0.5]}}


def gain(results: Results, check: object) -> pd.DataFrame:
    """A sample: how much lower, with bounds, and a rule that excepts what is below 0.5."""
    rows = table(results, check)  # type: ignore[arg-type]
    value = rows["value_other"] - rows["value_own"]
    rows = rows.assign(low=value - 0.1, high=value + 0.1)
    return rows[["unit", "seed", "run", "low", "high"]]


@pytest.fixture
def samples(monkeypatch):
    module = ModuleType("samples")
    module.gain = gain  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "paper_repro.studies.made.samples", module)


def asked(folder, checks):
    """The claims of a study, of one check each."""
    listed = [{k: v for k, v in check.items() if v is not None} for check in checks]
    return read(claims(folder, *listed) / "claims.yaml", "made")


def test_the_checks_are_decided_when_nothing_is_lost(tmp_path, found, samples):
    """Else there would be nothing to lose."""
    expected = dict.fromkeys([*PLAIN, *FACTS], SUPPORTED)
    expected |= dict.fromkeys(["refuted", "refuted_some", "refuted_count", "fails"], CONTRADICTED)
    whole = {**PLAIN, **FACTS}
    for name, claim in zip(whole, asked(tmp_path, whole.values()), strict=True):
        assert strength(found, claim.checks[0], "paper").verdict == expected[name], name


@pytest.mark.parametrize("name", [*PLAIN, *FACTS])
def test_no_set_of_lost_rows_decides_a_check(tmp_path, found, samples, name):
    one = asked(tmp_path, [{**PLAIN, **FACTS}[name]])
    rng = np.random.default_rng(sorted([*PLAIN, *FACTS]).index(name))
    whole = [*targeted(found)]
    some = [whole[i] for i in rng.choice(len(whole), 3, replace=False)]
    assert faults(found, one, iter([*subsets(found, rng, 6), *some])) == []


def test_no_set_of_lost_rows_decides_a_claim_of_many(tmp_path, found, samples):
    """Facts, findings and a precondition in one claim, among others of the study."""
    whole = [
        [{**PLAIN["all"], "name": "all"}, {**FACTS["holds"], "name": "holds"}, MET],
        [{**PLAIN["count"], "name": "count"}, {**FACTS["fails"], "name": "fails"}],
        [{**PLAIN["refuted"], "name": "refuted"}, {**PLAIN["span"], "name": "span"}],
    ]
    many = read(claims(tmp_path, *whole) / "claims.yaml", "made")
    assert list(verdicts(found, many).values()) == [SUPPORTED, CONTRADICTED, CONTRADICTED]
    losses = [*subsets(found, np.random.default_rng(99), 4), *targeted(found, ["metric"])]
    assert faults(found, many, iter(losses), whole=True) == []


def test_a_lost_run_is_a_gap_also_where_it_had_diverged(tmp_path, found):
    (claim,) = asked(tmp_path, [PLAIN["tuned"]])
    lost = Lost("the diverged run", found.metrics.index[:0], found.curves.index[:0],
                (("fit-a-path-0.3", 4),))  # fmt: skip
    assert faults(found, [claim], iter([lost])) == []


def test_the_property_sees_what_survivors_alone_would_decide(tmp_path, found):
    """The mistake that it is made for: seeds that are lost leave the plan, and a smaller sample."""
    alone = {**ALONE, "select": {**TEST, "dataset": "a"}}
    value = found.metrics[(found.metrics["cell"] == "fit-a-path-0.1")].query("split == 'test'")
    rule = {"below": float(value["value"].mean() + 0.01)}
    (check,) = asked(tmp_path, [{**alone, "rule": rule}])[0].checks
    before = strength(found, check, "paper")
    assert before.verdict == INCONCLUSIVE
    high = set(value["seed"][value["value"] > rule["below"]])
    fewer = replace(found, runs=found.runs[~found.runs["seed"].isin(high)])
    fewer = replace(fewer, metrics=found.metrics[~found.metrics["seed"].isin(high)])
    assert more_decided(before, strength(fewer, check, "paper")).startswith("support")


def strong(support=1.0, refute=1.0, holds=None, verdict=INCONCLUSIVE):
    return Strength(support, refute, holds, verdict)


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        (strong(0.2), strong(0.2), ""),
        (strong(0.01, verdict=SUPPORTED), strong(), ""),
        (strong(0.3), strong(0.2), "support 0.3 -> 0.2"),
        (strong(0.3, 0.4), strong(0.3, 0.2), "refute 0.4 -> 0.2"),
        (strong(holds=True, verdict=SUPPORTED), strong(verdict=NOT_RUN), ""),
        (strong(holds=False), strong(holds=True), "holds False -> True"),
        (strong(), strong(holds=True), "holds None -> True"),
        (strong(verdict=CONTRADICTED), strong(verdict=SUPPORTED), "contradicted -> supported"),
    ],
)
def test_what_is_more_decided(before, after, fault):
    assert more_decided(before, after) == fault
