"""The silent gradient: exact, and the same whatever the noise."""

from __future__ import annotations

import pytest
import torch

from paper_repro.estimators import score_function, silent
from paper_repro.estimators.linear_joint import LinearJoint
from paper_repro.studies.conformance.exact import exact_gradient
from paper_repro.studies.conformance.problems import problem
from tests.estimators import codes, toys

LINEAR = ["gaussian_linear", "bernoulli_linear", "categorical_linear"]


def evaluate(toy, noise, joint=None):
    """Value and gradient of the ELBO, [B] and by parameter."""
    leaves = {name: p.clone().requires_grad_() for name, p in toy.params.items()}
    joint = toy.log_joint(leaves) if joint is None else joint
    found = silent.terms(toy.posterior(leaves), joint, noise)
    value = (found.log_likelihood + found.log_prior - found.log_posterior).mean(0)
    return value, torch.autograd.grad(value.sum(), list(leaves.values()))


@pytest.mark.parametrize("name", LINEAR)
def test_its_gradient_is_the_exact_one(name):
    toy = problem(name)
    found = evaluate(toy, {})[1]
    for a, b in zip(found, exact_gradient(toy).values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", LINEAR[1:])
def test_its_terms_are_the_expectations_over_all_codes(name):
    toy = problem(name)
    z = toy.codes[:, None].expand(-1, 2, -1)
    weight = codes.draws(toy, 1)["weight"]
    densities = (*toy.log_joint(toy.params)(z), toy.posterior(toy.params).log_prob(z))
    found = silent.terms(toy.posterior(toy.params), toy.log_joint(toy.params), {})
    for term, density in zip(found, densities, strict=True):
        assert term.shape == (1, 2)
        torch.testing.assert_close(term[0], (weight * density).sum(0), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", LINEAR)
def test_repeated_calls_agree_bit_by_bit_on_any_noise(name):
    toy = problem(name)
    shape = toy.posterior(toy.params).noise_shapes(5)["z"]
    runs = [evaluate(toy, {"z": toys.normal(seed, *shape)}) for seed in range(20)]
    for value, gradient in runs[1:]:
        assert torch.equal(value, runs[0][0])
        assert all(torch.equal(a, b) for a, b in zip(gradient, runs[0][1], strict=True))


def test_a_sampling_estimator_does_not_repeat_itself():
    toy = problem("bernoulli_linear")
    value = codes.elbo(score_function.terms, toy)
    first, second = (
        torch.func.grad(lambda p, s=s: value(p, {"z": toys.normal(s, 5, 2, 6)}).sum())(toy.params)
        for s in range(2)
    )
    assert not torch.equal(first["logits"], second["logits"])


def test_a_decoder_without_a_closed_form_is_refused():
    toy = problem("bernoulli")
    with pytest.raises(ValueError, match="log_joint: estimator 'silent' needs its expected_log"):
        silent.terms(toy.posterior(toy.params), toy.log_joint(toy.params), {})


def test_an_expectation_that_is_not_summed_over_pixels_is_refused():
    toy = problem("gaussian_linear")

    class PerPixel(LinearJoint):
        def expected_log_likelihood(self, posterior):
            return super().expected_log_likelihood(posterior)[:, None].expand(-1, 3)

    joint = toy.log_joint(toy.params)
    joint.__class__ = PerPixel
    with pytest.raises(ValueError, match=r"expected_log_likelihood has shape \[2, 3\]"):
        silent.terms(toy.posterior(toy.params), joint, {})
