"""The InfoGAN-type networks: parameters, and spectral norm against the singular values."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from paper_repro.models import infogan, layers
from paper_repro.models.infogan import SpectralNorm


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 9) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def normalised(layer: nn.Linear | nn.Conv2d) -> SpectralNorm:
    return SpectralNorm(layer, generator(1)).double()


def test_number_of_parameters_of_the_published_pair_for_28_pixels():
    encode = infogan.encoder((1, 28, 28), 128, generator())
    expected = (16 * 64 + 64) + (16 * 64 * 128 + 128 + 2 * 128)
    expected += (7 * 7 * 128 * 1024 + 1024 + 2 * 1024) + (1024 * 128 + 128)
    assert sum(p.numel() for p in encode.parameters()) == expected
    decode = infogan.decoder(64, (1, 28, 28), 1, generator())
    expected = (64 * 1024 + 1024 + 2 * 1024) + (1024 + 1 + 2) * 7 * 7 * 128
    expected += (16 * 128 * 64 + 64 + 2 * 64) + (16 * 64 + 1)
    assert sum(p.numel() for p in decode.parameters()) == expected


def batch_norm(x: torch.Tensor) -> torch.Tensor:
    axes = [0, *range(2, x.dim())]
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


def weights_of(net: nn.Module) -> list[torch.Tensor]:
    """Weights of the linear maps and convolutions, in order; all biases start at zero."""
    return [p.detach() for p in net.parameters() if p.dim() > 1]


def test_layers_of_the_encoder_in_their_order():
    sizes = {"base_dim": 2, "fc_dim": 6, "spectral_norm": False}
    net = infogan.encoder((1, 8, 12), 3, generator(), **sizes).double()
    x, (first, second, fc, head) = normal(5, 96), weights_of(net)
    out = F.leaky_relu(F.conv2d(x.reshape(5, 1, 8, 12), first, stride=2, padding=1), 0.2)
    out = F.leaky_relu(batch_norm(F.conv2d(out, second, stride=2, padding=1)), 0.2)
    out = F.leaky_relu(batch_norm(out.flatten(1) @ fc.T), 0.2) @ head.T
    torch.testing.assert_close(net(x), out, rtol=1e-9, atol=1e-12)


def test_layers_of_the_decoder_in_their_order():
    net = infogan.decoder(3, (1, 8, 12), 1, generator(), base_dim=2, fc_dim=6).double()
    z, (first, second, third, head) = normal(5, 3), weights_of(net)
    out = batch_norm(batch_norm(z @ first.T).relu() @ second.T).relu().reshape(5, 4, 2, 3)
    out = batch_norm(F.conv_transpose2d(out, third, stride=2, padding=1)).relu()
    out = F.conv_transpose2d(out, head, stride=2, padding=1)
    torch.testing.assert_close(net(z), out.flatten(1), rtol=1e-9, atol=1e-12)


def test_spectral_norm_is_on_every_layer_of_the_encoder_and_none_of_the_decoder():
    def count(net: nn.Module, kind: type[nn.Module]) -> int:
        return sum(isinstance(m, kind) for m in net.modules())

    sizes = {"base_dim": 2, "fc_dim": 4}
    encode = infogan.encoder((1, 8, 8), 2, generator(), **sizes)
    assert count(encode, SpectralNorm) == 4
    assert count(encode, nn.Conv2d) + count(encode, nn.Linear) == 4
    assert count(infogan.decoder(2, (1, 8, 8), 1, generator(), **sizes), SpectralNorm) == 0
    plain = infogan.encoder((1, 8, 8), 2, generator(), **sizes, spectral_norm=False)
    assert count(plain, SpectralNorm) == 0


def test_spectral_norm_converges_to_division_by_the_largest_singular_value():
    linear = normalised(layers.linear(6, 4, layers.he, generator()))
    conv = normalised(layers.conv(3, 5, 3, 1, layers.he, generator()))
    for layer, x in ((linear, normal(7, 6)), (conv, normal(2, 3, 8, 8))):
        for _ in range(400):
            out = layer(x)
        largest = torch.linalg.svdvals(layer.layer.weight.flatten(1))[0]
        torch.testing.assert_close(out, layer.layer(x) / largest, rtol=1e-9, atol=1e-12)


def test_one_pass_is_one_step_of_the_power_iteration():
    layer = normalised(layers.linear(6, 4, layers.he, generator()))
    weight, start = layer.layer.weight.detach(), layer.u.clone()
    layer(normal(1, 6))
    step = weight.T @ weight @ start
    torch.testing.assert_close(layer.u, step / step.norm(), rtol=1e-9, atol=1e-12)


def test_evaluation_leaves_the_power_iteration_where_it_is():
    layer = normalised(layers.linear(6, 4, layers.he, generator())).eval()
    start = layer.u.clone()
    first = layer(x := normal(3, 6))
    assert torch.equal(layer(x), first)
    assert torch.equal(layer.u, start)


def test_a_functional_call_moves_the_u_it_was_given():
    layer = normalised(layers.linear(6, 4, layers.he, generator()))
    start = layer.u.clone()
    given = {"u": start.clone()}
    functional_call(layer, given, (normal(3, 6),))
    assert torch.equal(layer.u, start)
    assert not torch.equal(given["u"], start)


def test_gradient_runs_through_the_singular_value_once_converged():
    """The derivative of sum(W / sigma(W)) along W itself is zero: the scale of W has no effect."""
    layer = normalised(layers.linear(6, 4, layers.he, generator()))
    for _ in range(400):
        layer(normal(1, 6))
    layer(normal(5, 6)).sin().sum().backward()
    along = (layer.layer.weight.grad * layer.layer.weight).sum()
    assert layer.layer.weight.grad.norm() > 1e-3
    assert along.abs() < 1e-12


def test_weights_have_standard_deviation_one_fiftieth():
    for net in (
        infogan.encoder((1, 8, 8), 30, generator(), base_dim=8, fc_dim=64),
        infogan.decoder(30, (1, 8, 8), 1, generator(), base_dim=8, fc_dim=64),
    ):
        for name, p in net.named_parameters():
            if p.dim() > 1:
                assert abs(p.std().item() / 0.02 - 1) < 6 * (0.5 / p.numel()) ** 0.5, name
            elif name.endswith("bias"):
                assert not p.any()


@pytest.mark.parametrize("shape", [(1, 10, 8), (1, 8, 7)])
def test_sides_that_are_no_multiple_of_four_are_refused(shape):
    with pytest.raises(ValueError, match=r"^shape: .* multiples of 4"):
        infogan.encoder(shape, 2, generator())
    with pytest.raises(ValueError, match=r"^shape: .* multiples of 4"):
        infogan.decoder(2, shape, 1, generator())
