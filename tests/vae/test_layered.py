"""The VAE of one and two stochastic layers: pairing over estimators, gradients, pruned units."""

from __future__ import annotations

import pytest
import torch

from paper_repro.data import catalogue
from paper_repro.vae.layered import prune
from paper_repro.vae.protocols.importance import log_weights
from tests.vae import burda


@pytest.mark.parametrize("layers", [1, 2])
def test_runs_that_differ_in_the_estimator_share_weights_batches_and_noise(layers: int) -> None:
    first, second = (burda.build(3, estimator=name, layers=layers) for name in ("total", "path"))
    other = burda.build(4, layers=layers)
    for name in first.params:
        assert torch.equal(first.params[name], second.params[name])
    for step in range(3):
        a, b, c = (problem.draw(step) for problem in (first, second, other))
        assert {"rows", "uniform"} < a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)
        assert not any(torch.equal(a[name], c[name]) for name in a)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("objective", ["elbo", "iwae"])
def test_path_and_total_give_the_decoder_the_same_gradient(layers: int, objective: str) -> None:
    gradients = []
    for name in ("total", "path"):
        problem = burda.build(estimator=name, layers=layers, objective=objective, k=5)
        loss, _, _ = problem.loss(problem.params, {}, problem.draw(0))
        loss.backward()
        gradients.append({n: w.grad for n, w in problem.params.items()})
    total, path = gradients
    for name in total:
        same = torch.allclose(total[name], path[name], rtol=1e-4, atol=1e-5)
        assert same == (not name.startswith("encoder")), name


def test_training_raises_the_bound() -> None:
    problem = burda.build(steps=300)
    optimiser = torch.optim.Adam(problem.params.values(), lr=1e-3, eps=1e-4)
    losses = []
    for step in range(300):
        loss, _, _ = problem.loss(problem.params, {}, problem.draw(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item() / 20)
    assert sum(losses[-50:]) / 50 < sum(losses[:50]) / 50 - 0.5


@pytest.mark.parametrize("layers", [1, 2])
def test_pruning_units_that_carry_nothing_changes_no_bound(layers: int) -> None:
    """A unit whose posterior and prior are N(0, 1) and that nothing reads is no unit."""
    model = burda.model(layers=layers)
    params = model.parameters_by_name()
    keep = [torch.tensor([True, False] * (n // 2)) for n in (4 * layers, 4)[:layers]]
    pruned = prune(params, keep)
    again = prune(pruned, keep)
    assert all(torch.equal(pruned[name], again[name]) for name in pruned)
    x = (catalogue.load("digits").test[:10].flatten(1) > 8).float()
    full, cut = (
        log_weights(model, weights)(x, 20, torch.Generator().manual_seed(0))
        for weights in (pruned, again)
    )
    assert torch.equal(full, cut)
    values = log_weights(model, pruned)(x, 20, torch.Generator().manual_seed(0))
    posterior = model.posterior(pruned, x)
    log_joint = model.log_joint(pruned, x, posterior)
    generator = torch.Generator().manual_seed(0)
    noise = {
        n: torch.randn(s, generator=generator) for n, s in model.noise_shapes(20, len(x)).items()
    }
    dead = "z" if layers == 1 else "h1"
    noise[dead] = noise[dead] + 3 * (~keep[0]).float()  # move only the removed units
    z = posterior.rsample(noise)
    moved = sum(log_joint(z)) - posterior.log_prob(z)
    torch.testing.assert_close(moved, values, rtol=1e-4, atol=1e-3)
