"""Protocol bounds: rows of a model against closed forms, and what is measured of which model."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.func import functional_call

from paper_repro.data import catalogue
from paper_repro.models import mlp
from paper_repro.training.problem import Problem
from paper_repro.vae import data as images
from paper_repro.vae import trained
from paper_repro.vae.model import EncoderDecoder
from tests.vae import tiny

BILBO = {"objective": "bilbo", "likelihood": "baggins", "latent_options": {"scale": 1.0}}
LINEAR = {"decoder": "linear", "likelihood_options": {"variance": 0.05}, "centre": True}


def rows_of(problem: Problem, **at: Any) -> dict[tuple[str, str], float]:
    """The rows of the untrained model, or of other weights."""
    weights = {name: p.detach() for name, p in problem.params.items()} | at
    found = problem.evaluate(weights, problem.state, 20)
    return {(row.metric, row.at): row.value for row in found}


def test_evaluation_does_not_depend_on_how_many_images_are_decoded_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = tiny.build(**tiny.BATCH_NORM, likelihood="gaussian_closed_form")
    whole = rows_of(problem)
    monkeypatch.setattr(trained, "VALUES", {"cpu": 5 * 64})
    parts = rows_of(problem)
    exact = [key for key in whole if "mean" in key[1] or key[0] in ("rate", "active_units")]
    assert len(exact) >= 5
    assert [parts[key] for key in exact] == pytest.approx([whole[key] for key in exact], rel=1e-5)


def test_sampled_bounds_agree_with_the_closed_form_of_a_linear_decoder() -> None:
    shared = {**LINEAR, "samples": 2000, "test_images": 20}
    for latent in ("gaussian", "bernoulli"):
        found = rows_of(tiny.build(latent=latent, estimator="silent", **shared))
        exact = found["elbo", "estimate=closed_form"]
        sampled, bound = found["elbo", "samples=2000"], found["iwae", "samples=2000"]
        assert exact == pytest.approx(sampled, abs=0.05)
        assert exact == -(
            found["rate", "estimate=closed_form"] + found["distortion", "estimate=closed_form"]
        )
        assert bound > exact


def test_the_importance_bound_of_a_linear_decoder_reaches_the_exact_evidence() -> None:
    """x = W z + b + noise: log p(x) = log N(x; b, W W^T + variance I)."""
    problem = tiny.build(**LINEAR, samples=4000, test_images=10)
    w, b = (problem.params[f"decoder.{name}"].detach().double() for name in ("weight", "bias"))
    x = catalogue.load("digits").test[:10].flatten(1) / 16
    covariance = w @ w.T + 0.05 * torch.eye(64)
    exact = torch.distributions.MultivariateNormal(b, covariance).log_prob(x.double()).mean()
    found = rows_of(problem)
    gap = float(exact) - found["elbo", "estimate=closed_form"]
    assert gap > 0.5
    assert 0 < float(exact) - found["iwae", "samples=4000"] < 0.1 * gap


def test_a_variance_solved_in_training_is_frozen_from_the_training_images() -> None:
    found = rows_of(tiny.build(likelihood="gaussian_closed_form"))
    assert found["elbo", "samples=2"] == pytest.approx(
        found["elbo", "likelihood=refitted,samples=2"], rel=1e-6
    )
    gamma, sse = found["gamma", ""], found["sse", "z=sampled"]
    expected = 32 * math.log(2 * math.pi * gamma) + sse / (2 * gamma)
    assert found["distortion", "samples=2"] == pytest.approx(expected, rel=1e-5)
    batch = tiny.build(likelihood="gaussian_closed_form", train_images=300)
    assert rows_of(batch)["gamma", ""] != gamma


def test_bilbo_is_evaluated_under_the_prior_of_the_training_images() -> None:
    """At N(mu, 1) the mean rate is 1/2 sum_j [log s2_j + (1 + m2_j) / s2_j - 1]."""
    problem = tiny.build(**BILBO)
    found = rows_of(problem)
    data = catalogue.load("digits")
    net = mlp.encoder((1, 8, 8), 2, torch.Generator(), hidden=[8], activation="tanh")
    weights = {
        name.removeprefix("encoder."): p.detach()
        for name, p in problem.params.items()
        if name.startswith("encoder.")
    }
    train, test = (
        functional_call(net, weights, (pixels.flatten(1) / 16,)).detach()
        for pixels in (data.train[:16], data.test[:12])
    )
    prior, m2 = train.square().mean(0) + 1, test.square().mean(0)
    expected = 0.5 * (prior.log() + (1 + m2) / prior - 1).sum()
    assert found["rate", "estimate=closed_form"] == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("latent", "options", "values"),
    [
        ("bernoulli", {}, {-1.0, 1.0}),
        ("bernoulli", {"signed": False}, {0.0, 1.0}),
        ("categorical", {"classes": 3}, {0.0, 1.0}),
    ],
)
def test_discrete_latents_are_evaluated_with_hard_samples(
    latent: str, options: dict[str, Any], values: set[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    decode = EncoderDecoder.decode
    monkeypatch.setattr(
        EncoderDecoder, "decode", lambda self, w, z: (decoded.append(z), decode(self, w, z))[1]
    )
    problem = tiny.build(latent=latent, latent_options=options, estimator="gumbel_softmax")
    decoded.clear()
    found = rows_of(problem)
    assert {float(v) for z in decoded for v in z.unique()} == values
    assert ("mse", "z=sampled") in found
    assert ("mse", "z=mean") not in found


def test_bits_per_dim_are_given_for_densities_of_dequantised_pixels_alone() -> None:
    found = rows_of(tiny.build(preprocessing="dequantised"))
    expected = (-found["elbo", "samples=2"] / 64 + math.log(17)) / math.log(2)
    assert found["bits_per_dim", "samples=2"] == pytest.approx(expected, rel=1e-6)
    for changes in (
        {"preprocessing": "unit"},
        {"preprocessing": "binarised", "likelihood": "bernoulli"},
    ):
        assert ("bits_per_dim", "samples=2") not in rows_of(tiny.build(**changes))


def test_an_energy_is_given_no_bound_but_the_refitted_one() -> None:
    found = rows_of(tiny.build(likelihood="squared_error"))
    assert {at for metric, at in found if metric in ("elbo", "distortion", "iwae")} == {
        "likelihood=refitted,samples=2"
    }


def test_a_centred_model_starts_at_the_mean_image() -> None:
    data = images.load("digits", "unit", "cpu")
    constant = (data.test[:12] / 16 - data.images.mean).square().sum(1).mean()
    small = {"sizes": {"hidden": [8]}, "test_images": 12, "centre": True}
    silenced = {"decoder.head.weight": torch.zeros(64, 8)}
    for link in ("identity", "sigmoid"):
        problem = tiny.build(**small, likelihood_options={"link": link})
        found = rows_of(problem, **silenced)
        assert found["sse", "z=mean"] == pytest.approx(float(constant), rel=1e-3)
    raw = rows_of(tiny.build(**(small | {"centre": False})), **silenced)
    assert raw["sse", "z=mean"] > 2 * constant


def test_outputs_that_overflow_are_rows_that_say_so() -> None:
    problem = tiny.build(likelihood="gaussian_gamma")
    found = rows_of(problem, **{"encoder.head.weight": torch.full((4, 8), 1e30)})
    assert not math.isfinite(found["elbo", "samples=2"])
    assert math.isnan(found["mmd", ""])
