"""The deterministic estimator: an autoencoder's likelihood, and nothing else."""

from __future__ import annotations

import pytest
import torch

from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.estimators import deterministic
from paper_repro.studies.conformance.problems import problem


def test_the_likelihood_stands_at_the_mean_and_the_densities_are_zero():
    toy = problem("gaussian")
    q, joint = toy.posterior(toy.params), toy.log_joint(toy.params)
    found = deterministic.terms(q, joint, {})
    assert torch.equal(found.log_likelihood, joint(q.mean[None])[0])
    assert found.log_likelihood.shape == (1, 2)
    assert not found.log_prior.any()
    assert not found.log_posterior.any()


def test_its_gradient_is_that_of_the_network_alone():
    toy = problem("gaussian")

    def gradients(value):
        leaves = {name: p.clone().requires_grad_() for name, p in toy.params.items()}
        return torch.autograd.grad(value(leaves), list(leaves.values()), materialize_grads=True)

    found = gradients(
        lambda p: sum(deterministic.terms(toy.posterior(p), toy.log_joint(p), {})).sum()
    )
    expected = gradients(lambda p: toy.log_joint(p)(p["mean"][None])[0].sum())
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert found[list(toy.params).index("mean")].abs().min() > 0


def test_the_scale_plays_no_part():
    toy = problem("gaussian")
    joint, mean = toy.log_joint(toy.params), toy.params["mean"]
    narrow, wide = (
        deterministic.terms(DiagonalGaussian(mean, torch.full_like(mean, s)), joint, {})
        for s in (-9.0, 2.0)
    )
    assert torch.equal(narrow.log_likelihood, wide.log_likelihood)


def test_a_likelihood_that_is_not_summed_over_pixels_is_refused():
    toy = problem("gaussian")
    with pytest.raises(ValueError, match="log_likelihood has shape"):
        deterministic.terms(toy.posterior(toy.params), lambda z: (z, z[..., 0]), {})
