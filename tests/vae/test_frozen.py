"""Protocol frozen: both evaluations against their formulas, and what makes no difference."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal
from torch.func import functional_call

from paper_repro import contracts, parameters
from paper_repro.errors import UserError
from paper_repro.models import mlp
from paper_repro.training.problem import Problem
from paper_repro.vae import data as images
from paper_repro.vae import whole_set
from paper_repro.vae.standardised import Standardised
from tests.vae import tiny

FROZEN = {
    "dataset": "color_digits",
    "preprocessing": "dequantised",
    "model": "mlp_standardised",
    "protocol": "frozen",
    "estimator": "exact_kl",
    "train_images": 600,  # more than a block
}
UNIT = {"latent_options": {"scale": 1.0}}
BILBO = {"objective": "bilbo", "likelihood": "baggins", **UNIT}
ROWS: dict[str, dict[str, Any]] = {
    "vae": {"likelihood": "gaussian_channel"},
    "pixel": {"likelihood": "gaussian_pixel", "likelihood_options": {"clamp": [-2, 16]}},
    "fitted": {"objective": "bilbo", "likelihood": "gaussian_channel"},
    "bilbo": {"objective": "bilbo", "likelihood": "gaussian_channel", **UNIT},
    "centred": {"objective": "bilbo_centred", "likelihood": "gaussian_channel", **UNIT},
    "full": {"objective": "bilbo_full", "likelihood": "gaussian_channel", **UNIT},
    "baggins": {"likelihood": "baggins"},
    "both": BILBO,
    "hard": BILBO | {"likelihood_options": {"variant": "B", "bits": 2.0}},
    "total": BILBO | {"likelihood_options": {"variant": "C", "bits": 2.0}},
}
Found = dict[tuple[str, str, str], float]
VALUES = 3 * 64


def build(**changes: Any) -> Problem:
    return tiny.build(**(FROZEN | changes))


def trained(problem: Problem, steps: int = 20) -> dict[str, Tensor]:
    live = tiny.steps(tiny.bundle(problem), steps)
    return live.member(0, live.params)


def tiny_model(row: dict[str, Any]) -> Standardised:
    """The model of a row, as the task builds it."""
    p = tiny.cell(**(FROZEN | row)).params
    data = images.load(p["dataset"], p["preprocessing"], "cpu")
    return Standardised(p, data.images, lambda *part: torch.Generator())


DATA = {
    False: lambda: images.load("color_digits", "dequantised", "cpu"),
    True: lambda: images.load("digits", "binarised", "cpu"),
}


def rows(problem: Problem, weights: dict[str, Tensor] | None = None, step: int = 20) -> Found:
    weights = weights or {name: p.detach() for name, p in problem.params.items()}
    found = problem.evaluate(weights, problem.state, step)
    return {(row.split, row.metric, row.at): row.value for row in found}


class Seen:
    """Training images as the protocol sees them, with the codes and means of a set of weights; by
    no code of the protocol but its noise."""

    def __init__(self, weights: dict[str, Tensor], scale: bool) -> None:
        data = images.load("color_digits", "dequantised", "cpu")
        self.x = torch.cat(
            [
                data.preprocess(
                    part,
                    whole_set.stream(0, "evaluation", data.name, "pixels", f"train {i}"),
                )
                for i, part in enumerate(data.train[:600].split(500))
            ]
        ).double()
        shape, (mean, spread) = data.images.shape, (data.images.mean, data.images.variance**0.5)
        options = {"hidden": [8], "activation": "tanh"}
        nets = {
            "encoder": mlp.encoder(shape, 2 if scale else 4, torch.Generator(), **options),
            "decoder": mlp.decoder(2, shape, 1, torch.Generator(), **options),
        }

        def call(name: str, value: Tensor) -> Tensor:
            own = {n.removeprefix(f"{name}."): w for n, w in weights.items() if name in n}
            return functional_call(nets[name], own, (value,)).detach()

        head = call("encoder", ((self.x - mean) / spread).float())
        self.mu = head[:, :2].double()
        self.sigma = torch.ones_like(self.mu) if scale else head[:, 2:].double().exp()
        drawn = [
            torch.randn(
                (1, len(part), 2),
                generator=whole_set.stream(0, "evaluation", data.name, "20", f"train {i}"),
            )[0]
            for i, part in enumerate(self.mu.split(500))
        ]
        self.z = self.mu + self.sigma * torch.cat(drawn).double()
        self.f = mean + spread * call("decoder", self.z.float()).double()


@pytest.mark.parametrize("name", ["vae", "fitted", "bilbo", "centred", "both", "hard"])
def test_both_evaluations_of_the_training_set_are_their_formulas(name: str) -> None:
    problem = build(**ROWS[name])
    weights = trained(problem)
    found = rows(problem, weights)
    seen = Seen(weights, scale="latent_options" in ROWS[name])
    mu, variance = seen.mu, seen.sigma.square()
    second = mu.square().mean(0) + variance.mean(0)
    priors = {
        "vae": (0.0, torch.ones(2)),
        "centred": (mu.mean(0), second - mu.mean(0) ** 2),
    }
    centre, spread = priors.get(name, (0.0, second))
    q = Independent(Normal(mu, seen.sigma), 1)

    def rate(mean: Any, variances: Tensor) -> float:
        p = Independent(Normal(torch.zeros(2).double() + mean, variances.double().sqrt()), 1)
        return float(torch.distributions.kl_divergence(q, p).mean())

    r2 = (seen.x - seen.f).square().reshape(600, 3, 64).mean((0, 2))
    s2 = seen.x.var(0, unbiased=False).reshape(3, 64).mean(1)
    gamma = {
        "both": r2 + s2 / (4.0**8 - 1),
        "hard": torch.maximum(r2, s2 / (4.0**2 - 1)),
    }.get(name)
    if gamma is None:
        gamma = weights["likelihood.log_gamma"].double().exp()
        assert gamma.shape == (3,)
    native = 32 * ((2 * math.pi * gamma).log() + r2 / gamma).sum()
    common = 0.5 * VALUES * (2 * math.pi * math.e * r2.mean()).log()
    expected = {
        "native": (rate(centre, spread), float(native)),
        "common": (rate(mu.mean(0), second - mu.mean(0) ** 2), float(common)),
    }
    for evaluation, (kl, distortion) in expected.items():
        at = f"evaluation={evaluation}"
        elbo = -(kl + distortion)
        assert found["train", "rate", at] == pytest.approx(kl, rel=1e-5, abs=1e-5)
        assert found["train", "distortion", at] == pytest.approx(distortion, rel=1e-5, abs=1e-3)
        assert found["train", "elbo_per_value", at] == pytest.approx(elbo / VALUES, abs=1e-5)
        bits = (-elbo / VALUES + math.log(17)) / math.log(2)
        assert found["train", "bits_per_dim", at] == pytest.approx(bits, abs=1e-5)
    for channel in range(3):
        at = f"evaluation=native,channel={channel}"
        assert found["train", "gamma", at] == pytest.approx(float(gamma[channel]), rel=1e-4)
    p = Independent(Normal(torch.zeros(2).double() + centre, spread.double().sqrt()), 1)
    gap = q.log_prob(seen.z) - p.log_prob(seen.z) - torch.distributions.kl_divergence(q, p)
    assert found["train", "sampling_gap", ""] == pytest.approx(float(gap.mean()), abs=1e-5)
    error = float(gap.std()) / math.sqrt(600)
    assert found["train", "sampling_error", ""] == pytest.approx(error, rel=1e-4)
    assert abs(float(gap.mean())) < 6 * error


@pytest.mark.parametrize("name", ["fitted", "bilbo", "centred", "full", "both"])
def test_the_native_bound_is_the_objective_of_the_whole_set_as_one_batch(name: str) -> None:
    """BILBO on one batch of all training images, at the evaluation's noise."""
    problem = build(**ROWS[name], batch_size=1347, train_images=1347)
    weights = trained(problem, 3)
    found = rows(problem, weights)
    data = images.load("color_digits", "dequantised", "cpu")
    seen = problem.draw(0)
    noise = [
        (
            data.pixel_noise(
                (len(part), VALUES),
                whole_set.stream(0, "evaluation", data.name, "pixels", f"train {i}"),
            ),
            torch.randn(
                (1, len(part), 2),
                generator=whole_set.stream(0, "evaluation", data.name, "20", f"train {i}"),
            ),
        )
        for i, part in enumerate(data.train.split(500))
    ]
    batch = seen | {
        "rows": torch.arange(1347),
        "uniform": torch.cat([u for u, _ in noise]),
        "z": torch.cat([z for _, z in noise], 1),
    }
    loss, _, logs = problem.loss(weights, problem.state, batch)
    rate = found["train", "rate", "evaluation=native"]
    assert float(logs["rate"]) == pytest.approx(rate, rel=1e-4, abs=1e-4)
    if name != "both":  # A's own distortion is that of the noisy image
        bound = found["train", "elbo", "evaluation=native"]
        assert -float(loss) == pytest.approx(bound, rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_measured_at_a_mark_and_at_the_end(name: str) -> None:
    problem = build(**ROWS[name], importance_images=5, importance_samples=60)
    weights = trained(problem, 2)
    at_mark = problem.evaluate(weights, problem.state, 10)
    at_end = problem.evaluate(weights, problem.state, 20)
    assert {row.kind for row in at_mark} == {"curve"}
    assert {row.kind for row in at_end} == {"final"}
    assert all(math.isfinite(row.value) for row in at_mark + at_end)
    keys = [(row.split, row.metric, row.at) for row in at_end]
    assert len(keys) == len(set(keys))
    found = dict(zip(keys, (row.value for row in at_end), strict=True))
    for evaluation in ("native", "common"):
        assert found["test", "gap", f"evaluation={evaluation}"] > 0
    bounded = name in ("baggins", "both", "hard")
    assert bounded == (("train", "slope_to_bound", "") in found)
    if bounded:
        assert 0 < found["train", "slope_to_bound", ""] <= 1
        assert found["train", "above_floor", ""] >= 0


def test_outputs_are_counted_and_halved() -> None:
    whole, half = rows(build(**ROWS["pixel"])), rows(build(**ROWS["both"]))
    counts = {
        key: (whole["", key, ""], half["", key, ""])
        for key in ("encoder_outputs", "decoder_outputs")
    }
    assert counts == {"encoder_outputs": (4, 2), "decoder_outputs": (2 * VALUES, VALUES)}
    difference = {
        part: whole["", "parameters", f"part={part}"] - half["", "parameters", f"part={part}"]
        for part in ("encoder", "decoder")
    }
    assert difference == {"encoder": 2 * 9, "decoder": VALUES * 9}


@pytest.mark.parametrize("name", ["both", "pixel"])
def test_no_number_depends_on_how_many_images_are_decoded_at_a_time(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = build(**ROWS[name], importance_images=5, importance_samples=60)
    weights = trained(problem)
    whole = rows(problem, weights)
    monkeypatch.setattr("paper_repro.vae.trained.VALUES", {"cpu": 7 * VALUES})
    parts = rows(problem, weights)
    assert parts == pytest.approx(whole, rel=1e-5, abs=1e-5)


def test_in_float64_the_whole_set_is_the_same_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = build(**ROWS["both"])
    weights = {name: w.double() for name, w in trained(problem).items()}
    monkeypatch.setattr(torch, "get_default_dtype", lambda: torch.float64)
    preprocess = images.Pixels.preprocess
    monkeypatch.setattr(images.Pixels, "preprocess", lambda *a: preprocess(*a).double())
    whole = rows(problem, weights)
    monkeypatch.setattr("paper_repro.vae.trained.VALUES", {"cpu": 13 * VALUES})
    parts = rows(problem, weights)
    train = [key for key in whole if key[0] == "train"]
    assert len(train) > 10
    assert [parts[key] for key in train] == pytest.approx([whole[key] for key in train], rel=1e-11)


@pytest.mark.parametrize("name", ["baggins", "both", "hard", "total"])
@pytest.mark.parametrize("units", [1 / 255, 0.1, 10.0, 255.0])
def test_bounded_likelihoods_train_the_same_in_every_unit(name: str, units: float) -> None:
    """ELBO + D ln c, weights, gamma of the pixels: after 20 steps of Adam, but for rounding."""
    one, other = build(**ROWS[name]), build(**ROWS[name], units=units)
    weights, theirs = trained(one), trained(other)
    for part in weights:
        torch.testing.assert_close(weights[part], theirs[part], rtol=0, atol=2e-4)
    ours, shifted = rows(one, weights), rows(other, theirs)
    for key in ours:
        if key[1] in ("elbo_per_value", "gamma", "mse", "information"):
            assert shifted[key] == pytest.approx(ours[key], abs=1e-4)
    at = ("test", "elbo", "evaluation=native")
    jacobian = VALUES * math.log(units)
    assert shifted[at] + jacobian == pytest.approx(ours[at], rel=1e-3)


def test_a_variance_that_starts_at_one_does_not() -> None:
    key = ("test", "elbo_per_value", "evaluation=native")
    at = {}
    for units in (1 / 255, 1.0, 255.0):
        problem = build(**ROWS["vae"], units=units)
        at[units] = rows(problem, trained(problem))[key]
    assert at[1.0] - at[1 / 255] > 1
    assert at[1.0] - at[255.0] > 1


@pytest.mark.parametrize("name", ["both", "full", "fitted"])
def test_a_batch_is_never_split(name: str) -> None:
    """Moments are those of the whole batch: a step asks for the loss once, with all its images. If
    that ever changes, moments must be summed, not losses."""
    problem = build(**ROWS[name], batch_size=64)
    calls = []
    loss = problem.loss
    problem.loss = lambda p, s, b: calls.append(len(b["rows"])) or loss(p, s, b)  # type: ignore[func-returns-value]
    tiny.steps(tiny.bundle(problem), 3)
    assert calls == [64] * 3
    weights = {n: p.detach() for n, p in problem.params.items()}
    batch = problem.draw(0)

    def part(rows: slice) -> float:
        own = {n: t[:, rows] if n == "z" else t[rows] for n, t in batch.items()}
        return float(loss(weights, problem.state, own)[0])

    halves = (part(slice(0, 32)) + part(slice(32, 64))) / 2
    assert abs(halves - part(slice(0, 64))) > 1e-3


def test_a_bernoulli_likelihood_is_measured_by_itself_under_both_priors() -> None:
    changes = {
        **BILBO,
        "dataset": "digits",
        "likelihood": "bernoulli",
        "preprocessing": "binarised",
    }
    found = rows(build(**changes))
    distortions = [found["test", "distortion", f"evaluation={e}"] for e in ("native", "common")]
    assert distortions[0] == distortions[1] > 0
    rates = [found["test", "rate", f"evaluation={e}"] for e in ("native", "common")]
    assert rates[0] != rates[1]
    assert not [key for key in found if key[1] in ("gamma", "bits_per_dim", "information")]


def test_pictures_are_drawn_from_the_prior_that_was_fitted() -> None:
    problem = build(**BILBO, pictures=5)
    assert problem.arrays is not None
    ended = {name: p.detach() for name, p in problem.params.items()}
    shown = problem.arrays(ended)
    assert {name: a.shape for name, a in shown.items()} == dict.fromkeys(
        ("samples", "pictures_test", "originals_test"), (5, 3, 8, 8)
    )
    wide = {n: 30 * w if n.startswith("encoder.head") else w for n, w in ended.items()}
    assert (problem.arrays(wide)["samples"] != shown["samples"]).any()


def test_an_interrupted_evaluation_goes_on_with_the_same_numbers() -> None:
    problem = build(**BILBO, importance_images=5, importance_samples=60)
    whole = rows(problem)
    problem.memory.found = {}
    assert rows(problem) == whole
    kept = dict(problem.memory.found)
    assert kept.keys() == {"whole", "test", "importance test"}
    problem.memory.found = {"whole": kept["whole"]}
    assert rows(problem) == whole
    problem.memory.found = None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "iwae", "k": 2}, "objective"),
        ({"objective": "geco", "kappa": 0.1}, "objective"),
        ({"prior": "flow"}, "prior"),
        ({"latent": "bernoulli", "estimator": "rloo", "k": 2}, "cannot serve posterior"),
        ({"objective": "bilbo_full", "protocol": "bounds", "model": "mlp"}, "bilbo_full"),
        ({"model": "mlp_standardised", "protocol": "bounds"}, "mlp_standardised"),
        ({"splits": ["train"]}, "splits"),
        ({"units": 0}, "units"),
        ({"likelihood_options": {"variant": "D"}}, "variant"),
    ],
)
def test_what_does_not_fit_is_refused_when_the_grid_expands(
    changes: dict[str, Any], message: str
) -> None:
    own = FROZEN | BILBO | changes
    if own["protocol"] == "bounds":
        own = {n: v for n, v in own.items() if n not in ("units", "splits")}
    with pytest.raises(UserError, match=message):
        tiny.checked(tiny.cell(**own))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "mlp", "units": 2.0}, "units: only standardised"),
        ({"likelihood_options": {"link": "sigmoid"}}, "link: standardised networks"),
        ({"likelihood": "gaussian_closed_form"}, "cannot freeze its variance"),
        ({"likelihood": "squared_error"}, "needs a density"),
        ({"decoder": "linear"}, "decoder: model"),
    ],
)
def test_what_the_task_alone_can_see_is_refused_before_training(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        build(**(BILBO | changes))


def test_the_protocol_adds_no_parameter_to_the_cells_of_others() -> None:
    cell = tiny.cell()
    assert "units" not in cell.params
    rules = parameters.rules_of("", "vae", "frozen")
    assert rules["protocol"] == {"enum": ["frozen"]}


@pytest.mark.parametrize("name", ["vae", "pixel", "both", "full", "bernoulli"])
def test_the_hessian_is_that_of_explicit_jacobians(name: str) -> None:
    """P0 + J^T G J at the posterior means, with the metric as the second derivative of a KL."""
    changes = {"dataset": "digits", "preprocessing": "binarised", "likelihood": "bernoulli"}
    row = {"bernoulli": BILBO | changes}.get(name) or ROWS[name]
    problem = build(**row, hessian_images=3, pictures=3)
    weights = trained(problem)
    found = rows(problem, weights)
    model = tiny_model(row)
    with model.evaluating():
        reader = whole_set.Reader(model, weights, DATA[name == "bernoulli"](), 0, 20, 1000)
        objective = contracts.objective(row.get("objective", "elbo"))
        whole = whole_set.read(reader, whole_set.prior(objective), 600)
        gamma = whole_set.gamma(reader, whole)
        _, posterior, _ = next(reader.blocks("train", 3))

    def density(z: Tensor) -> torch.distributions.Distribution:
        output = reader.decode(z[None])[0].double()
        if name == "bernoulli":
            return torch.distributions.Bernoulli(logits=output)
        if name == "pixel":
            mean, precision = output.chunk(2)
            return Normal(mean, (-0.5 * precision.clamp(-2, 16)).exp())
        assert gamma is not None
        return Normal(output, gamma.sqrt().repeat_interleave(64))

    prior = whole_set.prior(objective)(whole.codes)
    hessians = []
    for mean in posterior.mean:
        here = density(mean)

        def divergence(z: Tensor, here: Any = here) -> Tensor:
            return torch.distributions.kl_divergence(here, density(z)).sum()

        fisher = torch.autograd.functional.hessian(divergence, mean.clone()).double()
        hessians.append(prior.whiten.T @ prior.whiten + fisher)
    hessian = torch.stack(hessians)
    penalty = 0.5 * (hessian.mean(0).logdet() - hessian.logdet().mean())
    at = ("train", "curvature_penalty", "z=mean")
    assert found[at] == pytest.approx(float(penalty), rel=1e-2, abs=1e-4)
    assert found["train", "curvature_penalty", "z=sampled"] >= -1e-9
    assert problem.arrays is not None
    points = problem.arrays(weights)
    assert points["posterior_variance"].shape == points["inverse_curvature"].shape == (3, 2)
    variance = torch.tensor(points["posterior_variance"]).double()
    torch.testing.assert_close(variance, (2 * posterior.log_scale).exp().double())
    used = variance.mean(0) < 0.5 * torch.linalg.inv(prior.whiten.T @ prior.whiten).diagonal()
    assert found["train", "used", "z=mean"] == used.sum()
    errors = (variance * hessian.diagonal(dim1=-2, dim2=-1) - 1).abs()[:, used]
    if used.any():
        expected = pytest.approx(float(errors.median()), rel=1e-2)
        assert found["train", "variance_error", "z=mean"] == expected
    else:
        assert math.isnan(found["train", "variance_error", "z=mean"])
