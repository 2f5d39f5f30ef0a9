"""The networks of Burda et al.: layers, initialisation, purity."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call

from paper_repro.models.burda import BernoulliNet, GaussianNet, Linear, output_bias


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parameters(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach() for name, p in net.named_parameters()}


def test_shapes_follow_the_leading_axes():
    x = torch.zeros(7, 4, 784)
    mean, log_scale = GaussianNet(784, 200, 50, generator())(x)
    assert mean.shape == log_scale.shape == (7, 4, 50)
    assert BernoulliNet(50, 200, 784, generator())(mean).shape == (7, 4, 784)


def test_number_of_parameters_is_that_of_separate_read_outs():
    net = GaussianNet(784, 200, 50, generator())
    expected = 784 * 200 + 200 + 200 * 200 + 200 + 2 * (200 * 50 + 50)
    assert sum(p.numel() for p in net.parameters()) == expected


@pytest.mark.parametrize("heads", [1, 2])
def test_weights_fill_the_glorot_interval_of_one_read_out_and_biases_are_zero(heads):
    layer = Linear(300, 100, generator(), heads=heads)
    bound = (6 / 400) ** 0.5
    assert layer.weight.shape == (heads * 100, 300)
    assert 0.999 * bound < layer.weight.abs().max() <= bound
    error = bound / 3**0.5 / layer.weight.numel() ** 0.5
    assert layer.weight.mean().abs() < 6 * error
    assert layer.weight.var().item() == pytest.approx(bound**2 / 3, rel=0.02)
    assert not layer.bias.any()


def test_layers_of_equal_shape_are_drawn_independently():
    net = GaussianNet(50, 50, 50, generator())
    mean, log_scale = net.head.weight.chunk(2)
    weights = [net.first.weight, net.second.weight, mean, log_scale]
    correlations = torch.corrcoef(torch.stack([w.detach().flatten() for w in weights]))
    off_diagonal = correlations - torch.eye(4)
    assert off_diagonal.abs().max() < 6 / 2500**0.5


def test_the_generator_alone_decides_the_weights():
    torch.manual_seed(0)
    first = parameters(BernoulliNet(5, 8, 6, generator(1)))
    before = torch.random.get_rng_state()
    second = parameters(BernoulliNet(5, 8, 6, generator(1)))
    other = parameters(BernoulliNet(5, 8, 6, generator(2)))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_decoder_starts_at_the_training_mean_of_each_pixel():
    means = torch.tensor([0.0, 0.2, 0.5, 1.0])
    net = BernoulliNet(5, 8, 4, generator(), pixel_means=means)
    with torch.no_grad():  # zero input, zero biases: only the output bias is left
        started = torch.sigmoid(net(torch.zeros(5)))
    torch.testing.assert_close(started, torch.tensor([0.001, 0.2, 0.5, 0.999]))
    assert output_bias(means).isfinite().all()


def test_pixel_means_of_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"^pixel_means: shape"):
        BernoulliNet(5, 8, 4, generator(), pixel_means=torch.zeros(3))


def test_members_stacked_under_vmap_compute_what_each_computes_alone():
    nets = [GaussianNet(6, 8, 3, generator(seed)).double() for seed in range(3)]
    stacked = {
        name: torch.stack([parameters(net)[name] for net in nets]) for name in parameters(nets[0])
    }
    x = torch.randn(4, 6, generator=generator(9), dtype=torch.float64)
    together = torch.vmap(lambda p: functional_call(nets[0], p, (x,)))(stacked)
    for member, net in enumerate(nets):
        for found, expected in zip(together, net(x), strict=True):
            torch.testing.assert_close(found[member], expected, rtol=1e-12, atol=1e-12)
