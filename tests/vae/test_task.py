"""Task vae: pairing over seeds and methods, state, bundles, schedules, ends and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from paper_repro.errors import UserError
from paper_repro.vae import task
from tests.training import problems
from tests.vae import tiny

REINFORCE = {"estimator": "reinforce", "latent": "categorical", "likelihood": "gaussian_gamma"}
BILBO = {"objective": "bilbo", "likelihood": "baggins", "latent_options": {"scale": 1.0}}
FROZEN = {
    "dataset": "color_digits",
    "preprocessing": "dequantised",
    "model": "mlp_standardised",
    "protocol": "frozen",
    "estimator": "exact_kl",
    "latent_options": {"scale": 1.0},
}
FLOW = {
    "prior": "flow",
    "prior_options": {"layers": 2, "hidden": 8},
    "likelihood": "gaussian_closed_form",
    "objective": "beta_elbo",
    "objective_options": {"beta": {"schedule": "linear", "from": 0.1, "to": 1.0}},
    "preprocessing": "dequantised",
}
SAMPLED = {"first": "exact_kl", "second": "score_function"}
LINEAR = {"decoder": "linear", "likelihood_options": {"variance": 0.05}, "centre": True}


@pytest.mark.parametrize(
    "changes",
    [
        {"estimator": "path"},
        {"estimator": "exact_kl", "objective": "beta_elbo", "k": 1},
        {"likelihood": "gaussian_gamma"},
        {"decoder": "linear"},
        tiny.GECO,
    ],
)
def test_runs_that_differ_in_the_method_are_pairs(changes: dict[str, Any]) -> None:
    """Equal weights of every part that both have, equal images in an equal order, equal noise."""
    first, second = tiny.build(3), tiny.build(3, **changes)
    other = tiny.build(4, **changes)
    shared = first.params.keys() & second.params.keys()
    assert any(name.startswith("encoder") for name in shared)
    assert all(
        torch.equal(first.params[n], second.params[n])
        for n in shared
        if not (n.startswith("decoder") and "decoder" in changes)
    )
    for step in range(3):
        a, b, c = (problem.draw(step) for problem in (first, second, other))
        assert torch.equal(a["rows"], b["rows"])
        assert torch.equal(a["z"], b["z"])
        assert not torch.equal(a["rows"], c["rows"])


def test_pixel_noise_does_not_depend_on_the_number_of_samples() -> None:
    first, second = (tiny.build(preprocessing="dequantised", k=k) for k in (1, 5))
    for step in range(3):
        a, b = first.draw(step), second.draw(step)
        assert torch.equal(a["rows"], b["rows"])
        assert torch.equal(a["uniform"], b["uniform"])


def test_an_epoch_visits_every_training_image_once_and_no_other() -> None:
    problem = tiny.build(batch_size=449)

    def images_of(step: int) -> Tensor:
        return tiny.preprocessed(problem.draw(step))

    assert tiny.is_one_epoch(images_of, 0, 3)
    assert tiny.is_one_epoch(images_of, 3, 3)
    assert not torch.equal(images_of(0), images_of(3))


@pytest.mark.parametrize(
    "changes",
    [
        tiny.GECO | tiny.BATCH_NORM,
        REINFORCE,
        tiny.GUIDED,
        FLOW,
    ],
    ids=["geco", "reinforce", "guided", "flow"],
)
def test_resumed_from_a_checkpoint_it_changes_no_number(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    whole, resumed = tiny.whole_and_resumed(lambda: tiny.build(**changes), tmp_path)
    assert torch.equal(whole.sums, resumed.sums)
    for ours, theirs in ((whole.params, resumed.params), (whole.state, resumed.state)):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    start = tiny.build(**changes).state
    moving = start.keys() - {"objective.kappa"}  # a threshold is a constant of its run
    assert all(not torch.equal(start[name], whole.state[name]) for name in moving)


@pytest.mark.parametrize(
    "changes",
    [
        {"estimator": "exact_kl", "likelihood": "gaussian_gamma", "objective": "iwae", "k": 3},
        tiny.GECO | tiny.BATCH_NORM,
        tiny.GUIDED,
        REINFORCE,
        BILBO,
        FROZEN | {"objective": "bilbo", "likelihood": "baggins", "latent_options": {}},
        FROZEN | {"objective": "bilbo_centred", "likelihood": "baggins"},
        FROZEN | {"objective": "bilbo_full", "likelihood": "gaussian_channel"},
        FLOW | {"estimator": "dreg", "objective": "iwae", "objective_options": {}, "k": 2},
        {"estimator": "gumbel_softmax", "latent": "bernoulli", **LINEAR},
    ],
    ids=[
        *("iwae", "geco", "guided", "reinforce", "bilbo", "fitted", "centred", "full"),
        *("flow", "linear"),
    ],
)
def test_seeds_that_train_together_get_the_numbers_they_get_alone(changes: dict[str, Any]) -> None:
    assert tiny.agrees_with_its_members(lambda seed: tiny.build(seed, **changes))


@pytest.mark.parametrize(
    ("changes", "gain"),
    [
        ({"estimator": "exact_kl", "likelihood": "gaussian_gamma", "lr": 1e-2}, 30.0),
        ({"estimator": "silent", "latent": "bernoulli", **LINEAR, "lr": 1e-2}, 5.0),
    ],
)
def test_three_hundred_steps_raise_the_bound(changes: dict[str, Any], gain: float) -> None:
    live = tiny.bundle(tiny.build(steps=300, batch_size=64, **changes))
    losses = []
    for _ in range(2):
        live.sums.zero_()
        tiny.steps(live, 30)
        losses.append(float(live.sums[0]) / 30)
        if len(losses) == 1:
            tiny.steps(live, 240)
    assert losses[1] < losses[0] - gain


def test_batch_statistics_move_in_training_and_stay_in_evaluation() -> None:
    problem = tiny.build(**tiny.BATCH_NORM)
    before = {name: tensor.clone() for name, tensor in problem.state.items()}
    live = tiny.steps(tiny.bundle(problem), 1)
    assert before.keys() == live.state.keys()
    assert all(not torch.equal(before[name], live.state[name]) for name in before)
    state = {name: tensor.clone() for name, tensor in live.state.items()}
    problem.evaluate(live.member(0, live.params), live.state, 20)
    assert all(torch.equal(state[name], live.state[name]) for name in state)
    _, moved, _ = problem.loss(live.params, live.state, problem.draw(1))  # training goes on
    assert all(not torch.equal(state[name], moved[name]) for name in state)


def test_the_multiplier_grows_until_the_constraint_holds() -> None:
    options = {"objective_options": {"rate": 0.05, "clip": 0.2}, "lr": 1e-2, "batch_size": 64}
    live = tiny.bundle(tiny.build(steps=400, estimator="exact_kl", **tiny.GECO, **options))
    names = list(live.problems[0].log_units)
    found = []
    for count in (20, 360, 20):
        live.sums.zero_()
        tiny.steps(live, count)
        found.append(dict(zip(names, (live.sums[1:] / count).tolist(), strict=True)))
    assert found[0]["violation_RE"] > 5  # in sse/image, of a threshold of 64 * 0.04 = 2.56
    assert abs(found[2]["violation_RE"]) < 0.5
    multiplier = live.state["objective.log_multiplier"].exp()
    assert multiplier.shape == (1,)
    assert live.problems[0].log_units["violation_RE"] == "sse/image"
    assert found[2]["multiplier_RE"] == pytest.approx(float(multiplier), rel=0.2)


def test_scheduled_options_enter_with_the_batch() -> None:
    spec = {"schedule": "exponential", "from": 1.0, "to": 0.25}
    problem = tiny.build(
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
    rate = tiny.build(lr={"schedule": "halve", "from": 4e-3, "every": 0.25}).learning_rate
    assert rate is not None
    assert [rate(step) for step in (0, 5, 19)] == [4e-3, 2e-3, 5e-4]


def test_marks_are_evaluated_on_the_way_as_curves() -> None:
    problem = tiny.build(marks=[0.25, 0.5])
    assert problem.evaluate_at == (5, 10)
    weights = {name: p.detach() for name, p in problem.params.items()}
    kinds = [{row.kind for row in problem.evaluate(weights, {}, s)} for s in (5, 20)]
    assert kinds == [{"curve"}, {"final"}]


def test_divergence_ends_in_a_status_and_never_in_an_exception(tmp_path: Path) -> None:
    cell = tiny.cell(lr=1e30, likelihood="gaussian_gamma")
    out = problems.train(cell, tmp_path, build=task.build)
    assert problems.record(out)["status"] == "diverged"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 2000}, "batch_size: 2000 exceeds the 1347 training images"),
        ({"sizes": {"depth": 3}}, "sizes: unknown key 'depth'; allowed: .*hidden"),
        ({"sizes": {"hidden": [0]}}, r"sizes\.hidden\.0: 0 is less than the minimum of 1"),
        (
            {"latent_options": {"signed": True}},
            "latent_options: unknown key 'signed'; allowed: scale",
        ),
        (
            {"latent_options": {"scale": -1}},
            r"latent_options\.scale: -1 is not 'learned' or a positive",
        ),
        (
            {"likelihood_options": {"gamma": 1}},
            "likelihood_options: unknown key 'gamma'; allowed: link, variance",
        ),
        (
            {"likelihood_options": {"variance": -1}},
            r"likelihood_options\.variance: -1 is less than",
        ),
        ({"estimator_options": {"c": 1}}, "estimator_options: unknown key 'c'"),
        ({"estimator": "rloo"}, "estimator 'rloo' needs 2 samples, not 1"),
        (
            {"objective": "beta_elbo", "objective_options": {"beta": -1}},
            r"objective_options\.beta: -1 is less than",
        ),
        ({"lr": "fast"}, "lr"),
        ({"prior": "flow", "dim": 1}, "prior_options or dim: dim: a coupling layer"),
        (
            {"prior": "flow", "latent": "bernoulli", "estimator": "reinforce"},
            "estimator 'reinforce' cannot serve prior 'flow'",
        ),
        ({"prior": "flow", "prior_options": {"width": 2}}, "prior_options: unknown key 'width'"),
        ({"prior_options": {"layers": 2}}, "prior_options: the standard prior has none"),
        ({"guide": "linear"}, "guide: works with estimator 'annealed' only"),
        (tiny.GUIDED | tiny.GECO, "guide: its likelihood has no place"),
        (
            tiny.GUIDED | {"likelihood": "gaussian_closed_form", "estimator_options": SAMPLED},
            "guide: needs likelihood gaussian, gaussian_gamma or gaussian_pixel",
        ),
        (
            tiny.GUIDED | {"likelihood_options": {"link": "sigmoid"}},
            "guide: needs the identity as the likelihood's link",
        ),
        ({"decoder": "linear", "estimator": "silent", "likelihood": "bernoulli"}, "silent"),
        (
            {"likelihood": "gaussian_pixel", "decoder": "linear"}
            | {"likelihood_options": {"clamp": [0, 1]}},
            "likelihood_options.clamp",
        ),
        ({"rates": {"prior": 0}}, r"rates\.prior: the model has encoder, decoder$"),
    ],
)
def test_a_mistake_is_named_before_anything_trains(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        task.build(tiny.checked(tiny.cell(**changes)), 0, "cpu")
