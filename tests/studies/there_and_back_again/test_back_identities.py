"""What task `identities` measures holds, and would be seen not to hold where it did not."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy import optimize, stats

from paper_repro.likelihoods import baggins
from paper_repro.objectives import bilbo
from paper_repro.studies.there_and_back_again.tasks import (
    bounded,
    information,
    optimal_decoder,
    stationary,
)
from paper_repro.studies.there_and_back_again.tasks.maximise import hermite
from tests.studies.there_and_back_again.back_runs import measured, values

Z = torch.tensor([[0.3, -0.8], [1.5, 0.2]], dtype=torch.float64)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return measured("identities", seed=1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_number_is_finite_and_there_once(rows):
    assert rows["value"].map(math.isfinite).all()
    keys = [name for name in rows.columns if name not in ("value", "unit")]
    assert not rows.astype(str).duplicated(keys).any()


def test_t1_the_optimal_decoder_is_the_minimum(rows):
    assert max(values(rows, "optimal_decoder_error")) < 1e-6
    assert max(values(rows, "linear_logits_error")) < 1e-12


def density(z: NDArray, q: optimal_decoder.Posteriors) -> NDArray:
    pairs = zip(q.mean.numpy(), q.covariance.numpy(), strict=True)
    return np.array([stats.multivariate_normal(mean, cov).pdf(z) for mean, cov in pairs])


def test_t1_scipy_finds_the_same_decoder_for_any_gamma():
    q = optimal_decoder.toy(generator(), constant=False)
    for z in Z:
        shares = density(z.numpy(), q)
        for noise in (np.eye(3), np.array([[2.0, 0.5, 0], [0.5, 1, 0.3], [0, 0.3, 0.7]])):
            normals = [stats.multivariate_normal(x, noise) for x in q.x.numpy()]

            def loss(f: NDArray, shares=shares, normals=normals) -> float:
                logs = [normal.logpdf(f) for normal in normals]
                return -float(shares @ logs) / float(shares.sum())

            found = optimize.minimize(loss, np.zeros(3), method="BFGS", tol=1e-10).x
            assert optimal_decoder.decoder(q, z).numpy() == pytest.approx(found, abs=1e-6)


def test_t1_weights_without_the_determinants_are_caught():
    q = optimal_decoder.toy(generator(), constant=False)
    grid = torch.cartesian_prod(optimal_decoder.GRID, optimal_decoder.GRID)
    square = optimal_decoder.log_densities(q, grid) + 0.5 * torch.logdet(q.covariance)
    wrong = square.softmax(-1) @ q.x
    best = optimal_decoder.minimised(q, grid, torch.eye(3, dtype=torch.float64))
    assert (wrong - best).abs().max() > 0.1


def test_t2_the_jacobian_is_the_formula_and_the_data_are_never_left(rows):
    assert max(values(rows, "decoder_jacobian_error")) < 1e-10
    assert max(values(rows, "decoder_outside")) < 1e-12


def test_t2_with_one_covariance_both_formulas_agree_and_with_many_they_do_not():
    for constant in (True, False):
        q = optimal_decoder.toy(generator(3), constant)
        off = optimal_decoder.jacobian(q, Z) - optimal_decoder.covariance_jacobian(q, Z)
        assert (off.abs().max() < 1e-12) == constant
        step = 1e-5 * torch.eye(2, dtype=torch.float64)[0]
        sides = [optimal_decoder.decoder(q, Z + sign * step) for sign in (1, -1)]
        slope = (sides[0] - sides[1]) / 2e-5
        torch.testing.assert_close(
            optimal_decoder.jacobian(q, Z)[..., 0], slope, rtol=1e-6, atol=1e-8
        )


def test_t3_precisions_are_those_of_the_hessian_to_the_stated_residual(rows):
    assert max(values(rows, "stationary_variance_error")) < 4e-6
    assert min(values(rows, "inverse_diagonal_gap")) > 0.01


def test_t3_the_mean_hessian_is_twice_the_slope_in_the_covariance():
    """Price's theorem, by differences of the expected loss."""
    decoder = stationary.Decoder(generator(2))
    mean, covariance = stationary.stationary_point(decoder, full=True)
    points, weights = hermite(stationary.NODES, stationary.LATENTS)

    def expected(covariance: torch.Tensor) -> torch.Tensor:
        root = torch.linalg.cholesky(covariance)
        z = mean + torch.einsum("njk,sk->snj", root, points)
        return weights @ decoder.loss(z, decoder.x)

    hessian = stationary.mean_hessian(decoder, mean, covariance) - torch.eye(2).double()
    for j, k in ((0, 0), (1, 1), (0, 1)):
        step = torch.zeros(2, 2, dtype=torch.float64)
        step[j, k] = step[k, j] = 1e-4
        slope = (expected(covariance + step) - expected(covariance - step)) / 2e-4
        entry = hessian[:, j, k] * (0.5 if j == k else 1.0)
        torch.testing.assert_close(slope, entry, rtol=1e-4, atol=1e-3)


def test_t7_bilbo_is_the_sampled_elbo_under_the_fitted_prior(rows):
    (off,) = values(rows, "sampled_elbo_difference")
    (error,) = values(rows, "sampled_elbo_difference_se")
    assert abs(off) < 6 * error < 0.02


def test_b1_b4_b5_b7_hold_to_rounding(rows):
    assert sorted(rows["identity"].dropna()) == ["B1", "B4", "B5", "B7"]
    assert max(values(rows, "information_error")) < 1e-12


def test_b1_the_information_is_scipys_integral_of_the_kl():
    """One latent: KL by quadrature of densities."""
    mean = torch.tensor([[0.4], [-1.3], [2.0]], dtype=torch.float64)
    v = 0.7
    prior = stats.norm(0, math.sqrt(float(mean.square().mean()) + v))
    z = np.linspace(-15, 15, 60001)
    kls = []
    for m in mean[:, 0].tolist():
        q = stats.norm(m, math.sqrt(v))
        kls.append(float(np.sum(q.pdf(z) * (q.logpdf(z) - prior.logpdf(z))) * (z[1] - z[0])))
    found = float(bilbo.batch_information(mean, torch.full_like(mean, v)))
    assert found == pytest.approx(np.mean(kls), abs=1e-9)


def test_b2_b3_other_priors_cost_more_and_wider_families_less(rows):
    assert min(values(rows, "least_excess_of_priors")) > 0
    assert min(values(rows, "information_excess")) > 0
    assert set(rows["over"].dropna()) == {"full", "centred"}


def test_b6_the_optimism_of_a_batch(rows):
    (exact,) = values(rows, "optimism")
    assert round(exact, 4) == 0.0155
    assert round(values(rows, "optimism_first_order")[0], 4) == 0.0153
    (found,), (error,) = values(rows, "optimism_sampled"), values(rows, "optimism_sampled_se")
    assert abs(found - exact) < 6 * error < 0.006
    assert 0.24 < values(rows, "optimism_at_worst")[0] < 0.26
    for batch in (32, 128):
        assert information.optimism(batch, 1e9) == pytest.approx(
            information.limit_of_optimism(batch), rel=1e-6
        )
        small = (0.01 / 1.01) ** 2 / (2 * batch)
        assert information.optimism(batch, 0.01) == pytest.approx(small, rel=0.02)


def test_t8_scaled_data_shift_the_distortion_and_divide_its_gradient(rows):
    for metric in ("scale_shift_error", "scale_gradient_error"):
        found = values(rows, metric)
        assert len(found) == 3 * len(bounded.SCALES)
        assert max(found) < 1e-9


def test_t8_a_fixed_variance_is_seen_not_to_scale(monkeypatch):
    """With gamma held the shift is no D ln c."""

    def held(x, output, *, variant, bits, channels):
        return baggins.frozen_log_likelihood(x, output, torch.full((channels,), 0.1).double())

    monkeypatch.setattr(baggins, "log_likelihood", held)
    x = torch.randn(bounded.BATCH, bounded.PIXELS, generator=generator(), dtype=torch.float64)
    shift, gradient = bounded.scaled(x, x + 0.2, "A", 10.0)
    assert shift.value > 1
    assert gradient.value > 1


def test_t9_gradients_and_distortion_are_bounded(rows):
    assert values(rows, "gradient_bound", variant="A")[0] == pytest.approx(10.03, abs=0.005)
    over = values(rows, "largest_gradient_over_bound")
    assert over == pytest.approx([1, 1], abs=1e-9)  # reached where r2 = gamma_min
    assert min(values(rows, "largest_single_gradient_over_bound")) > 1
    assert min(values(rows, "unbounded_gradient_over_bound")) > 1e4
    assert min(values(rows, "least_distortion_over_floor")) > -1e-12
    assert max(values(rows, "floor_error")) < 1e-12


def test_t9_the_root_mean_square_of_the_gradient_is_r_over_r2_plus_gamma():
    unit = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
    least = 1 / math.expm1(6)
    for r in (0.01, 0.05, 0.3):
        slopes = bounded.gradient(unit, unit + r * unit, "A", 3 / math.log(2))
        expected = r / (r**2 + least)
        assert float(slopes.square().mean().sqrt()) == pytest.approx(expected, rel=1e-9)


def test_h4_h5_and_eight_bits(rows):
    assert values(rows, "bound_error")[0] < 1e-12
    assert values(rows, "noisy_sample_error")[0] < 1e-12
    assert values(rows, "bound")[0] == pytest.approx(5.545, abs=5e-4)
    assert values(rows, "variance_over_minimum")[0] == pytest.approx(65535, rel=1e-9)
    assert values(rows, "minimum_sd")[0] == pytest.approx(0.00101, abs=5e-6)
    assert values(rows, "rounding_sd")[0] == pytest.approx(0.00113, abs=5e-6)


def test_t13_linear_logits_have_a_riemannian_hessian_and_bent_ones_do_not(rows):
    assert values(rows, "riemannian_hessian_error", logits="linear")[0] < 1e-12
    assert values(rows, "riemannian_hessian_error", logits="bent")[0] > 0.01


def test_t13_the_hessian_is_a_sum_written_out():
    weight = torch.tensor([[1.0, -0.5], [0.3, 2.0]], dtype=torch.float64)
    bias, x = torch.tensor([0.2, -0.4]).double(), torch.tensor([1.0, 0.0]).double()
    exact, _ = stationary.bernoulli_hessians(weight, bias, x, Z, 0.0)
    p = 1 / (1 + np.exp(-(Z.numpy() @ weight.numpy().T + bias.numpy())))
    for found, at in zip(exact.numpy(), p, strict=True):
        by_hand = np.eye(2) + weight.numpy().T @ np.diag(at * (1 - at)) @ weight.numpy()
        assert found == pytest.approx(by_hand, rel=1e-12)


def test_a_seed_gives_its_numbers_again_and_another_seed_others(rows):
    again, other = measured("identities", seed=1), measured("identities", seed=2)
    pd.testing.assert_frame_equal(rows, again)
    assert list(rows["metric"]) == list(other["metric"])
    drawn = ["optimism_sampled", "least_excess_of_priors", "information_excess"]
    chosen = rows["metric"].isin(drawn)
    assert (rows["value"][chosen] != other["value"][chosen]).all()
