"""Every estimator against exact ELBO gradients, and wrong estimators that must be caught."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.estimators import partial, path, total
from paper_repro.estimators.terms import Terms, with_gradient
from tests.estimators import toys

SIGMAS = 6.0
DRAWS = 50_000
ELBO_PAIRS = toys.pairs("elbo")


def bias_z(terms, kind: str, objective: str = "elbo", samples: int = 1) -> float:
    toy = toys.TOYS[kind]
    noise = toys.draw_noise(toy, samples, seed=100, draws=DRAWS)
    draws = toys.gradient_draws(toys.bound(terms, objective, toy), toy.params, noise)
    exact = toys.exact_elbo_gradient(kind)
    return toys.z_scores(toys.flatten(draws, 1), exact).abs().max().item()


@pytest.mark.parametrize(("name", "kind"), ELBO_PAIRS)
def test_mean_gradient_is_the_exact_elbo_gradient(name, kind):
    assert bias_z(toys.terms_of(name), kind) < SIGMAS


@pytest.mark.parametrize(("name", "kind"), [p for p in toys.pairs("iwae") if p[0] != "total"])
def test_iwae_with_one_sample_has_the_exact_elbo_gradient(name, kind):
    assert bias_z(toys.terms_of(name), kind, "iwae") < SIGMAS


def test_quadrature_agrees_with_the_closed_form_for_a_gaussian():
    toy = toys.TOYS["gaussian"]

    def elbo(params) -> Tensor:
        q = DiagonalGaussian(params["mean"], params["log_scale"])
        misfit = (toys.X - q.mean - params["theta"]).square() + (2 * q.log_scale).exp()
        return (-0.5 * misfit / (2 * toys.LOG_NOISE).exp()).sum() - q.kl_standard().sum()

    exact = toys.flatten(torch.func.grad(elbo)(dict(toy.params)))
    torch.testing.assert_close(toys.exact_elbo_gradient("gaussian"), exact, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["mixture", "two_layer", "flow"])
def test_quadrature_has_converged(kind):
    coarse, fine = toys.exact_elbo_gradient(kind, 32), toys.exact_elbo_gradient(kind, 48)
    torch.testing.assert_close(coarse, fine, rtol=0, atol=1e-5)


class _Detached:
    """A posterior whose sample has lost its gradient, the classic slip with stop-gradients."""

    def __init__(self, posterior) -> None:
        self.posterior = posterior

    def __getattr__(self, name: str):
        return getattr(self.posterior, name)

    def rsample(self, noise):
        z = self.posterior.rsample(noise)
        return tuple(h.detach() for h in z) if isinstance(z, tuple) else z.detach()


def detached_sample(posterior, log_joint, noise) -> Terms:
    return total.terms(_Detached(posterior), log_joint, noise)


def doubled_divergence(posterior, log_joint, noise) -> Terms:
    likelihood, prior, log_q = total.terms(posterior, log_joint, noise)
    return Terms(likelihood, 2 * prior, 2 * log_q)


def detached_entropy(posterior, log_joint, noise) -> Terms:
    terms = path.terms(posterior, log_joint, noise)
    return terms._replace(log_posterior=terms.log_posterior.detach())


@pytest.mark.parametrize("wrong", [detached_sample, doubled_divergence, detached_entropy])
@pytest.mark.parametrize("kind", toys.TOYS)
def test_wrong_estimators_are_caught(wrong, kind):
    assert bias_z(wrong, kind) > SIGMAS


def test_a_score_function_of_wrong_sign_is_caught(monkeypatch):
    # with_gradient(log_q, log_q - own - choice): flip what is added to log_q, which turns the
    # sign of the choice score; the sign of the own score cannot matter, its mean is zero.
    monkeypatch.setattr(partial, "with_gradient", lambda v, s: with_gradient(v, 2 * v - s))
    assert bias_z(partial.terms, "mixture") > SIGMAS


def test_a_mixture_path_derivative_with_frozen_weights_is_caught():
    def frozen_weights(posterior, log_joint, noise) -> Terms:
        class Frozen(_Detached):
            def rsample(self, noise):
                return self.posterior.rsample(noise)

            def expect(self, values):
                return self.posterior.frozen().expect(values)

        return path.terms(Frozen(posterior), log_joint, noise)

    assert bias_z(frozen_weights, "mixture") > SIGMAS
