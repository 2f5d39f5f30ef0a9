"""Perceptrons of any depth: layers, initialisation, refusals."""

from __future__ import annotations

import pytest
import torch

from paper_repro.models.mlp import ACTIVATIONS, decoder, encoder


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_parameters_of_any_depth_with_and_without_layer_norm():
    def count(net):
        return sum(p.numel() for p in net.parameters())

    hidden = [7, 5]
    plain = encoder((1, 4, 3), 6, generator(), hidden=hidden)
    assert count(plain) == (12 * 7 + 7) + (7 * 5 + 5) + (5 * 6 + 6)
    normed = encoder((1, 4, 3), 6, generator(), hidden=hidden, layer_norm=True)
    assert count(normed) == count(plain) + 2 * (7 + 5)
    mirrored = decoder(3, (1, 4, 3), 2, generator(), hidden=hidden)
    assert count(mirrored) == (3 * 5 + 5) + (5 * 7 + 7) + (7 * 24 + 24)
    assert count(encoder((1, 4, 3), 6, generator(), hidden=[])) == 12 * 6 + 6


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("layer_norm", [False, True])
def test_a_hidden_layer_is_linear_then_norm_then_activation(activation, layer_norm):
    net = encoder(
        (1, 2, 3), 4, generator(), hidden=[5], activation=activation, layer_norm=layer_norm
    ).double()
    x = torch.randn(7, 6, generator=generator(1), dtype=torch.float64)
    out = x @ net.body[0].weight.T
    if layer_norm:
        variance, mean = torch.var_mean(out, -1, correction=0, keepdim=True)
        out = (out - mean) / (variance + 1e-5).sqrt()
    normal_cdf = 0.5 * torch.erfc(-out / 2**0.5)
    active = {
        "tanh": 2 * torch.sigmoid(2 * out) - 1,
        "relu": out.clamp(min=0),
        "gelu": out * normal_cdf,
        "silu": out / (1 + torch.exp(-out)),
    }[activation]
    torch.testing.assert_close(net(x), active @ net.head.weight.T, rtol=1e-9, atol=1e-12)


def test_he_weights_keep_the_scale_that_glorot_weights_lose_in_a_relu_network():
    def mean_square(weights):
        net = encoder((1, 10, 10), 2, generator(), hidden=[400] * 8, weights=weights)
        with torch.no_grad():
            return net.body(torch.randn(500, 100, generator=generator(1))).square().mean().item()

    assert 0.5 < mean_square("he") < 2  # 1 in the limit of wide layers
    assert mean_square("glorot") < 0.01  # 0.2 halved seven times


def test_head_gain_scales_the_encoders_head_alone():
    one, small = (encoder((1, 2, 3), 4, generator(), hidden=[5], head_gain=g) for g in (1, 0.3))
    for (name, a), b in zip(one.named_parameters(), small.parameters(), strict=True):
        assert torch.equal(b, 0.3 * a if name == "head.weight" else a)
    one, small = (decoder(2, (1, 2, 3), 1, generator(), hidden=[5], head_gain=g) for g in (1, 0.3))
    for a, b in zip(one.parameters(), small.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "wrong", [{"activation": "relu6"}, {"weights": "xavier"}, {"hidden": [5, 0]}]
)
def test_unknown_names_and_empty_layers_are_refused_by_name(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"^{name}: "):
        encoder((1, 2, 3), 4, generator(), **wrong)
    with pytest.raises(ValueError, match=rf"^{name}: "):
        decoder(2, (1, 2, 3), 1, generator(), **wrong)
