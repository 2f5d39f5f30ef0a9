"""Cumulants and tilts of linear maps of z, against enumeration and quadrature."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from paper_repro.distributions import projections
from paper_repro.distributions.bernoulli import Bernoulli
from paper_repro.distributions.categorical import Categorical
from paper_repro.distributions.gaussian import DiagonalGaussian
from tests.likelihoods.enumeration import (
    DISCRETE,
    FAMILIES,
    Family,
    Params,
    assert_exact,
    gradients,
    normal,
)

PIXELS = 4


def with_maps(family: Family) -> dict[str, Tensor]:
    maps = {"w": normal(10, PIXELS, family.dim), "v": normal(11, PIXELS, family.dim, scale=0.4)}
    return family.params | maps


def enumerated(family: Family, p: Params) -> projections.Cumulants:
    """The definitions: moments of centred projections, summed over all states."""

    def central(i: int, j: int) -> Tensor:
        return family.expectation(
            p, lambda z: (z @ p["w"].T - mean_a) ** i * (z @ p["v"].T - mean_s) ** j
        )

    mean_a = family.expectation(p, lambda z: z @ p["w"].T)
    mean_s = family.expectation(p, lambda z: z @ p["v"].T)
    var_a, var_s, cov = central(2, 0), central(0, 2), central(1, 1)
    return projections.Cumulants(
        mean_a,
        mean_s,
        var_a,
        var_s,
        cov,
        central(2, 1),
        central(1, 2),
        central(0, 3),
        central(2, 2) - var_a * var_s - 2 * cov**2,
        central(0, 4) - 3 * var_s**2,
    )


def enumerated_tilt(family: Family, p: Params) -> projections.Tilt:
    normaliser = family.expectation(p, lambda z: (z @ p["v"].T).exp())

    def tilted(power: int) -> Tensor:
        moment = family.expectation(p, lambda z: (z @ p["w"].T) ** power * (z @ p["v"].T).exp())
        return moment / normaliser

    return projections.Tilt(normaliser.log(), tilted(1), tilted(2) - tilted(1) ** 2)


def closed(function: str, family: Family, p: Params) -> tuple[Tensor, ...]:
    return getattr(projections, function)(family.posterior(p), p["w"], p["v"])


ORACLES = {"cumulants": enumerated, "tilt": enumerated_tilt}


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("function", ORACLES)
def test_closed_form_is_the_enumerated_expectation(function, kind):
    family = FAMILIES[kind]
    p = with_maps(family)
    found, expected = closed(function, family, p), ORACLES[function](family, p)
    for name, value, oracle in zip(found._fields, found, expected, strict=True):
        torch.testing.assert_close(
            value, oracle, rtol=1e-9, atol=1e-11, msg=lambda m, n=name: n + m
        )


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("function", ORACLES)
def test_gradients_are_those_of_the_enumerated_expectation(function, kind):
    family = FAMILIES[kind]
    p = with_maps(family)
    mix = normal(12, 10, 3, PIXELS)  # another weight for each output, so that none can hide

    def mixed(outputs: tuple[Tensor, ...]) -> Tensor:
        return sum((m * o).sum() for m, o in zip(mix, outputs, strict=False))

    found = gradients(lambda q: mixed(closed(function, family, q)), p)
    expected = gradients(lambda q: mixed(ORACLES[function](family, q)), p)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kind", FAMILIES)
def test_mean_and_variance_are_the_first_cumulants(kind):
    family = FAMILIES[kind]
    p = with_maps(family)
    q, k = family.posterior(p), enumerated(family, p)
    assert_exact(projections.mean_variance(q, p["w"]), (k.mean_a, k.var_a))
    assert_exact(projections.mean(q, p["v"]), k.mean_s)


@pytest.mark.parametrize("kind", FAMILIES)
def test_covariance_of_the_squares_is_twice_the_squared_covariance_plus_k22(kind):
    family = FAMILIES[kind]
    p = with_maps(family)
    k = projections.cumulants(family.posterior(p), p["w"], p["v"])
    a = lambda z: (z @ p["w"].T - k.mean_a) ** 2  # noqa: E731
    s = lambda z: (z @ p["v"].T - k.mean_s) ** 2  # noqa: E731
    product = family.expectation(p, lambda z: a(z) * s(z))
    assert_exact(product - k.var_a * k.var_s, 2 * k.cov**2 + k.k22)
    fourth = family.expectation(p, lambda z: s(z) ** 2)
    assert_exact(fourth, k.k04 + 3 * k.var_s**2)


def test_signed_coins_are_an_affine_map_of_plain_ones():
    logits, w, v = normal(5, 3, 6), normal(6, 4, 6), normal(7, 4, 6)
    plain = projections.cumulants(Bernoulli(logits), 2 * w, 2 * v)
    signed = projections.cumulants(Bernoulli(logits, signed=True), w, v)
    assert_exact(signed[2:], plain[2:])
    assert_exact(signed.mean_a, plain.mean_a - w.sum(-1))


def test_a_die_of_two_faces_is_a_coin():
    """One-hot (z, 1 - z) with weights (w1, w2) is w2 + (w1 - w2) z, for cumulants and tilts."""
    logits, w, v = normal(5, 3, 6), normal(6, 4, 6, 2), normal(7, 4, 6, 2)
    die = Categorical(torch.stack([logits, torch.zeros_like(logits)], -1))
    coin, slopes = Bernoulli(logits), (w[..., 0] - w[..., 1], v[..., 0] - v[..., 1])
    maps = (w.flatten(-2), v.flatten(-2))
    for function in (projections.cumulants, projections.tilt):
        found, expected = function(die, *maps), function(coin, *slopes)
        assert_exact(found[2:], expected[2:])
    shift = v[..., 1].sum(-1)
    assert_exact(
        projections.tilt(die, *maps).log_normaliser,
        projections.tilt(coin, *slopes).log_normaliser + shift,
    )


@pytest.mark.parametrize("kind", DISCRETE)
@pytest.mark.parametrize("function", ORACLES)
def test_closed_form_is_exact_for_nearly_certain_latents(function, kind):
    """Logits of 5 to 60, on both sides of where softplus gives up its last digits."""
    family = FAMILIES[kind]
    p = with_maps(family)
    p = p | {"logits": 20 * p["logits"]}
    found, expected = closed(function, family, p), ORACLES[function](family, p)
    torch.testing.assert_close(tuple(found), tuple(expected), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", DISCRETE)
def test_certain_latents_give_finite_values_and_gradients(kind):
    family = FAMILIES[kind]
    p = {"logits": 60 * family.params["logits"].sign()} | {
        name: with_maps(family)[name] for name in "wv"
    }
    p = {name: value.float() for name, value in p.items()}
    for function in ORACLES:
        assert all(value.isfinite().all() for value in closed(function, family, p))
        slopes = gradients(lambda q, f=function: torch.stack(closed(f, family, q)), p)
        assert all(slope.isfinite().all() for slope in slopes.values())


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("function", ORACLES)
def test_members_under_vmap_get_what_each_gets_alone(function, kind):
    family = FAMILIES[kind]
    stacked = {n: torch.stack([t, 0.5 * t]) for n, t in with_maps(family).items()}
    together = torch.vmap(lambda p: tuple(closed(function, family, p)))(stacked)
    for member in range(2):
        alone = closed(function, family, {n: t[member] for n, t in stacked.items()})
        assert_exact(tuple(t[member] for t in together), tuple(alone))


def test_bad_input_is_refused_by_name():
    q = DiagonalGaussian(torch.zeros(3, 2), torch.zeros(3, 2))
    good = torch.zeros(4, 2)
    with pytest.raises(ValueError, match=r"^w: shape \[4, 3\], expected \[P, 2\]"):
        projections.mean_variance(q, torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"^v: shape \[5, 2\]"):
        projections.cumulants(q, good, torch.zeros(5, 2))
    with pytest.raises(ValueError, match=r"^w: shape \[2\]"):
        projections.tilt(q, torch.zeros(2), good)
    with pytest.raises(ValueError, match=r"^posterior: no closed-form projections of 'flow'"):
        projections.mean(SimpleNamespace(kind="flow"), good)
