"""Statistics over several units: averages within seeds, counts of clear cells, margins, slopes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paper_repro.claims.checks import CONTRADICTED, FUNCTIONS, INCONCLUSIVE, SUPPORTED
from paper_repro.claims.selection import Sample
from paper_repro.claims.verdicts import evaluate
from paper_repro.errors import UserError
from paper_repro.rows import Row
from tests.results.made_runs import MEAN, SELECT, cell, claims, results


def grid_results(tmp_path, differences, seeds=4, dataset_seeds=None):
    """Two data sets x total/path; path minus total is ``differences[dataset](seed)``."""
    cells = [
        cell("fit", dataset=d, estimator=e, seeds=(dataset_seeds or {}).get(d, seeds))
        for d in differences for e in ("total", "path")
    ]  # fmt: skip
    noise = np.random.default_rng(3).normal(0, 5, 10)

    def make(one, seed):
        gain = differences[one.params["dataset"]](seed) if one.params["estimator"] == "path" else 0
        return [Row("kl", float(noise[seed] + gain), "nats")]

    return results(tmp_path, cells, make)


def test_units_are_averaged_within_seeds_before_seeds_are_compared(tmp_path):
    # The units' errors cancel within each seed: treating them as independent would hide that.
    both = {"a": lambda s: -1.0 + s, "b": lambda s: -1.0 - s + 0.001 * s}
    check = {**MEAN, "units": ["dataset"], "rule": {"below": 0, "of": 2}}
    folder = claims(tmp_path / "study", check)
    row = evaluate(grid_results(tmp_path, both), "made", folder).iloc[0]
    assert row["verdict"] == SUPPORTED
    assert row["n"] == 4
    assert row["estimate"] == pytest.approx(-1.0, abs=0.01)


def test_seeds_that_only_some_units_have_are_left_out_and_named(tmp_path):
    both = {"a": lambda s: -1.0 - 0.01 * s, "b": lambda s: -1.0}
    check = {**MEAN, "units": ["dataset"]}
    found = grid_results(tmp_path, both, dataset_seeds={"a": 5, "b": 3})
    row = evaluate(found, "made", claims(tmp_path / "study", check)).iloc[0]
    assert row["n"] == 3
    assert "seeds 3 4 not in every unit" in row["note"]


def test_significant_counts_units_with_clear_intervals(tmp_path):
    both = {"a": lambda s: 1.0 + 0.01 * s, "b": lambda s: 0.5 + (-1.0) ** s}
    rule = {"above": 0, "at_most": 0, "of": 2}
    check = {**MEAN, "units": ["dataset"], "statistic": "significant", "rule": rule}
    found = grid_results(tmp_path, both)
    row = evaluate(found, "made", claims(tmp_path / "study", check)).iloc[0]
    assert row["estimate"] == 1
    assert row["verdict"] == CONTRADICTED
    assert "dataset=a" in row["note"]
    check["rule"] = {**rule, "at_most": 1}
    row = evaluate(found, "made", claims(tmp_path / "study", check)).iloc[0]
    assert row["verdict"] == SUPPORTED


def test_each_unit_must_lie_within_the_margin(tmp_path):
    check = {**MEAN, "units": ["dataset"], "statistic": "each", "rule": {"within": [-0.5, 0.5]}}
    for name, second, expected in [
        ("in", lambda s: 0.1 + 0.01 * s, SUPPORTED),
        ("out", lambda s: 2.0 + 0.01 * s, CONTRADICTED),
        ("vague", lambda s: 0.1 + 0.5 * (-1) ** s, INCONCLUSIVE),
    ]:
        found = grid_results(tmp_path / name, {"a": lambda s: 0.01 * s, "b": second})
        row = evaluate(found, "made", claims(tmp_path / name / "study", check)).iloc[0]
        assert row["verdict"] == expected, name
        assert row["note"].startswith("worst: dataset=b")


def test_levels_compare_with_reported_numbers(tmp_path):
    reported = (
        "study,id,dataset,estimator,metric,value,unit,error,source,sourced\n"
        "made,other-a,mnist,total,kl,3,nats,,a book,yes\n"
        "made,paper1-a,mnist,total,kl,10,nats,,a book,yes\n"
        "made,paper1-b,mnist,path,kl,99,nats,,a book,yes\n"
    )
    select = {**SELECT, "estimator": "total"}
    check = {"name": "level", "select": select, "versus": {"reported": "paper1"}}
    check |= {"pairing": "difference", "units": ["dataset"], "statistic": "each"}
    check["rule"] = {"within": [-0.5, 0.5], "of": 1}
    folder = claims(tmp_path / "study", check, reported=reported)
    for name, level, expected in [("near", 10.2, SUPPORTED), ("far", 12.0, CONTRADICTED)]:
        cells = [cell("fit", dataset="mnist", estimator="total", seeds=3)]
        found = results(
            tmp_path / name, cells, lambda c, s, level=level: [Row("kl", level + 0.01 * s, "nats")]
        )
        row = evaluate(found, "made", folder).iloc[0]
        assert row["verdict"] == expected
        assert row["estimate"] == pytest.approx(level + 0.01 - 10)


def test_reported_numbers_are_in_the_unit_of_the_rows(tmp_path):
    reported = (
        "study,id,estimator,metric,value,unit,error,source,sourced\n"
        "made,paper1-a,path,kl,10,bits/dim,,a book,yes\n"
    )
    check = {**MEAN, "versus": {"reported": "paper1"}}
    folder = claims(tmp_path / "study", check, reported=reported)
    found = results(tmp_path, [cell(estimator="path")], lambda *_: [Row("kl", 1.0, "nats")])
    with pytest.raises(UserError, match=r"unit of paper1's kl, .*'bits/dim' is not one of nats"):
        evaluate(found, "made", folder)


def test_slopes_are_fitted_per_seed(tmp_path):
    def power(exponent):
        def make(_, seed):
            return [
                Row("snr", 2 * k ** (exponent + 0.01 * seed), "1", at=f"k={k}")
                for k in (10, 30, 100)
            ]

        return make

    check = {"name": "slope", "select": {"experiment": "fit", "metric": "snr"}}
    check |= {"statistic": "slope", "rule": {"x": "k", "within": [-0.65, -0.35]}}
    folder = claims(tmp_path / "study", check)
    for exponent, expected in [(-0.5, SUPPORTED), (0.5, CONTRADICTED)]:
        found = results(tmp_path / str(exponent), [cell(seeds=3)], power(exponent))
        row = evaluate(found, "made", folder).iloc[0]
        assert row["verdict"] == expected
        assert row["estimate"] == pytest.approx(exponent + 0.01)


def test_a_unit_found_outside_among_many_must_be_further_out():
    def contradicted(units: int) -> bool:
        rows = [
            {"unit": f"u{i}", "seed": s, "tier": "paper", "value": (2.0 if i == 0 else 0.0) + noise}
            for i in range(units)
            for s, noise in enumerate((-0.4, 0.0, 0.4, 0.0))
        ]
        used = Sample(pd.DataFrame(rows), (), ())
        return FUNCTIONS["each"](used, {"within": [-1, 1]}).verdict == CONTRADICTED

    assert contradicted(1)
    assert not contradicted(20)
