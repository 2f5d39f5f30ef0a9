"""Optimisers against torch's own and against their formulas."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from paper_repro.errors import UserError
from paper_repro.training import optimizers

STEPS = 20


def _gradient(p: Tensor, step: int) -> Tensor:
    return torch.sin(3 * p + step) + p


def _run(settings: dict[str, Any], start: Tensor, steps: int = STEPS, pause: int = 0) -> Tensor:
    """Parameters after `steps` updates, the optimiser being rebuilt from its slots at `pause`."""
    p = start.clone()
    slots = optimizers.initial_slots(settings, [p])
    optimizer = optimizers.build(settings, [p], slots, 0)
    for step in range(steps):
        if step == pause:
            optimizer = optimizers.build(settings, [p], optimizer.slots, step)
        optimizer.rate(step, settings["lr"])
        optimizer.update([_gradient(p, step)])
    return p


@pytest.fixture
def start() -> Tensor:
    return torch.randn(13, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_adam_is_torch_s_adam(start: Tensor) -> None:
    p = start.clone().requires_grad_()
    reference = torch.optim.Adam([p], lr=0.03, betas=(0.8, 0.95), eps=1e-4, foreach=False)
    for step in range(STEPS):
        p.grad = _gradient(p.detach(), step)
        reference.step()
    ours = _run({"name": "adam", "lr": 0.03, "betas": [0.8, 0.95], "eps": 1e-4}, start)
    torch.testing.assert_close(ours, p.detach(), rtol=1e-12, atol=1e-12)


def test_sgd_subtracts_the_gradient(start: Tensor) -> None:
    ours = _run({"name": "sgd", "lr": 0.1}, start, steps=1)
    torch.testing.assert_close(ours, start - 0.1 * _gradient(start, 0))


def test_the_released_adam_starts_its_second_moments_at_one(start: Tensor) -> None:
    expected = []
    for value in start.tolist():
        m, v = 0.0, 1.0
        for t in range(1, STEPS + 1):
            g = math.sin(3 * value + t - 1) + value
            m, v = 0.99 * m + 0.01 * g, 0.999 * v + 0.001 * g * g
            rate = 0.05 * math.sqrt(1 - 0.999**t) / (1 - 0.99**t)
            value -= rate * m / (math.sqrt(v) + 1e-4)
        expected.append(value)
    ours = _run({"name": "adam_burda", "lr": 0.05}, start)
    torch.testing.assert_close(ours, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("name", ["adam", "adam_burda", "sgd"])
def test_rebuilt_from_its_slots_an_optimiser_goes_on_bit_for_bit(name: str, start: Tensor) -> None:
    settings = {"name": name, "lr": 0.02}
    assert torch.equal(_run(settings, start), _run(settings, start, pause=7))


@pytest.mark.parametrize("name", ["adam", "adam_burda", "sgd"])
def test_a_member_that_is_not_finite_leaves_the_others_alone(name: str, start: Tensor) -> None:
    settings = {"name": name, "lr": 0.02}
    pair = _run(settings, torch.stack([start, torch.full_like(start, math.nan)]))
    assert pair[1].isnan().all()
    torch.testing.assert_close(pair[0], _run(settings, start), rtol=1e-14, atol=1e-14)


def test_clipping_is_torch_s_module_by_module() -> None:
    generator = torch.Generator().manual_seed(1)
    names = ["encoder.a.weight", "encoder.b", "decoder.a.weight", "likelihood.log_gamma"]
    shapes = [(3, 4), (5,), (4, 3), ()]
    gradients = [5 * torch.randn(shape, generator=generator) for shape in shapes]
    gradients[2] *= 0.01  # short: stays
    expected = []
    for module in ("encoder", "decoder", "likelihood"):
        own = [i for i, name in enumerate(names) if name.startswith(module)]
        leaves = [torch.zeros(shapes[i], requires_grad=True) for i in own]
        for leaf, i in zip(leaves, own, strict=True):
            leaf.grad = gradients[i].clone()
        torch.nn.utils.clip_grad_norm_(leaves, 0.7)
        expected += [leaf.grad for leaf in leaves]
    pair = [torch.stack([g, torch.full_like(g, math.nan), 3 * g]) for g in gradients]
    again = [3 * g for g in gradients]
    short = gradients[2].clone()
    optimizers.clip_by_module(names, gradients, 0.7)
    torch.testing.assert_close(gradients, expected, rtol=1e-6, atol=0)
    assert torch.equal(gradients[2], short)
    optimizers.clip_by_module(names, again, 0.7)
    optimizers.clip_by_module(names, pair, 0.7, stacked=True)  # each member as if alone
    for member, alone in ((0, gradients), (2, again)):
        torch.testing.assert_close([g[member] for g in pair], alone, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "adamw", "lr": 1.0}, "optimizer.name: 'adamw' is not one of adam, adam_burda"),
        (
            {"name": "sgd", "lr": 1.0, "betas": [0.9, 0.9]},
            "betas: sgd takes clip, lr, name",
        ),
        ({"name": "sgd", "lr": 1.0, "clip": -1}, "optimizer.clip: 0 for none or a positive norm"),
    ],
)
def test_a_mistaken_setting_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        optimizers.initial_slots(settings, [])


@pytest.mark.parametrize("name", ["adam", "adam_burda", "sgd"])
def test_a_factor_multiplies_the_learning_rate_and_zero_leaves_a_parameter_alone(
    name: str, start: Tensor
) -> None:
    settings = {"name": name, "lr": 0.03}
    params = [start.clone() for _ in range(4)]
    slots = optimizers.initial_slots(settings, params)
    optimizer = optimizers.build(settings, params, slots, 0, [1.0, 0.0, 0.5, 1.0])
    for step in range(STEPS):
        optimizer.rate(step, 0.03)
        optimizer.update([_gradient(p, step) for p in params])
    plain, half = _run(settings, start), _run(settings | {"lr": 0.015}, start)
    torch.testing.assert_close(params, [plain, start, half, plain], rtol=1e-12, atol=1e-12)
    assert torch.equal(params[1], start)
    still = slots.get("first", [torch.zeros_like(start)] * 4)[1]
    assert not still.any()
