"""Active units by each rule on posteriors whose activity is known."""

from __future__ import annotations

import math

import pytest
import torch

from paper_repro.metrics.units import (
    VARIANCE_THRESHOLDS,
    active_units,
    effective_rank,
    informative_units,
)

MEANS = torch.randn(500, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_two_rules_agree_where_the_aggregate_posterior_is_the_prior() -> None:
    """Var E[z|x] + E Var[z|x] = 1: means of variance v go with posterior variance 1 - v."""
    v = torch.tensor([0.95, 0.3, 0.0], dtype=torch.float64)
    means, variances = MEANS * v.sqrt(), (1 - v).expand(500, 3)
    assert active_units(means).tolist() == [True, True, False]
    counts = [int(informative_units(variances, t).sum()) for t in VARIANCE_THRESHOLDS]
    assert counts == [1, 1, 2]


def test_the_variance_rule_averages_over_images_before_it_compares() -> None:
    variances = torch.tensor([[0.05, 1.0], [0.9, 1.0]])
    assert informative_units(variances, 0.5).tolist() == [True, False]
    assert informative_units(variances, 0.1).tolist() == [False, False]


def test_rank_counts_directions_and_not_units() -> None:
    copies = MEANS[:, :1] @ torch.ones(1, 4, dtype=torch.float64)
    assert active_units(copies).sum() == 4
    assert effective_rank(copies) == 1
    assert effective_rank(torch.cat([copies, MEANS[:, 1:]], 1)) == 3


def test_rank_is_free_of_scale_offset_and_rotation() -> None:
    rotation = torch.linalg.qr(MEANS[:3]).Q
    scales = torch.tensor([1.0, 0.2, 0.05], dtype=torch.float64)  # variances 1, 0.04, 0.0025
    means = MEANS * scales
    for version in (means, 1e-6 * means, means @ rotation, means + 100):
        assert effective_rank(version) == 2
    assert effective_rank(means, tolerance=1e-4) == 3


def test_constant_means_have_rank_zero() -> None:
    assert effective_rank(torch.ones(10, 4)) == 0


def test_bad_input_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="means: need"):
        active_units(MEANS[:1])
    with pytest.raises(ValueError, match=r"means: 1500 of 1500 values are NaN"):
        effective_rank(MEANS * math.nan)
    with pytest.raises(ValueError, match="variances: smallest"):
        informative_units(MEANS, 0.5)
    with pytest.raises(ValueError, match="tolerance"):
        effective_rank(MEANS, tolerance=1.0)
