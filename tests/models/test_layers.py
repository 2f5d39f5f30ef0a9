"""Initialisations, batch norm and padding, against their definitions."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call

from paper_repro.models import layers
from paper_repro.models.layers import BatchNorm


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 9) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def test_glorot_fills_its_interval_evenly():
    weight = layers.glorot((100, 300), 300, 100, generator()).double()
    bound = (6 / 400) ** 0.5
    assert 0.999 * bound < weight.abs().max() <= bound
    assert weight.mean().abs() < 6 * bound / (3 * weight.numel()) ** 0.5
    relative_error = (0.8 / weight.numel()) ** 0.5  # of the variance of a uniform variable
    assert abs(weight.var() / (bound**2 / 3) - 1) < 6 * relative_error


@pytest.mark.parametrize(("draw", "scale"), [(layers.he, 0.1), (layers.normal(0.02), 0.02)])
def test_normal_weights_have_their_scale(draw, scale):
    weight = draw((100, 300), 200, 7, generator()).double()
    assert weight.mean().abs() < 6 * scale / weight.numel() ** 0.5
    assert abs(weight.var() / scale**2 - 1) < 6 * (2 / weight.numel()) ** 0.5


def test_fans_of_a_convolution_count_the_kernels_area():
    seen = []

    def draw(shape, fan_in, fan_out, generator):
        seen.append((shape, fan_in, fan_out))
        return torch.zeros(shape)

    layers.linear(2, 5, draw, generator())
    layers.conv(2, 5, 3, 1, draw, generator())
    layers.deconv(2, 5, 4, draw, generator())
    assert seen == [((5, 2), 2, 5), ((5, 2, 3, 3), 18, 45), ((2, 5, 4, 4), 32, 80)]


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("side", [1, 6, 7])
def test_convolutions_divide_the_side_rounding_up(kernel, side):
    x = torch.zeros(1, 1, side, side)
    for stride in (1, 2):
        conv = layers.conv(1, 1, kernel, stride, layers.he, generator())
        assert conv(x).shape[-1] == -(-side // stride)


@pytest.mark.parametrize("kernel", [3, 4, 5])
@pytest.mark.parametrize("side", [1, 6, 7])
def test_transposed_convolutions_double_the_side(kernel, side):
    deconv = layers.deconv(1, 1, kernel, layers.he, generator())
    assert deconv(torch.zeros(1, 1, side, side)).shape[-2:] == (2 * side, 2 * side)


def test_biases_start_at_zero():
    for layer in (
        layers.linear(2, 5, layers.he, generator()),
        layers.conv(2, 5, 3, 1, layers.he, generator()),
        layers.deconv(2, 5, 3, layers.he, generator()),
    ):
        assert layer.bias.shape == (5,)
        assert not layer.bias.any()


def batch_norm_by_hand(x, mean, variance):
    shape = (1, -1, *[1] * (x.dim() - 2))
    return (x - mean.reshape(shape)) / (variance.reshape(shape) + 1e-5).sqrt()


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 2, 5)])
def test_batch_norm_uses_the_batch_in_training_and_moves_its_averages(shape):
    norm, x = BatchNorm(3, 0.999).double(), 3 + 2 * normal(*shape)
    axes = [0, *range(2, x.dim())]
    variance, mean = torch.var_mean(x, axes, correction=0)
    count = x.numel() // 3
    torch.testing.assert_close(norm(x), batch_norm_by_hand(x, mean, variance), rtol=1e-9, atol=0)
    torch.testing.assert_close(norm.running_mean, 0.001 * mean, rtol=1e-9, atol=0)
    unbiased = variance * count / (count - 1)
    torch.testing.assert_close(norm.running_var, 0.999 + 0.001 * unbiased, rtol=1e-9, atol=0)


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 2, 5)])
def test_batch_norm_uses_its_averages_in_evaluation_and_keeps_them(shape):
    norm, x = BatchNorm(3, 0.9).double().eval(), normal(*shape)
    norm.running_mean.copy_(mean := normal(3, seed=1))
    norm.running_var.copy_(variance := normal(3, seed=2).exp())
    torch.testing.assert_close(norm(x), batch_norm_by_hand(x, mean, variance), rtol=1e-9, atol=0)
    assert torch.equal(norm.running_mean, mean)
    assert torch.equal(norm.running_var, variance)


def test_running_averages_forget_at_the_rate_of_their_decay():
    norm, x = BatchNorm(2, 0.8).double(), normal(50, 2) + 5
    for _ in range(4):
        norm(x)
    expected = (1 - 0.8**4) * x.mean(0)
    torch.testing.assert_close(norm.running_mean, expected, rtol=1e-9, atol=0)


def test_batch_norm_updates_the_buffers_of_the_call_and_not_its_own():
    norm, x = BatchNorm(3, 0.9).double(), normal(6, 3)
    given = {name: t.detach().clone() for name, t in norm.state_dict().items()}
    functional_call(norm, given, (x,))
    torch.testing.assert_close(given["running_mean"], 0.1 * x.mean(0), rtol=1e-9, atol=1e-15)
    assert not norm.running_mean.any()
    assert (norm.running_var == 1).all()


def test_batch_norm_under_vmap_keeps_one_set_of_averages_a_member():
    norm, xs = BatchNorm(3, 0.9).double(), normal(4, 6, 3) + torch.arange(4.0)[:, None, None]
    stacked = {
        name: torch.stack([t.detach()] * 4) + 0.1 * torch.arange(4.0)[:, None]
        for name, t in norm.double().state_dict().items()
    }
    alone = [{name: t[m].clone() for name, t in stacked.items()} for m in range(4)]
    out = torch.vmap(lambda buffers, x: functional_call(norm, buffers, (x,)))(stacked, xs)
    for member, buffers in enumerate(alone):
        expected = functional_call(norm, buffers, (xs[member],))
        torch.testing.assert_close(out[member], expected, rtol=1e-9, atol=1e-12)
        for name, t in buffers.items():
            torch.testing.assert_close(stacked[name][member], t, rtol=1e-9, atol=0)
    assert not norm.running_mean.any()


def test_pyramid_halves_rounding_up_and_stops_at_one():
    assert layers.pyramid((1, 28, 28), 4) == [(28, 28), (14, 14), (7, 7), (4, 4), (2, 2)]
    assert layers.pyramid((1, 8, 20), 9) == [(8, 20), (4, 10), (2, 5), (1, 3)]
    with pytest.raises(ValueError, match=r"^shape: .* at least 2"):
        layers.pyramid((1, 1, 8), 2)
