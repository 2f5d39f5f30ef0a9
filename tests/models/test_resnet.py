"""The residual networks: channel lists, parameters, and a block computed by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from paper_repro.models import resnet
from paper_repro.models.layers import Residual


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_channels_of_the_decoder_double_towards_small_sides_up_to_1024():
    sides = [2, 4, 8, 16, 32, 64, 128]
    found = dict(zip(sides, resnet.channels(128, 32), strict=True))
    assert found == {2: 1024, 4: 1024, 8: 512, 16: 256, 32: 128, 64: 64, 128: 32}
    assert resnet.channels(64, 32) == [1024, 512, 256, 128, 64, 32]
    assert resnet.channels(2, 32) == [32]


def conv_size(kernel: int, inputs: int, outputs: int) -> int:
    return kernel**2 * inputs * outputs + outputs


def block_size(channels: int) -> int:
    """Two batch norms, two convolutions and the shortcut."""
    return 2 * 2 * channels + 3 * conv_size(3, channels, channels)


def test_number_of_parameters():
    encode = resnet.encoder((3, 16, 16), 10, generator(), base_dim=4, fc_dim=6, num_scale=3)
    expected = conv_size(3, 3, 4) + block_size(4)
    expected += conv_size(3, 4, 8) + block_size(8)
    expected += conv_size(3, 8, 16) + block_size(16)
    expected += (16 * 6 + 6) + (6 * 6 + 6) + (16 * 6 + 6)
    assert sum(p.numel() for p in encode.parameters()) == expected + 6 * 10 + 10
    decode = resnet.decoder(5, (3, 16, 16), 2, generator(), base_dim=4)
    expected = (5 + 1) * 32 * 2 * 2
    expected += conv_size(3, 32, 16) + block_size(16)
    expected += conv_size(3, 16, 8) + block_size(8)
    expected += conv_size(3, 8, 4) + block_size(4)
    assert sum(p.numel() for p in decode.parameters()) == expected + conv_size(3, 4, 6)


def test_published_encoder_for_64_pixels_has_four_scales_from_32_channels():
    net = resnet.encoder((3, 64, 64), 128, generator())
    stems = [m.out_channels for m in net.body if isinstance(m, nn.Conv2d)]
    assert stems == [32, 64, 128, 256]
    assert net.head.in_features == 512


def test_a_block_is_twice_norm_relu_convolution_beside_a_convolution():
    block = resnet._block(3, 0.999, generator()).double()
    x = torch.randn(4, 3, 5, 5, generator=generator(1), dtype=torch.float64)
    convolutions = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    out = x
    for layer in convolutions[:2]:
        variance, mean = torch.var_mean(out, (0, 2, 3), correction=0, keepdim=True)
        out = F.conv2d(((out - mean) / (variance + 1e-5).sqrt()).relu(), layer.weight, padding=1)
    out = out + F.conv2d(x, convolutions[2].weight, padding=1)
    torch.testing.assert_close(block(x), out, rtol=1e-9, atol=1e-12)


def test_the_encoder_ends_in_pixel_means_a_linear_residual_block_and_the_head():
    net = resnet.encoder((1, 8, 8), 2, generator(), base_dim=2, fc_dim=3, num_scale=2).double()
    images, x = [], torch.randn(5, 64, generator=generator(1), dtype=torch.float64)
    net.body[-3].register_forward_hook(lambda _, __, out: images.append(out))
    found = net(x)
    assert images[0].shape == (5, 4, 4, 4)
    first, second, shortcut, head = [p for p in net.parameters() if p.dim() == 2]
    mean = images[0].flatten(2).mean(-1)
    out = (mean.relu() @ first.T).relu() @ second.T + mean @ shortcut.T
    torch.testing.assert_close(found, out @ head.T, rtol=1e-9, atol=1e-12)


def test_the_decoder_doubles_the_side_before_each_block():
    net = resnet.decoder(2, (1, 8, 8), 1, generator(), base_dim=2)
    kinds = [nn.Linear, nn.Unflatten, *[nn.ConvTranspose2d, Residual] * 2]
    assert [type(m) for m in net.body] == kinds


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 8, 16), (1, 1, 1)])
def test_sides_that_are_no_power_of_two_are_refused(shape):
    with pytest.raises(ValueError, match=r"^shape: .* power of two"):
        resnet.encoder(shape, 2, generator())
    with pytest.raises(ValueError, match=r"^shape: .* power of two"):
        resnet.decoder(2, shape, 1, generator())


def test_more_scales_than_the_side_can_be_halved_are_refused():
    resnet.encoder((1, 8, 8), 2, generator(), base_dim=2, fc_dim=3, num_scale=4)
    with pytest.raises(ValueError, match=r"^num_scale: 5"):
        resnet.encoder((1, 8, 8), 2, generator(), base_dim=2, fc_dim=3, num_scale=5)
