"""Logged gradient norms are those of gradients taken image by image; watching changes no number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from paper_repro.errors import UserError
from paper_repro.training.problem import check
from paper_repro.vae.parts import gradient_norms
from tests.vae import tiny

GAMMA = {"likelihood": "gaussian_gamma", "estimator": "exact_kl"}


def image_by_image(k: int) -> dict[str, float]:
    """The norms from one backward pass per draw of z and image, by the likelihood's formula."""
    problem = tiny.build(**GAMMA, k=k)
    batch = problem.draw(0)
    params = problem.params
    x, gamma = tiny.preprocessed(batch), params["likelihood.log_gamma"].detach().exp()

    def layers(part: str, value: Tensor) -> Tensor:
        """The tiny MLP: one hidden tanh layer."""
        names = [n for n in params if n.startswith(part)]
        w1, b1, w2, b2 = (params[n].detach() for n in names)
        return torch.tanh(value @ w1.T + b1) @ w2.T + b2

    mean, log_scale = layers("encoder", x).chunk(2, -1)
    norms, squares = [], 0.0
    for sample in range(k):
        for image in range(len(x)):
            z = (mean + log_scale.exp() * batch["z"][sample])[image].clone().requires_grad_()
            loss = (x[image] - layers("decoder", z)).square().sum() / (2 * gamma)
            (gradient,) = torch.autograd.grad(loss, z)
            norms.append(float(gradient.norm()))
            squares += float(gradient.square().sum())
    own = sum(norms) / len(norms)
    batch_norm = squares**0.5 / len(norms)
    return {"grad_z": own, "grad_z_eq3": 2 * own, "grad_z_batch": batch_norm}


def misses(k: int, norms: Callable[..., Any] = gradient_norms.norms) -> bool:
    problem = tiny.build(**GAMMA, k=k, watch=True)
    leaves = {n: p.detach().clone().requires_grad_() for n, p in problem.params.items()}
    problem.loss(leaves, problem.state, problem.draw(0))[0].backward()
    found = norms(leaves.items())({n: p.grad for n, p in leaves.items()})
    wanted = image_by_image(k)
    return any(abs(float(found[n]) / v - 1) > 1e-4 for n, v in wanted.items())


@pytest.mark.parametrize("k", [1, 3])
def test_norms_are_those_of_gradients_taken_image_by_image(k: int) -> None:
    assert not misses(k)


def test_wrong_norms_are_caught() -> None:
    def of_the_mean(params: Any) -> Callable[..., dict[str, Tensor]]:
        """The mean over the batch taken before the norm."""

        def watch(gradients: dict[str, Tensor]) -> dict[str, Tensor]:
            probe = gradients[gradient_norms.PROBE]
            own = probe.sum((0, 1)).norm()
            return {"grad_z": own, "grad_z_eq3": 2 * own, "grad_z_batch": probe.norm()}

        return watch

    assert misses(1, of_the_mean)


def test_other_gradients_are_those_of_the_first_decoder_and_last_encoder_weight() -> None:
    problem = tiny.build(**GAMMA, watch=True)
    leaves = {n: p.detach().clone().requires_grad_() for n, p in problem.params.items()}
    problem.loss(leaves, problem.state, problem.draw(0))[0].backward()
    gradients = {n: p.grad for n, p in leaves.items() if p.grad is not None}
    found = problem.watch(gradients) if problem.watch else {}
    shapes = {n: g.shape for n, g in gradients.items() if g.ndim == 2}
    (first,) = [n for n, s in shapes.items() if n.startswith("decoder") and s == (8, 2)]
    (last,) = [n for n, s in shapes.items() if n.startswith("encoder") and s == (4, 8)]
    assert found["grad_decoder"] == gradients[first].norm()
    assert found["grad_encoder"] == gradients[last].norm()


@pytest.mark.parametrize("changes", [GAMMA, {**GAMMA, **tiny.BATCH_NORM}])
def test_watching_changes_no_parameter(changes: dict[str, Any]) -> None:
    plain, seen = (
        tiny.steps(tiny.bundle(tiny.build(**changes, watch=watch)), 5) for watch in (False, True)
    )
    assert all(torch.equal(seen.params[name], p) for name, p in plain.params.items())
    assert not seen.params[gradient_norms.PROBE].any()


def test_a_bundle_logs_what_its_members_log_alone() -> None:
    assert tiny.agrees_with_its_members(lambda seed: tiny.build(seed, **GAMMA, watch=True))


def test_what_is_promised_is_logged() -> None:
    problem = tiny.build(**GAMMA, watch=True)
    check(problem)
    assert gradient_norms.UNITS.items() <= dict(problem.log_units).items()


def test_there_must_be_a_sampled_z_and_a_network_behind_it() -> None:
    for changes in (
        {"decoder": "linear", "estimator": "silent"},
        {"latent": "bernoulli", "estimator": "reinforce"},
        tiny.GECO,
    ):
        with pytest.raises(UserError, match=r"^test: watch: "):
            tiny.checked(tiny.cell(**changes, watch=True))
