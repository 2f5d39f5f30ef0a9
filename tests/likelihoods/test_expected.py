"""Expected log-likelihoods where enumeration does not reach: E log s^2, overflow."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.integrate import quad
from scipy.special import dawsn
from torch import Tensor

from paper_repro.likelihoods import expected

# y = scale / sqrt(2 VS) on both sides of the seam at 8, at the seam, and at zero.
Y = torch.tensor([0.0, 1e-6, 0.1, 0.7, 1.5, 3.0, 5.5, 7.9, 7.9999999, 8.0, 8.0000001, 9.0, 40.0])
Y = torch.cat([Y, -Y]).double()


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def brute_force(scale: float, var_s: float) -> float:
    """E log s^2 by adaptive quadrature that knows where the singularity is."""
    sd = math.sqrt(var_s)

    def integrand(noise: float) -> float:
        s = scale + sd * noise
        return math.exp(-(noise**2) / 2) / math.sqrt(2 * math.pi) * (math.log(s * s) if s else 0.0)

    zero = -scale / sd
    points = [zero] if abs(zero) < 12 else None
    return quad(integrand, -12, 12, points=points, epsabs=1e-13, epsrel=1e-12, limit=500)[0]


@pytest.mark.parametrize("scale", [0.0, 0.05, -0.4, 1.0, 3.0, 12.0, 30.0])
@pytest.mark.parametrize("var_s", [1e-2, 1.0, 4.0])
def test_log_square_of_a_gaussian_is_its_integral(scale, var_s):
    found = expected.log_square_gaussian(tensor(scale), tensor(var_s)).item()
    assert found == pytest.approx(brute_force(scale, var_s), rel=1e-9, abs=1e-9)


def test_log_square_is_the_poisson_sum_of_digammas():
    scale, var_s = tensor(0.0, 0.3, 1.0, 2.5), tensor(0.5, 2.0, 0.7, 1.1)
    rate = scale.square() / (2 * var_s)
    j = torch.arange(200, dtype=torch.float64)[:, None]
    log_weight = torch.xlogy(j, rate) - rate - torch.lgamma(j + 1)
    series = (2 * var_s).log() + (log_weight.exp() * torch.digamma(j + 0.5)).sum(0)
    found = expected.log_square_gaussian(scale, var_s)
    torch.testing.assert_close(found, series, rtol=1e-12, atol=1e-12)


def test_its_derivatives_are_dawsons():
    """d/dscale = 2 sqrt(2/VS) F(y), d/dVS = (1 - 2 y F(y)) / VS, on both sides of the seam."""
    var_s = torch.full_like(Y, 0.6).requires_grad_()
    scale = ((2 * var_s).sqrt() * Y).detach().requires_grad_()
    value = expected.log_square_gaussian(scale, var_s).sum()
    d_scale, d_var = torch.autograd.grad(value, (scale, var_s))
    dawson = torch.as_tensor(dawsn(Y.numpy()))
    torch.testing.assert_close(d_scale, 2 * (2 / 0.6) ** 0.5 * dawson, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(d_var, (1 - 2 * Y * dawson) / 0.6, rtol=1e-8, atol=1e-13)


def test_its_derivatives_are_the_slopes_of_its_values():
    y = Y[Y.abs() < 20]
    scale, var_s, h = (1.2**0.5 * y), torch.full_like(y, 0.6), 1e-4
    s, v = scale.clone().requires_grad_(), var_s.clone().requires_grad_()
    found = torch.autograd.grad(expected.log_square_gaussian(s, v).sum(), (s, v))

    def slope(ds: float, dv: float) -> Tensor:
        ends = [expected.log_square_gaussian(scale + k * ds, var_s + k * dv) for k in (1, -1)]
        return (ends[0] - ends[1]) / (2 * h)

    torch.testing.assert_close(found, (slope(h, 0), slope(0, h)), rtol=1e-6, atol=1e-6)


def test_without_variance_it_is_the_log_of_the_square():
    scale, var_s = tensor(3.0, -0.2).requires_grad_(), tensor(0.0, 0.0).requires_grad_()
    value = expected.log_square_gaussian(scale, var_s)
    torch.testing.assert_close(value, scale.detach().square().log())
    d_scale, d_var = torch.autograd.grad(value.sum(), (scale, var_s))
    torch.testing.assert_close(d_scale, 2 / scale.detach())
    torch.testing.assert_close(d_var, -1 / scale.detach().square())


def test_single_precision_is_good_to_a_millionth():
    scale = (1.2**0.5 * Y).float()
    found = expected.log_square_gaussian(scale, torch.full_like(scale, 0.6))
    exact = expected.log_square_gaussian(scale.double(), torch.full_like(scale, 0.6).double())
    torch.testing.assert_close(found.double(), exact, rtol=2e-6, atol=2e-6)


def test_the_delta_method_is_off_by_what_was_derived():
    """Where the scale is one and four standard deviations of a Gaussian s; never a bound."""
    zero = tensor(0.0)
    for ratio, error in ((1.0, 0.36014), (4.0, 0.016839)):
        delta = expected.log_square_delta(tensor(ratio), tensor(1.0), zero, zero)
        exact = expected.log_square_gaussian(tensor(ratio), tensor(1.0))
        assert (delta - exact).item() == pytest.approx(error, rel=1e-3)


def test_exp_survives_a_precision_that_alone_would_overflow():
    """E exp(s) = e^90 is no float32, R = e^90 e^-86 is."""
    error = torch.tensor([math.exp(-43)]).requires_grad_()
    zero = torch.zeros(1)
    value = expected.exp(error, zero, torch.tensor([90.0]), zero)
    expected_value = -0.5 * (math.log(2 * math.pi) + math.exp(4))
    assert value.item() == pytest.approx(expected_value, rel=1e-4)
    (slope,) = torch.autograd.grad(value, error)
    assert slope.isfinite().all()


def test_exp_is_finite_where_a_pixel_is_met_exactly():
    error, var_a = torch.zeros(2).requires_grad_(), torch.zeros(2).requires_grad_()
    value = expected.exp(error, var_a, torch.zeros(2), torch.zeros(2))
    assert value.item() == pytest.approx(-math.log(2 * math.pi))
    slopes = torch.autograd.grad(value, (error, var_a))
    assert all(slope.isfinite().all() for slope in slopes)
