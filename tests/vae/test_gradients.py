"""Estimators compared on one minibatch: against exact gradients and on common noise."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from paper_repro.errors import UserError
from paper_repro.estimators import path, total
from paper_repro.training.memory import Memory
from paper_repro.training.problem import Problem
from paper_repro.vae.interface import Images
from paper_repro.vae.layered import Layered
from paper_repro.vae.parts import gradients
from tests.vae import tiny

DISCRETE = ["silent", "gumbel_softmax", "reinforce", "score_function", "rloo"]
LINEAR = {"decoder": "linear", "likelihood_options": {"variance": 0.05}, "centre": True}


def built(draws: int = 200, **changes: Any) -> Problem:
    return tiny.build(**({"gradient_draws": draws, "latent": "bernoulli"} | changes))


def measured(problem: Problem, step: int = 20) -> dict[tuple[str, str], float]:
    """(estimator, statistic) -> value, at the initial weights."""
    params = {name: p.detach() for name, p in problem.params.items()}
    rows = [r for r in problem.evaluate(params, problem.state, step) if r.estimator]
    assert {(r.split, r.unit, r.kind) for r in rows} == {
        ("train", "1", "final" if step == 20 else "curve")
    }
    return {(r.estimator, r.metric.removeprefix("encoder_gradient_")): r.value for r in rows} | {
        ("at", r.at): 1.0 for r in rows
    }


def test_beside_a_closed_form_only_biased_estimators_are_biased() -> None:
    found = measured(built(**LINEAR, estimator="silent", compare=DISCRETE))
    assert ("at", "exact=closed_form") in found
    assert found["silent", "relative_variance"] == found["silent", "relative_bias"] == 0
    assert found["silent", "cosine"] == pytest.approx(1)
    for name in DISCRETE[1:]:  # the length of an error of many dimensions is nearly its own rms
        ratio = found[name, "relative_bias"] / found[name, "relative_bias_noise"]
        assert (ratio > 3) == (name == "gumbel_softmax"), name
        assert -1 <= found[name, "cosine"] < 1
    assert found["reinforce", "relative_variance"] < found["score_function", "relative_variance"]
    assert found["rloo", "relative_variance"] < found["score_function", "relative_variance"]


def test_without_a_closed_form_the_first_unbiased_estimator_is_the_reference() -> None:
    names = ["gumbel_softmax_st", "rloo", "score_function"]
    found = measured(built(40, estimator="reinforce", compare=names))
    assert ("at", "exact=mean") in found
    assert found["rloo", "relative_bias"] < 1e-12 < found["rloo", "relative_bias_noise"]
    assert found["score_function", "relative_bias"] > 1e-3


@pytest.mark.parametrize(
    ("changes", "exact"),
    [
        ({"variance_form": "EXP"}, "closed_form"),
        ({"variance_form": "EXP2"}, "mean"),
        ({"variance_form": "SQ"}, "mean"),
        ({"variance_form": "SQ", "latent": "gaussian"}, "closed_form"),
    ],
)
def test_a_surrogate_is_not_taken_for_the_exact_gradient(
    changes: dict[str, Any], exact: str
) -> None:
    linear = {"decoder": "linear", "likelihood": "gaussian_pixel", "estimator": "silent"}
    found = measured(built(2, **linear, compare=["score_function"], **changes))
    assert ("at", f"exact={exact}") in found


def test_an_estimator_s_numbers_do_not_depend_on_its_company_nor_on_how_often_one_looks() -> None:
    problem = built(8, **LINEAR, estimator="silent", compare=["rloo", "gumbel_softmax"])
    first = measured(problem)
    other = measured(built(8, **LINEAR, estimator="silent", compare=["gumbel_softmax", "rloo"]))
    measured(problem, 5)
    assert first == measured(problem) == other


def test_statistics_are_those_of_the_draws() -> None:
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(21, 5, dtype=torch.float64, generator=generator) + 1
    exact = torch.ones(5, dtype=torch.float64)
    found = gradients._statistics(draws.split(8), exact)
    trace = draws.var(0).sum()
    expected = {
        "relative_variance": trace / 5,
        "relative_bias": (draws.mean(0) - exact).norm() / 5**0.5,
        "relative_bias_noise": (trace / 21 / 5).sqrt(),
        "cosine": torch.cosine_similarity(draws, exact.expand_as(draws)).mean(),
    }
    assert found == pytest.approx({name: float(v) for name, v in expected.items()}, rel=1e-12)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_variance_is_the_trace_of_the_covariance_of_stored_gradients(layers: int) -> None:
    p = {"layers": layers, "dim": 4, "sizes": {"width": 16}, "likelihood": "bernoulli"}
    images = Images((1, 8, 8), torch.full((64,), 0.3), 0.1)
    model = Layered(p, images, lambda *part: torch.Generator().manual_seed(0))
    weights = model.parameters_by_name()
    x = (torch.rand(20, 64, generator=torch.Generator().manual_seed(1)) > 0.7).float()
    asked = {"compare": ["total", "path"], "gradient_draws": 40}
    noise = torch.Generator().manual_seed(5)
    rows = gradients.gradient_variance(model, weights, x, asked, noise, Memory())
    encoder = [w for name, w in weights.items() if name.startswith("encoder")]
    for row, estimator in zip(rows, (total, path), strict=True):
        noise.manual_seed(5)
        stored = []
        for _ in range(40):
            posterior = model.posterior(weights, x)
            shapes = posterior.noise_shapes(1).items()
            draw = {name: torch.randn(shape, generator=noise) for name, shape in shapes}
            terms = estimator.terms(posterior, model.log_joint(weights, x, posterior), draw)
            elbo = (terms.log_likelihood + terms.log_prior - terms.log_posterior).mean()
            found = torch.autograd.grad(elbo, encoder)
            stored.append(torch.cat([g.double().flatten() for g in found]))
        assert row.value == pytest.approx(float(torch.stack(stored).var(0).sum()), rel=1e-9)


def test_measuring_moves_no_batch_statistics_and_no_weights() -> None:
    problem = built(4, **tiny.BATCH_NORM, estimator="rloo", k=2, compare=["rloo"])
    tensors = {**problem.params, **problem.state}
    before = {name: t.detach().clone() for name, t in tensors.items()}
    assert measured(problem)["rloo", "relative_variance"] > 0
    assert all(torch.equal(before[name], t) for name, t in tensors.items())
    assert all(p.grad is None for p in problem.params.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gradient_draws": 4}, "gradient_draws: at least 2 with `compare`"),
        ({"compare": ["total"]}, "gradient_draws: at least 2 with `compare`"),
        ({"compare": ["total"], "gradient_draws": 4, "objective": "iwae"}, "compare: .* 'iwae'"),
        ({"compare": ["silent"], "gradient_draws": 4}, "compare: .*unbiased"),
        ({"compare": ["total", "silent"], "gradient_draws": 4}, "compare: .*'silent' needs"),
    ],
)
def test_what_cannot_be_compared_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tiny.build(**changes)
