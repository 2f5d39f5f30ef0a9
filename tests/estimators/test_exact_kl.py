"""Exact KL: the variance it leaves to a linear-Gaussian decoder, and ConvDRAW's learned prior.

With G = W^T W / sigma^2 and g = W^T e / sigma^2, e = x - W m - b, and one sample (our derivation):
Var dL/dm = diag(G diag(s^2) G) and Var dL/ds_i = g_i^2 + G_ii^2 s_i^2 + sum_j G_ij^2 s_j^2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from paper_repro.distributions import convdraw
from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.estimators import exact_kl, silent
from paper_repro.estimators.linear_joint import LinearJoint
from paper_repro.estimators.terms import Terms, with_gradient
from paper_repro.gradients.draws import per_draw
from paper_repro.studies.conformance.exact import product_rule
from tests.estimators import toys

VARIANCE, LATENT = 0.4, 3
X, B = toys.normal(31, 1, 5), toys.normal(32, 5)
W = toys.normal(33, 5, LATENT, scale=0.6)
PARAMS = {"mean": toys.normal(34, 1, LATENT), "scale": toys.normal(35, 1, LATENT).abs() + 0.2}


def elbo(estimator, params, noise) -> Tensor:
    q = DiagonalGaussian(params["mean"], params["scale"].log())
    joint = LinearJoint(X, {"weight": W, "bias": B}, "fixed", q.log_prior, variance=VARIANCE)
    found = estimator.terms(q, joint, noise)
    return (found.log_likelihood + found.log_prior - found.log_posterior).mean(0).sum()


def draws(noise: Tensor) -> dict[str, Tensor]:
    found = per_draw(lambda p, n: elbo(exact_kl, p, n), PARAMS, {"z": noise[:, None, None]})
    return {name: g[:, 0] for name, g in found.items()}


def formulas() -> dict[str, Tensor]:
    gram, scale = W.T @ W / VARIANCE, PARAMS["scale"][0]
    g = W.T @ (X[0] - W @ PARAMS["mean"][0] - B) / VARIANCE
    mean = gram.square() @ scale.square()
    return {"mean": mean, "scale": g.square() + gram.diagonal().square() * scale.square() + mean}


def test_the_variances_are_those_of_the_formulas():
    """Gradients are polynomials of the noise, which four Gauss-Hermite nodes integrate exactly."""
    grid, weight = product_rule(4, LATENT)
    weight = weight[:, None]
    exact = torch.func.grad(lambda p: elbo(silent, p, {}))(PARAMS)
    for name, gradient in draws(grid).items():
        mean = (weight * gradient).sum(0)
        variance = (weight * (gradient - mean).square()).sum(0)
        torch.testing.assert_close(mean, exact[name][0], rtol=1e-9, atol=1e-10)
        torch.testing.assert_close(variance, formulas()[name], rtol=1e-9, atol=1e-10)


def test_twenty_thousand_repeats_match_them_within_five_percent():
    found = draws(toys.normal(36, 20_000, LATENT))
    for name, variance in formulas().items():
        torch.testing.assert_close(found[name].var(0), variance, rtol=0.05, atol=0)


def two_steps(params, lead, x, condition, draw) -> Tensor:
    """Two scalar latents; prior and posterior of the second read the first."""
    state = torch.zeros(*lead, 1, dtype=torch.float64)
    for step in range(2):
        prior = torch.tanh(state * params["prior"][0]), state * params["prior"][1] - 0.1
        posterior = torch.tanh(x[..., :1] + state * params["posterior"][0]), 0.3 * prior[1] - 0.4
        posterior = posterior[0] * params["posterior"][1], posterior[1]
        state = draw(step, prior, posterior) + 0.5 * state
    return state * params["output"]


RECURRENT = {
    "prior": torch.tensor([0.7, -0.3], dtype=torch.float64),
    "posterior": torch.tensor([-0.6, 0.8], dtype=torch.float64),
    "output": torch.tensor([1.2, -0.5], dtype=torch.float64),
}


def recurrent_gradient(terms) -> dict[str, Tensor]:
    """Gradient of the ELBO that `terms` gives, by quadrature over the noise of both steps."""
    grid, weight = product_rule(40, 2)
    x = toys.normal(37, 1, 2)

    def joint(trace: convdraw.Trace) -> tuple[Tensor, Tensor]:
        return -(x - trace.output).square().sum(-1), convdraw.log_prior(trace)

    def elbo(params) -> Tensor:
        q = convdraw.ConvDRAW(two_steps, params, x, steps=2, units=1)
        found = terms(q, joint, {"z": grid[:, None, :, None]})
        return weight @ (found.log_likelihood + found.log_prior - found.log_posterior)[:, 0]

    return torch.func.grad(elbo)(dict(RECURRENT))


def sampled(posterior, log_joint, noise) -> Terms:
    z = posterior.rsample(noise)
    return Terms(*log_joint(z), posterior.log_prob(z))


def detached_divergence(posterior, log_joint, noise) -> Terms:
    """The divergence of a trace without a graph: right in value, silent about every weight."""
    found = sampled(posterior, log_joint, noise)
    trace = posterior.rsample(noise)
    divergence = posterior.kl_along(convdraw.Trace(*(t.detach() for t in trace)))
    return found._replace(
        log_prior=found.log_prior.detach(),
        log_posterior=with_gradient(found.log_posterior, divergence),
    )


def test_convdraw_has_the_exact_gradient_in_prior_posterior_and_decoder():
    found, exact = recurrent_gradient(exact_kl.terms), recurrent_gradient(sampled)
    for name, gradient in exact.items():
        assert gradient.abs().min() > 1e-3
        torch.testing.assert_close(found[name], gradient, rtol=1e-9, atol=1e-9)


def test_a_divergence_that_has_lost_its_graph_is_caught():
    found, exact = recurrent_gradient(detached_divergence), recurrent_gradient(sampled)
    assert (found["prior"] - exact["prior"]).abs().min() > 1e-3


def test_values_of_convdraw_are_the_densities_at_its_draws():
    x = toys.normal(37, 1, 2)
    q = convdraw.ConvDRAW(two_steps, RECURRENT, x, steps=2, units=1)

    def joint(trace: convdraw.Trace) -> tuple[Tensor, Tensor]:
        return -(x - trace.output).square().sum(-1), convdraw.log_prior(trace)

    noise = {"z": toys.normal(38, 4, 1, 2, 1)}
    for found, expected in zip(
        exact_kl.terms(q, joint, noise), sampled(q, joint, noise), strict=True
    ):
        assert torch.equal(found, expected)
