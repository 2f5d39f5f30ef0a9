"""The bounds: values, order and gradients."""

from __future__ import annotations

import math

import torch

from paper_repro.distributions.gaussian import normal_log_prob, standard_normal_log_prob
from paper_repro.estimators.terms import Terms
from paper_repro.objectives import elbo, iwae


def terms(samples: int, seed: int = 0) -> Terms:
    generator = torch.Generator().manual_seed(seed)
    return Terms(
        *torch.randn(3, samples, 5, generator=generator, dtype=torch.float64).mul(3).unbind(0)
    )


def test_elbo_is_the_mean_log_weight_and_iwae_the_log_of_the_mean_weight():
    t = terms(7)
    log_weights = t.log_likelihood + t.log_prior - t.log_posterior
    torch.testing.assert_close(elbo.bound(t, None), log_weights.mean(0))
    torch.testing.assert_close(iwae.bound(t, None), log_weights.exp().mean(0).log())


def test_iwae_is_never_below_elbo_and_equal_for_one_sample():
    assert (iwae.bound(terms(7), None) > elbo.bound(terms(7), None)).all()
    torch.testing.assert_close(iwae.bound(terms(1), None), elbo.bound(terms(1), None))


def test_iwae_gradient_weighs_samples_by_normalised_importance_weights():
    t = Terms(*(term.requires_grad_() for term in terms(7)))
    log_weights = (t.log_likelihood + t.log_prior - t.log_posterior).detach()
    gradient = torch.autograd.grad(iwae.bound(t, None).sum(), t.log_posterior)[0]
    torch.testing.assert_close(gradient, -log_weights.softmax(0))


def test_iwae_does_not_overflow():
    huge = torch.tensor([[1000.0], [-1000.0]], dtype=torch.float64)
    bound = iwae.bound(Terms(huge, huge, -huge), None)
    torch.testing.assert_close(bound, torch.tensor([3000.0 - math.log(2)], dtype=torch.float64))


def test_every_bound_is_the_evidence_when_q_is_the_posterior():
    # z ~ N(0, 1), x | z ~ N(z, 1): evidence N(x; 0, 2), posterior N(x / 2, 1 / 2)
    x = torch.tensor([[0.7], [-1.3]], dtype=torch.float64)
    half = torch.full_like(x, 0.5).log() / 2
    z = x / 2 + half.exp() * torch.linspace(-2, 2, 6, dtype=x.dtype).reshape(-1, 1, 1)
    t = Terms(
        normal_log_prob(x, z, 0 * x), standard_normal_log_prob(z), normal_log_prob(z, x / 2, half)
    )
    evidence = normal_log_prob(x, 0 * x, torch.full_like(x, 2).log() / 2)
    torch.testing.assert_close(elbo.bound(t, None), evidence)
    torch.testing.assert_close(iwae.bound(t, None), evidence)
