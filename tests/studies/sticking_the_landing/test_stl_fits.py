"""Facts about fitting toy posteriors with the estimators of the paper."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
import torch

from paper_repro.errors import UserError
from paper_repro.studies.sticking_the_landing.tasks import toys
from paper_repro.studies.sticking_the_landing.tasks.fit import banana_log_prob, kl_estimate
from paper_repro.studies.sticking_the_landing.tasks.gaussian_theory import kl, ratio
from paper_repro.training.problem import Problem
from paper_repro.training.streams import standard_normal

Train = Callable[..., pd.DataFrame]
SMALL = {"dim": 10, "gradient_draws": 200, "gradient_every": 100, "curve_points": 20}


def _final(frame: pd.DataFrame, metric: str) -> float:
    return float(frame[(frame["metric"] == metric) & (frame["kind"] == "final")]["value"].item())


def _curve(frame: pd.DataFrame, metric: str) -> pd.Series:
    return frame[(frame["metric"] == metric) & (frame["kind"] == "curve")].set_index("step")[
        "value"
    ]


def test_the_path_derivative_leaves_the_floor_of_the_total_derivative(train: Train) -> None:
    total, path = (
        train("gaussian_fit", estimator=name, steps=900, **SMALL) for name in ("total", "path")
    )
    assert _final(total, "kl_last100") > 0.02
    assert _final(path, "kl_last100") < 0.01 * _final(total, "kl_last100")
    variance = _curve(path, "gradient_variance_trace")
    assert variance[900] < 1e-2 * variance[0]
    assert _curve(total, "gradient_variance_trace")[900] > 10  # about 2 D + sum 1/s_p^2
    assert list(variance.index) == list(range(0, 901, 100))


def test_exact_entropy_trains_exactly_as_the_total_derivative(train: Train) -> None:
    total, entropy = (
        _curve(train("gaussian_fit", estimator=name, steps=60, **SMALL), "kl")
        for name in ("total", "exact_entropy")
    )
    assert len(total) == 20
    pd.testing.assert_series_equal(total, entropy, rtol=1e-9)


@pytest.mark.parametrize(("c", "estimator"), [(0.0, "total"), (1.0, "path")])
def test_the_ends_of_the_control_variate_are_total_and_path(
    train: Train, c: float, estimator: str
) -> None:
    weighted = train(
        "gaussian_fit", estimator="control_variate", score="fixed", c=c, steps=60, **SMALL
    )
    plain = train("gaussian_fit", estimator=estimator, steps=60, **SMALL)
    for metric in ("kl", "gradient_variance_trace"):
        pd.testing.assert_series_equal(_curve(weighted, metric), _curve(plain, metric), rtol=1e-9)


def test_a_scheduled_weight_starts_as_total_and_ends_as_path(train: Train) -> None:
    settings = {"steps": 900, **SMALL}
    frame = train("gaussian_fit", estimator="control_variate", score="schedule", **settings)
    total = train("gaussian_fit", estimator="total", **settings)
    start = _curve(frame, "gradient_variance_trace")[0]
    assert start == pytest.approx(_curve(total, "gradient_variance_trace")[0])
    assert _final(frame, "kl_last100") < 0.2 * _final(total, "kl_last100")


def test_the_running_weight_finds_the_optimum_of_theory(build: Callable[..., Problem]) -> None:
    """With q held still, -covariance/variance tends to s^2/s_p^2 for every parameter."""
    problem = build("gaussian_fit", estimator="control_variate", score="running", dim=3)
    state, sums = problem.state, {"mean": 0.0, "log_scale": 0.0}
    for step in range(900):
        _, state, _ = problem.loss(problem.params, state, problem.draw(step))
        if step >= 300:
            for name in sums:
                weight = -state[f"covariance_{name}"] / state[f"variance_{name}"]
                sums[name] = sums[name] + weight / 600
    target = {name: state[f"target_{name}"] for name in ("mean", "log_scale")}
    expected = ratio(problem.params, target)
    torch.testing.assert_close(sums["mean"], expected, rtol=0.05, atol=0)
    torch.testing.assert_close(sums["log_scale"], expected, rtol=0.3, atol=0)


def test_the_running_weight_gives_the_gradient_between_total_and_path(
    build: Callable[..., Problem],
) -> None:
    """The gradient is total + c score entry by entry, with the c of the averages before."""
    problem = build("gaussian_fit", estimator="control_variate", score="running", dim=3)
    batch, gradients = problem.draw(0), {}
    weight = torch.tensor([-1.0, 0.25, 2.0], dtype=torch.float64)
    ones = torch.ones_like(weight)
    for label, c in (("total", 0 * ones), ("path", ones), ("mixed", weight)):
        state = dict(problem.state)
        for name in ("mean", "log_scale"):
            state |= {f"variance_{name}": ones, f"covariance_{name}": -c}
        params = {name: p.clone().requires_grad_() for name, p in problem.params.items()}
        loss, _, _ = problem.loss(params, state, batch)
        gradients[label] = torch.stack(torch.autograd.grad(loss, list(params.values())))
    score = gradients["path"] - gradients["total"]
    torch.testing.assert_close(gradients["mixed"], gradients["total"] + weight * score)
    assert score.abs().min() > 1e-6


def test_the_running_weight_beats_the_total_derivative(train: Train) -> None:
    settings = {"steps": 900, **SMALL}
    frame = train("gaussian_fit", estimator="control_variate", score="running", **settings)
    total = train("gaussian_fit", estimator="total", **settings)
    assert _final(frame, "kl_last100") < 0.05 * _final(total, "kl_last100")


def test_score_and_estimator_must_match(build: Callable[..., Problem]) -> None:
    with pytest.raises(UserError, match="score: 'fixed' with estimator 'total'"):
        build("gaussian_fit", estimator="total", score="fixed")
    with pytest.raises(UserError, match="score: '' with estimator 'control_variate'"):
        build("gaussian_fit", estimator="control_variate")


@pytest.mark.parametrize(
    ("task", "estimators"),
    [
        ("gaussian_fit", ("total", "path")),
        ("mixture_fit", ("total", "partial")),
        ("flow_fit", ("total", "path")),
    ],
)
def test_start_target_and_noise_depend_on_the_seed_and_not_on_the_estimator(
    build: Callable[..., Problem], task: str, estimators: tuple[str, str]
) -> None:
    first, second = (build(task, estimator=name) for name in estimators)
    other = build(task, seed=1, estimator=estimators[0])
    for a, b in ((first.params, second.params), (first.state, second.state)):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)
    noise = [problem.draw(0)["z"] for problem in (first, second, other)]
    assert torch.equal(noise[0], noise[1])
    assert not torch.equal(noise[0], noise[2])
    constants = [name for name in first.state if name.startswith("target_")]
    assert any(not torch.equal(first.state[name], other.state[name]) for name in constants)


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("gaussian_fit", {"estimator": "control_variate", "score": "running", **SMALL}),
        ("gaussian_fit", {"estimator": "control_variate", "score": "schedule", **SMALL}),
        ("mixture_fit", {"estimator": "partial", "kl_draws": 100, "gradient_draws": 50}),
        ("mixture_fit", {"estimator": "path", "target": "banana", "kl_draws": 100}),
        ("flow_fit", {"estimator": "path", "kl_draws": 100, "gradient_draws": 50, "hidden": 4}),
    ],
)
def test_seeds_trained_together_end_as_they_do_alone(
    train: Train, task: str, settings: dict[str, object]
) -> None:
    together, alone = (
        train(task, seeds=(0, 3), together=flag, steps=20, **settings) for flag in (True, False)
    )
    assert together["seed"].nunique() == 2
    pd.testing.assert_frame_equal(together, alone, rtol=1e-6, atol=1e-9)


def test_a_mixture_lands_on_its_own_family_and_not_on_a_banana(train: Train) -> None:
    settings = {"steps": 500, "kl_draws": 2000, "gradient_draws": 200, "evaluate_every": 500}
    total, path = (train("mixture_fit", estimator=name, **settings) for name in ("total", "path"))
    banana = train("mixture_fit", estimator="path", target="banana", **settings)
    at_truth = "gradient_variance_trace_at_truth"
    assert _final(path, at_truth) < 1e-20
    assert _final(total, at_truth) > 0.1
    assert _final(path, "kl_final") < 0.3 * _final(total, "kl_final")
    assert _final(banana, "kl_final") > 10 * _final(path, "kl_final")
    assert at_truth not in set(banana["metric"])
    variance = "gradient_variance_trace"
    assert _curve(banana, variance)[500] > 10 * _curve(path, variance)[500]


def test_sampling_one_component_leaves_a_variance_at_the_truth(train: Train) -> None:
    sizes = {"steps": 1, "kl_draws": 100, "gradient_draws": 200}
    partial = train("mixture_fit", estimator="partial", **sizes)
    assert _final(partial, "gradient_variance_trace_at_truth") > 0.1


def test_a_flow_lands_on_a_flow(train: Train) -> None:
    settings = {"steps": 300, "kl_draws": 1000, "gradient_draws": 100, "evaluate_every": 300}
    total, path = (
        train("flow_fit", estimator=name, dim=2, hidden=4, **settings) for name in ("total", "path")
    )
    at_truth = "gradient_variance_trace_at_truth"
    assert _final(path, at_truth) < 1e-20
    assert _final(total, at_truth) > 1
    assert _final(path, "kl_final") < 0.5 * _final(total, "kl_final")


@pytest.mark.parametrize("shift", [1.0, 1e-3, 0.0])
def test_the_kl_estimate_meets_the_closed_form_near_and_far(shift: float) -> None:
    """One component is a Gaussian; near q = p the relative error stays small."""
    zero = torch.zeros(1, 2, dtype=torch.float64)
    truth = {"mean": zero[0], "log_scale": zero[0]}
    q = {"mean": zero[0] + shift, "log_scale": zero[0] - 0.3 * shift}
    model = toys.mixture_model(lambda z: -0.5 * z.square().sum(-1) - 1.8378770664093453)
    start = {"logits": zero[0, :1], "means": q["mean"][None], "log_scales": q["log_scale"][None]}
    toy = toys.Toy(start, model)
    noise = standard_normal(toy.noise_shapes(20_000), torch.Generator().manual_seed(0))
    assert kl_estimate(toy, noise) == pytest.approx(kl(q, truth).item(), rel=0.03, abs=1e-13)


def test_the_banana_is_a_density() -> None:
    grid = torch.linspace(-14, 14, 1401, dtype=torch.float64)
    z = torch.stack(torch.meshgrid(grid, torch.linspace(-8, 60, 3401, dtype=torch.float64),
                                   indexing="ij"), -1)  # fmt: skip
    assert banana_log_prob(z).exp().sum().item() * 0.02 * 0.02 == pytest.approx(1, abs=1e-6)
