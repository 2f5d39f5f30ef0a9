"""Facts about gradient statistics."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from paper_repro.metrics.gradient_stats import (
    chunks,
    covariance_trace,
    moments,
    per_sample_gradients,
    signal_to_noise,
    z_scores,
)

Tensors = dict[str, Tensor]


def _value(params: Tensors, noise: Tensors) -> Tensor:
    return (params["a"] * noise["x"]).sum().sin() + params["b"] * noise["x"][0]


def test_per_sample_gradients_equal_one_backward_pass_per_draw() -> None:
    generator = torch.Generator().manual_seed(0)
    params = {"a": torch.randn(3, generator=generator), "b": torch.tensor(2.0)}
    noise = {"x": torch.randn(5, 3, generator=generator)}
    found = per_sample_gradients(_value, params, noise)
    for i in range(5):
        leaves = {name: p.clone().requires_grad_() for name, p in params.items()}
        value = _value(leaves, {"x": noise["x"][i]})
        gradients = torch.autograd.grad(value, list(leaves.values()))
        for name, gradient in zip(leaves, gradients, strict=True):
            torch.testing.assert_close(found[name][i], gradient)


def test_per_sample_gradients_work_where_gradients_are_off_and_touch_nothing() -> None:
    params = {"a": torch.ones(3, requires_grad=True), "b": torch.tensor(2.0)}
    with torch.no_grad():
        found = per_sample_gradients(_value, params, {"x": torch.ones(2, 3)})
    assert found["a"].shape == (2, 3)
    assert params["a"].grad is None
    assert not params["b"].requires_grad


def test_a_parameter_that_the_value_ignores_has_gradient_zero() -> None:
    found = per_sample_gradients(
        lambda params, noise: (params["a"] * noise["x"]).sum(),
        {"a": torch.ones(3), "b": torch.tensor(2.0)},
        {"x": torch.ones(4, 3)},
    )
    assert found["b"].tolist() == [0.0] * 4


def test_chunks_cover_every_draw_once() -> None:
    assert list(chunks(10, 4)) == [4, 4, 2]
    assert list(chunks(3, 100)) == [3]
    assert list(chunks(2, 0)) == [1, 1]


@pytest.mark.parametrize("sizes", [(7,), (1, 6), (3, 2, 2)])
def test_moments_do_not_depend_on_the_chunks(sizes: tuple[int, ...]) -> None:
    values = torch.randn(7, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = moments({"g": part} for part in values.split(list(sizes)))["g"]
    torch.testing.assert_close(found.mean, values.mean(0))
    torch.testing.assert_close(found.variance, values.var(0))
    assert found.count == 7


def test_a_variance_survives_a_mean_a_billion_times_larger() -> None:
    noise = torch.randn(1000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = moments({"g": part} for part in (1e9 + noise).split(100))["g"]
    torch.testing.assert_close(found.variance, noise.var(), rtol=1e-6, atol=0)


def test_a_single_draw_has_no_variance() -> None:
    with pytest.raises(ValueError, match="two draws"):
        moments([{"g": torch.ones(1, 2)}])


def test_covariance_trace_sums_the_variances_of_all_parameters() -> None:
    batch = {"a": torch.tensor([[0.0, 0.0], [2.0, 4.0]]), "b": torch.tensor([1.0, 3.0])}
    assert covariance_trace(moments([batch])) == pytest.approx(2 + 8 + 2)


def test_z_scores_tell_a_shift_from_noise_and_forgive_rounding() -> None:
    noise = torch.randn(10_000, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = moments([{"g": noise}])["g"]
    assert z_scores(found).abs() < 4.5
    assert z_scores(found, 0.1) < -8
    exact = moments([{"g": torch.full((10,), 0.3, dtype=torch.float64)}])["g"]
    assert z_scores(exact, 0.3 + 1e-16).abs() < 1e-3
    assert z_scores(exact, 0.31).abs() > 1e6


def test_signal_to_noise_takes_the_signal_it_is_given() -> None:
    found = moments([{"g": torch.tensor([1.0, 3.0])}])["g"]
    assert signal_to_noise(found) == pytest.approx(2 / 2**0.5)
    assert signal_to_noise(found, torch.tensor(-4.0)) == pytest.approx(4 / 2**0.5)
