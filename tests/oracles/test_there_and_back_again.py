"""BILBO's three rates and BAGGINS' three distortions: value and gradient written out in numpy.

Fyffe, "There and Back Again" (arXiv 1912.10309) for BILBO; BAGGINS is our reading of it. Nothing
here is differentiated automatically: every gradient is the formula beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor

from paper_repro.contracts import Objective, objective
from paper_repro.distributions.aggregate import aggregate
from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.estimators import exact_kl
from paper_repro.estimators.terms import Terms
from paper_repro.likelihoods import baggins
from paper_repro.objectives import bilbo

BATCH, LATENTS, CHANNELS, PIXELS = 24, 3, 3, 5
VALUES = CHANNELS * PIXELS
RANDOM = np.random.RandomState(17)
MEANS = RANDOM.standard_normal((BATCH, LATENTS)) @ RANDOM.standard_normal((LATENTS, LATENTS))
MEANS = MEANS + np.arange(LATENTS)  # correlated, and not about zero
X = RANDOM.standard_normal((BATCH, VALUES)) * np.repeat([1.0, 2.0, 0.1], PIXELS) + 0.5
F = 0.8 * X + 0.05 * RANDOM.standard_normal((BATCH, VALUES))
RATES = ("bilbo", "bilbo_centred", "bilbo_full")


def rate(name: str, mu: np.ndarray, v: float) -> tuple[float, np.ndarray]:
    """The batch's information in nats per image, and its gradient with respect to mu [B, k]."""
    count = len(mu)
    if name == "bilbo_full":
        moment = mu.T @ mu / count
        inverse = np.linalg.inv(moment + v * np.eye(mu.shape[1]))
        _, log_determinant = np.linalg.slogdet(np.eye(mu.shape[1]) + moment / v)
        return 0.5 * log_determinant, mu @ inverse / count
    shifted = mu - mu.mean(0) if name == "bilbo_centred" else mu
    moment = (shifted**2).mean(0)
    return 0.5 * np.log(1 + moment / v).sum(), shifted / (count * (v + moment))


def minimum(x: np.ndarray, bits: float) -> np.ndarray:
    """gamma_min per channel: 1/2 log2(1 + s2 / gamma_min) = bits."""
    s2 = x.var(0).reshape(CHANNELS, PIXELS).mean(1)
    return s2 / (4.0**bits - 1)


def distortion(variant: str, x: np.ndarray, f: np.ndarray, bits: float) -> tuple[float, np.ndarray]:
    """The batch's distortion in nats per image, and its gradient with respect to f [B, D]."""
    s2 = x.var(0).reshape(CHANNELS, PIXELS).mean(1)
    r2 = ((x - f) ** 2).mean(0).reshape(CHANNELS, PIXELS).mean(1)
    if variant == "A":
        gamma = r2 + minimum(x, bits)
        value = 0.5 * PIXELS * np.log(2 * math.pi * math.e * gamma).sum()
    else:
        gamma = np.maximum(r2, minimum(x, bits)) if variant == "B" else total(s2, bits)
        value = 0.5 * PIXELS * (np.log(2 * math.pi * gamma) + r2 / gamma).sum()
    return value, (f - x) / (len(x) * np.repeat(gamma, PIXELS))


def total(s2: np.ndarray, bits: float) -> np.ndarray:
    """Variant C: one gamma, with the information of all values D times `bits`."""

    def excess(log_gamma: float) -> float:
        return float(0.5 * np.log2(1 + s2 / math.exp(log_gamma)).mean() - bits)

    return np.full(CHANNELS, math.exp(brentq(excess, -60, 60, xtol=1e-14)))


def leaf(values: np.ndarray) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def close(found: Tensor, expected: float | np.ndarray) -> None:
    torch.testing.assert_close(
        found.detach(), torch.as_tensor(expected).double(), rtol=1e-11, atol=1e-13
    )


def posterior(mu: Tensor, v: float) -> DiagonalGaussian:
    return DiagonalGaussian(mu, torch.full_like(mu, 0.5 * math.log(v)))


def misses(name: str) -> Callable[[Callable[..., Tensor]], bool]:
    """Whether a bound has another rate than the objective `name`, or another gradient of it."""

    def misses_one(bound: Callable[..., Tensor], v: float) -> bool:
        mu = leaf(MEANS)
        nothing = torch.zeros(1, BATCH, dtype=torch.float64)
        found = bound(Terms(nothing, nothing, nothing), posterior(mu, v)).expand(BATCH).mean()
        value, gradient = rate(name, MEANS, v)
        slope = torch.zeros_like(mu)
        if found.requires_grad:
            (slope,) = torch.autograd.grad(found, mu)
        wrong = abs(float(found.detach()) + value) > 1e-11 * abs(value)
        return wrong or not torch.allclose(-slope, torch.tensor(gradient), rtol=1e-9, atol=1e-12)

    return lambda bound: any(misses_one(bound, v) for v in (1.0, 0.3))


def is_no_divergence_of_the_whole_set(information: Callable[..., Tensor]) -> bool:
    """Whether it is not the mean KL to one prior, that of all images."""
    q = posterior(torch.tensor(MEANS), 1.0)
    codes = aggregate(q)
    found = information(q.mean, (2 * q.log_scale).exp())
    return abs(float(found - bilbo.prior(codes).mean_kl(codes))) > 1e-11


@pytest.mark.parametrize("name", RATES)
def test_a_rate_has_the_value_and_the_gradient_of_its_formula(name: str) -> None:
    assert not misses(name)(objective(name).bound)


def misses_the_distortion(likelihood: Callable[..., Tensor], variant: str) -> bool:
    """Whether a likelihood has another mean distortion than BAGGINS' variant, or another gradient
    of it, for few bits and many."""
    for bits in (0.5, 2.0, 8.0):
        f, options = leaf(F), {"variant": variant, "bits": bits, "channels": CHANNELS}
        found = -likelihood(torch.tensor(X), f, **options).mean()
        (slope,) = torch.autograd.grad(found, f)
        value, gradient = distortion(variant, X, F, bits)
        wrong = abs(float(found.detach()) - value) > 1e-11 * abs(value)
        if wrong or not torch.allclose(slope, torch.tensor(gradient), rtol=1e-9, atol=1e-12):
            return True
    return False


@pytest.mark.parametrize("variant", baggins.VARIANTS)
def test_a_distortion_has_the_value_and_the_gradient_of_its_formula(variant: str) -> None:
    assert not misses_the_distortion(baggins.log_likelihood, variant)


def test_the_formulas_themselves_agree_with_differences() -> None:
    step = 1e-6

    def differs(function: object, at: np.ndarray, gradient: np.ndarray) -> float:
        direction = RANDOM.standard_normal(at.shape)
        ahead, behind = (function(at + s * step * direction)[0] for s in (1, -1))  # type: ignore[operator]
        return abs((ahead - behind) / (2 * step) - float((gradient * direction).sum()))

    for name in RATES:
        assert differs(lambda mu, n=name: rate(n, mu, 0.3), MEANS, rate(name, MEANS, 0.3)[1]) < 1e-8
    for variant in baggins.VARIANTS:
        _, gradient = distortion(variant, X, F, 2.0)
        assert differs(lambda f, v=variant: distortion(v, X, f, 2.0), F, gradient) < 1e-6


def combined(
    mu: np.ndarray, eps: np.ndarray, weight: np.ndarray, bits: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """1/2 sum_j ln(1 + mean mu_j^2) + 1/2 sum_c D/C ln(r2_c + gamma_min,c) of a linear decoder,
    with its gradients with respect to mu and to the decoder's weight [D, k]."""
    output = (mu + eps) @ weight.T
    information, of_rate = rate("bilbo", mu, 1.0)
    r2 = ((X - output) ** 2).mean(0).reshape(CHANNELS, PIXELS).mean(1)
    gamma = r2 + minimum(X, bits)
    of_output = (output - X) / (BATCH * np.repeat(gamma, PIXELS))
    value = information + 0.5 * PIXELS * np.log(gamma).sum()
    return value, of_rate + of_output @ weight, of_output.T @ (mu + eps)


@pytest.mark.parametrize("bits", [2.0, 8.0])
def test_the_combined_loss_has_the_value_and_the_gradients_of_its_formula(bits: float) -> None:
    eps = RANDOM.standard_normal((BATCH, LATENTS))
    weight = RANDOM.standard_normal((VALUES, LATENTS))
    mu, w, x = leaf(MEANS), leaf(weight), torch.tensor(X)
    q = posterior(mu, 1.0)

    def joint(z: Tensor) -> tuple[Tensor, Tensor]:
        likelihood = baggins.log_likelihood(x, z @ w.T, bits=bits, channels=CHANNELS)
        return likelihood, q.log_prior(z)

    terms = exact_kl.terms(q, joint, {"z": torch.tensor(eps)[None]})
    loss = -objective("bilbo").bound(terms, q).mean()
    slopes = torch.autograd.grad(loss, [mu, w])
    value, of_mu, of_weight = combined(MEANS, eps, weight, bits)
    close(loss - 0.5 * VALUES * math.log(2 * math.pi * math.e), value)
    close(slopes[0], of_mu)
    close(slopes[1], of_weight)


@pytest.mark.parametrize("v", [1.0, 0.3])
@pytest.mark.parametrize("name", RATES)
def test_the_frozen_prior_of_a_whole_set_charges_its_information(name: str, v: float) -> None:
    """Mean KL to the prior that the set settles: by moments, and image by image by torch's own."""
    made: Objective = objective(name)
    q = posterior(torch.tensor(MEANS), v)
    codes = aggregate(q)
    prior = made.prior(codes)  # type: ignore[attr-defined]
    value, _ = rate(name, MEANS, v)
    close(prior.mean_kl(codes), value)
    close(prior.kl(q).mean(), value)
    covariance = torch.linalg.inv(prior.whiten) @ torch.linalg.inv(prior.whiten).T
    theirs = torch.distributions.kl_divergence(
        torch.distributions.MultivariateNormal(q.mean, torch.diag_embed((2 * q.log_scale).exp())),
        torch.distributions.MultivariateNormal(prior.mean, covariance),
    )
    close(theirs.mean(), value)


def test_variants_are_ordered_and_equal_where_they_must_be() -> None:
    """Full and centred moments never charge more; without correlations, or about a mean of zero,
    they charge the same (B3)."""
    values = {name: rate(name, MEANS, 1.0)[0] for name in RATES}
    assert values["bilbo_full"] < values["bilbo"]
    assert values["bilbo_centred"] < values["bilbo"]
    about_zero = MEANS - MEANS.mean(0)
    assert rate("bilbo_centred", MEANS, 1.0)[0] == pytest.approx(rate("bilbo", about_zero, 1.0)[0])
    axes = np.linalg.eigh(MEANS.T @ MEANS)[1]
    assert rate("bilbo", MEANS @ axes, 1.0)[0] == pytest.approx(values["bilbo_full"], rel=1e-12)


def test_with_the_solved_variance_bilbo_is_a_difference_of_three_entropies() -> None:
    """B7: H(q) - H(fitted prior) - H(decoder at gamma = r2)."""
    r2 = ((X - F) ** 2).mean(0).reshape(CHANNELS, PIXELS).mean(1)
    q = torch.distributions.Normal(torch.tensor(MEANS), 1.0)
    prior = torch.distributions.Normal(0.0, torch.tensor(MEANS).square().mean(0).add(1).sqrt())
    decoder = torch.distributions.Normal(0.0, torch.tensor(np.repeat(r2, PIXELS)).sqrt())
    entropies = q.entropy().sum(-1).mean() - prior.entropy().sum() - decoder.entropy().sum()
    profile = 0.5 * PIXELS * np.log(2 * math.pi * math.e * r2).sum()
    close(entropies, -rate("bilbo", MEANS, 1.0)[0] - profile)
