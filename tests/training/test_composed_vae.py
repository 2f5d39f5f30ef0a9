"""The composed task: pairing over seeds and methods, state, bundles, evaluation and refusals."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from paper_repro.training.tasks import composed_vae

from paper_repro.data import catalogue
from paper_repro.errors import UserError
from paper_repro.training import composed_data
from paper_repro.training.problem import Problem
from tests.training import composed, problems

REINFORCE = {"estimator": "reinforce", "latent": "categorical", "likelihood": "gaussian_gamma"}
BILBO = {"objective": "bilbo", "likelihood": "baggins", "latent_options": {"scale": 1.0}}
FLOW = {
    "prior": "flow",
    "prior_options": {"layers": 2, "hidden": 8},
    "likelihood": "gaussian_closed_form",
    "objective": "beta_elbo",
    "objective_options": {"beta": {"schedule": "linear", "from": 0.1, "to": 1.0}},
    "preprocessing": "dequantised",
}
LINEAR = {"decoder": "linear", "likelihood_options": {"variance": 0.05}, "centre": True}


def rows_of(problem: Problem, **at: Any) -> dict[tuple[str, str], float]:
    """The rows of the untrained model, or of other weights."""
    weights = {name: p.detach() for name, p in problem.params.items()} | at
    found = problem.evaluate(weights, problem.state, 20)
    return {(row.metric, row.at): row.value for row in found}


@pytest.mark.parametrize(
    "changes",
    [
        {"estimator": "path"},
        {"estimator": "exact_kl", "objective": "beta_elbo", "k": 1},
        {"likelihood": "gaussian_gamma"},
        {"decoder": "linear"},
        composed.GECO,
    ],
)
def test_runs_that_differ_in_the_method_are_pairs(changes: dict[str, Any]) -> None:
    """Equal weights of every part that both have, equal images in an equal order, equal noise."""
    first, second = composed.build(3), composed.build(3, **changes)
    other = composed.build(4, **changes)
    shared = first.params.keys() & second.params.keys()
    assert any(name.startswith("encoder") for name in shared)
    assert all(
        torch.equal(first.params[n], second.params[n])
        for n in shared
        if not (n.startswith("decoder") and "decoder" in changes)
    )
    for step in range(3):
        a, b, c = (problem.draw(step) for problem in (first, second, other))
        assert torch.equal(a["x"], b["x"])
        assert torch.equal(a["z"], b["z"])
        assert not torch.equal(a["x"], c["x"])


def test_pixel_noise_does_not_depend_on_the_number_of_samples() -> None:
    first, second = (composed.build(preprocessing="dequantised", k=k) for k in (1, 5))
    for step in range(3):
        assert torch.equal(first.draw(step)["x"], second.draw(step)["x"])


def test_an_epoch_visits_every_training_image_once_and_no_other() -> None:
    problem = composed.build(batch_size=449)
    assert composed.is_one_epoch(problem.draw, 0, 3)
    assert composed.is_one_epoch(problem.draw, 3, 3)
    assert not torch.equal(problem.draw(0)["x"], problem.draw(3)["x"])


@pytest.mark.parametrize(
    ("preprocessing", "levels"), [("unit", 17), ("binarised", 2), ("dequantised", 10**9)]
)
def test_pixels_are_what_the_preprocessing_says(preprocessing: str, levels: int) -> None:
    data = composed_data.load("digits", preprocessing, "cpu")
    images = data.train[:200]
    x = data.seen(images, torch.Generator().manual_seed(0))
    assert 0 <= x.min() <= x.max() <= 1
    assert len(x.unique()) <= levels
    if preprocessing == "dequantised":  # u in [0, 1) fills the bin of its level
        assert torch.equal((x * 17).floor().clamp(max=16), images.float())
        offset = x * 17 - images
        assert abs(offset.mean() - 0.5) < 6 * (1 / 12 / offset.numel()) ** 0.5
        assert torch.allclose(x.mean(0), data.images.mean, atol=0.15)
    else:
        assert abs((x - images / 16).mean()) < 0.02


@pytest.mark.parametrize(
    "changes",
    [
        composed.GECO | composed.BATCH_NORM,
        REINFORCE,
        composed.GUIDED,
        FLOW,
    ],
    ids=["geco", "reinforce", "guided", "flow"],
)
def test_resumed_from_a_checkpoint_it_changes_no_number(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    whole, resumed = composed.whole_and_resumed(lambda: composed.build(**changes), tmp_path)
    assert torch.equal(whole.sums, resumed.sums)
    for ours, theirs in ((whole.params, resumed.params), (whole.state, resumed.state)):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    start = composed.build(**changes).state
    moving = start.keys() - {"objective.kappa"}  # a threshold is a constant of its run
    assert all(not torch.equal(start[name], whole.state[name]) for name in moving)


@pytest.mark.parametrize(
    "changes",
    [
        {"estimator": "exact_kl", "likelihood": "gaussian_gamma", "objective": "iwae", "k": 3},
        composed.GECO | composed.BATCH_NORM,
        composed.GUIDED,
        REINFORCE,
        BILBO,
        FLOW | {"estimator": "dreg", "objective": "iwae", "objective_options": {}, "k": 2},
        {"estimator": "gumbel_softmax", "latent": "bernoulli", **LINEAR},
    ],
    ids=["iwae", "geco", "guided", "reinforce", "bilbo", "flow", "linear"],
)
def test_seeds_that_train_together_get_the_numbers_they_get_alone(changes: dict[str, Any]) -> None:
    assert composed.agrees_with_its_members(lambda seed: composed.build(seed, **changes))


@pytest.mark.parametrize(
    ("changes", "gain"),
    [
        ({"estimator": "exact_kl", "likelihood": "gaussian_gamma", "lr": 1e-2}, 30.0),
        ({"estimator": "silent", "latent": "bernoulli", **LINEAR, "lr": 1e-2}, 5.0),
    ],
)
def test_three_hundred_steps_raise_the_bound(changes: dict[str, Any], gain: float) -> None:
    live = composed.bundle(composed.build(steps=300, batch_size=64, **changes))
    losses = []
    for _ in range(2):
        live.sums.zero_()
        composed.steps(live, 30)
        losses.append(float(live.sums[0]) / 30)
        if len(losses) == 1:
            composed.steps(live, 240)
    assert losses[1] < losses[0] - gain


def test_batch_statistics_move_in_training_and_stay_in_evaluation() -> None:
    problem = composed.build(**composed.BATCH_NORM)
    before = {name: tensor.clone() for name, tensor in problem.state.items()}
    live = composed.steps(composed.bundle(problem), 1)
    assert before.keys() == live.state.keys()
    assert all(not torch.equal(before[name], live.state[name]) for name in before)
    state = {name: tensor.clone() for name, tensor in live.state.items()}
    problem.evaluate(live.member(0, live.params), live.state, 20)
    assert all(torch.equal(state[name], live.state[name]) for name in state)
    _, moved, _ = problem.loss(live.params, live.state, problem.draw(1))  # training goes on
    assert all(not torch.equal(state[name], moved[name]) for name in state)


def test_evaluation_does_not_depend_on_how_many_images_are_decoded_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from paper_repro.training import composed_evaluation

    problem = composed.build(**composed.BATCH_NORM, likelihood="gaussian_closed_form")
    whole = rows_of(problem)
    monkeypatch.setattr(composed_evaluation, "VALUES", {"cpu": 5 * 64})
    parts = rows_of(problem)
    exact = [key for key in whole if "mean" in key[1] or key[0] in ("rate", "active_units")]
    assert len(exact) >= 5
    assert [parts[key] for key in exact] == pytest.approx([whole[key] for key in exact], rel=1e-5)


def test_sampled_bounds_agree_with_the_closed_form_of_a_linear_decoder() -> None:
    shared = {**LINEAR, "samples": 2000, "test_images": 20}
    for latent in ("gaussian", "bernoulli"):
        found = rows_of(composed.build(latent=latent, estimator="silent", **shared))
        exact = found["elbo", "estimate=closed_form"]
        sampled, bound = found["elbo", "samples=2000"], found["iwae", "samples=2000"]
        assert exact == pytest.approx(sampled, abs=0.05)
        assert exact == -(
            found["rate", "estimate=closed_form"] + found["distortion", "estimate=closed_form"]
        )
        assert bound > exact


def test_the_importance_bound_of_a_linear_decoder_reaches_the_exact_evidence() -> None:
    """x = W z + b + noise: log p(x) = log N(x; b, W W^T + variance I)."""
    problem = composed.build(**LINEAR, samples=4000, test_images=10)
    w, b = (problem.params[f"decoder.{name}"].detach().double() for name in ("weight", "bias"))
    x = catalogue.load("digits").test[:10].flatten(1) / 16
    covariance = w @ w.T + 0.05 * torch.eye(64)
    exact = torch.distributions.MultivariateNormal(b, covariance).log_prob(x.double()).mean()
    found = rows_of(problem)
    gap = float(exact) - found["elbo", "estimate=closed_form"]
    assert gap > 0.5
    assert 0 < float(exact) - found["iwae", "samples=4000"] < 0.1 * gap


def test_a_variance_solved_in_training_is_frozen_from_the_training_images() -> None:
    found = rows_of(composed.build(likelihood="gaussian_closed_form"))
    assert found["elbo", "samples=2"] == pytest.approx(
        found["elbo", "likelihood=refitted,samples=2"], rel=1e-6
    )
    gamma, sse = found["gamma", ""], found["sse", "z=sampled"]
    expected = 32 * math.log(2 * math.pi * gamma) + sse / (2 * gamma)
    assert found["distortion", "samples=2"] == pytest.approx(expected, rel=1e-5)
    batch = composed.build(likelihood="gaussian_closed_form", train_images=300)
    assert rows_of(batch)["gamma", ""] != gamma


def test_bilbo_is_evaluated_under_the_prior_of_the_training_images() -> None:
    """At N(mu, 1) the mean rate is 1/2 sum_j [log s2_j + (1 + m2_j) / s2_j - 1]."""
    problem = composed.build(**BILBO)
    found = rows_of(problem)
    data = catalogue.load("digits")
    from torch.func import functional_call

    from paper_repro.models import mlp

    net = mlp.encoder((1, 8, 8), 2, torch.Generator(), hidden=[8], activation="tanh")
    weights = {
        name.removeprefix("encoder."): p.detach()
        for name, p in problem.params.items()
        if name.startswith("encoder.")
    }
    train, test = (
        functional_call(net, weights, (images.flatten(1) / 16,)).detach()
        for images in (data.train[:16], data.test[:12])
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
    from paper_repro.vae.model import VAE

    decoded = []
    decode = VAE.decode
    monkeypatch.setattr(
        VAE, "decode", lambda self, w, z: (decoded.append(z), decode(self, w, z))[1]
    )
    problem = composed.build(latent=latent, latent_options=options, estimator="gumbel_softmax")
    decoded.clear()
    found = rows_of(problem)
    assert {float(v) for z in decoded for v in z.unique()} == values
    assert ("mse", "z=sampled") in found
    assert ("mse", "z=mean") not in found


def test_bits_per_dim_are_given_for_densities_of_dequantised_pixels_alone() -> None:
    found = rows_of(composed.build(preprocessing="dequantised"))
    expected = (-found["elbo", "samples=2"] / 64 + math.log(17)) / math.log(2)
    assert found["bits_per_dim", "samples=2"] == pytest.approx(expected, rel=1e-6)
    for changes in (
        {"preprocessing": "unit"},
        {"preprocessing": "binarised", "likelihood": "bernoulli"},
        {"preprocessing": "dequantised", "likelihood": "bernoulli"},
    ):
        assert ("bits_per_dim", "samples=2") not in rows_of(composed.build(**changes))


def test_an_energy_is_given_no_bound_but_the_refitted_one() -> None:
    found = rows_of(composed.build(likelihood="squared_error"))
    assert {at for metric, at in found if metric in ("elbo", "distortion", "iwae")} == {
        "likelihood=refitted,samples=2"
    }


def test_a_centred_model_starts_at_the_mean_image() -> None:
    data = composed_data.load("digits", "unit", "cpu")
    constant = (data.test[:12] / 16 - data.images.mean).square().sum(1).mean()
    small = {"sizes": {"hidden": [8]}, "test_images": 12, "centre": True}
    silenced = {"decoder.head.weight": torch.zeros(64, 8)}
    for link in ("identity", "sigmoid"):
        problem = composed.build(**small, likelihood_options={"link": link})
        found = rows_of(problem, **silenced)
        assert found["sse", "z=mean"] == pytest.approx(float(constant), rel=1e-3)
    raw = rows_of(composed.build(**(small | {"centre": False})), **silenced)
    assert raw["sse", "z=mean"] > 2 * constant


def test_the_multiplier_grows_until_the_constraint_holds() -> None:
    options = {"objective_options": {"rate": 0.05, "clip": 0.2}, "lr": 1e-2, "batch_size": 64}
    live = composed.bundle(
        composed.build(steps=400, estimator="exact_kl", **composed.GECO, **options)
    )
    names = list(live.problems[0].log_units)
    found = []
    for count in (20, 360, 20):
        live.sums.zero_()
        composed.steps(live, count)
        found.append(dict(zip(names, (live.sums[1:] / count).tolist(), strict=True)))
    assert found[0]["violation_RE"] > 5  # in sse/image, of a threshold of 64 * 0.04 = 2.56
    assert abs(found[2]["violation_RE"]) < 0.5
    multiplier = live.state["objective.log_multiplier"].exp()
    assert multiplier.shape == (1,)
    assert live.problems[0].log_units["violation_RE"] == "sse/image"
    assert found[2]["multiplier_RE"] == pytest.approx(float(multiplier), rel=0.2)


def test_scheduled_options_enter_with_the_batch() -> None:
    spec = {"schedule": "exponential", "from": 1.0, "to": 0.25}
    problem = composed.build(
        estimator="gumbel_softmax", latent="bernoulli", estimator_options={"temperature": spec}
    )
    name = "schedule/estimator_options.temperature"
    assert [float(problem.draw(step)[name]) for step in (0, 10, 20)] == [1.0, 0.5, 0.25]
    batch = problem.draw(0)
    losses = [
        problem.loss(problem.params, problem.state, batch | {name: torch.tensor(t)})[0]
        for t in (1.0, 0.25)
    ]
    assert losses[0] != losses[1]
    rate = composed.build(lr={"schedule": "halve", "from": 4e-3, "every": 0.25}).learning_rate
    assert rate is not None
    assert [rate(step) for step in (0, 5, 19)] == [4e-3, 2e-3, 5e-4]


def test_marks_are_evaluated_on_the_way_as_curves() -> None:
    problem = composed.build(marks=[0.25, 0.5])
    assert problem.evaluate_at == (5, 10)
    weights = {name: p.detach() for name, p in problem.params.items()}
    kinds = [{row.kind for row in problem.evaluate(weights, {}, s)} for s in (5, 20)]
    assert kinds == [{"curve"}, {"final"}]


def test_divergence_ends_in_a_status_and_never_in_an_exception(tmp_path: Path) -> None:
    cell = composed.cell(lr=1e30, likelihood="gaussian_gamma")
    out = problems.train(cell, tmp_path, build=composed_vae.build)
    assert problems.record(out)["status"] == "diverged"


def test_outputs_that_overflow_are_rows_that_say_so() -> None:
    problem = composed.build(likelihood="gaussian_gamma")
    found = rows_of(problem, **{"encoder.head.weight": torch.full((4, 8), 1e30)})
    assert not math.isfinite(found["elbo", "samples=2"])
    assert math.isnan(found["mmd", ""])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 2000}, "batch_size: 2000 exceeds the 1347 training images"),
        ({"sizes": {"depth": 3}}, "sizes.depth: the networks take hidden"),
        ({"sizes": {"hidden": [0]}}, "sizes: hidden"),
        ({"latent_options": {"signed": True}}, "latent_options.signed: gaussian takes scale"),
        ({"latent_options": {"scale": -1}}, "latent_options: scale: must be"),
        ({"likelihood_options": {"gamma": 1}}, "likelihood_options.gamma: gaussian takes variance"),
        ({"likelihood_options": {"variance": -1}}, "variance: must be positive"),
        ({"estimator_options": {"c": 1}}, "estimator or objective: .*'c'"),
        ({"estimator": "rloo"}, "needs K >= 2"),
        ({"objective": "beta_elbo", "objective_options": {"beta": -1}}, "beta: -1"),
        ({"lr": "fast"}, "lr"),
        ({"prior": "flow", "dim": 1}, "prior_options or dim: dim: a coupling layer"),
        (
            {"prior": "flow", "latent": "bernoulli", "estimator": "reinforce"},
            "prior: 'flow' cannot",
        ),
        ({"prior": "flow", "prior_options": {"width": 2}}, "prior_options"),
        ({"prior_options": {"layers": 2}}, "prior_options: the standard prior has none"),
        ({"guide": "linear"}, "guide: serves estimator 'annealed' alone"),
        (composed.GUIDED | composed.GECO, "guide: its likelihood has no place"),
        (composed.GUIDED | {"likelihood": "bernoulli"}, "likelihood: a guide needs one of"),
        ({"constraints": [{"name": "RE", "kappa": 1}]}, "constraints: objective 'elbo' takes none"),
        ({"objective": "geco"}, "constraints: the objective 'geco' needs at least one"),
        (
            composed.GECO | {"constraints": [{"name": "CLA", "kappa": 0.9}]},
            r"constraints\.0\.name: 'CLA' is not one of RE, PNCC",
        ),
        (
            composed.GECO | {"constraints": [{"name": "RE", "kappa": 0}]},
            r"constraints\.0\.kappa: 0 is less than or equal to the minimum of 0",
        ),
        (
            composed.GECO | {"constraints": [{"name": "PNCC", "kappa": 0.5, "patch": 9}]},
            "patch: 9 exceeds the image",
        ),
        (
            composed.GECO | {"objective_options": {"speed": 1}},
            "objective_options.speed: geco takes multiplier",
        ),
        (
            composed.GECO | {"likelihood": "gaussian_gamma"},
            "does not train likelihood.log_gamma",
        ),
        ({"decoder": "linear", "estimator": "silent", "likelihood": "bernoulli"}, "silent"),
        (
            {"likelihood": "gaussian_pixel", "decoder": "linear"}
            | {"likelihood_options": {"clamp": [0, 1]}},
            "likelihood_options.clamp",
        ),
    ],
)
def test_a_mistake_is_named_before_anything_trains(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        composed.build(**changes)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda x: x.float() / 0, "pixels are not all whole numbers"),
        (lambda x: x * 0 + 17, "pixels are not all whole numbers 0..16"),
        (lambda x: x * 0, "are all equal"),
    ],
)
def test_a_data_set_with_impossible_pixels_is_refused(
    fault: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = catalogue.load("digits")
    bad = replace(good, train=fault(good.train))
    monkeypatch.setattr(catalogue, "load", lambda name: bad)
    with pytest.raises(UserError, match=f"dataset digits: .*{message}"):
        composed_data.load.__wrapped__("digits", "unit", "cpu")
