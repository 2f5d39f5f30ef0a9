"""What theory says of linear VAEs: loss, minimum, slopes, beta threshold and two lemmas."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
import pytest
import torch
from torch import Tensor

from paper_repro.errors import UserError
from paper_repro.likelihoods import gaussian_gamma
from paper_repro.objectives import beta_elbo
from paper_repro.studies.infinite_gradients.tasks import closed_forms, lemmas, linear_theory
from tests.oracles import linear_vae
from tests.oracles.linear_vae import Params
from tests.studies.infinite_gradients.ig_runs import build, measured, only, trained

PIXELS, LATENTS = 6, 4
SPECTRUM = torch.tensor([2.0, 0.7], dtype=torch.float64)
AXES = linear_vae.directions(PIXELS)[:, :2]
FACTOR = AXES * SPECTRUM.sqrt()
Loss = Callable[[Params, Tensor, float], Tensor]


@pytest.fixture(scope="module")
def closed() -> pd.DataFrame:
    return measured("closed_forms", steps=0)


def misses_the_components(loss: Loss) -> bool:
    """Whether it is not the beta-ELBO of the suite's own parts, by cubature, times -2."""
    x = linear_vae.data(torch.cat([SPECTRUM, torch.zeros(PIXELS - 2).double()]), centre=0.0)
    params = linear_vae.random_params(PIXELS, LATENTS, 3)
    params |= {"centre": torch.zeros(PIXELS).double(), "offset": torch.zeros(LATENTS).double()}
    params["log_gamma"] = torch.tensor(-0.4, dtype=torch.float64)
    for beta in (1.0, 3.0):
        exact = -2 * linear_vae.objective(
            lambda terms, q, beta=beta: beta_elbo.bound(terms, q, beta=beta),
            params,
            x,
            likelihood=gaussian_gamma.log_likelihood,
        )
        constants = PIXELS * math.log(2 * math.pi) - beta * LATENTS
        if abs(float(loss(params, FACTOR, beta) + constants - exact)) > 1e-9:
            return True
    return False


def test_the_loss_without_sampling_is_the_expectation_of_the_suites_own_parts():
    assert not misses_the_components(linear_theory.loss)


def test_wrong_losses_are_caught():
    def noiseless(params: Params, factor: Tensor, beta: float) -> Tensor:
        quiet = params | {"log_scale": torch.full_like(params["log_scale"], -30)}
        lost = linear_theory.rate(params, factor) - linear_theory.rate(quiet, factor)
        return linear_theory.loss(quiet, factor, beta) + beta * lost

    def standard_deviation(params: Params, factor: Tensor, beta: float) -> Tensor:
        half = params | {"log_gamma": 2 * params["log_gamma"]}
        return linear_theory.loss(half, factor, beta)

    assert misses_the_components(noiseless)
    assert misses_the_components(standard_deviation)


@pytest.mark.parametrize("gamma", [1e-4, 0.1, 1.0])
def test_for_beta_one_the_least_loss_is_the_evidence_of_probabilistic_pca(gamma):
    spectrum = torch.cat([SPECTRUM, torch.zeros(PIXELS - 2).double()])
    evidence = linear_vae.ppca_log_evidence(spectrum, LATENTS, gamma)
    log_gamma = torch.tensor(gamma, dtype=torch.float64).log()
    found = linear_theory.minimised_loss(SPECTRUM, PIXELS, LATENTS, 1.0, log_gamma)
    constants = PIXELS * math.log(2 * math.pi) - LATENTS
    assert float(found) + constants == pytest.approx(-2 * evidence, rel=1e-12)


@pytest.mark.parametrize("gamma", [1e-4, 0.1, 0.5])
def test_the_optimum_is_stationary_and_attains_the_least_loss(gamma):
    beta = 2.5

    def value(params: Params) -> Tensor:
        return linear_theory.loss(params, FACTOR, beta)

    best = linear_theory.optimum(AXES, SPECTRUM, LATENTS, gamma, beta)
    log_gamma = best.pop("log_gamma")
    assert gamma * linear_vae.steepest(lambda p: value(p | {"log_gamma": log_gamma}), best) < 1e-12
    least = linear_theory.minimised_loss(SPECTRUM, PIXELS, LATENTS, beta, log_gamma)
    torch.testing.assert_close(value(best | {"log_gamma": log_gamma}), least)
    wrong = best | {"log_scale": best["log_scale"] - 0.1}
    assert float(value(wrong | {"log_gamma": log_gamma}) - least) > 1e-3


def test_the_loss_is_stationary_in_gamma_at_the_mean_squared_error_and_not_beside_it(closed):
    assert only(closed, "gamma_star_slope").item() < 1e-12
    generator = torch.Generator().manual_seed(0)
    assert closed_forms.gamma_star_slope(generator, gamma_scale=1.01) > 1e-3


def test_slopes_are_those_of_the_specification(closed):
    for beta, slope in {1: 9, 2: 6, 3: 3, 5: -3}.items():
        assert only(closed, "loss_slope", beta=beta).item() == pytest.approx(slope, abs=1e-6)
    assert only(closed, "stationarity").max() < 1e-6
    assert only(closed, "minimised_loss_relative_error").max() < 1e-12


def test_gamma_goes_to_zero_below_d_over_r_and_to_the_variance_of_a_pixel_above(closed):
    for beta in (1, 3, 4.5):
        assert only(closed, "minimiser_log_gamma", beta=beta).item() == -12  # the window's end
        assert only(closed, "minimiser_active_dims", beta=beta).item() == 2
    for beta in (5.5, 8):
        assert only(closed, "minimiser_log_gamma", beta=beta).item() == pytest.approx(
            -1.609, abs=1e-3
        )
        assert only(closed, "minimiser_active_dims", beta=beta).item() == 0


@pytest.mark.parametrize(("lemma", "small"), [(2, "gamma"), (3, "posterior_variance")])
def test_gaps_of_the_lemmas_vanish_in_proportion_for_the_log_and_stay_for_others(
    closed, lemma, small
):
    gaps = {h: [only(closed, f"lemma{lemma}_gap", h=h, **{small: v}).item() for v in (1e-5, 1e-7)]
            for h in lemmas.PENALTIES}  # fmt: skip
    assert gaps["log"][1] / gaps["log"][0] == pytest.approx(0.01, rel=0.01)
    for h in ("sqrt", "identity"):
        assert gaps[h][1] == pytest.approx(gaps[h][0], rel=1e-2)
        assert gaps[h][1] > 0.01


def test_a_code_that_is_not_at_its_best_scale_does_not_satisfy_lemma_2():
    factor, pairs = lemmas.exact_pairs(torch.Generator().manual_seed(1))

    def gap(stretch: float) -> float:
        values = []
        for i, (decoder, code) in enumerate(pairs):
            t = 1 + stretch * i  # another wrong scale for every pair
            best = lemmas.vanishing_gamma(decoder, code, factor, 1e-7)
            cost = code.square().sum(-1)
            off = (cost * t**2 / cost - 1).sum() - len(cost) * math.log(t**2)  # KL at t z, w / t
            values.append(best + off - lemmas.row_penalty("log", code))
        return lemmas.spread(torch.stack(values))

    assert gap(0.0) < 1e-5
    assert gap(0.1) > 0.01


def test_trained_with_gamma_held_the_loss_has_the_slope_of_theory(tmp_path):
    found = trained(
        tmp_path,
        "linear_vae",
        pixels=12,
        spectrum=[1.5, 1.0, 0.6],
        betas=[1, 5],
        gammas=[1e-3, 1e-5],
        lr={"schedule": "exponential", "from": 0.04, "to": 1e-5},
        steps=800,
    )
    assert only(found, "trained_slope_ratio").between(0.95, 1.05).all()
    assert only(found, "trained_loss_excess").min() > -1e-9  # no model is below the minimum


LEARNED = {"pixels": 10, "spectrum": [1.0, 1.0], "lr": 0.05, "steps": 400}


def test_trained_with_gamma_learned_the_code_is_lost_beyond_d_over_r(tmp_path):
    found = trained(tmp_path, "linear_vae", betas=[3, 8], **LEARNED)
    assert only(found, "log_gamma", beta=3).item() < -6
    assert only(found, "relative_error", beta=3).item() < 0.01
    assert only(found, "active_dims", beta=8).item() == 0
    assert only(found, "gamma_over_pixel_variance", beta=8).item() == pytest.approx(1, rel=1e-3)
    alone = trained(tmp_path, "linear_vae", betas=[8], **LEARNED)
    for metric in ("log_gamma", "relative_error"):  # no member of a run sees another
        assert only(alone, metric).item() == pytest.approx(only(found, metric, beta=8).item())


def test_seeds_trained_together_are_those_trained_alone(tmp_path):
    settings = {**LEARNED, "steps": 50, "betas": [3, 8]}
    one, both = (
        trained(tmp_path, "linear_vae", seeds=(0, 1), together=together, **settings)
        for together in (False, True)
    )
    for seed in (0, 1):
        a, b = only(one, "log_gamma", seed=seed), only(both, "log_gamma", seed=seed)
        assert a.tolist() == pytest.approx(b.tolist(), rel=1e-6)


def test_too_few_latents_are_refused():
    with pytest.raises(UserError, match="latents"):
        build("linear_vae", betas=[1], **{**LEARNED, "spectrum": [1.0] * 6})
