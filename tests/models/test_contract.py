"""What every encoder and decoder promises, whatever its architecture."""

from __future__ import annotations

import inspect
import math
import subprocess
import sys
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.func import functional_call

from paper_repro import registry
from tests.models import checks
from tests.models.checks import tensors

LATENT, HEADS = 3, 2


class Small(NamedTuple):
    model: str
    shape: tuple[int, int, int]
    sizes: dict


SMALL = [
    Small("mlp", (1, 4, 3), {"hidden": [6, 5], "activation": "gelu", "layer_norm": True}),
    Small("mlp", (1, 1, 7), {"hidden": [6], "activation": "tanh", "weights": "he"}),
    Small("wae", (1, 8, 8), {"base_dim": 2, "stages": 3}),
    Small("wae", (3, 7, 12), {"base_dim": 2, "stages": 2}),
    Small("infogan", (1, 8, 8), {"base_dim": 2, "fc_dim": 6}),
    Small("infogan", (3, 12, 8), {"base_dim": 2, "fc_dim": 6, "spectral_norm": False}),
    Small("resnet", (1, 8, 8), {"base_dim": 3, "fc_dim": 6, "num_scale": 3}),
    Small("resnet", (3, 4, 4), {"base_dim": 3, "fc_dim": 6, "num_scale": 1}),
    Small("conv", (1, 8, 8), {"widths": [4, 8], "groups": 2}),
    Small("conv", (3, 7, 5), {"widths": [4, 8, 8, 8], "groups": 2}),
]
EVERY = pytest.mark.parametrize("small", SMALL, ids=lambda s: f"{s.model}-{s.shape[1]}")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def encoder(small: Small, seed: int = 0) -> nn.Module:
    build = registry.load("models", small.model).encoder
    return build(small.shape, HEADS * LATENT, generator(seed), **small.sizes)


def decoder(small: Small, seed: int = 0, outputs: int = 2) -> nn.Module:
    build = registry.load("models", small.model).decoder
    return build(LATENT, small.shape, outputs, generator(seed), **small.sizes)


def normal(*shape: int, seed: int = 9) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def pair(small: Small, seed: int = 0) -> list[tuple[nn.Module, torch.Tensor]]:
    """Encoder and decoder in float64, each with an input of its own."""
    pixels = math.prod(small.shape)
    return [
        (encoder(small, seed).double(), normal(5, pixels)),
        (decoder(small, seed).double(), normal(2, 5, LATENT)),
    ]


@EVERY
def test_flat_in_and_flat_out_with_any_leading_axes(small):
    pixels = math.prod(small.shape)
    encode, decode = encoder(small).eval(), decoder(small).eval()
    assert encode(torch.zeros(5, pixels)).shape == (5, HEADS * LATENT)
    assert encode(torch.zeros(pixels)).shape == (HEADS * LATENT,)
    assert decode(torch.zeros(5, LATENT)).shape == (5, 2 * pixels)
    assert decode(torch.zeros(2, 3, 5, LATENT)).shape == (2, 3, 5, 2 * pixels)
    assert decode(torch.zeros(0, LATENT)).shape == (0, 2 * pixels)


@EVERY
def test_leading_axes_are_one_batch(small):
    for net, x in pair(small):
        flat = x.reshape(-1, x.shape[-1])
        found, expected = (functional_call(net, tensors(net), (a,)) for a in (x, flat))
        assert torch.equal(found.reshape(expected.shape), expected)


@EVERY
def test_sizes_are_the_defaults_and_both_networks_take_them_all(small):
    module = registry.load("models", small.model)
    for build in (module.encoder, module.decoder):
        parameters = inspect.signature(build).parameters
        found = {
            name: list(p.default) if isinstance(p.default, tuple) else p.default
            for name, p in parameters.items()
            if p.kind is p.KEYWORD_ONLY
        }
        assert found == module.SIZES == registry.constant("models", small.model, "SIZES")


@EVERY
def test_the_generator_alone_decides_the_weights(small):
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    for build in (encoder, decoder):
        first, again, other = (tensors(build(small, seed)) for seed in (1, 1, 2))
        assert first.keys() == again.keys() == other.keys()
        assert all(torch.equal(first[name], again[name]) for name in first)
        weights = [name for name in first if first[name].dim() > 1]
        assert not any(torch.equal(first[name], other[name]) for name in weights)
    assert torch.equal(torch.random.get_rng_state(), before)


@EVERY
def test_every_weight_is_drawn_independently(small):
    for build in (encoder, decoder):
        assert checks.weights_are_drawn_independently(build(small))


@EVERY
def test_a_gradient_reaches_every_parameter(small):
    for net, x in pair(small):
        for mode in (True, False):
            net.train(mode).zero_grad()
            weight = normal(*net(x).shape, seed=1)
            (net(x) * weight).sum().backward()
            for name, p in net.named_parameters():
                assert p.grad is not None
                assert p.grad.isfinite().all(), name
                if not mode:  # a bias in front of batch norm has none in training
                    assert p.grad.any(), name


@EVERY
def test_decoder_output_is_first_output_then_second_each_channel_first(small):
    assert checks.first_output_comes_first(decoder(small), small.shape, LATENT)


@EVERY
def test_evaluation_is_of_each_example_alone(small):
    for net, x in pair(small):
        assert checks.evaluation_is_of_each_example_alone(net, x.reshape(-1, x.shape[-1]))


@pytest.mark.parametrize("small", [s for s in SMALL if s.model != "mlp"], ids=str)
def test_encoder_sees_channels_rows_and_columns_in_that_order(small):
    encode, seen = encoder(small).eval(), []
    encode.body.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.arange(2.0 * math.prod(small.shape)).reshape(2, *small.shape)
    encode(images.flatten(1))
    assert torch.equal(seen[0], images)


@EVERY
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_members_stacked_under_vmap_compute_what_each_computes_alone(small, training):
    for which in (0, 1):
        members = [pair(small, seed)[which][0].train(training) for seed in range(3)]
        x = pair(small)[which][1]
        xs = torch.stack([x, x + 1, 2 * x])
        alone = [tensors(net) for net in members]
        stacked = {name: torch.stack([t[name] for t in alone]) for name in alone[0]}
        names = {name for name, _ in members[0].named_parameters()}

        def run(values, x, net=members[0]):
            values = {name: t.clone() for name, t in values.items()}
            return functional_call(net, values, (x,)), values

        def loss(values, x, run=run):
            out, after = run(values, x)
            return out.sin().sum(), after

        def differentiable(values, names=names):
            return {
                name: t.clone().requires_grad_() if name in names else t.clone()
                for name, t in values.items()
            }

        together = differentiable(stacked)
        losses, after = torch.vmap(loss)(together, xs)
        losses.sum().backward()
        for member, values in enumerate(map(differentiable, alone)):
            expected, expected_after = loss(values, xs[member])
            expected.backward()
            torch.testing.assert_close(losses[member], expected, rtol=1e-10, atol=1e-10)
            for name, t in values.items():
                if name in names:
                    found = together[name].grad[member]
                    torch.testing.assert_close(found, t.grad, rtol=1e-8, atol=1e-8)
                else:
                    found = after[name][member]
                    torch.testing.assert_close(found, expected_after[name], rtol=1e-10, atol=0)


@EVERY
def test_a_functional_call_moves_the_buffers_it_is_given_and_not_the_modules_own(small):
    for net, x in pair(small):
        assert checks.calls_keep_to_their_buffers(net, x)


@EVERY
def test_what_does_not_fit_is_refused_by_name(small):
    module = registry.load("models", small.model)
    for net, x in pair(small):
        with pytest.raises(ValueError, match=r"^x: last axis"):
            net(x[..., :-1])
    for shape in ((1, 8), (0, 8, 8), (1, 8, 0)):
        with pytest.raises(ValueError, match=r"^shape: "):
            module.encoder(shape, 2, generator(), **small.sizes)
        with pytest.raises(ValueError, match=r"^shape: "):
            module.decoder(2, shape, 1, generator(), **small.sizes)
    with pytest.raises(ValueError, match=r"^outputs: 0"):
        module.encoder(small.shape, 0, generator(), **small.sizes)
    with pytest.raises(ValueError, match=r"^outputs: 0"):
        module.decoder(2, small.shape, 0, generator(), **small.sizes)
    with pytest.raises(ValueError, match=r"^latent: 0"):
        module.decoder(0, small.shape, 1, generator(), **small.sizes)
    for name, value in module.SIZES.items():
        zero = {int: 0, list: [0]}.get(type(value))
        if zero is not None:
            with pytest.raises(ValueError, match=rf"^{name}: "):
                module.encoder(small.shape, 2, generator(), **small.sizes | {name: zero})


@pytest.mark.parametrize("model", ["infogan", "resnet", "wae"])
@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_outside_its_range_is_refused_by_name(model, decay):
    with pytest.raises(ValueError, match=r"^norm_decay: "):
        registry.load("models", model).encoder((1, 8, 8), 2, generator(), norm_decay=decay)


def test_importing_the_models_costs_no_more_than_torch():
    names = sorted({s.model for s in SMALL})
    code = (
        "import sys, importlib, torch; before = set(sys.modules);"
        f"[importlib.import_module('paper_repro.models.' + name) for name in {names}];"
        "print([m for m in set(sys.modules) - before if m.startswith('torch')],"
        " 'torchvision' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"
