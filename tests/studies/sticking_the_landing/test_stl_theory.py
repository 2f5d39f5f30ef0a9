"""Facts about the closed forms of Gaussian gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from paper_repro.studies.sticking_the_landing.tasks.gaussian_theory import (
    fisher_diagonal,
    gradient_variance,
    kl,
    random_target,
    ratio,
)


def _pair(m: float, s2: float) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    mean = torch.tensor([m], dtype=torch.float64)
    log_scale = torch.full_like(mean, s2).log() / 2
    zero = torch.zeros_like(mean)
    return {"mean": mean, "log_scale": log_scale}, {"mean": zero, "log_scale": zero}


@pytest.mark.parametrize("s2", [0.2, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("m", [0.0, 1.5])
def test_variances_for_a_standard_normal_target(m: float, s2: float) -> None:
    q, p = _pair(m, s2)
    path, total = (gradient_variance(q, p, c) for c in (1.0, 0.0))
    assert path["mean"].item() == pytest.approx((s2**-0.5 - s2**0.5) ** 2)
    assert path["log_scale"].item() == pytest.approx(m * m * s2 + 2 * (1 - s2) ** 2)
    assert total["mean"].item() == pytest.approx(s2)
    assert total["log_scale"].item() == pytest.approx(m * m * s2 + 2 * s2**2)


def test_the_path_derivative_wins_exactly_above_half_the_target_variance() -> None:
    generator = torch.Generator().manual_seed(0)
    p, q = random_target(500, generator), random_target(500, generator)
    wins = ratio(q, p) > 0.5
    assert 50 < wins.sum() < 450
    path, total = (gradient_variance(q, p, c) for c in (1.0, 0.0))
    for name in q:
        assert torch.equal(path[name] < total[name], wins)


def test_the_ratio_of_variances_is_the_best_weight_of_the_score() -> None:
    generator = torch.Generator().manual_seed(1)
    p, q = random_target(50, generator), random_target(50, generator)
    best = gradient_variance(q, p, ratio(q, p))
    assert best["mean"].abs().max() == 0
    for shift in (-0.1, 0.1):
        near = gradient_variance(q, p, ratio(q, p) + shift)
        assert all((best[name] < near[name]).all() for name in q)


def test_at_the_truth_the_total_variance_is_the_fisher_information() -> None:
    p = random_target(100, torch.Generator().manual_seed(2))
    total, fisher = gradient_variance(p, p, 0.0), fisher_diagonal(p)
    for name in p:
        torch.testing.assert_close(total[name], fisher[name])
    trace = float(sum(entry.sum() for entry in fisher.values()))
    assert trace == pytest.approx(float((-2 * p["log_scale"]).exp().sum()) + 200)
    assert all(v.abs().max() == 0 for v in gradient_variance(p, p, 1.0).values())


def test_kl_agrees_with_torch_and_resolves_tiny_divergences() -> None:
    generator = torch.Generator().manual_seed(3)
    q, p = random_target(7, generator), random_target(7, generator)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        normal(q["mean"], q["log_scale"].exp()), normal(p["mean"], p["log_scale"].exp())
    ).sum()
    torch.testing.assert_close(kl(q, p), expected)
    near = {"mean": p["mean"], "log_scale": p["log_scale"] + 1e-7}
    assert kl(near, p).item() == pytest.approx(7e-14, rel=1e-2)  # D (delta log s)^2


def test_the_target_depends_on_the_generator_alone() -> None:
    first, second = (random_target(5, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first["mean"], second["mean"])
    assert first["mean"].dtype == torch.float64
