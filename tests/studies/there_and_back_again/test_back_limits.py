"""What tasks `evidence` and `limits` measure holds, against oracles without quadrature over q."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy import integrate, optimize, stats

from paper_repro.studies.there_and_back_again import tables_derived
from paper_repro.studies.there_and_back_again.derived_numbers import DERIVED, DIGITS
from paper_repro.studies.there_and_back_again.tasks import (
    curve,
    finite_data,
    flow,
    linear_evidence,
)
from paper_repro.studies.there_and_back_again.tasks.maximise import hermite, maximise
from tests.studies.there_and_back_again.back_runs import TASKS, build, measured, values


@pytest.fixture(scope="module")
def evidence() -> pd.DataFrame:
    return measured("evidence", points=150)


@pytest.fixture(scope="module")
def limits() -> pd.DataFrame:
    return measured("limits")


def curve_elbo(x: NDArray, mean: float, scale: float, sigma: float) -> float:
    """Of one point of the curve, by moments of sines of a normal z."""
    damped = math.exp(-2 * scale**2)
    sine = math.sin(2 * mean) * damped
    square = 0.5 * (1 - math.cos(4 * mean) * damped**4)
    error = (x[0] - 2 * mean) ** 2 + 4 * scale**2 + x[1] ** 2 - 3 * x[1] * sine + 2.25 * square
    distortion = error / (2 * sigma**2) + math.log(2 * math.pi * sigma**2)
    return -distortion - 0.5 * (mean**2 + scale**2 - 1) + math.log(scale)


@pytest.mark.parametrize("sigma", [0.5, 0.1])
def test_t4_elbo_and_evidence_on_the_curve_are_scipys(sigma):
    generator = torch.Generator().manual_seed(4)
    z = torch.randn(5, generator=generator, dtype=torch.float64)
    noise = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    x = curve.decoder(z) + sigma * noise
    found, mean, variance = curve.log_evidence(x, sigma)
    fitted = curve.fit(x, sigma, mean, variance, constant=False)
    for i, point in enumerate(x.numpy()):

        def joint(at: float, point=point) -> float:
            f = np.array([2 * at, 1.5 * math.sin(2 * at)])
            return float(stats.norm(f, sigma).pdf(point).prod() * stats.norm.pdf(at))

        centre, sd = float(mean[i]), float(variance[i].sqrt())
        ends = (centre - 12 * sd, centre + 12 * sd)
        total, _ = integrate.quad(joint, *ends, points=[centre], epsabs=1e-14, limit=400)
        assert float(found[i]) == pytest.approx(math.log(total), abs=1e-7)
        best = optimize.minimize(
            lambda p, point=point: -curve_elbo(point, p[0], math.exp(p[1]), sigma),
            [centre, math.log(sd)], tol=1e-12,
        )  # fmt: skip
        assert float(fitted.elbo[i]) == pytest.approx(-best.fun, abs=1e-8)
        assert float(fitted.mean[i]) == pytest.approx(best.x[0], abs=1e-4)
        # at any mean and scale, not only at the best
        one = curve.elbo(x[i : i + 1], mean[i : i + 1] + 0.1, torch.tensor([-1.0]).double(), sigma)
        exact = curve_elbo(point, centre + 0.1, math.exp(-1), sigma)
        assert float(one[0]) == pytest.approx(exact, rel=1e-9)


def test_t4_linear_vaes_reach_the_evidence_to_a_millionth_of_a_nat(evidence):
    found = values(evidence, "linear_evidence_difference")
    assert len(found) == 2
    assert -1e-6 < min(found) <= max(found) < 1e-9


def test_t4_the_evidence_is_that_of_the_best_normal_with_two_factors():
    """scipy's density of N(b, W W^T + gamma I) at Tipping and Bishop's solution."""
    x = linear_evidence.data(torch.Generator().manual_seed(5))
    values_, axes = np.linalg.eigh(np.cov(x.numpy().T, bias=True))
    gamma = values_[:4].mean()
    factors = axes[:, 4:] * np.sqrt(values_[4:] - gamma)
    model = stats.multivariate_normal(x.mean(0), factors @ factors.T + gamma * np.eye(6))
    mean = float(model.logpdf(x.numpy()).mean())
    assert linear_evidence.ppca_log_evidence(x) == pytest.approx(mean, rel=1e-10)


def test_t4_a_moment_about_the_mean_is_no_second_moment(monkeypatch):
    """BILBO with m2 about the means' mean passes the evidence's bound for means that are off."""
    x = linear_evidence.data(torch.Generator().manual_seed(5))
    white = linear_evidence.whitened(x)
    p = {
        "decoder": torch.zeros(6, 2).double(),
        "encoder": torch.eye(2, 6).double(),
        "offset": torch.tensor([5.0, 0.0]).double(),
    }
    right = linear_evidence.bilbo(p, x, white)
    monkeypatch.setattr(
        linear_evidence, "batch_information", lambda mean, v: 0.5 * (1 + mean.var(0)).log().sum()
    )
    assert linear_evidence.bilbo(p, x, white) > right + 1


def test_t4_gaps_are_positive_fall_like_sigma_squared_and_are_those_stated(evidence, limits):
    assert min(values(evidence, "least_evidence_gap")) > 0
    assert 1.5 < values(evidence, "evidence_gap_slope")[0] < 2.5
    # stated for another sample of 150 points; one scatters by 8 to 17 %
    stated = {0.5: 0.01268, 0.2: 0.00299, 0.1: 0.00082, 0.05: 0.00021}
    for sigma, gap in stated.items():
        (found,) = values(evidence, "evidence_gap", sigma=sigma)
        assert found == pytest.approx(gap, rel=0.85 if sigma == 0.5 else 0.5)
    assert min(values(limits, "finite_data_gap")) > 0


def test_t4_gaps_of_finite_data_are_scipys():
    """Twelve points, sigma 0.4, free variances: model and maximum by other means."""
    sigma, t = 0.4, np.linspace(-1.5, 1.5, 12)
    x = np.stack([2 * t, np.sin(2 * t)], -1)
    grid = np.linspace(-5, 5, 401)

    def parts(p: NDArray) -> tuple[float, float]:
        mean, scale = p[:12], np.exp(p[12:])
        q = stats.norm.pdf(grid[:, None], mean, scale)
        f = (q / q.sum(1, keepdims=True)) @ x
        ll = stats.norm.logpdf(x[None], f[:, None], sigma).sum(-1)  # [Z, N]
        kl = 0.5 * (mean**2 + scale**2 - 1) - np.log(scale)
        elbo = (0.025 * (q * ll).sum(0) - kl).mean()
        evidence = np.log(0.025 * (stats.norm.pdf(grid)[:, None] * np.exp(ll)).sum(0)).mean()
        return elbo, evidence

    start = np.concatenate([t, np.full(12, math.log(0.2))])
    best = optimize.minimize(lambda p: -parts(p)[0], start, method="L-BFGS-B",
                             options={"maxfun": 60000, "ftol": 1e-13, "gtol": 1e-7})  # fmt: skip
    elbo, evidence = parts(best.x)
    made, _ = finite_data.fit(12, sigma, "free")
    assert float(made.elbo.mean()) == pytest.approx(elbo, abs=1e-6)
    assert float((made.evidence - made.elbo).mean()) == pytest.approx(evidence - elbo, abs=2e-5)
    assert evidence - elbo == pytest.approx(0.0263, abs=5e-5)


def test_t5_one_variance_costs_what_the_formula_says(evidence):
    for sigma in (0.1, 0.05):
        assert 0.85 < values(evidence, "penalty_ratio", sigma=sigma)[0] < 1.15
        assert values(evidence, "penalty_of_arc_length", sigma=sigma)[0] < 1e-4
    assert values(evidence, "penalty_of_prior", sigma=0.05)[0] == pytest.approx(0.0394, abs=5e-5)
    assert values(evidence, "penalty_of_prior", sigma=0.1)[0] == pytest.approx(0.0393, abs=5e-5)
    assert max(values(evidence, "arc_length_error")) < 1e-4


def test_t5_a_constant_hessian_costs_nothing_and_one_that_varies_what_jensen_says():
    even = torch.full((4,), 0.25, dtype=torch.float64)
    assert curve.penalty(torch.full((4,), 7.0).double(), even) == pytest.approx(0, abs=1e-15)
    varied = torch.tensor([1.0, 1.0, 4.0, 4.0]).double()
    exact = 0.5 * (math.log(2.5) - math.log(2))
    assert curve.penalty(varied, even) == pytest.approx(exact, rel=1e-12)


def test_t5_one_variance_is_the_mean_hessians_inverse_to_second_order():
    generator = torch.Generator().manual_seed(6)
    z = torch.randn(60, generator=generator, dtype=torch.float64)
    x = curve.decoder(z)
    one = curve.fit(x, 0.02, z, 1 / curve.hessian(z, 0.02), constant=True)
    assert one.variance.std() < 1e-15
    expected = 1 / curve.hessian(z, 0.02).mean()
    assert float(one.variance[0]) == pytest.approx(float(expected), rel=5e-3)


def flow_elbo(x: NDArray, m: NDArray, v: NDArray, sigma: float) -> float:
    """Of one x under the map, by moments: E|x - z - b sin z'|^2 with z' the other coordinate."""
    b, error = flow.BEND, 0.0
    for i in (0, 1):
        j = 1 - i
        damped = math.exp(-0.5 * v[j, j])
        sine, cosine = math.sin(m[j]) * damped, math.cos(m[j]) * damped
        square = 0.5 * (1 - math.cos(2 * m[j]) * damped**4)
        cross = m[i] * sine + v[i, j] * cosine  # E z_i sin z_j
        error += (x[i] - m[i]) ** 2 + v[i, i] - 2 * b * (x[i] * sine - cross) + b * b * square
    distortion = error / (2 * sigma**2) + math.log(2 * math.pi * sigma**2)
    return float(-distortion - 0.5 * (m @ m + np.trace(v) - 2 - np.linalg.slogdet(v)[1]))


def test_t11_the_elbo_of_the_flow_is_its_closed_form_and_its_maximum_scipys():
    z = torch.tensor([[0.4, -1.1], [1.8, 0.3]], dtype=torch.float64)
    x, sigma = flow.decoder(z), 0.2
    mean, covariance = flow.mode(x, z, sigma)
    root = torch.linalg.cholesky(covariance)
    found, best = flow.elbo(x, mean, root, sigma), flow.best(x, mean, root, sigma)
    for i in range(2):
        m, r = mean[i].numpy(), root[i].numpy()
        exact = flow_elbo(x[i].numpy(), m, r @ r.T, sigma)
        assert float(found[i]) == pytest.approx(exact, abs=1e-10)

        def loss(p: NDArray, i=i) -> float:
            side = np.array([[math.exp(p[2]), 0], [p[3], math.exp(p[4])]])
            return -flow_elbo(x[i].numpy(), p[:2], side @ side.T, sigma)

        start = [*m, math.log(r[0, 0]), r[1, 0], math.log(r[1, 1])]
        top = optimize.minimize(loss, start, tol=1e-12)
        assert float(best[i]) == pytest.approx(-top.fun, abs=1e-8)
        assert best[i] > found[i]


def test_t11_the_log_density_is_the_change_of_variables_and_sums_to_one():
    side = torch.linspace(-9, 9, 361, dtype=torch.float64)
    z = torch.cartesian_prod(side, side)
    numeric = torch.vmap(torch.func.jacrev(flow.decoder))(z[:50])
    torch.testing.assert_close(flow.jacobian(z[:50]), numeric, rtol=1e-12, atol=1e-12)
    volume = torch.linalg.det(flow.jacobian(z)).abs() * 0.05**2  # of the image of a cell
    assert float((flow.log_density(z).exp() * volume).sum()) == pytest.approx(1, abs=1e-9)
    points, weights = hermite(30, 2)
    moment = float(weights @ points.square().sum(-1))
    assert moment == pytest.approx(2, rel=1e-12)


def test_t11_t14_the_elbo_rises_to_the_change_of_variables(limits):
    for posterior in flow.POSTERIORS:
        last = values(limits, "flow_error", sigma=0.025, posterior=posterior)[0]
        assert -2e-3 < last < 0
        assert values(limits, "flow_error_ratio", posterior=posterior)[0] < 1 / 8
        assert values(limits, "least_flow_rise", posterior=posterior)[0] > 0
        elbos = values(limits, "flow_elbo", posterior=posterior)
        assert elbos == sorted(elbos)


def test_a_maximum_is_found_and_its_slope_told():
    def value(p: dict[str, torch.Tensor]) -> torch.Tensor:
        return -((p["a"] - 2) ** 4).sum() - (p["b"] * torch.tensor([1.0, 30.0]) - 1).square().sum()

    start = {"a": torch.full((1,), 1.9).double(), "b": torch.zeros(2).double()}
    found, steepest = maximise(value, start)
    torch.testing.assert_close(found["b"], torch.tensor([1, 1 / 30]).double(), rtol=0, atol=1e-8)
    assert steepest < 1e-6
    assert start["b"].abs().max() == 0


def test_arrays_are_those_that_the_docstrings_name():
    arrays: dict[str, NDArray] = {}
    assert len(list(finite_data.rows([12], arrays))) == 4
    shapes = {name: array.shape for name, array in arrays.items()}
    assert shapes["latent"] == (401,)
    assert shapes["data"] == (12, 2)
    for posterior in finite_data.POSTERIORS:
        assert shapes[f"decoder_{posterior}"] == (401, 2)
        assert shapes[f"code_{posterior}"] == shapes[f"scale_{posterior}"] == (12,)
    assert np.ptp(arrays["scale_constant"]) == 0 < np.ptp(arrays["scale_free"])
    problem = build("evidence", steps=0, points=20)
    problem.evaluate({}, {}, 0)
    arrays = problem.arrays({})
    assert arrays["hessian"].shape == (4, len(arrays["z"]))
    assert arrays["mean"].shape == arrays["variance"].shape == (4, 20)
    hessian = curve.hessian(torch.as_tensor(arrays["mean"][-1]), 0.05).numpy()
    assert np.median(arrays["variance"][-1] * hessian) == pytest.approx(1, abs=0.01)


def test_derived_numbers_are_measured_and_agree_in_their_digits_where_nothing_is_drawn(
    evidence, limits
):
    frames = {"evidence": evidence, "limits": limits, "identities": measured("identities")}
    assert set(frames) == set(TASKS)
    for entry in DERIVED:
        found = values(frames[entry.experiment], entry.metric, **entry.at)
        number = float(entry.stated)
        if entry.bound:
            assert max(abs(value) for value in found) <= number, entry.what
        elif entry.why == DIGITS:
            (value,) = found
            assert tables_derived.agrees(entry.stated, value), entry.what
        else:
            assert found[0] == pytest.approx(number, rel=0.85), entry.what


def test_digits_are_compared_as_they_are_stated():
    assert tables_derived.agrees("0.0252", 0.025249)
    assert not tables_derived.agrees("0.0252", 0.02526)
    assert tables_derived.agrees("65535", 65535.3)
    assert tables_derived.agrees("-2e-5", -1.6e-5)
    assert not tables_derived.agrees("-2e-5", -1.4e-5)
