"""AUROC against scikit-learn, a pair count and closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from torch import Tensor

from paper_repro.metrics.auroc import auroc


def scores(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("digits", [0, 1, 12])
def test_it_is_the_area_of_scikit_learn_with_and_without_ties(digits: int) -> None:
    inliers, outliers = scores(0, 70).round(decimals=digits), scores(1, 40).round(decimals=digits)
    labels = [0] * 70 + [1] * 40
    expected = roc_auc_score(labels, torch.cat([inliers, outliers]).numpy())
    assert auroc(inliers, outliers) == pytest.approx(expected, rel=1e-12)


def test_it_counts_pairs_with_ties_as_half() -> None:
    found = auroc(torch.tensor([0.0, 1.0, 1.0]), torch.tensor([1.0, 2.0]))
    assert found == pytest.approx((1 + 0.5 + 0.5 + 3) / 6)


def test_perfect_reversed_and_constant_scores() -> None:
    low, high = torch.arange(5), torch.arange(5, 9)
    assert auroc(low, high) == 1
    assert auroc(high, low) == 0
    assert auroc(torch.ones(3), torch.ones(4)) == 0.5


def test_two_normals_have_the_area_of_their_distance() -> None:
    found = auroc(scores(2, 100_000), 1.0 + scores(3, 100_000))
    assert found == pytest.approx(norm.cdf(1 / math.sqrt(2)), abs=6 * 0.5 / 100_000**0.5)


@pytest.mark.parametrize(
    ("inliers", "outliers", "named"),
    [
        (torch.empty(0), torch.ones(2), "inliers: empty"),
        (torch.ones(2), torch.tensor([1.0, math.nan]), "outliers: 1 of 2"),
        (torch.ones(2, 1), torch.ones(2), "inliers: need one score"),
    ],
)
def test_bad_scores_are_refused_by_name(inliers: Tensor, outliers: Tensor, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        auroc(inliers, outliers)
