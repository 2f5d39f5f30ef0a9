"""What task vae trains on under constraints, against definitions written by hand in float64."""

from __future__ import annotations

import math
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

from paper_repro.data import catalogue
from paper_repro.training.problem import Problem, Tensors
from paper_repro.vae.data import Pixels
from paper_repro.vae.parts import classifier
from tests.vae import constrained, tiny

F64 = torch.float64
CLASSIFIED = {"classifier_steps": 20, "kappa": 0}
LISTED = {
    "RE": {"kappa": 0.25},
    "PNCC": {"kappa": 0, "constraints": {"PNCC": 0.7}, "patch": {"patch": 5, "stride": 3}},
    "FRE": CLASSIFIED | {"constraints": {"FRE": 0.5}},
    "CLA": CLASSIFIED | {"constraints": {"CLA": 0.9}},
    "RE,CLA": CLASSIFIED | {"kappa": 0.25, "constraints": {"CLA": 0.9}},
}
HALF = {"likelihood_options": {"link": "sigmoid", "variance": 0.5}}
LOG_MULTIPLIERS = (math.log(3.0), math.log(0.5))  # a start at which no two terms are alike


def first_step(problem: Problem) -> tuple[Tensors, Tensors, Tensors]:
    """Parameters, state and first batch in float64, as the loss computes from now on; the
    multipliers at 3 and 1/2."""
    loss, seen_with = problem.loss, Pixels.preprocess_with

    def seen_in_float64(*arguments: Any) -> Tensor:
        return seen_with(*arguments).double()

    def in_float64(*arguments: Any) -> Any:
        with mock.patch.object(Pixels, "preprocess_with", seen_in_float64):
            return loss(*arguments)

    problem.loss = in_float64
    state = constrained.double(problem.state)
    if "objective.log_multiplier" in state:
        count = len(state["objective.log_multiplier"])
        state["objective.log_multiplier"] = torch.tensor(LOG_MULTIPLIERS[:count], dtype=F64)
        state["objective.kappa"] = state["objective.kappa"].mul(1e6).round().div(1e6)
    return constrained.double(problem.params), state, constrained.double(problem.draw(0))


@pytest.fixture(autouse=True)
def doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The classifier in the precision of what it looks at."""
    forward = classifier.forward

    def in_its_precision(weights: Tensors, x: Tensor) -> Any:
        return forward({name: w.to(x) for name, w in weights.items()}, x)

    monkeypatch.setattr(classifier, "forward", in_its_precision)


def digits_of(x: Tensor) -> Tensor:
    """The labels of training images [B, 64], found by their pixels: no two digits are equal."""
    data, labels = catalogue.load("digits"), catalogue.labels("digits")["train"]
    same = (data.train.flatten(1)[None] == (16 * x).round()[:, None]).all(-1)
    assert same.sum(1).tolist() == [1] * len(x)
    return labels[same.int().argmax(1)]


def violations(x: Tensor, mean: Tensor) -> dict[str, Tensor]:
    """Every constraint of LISTED, averaged over the batch."""
    frozen = classifier.trained("digits", 20, "cpu")
    products = []
    for a, b in zip(x.unflatten(1, (8, 8)), mean.unflatten(1, (8, 8)), strict=True):
        for row in (0, 3):
            for column in (0, 3):
                at = slice(row, row + 5), slice(column, column + 5)
                p, q = a[at] - a[at].mean(), b[at] - b[at].mean()
                norms = [part.square().sum().sqrt() + 1e-3 for part in (p, q)]
                products.append((p * q).sum() / norms[0] / norms[1])
    right = frozen.probabilities(mean)[torch.arange(len(x)), digits_of(x)]
    shift = frozen.features(x) - frozen.features(mean)
    return {
        "RE": (x - mean).square().sum(1).mean() - 64 * 0.25**2,
        "PNCC": 0.7 - torch.stack(products).mean(),
        "FRE": shift.square().mean() - 0.5**2,
        "CLA": 0.9 - right.mean(),
    }


@pytest.mark.parametrize("estimator", ["total", "exact_kl"])
@pytest.mark.parametrize("names", LISTED)
def test_the_first_loss_is_the_kl_and_each_violation_times_its_multiplier(
    names: str, estimator: str
) -> None:
    problem = constrained.build(estimator=estimator, **LISTED[names])
    params, state, batch = first_step(problem)
    loss, _, logs = problem.loss(params, state, batch)
    x, seen = tiny.preprocessed(batch).double(), constrained.by_hand(params, batch)

    def energy(mean: Tensor) -> Tensor:
        found = violations(x, mean)
        pairs = zip(names.split(","), LOG_MULTIPLIERS, strict=False)
        return torch.stack([math.exp(at) * found[name] for name, at in pairs]).sum()

    # both estimators have the sampled value; that of the KL's closed form is in the gradient
    expected = seen.log_ratio.mean() + energy(seen.mean)
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)
    assert torch.equal(logs["bound"], -loss.detach())
    trained = seen.divergence if estimator == "exact_kl" else seen.log_ratio
    leaves = list(params.values())
    ours = torch.autograd.grad(loss, leaves)
    theirs = torch.autograd.grad(trained.mean() + energy(seen.mean), leaves, retain_graph=True)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)
    # mistakes that a looser test would pass: the wrong sign, the mean code instead of a draw
    for wrong in (-energy(seen.mean), energy(seen.at_the_mean)):
        assert abs(float((loss - seen.log_ratio.mean() - wrong).detach())) > 1e-5
        mistaken = torch.autograd.grad(trained.mean() + wrong, leaves, retain_graph=True)
        away = [float((a - b).abs().max()) for a, b in zip(ours, mistaken, strict=True)]
        assert max(away) > 1e-5


@pytest.mark.parametrize("names", LISTED)
def test_the_logs_are_rate_error_multipliers_and_violations_of_the_draw(names: str) -> None:
    problem = constrained.build(**LISTED[names])
    params, state, batch = first_step(problem)
    _, _, logs = problem.loss(params, state, batch)
    x, seen = tiny.preprocessed(batch).double(), constrained.by_hand(params, batch)
    mse = (x - seen.mean).square().mean()
    expected = {"rate": seen.log_ratio.mean(), "mse": mse}
    units = {"bound": "nats/image", "rate": "nats/image", "mse": "mse/pixel"}
    for name, log_multiplier in zip(names.split(","), LOG_MULTIPLIERS, strict=False):
        expected[f"violation_{name}"] = violations(x, seen.mean)[name]
        expected[f"multiplier_{name}"] = torch.tensor(log_multiplier, dtype=F64).exp()
        units[f"violation_{name}"] = "sse/image" if name == "RE" else "1"
        units[f"multiplier_{name}"] = "1"
    if "RE" in names.split(","):
        expected["relative_mse"], units["relative_mse"] = mse / 0.25**2, "1"
    assert problem.log_units == units
    assert logs.keys() == {"bound", *expected}
    for name, value in expected.items():
        torch.testing.assert_close(logs[name], value.detach(), rtol=1e-7, atol=1e-9)
        assert not logs[name].requires_grad


def test_a_step_moves_each_multiplier_by_its_violation_over_its_threshold() -> None:
    """log lambda += clip(5e-3 C / scale, -0.02, 0.02), scale D kappa^2 of RE and kappa of CLA."""
    problem = constrained.build(**LISTED["RE,CLA"])
    params, state, batch = first_step(problem)
    _, after, _ = problem.loss(params, state, batch)
    x, seen = tiny.preprocessed(batch).double(), constrained.by_hand(params, batch)
    found = violations(x, seen.mean)
    changes = [5e-3 * found["RE"] / (64 * 0.25**2), 5e-3 * found["CLA"] / 0.9]
    assert all(1e-4 < abs(float(change.detach())) < 0.02 for change in changes)
    expected = state["objective.log_multiplier"] + torch.stack(changes)
    torch.testing.assert_close(after["objective.log_multiplier"], expected.detach())
    average = torch.stack([found["RE"], found["CLA"]]).detach()
    torch.testing.assert_close(after["objective.violation_average"], average)
    assert torch.equal(after["objective.kappa"], state["objective.kappa"])
    assert bool(after["objective.started"])


@pytest.mark.parametrize(
    ("changes", "weight", "precision", "normaliser"),
    [
        ({"objective": "elbo"}, 1.0, 1.0, 1.0),
        ({"objective": "elbo", **HALF}, 1.0, 2.0, 1.0),
        ({"objective": "beta_elbo", "objective_options": {"beta": 0.1}}, 0.1, 1.0, 1.0),
        ({"objective": "gqn", "objective_options": {"precision": 0.25}}, 1.0, 0.25, 0.25),
    ],
)
def test_the_baselines_are_elbos_of_the_same_decoder(
    changes: dict[str, Any], weight: float, precision: float, normaliser: float
) -> None:
    problem = constrained.build(**constrained.ELBO | changes)
    params, state, batch = first_step(problem)
    assert state == {}
    loss, _, logs = problem.loss(params, state, batch)
    x, seen = tiny.preprocessed(batch).double(), constrained.by_hand(params, batch)
    sse = (x - seen.mean).square().sum(1).mean()
    variance = changes.get("likelihood_options", {}).get("variance", 1)
    constant = normaliser * 32 * math.log(2 * math.pi * variance)
    expected = 0.5 * precision * sse + constant + weight * seen.log_ratio.mean()
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)
    assert set(logs) == set(problem.log_units) == {"bound", "rate", "mse"}
    torch.testing.assert_close(logs["mse"], sse.detach() / 64)


def test_a_learned_variance_starts_at_one_and_moves_at_its_own_rate() -> None:
    learned = {"likelihood": "gaussian_gamma", "rates": {"likelihood": 10}}
    problem = constrained.build(**constrained.ELBO, **learned)
    params, _, batch = first_step(problem)
    params["likelihood.log_gamma"] = torch.tensor(-2.0, dtype=F64, requires_grad=True)
    loss, _, logs = problem.loss(params, {}, batch)
    x, seen = tiny.preprocessed(batch).double(), constrained.by_hand(params, batch)
    sse, gamma = (x - seen.mean).square().sum(1).mean(), math.exp(-2)
    expected = sse / (2 * gamma) + 32 * math.log(2 * math.pi * gamma) + seen.log_ratio.mean()
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-9)
    assert float(logs["gamma"]) == pytest.approx(gamma)
    assert problem.params["likelihood.log_gamma"].detach() == 0
    assert problem.rates == {"likelihood.log_gamma": 10.0}
    assert problem.log_units["gamma"] == "mse/pixel"


def test_a_fixed_beta_of_variance_one_half_is_geco_at_the_multiplier_one_over_beta() -> None:
    """Gradients: beta KL + ||x - g||^2 = beta (KL + ||x - g||^2 / beta)."""
    options = {"objective_options": {"beta": 0.2}, **HALF}
    fixed = constrained.build(**constrained.ELBO | {"objective": "beta_elbo"} | options)
    free = constrained.build()
    params, state, batch = first_step(free)
    state["objective.log_multiplier"] = torch.tensor([math.log(5.0)], dtype=F64)
    first_step(fixed)
    ours = torch.autograd.grad(fixed.loss(params, {}, batch)[0], list(params.values()))
    theirs = torch.autograd.grad(free.loss(params, state, batch)[0], list(params.values()))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, 0.2 * b, rtol=1e-6, atol=1e-10)
    assert max(float(g.abs().max()) for g in ours) > 1e-3
