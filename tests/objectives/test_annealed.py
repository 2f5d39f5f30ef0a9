"""beta-ELBO and the hand-annealed objective: the ELBO with a weight on one of its parts."""

from __future__ import annotations

import math

import pytest
import torch

from paper_repro.estimators.terms import Terms
from paper_repro.likelihoods import gaussian
from paper_repro.objectives import beta_elbo, elbo, gqn
from paper_repro.training import schedules


def terms(seed: int = 0) -> Terms:
    generator = torch.Generator().manual_seed(seed)
    return Terms(*torch.randn(3, 4, 5, generator=generator, dtype=torch.float64).unbind(0))


def test_beta_weighs_the_divergence_alone():
    t, divergence = terms(), (terms().log_posterior - terms().log_prior).mean(0)
    torch.testing.assert_close(beta_elbo.bound(t, None, beta=1), elbo.bound(t, None))
    for beta in (0, 0.5, 7.0, torch.tensor(7.0)):
        expected = t.log_likelihood.mean(0) - beta * divergence
        torch.testing.assert_close(beta_elbo.bound(t, None, beta=beta), expected)


def test_with_a_fixed_variance_beta_is_another_variance():
    """beta-ELBO at variance v is beta times the ELBO at variance beta v, but for a constant."""
    generator = torch.Generator().manual_seed(1)
    x, output = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64).unbind(0)
    beta, v = 3.0, 0.4
    t = terms()._replace(log_likelihood=gaussian.log_likelihood(x, output[None], variance=v))
    wide = t._replace(log_likelihood=gaussian.log_likelihood(x, output[None], variance=beta * v))
    difference = beta_elbo.bound(t, None, beta=beta) - beta * elbo.bound(wide, None)
    torch.testing.assert_close(difference, difference[:1].expand(5))


def test_minus_the_annealed_objective_is_the_published_loss_and_a_constant():
    generator = torch.Generator().manual_seed(2)
    x, output = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64).unbind(0)
    t = terms()._replace(log_likelihood=gaussian.log_likelihood(x, output[None], variance=1.0))
    for step in (0, 60, 100):
        sigma = 2 - 1.3 * step / 100
        divergence = (t.log_posterior - t.log_prior).mean(0)
        loss = (x - output).square().sum(-1) / (2 * sigma**2) + divergence
        constant = 3 * math.log(2 * math.pi) / (2 * sigma**2)
        found = -gqn.bound(t, None, precision=sigma**-2)
        torch.testing.assert_close(found, loss + constant)


def test_the_pixel_scale_falls_linearly_from_2_to_07_and_stays():
    settings = {"schedule": "gqn", "from": 2.0**-2, "to": 0.7**-2, "end": 0.1}
    precision = schedules.curve("precision", settings, 2000)
    for step in (0, 37, 150, 200, 1999):
        assert precision(step) == pytest.approx(max(2 - 1.3 * step / 200, 0.7) ** -2)


def test_weights_that_make_no_sense_are_refused():
    for beta in (-1.0, math.nan):
        with pytest.raises(ValueError, match="beta"):
            beta_elbo.bound(terms(), None, beta=beta)
    for precision in (0.0, -2.0, math.nan):
        with pytest.raises(ValueError, match="precision"):
            gqn.bound(terms(), None, precision=precision)
