"""Impossible combinations and wrong shapes are refused by name."""

from __future__ import annotations

import pytest

from paper_repro import registry
from paper_repro.estimators import control_variate, silent
from tests.estimators import toys

KINDS = (*toys.CONTINUOUS, *toys.DISCRETE)
UNSUPPORTED = [
    (name, kind)
    for name in registry.names("estimators")
    for kind in KINDS
    if kind not in registry.constant("estimators", name, "SUPPORTS")
]


@pytest.mark.parametrize(("name", "kind"), UNSUPPORTED)
def test_an_unsupported_posterior_is_refused_by_the_names_of_both(name, kind):
    toy = toys.TOYS[kind]
    with pytest.raises(ValueError, match=rf"'{name}' does not support posterior '{kind}'"):
        toys.terms_of(name)(toy.posterior(toy.params), toy.log_joint(toy.params), {})


def per_pixel(toy):
    """The toy's log joint with a likelihood that somebody forgot to sum."""

    def densities(z):
        likelihood, prior = toy.log_joint(toy.params)(z)
        return likelihood.unsqueeze(-1).expand(*likelihood.shape, 3), prior

    return densities


@pytest.mark.parametrize(("name", "kind"), [p for p in toys.pairs("elbo") if p[1] in KINDS])
def test_a_likelihood_that_is_not_summed_over_pixels_is_refused(name, kind):
    toy = toys.TOYS[kind]
    with pytest.raises(ValueError, match="log_likelihood has shape"):
        toys.terms_of(name)(
            toy.posterior(toy.params), per_pixel(toy), toys.draw_noise(toy, 2, seed=0)
        )


@pytest.mark.parametrize(("name", "kind"), [p for p in toys.pairs("elbo") if p[1] in KINDS])
def test_noise_of_a_wrong_shape_is_refused(name, kind):
    toy = toys.TOYS[kind]
    noise = {key: e[..., :1] for key, e in toys.draw_noise(toy, 2, seed=0).items()}
    with pytest.raises(ValueError, match="noise"):
        toys.terms_of(name)(toy.posterior(toy.params), toy.log_joint(toy.params), noise)


def test_a_control_variate_weight_with_axes_is_refused():
    toy = toys.TOYS["gaussian"]
    with pytest.raises(ValueError, match="c: a number or a 0-d tensor"):
        control_variate.terms(
            toy.posterior(toy.params),
            toy.log_joint(toy.params),
            toys.draw_noise(toy, 2, seed=0),
            c=toys.normal(0, 3),
        )


@pytest.mark.parametrize("kind", registry.constant("estimators", "silent", "SUPPORTS"))
def test_silent_refuses_a_decoder_without_a_closed_form(kind):
    toy = toys.TOYS[kind]
    with pytest.raises(ValueError, match="expected_log_likelihood"):
        silent.terms(toy.posterior(toy.params), toy.log_joint(toy.params), {})


def test_one_sample_is_too_few_for_an_estimator_that_needs_two():
    needy = [n for n in registry.names("estimators") if toys.min_samples(n) > 1]
    assert "rloo" in needy
    for name in needy:
        for kind in registry.constant("estimators", name, "SUPPORTS"):
            toy = toys.TOYS[kind]
            noise = toys.draw_noise(toy, toys.min_samples(name) - 1, seed=0)
            with pytest.raises(ValueError, match=f"'{name}' needs K >= "):
                toys.terms_of(name)(toy.posterior(toy.params), toy.log_joint(toy.params), noise)


@pytest.mark.parametrize("room", ["estimators", "objectives"])
def test_every_part_declares_what_it_supports(room):
    latents = {*KINDS, "convdraw"}
    for name in registry.names(room):
        assert set(registry.constant(room, name, "SUPPORTS")) <= latents, name
        assert registry.describe(room, name), name


def test_estimators_name_families_of_objectives_that_exist():
    objectives = registry.names("objectives")
    families = {registry.constant("objectives", n, "LIKE") or n for n in objectives}
    for name in registry.names("estimators"):
        served = set(registry.constant("estimators", name, "OBJECTIVES"))
        assert served <= families | set(objectives), name
        assert set(registry.constant("estimators", name, "UNBIASED") or ()) <= served, name
