"""Impossible combinations and wrong shapes are refused by name."""

from __future__ import annotations

import pytest

from paper_repro import registry
from paper_repro.estimators import control_variate, total
from tests.estimators import toys

UNSUPPORTED = [
    (name, kind)
    for name in registry.names("estimators")
    for kind in toys.TOYS
    if kind not in registry.constant("estimators", name, "SUPPORTS")
]


@pytest.mark.parametrize(("name", "kind"), UNSUPPORTED)
def test_an_unsupported_posterior_is_refused_by_the_names_of_both(name, kind):
    toy = toys.TOYS[kind]
    with pytest.raises(ValueError, match=rf"'{name}' does not support posterior '{kind}'"):
        toys.terms_of(name)(toy.posterior(toy.params), toy.log_joint(toy.params), {})


@pytest.mark.parametrize("kind", toys.TOYS)
def test_a_likelihood_that_is_not_summed_over_pixels_is_refused(kind):
    toy = toys.TOYS[kind]

    def per_pixel(z):
        likelihood, prior = toy.log_joint(toy.params)(z)
        return likelihood.unsqueeze(-1).expand(*likelihood.shape, 3), prior

    with pytest.raises(ValueError, match="log_likelihood has shape"):
        total.terms(toy.posterior(toy.params), per_pixel, toys.draw_noise(toy, 2, seed=0))


def test_a_control_variate_weight_with_axes_is_refused():
    toy = toys.TOYS["gaussian"]
    with pytest.raises(ValueError, match="c: a number or a 0-d tensor"):
        control_variate.terms(
            toy.posterior(toy.params),
            toy.log_joint(toy.params),
            toys.draw_noise(toy, 2, seed=0),
            c=toys.normal(0, 3),
        )


def test_estimators_and_objectives_declare_what_they_support():
    for room in ("estimators", "objectives"):
        for name in registry.names(room):
            assert set(registry.constant(room, name, "SUPPORTS")) <= set(toys.TOYS)
            assert registry.describe(room, name)
    for name in registry.names("estimators"):
        assert set(registry.constant("estimators", name, "OBJECTIVES")) <= set(
            registry.names("objectives")
        )
