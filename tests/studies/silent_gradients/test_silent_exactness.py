"""What task `exactness` measures holds, and would be seen not to hold where it did not."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch import Tensor

from paper_repro import registry
from paper_repro.cell import Cell
from paper_repro.estimators.analytic_kl import Family
from paper_repro.grid import complete
from paper_repro.likelihoods import expected
from paper_repro.rows import Row
from paper_repro.studies.silent_gradients.tasks import (
    closed_forms,
    exactness,
    repeats,
    sampled,
    variances,
)
from paper_repro.studies.silent_gradients.tasks.small_models import (
    LATENTS,
    SmallModel,
    Tensors,
    small_model,
)
from paper_repro.vae import data as images

DIGITS = images.load("digits", "unit", "cpu")
SMALL = {"sizes": {"hidden": [16], "layer_norm": True}, "repeats": 4, "draws": 4096}
UNBIASED = ("exact_kl", "score_function", "reinforce", "rloo")
BIASED = ("gumbel_softmax", "gumbel_softmax_st", "straight_through")


def settings(**params) -> dict[str, object]:
    chosen = {"dataset": "digits", **SMALL, **params}
    return complete("silent_gradients", "exactness", chosen, "test")


def model(latent: str, seed: int = 0) -> SmallModel:
    x = DIGITS.train[:3].double() / DIGITS.levels
    return small_model(latent, x, 0.1, torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def measured() -> pd.DataFrame:
    cell = Cell("silent_gradients", "exactness", "exactness", "smoke", "exactness", settings())
    rows = exactness.build(cell, 1, "cpu").evaluate({}, {}, 0)
    frame = pd.DataFrame([vars(row) for row in rows])
    at = [dict(part.split("=") for part in text.split(",")) for text in frame.pop("at")]
    return frame.join(pd.DataFrame(at))


def of(measured: pd.DataFrame, metric: str) -> pd.DataFrame:
    return measured[measured["metric"] == metric].dropna(axis=1, how="all")


def test_every_number_is_finite_and_there_once(measured):
    assert measured["value"].map(math.isfinite).all()
    keys = ["metric", "estimator", "latent", "formula", "parameter", "draws", "spread"]
    assert not measured.fillna("").duplicated(keys).any()


def test_silent_gradients_repeat_bit_by_bit_and_no_other_does(measured):
    identical = of(measured, "repeat_identical")
    assert list(identical["value"] == 1) == list(identical["estimator"] == "silent")
    difference = of(measured, "repeat_max_difference")
    assert list(difference["value"] == 0) == list(difference["estimator"] == "silent")
    assert set(identical["latent"]) == {"gaussian", "bernoulli", "categorical"}


def test_a_gradient_that_reads_noise_is_seen_to_differ():
    problem = repeats.vae.build(repeats._run(settings(), "gaussian", "silent"), 0, "cpu")
    assert repeats.repeat(problem, 3) == (True, 0.0)

    def noisy(params: Tensors, state: Tensors, batch: Tensors) -> tuple[Tensor, Tensors, Tensors]:
        loss, state, logs = problem.loss(params, state, batch)
        return loss * (1 + 1e-3 * batch["z"].mean()), state, logs

    identical, difference = repeats.repeat(replace(problem, loss=noisy), 3)
    assert not identical
    assert difference > 0


def test_every_closed_form_is_its_sum_over_states_in_value_and_gradient(measured):
    for metric in ("closed_form_relative_error", "closed_form_gradient_error"):
        found = of(measured, metric)
        assert len(found) == len(LATENTS) * len(closed_forms.FORMULAS)
        assert (found["value"] < 1e-9).all(), found


def test_surrogates_are_off_by_what_they_leave_out(measured):
    found = of(measured, "surrogate_relative_error").set_index(["formula", "latent"])["value"]
    assert set(found.index) == {("EXP2", latent) for latent in LATENTS} | {
        ("SQ", latent) for latent in LATENTS if latent != "gaussian"
    }
    assert found.between(1e-5, 0.5).all()
    worst = of(measured, "surrogate_worst_pixel")
    assert worst["value"].between(0.01, 0.2).all()


@pytest.mark.parametrize("latent", LATENTS)
def test_wrong_closed_forms_are_caught(latent):
    made = model(latent)

    def without_variance(p: Tensors) -> Tensor:
        mean = made.posterior(p).mean_z() @ p["weight"].mT + p["bias"]
        return expected.fixed(made.x - mean, torch.zeros_like(mean), made.variance)

    def untilted(p: Tensors) -> Tensor:
        """Squared error and precision as if they were independent."""
        error, scale = closed_forms.errors_and_scales(made, p, "EXP")
        square, precision, mean = (
            made.expectation(p, values) for values in (error.square(), scale.exp(), scale)
        )
        return closed_forms.log_likelihood(mean, square * precision)

    for formula, wrong in (("fixed", without_variance), ("EXP", untilted)):
        meant = closed_forms.definition(made, formula)
        assert closed_forms.relative_error(wrong, meant, made) > 1e-3
        assert closed_forms.gradient_error(wrong, meant, made) > 1e-3


def test_a_right_value_with_a_wrong_gradient_is_caught():
    made = model("bernoulli")
    right, meant = closed_forms.closed_form(made, "EXP"), closed_forms.definition(made, "EXP")

    def frozen(p: Tensors) -> Tensor:
        return right(p | {"scale_weight": p["scale_weight"].detach()})

    assert closed_forms.relative_error(frozen, meant, made) < 1e-12
    assert closed_forms.gradient_error(frozen, meant, made) == pytest.approx(1)


@pytest.mark.parametrize("latent", LATENTS)
def test_states_are_all_of_them_with_their_probabilities(latent):
    made = model(latent)
    z, weights = made.states(made.params)
    q: Family = made.posterior(made.params)
    torch.testing.assert_close(weights.sum(0), torch.ones_like(weights[0]))
    torch.testing.assert_close(made.expectation(made.params, z), q.mean_z())
    if latent != "gaussian":
        torch.testing.assert_close(weights, q.log_prob(z).exp())


def test_the_mean_of_sampled_gradients_is_the_silent_one_unless_relaxed(measured):
    z = of(measured, "bias_z_max")
    offset = of(measured, "relative_offset")["value"].to_numpy()
    noise = of(measured, "relative_offset_noise")["value"].to_numpy()
    unbiased = z["estimator"].isin(UNBIASED).to_numpy()
    assert set(z["estimator"]) == {*UNBIASED, *BIASED}
    assert (z["value"][unbiased] < 6).all()
    assert (offset[unbiased] < 3 * noise[unbiased]).all()
    assert (offset[~unbiased] > 6 * noise[~unbiased]).all()


def test_errors_of_means_fall_like_one_over_root_r_unless_biased(measured):
    found = of(measured, "unbiased_slope")
    unbiased = found["estimator"].isin(UNBIASED)
    assert found["value"][unbiased].between(-0.56, -0.44).all()
    assert (found["value"][~unbiased] > -0.4).all()
    draws = of(measured, "relative_error")["draws"].astype(int)
    assert set(draws) == {1, 4, 16, 64, 256}


def test_measured_variances_are_the_formulas(measured):
    ratio, noise = of(measured, "variance_ratio"), of(measured, "variance_ratio_noise")
    off = (ratio["value"].to_numpy() - 1) / noise["value"].to_numpy()
    assert (abs(off) < 6).all()
    assert (noise["value"] < 0.1).all()
    assert {"mean", "log_scale", "logits"} == set(ratio["parameter"])


def test_reparameterised_variances_are_those_of_a_sum_over_nodes():
    made = model("gaussian")
    z, _ = made.states(made.params)
    weight, scale = made.decoder["weight"], made.params["log_scale"].exp()
    by_z = (made.x - z @ weight.mT - made.decoder["bias"]) @ weight / made.variance
    draws = {"mean": by_z, "log_scale": by_z * (z - made.params["mean"])}  # z - m = s eps
    assert (scale > 0).all()
    for name, formula in variances.reparameterised(made).items():
        mean = made.expectation(made.params, draws[name])
        exact = made.expectation(made.params, (draws[name] - mean).square())
        torch.testing.assert_close(formula, exact, rtol=1e-9, atol=0)


@pytest.mark.parametrize("latent", LATENTS)
def test_scores_are_the_gradients_of_log_q(latent):
    made = model(latent)
    z, _ = made.states(made.params)
    for state in (0, len(z) // 3, len(z) - 1):
        leaves = {name: p.clone().requires_grad_() for name, p in made.params.items()}
        total = made.posterior(leaves).log_prob(z[state].unsqueeze(0)).sum()
        exact = torch.autograd.grad(total, list(leaves.values()))
        found = [score[state] for score in variances.scores(made, z).values()]
        torch.testing.assert_close(found, list(exact), rtol=1e-9, atol=1e-12)


def test_a_wrong_variance_formula_is_caught():
    made = model("gaussian")
    generator = torch.Generator().manual_seed(0)
    draws = sampled.draw_gradients(made, "exact_kl", 4096, generator)["log_scale"]
    exact = variances.reparameterised(made)
    by_noise_alone = made.params["log_scale"].exp().square() * exact["mean"]  # without g_i^2
    ratio, noise = sampled.variance_ratio(draws, by_noise_alone)
    assert abs(ratio - 1) > 6 * noise
    ratio, noise = sampled.variance_ratio(draws, exact["log_scale"])
    assert abs(ratio - 1) < 6 * noise


def test_the_error_of_means_of_independent_draws_is_known():
    generator = torch.Generator().manual_seed(3)
    exact = {"a": torch.full((2, 3), 5.0).double(), "b": torch.zeros(4).double()}
    noise = torch.randn(16384, 10, generator=generator, dtype=torch.float64)
    draws = {"a": 5 + noise[:, :6].reshape(-1, 2, 3), "b": noise[:, 6:]}
    errors = sampled.root_mean_square_errors(draws, exact)
    assert list(errors) == [1, 4, 16, 64, 256, 1024]
    for count, error in errors.items():
        assert error == pytest.approx(math.sqrt(10 / count), rel=0.25)
    assert sampled.slope(errors) == pytest.approx(-0.5, abs=0.03)
    assert sampled.slope(dict.fromkeys(errors, 0.3)) == pytest.approx(0, abs=1e-12)


def test_the_sources_of_a_run_name_every_estimator_that_it_measures():
    used = {name for chosen in sampled.ESTIMATORS.values() for name in chosen}
    used |= {name for chosen in repeats.ESTIMATORS.values() for name in chosen}
    listed = registry.constant("tasks", "exactness", "ESTIMATORS", "silent_gradients")
    assert set(listed) == used


def test_a_seed_gives_its_numbers_again_and_another_seed_others():
    def rows(seed: int) -> list[Row]:
        made = model("categorical", seed)
        noise = torch.Generator().manual_seed(seed)
        return [*closed_forms.rows(made), *sampled.rows(made, 256, noise)]

    first, again, other = rows(1), rows(1), rows(2)
    assert first == again
    assert [a.metric for a in first] == [b.metric for b in other]
    pairs = zip(first, other, strict=True)
    assert all(a.value != b.value for a, b in pairs if a.value > 1e-9)
