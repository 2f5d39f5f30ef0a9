"""Gradients at independent draws: one backward pass for many, common noise, repeats."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from paper_repro import contracts
from paper_repro.gradients.draws import (
    chunks,
    gradient,
    gradient_draws,
    per_draw,
    repeats,
    settled,
)
from paper_repro.training.streams import standard_normal

Tensors = dict[str, Tensor]


def _value(params: Tensors, noise: Tensors) -> Tensor:
    return (params["a"] * noise["x"]).sum().sin() + params["b"] * noise["x"][0]


def test_gradients_per_draw_equal_one_backward_pass_per_draw() -> None:
    generator = torch.Generator().manual_seed(0)
    params = {"a": torch.randn(3, generator=generator), "b": torch.tensor(2.0)}
    noise = {"x": torch.randn(5, 3, generator=generator)}
    found = per_draw(_value, params, noise)
    for i in range(5):
        leaves = {name: p.clone().requires_grad_() for name, p in params.items()}
        value = _value(leaves, {"x": noise["x"][i]})
        each = torch.autograd.grad(value, list(leaves.values()))
        for name, exact in zip(leaves, each, strict=True):
            torch.testing.assert_close(found[name][i], exact)


def test_gradients_per_draw_work_where_gradients_are_off_and_touch_nothing() -> None:
    params = {"a": torch.ones(3, requires_grad=True), "b": torch.tensor(2.0)}
    with torch.no_grad():
        found = per_draw(_value, params, {"x": torch.ones(2, 3)})
    assert found["a"].shape == (2, 3)
    assert params["a"].grad is None
    assert not params["b"].requires_grad


def test_a_parameter_that_the_value_ignores_has_gradient_zero() -> None:
    found = per_draw(
        lambda params, noise: (params["a"] * noise["x"]).sum(),
        {"a": torch.ones(3), "b": torch.tensor(2.0)},
        {"x": torch.ones(4, 3)},
    )
    assert found["b"].tolist() == [0.0] * 4


def test_chunks_cover_every_draw_once() -> None:
    assert list(chunks(10, 4)) == [4, 4, 2]
    assert list(chunks(3, 100)) == [3]
    assert list(chunks(2, 0)) == [1, 1]


def test_a_gradient_alone_is_that_of_its_draw_and_moves_nothing() -> None:
    params = {"a": torch.ones(3), "b": torch.tensor(2.0)}
    noise = {"x": torch.tensor([[1.0, 2.0, -0.5]])}
    alone = gradient(lambda p: _value(p, {"x": noise["x"][0]}), params)
    for name, found in per_draw(_value, params, noise).items():
        torch.testing.assert_close(alone[name], found[0])
    assert all(not p.requires_grad for p in params.values())
    assert gradient(lambda p: p["a"].sum(), params)["b"] == 0


def test_all_labels_see_the_same_draws_and_these_do_not_depend_on_the_labels() -> None:
    params = {"a": torch.ones(3), "b": torch.tensor(2.0)}

    def drawn(*labels: str) -> list[Tensors]:
        generator = torch.Generator().manual_seed(4)
        values = dict.fromkeys(labels, _value)
        batches = gradient_draws(values, params, {"x": (3,)}, generator, draws=7, chunk=3)
        return [batch["mine"] for batch in batches]

    for one, other in zip(drawn("mine"), drawn("other", "mine"), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in params)
    assert [len(batch["b"]) for batch in drawn("mine")] == [3, 3, 1]


def test_noise_has_the_asked_precision_and_its_draws_lead() -> None:
    shapes = {"x": (2, 3), "y": (4,)}
    found = standard_normal(shapes, torch.Generator(), 5, torch.float32)
    assert {n: tuple(t.shape) for n, t in found.items()} == {"x": (5, 2, 3), "y": (5, 4)}
    assert found["x"].dtype == torch.float32


def test_repeats_tell_a_gradient_that_varies_by_how_much() -> None:
    constant = [torch.tensor([1.0, 2.0]), torch.tensor(3.0)]
    assert repeats(lambda: constant, 4) == (True, 0.0)
    moving = iter([0.0, 0.5, -0.25])
    assert repeats(lambda: [torch.tensor(next(moving))], 3) == (False, 0.5)


def test_a_running_state_settles_where_its_average_goes_and_others_keep_none() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    seen = []

    class Averaging:
        OPTIONS, STATE = {"rate": 0.5}, {"mean": 0.0}

        def advance(self, terms: Tensor, mean: Tensor) -> Tensors:
            return {"mean": mean + 0.5 * (terms - mean)}

    def terms(**options: object) -> Tensor:
        seen.append(options)
        return torch.tensor(3.0)

    found = settled(Averaging(), terms, like)
    assert found["rate"] == 0.5
    assert found["mean"] == pytest.approx(3.0)
    assert found["mean"].dtype == torch.float64
    assert len(seen) == 50
    assert settled(contracts.estimator("path"), terms, like) == {}
    assert len(seen) == 50
