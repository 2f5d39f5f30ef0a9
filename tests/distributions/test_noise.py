"""Logistic and Gumbel noise against their cumulative functions and their moments."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import special

from paper_repro.distributions.noise import gumbel, logistic
from tests.distributions.facts import close, normal

EULER = 0.57721566490153286


def test_each_is_the_inverse_cumulative_function_of_the_normal_one():
    e = torch.linspace(-9, 9, 181, dtype=torch.float64)
    log_u, log_1u = (torch.as_tensor(special.log_ndtr(s * e.numpy())) for s in (1, -1))
    close(logistic(e), log_u - log_1u)
    close(gumbel(e), -(-log_u).log())


@pytest.mark.parametrize(
    ("noise", "mean", "variance"),
    [(logistic, 0, math.pi**2 / 3), (gumbel, EULER, math.pi**2 / 6)],
)
def test_mean_and_variance_are_those_of_the_family(noise, mean, variance):
    e = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    density = torch.exp(-0.5 * e.square()) / math.sqrt(2 * math.pi)
    found = torch.trapezoid(noise(e) * density, e)
    spread = torch.trapezoid((noise(e) - found).square() * density, e)
    assert found.item() == pytest.approx(mean, abs=1e-9)
    assert spread.item() == pytest.approx(variance, rel=1e-9)


@pytest.mark.parametrize("noise", [logistic, gumbel])
def test_single_precision_keeps_both_tails(noise):
    e = torch.linspace(-12, 12, 49)
    torch.testing.assert_close(noise(e), noise(e.double()).float(), rtol=1e-4, atol=1e-5)
    assert (noise(e).diff() > 0).all()


def test_the_logistic_is_odd():
    e = normal(0, 100)
    assert torch.equal(logistic(-e), -logistic(e))
