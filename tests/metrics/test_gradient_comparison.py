"""Bias, cosine, relative variance and norms of gradients whose exact value is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from paper_repro.metrics.gradient_comparison import (
    bias,
    cosine,
    gradient_norms,
    relative_variance,
)
from paper_repro.metrics.gradient_stats import moments

EXACT = {
    "w": torch.tensor([[1.0, -2.0], [0.5, 0.0]], dtype=torch.float64),
    "b": torch.tensor(3.0, dtype=torch.float64),
}
DRAWS = 4000


def draws(offset: float = 0.0, noise: float = 1.0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: g + offset + noise * torch.randn(DRAWS, *g.shape, generator=generator, dtype=g.dtype)
        for name, g in EXACT.items()
    }


def test_without_bias_the_norm_is_of_the_size_of_its_error() -> None:
    found = bias(moments([draws()]), EXACT)
    assert found.error == pytest.approx((5 / DRAWS) ** 0.5, rel=0.05)
    assert found.norm < 3 * found.error


def test_a_constant_offset_is_the_bias() -> None:
    found = bias(moments([draws(offset=0.7)]), EXACT)
    for vector in found.vector.values():
        assert bool(((vector - 0.7).abs() < 6 / DRAWS**0.5).all())
    assert abs(found.norm - 0.7 * 5**0.5) < 6 * found.error
    assert found.relative == pytest.approx(found.norm / 14.25**0.5)


def test_without_noise_the_bias_is_exact() -> None:
    found = bias(moments([draws(offset=-0.25, noise=0.0)]), EXACT)
    assert found.norm == pytest.approx(0.25 * 5**0.5, rel=1e-12)
    assert found.error == pytest.approx(0, abs=1e-12)


def test_an_exact_gradient_of_zero_has_infinite_relative_bias() -> None:
    zero = {name: torch.zeros_like(g) for name, g in EXACT.items()}
    assert bias(moments([draws()]), zero).relative == math.inf


def test_cosine_tells_direction_and_forgets_length() -> None:
    assert float(cosine(EXACT, EXACT)) == pytest.approx(1, rel=1e-12)
    assert float(cosine({n: -3 * g for n, g in EXACT.items()}, EXACT)) == pytest.approx(-1)
    turned = {"w": torch.zeros(2, 2, dtype=torch.float64), "b": torch.tensor(5.0)}
    assert float(cosine(turned, EXACT)) == pytest.approx(3 / 14.25**0.5)


def test_cosine_of_draws_is_that_of_each_draw() -> None:
    batch = draws()
    found = cosine(batch, EXACT)
    assert found.shape == (DRAWS,)
    one = cosine({name: g[17] for name, g in batch.items()}, EXACT)
    torch.testing.assert_close(found[17], one)


def test_relative_variance_is_trace_over_squared_length() -> None:
    found = relative_variance(moments([draws(noise=2.0)]), EXACT)
    assert found == pytest.approx(5 * 4 / 14.25, rel=0.1)


def test_the_three_gradient_norms_stand_in_their_stated_ratios() -> None:
    """Four images with gradients of length 1, 1, 1, 5."""
    rows = torch.eye(4, 3, dtype=torch.float64)
    rows[3, 1] = 5.0
    found = gradient_norms(rows)
    assert found.per_sample == pytest.approx(2)
    assert found.equation_3 == pytest.approx(4)
    assert found.batch_mean == pytest.approx(28**0.5 / 4)


def test_batch_norm_is_the_frobenius_norm_of_the_gradient_of_the_batch_mean() -> None:
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()
    (each,) = torch.autograd.grad((z**3).sum(), z)
    (mean,) = torch.autograd.grad((z**3).sum(1).mean(), z)
    assert gradient_norms(each).batch_mean == pytest.approx(float(mean.norm()))


def test_the_linear_vae_has_the_predicted_gradient_norm() -> None:
    """x = w z + noise at its optimum: E |d(half data term)/dz|^2 = sum_j 1 / s_j^2 - 1."""
    gamma, w = 0.1, torch.tensor([2.0, 0.7], dtype=torch.float64)
    generator = torch.Generator().manual_seed(2)

    def normal() -> Tensor:
        return torch.randn(100_000, 2, generator=generator, dtype=torch.float64)

    x = w * normal() + gamma**0.5 * normal()
    variance = gamma / (gamma + w.square())
    z = x * w / (gamma + w.square()) + variance.sqrt() * normal()
    gradients = -w * (x - w * z) / gamma
    expected = float((1 / variance - 1).sum())
    squares = gradients.square().sum(1)
    assert abs(float(squares.mean()) - expected) < 6 * float(squares.std()) / len(x) ** 0.5
    found = gradient_norms(gradients)
    assert found.batch_mean * len(x) ** 0.5 == pytest.approx(float(squares.mean()) ** 0.5)


def test_bad_input_is_refused_by_name() -> None:
    stats = moments([draws()])
    with pytest.raises(ValueError, match="stats: names"):
        bias(stats, {"w": EXACT["w"]})
    with pytest.raises(ValueError, match=r"gradients\['w'\]: shape"):
        cosine({"w": EXACT["b"], "b": EXACT["b"]}, EXACT)
    with pytest.raises(ValueError, match=r"gradients\['b'\]: 1 of 1"):
        cosine({"w": EXACT["w"], "b": EXACT["b"] * math.nan}, EXACT)
    with pytest.raises(ValueError, match="no direction"):
        cosine({name: 0 * g for name, g in EXACT.items()}, EXACT)
    with pytest.raises(ValueError, match="leading axes"):
        cosine({"w": draws()["w"], "b": EXACT["b"]}, EXACT)
    with pytest.raises(ValueError, match="signal"):
        relative_variance(stats, {name: 0 * g for name, g in EXACT.items()})
    with pytest.raises(ValueError, match="gradients: need"):
        gradient_norms(torch.zeros(3))
