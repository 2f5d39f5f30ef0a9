"""Annealed mixtures: pure at both ends, linear between, every decoder and the divergence whole."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from paper_repro.distributions.bernoulli import Bernoulli
from paper_repro.distributions.categorical import Categorical
from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.errors import UserError
from paper_repro.estimators import annealed, reinforce, rloo, silent
from paper_repro.estimators.linear_joint import LinearJoint
from paper_repro.estimators.terms import Terms
from paper_repro.studies.conformance.exact import exact_gradient
from paper_repro.studies.conformance.problems import problem
from tests.estimators import codes, toys

X = toys.normal(21, 2, 3)
POSTERIORS = {
    "gaussian": lambda p: DiagonalGaussian(*p["head"].chunk(2, -1)),
    "bernoulli": lambda p: Bernoulli(p["head"], signed=True),
    "categorical": lambda p: Categorical(p["head"].unflatten(-1, (2, 2))),
}
SECOND = {"gaussian": "exact_kl", "bernoulli": "gumbel_softmax", "categorical": "rloo"}
KINDS = list(POSTERIORS)
LATENT = {"gaussian": 2, "bernoulli": 4, "categorical": 4}
K = 3


def params(kind: str) -> dict[str, Tensor]:
    """An encoder's output, the weights of a network and of the linear decoder that guides."""
    return {
        "head": toys.normal(22, 2, 4),
        "net": toys.normal(23, LATENT[kind], 3),
        "weight": toys.normal(24, 3, LATENT[kind]),
        "bias": toys.normal(25, 3),
    }


def joints(p: dict[str, Tensor], kind: str):
    """(the network's log joint, the linear decoder's)."""
    prior = POSTERIORS[kind](p).log_prior

    def network(z: Tensor) -> tuple[Tensor, Tensor]:
        return -(X - torch.tanh(z @ p["net"])).square().sum(-1), prior(z)

    theta = {name: p[name] for name in ("weight", "bias")}
    return network, LinearJoint(X, theta, "fixed", prior, variance=0.7)


def noise_of(kind: str, samples: int = K) -> dict[str, Tensor]:
    return {"z": toys.normal(26, samples, 2, LATENT[kind])}


def gradient(terms, kind: str) -> tuple[Tensor, dict[str, Tensor]]:
    """The ELBO of terms(posterior, network, guide) and its gradient."""
    leaves = {name: t.clone().requires_grad_() for name, t in params(kind).items()}
    found = terms(POSTERIORS[kind](leaves), *joints(leaves, kind))
    elbo = (found.log_likelihood + found.log_prior - found.log_posterior).mean(0).sum()
    slopes = torch.autograd.grad(elbo, list(leaves.values()), materialize_grads=True)
    return elbo.detach(), dict(zip(leaves, slopes, strict=True))


def pure(name: str, kind: str, joint: int):
    """The estimator alone, on the network's log joint (0) or the linear decoder's (1)."""
    return gradient(lambda q, *j: toys.terms_of(name)(q, j[joint], noise_of(kind)), kind)


def guided(kind: str, alpha, second: str | None = None):
    def terms(q, network, guide) -> Terms:
        names = {"first": "silent", "second": second or SECOND[kind]}
        return annealed.terms(q, network, noise_of(kind), alpha=alpha, guide=guide, **names)

    return gradient(terms, kind)


def unguided(kind: str, alpha, first: str = "silent"):
    def terms(q, network, linear) -> Terms:
        names = {"first": first, "second": SECOND[kind]}
        return annealed.terms(q, linear, noise_of(kind), alpha=alpha, **names)

    return gradient(terms, kind)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_its_ends_are_the_two_estimators(kind, alpha, as_tensor):
    weight = torch.tensor(alpha, dtype=torch.float64) if as_tensor else alpha
    name = "silent" if alpha else SECOND[kind]
    assert_same(unguided(kind, weight)[1], pure(name, kind, 1)[1])


@pytest.mark.parametrize("kind", KINDS)
def test_between_them_its_gradient_is_their_weighted_mean(kind):
    first, second = pure("silent", kind, 1)[1], pure(SECOND[kind], kind, 1)[1]
    mean = {name: 0.3 * first[name] + 0.7 * second[name] for name in first}
    assert_same(unguided(kind, 0.3)[1], mean)


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_those_of_the_second(kind):
    assert torch.equal(unguided(kind, 0.3)[0], pure(SECOND[kind], kind, 1)[0])
    assert torch.equal(guided(kind, 0.3)[0], pure(SECOND[kind], kind, 0)[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_with_a_guide_both_decoders_get_their_full_gradient_and_the_encoder_the_mean(kind, alpha):
    network, linear = pure(SECOND[kind], kind, 0)[1], pure("silent", kind, 1)[1]
    expected = {
        "head": alpha * linear["head"] + (1 - alpha) * network["head"],
        "net": network["net"],
        "weight": linear["weight"],
        "bias": linear["bias"],
    }
    assert expected["net"].abs().min() > 0
    assert_same(guided(kind, alpha)[1], expected)


def divergence_alone(terms, kind: str) -> dict[str, Tensor]:
    """Gradient where neither decoder says anything of z."""

    class Mute(LinearJoint):
        def __call__(self, z):
            return 0 * z.sum(-1), self.log_prior(z)

        def expected_log_likelihood(self, posterior):
            return 0 * posterior.entropy()

    def muted(q, _, guide) -> Terms:
        guide.__class__ = Mute
        return terms(q, guide, guide)

    return gradient(muted, kind)[1]


def summed(q, network, guide) -> Terms:
    """What a guided mixture without the scaled posteriors would be: the divergence twice."""
    noise = noise_of(q.kind)
    second = toys.terms_of(SECOND[q.kind])(q, network, noise)
    first = silent.terms(q, guide, noise)
    return Terms(*(a.mean(0) + b for a, b in zip(first, second, strict=True)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_divergence_counts_once_whatever_alpha(kind):
    head = params(kind)["head"].requires_grad_()
    once = -torch.autograd.grad(POSTERIORS[kind]({"head": head}).kl_standard().sum(), head)[0]
    for alpha in (0.0, 0.3, 1.0):

        def mixture(q, network, guide, alpha=alpha) -> Terms:
            names = {"first": "silent", "second": SECOND[kind]}
            return annealed.terms(q, network, noise_of(kind), alpha=alpha, guide=guide, **names)

        torch.testing.assert_close(divergence_alone(mixture, kind)["head"], once)
    torch.testing.assert_close(divergence_alone(summed, kind)["head"], 2 * once)


@pytest.mark.parametrize("second", ["total", "path", "exact_entropy"])
def test_a_guided_gaussian_may_be_mixed_with_any_pathwise_estimator(second):
    network, linear = pure(second, "gaussian", 0)[1], pure("silent", "gaussian", 1)[1]
    mean = 0.3 * linear["head"] + 0.7 * network["head"]
    found = guided("gaussian", 0.3, second)[1]
    assert_same(found, {"head": mean, "net": network["net"], "weight": linear["weight"]})


@pytest.mark.parametrize("name", ["bernoulli_linear", "categorical_linear"])
def test_a_mixture_of_unbiased_estimators_is_unbiased(name):
    toy = problem(name)
    options = {"first": "silent", "second": "score_function", "alpha": 0.3}
    found = codes.expected_gradient(annealed.terms, toy, **options)
    for key, exact in exact_gradient(toy).items():
        torch.testing.assert_close(found[key], exact, rtol=1e-9, atol=1e-9)


def test_half_silent_has_half_the_standard_deviation():
    toy = problem("bernoulli_linear")
    options = {"first": "silent", "second": "rloo", "alpha": 0.5}
    mixed = codes.logit_moments(annealed.terms, toy, k=2, **options)[1]
    alone = codes.logit_moments(rloo.terms, toy, k=2)[1]
    torch.testing.assert_close(mixed, alone / 4, rtol=1e-9, atol=1e-12)


def test_the_baseline_of_reinforce_is_handed_on_and_advanced_by_the_second():
    kind, state = "bernoulli", {"reward": torch.tensor(-30.0), "weight": torch.tensor(4.0)}

    def mixture(q, network, guide) -> Terms:
        names = {"first": "silent", "second": "reinforce"}
        return annealed.terms(q, network, noise_of(kind), alpha=0.0, guide=guide, **names, **state)

    def alone(q, network, guide) -> Terms:
        return reinforce.terms(q, network, noise_of(kind), **state)

    expected = gradient(alone, kind)[1]
    assert_same(gradient(mixture, kind)[1], {name: expected[name] for name in ("head", "net")})
    p = params(kind)
    found = mixture(POSTERIORS[kind](p), *joints(p, kind))
    after = annealed.advance(found, **state)
    assert after == reinforce.advance(alone(POSTERIORS[kind](p), *joints(p, kind)), **state)
    assert set(after) == set(annealed.STATE)


def test_options_reach_the_estimator_that_declares_them():
    def mixture(temperature: float):
        def terms(q, network, guide) -> Terms:
            names = {"first": "silent", "second": "gumbel_softmax", "temperature": temperature}
            return annealed.terms(q, network, noise_of(q.kind), alpha=0.3, guide=guide, **names)

        return gradient(terms, "bernoulli")[0]

    default = toys.terms_of("gumbel_softmax")
    p = params("bernoulli")
    t = default(POSTERIORS["bernoulli"](p), joints(p, "bernoulli")[0], noise_of("bernoulli"))
    expected = (t.log_likelihood + t.log_prior - t.log_posterior).mean(0).sum()
    assert torch.equal(mixture(0.5), expected)
    assert not torch.equal(mixture(0.2), expected)


def test_members_with_weights_of_their_own_run_under_vmap():
    alphas = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)
    p, noise = params("bernoulli"), noise_of("bernoulli")

    def value(head: Tensor, alpha: Tensor) -> Tensor:
        q = POSTERIORS["bernoulli"](p | {"head": head})
        network, guide = joints(p, "bernoulli")
        names = {"first": "silent", "second": "gumbel_softmax_st"}
        t = annealed.terms(q, network, noise, alpha=alpha, guide=guide, **names)
        return (t.log_likelihood + t.log_prior - t.log_posterior).mean(0).sum()

    slope = torch.func.grad(value)
    together = torch.vmap(slope, in_dims=(None, 0))(p["head"], alphas)
    for alpha, found in zip(alphas, together, strict=True):
        torch.testing.assert_close(found, slope(p["head"], alpha), rtol=1e-12, atol=1e-12)


def annealed_on(kind: str, **options) -> Terms:
    p, given = params(kind), {"first": "silent", "second": "rloo", "alpha": 0.5} | options
    linear = joints(p, kind)[1]
    return annealed.terms(POSTERIORS[kind](p), linear, noise_of(kind), **given)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, math.nan, torch.ones(2)])
def test_a_weight_outside_its_range_or_with_axes_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha"):
        annealed_on("gaussian", alpha=alpha)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"second": "exact_kl"}, "'exact_kl' does not support posterior 'bernoulli'"),
        ({"first": "dreg"}, "'dreg' is not an estimator of the ELBO"),
        ({"first": "annealed"}, "'annealed' is not an estimator of the ELBO"),
        ({"temperature": 0.5}, "temperature: an option of neither 'silent' nor 'rloo'"),
        ({"guide": lambda z: (z, z)}, "needs its expected_log_likelihood"),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        annealed_on("bernoulli", **options)


def test_an_unknown_estimator_is_refused_with_the_names_there_are():
    with pytest.raises(UserError, match="'loud' is not one of"):
        annealed_on("bernoulli", first="loud")
