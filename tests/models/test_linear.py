"""The linear decoder: layout of its outputs, initialisation, purity."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call

from paper_repro.models import linear

SHAPE = (3, 2, 2)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_outputs_are_affine_with_means_first_and_scales_after():
    net = linear.decoder(4, SHAPE, 2, generator(), bias=torch.arange(12.0), scale_std=1.0)
    z = torch.randn(5, 7, 4, generator=generator(1))
    mean, scale = net(z).chunk(2, -1)
    torch.testing.assert_close(mean, z @ net.weight.T + torch.arange(12.0))
    torch.testing.assert_close(scale, z @ net.scale_weight.T + net.scale_bias)
    assert {n: tuple(p.shape) for n, p in net.named_parameters()} == {
        "weight": (12, 4),
        "bias": (12,),
        "scale_weight": (12, 4),
        "scale_bias": (12,),
    }


def test_one_output_per_pixel_has_no_scale():
    net = linear.decoder(4, SHAPE, 1, generator())
    assert {n for n, _ in net.named_parameters()} == {"weight", "bias"}
    assert net(torch.zeros(5, 4)).shape == (5, 12)


def test_a_constant_scale_does_not_depend_on_z():
    start = torch.linspace(-1, 1, 12)
    net = linear.decoder(4, SHAPE, 2, generator(), constant_scale=True, scale_bias=start)
    assert {n for n, _ in net.named_parameters()} == {"weight", "bias", "scale_bias"}
    output = net(torch.randn(6, 5, 4, generator=generator(1)))
    torch.testing.assert_close(output[..., 12:], start.expand(6, 5, 12))


def test_weights_are_normal_with_the_standard_deviations_asked_for():
    net = linear.decoder(100, (1, 20, 20), 2, generator(), weight_std=0.05, scale_std=0.002)
    count = net.weight.numel()
    for weight, std in ((net.weight, 0.05), (net.scale_weight, 0.002)):
        assert weight.mean().abs() < 6 * std / count**0.5
        assert weight.std().item() == pytest.approx(std, rel=6 / (2 * count) ** 0.5)


def test_biases_start_where_asked_and_are_no_aliases():
    image, scale = torch.rand(12, generator=generator(2)), torch.full((12,), 3.0)
    net = linear.decoder(4, SHAPE, 2, generator(), bias=image, scale_bias=scale)
    assert torch.equal(net.bias.detach(), image)
    assert torch.equal(net.scale_bias.detach(), scale)
    with torch.no_grad():
        net.bias.add_(1)
    assert net.bias.detach().sum() == pytest.approx((image + 1).sum().item())
    assert not torch.equal(net.bias.detach(), image)


def test_the_generator_alone_decides_and_a_second_output_leaves_the_first_as_it_was():
    before = torch.random.get_rng_state()
    one = linear.decoder(4, SHAPE, 1, generator(3))
    two = linear.decoder(4, SHAPE, 2, generator(3))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one.weight, two.weight)


def test_members_stacked_under_vmap_compute_what_each_computes_alone():
    nets = [linear.decoder(4, SHAPE, 2, generator(seed)).double() for seed in range(3)]
    stacked = {
        name: torch.stack([dict(net.named_parameters())[name].detach() for net in nets])
        for name, _ in nets[0].named_parameters()
    }
    z = torch.randn(5, 4, generator=generator(9), dtype=torch.float64)
    together = torch.vmap(lambda p: functional_call(nets[0], p, (z,)))(stacked)
    for member, net in enumerate(nets):
        torch.testing.assert_close(together[member], net(z), rtol=1e-12, atol=1e-12)


def test_declared_sizes_are_the_defaults():
    with_sizes = linear.decoder(4, SHAPE, 2, generator(), **linear.SIZES)
    assert torch.equal(with_sizes.weight, linear.decoder(4, SHAPE, 2, generator()).weight)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^outputs: a linear decoder has 1 or 2 per pixel, got 3"):
        linear.decoder(4, SHAPE, 3, generator())
    with pytest.raises(ValueError, match=r"^outputs: constant_scale and scale_bias need a second"):
        linear.decoder(4, SHAPE, 1, generator(), constant_scale=True)
    with pytest.raises(ValueError, match=r"^bias: shape \[1, 12\], expected \[12\]"):
        linear.decoder(4, SHAPE, 1, generator(), bias=torch.zeros(1, 12))
    with pytest.raises(ValueError, match=r"^weight_std, scale_std: must be positive, got -1"):
        linear.decoder(4, SHAPE, 1, generator(), weight_std=-1.0)
