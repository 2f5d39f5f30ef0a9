"""BILBO and the generic autoencoder objective: functions of means over the batch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from paper_repro.distributions.bernoulli import Bernoulli
from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.estimators.terms import Terms
from paper_repro.objectives import autoencoder, bilbo, bilbo_centred, bilbo_full

F64 = torch.float64


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def terms(samples: int = 3, batch: int = 5) -> Terms:
    likelihood = -normal(0, samples, batch).square()
    return Terms(likelihood, normal(1, samples, batch), normal(2, samples, batch))


def gaussian(batch: int = 5) -> DiagonalGaussian:
    return DiagonalGaussian(normal(3, batch, 2), torch.full((batch, 2), -0.3, dtype=F64))


def test_bilbo_is_the_mean_likelihood_less_the_information_about_zero():
    t, q = terms(), gaussian()
    m2, v = q.mean.square().mean(0), math.exp(-0.6)
    expected = t.log_likelihood.mean() - 0.5 * (1 + m2 / v).log().sum()
    bound = bilbo.bound(t, q)
    assert bound.shape == (5,)
    torch.testing.assert_close(bound.mean(), expected)


def test_the_generic_objective_is_equation_7():
    t, q = terms(1), gaussian()
    error = -t.log_likelihood.mean() / 10
    code = q.mean.square().mean(0)
    found = autoencoder.bound(t, q, pixels=10, g="sqrt", h="shifted_log", h_constant=0.1)
    expected = -(error.sqrt() + (code + 0.1).log().sum() / 10)
    torch.testing.assert_close(found, expected.expand(5))
    default = autoencoder.bound(t, q, pixels=10)
    torch.testing.assert_close(default[0], -(error.log() + code.log().sum() / 10))


def test_penalties_are_the_functions_they_are_named_for():
    u = torch.tensor([0.3, 2.0], dtype=F64)
    written = {
        "identity": u,
        "saturating": u / (0.5 + u),
        "log1p": (1 + u / 0.5).log(),
        "sqrt": u**0.5,
        "power": u**0.5,
        "log": u.log(),
        "shifted_log": (u + 0.5).log(),
        "none": torch.zeros_like(u),
    }
    assert written.keys() == autoencoder.PENALTIES.keys()
    for name, expected in written.items():
        torch.testing.assert_close(autoencoder.penalty(name, u, 0.5), expected)


@pytest.mark.parametrize("name", [name for name in autoencoder.PENALTIES if name != "none"])
def test_penalties_rise_and_are_concave(name):
    u = torch.linspace(0.01, 3, 50, dtype=F64, requires_grad=True)
    slope = torch.autograd.grad(autoencoder.penalty(name, u, 0.5).sum(), u)[0]
    assert (slope > 0).all()
    assert (slope.diff() <= 1e-12).all()


BOUNDED = {"none", "identity", "saturating", "log1p", "shifted_log"}


@pytest.mark.parametrize("name", autoencoder.PENALTIES)
def test_the_slope_at_zero_is_bounded_for_the_penalties_that_cannot_promise_sparsity(name):
    u = torch.tensor([1e-12], dtype=F64, requires_grad=True)
    slope = float(torch.autograd.grad(autoencoder.penalty(name, u, 0.5).sum(), u)[0])
    assert (slope < 10) == (name in BOUNDED)


@pytest.mark.parametrize("module", [bilbo, bilbo_centred, bilbo_full, autoencoder])
def test_stacked_members_have_the_value_and_gradient_of_a_loop(module):
    options = {"pixels": 7} if module is autoencoder else {}

    def value(mean: Tensor, likelihood: Tensor) -> Tensor:
        q = DiagonalGaussian(mean, torch.zeros_like(mean))
        return module.bound(Terms(likelihood, likelihood, likelihood), q, **options).sum()

    means, likelihoods = normal(4, 3, 5, 2), -normal(5, 3, 4, 5).square()
    means.requires_grad_()
    together = torch.vmap(value)(means, likelihoods)
    gradient = torch.autograd.grad(together.sum(), means)[0]
    for member in range(3):
        alone = means[member].detach().requires_grad_()
        expected = value(alone, likelihoods[member])
        torch.testing.assert_close(together[member], expected)
        torch.testing.assert_close(gradient[member], torch.autograd.grad(expected, alone)[0])


@pytest.mark.parametrize("module", [bilbo, bilbo_centred, bilbo_full])
def test_a_member_that_diverged_leaves_the_others_as_they_are(module):
    """Without an exception, which would end them all."""

    def value(mean: Tensor) -> Tensor:
        nothing = mean.new_zeros(1, 5)
        q = DiagonalGaussian(mean, torch.zeros_like(mean))
        return module.bound(Terms(nothing, nothing, nothing), q).mean()

    means = normal(6, 3, 5, 2)
    means[1, 0, 0] = math.nan
    found = torch.vmap(value)(means)
    assert found.isfinite().tolist() == [True, False, True]
    torch.testing.assert_close(found[2], value(means[2]))


def test_bad_input_is_refused_by_name():
    q, coins = gaussian(), Bernoulli(normal(3, 5, 2))
    with pytest.raises(ValueError, match="bernoulli"):
        bilbo.bound(terms(), coins)
    with pytest.raises(ValueError, match="bernoulli"):
        autoencoder.bound(terms(), coins, pixels=3)
    with pytest.raises(ValueError, match="pixels"):
        autoencoder.bound(terms(), q, pixels=0)
    with pytest.raises(ValueError, match="cubic"):
        autoencoder.bound(terms(), q, pixels=3, h="cubic")
    with pytest.raises(ValueError, match="constant"):
        autoencoder.penalty("log1p", q.mean, -1.0)
    for module in (bilbo_centred, bilbo_full):
        with pytest.raises(ValueError, match="bernoulli"):
            module.bound(terms(), coins)
    with pytest.raises(ValueError, match="mean, variance"):
        bilbo_full.batch_information(q.mean[0], q.mean[0])
    with pytest.raises(ValueError, match="mean"):
        bilbo.batch_information(q.mean[0], q.mean[0])
    with pytest.raises(ValueError, match="variance"):
        bilbo.batch_information(q.mean, q.mean[0])
    with pytest.raises(ValueError, match="log_scale"):
        bilbo.rate(q, torch.zeros(3, dtype=F64))
