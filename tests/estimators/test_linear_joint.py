"""A linear decoder's closed-form expectation against the mean of its own log-density."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.integrate import quad
from torch import Tensor

from paper_repro.distributions.bernoulli import Bernoulli
from paper_repro.distributions.gaussian import DiagonalGaussian, standard_normal_log_prob
from paper_repro.distributions.mixture import GaussianMixture
from paper_repro.estimators.linear_joint import VARIANTS, LinearJoint
from paper_repro.likelihoods import expected
from tests.likelihoods.enumeration import (
    BATCH,
    DISCRETE,
    FAMILIES,
    Family,
    Params,
    assert_exact,
    gradients,
    normal,
)

PIXELS = 4
VARIANCE = 0.3
X = normal(20, BATCH, PIXELS)
EXACT = [(v, k) for v in ("fixed", "L0", "EXP") for k in FAMILIES]


def all_params(family: Family) -> dict[str, Tensor]:
    """The posterior's and the decoder's parameters; scales stay away from zero in every state."""
    return family.params | {
        "weight": normal(21, PIXELS, family.dim),
        "bias": normal(22, PIXELS, scale=0.3),
        "scale_weight": normal(23, PIXELS, family.dim, scale=0.25),
        "scale_bias": 2 + normal(24, PIXELS, scale=0.2),
    }


def no_prior(z: Tensor) -> Tensor:
    return z.new_zeros(z.shape[:-1])


def joint(variant: str, p: Params, x: Tensor = X) -> LinearJoint:
    variance = VARIANCE if variant == "fixed" else None
    return LinearJoint(x, p, variant, no_prior, variance=variance)


def closed(variant: str, family: Family, p: Params) -> Tensor:
    return joint(variant, p).expected_log_likelihood(family.posterior(p))


def sampled(variant: str, family: Family, p: Params) -> Tensor:
    """The mean of log p(x | z) over all states of z."""
    return family.expectation(p, lambda z: joint(variant, p)(z)[0])


def projected(family: Family, p: Params, z: Tensor) -> tuple[Tensor, Tensor]:
    """x - mu(z) and s(z) at every state."""
    error = X - z @ p["weight"].T - p["bias"]
    return error, z @ p["scale_weight"].T + p["scale_bias"]


def expanded(variant: str, family: Family, p: Params) -> Tensor:
    """EXP2 and SQ's delta method by their definitions, every moment enumerated."""
    scale = family.expectation(p, lambda z: projected(family, p, z)[1])

    def precision(s: Tensor) -> Tensor:
        centred = s - scale
        return s**2 if variant == "SQ" else scale.exp() * (1 + centred + centred**2 / 2)

    def weighted(z: Tensor) -> Tensor:
        error, s = projected(family, p, z)
        return error**2 * precision(s)

    log_precision = scale
    if variant == "SQ":
        mean = family.expectation(p, lambda z: projected(family, p, z)[1] ** 2)
        spread = family.expectation(p, lambda z: (projected(family, p, z)[1] ** 2 - mean) ** 2)
        log_precision = mean.log() - spread / (2 * mean**2)
    total = math.log(2 * math.pi) - log_precision + family.expectation(p, weighted)
    return -0.5 * total.sum(-1)


@pytest.mark.parametrize(("variant", "kind"), EXACT)
def test_closed_form_is_the_mean_of_the_models_own_log_density(variant, kind):
    family = FAMILIES[kind]
    p = all_params(family)
    assert_exact(closed(variant, family, p), sampled(variant, family, p))


@pytest.mark.parametrize(("variant", "kind"), EXACT)
def test_its_gradient_is_exact_for_encoder_and_decoder(variant, kind):
    family = FAMILIES[kind]
    p = all_params(family)
    found = gradients(lambda q: closed(variant, family, q), p)
    oracle = gradients(lambda q: sampled(variant, family, q), p)
    torch.testing.assert_close(found, oracle, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    ("variant", "kind"),
    [("EXP2", kind) for kind in FAMILIES] + [("SQ", kind) for kind in DISCRETE],
)
def test_four_moment_surrogates_are_their_definition_and_so_are_their_gradients(variant, kind):
    family = FAMILIES[kind]
    p = all_params(family)
    assert_exact(closed(variant, family, p), expanded(variant, family, p))
    found = gradients(lambda q: closed(variant, family, q), p)
    oracle = gradients(lambda q: expanded(variant, family, q), p)
    torch.testing.assert_close(found, oracle, rtol=1e-9, atol=1e-10)


def test_sq_of_a_gaussian_is_exact_by_adaptive_quadrature():
    """One latent, so that each pixel's expectation is a one-dimensional integral."""
    mean, scale, x = 0.4, 0.7, torch.tensor([[0.3, -1.2]], dtype=torch.float64)
    p = {
        "weight": torch.tensor([[0.8], [-0.5]], dtype=torch.float64),
        "bias": torch.tensor([0.1, 0.2], dtype=torch.float64),
        "scale_weight": torch.tensor([[0.9], [0.1]], dtype=torch.float64),
        "scale_bias": torch.tensor([0.2, 1.5], dtype=torch.float64),
    }
    q = DiagonalGaussian(
        *(torch.full((1, 1), v, dtype=torch.float64) for v in (mean, math.log(scale)))
    )
    log_joint = LinearJoint(x, p, "SQ", standard_normal_log_prob)

    def integrand(noise: float) -> float:
        z = torch.full((1, 1, 1), mean + scale * noise, dtype=torch.float64)
        density = math.exp(-(noise**2) / 2) / math.sqrt(2 * math.pi)
        return density * log_joint(z)[0].item()

    zeros = [(-p["scale_bias"][i] / p["scale_weight"][i] - mean).item() / scale for i in (0, 1)]
    inside = [z for z in zeros if abs(z) < 12]
    integral = quad(integrand, -12, 12, points=inside, epsabs=1e-12, epsrel=1e-12, limit=400)[0]
    found = log_joint.expected_log_likelihood(q).item()
    assert found == pytest.approx(integral, rel=1e-9)


def test_sq_of_a_gaussian_has_the_gradient_of_a_large_sample_within_six_standard_errors():
    family = FAMILIES["gaussian"]
    p = all_params(family)
    noise = normal(30, 200_000, BATCH, 2)

    def draws(mean_shift: Tensor) -> Tensor:
        z = p["mean"] + mean_shift + p["log_scale"].exp() * noise
        return joint("SQ", p)(z)[0].sum(-1)

    # Common random numbers: a central difference in one direction, sample by sample.
    direction, step = normal(31, BATCH, 2), 1e-4
    slopes = (draws(step * direction) - draws(-step * direction)) / (2 * step)
    exact = (gradients(lambda q: closed("SQ", family, q), p)["mean"] * direction).sum()
    error = slopes.std() / len(slopes) ** 0.5
    assert abs(slopes.mean() - exact) < 6 * error
    assert error < 0.05 * exact.abs()  # else six of them would forgive anything


def test_exp2_samples_the_model_of_exp():
    family = FAMILIES["gaussian"]
    p = all_params(family)
    z = normal(32, 7, BATCH, 2)
    assert torch.equal(joint("EXP2", p)(z)[0], joint("EXP", p)(z)[0])


def test_exp2_comes_within_fifteen_percent_of_exp_at_worst_where_the_variance_of_s_is_small():
    """R of one pixel over all errors and correlations at VS = 0.45: 14.6 % at worst."""
    var_s, var_a = torch.tensor(0.45, dtype=torch.float64), torch.tensor(0.1, dtype=torch.float64)
    correlation = torch.linspace(-1, 1, 41, dtype=torch.float64)[:, None, None]
    error = torch.linspace(-10, 10, 2001, dtype=torch.float64)[:, None] * var_a.sqrt()
    cov = correlation * (var_a * var_s).sqrt()
    zero = torch.zeros((), dtype=torch.float64)

    def weighted_square(log_likelihood: Tensor) -> Tensor:
        return -2 * log_likelihood - math.log(2 * math.pi)

    scale = zero.expand(1)
    surrogate = weighted_square(expected.exp2(error, scale, var_a, var_s, cov, zero, zero, zero))
    exact = weighted_square(expected.exp(error - cov, var_a, var_s / 2, scale))
    worst = (surrogate / exact - 1).abs().max().item()
    assert worst == pytest.approx(0.146, abs=0.001)
    assert (surrogate >= 0).all()


def test_fixed_variance_gradients_are_those_derived_by_hand():
    """With variance s2: dL/dm = -W^T e / s2, dL/ds_i = s_i |W_i|^2 / s2 for a Gaussian, and for
    coins dL/dp_i = [-2 W_i.e + (1 - 2 p_i) |W_i|^2] / (2 s2)."""
    p = all_params(FAMILIES["gaussian"])
    w = p["weight"]
    e = X - p["mean"] @ w.T - p["bias"]
    found = gradients(lambda q: -closed("fixed", FAMILIES["gaussian"], q), p)
    assert_exact(found["mean"], -e @ w / VARIANCE)
    scale = p["log_scale"].exp()
    assert_exact(found["log_scale"] / scale, scale * w.square().sum(0) / VARIANCE)

    p = all_params(FAMILIES["bernoulli"])
    w, on = p["weight"], p["logits"].sigmoid()
    e = X - on @ w.T - p["bias"]
    found = gradients(lambda q: -closed("fixed", FAMILIES["bernoulli"], q), p)["logits"]
    by_probability = (-2 * e @ w + (1 - 2 * on) * w.square().sum(0)) / (2 * VARIANCE)
    assert_exact(found / (on * (1 - on)), by_probability)


def test_plain_straight_through_loses_the_second_term_of_the_exact_gradient():
    """Its mean gradient is the gradient at z in the place of p, -W_i.(x - W z - b)/s2: its
    expectation lacks (1 - 2 p_i)|W_i|^2 / (2 s2), here more than a tenth of the exact gradient."""
    family = FAMILIES["bernoulli"]
    p = all_params(family)
    w, on = p["weight"], p["logits"].sigmoid()

    def slope(z: Tensor) -> Tensor:
        z = z.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(-joint("fixed", p)(z)[0].sum(), z)
        return gradient

    straight_through = family.expectation(p, slope)
    slopes = gradients(lambda q: -closed("fixed", family, q), p)["logits"]
    exact = slopes / (on * (1 - on))
    lost = (1 - 2 * on) * w.square().sum(0) / (2 * VARIANCE)
    assert_exact(straight_through, exact - lost)
    assert lost.norm() > 0.1 * exact.norm()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", FAMILIES)
def test_members_under_vmap_get_what_each_gets_alone(variant, kind):
    family = FAMILIES[kind]
    p = all_params(family)
    stacked = {n: torch.stack([t, 0.9 * t]) for n, t in p.items()}
    function = torch.func.grad(lambda q: closed(variant, family, q).sum())
    together = torch.vmap(function)(stacked)
    for member in range(2):
        alone = function({n: t[member] for n, t in stacked.items()})
        assert_exact({n: t[member] for n, t in together.items()}, alone)


def test_a_learned_scalar_variance_has_the_gradient_of_a_fixed_one():
    family = FAMILIES["gaussian"]
    p = all_params(family) | {"log_gamma": torch.tensor(math.log(VARIANCE), dtype=torch.float64)}

    def learned(q: Params) -> Tensor:
        log_joint = LinearJoint(X, q, "fixed", no_prior, variance=q["log_gamma"].exp())
        return log_joint.expected_log_likelihood(family.posterior(q))

    assert_exact(learned(p), closed("fixed", family, p))
    slope = gradients(learned, p)["log_gamma"]
    h = 1e-5
    above, below = (learned(p | {"log_gamma": p["log_gamma"] + d}).sum() for d in (h, -h))
    assert slope.item() == pytest.approx(((above - below) / (2 * h)).item(), rel=1e-8)


def test_l0_is_the_limit_of_exp_without_scale_weights():
    family = FAMILIES["bernoulli_signed"]
    p = all_params(family)
    flat = p | {"scale_weight": torch.zeros_like(p["scale_weight"])}
    assert_exact(closed("EXP", family, flat), closed("L0", family, p))


def test_the_prior_is_passed_through():
    p = all_params(FAMILIES["gaussian"])
    z = normal(33, 5, BATCH, 2)
    log_joint = LinearJoint(X, p, "EXP", standard_normal_log_prob)
    assert torch.equal(log_joint(z)[1], standard_normal_log_prob(z))


def test_bad_input_is_refused_by_name():
    p = all_params(FAMILIES["bernoulli"])
    q = FAMILIES["bernoulli"].posterior(p)
    with pytest.raises(ValueError, match=r"^variant: 'LIN' is not one of fixed, L0"):
        LinearJoint(X, p, "LIN", no_prior)
    with pytest.raises(ValueError, match=r"^variance: goes with variant 'fixed'"):
        LinearJoint(X, p, "fixed", no_prior)
    with pytest.raises(ValueError, match=r"^variance: goes with"):
        LinearJoint(X, p, "EXP", no_prior, variance=1.0)
    with pytest.raises(ValueError, match=r"^variance: must be positive, got -1"):
        LinearJoint(X, p, "fixed", no_prior, variance=-1.0)
    with pytest.raises(ValueError, match=r"^params: variant 'EXP' needs scale_weight"):
        LinearJoint(X, {n: t for n, t in p.items() if n != "scale_weight"}, "EXP", no_prior)
    with pytest.raises(ValueError, match=r"^params\['bias'\]: shape \[1\], expected \[4\]"):
        LinearJoint(X, p | {"bias": torch.zeros(1)}, "L0", no_prior)
    with pytest.raises(ValueError, match=r"^x: 3 pixels, but the decoder has 4"):
        LinearJoint(X[:, :3], p, "L0", no_prior)
    with pytest.raises(ValueError, match=r"^z: shape \[7, 1, 8\]"):
        joint("EXP", p)(torch.zeros(7, 1, 8))
    for variant in VARIANTS:
        with pytest.raises(ValueError, match=r"^posterior: batch \[1\], but x's is \[3\]"):
            joint(variant, p).expected_log_likelihood(Bernoulli(q.logits[:1]))
    zeros = torch.zeros(BATCH, 2, 5, dtype=torch.float64)
    mixture = GaussianMixture(zeros[..., 0], zeros, zeros)
    with pytest.raises(ValueError, match=r"^posterior: no closed-form projections of 'mixture'"):
        joint("EXP", p).expected_log_likelihood(mixture)


def test_repeated_gradients_are_bitwise_equal():
    family = FAMILIES["categorical"]
    p = all_params(family)
    first = gradients(lambda q: closed("EXP", family, q), p)
    again = gradients(lambda q: closed("EXP", family, q), p)
    assert all(torch.equal(first[name], again[name]) for name in first)
