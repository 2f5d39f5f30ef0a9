"""Facts about the statistics of draws of a gradient."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from paper_repro.gradients.moments import (
    MeanCosine,
    Moments,
    bias,
    covariance_trace,
    largest_z,
    moments,
    relative,
    signal_to_noise,
    z_scores,
)

EXACT = {
    "w": torch.tensor([[1.0, -2.0], [0.5, 0.0]], dtype=torch.float64),
    "b": torch.tensor([3.0], dtype=torch.float64),
}
LENGTH = 14.25**0.5
DRAWS = 4000


def draws(offset: float = 0.0, noise: float = 1.0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: g + offset + noise * torch.randn(DRAWS, *g.shape, generator=generator, dtype=g.dtype)
        for name, g in EXACT.items()
    }


def single(values: Tensor) -> Moments:
    """Moments of the draws of one parameter."""
    return moments([{"": {"g": values}}])[""]["g"]


@pytest.mark.parametrize("sizes", [(7,), (1, 6), (3, 2, 2)])
def test_moments_do_not_depend_on_the_chunks(sizes: tuple[int, ...]) -> None:
    values = torch.randn(7, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = moments({"": {"g": part}} for part in values.split(list(sizes)))[""]["g"]
    torch.testing.assert_close(found.mean, values.mean(0))
    torch.testing.assert_close(found.variance, values.var(0))
    assert found.count == 7


def test_a_variance_survives_a_mean_a_billion_times_larger() -> None:
    noise = torch.randn(1000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = moments({"": {"g": part}} for part in (1e9 + noise).split(100))[""]["g"]
    torch.testing.assert_close(found.variance, noise.var(), rtol=1e-6, atol=0)


def test_a_single_draw_has_no_variance() -> None:
    with pytest.raises(ValueError, match="two draws"):
        single(torch.ones(1, 2))


def test_covariance_trace_sums_the_variances_of_all_parameters() -> None:
    batch = {"a": torch.tensor([[0.0, 0.0], [2.0, 4.0]]), "b": torch.tensor([1.0, 3.0])}
    assert covariance_trace(moments([{"": batch}])[""]) == pytest.approx(2 + 8 + 2)


def test_z_scores_tell_a_shift_from_noise_and_forgive_rounding() -> None:
    noise = torch.randn(10_000, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = single(noise)
    assert z_scores(found).abs() < 4.5
    assert z_scores(found, 0.1) < -8
    exact = single(torch.full((10,), 0.3, dtype=torch.float64))
    assert z_scores(exact, 0.3 + 1e-16).abs() < 1e-3
    assert z_scores(exact, 0.31).abs() > 1e6


def test_signal_to_noise_takes_the_signal_it_is_given() -> None:
    found = single(torch.tensor([1.0, 3.0]))
    assert signal_to_noise(found) == pytest.approx(2 / 2**0.5)
    assert signal_to_noise(found, torch.tensor(-4.0)) == pytest.approx(4 / 2**0.5)


def test_differences_of_pairs_are_those_of_single_draws() -> None:
    a, b = torch.tensor([1.0, 5.0, 2.0]), torch.tensor([0.5, 4.0, 3.0])
    found = moments([{"a": {"g": a}, "b": {"g": b}}], [("a", "b")])
    assert list(found) == ["a", "b", "a-b"]
    torch.testing.assert_close(found["a-b"]["g"].variance, (a - b).var())


def test_the_largest_z_is_over_all_entries_and_keeps_its_sign() -> None:
    stats = {
        "a": Moments(100, torch.tensor([3.0, 1.0]), torch.tensor([1.0, 4.0])),
        "b": Moments(100, torch.tensor([1.0]), torch.tensor([4.0])),
    }
    assert largest_z(stats) == pytest.approx(30)
    expected = {"a": torch.tensor([3.0, 1.0]), "b": torch.tensor([4.0])}
    assert largest_z(stats, expected) == pytest.approx(-15)


def test_without_bias_its_length_is_of_the_size_of_its_noise() -> None:
    stats = moments([{"": draws()}])[""]
    trace, length = covariance_trace(stats), float(bias(stats, EXACT).norm())
    found = relative(trace, length, LENGTH, DRAWS)
    assert found["relative_bias_noise"] == pytest.approx((5 / DRAWS) ** 0.5 / LENGTH, rel=0.05)
    assert found["relative_bias"] < 3 * found["relative_bias_noise"]
    assert found["relative_variance"] == pytest.approx(5 / 14.25, rel=0.1)


def test_a_constant_offset_is_the_bias() -> None:
    offset = bias(moments([{"": draws(offset=0.7)}])[""], EXACT)
    assert bool(((offset - 0.7).abs() < 6 / DRAWS**0.5).all())
    exact = bias(moments([{"": draws(offset=-0.25, noise=0.0)}])[""], EXACT)
    torch.testing.assert_close(exact, torch.full((5,), -0.25, dtype=torch.float64))


def test_relative_to_an_exact_gradient_of_zero_is_nan() -> None:
    assert all(math.isnan(v) for v in relative(1.0, 0.5, 0.0, 10).values())


def test_the_cosine_is_that_of_single_gradients_not_of_their_mean() -> None:
    cosine = MeanCosine({"a": torch.tensor([2.0, 0.0])}, ["a"])
    for values in ([[1.0, 0.0], [0.0, 1.0]], [[-5.0, 0.0], [3.0, 0.0]]):
        cosine.watch({"x": {"a": torch.tensor(values)}})
    assert cosine.mean("x") == pytest.approx((1 + 0 - 1 + 1) / 4)
