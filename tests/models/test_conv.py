"""The group-norm networks: sides, channels, parameters and independence of the batch."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from paper_repro.models import conv


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_published_channels_and_sides_for_32_pixels():
    net, seen = conv.encoder((3, 32, 32), 2, generator()), []
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:])))
    net(torch.zeros(1, 3 * 32 * 32))
    assert seen == [(64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2)]


@pytest.mark.parametrize(
    ("shape", "sides"),
    [
        ((1, 28, 28), [(4, 4), (7, 7), (14, 14), (28, 28)]),
        ((3, 8, 6), [(1, 1), (2, 2), (4, 3), (8, 6)]),
    ],
)
def test_decoder_climbs_the_sides_that_the_encoder_went_down(shape, sides):
    net, seen = conv.decoder(2, shape, 1, generator(), widths=[4, 8, 16], groups=2), []
    for module in net.modules():
        if isinstance(module, nn.Unflatten | nn.Upsample):
            module.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[2:])))
    net(torch.zeros(1, 2))
    assert seen == sides


def test_number_of_parameters():
    sizes = {"widths": [4, 6], "groups": 2}
    encode = conv.encoder((3, 8, 8), 10, generator(), **sizes)
    expected = (9 * 3 * 4 + 4 + 2 * 4) + (9 * 4 * 6 + 6 + 2 * 6) + (6 * 2 * 2) * 10 + 10
    assert sum(p.numel() for p in encode.parameters()) == expected
    decode = conv.decoder(5, (3, 8, 8), 2, generator(), **sizes)
    first = 2 * 6 + (9 * 6 * 4 + 4) + 2 * 4 + (9 * 4 * 4 + 4) + (6 * 4 + 4)
    second = 2 * (2 * 4 + 9 * 4 * 4 + 4)
    expected = (5 + 1) * 6 * 2 * 2 + first + second + 2 * 4 + (9 * 4 * 6 + 6)
    assert sum(p.numel() for p in decode.parameters()) == expected


def group_norm(x: torch.Tensor) -> torch.Tensor:
    """In two groups of channels, by its definition."""
    groups = x.reshape(len(x), 2, -1)
    variance, mean = torch.var_mean(groups, -1, correction=0, keepdim=True)
    return ((groups - mean) / (variance + 1e-5).sqrt()).reshape(x.shape)


def test_layers_of_both_networks_in_their_order():
    def weights_of(net):
        return [p.detach() for p in net.parameters() if p.dim() > 1]

    def active(x):
        return group_norm(x) * torch.sigmoid(group_norm(x))

    sizes = {"widths": [4, 6], "groups": 2}
    encode = conv.encoder((1, 8, 8), 3, generator(), **sizes).double()
    x = torch.randn(5, 64, generator=generator(1), dtype=torch.float64)
    first, second, head = weights_of(encode)
    out = active(F.conv2d(x.reshape(5, 1, 8, 8), first, stride=2, padding=1))
    out = active(F.conv2d(out, second, stride=2, padding=1)).flatten(1) @ head.T
    torch.testing.assert_close(encode(x), out, rtol=1e-9, atol=1e-12)

    decode = conv.decoder(3, (1, 8, 8), 1, generator(), **sizes).double()
    z = torch.randn(5, 3, generator=generator(2), dtype=torch.float64)
    start, a, b, shortcut, c, d, head = weights_of(decode)
    out = (z @ start.T).reshape(5, 6, 2, 2)
    inner = F.conv2d(active(out), a, padding=1)
    out = F.conv2d(active(inner), b, padding=1) + F.conv2d(out, shortcut)
    out = out.repeat_interleave(2, -1).repeat_interleave(2, -2)
    out = out + F.conv2d(active(F.conv2d(active(out), c, padding=1)), d, padding=1)
    out = out.repeat_interleave(2, -1).repeat_interleave(2, -2)
    out = F.conv2d(active(out), head, padding=1).flatten(1)
    torch.testing.assert_close(decode(z), out, rtol=1e-9, atol=1e-12)


def test_an_image_does_not_see_the_others_of_its_batch():
    net = conv.encoder((1, 8, 8), 3, generator(), widths=[4, 8], groups=2).double()
    x = torch.randn(5, 64, generator=generator(1), dtype=torch.float64)
    torch.testing.assert_close(net(x)[2:3], net(x[2:3]), rtol=1e-12, atol=1e-12)


def test_head_gain_scales_the_encoders_head_alone():
    sizes = {"widths": [4, 8], "groups": 2}
    one, half = (conv.encoder((1, 8, 8), 3, generator(), **sizes, head_gain=g) for g in (1, 0.5))
    for (name, a), b in zip(one.named_parameters(), half.parameters(), strict=True):
        assert torch.equal(b, 0.5 * a if name == "head.weight" else a)
    one, half = (conv.decoder(2, (1, 8, 8), 1, generator(), **sizes, head_gain=g) for g in (1, 0.5))
    for a, b in zip(one.parameters(), half.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("widths", [[4, 7], [4, 2], []])
def test_widths_that_groups_do_not_divide_are_refused(widths):
    for build in (
        lambda: conv.encoder((1, 8, 8), 2, generator(), widths=widths, groups=2),
        lambda: conv.decoder(2, (1, 8, 8), 1, generator(), widths=widths, groups=2),
    ):
        with pytest.raises(ValueError, match=r"^widths: "):
            build()


def test_a_row_of_pixels_is_refused():
    with pytest.raises(ValueError, match=r"^shape: .* at least 2"):
        conv.encoder((1, 1, 8), 2, generator())
