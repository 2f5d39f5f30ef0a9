"""The WAE-type networks: sides, channels and parameters."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from paper_repro.models import wae


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shapes_after(net: nn.Module, kind: type[nn.Module], x: torch.Tensor) -> list[tuple[int, ...]]:
    """Shape of one example behind each layer of `kind`."""
    seen: list[tuple[int, ...]] = []
    for module in net.modules():
        if isinstance(module, kind):
            module.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:])))
    net.eval()(x)
    return seen


@pytest.mark.parametrize(
    ("side", "stages", "down", "start", "up"),
    [
        (64, 4, [32, 16, 8, 4], 8, [16, 32, 64]),  # as published
        (28, 4, [14, 7, 4, 2], 7, [14, 28]),  # as in the released code
        (128, 4, [64, 32, 16, 8], 16, [32, 64, 128]),
        (128, 5, [64, 32, 16, 8, 4], 8, [16, 32, 64, 128]),
        (32, 4, [16, 8, 4, 2], 4, [8, 16, 32]),
        (8, 4, [4, 2, 1], 1, [2, 4, 8]),
    ],
)
def test_sides_and_channels_follow_the_stated_rule(side, stages, down, start, up):
    encode = wae.encoder((3, side, side), 4, generator(), base_dim=1, stages=stages)
    found = shapes_after(encode, nn.Conv2d, torch.zeros(1, 3 * side**2))
    assert found == [(2**i, s, s) for i, s in enumerate(down)]
    decode = wae.decoder(2, (3, side, side), 1, generator(), base_dim=1, stages=stages)
    widest = 2 ** (stages - 1)
    assert shapes_after(decode, nn.Unflatten, torch.zeros(1, 2)) == [(widest, start, start)]
    found = shapes_after(decode, nn.ConvTranspose2d, torch.zeros(1, 2))
    assert found == [(widest // 2 ** (i + 1), s, s) for i, s in enumerate(up)]


def test_number_of_parameters_at_32_pixels():
    encode = wae.encoder((3, 32, 32), 10, generator(), base_dim=2)
    expected = sum(25 * a * b + b + 2 * b for a, b in [(3, 2), (2, 4), (4, 8), (8, 16)])
    assert sum(p.numel() for p in encode.parameters()) == expected + (16 * 2 * 2) * 10 + 10
    decode = wae.decoder(5, (3, 32, 32), 1, generator(), base_dim=2)
    expected = (5 + 1) * 16 * 4 * 4
    expected += sum(25 * a * b + b + 2 * b for a, b in [(16, 8), (8, 4), (4, 2)])
    assert sum(p.numel() for p in decode.parameters()) == expected + 25 * 2 * 3 + 3


def test_published_channels_are_the_default():
    net = wae.encoder((1, 28, 28), 2, generator())
    assert [m.out_channels for m in net.modules() if isinstance(m, nn.Conv2d)] == [
        128,
        256,
        512,
        1024,
    ]


def test_weights_have_standard_deviation_one_hundredth():
    net = wae.encoder((3, 16, 16), 200, generator(), base_dim=8)
    for p in net.parameters():
        if p.dim() > 1:
            assert abs(p.std().item() / 0.01 - 1) < 6 * (0.5 / p.numel()) ** 0.5


def batch_norm(x: torch.Tensor) -> torch.Tensor:
    variance, mean = torch.var_mean(x, (0, 2, 3), correction=0, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


def test_layers_of_both_networks_in_their_order():
    def weights_of(net):
        return [p.detach() for p in net.parameters() if p.dim() > 1]

    encode = wae.encoder((1, 8, 8), 3, generator(), base_dim=2, stages=2).double()
    x = torch.randn(5, 64, generator=generator(1), dtype=torch.float64)
    first, second, head = weights_of(encode)
    out = batch_norm(F.conv2d(x.reshape(5, 1, 8, 8), first, stride=2, padding=2)).relu()
    out = batch_norm(F.conv2d(out, second, stride=2, padding=2)).relu().flatten(1) @ head.T
    torch.testing.assert_close(encode(x), out, rtol=1e-9, atol=1e-12)

    decode = wae.decoder(3, (1, 8, 8), 1, generator(), base_dim=2, stages=2).double()
    z = torch.randn(5, 3, generator=generator(2), dtype=torch.float64)
    first, second, head = weights_of(decode)
    out = (z @ first.T).relu().reshape(5, 4, 4, 4)
    out = F.conv_transpose2d(out, second, stride=2, padding=2, output_padding=1)
    out = F.conv2d(batch_norm(out).relu(), head, padding=2).flatten(1)
    torch.testing.assert_close(decode(z), out, rtol=1e-9, atol=1e-12)
