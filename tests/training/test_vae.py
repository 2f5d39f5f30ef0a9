"""The VAE task: its schedule, its pairing over estimators and its measurements."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from paper_repro.training.tasks import vae

from paper_repro import parameters
from paper_repro.cell import Cell
from paper_repro.data import catalogue
from paper_repro.training.memory import Memory
from paper_repro.training.streams import stream
from paper_repro.vae.layered import LayeredVAE, prune
from paper_repro.vae.protocols.importance import evaluate_vae, gradient_variance, log_weights


def cell(**changes: Any) -> Cell:
    chosen = {
        "dataset": "digits",
        "estimator": "path",
        "objective": "elbo",
        "layers": 1,
        "k": 1,
        "steps": 40,
        "width": 16,
        "latent": 4,
        "samples": 50,
        "test_images": 40,
        "train_images": 20,
    } | changes
    params = parameters.complete("sticking_the_landing", "vae", chosen, "test")
    return Cell("s", "e", "c", "smoke", "vae", params)


def test_the_staged_rates_are_those_of_the_released_code() -> None:
    epochs = sum(3**i for i in range(8))
    rates = [vae.learning_rate(epoch, epochs, 8) for epoch in range(epochs)]
    counts = {rate: rates.count(rate) for rate in rates}
    expected = [1e-3, 7.2e-4, 5.2e-4, 3.7e-4, 2.7e-4, 1.9e-4, 1.4e-4, 1e-4]
    assert list(counts) == pytest.approx(expected)
    assert list(counts.values()) == [1, 3, 9, 27, 81, 243, 729, 2187]


@pytest.mark.parametrize("layers", [1, 2])
def test_runs_that_differ_in_the_estimator_share_weights_batches_and_noise(layers: int) -> None:
    first, second = (
        vae.build(cell(estimator=name, layers=layers), 3, "cpu") for name in ("total", "path")
    )
    other = vae.build(cell(layers=layers), 4, "cpu")
    for name in first.params:
        assert torch.equal(first.params[name], second.params[name])
    for step in range(3):
        a, b, c = (problem.draw(step) for problem in (first, second, other))
        assert all(torch.equal(a[name], b[name]) for name in a)
        assert not torch.equal(a["x"], c["x"])


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("objective", ["elbo", "iwae"])
def test_path_and_total_give_the_decoder_the_same_gradient(layers: int, objective: str) -> None:
    gradients = []
    for name in ("total", "path"):
        problem = vae.build(cell(estimator=name, layers=layers, objective=objective, k=5), 0, "cpu")
        loss, _, _ = problem.loss(problem.params, {}, problem.draw(0))
        loss.backward()
        gradients.append({n: w.grad for n, w in problem.params.items()})
    total, path = gradients
    for name in total:
        same = torch.allclose(total[name], path[name], rtol=1e-4, atol=1e-5)
        assert same == (not name.startswith("encoder")), name


def test_training_raises_the_bound() -> None:
    problem = vae.build(cell(steps=300), 0, "cpu")
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
    p = cell(layers=layers).params
    data = catalogue.load("digits")
    model = LayeredVAE(p, 64, torch.full((64,), 0.3), stream(0, "init"))
    params = model.parameters_by_name()
    keep = [torch.tensor([True, False] * (n // 2)) for n in (4 * layers, 4)[:layers]]
    pruned = prune(params, keep)
    again = prune(pruned, keep)
    assert all(torch.equal(pruned[name], again[name]) for name in pruned)
    x = (data.test[:10].flatten(1) > 8).float()
    full, cut = (
        log_weights(model, weights)(x, 20, torch.Generator().manual_seed(0))
        for weights in (pruned, again)
    )
    assert torch.equal(full, cut)
    noise_moved = log_weights(model, pruned)
    z_only = torch.Generator().manual_seed(0)
    values = noise_moved(x, 20, z_only)
    posterior, log_joint = model.bind(pruned, x)
    generator = torch.Generator().manual_seed(0)
    noise = {
        n: torch.randn(s, generator=generator) for n, s in model.noise_shapes(20, len(x)).items()
    }
    dead = "z" if layers == 1 else "h1"
    noise[dead] = noise[dead] + 3 * (~keep[0]).float()  # move only the removed units
    z = posterior.rsample(noise)
    moved = sum(log_joint(z)) - posterior.log_prob(z)
    torch.testing.assert_close(moved, values, rtol=1e-4, atol=1e-3)


def test_evaluation_rows_carry_units_and_do_not_depend_on_the_estimator() -> None:
    p = cell().params
    data = catalogue.load("digits")
    model = LayeredVAE(p, 64, torch.full((64,), 0.3), stream(0, "init"))
    params = model.parameters_by_name()
    rows = evaluate_vae(model, params, data, p, 0, "cpu", Memory())
    again = evaluate_vae(model, params, data, dict(p) | {"estimator": "total"}, 0, "cpu", Memory())
    assert rows == again
    by = {(row.metric, row.split, row.at): row.value for row in rows}
    nll = by["nll", "test", "binarisation=fixed,samples=50"]
    elbo = by["elbo", "test", ""]
    assert -elbo > nll > 0  # the 50-sample bound is the tighter one
    assert elbo == pytest.approx(-by["rate", "test", ""] - by["distortion", "test", ""])


def test_gradient_variance_agrees_with_the_covariance_of_stored_gradients() -> None:
    p = dict(cell(compare=["total", "path"], gradient_draws=64).params)
    model = LayeredVAE(p, 64, torch.full((64,), 0.3), stream(0, "init"))
    params = model.parameters_by_name()
    x = (catalogue.load("digits").train[:20].flatten(1) > 8).float()
    rows = gradient_variance(model, params, x, p, torch.Generator().manual_seed(5), Memory())
    from paper_repro.estimators import path, total

    for row, estimator in zip(rows, (total, path), strict=True):
        generator = torch.Generator().manual_seed(5)
        draws = []
        for _ in range(64):
            posterior, log_joint = model.bind(params, x)
            noise = {"z": torch.randn(1, 20, 4, generator=generator)}
            t = estimator.terms(posterior, log_joint, noise)
            elbo = (t.log_likelihood + t.log_prior - t.log_posterior).mean()
            encoder = [w for n, w in params.items() if n.startswith("encoder")]
            g = torch.autograd.grad(elbo, encoder)
            draws.append(torch.cat([part.flatten() for part in g]).double())
        expected = torch.stack(draws).var(0).sum().item()
        assert row.value == pytest.approx(expected, rel=1e-5)
