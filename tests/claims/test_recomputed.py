"""Published verdicts computed a second time, from the CSV files by pandas and SciPy alone.

One claim of each statistic. Nothing of the engine is imported: what is written here is the rule as
claims.yaml and docs/verdicts.md have it in words.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

PUBLISHED = Path(__file__).parents[2] / "results/published"


@cache
def rows(study: str) -> pd.DataFrame:
    """Final rows of finished runs with parameters and coordinates as columns."""
    folder = PUBLISHED / "studies" / study
    metrics = pd.read_csv(folder / "metrics.csv", dtype=str, keep_default_na=False)
    cells = pd.read_csv(folder / "cells.csv", dtype=str, keep_default_na=False)
    params = {c: json.loads(p) for c, p in zip(cells["cell"], cells["params"], strict=True)}
    metrics = metrics[metrics["status"] == "ok"].reset_index(drop=True)
    places = [dict(part.split("=", 1) for part in at.split(",") if at) for at in metrics["at"]]
    extra = pd.DataFrame(
        [
            {**{f"p.{k}": v for k, v in params[c].items()}, **at}
            for c, at in zip(metrics["cell"], places, strict=True)
        ]
    )
    found = pd.concat([metrics, extra], axis=1)
    return found.assign(value=found["value"].astype(float), seed=found["seed"].astype(int))


def pick(study: str, **wanted: str) -> pd.DataFrame:
    found = rows(study)
    for column, value in wanted.items():
        named = found[column.replace("__", ".")].astype(str).str.removesuffix(".0")
        found = found[named == value]
    return found


@cache
def published() -> pd.DataFrame:
    return pd.read_csv(PUBLISHED / "claims.csv", keep_default_na=False, dtype=str)


def stands(claim: str, check: str = "") -> pd.Series:
    found = published()
    (row,) = found[(found["claim"] == claim) & (found["check"] == check)].to_dict("records")
    return pd.Series(row)


def same(row: pd.Series, **numbers: float) -> None:
    """claims.csv has six digits."""
    for column, value in numbers.items():
        assert float(row[column]) == pytest.approx(value, rel=2e-5, abs=1e-12), column


def two_sided(values: pd.Series, border: float, side: int) -> float:
    """Twice the one-sided t test that the mean lies on `side` of the border."""
    alternative = "greater" if side > 0 else "less"
    return min(1.0, 2 * stats.ttest_1samp(values, border, alternative=alternative).pvalue)


def interval(values: pd.Series) -> tuple[float, float, float]:
    found = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    return float(values.mean()), float(found.low), float(found.high)


def test_a_fact():
    """taming-C1: no half step raises the objective; every value is below 1e-10."""
    found = pick("taming_vaes", experiment="phases", metric="objective_increase")["value"]
    row = stands("taming-C1", "descent")
    assert (found < 1e-10).all()
    assert row["verdict"] == "supported"
    same(row, estimate=found.max(), n=len(found))


def test_a_mean():
    """landing-B5: the log ratio of the two KLs, seed by seed, below the log of a hundredth."""
    fit = {"experiment": "gaussian_fit", "metric": "kl_last100", "p__optimizer": "adam"}
    sides = [
        pick("sticking_the_landing", **fit, estimator=name, p__dim="100", p__lr="0.01").set_index(
            "seed"
        )["value"]
        for name in ("path", "total")
    ]
    ratio = np.log(sides[0] / sides[1])
    assert len(ratio) == 20
    assert ratio.notna().all()
    estimate, low, high = interval(ratio)
    p = two_sided(ratio, -4.605, -1)
    row = stands("landing-B5", "ratio")
    same(row, estimate=estimate, ci_low=low, ci_high=high, p_support=p, n=20)
    assert row["verdict"] == "supported"


def test_in_every_unit():
    """conformance-K8: less variance than leave-one-out baselines, on both Gaussian problems."""
    asked = {"metric": "gradient_variance", "bound": "elbo", "group": "encoder"}
    p, estimates = [], []
    for problem in ("gaussian", "gaussian_linear"):
        sides = [
            pick("conformance", **asked, problem=problem, estimator=name).set_index("seed")["value"]
            for name in ("exact_kl", "rloo")
        ]
        ratio = np.log(sides[0] / sides[1])
        assert ratio.mean() <= -0.105
        p.append(two_sided(ratio, 0.0, -1))
        estimates.append(interval(ratio))
    row = stands("conformance-K8", "rloo")
    worst = estimates[int(np.argmax(p))]
    same(row, p_support=max(p), estimate=worst[0], ci_low=worst[1], ci_high=worst[2])


def test_in_at_least_18_of_20_units():
    """landing-B11: three times the 18th smallest of the p values that NLL is not worse by 0.1."""
    nll = pick("sticking_the_landing", experiment="table1", metric="nll", split="test")
    nll = nll[nll["binarisation"] == "fixed"] if "binarisation" in nll else nll
    cell = ["p.dataset", "p.layers", "p.objective", "p.k"]
    wide = nll.pivot_table("value", [*cell, "seed"], "estimator").reset_index()
    wide["difference"] = wide["path"] - wide["total"]
    p = sorted(
        two_sided(part["difference"], 0.1, -1) for _, part in wide.groupby(cell, dropna=False)
    )
    assert len(p) == 20
    row = stands("landing-B11", "exceptions")
    same(row, p_support=min(1.0, 3 * p[17]))
    assert row["verdict"] == ("supported" if 3 * p[17] < 0.05 else "inconclusive")


def test_a_share_of_seeds():
    """infinite-A8: seeds in which more dimensions stay in use with gamma fixed, against a half."""
    used = {"metric": "informative_units", "threshold": "0.5", "split": "test"}
    sides = [
        pick(
            "infinite_gradients",
            **used,
            experiment=f"miniature_{arm}",
            dataset="tanh_manifold",
        ).set_index("seed")["value"]
        for arm in ("fixed", "learned")
    ]
    more = sides[0] - sides[1] > 0.5
    found = stats.binomtest(int(more.sum()), len(more), 0.5, alternative="greater")
    ends = stats.binomtest(int(more.sum()), len(more)).proportion_ci(0.95)
    row = stands("infinite-A8", "active")
    same(row, estimate=more.mean(), ci_low=ends.low, ci_high=ends.high)
    same(row, p_support=min(1.0, 2 * found.pvalue))


@pytest.mark.parametrize(
    "study", ["conformance", "sticking_the_landing", "silent_gradients", "infinite_gradients"]
)
def test_holms_correction_over_a_study(study):
    """A finding is supported where its p times the claims not yet rejected stays below 0.05."""
    found = published()
    claims = found[(found["study"] == study) & (found["check"] == "")]
    findings = claims[(claims["kind"] == "finding")]
    p = findings["p_support"].replace("", "1").astype(float).sort_values()
    running = 0.0
    for rank, (place, value) in enumerate(p.items()):
        running = max(running, min(1.0, (len(findings) - rank) * value))
        supported = findings.loc[place, "verdict"] == "supported"
        assert supported == (running < 0.05), findings.loc[place, "claim"]
