"""Wrong closed forms of the expected log-likelihood, caught by enumeration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from paper_repro.distributions import projections
from paper_repro.distributions.posterior import Posterior
from paper_repro.distributions.projections import Cumulants
from paper_repro.estimators.linear_joint import LinearJoint
from paper_repro.likelihoods import expected
from tests.likelihoods.enumeration import FAMILIES, Params, normal
from tests.wrong_on_purpose.case import Case

X = normal(40, 3, 4)
Closed = Callable[[Params, Posterior], Tensor]
"""(decoder and posterior parameters, posterior) -> expected log-likelihood [B]."""


def parameters(kind: str) -> dict[str, Tensor]:
    family = FAMILIES[kind]
    return family.params | {
        "weight": normal(41, 4, family.dim),
        "bias": normal(42, 4),
        "scale_weight": normal(43, 4, family.dim, scale=0.3),
        "scale_bias": 2 + normal(44, 4, scale=0.2),
    }


def joint(variant: str, p: Params) -> LinearJoint:
    variance = 0.3 if variant == "fixed" else None
    return LinearJoint(X, p, variant, lambda z: z.sum(-1), variance=variance)


def differs_from_enumeration(variant: str, kind: str) -> Callable[[Closed], bool]:
    """Not the mean over all states of log p(x | z), to a billionth."""

    def caught(closed: Closed) -> bool:
        family, p = FAMILIES[kind], parameters(kind)
        exact = family.expectation(p, lambda z: joint(variant, p)(z)[0])
        return not torch.allclose(closed(p, family.posterior(p)), exact, rtol=1e-9, atol=1e-12)

    return caught


def right(variant: str) -> Closed:
    return lambda p, q: joint(variant, p).expected_log_likelihood(q)


def without_variance(p: Params, q: Posterior) -> Tensor:
    """The log-density at the mean: what a deterministic code would give."""
    error = X - p["bias"] - projections.mean(q, p["weight"])
    return expected.fixed(error, torch.zeros_like(error), 0.3)


def independent_classes(p: Params, q: Posterior) -> Tensor:
    """One-hot entries with the variance p (1 - p) each, but no covariance within a group."""
    mean, own = projections.mean(q, p["weight"]), q.central_moments().second
    return expected.fixed(X - p["bias"] - mean, own @ p["weight"].square().T, 0.3)


def untilted_mean(p: Params, q: Posterior) -> Tensor:
    """EXP with E exp(s) E (x - mu)^2 in the place of E[(x - mu)^2 exp(s)]."""
    k = projections.cumulants(q, p["weight"], p["scale_weight"])
    log_normaliser = projections.tilt(q, p["weight"], p["scale_weight"]).log_normaliser
    c = p["scale_bias"]
    return expected.exp(X - p["bias"] - k.mean_a, k.var_a, c + log_normaliser, c + k.mean_s)


def weighted_square(p: Params, k: Cumulants) -> Tensor:
    """E[(x - mu)^2 s^2] per image, from `square` with the logarithm taken out."""
    error, scale = X - p["bias"] - k.mean_a, p["scale_bias"] + k.mean_s
    mixed = (k.var_a, k.var_s, k.cov, k.k12, k.k21, k.k22)
    value = expected.square(error, scale, torch.zeros_like(scale), *mixed)
    return -2 * value - X.shape[-1] * expected.LOG_2PI


def square_differs_from_enumeration(kind: str) -> Callable[[Callable[..., Cumulants]], bool]:
    def caught(cumulants: Callable[..., Cumulants]) -> bool:
        family, p = FAMILIES[kind], parameters(kind)

        def weighted(z: Tensor) -> Tensor:
            error = X - z @ p["weight"].T - p["bias"]
            return error.square() * (z @ p["scale_weight"].T + p["scale_bias"]).square()

        exact = family.expectation(p, weighted).sum(-1)
        found = cumulants(family.posterior(p), p["weight"], p["scale_weight"])
        return not torch.allclose(weighted_square(p, found), exact, rtol=1e-9, atol=1e-12)

    return caught


def raw_fourth_moment(q: Posterior, w: Tensor, v: Tensor) -> Cumulants:
    """k4 without its -3 m2^2."""
    k = projections.cumulants(q, w, v)
    return k._replace(k22=q.central_moments().fourth @ (w * v).square().T)


def without_third_cumulants(q: Posterior, w: Tensor, v: Tensor) -> Cumulants:
    """Coins as if their distribution were symmetric."""
    k = projections.cumulants(q, w, v)
    return k._replace(k12=torch.zeros_like(k.k12), k21=torch.zeros_like(k.k21))


def plain_code(p: Params, q: Posterior) -> Tensor:
    """{0, 1} moments for a latent coded {-1, +1}."""
    return joint("EXP", p).expected_log_likelihood(replace(q, signed=False))


CASES = [
    Case(
        "expected log-likelihood without the variance of z",
        right("fixed"),
        without_variance,
        differs_from_enumeration("fixed", "bernoulli"),
    ),
    Case(
        "one-hot entries taken as independent",
        right("fixed"),
        independent_classes,
        differs_from_enumeration("fixed", "categorical"),
    ),
    Case(
        "precision and squared error taken as independent",
        right("EXP"),
        untilted_mean,
        differs_from_enumeration("EXP", "bernoulli"),
    ),
    Case(
        "moments of the wrong code",
        right("EXP"),
        plain_code,
        differs_from_enumeration("EXP", "bernoulli_signed"),
    ),
    Case(
        "fourth central moment for the fourth cumulant",
        projections.cumulants,
        raw_fourth_moment,
        square_differs_from_enumeration("bernoulli"),
    ),
    Case(
        "third cumulants of coins left out",
        projections.cumulants,
        without_third_cumulants,
        square_differs_from_enumeration("bernoulli"),
    ),
]
