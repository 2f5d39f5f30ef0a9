"""Estimators with the mistakes that people make, and the conformance check that must catch them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial as bind

import torch

from paper_repro.estimators import (
    dreg,
    exact_kl,
    gumbel_softmax,
    partial,
    path,
    reinforce,
    rloo,
    score_function,
    silent,
    total,
)
from paper_repro.estimators.analytic_kl import analytic_kl
from paper_repro.estimators.terms import Terms, with_gradient
from paper_repro.studies.conformance.exact import exact_gradient
from paper_repro.studies.conformance.measure import repeats_identical
from tests.estimators import toys
from tests.wrong_on_purpose.case import Case

Estimator = Callable[..., Terms]
SETTLED = {"reward": torch.tensor(-40.0).double(), "weight": torch.tensor(10.0).double()}


def biased(
    problem: str, objective: str = "elbo", samples: int = 1, draws: int = toys.DRAWS
) -> Callable[[Estimator], bool]:
    """Caught: further than six standard errors from the exact gradient."""
    return lambda terms: toys.bias_z(terms, problem, objective, samples, draws=draws) > toys.SIGMAS


class Wrapped:
    """A posterior of which some methods are replaced."""

    def __init__(self, posterior, **methods) -> None:
        self.posterior = posterior
        self.__dict__.update(methods)

    def __getattr__(self, name: str):
        return getattr(self.posterior, name)


def cut(z):
    return tuple(map(cut, z)) if isinstance(z, tuple) else z.detach()


def detached_sample(posterior, log_joint, noise) -> Terms:
    """The classic slip with stop-gradients: the sample has lost its gradient."""
    lost = Wrapped(posterior, rsample=lambda noise: cut(posterior.rsample(noise)))
    return total.terms(lost, log_joint, noise)


def doubled_divergence(posterior, log_joint, noise) -> Terms:
    likelihood, prior, log_q = total.terms(posterior, log_joint, noise)
    return Terms(likelihood, 2 * prior, 2 * log_q)


def detached_entropy(posterior, log_joint, noise) -> Terms:
    terms = path.terms(posterior, log_joint, noise)
    return terms._replace(log_posterior=terms.log_posterior.detach())


def detached_sample_in_log_q(posterior, log_joint, noise) -> Terms:
    """The path derivative the wrong way round: the sample detached, the parameters live."""
    frozen = Wrapped(posterior, log_prob=lambda z: posterior.log_prob(cut(z)))
    frozen.frozen = lambda: frozen
    return path.terms(frozen, log_joint, noise)


def detached_sample_in_log_p(posterior, log_joint, noise) -> Terms:
    """The path derivative's detachment applied to log p as well."""
    return path.terms(posterior, lambda z: log_joint(cut(z)), noise)


def mean_over_pixels(posterior, log_joint, noise) -> Terms:
    def averaged(z):
        likelihood, prior = log_joint(z)
        return likelihood / 3, prior

    return total.terms(posterior, averaged, noise)


def reversed_divergence(posterior, log_joint, noise) -> Terms:
    """KL(N(0, I) || q) for KL(q || N(0, I))."""
    mean, log_scale = posterior.mean, posterior.log_scale
    reverse = 0.5 * ((1 + mean.square()) * (-2 * log_scale).exp() - 1 + 2 * log_scale).sum(-1)
    terms = exact_kl.terms(posterior, log_joint, noise)
    return terms._replace(log_posterior=with_gradient(terms.log_posterior, reverse))


def score_with(weight: Callable, keep_decoder: bool = True) -> Estimator:
    """A score function whose reward is `weight`ed, with or without the decoder's own gradient."""

    def terms(posterior, log_joint, noise) -> Terms:
        z = posterior.sample(noise)
        found = analytic_kl(posterior, z, log_joint(z))
        reward = found.log_likelihood.detach()
        source = weight(reward) * posterior.log_prob(z)
        source = source + (found.log_likelihood if keep_decoder else 0)
        return found._replace(log_likelihood=with_gradient(found.log_likelihood, source))

    return terms


def average_with_current_reward(reward: torch.Tensor) -> torch.Tensor:
    """Moving average updated BEFORE it is subtracted: it contains a tenth of this very reward."""
    return reward - (0.9 * -4.0 + 0.1 * reward)


def without_variance_term(posterior, log_joint, noise) -> Terms:
    """The likelihood at the mean of q in place of its expectation."""
    terms = silent.terms(posterior, log_joint, noise)
    likelihood, _ = log_joint(posterior.mean_z().unsqueeze(0))
    return terms._replace(log_likelihood=likelihood)


def varies(terms: Estimator) -> bool:
    """Caught: repeated gradients are not equal bit by bit."""
    toy = toys.TOYS["gaussian_linear"]
    value = toys.bound(terms, "elbo", toy)
    return not repeats_identical(value, toy, 1, toys.generator(7))


def bias_grows_when_cooled(terms: Estimator) -> bool:
    """Caught: the relative bias at temperature 0.2 exceeds that at 1."""
    toy = toys.TOYS["bernoulli"]
    noise = toys.draw_noise(toy, 1, seed=102, draws=toys.DRAWS)
    exact = exact_gradient(toy)["logits"]

    def bias(temperature: float) -> float:
        function = toys.bound(bind(terms, temperature=temperature), "elbo", toy)
        found = toys.gradient_draws(function, toy.params, noise)["logits"]
        return float((found.mean(0) - exact).norm())

    return bias(0.2) > bias(1.0)


def inverted_temperature(posterior, log_joint, noise, *, temperature) -> Terms:
    return gumbel_softmax.terms(posterior, log_joint, noise, temperature=1 / temperature)


def frozen_weights(posterior, log_joint, noise) -> Terms:
    """The path derivative of a mixture whose weights are detached in front of the components."""
    frozen = Wrapped(posterior, expect=lambda values: posterior.frozen().expect(values))
    return path.terms(frozen, log_joint, noise)


def wrong_sign_of_the_choice(posterior, log_joint, noise) -> Terms:
    """`partial` with the sign of the score of its sampled component turned."""
    terms = partial.terms(posterior, log_joint, noise)
    log_q = terms.log_posterior
    chosen = partial._choose(posterior, noise)
    log_ratio = (terms.log_likelihood + terms.log_prior - log_q).detach()
    choice = log_ratio * (chosen * posterior.logits.log_softmax(-1)).sum(-1)
    return terms._replace(log_posterior=with_gradient(log_q, log_q + 2 * choice))


EVERYWHERE = (detached_sample, doubled_divergence, detached_entropy, detached_sample_in_log_q,
              detached_sample_in_log_p)  # fmt: skip
DISCRETE = [
    ("reward without its sign", score_function.terms, score_with(torch.neg), 1),
    ("decoder gradient detached", score_function.terms, score_with(lambda r: r, False), 1),
    ("own sample in the leave-one-out baseline", rloo.terms,
     score_with(lambda r: r - r.mean(0)), 2),
]  # fmt: skip

CASES = [
    *(
        Case(f"{wrong.__name__}, {kind}", total.terms, wrong, biased(kind))
        for wrong in EVERYWHERE
        for kind in toys.CONTINUOUS
    ),
    *(
        Case(f"{what}, {kind}", right, wrong, biased(kind, samples=k))
        for what, right, wrong, k in DISCRETE
        for kind in toys.DISCRETE
    ),
    Case("current reward in the moving average", bind(reinforce.terms, **SETTLED),
         score_with(average_with_current_reward), biased("bernoulli", draws=200_000)),
    Case("mean over pixels", total.terms, mean_over_pixels, biased("gaussian")),
    Case("KL of the wrong direction", exact_kl.terms, reversed_divergence, biased("gaussian")),
    Case("STL for the IWAE bound", dreg.terms, path.terms, biased("gaussian", "iwae", 2)),
    Case("frozen mixture weights", path.terms, frozen_weights, biased("mixture")),
    Case("sign of the choice", partial.terms, wrong_sign_of_the_choice, biased("mixture")),
    *(
        Case(f"variance term left out, {kind}", silent.terms, without_variance_term, biased(kind))
        for kind in ("gaussian_linear", "bernoulli_linear", "categorical_linear")
    ),
    Case("a silent gradient that draws", silent.terms, exact_kl.terms, varies),
    Case("inverted temperature", gumbel_softmax.terms, inverted_temperature,
         bias_grows_when_cooled),
]  # fmt: skip
