"""The order of rows, of columns and of studies changes nothing about a verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paper_repro.claims.verdicts import evaluate
from paper_repro.results.files import NAMES
from paper_repro.results.frames import Results
from paper_repro.rows import Row
from tests.results.made_runs import (
    ALL,
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

SEEDS = 6
TUNED = {"over": "lr", "metric": "kl", "select": {"split": "validation"}, "best": "lowest"}
TEST = {**SELECT, "split": "test", "lr": 0.1}
LOSS = {**SELECT, "metric": "loss", "lr": 0.1, "progress": {"min": 0.3}}
CHECKS = [
    {**MEAN, "units": ["dataset"], "select": TEST},
    {**ALL, "select": {**SELECT, "split": "test"}, "tuned": TUNED},
    {**AT_LEAST, "select": TEST, "rule": {"below": -0.9, "at_least": 1}},
    {**COUNT, "units": ["dataset"], "select": TEST},
    {**ALL, "select": LOSS, "span": "mean"},
    {**ALL, "select": LOSS, "span": "spearman", "rule": {"below": 0.1}},
    {**ALL, "select": TEST, "settled": {"metric": "loss", "last": 0.5, "within": 0.2}},
    {**FACT, "select": TEST, "rule": {"below": 3}, "units": ["dataset"]},
    {**FACT, "select": TEST, "versus": {"estimator": "total"}, "pairing": "ratio",
     "rule": {"below": 3}, "units": ["dataset"]},
]  # fmt: skip


def make(one, seed):
    p = one.params
    rows = []
    for split in ("validation", "test"):
        value = 3.0 - (p["estimator"] == "path") + p["lr"] + 0.2 * noise(split, one.id, seed)
        rows.append(Row("kl", value, "nats", split=split))
    level = 1 + 0.1 * noise(one.id, seed)
    values = [level + np.exp(-i) + 0.001 * noise(i, one.id) for i in range(10)]
    return rows + curve("loss", values, 10, split="train")


def study(root, name, swapped=False):
    """Runs of a study; those of another one show the opposite under the same names."""
    cells = [
        cell("fit", f"{d}-{e}-{lr}", dataset=d, estimator=e, lr=lr, seeds=SEEDS, study=name,
             curve_points=10)
        for d in "ab" for e in ("path", "total") for lr in (0.1, 0.3)
    ]  # fmt: skip

    def turned(one, seed):
        rows = make(one, seed)
        if one.params["estimator"] == "path" and seed == 3 and one.params["lr"] == 0.3:
            return "diverged"
        return [replace(row, value=-row.value) for row in rows] if swapped else rows

    return results(root / name, cells, turned)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return claims(tmp_path_factory.mktemp("claims") / "study", *CHECKS)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return study(tmp_path_factory.mktemp("order"), "made")


@pytest.fixture(scope="module")
def expected(found, folder):
    rows = evaluate(found, "made", folder)
    assert rows["verdict"].isin(["supported", "contradicted"]).sum() > len(rows) / 2
    return rows


def test_the_order_of_rows_changes_nothing(found, folder, expected):
    for seed in range(3):
        tables = {
            name: getattr(found, name).sample(frac=1, random_state=seed + i).reset_index(drop=True)
            for i, name in enumerate(NAMES)
        }
        rows = evaluate(Results(found.root, **tables), "made", folder)
        pd.testing.assert_frame_equal(rows, expected, rtol=1e-9)


def test_the_order_of_columns_changes_nothing(found, folder, expected):
    rng = np.random.default_rng(0)
    tables = {}
    for name in NAMES:
        frame = getattr(found, name)
        tables[name] = frame[list(rng.permutation(frame.columns))]
    rows = evaluate(Results(found.root, **tables), "made", folder)
    pd.testing.assert_frame_equal(rows, expected)


@pytest.mark.parametrize("first", [True, False])
def test_other_studies_and_their_order_change_nothing(tmp_path, found, folder, expected, first):
    other = study(tmp_path, "other", swapped=True)
    parts = [other, found] if first else [found, other]
    tables = {
        name: pd.concat([getattr(part, name) for part in parts], ignore_index=True)
        for name in NAMES
    }
    rows = evaluate(Results(found.root, **tables), "made", folder)
    pd.testing.assert_frame_equal(rows, expected)


def test_the_order_of_checks_and_claims_changes_no_verdict(found, tmp_path, expected):
    order = np.random.default_rng(1).permutation(len(CHECKS))
    rows = evaluate(found, "made", claims(tmp_path / "study", *[CHECKS[i] for i in order]))
    names = ["verdict", "estimate", "p_support", "p_refute", "p_holm", "n", "rule"]
    for place, i in enumerate(order):
        mine = rows[rows["claim"] == f"made-A{place + 1}"][names]
        theirs = expected[expected["claim"] == f"made-A{i + 1}"][names]
        pd.testing.assert_frame_equal(
            mine.reset_index(drop=True), theirs.reset_index(drop=True), rtol=1e-9
        )
