"""Straight-through and Gumbel-Softmax: the bias each keeps, by enumeration and by quadrature."""

from __future__ import annotations

import pytest
import torch

from paper_repro.distributions.bernoulli import Bernoulli
from paper_repro.estimators import gumbel_softmax, gumbel_softmax_st, straight_through
from paper_repro.gradients.draws import per_draw
from paper_repro.studies.conformance.exact import exact_gradient
from paper_repro.studies.conformance.problems import ExactProblem, linear_joint, normal, problem
from tests.estimators import codes, toys

SIGMAS = 6.0
RELAXED = [gumbel_softmax, gumbel_softmax_st]
TEMPERATURES = (1.0, 0.5, 0.25, 0.1)
VARIANCE = 0.3
NODES = 20_000  # of the midpoint rule over the noise of one bit


def coins(units: int, signed: bool, seed: int = 5) -> ExactProblem:
    """Coins into a linear decoder of one image with seven Gaussian pixels."""
    rng = toys.generator(seed)
    x = normal(rng, 1, 7)
    params = {
        "logits": normal(rng, 1, units),
        "theta_weight": normal(rng, 7, units, scale=0.4),
        "theta_bias": normal(rng, 7, scale=0.2),
    }
    bits = torch.cartesian_prod(*[torch.arange(2.0, dtype=torch.float64)] * units)
    bits = bits.reshape(-1, units)

    def log_probs(p):
        probs = p["logits"].sigmoid()
        return torch.where(bits[:, None] > 0, probs, 1 - probs).log().sum(-1)

    return ExactProblem(
        "bernoulli",
        params,
        lambda p: Bernoulli(p["logits"], signed),
        lambda p: linear_joint(x, p, "bernoulli", VARIANCE),
        2 * bits - 1 if signed else bits,
        log_probs,
    )


def gradients(module, toy: ExactProblem, noise: torch.Tensor, temperature: float) -> torch.Tensor:
    """Gradient of the logits for each of the draws [S, 1, 1, D]: [S, D]."""
    value = codes.elbo(module.terms, toy, temperature=temperature)
    found = per_draw(lambda p, n: value(p, n).sum(), toy.params, {"z": noise})
    return found["logits"].flatten(1)


def one_bit() -> torch.Tensor:
    """Equally probable draws of the noise of one bit: the midpoint rule of its quadrature."""
    levels = (torch.arange(NODES, dtype=torch.float64) + 0.5) / NODES
    return torch.special.ndtri(levels)[:, None, None, None]


@pytest.mark.parametrize("signed", [False, True])
def test_straight_through_loses_exactly_the_variance_term_of_a_linear_decoder(signed):
    """-(1 - 2 p_i) ||W_i||^2 / (2 sigma^2) in d/dp_i of E log p(x|z), four times it for -1, +1."""
    toy = coins(4, signed)
    exact = exact_gradient(toy)
    found = codes.expected_gradient(straight_through.terms, toy)
    p = toy.params["logits"].sigmoid()
    columns = toy.params["theta_weight"].square().sum(0)
    lost = (4 if signed else 1) * (1 - 2 * p) * columns / (2 * VARIANCE)
    bias = lost * p * (1 - p)  # dp / dlogit
    assert bias.abs().min() > 1e-3
    torch.testing.assert_close(found["logits"] - exact["logits"], bias, rtol=1e-9, atol=1e-12)
    for name in ("theta_weight", "theta_bias"):  # the decoder sees true samples
        torch.testing.assert_close(found[name], exact[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["bernoulli", "categorical"])
def test_straight_through_is_exact_for_a_likelihood_linear_in_z(name):
    toy = problem(name)
    slope = toys.normal(7, toy.codes.shape[1])
    joint = toy.log_joint
    linear = ExactProblem(
        toy.kind,
        {"logits": toy.params["logits"]},
        toy.posterior,
        lambda p: lambda z: (z @ slope, joint(toy.params)(z)[1]),
        toy.codes,
        toy.code_log_probs,
    )
    found = codes.expected_gradient(straight_through.terms, linear)
    expected = exact_gradient(linear)
    torch.testing.assert_close(found["logits"], expected["logits"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("module", RELAXED)
@pytest.mark.parametrize("signed", [False, True])
def test_gumbel_softmax_trades_bias_for_variance_as_the_temperature_falls(module, signed):
    toy = coins(1, signed)
    exact = exact_gradient(toy)["logits"].item()
    found = [gradients(module, toy, one_bit(), t) for t in TEMPERATURES]
    bias = [abs(g.mean().item() - exact) for g in found]
    spread = [g.std().item() for g in found]
    assert bias == sorted(bias, reverse=True)
    assert bias[0] > 3 * bias[-1] > 0.001 * abs(exact)
    assert spread == sorted(spread)


@pytest.mark.parametrize("signed", [False, True])
def test_soft_and_straight_through_agree_at_temperature_zero_for_a_quadratic_likelihood(signed):
    toy = coins(1, signed)
    exact = exact_gradient(toy)["logits"].item()
    for module in RELAXED:
        found = gradients(module, toy, one_bit(), 0.01).mean().item()
        assert found == pytest.approx(exact, rel=0.02)


def test_straight_through_follows_slopes_and_not_the_chord_beyond_a_quadratic():
    toy = coins(1, signed=False)

    def quartic(z):
        return -2 * (z.sum(-1) - 0.3) ** 4, torch.zeros_like(z[..., 0])

    toy = ExactProblem(
        toy.kind,
        {"logits": toy.params["logits"]},
        toy.posterior,
        lambda _: quartic,
        toy.codes,
        toy.code_log_probs,
    )
    p = toy.params["logits"].sigmoid().item()
    slopes = -8 * (0.7**3 + (-0.3) ** 3) / 2
    chord = -2 * (0.7**4 - 0.3**4)
    exact = exact_gradient(toy)["logits"].item()
    soft, hard = (gradients(m, toy, one_bit(), 0.01).mean().item() for m in RELAXED)
    assert soft == pytest.approx(exact, abs=0.005)
    assert hard - exact == pytest.approx(p * (1 - p) * (slopes - chord), abs=0.005)


@pytest.mark.parametrize("module", RELAXED)
def test_with_six_bits_the_bias_is_beyond_doubt_and_smaller_at_a_lower_temperature(module):
    toy = coins(6, signed=False)
    exact = exact_gradient(toy)["logits"].flatten()
    noise = toys.normal(11, 20_000, 1, 1, 6)
    found = {t: gradients(module, toy, noise, t) for t in (1.0, 0.1)}
    assert toys.z_scores(found[1.0], exact).abs().max() > SIGMAS
    error = {t: (g.mean(0) - exact).norm() for t, g in found.items()}
    noise_level = {t: (g.var(0).sum() / len(g)).sqrt() for t, g in found.items()}
    assert error[1.0] - error[0.1] > SIGMAS * (noise_level[1.0] + noise_level[0.1])
    assert found[0.1].var(0).sum() > 4 * found[1.0].var(0).sum()


@pytest.mark.parametrize("name", ["bernoulli", "bernoulli_linear", "categorical"])
def test_straight_through_values_are_at_hard_samples_and_gumbel_softmax_likelihoods_are_not(name):
    toy = problem(name)
    q, joint = toy.posterior(toy.params), toy.log_joint(toy.params)
    noise = {"z": toys.normal(4, *q.noise_shapes(3)["z"])}
    z = q.sample(noise)
    hard = (*joint(z), q.log_prob(z))
    for found in (
        straight_through.terms(q, joint, noise),
        gumbel_softmax_st.terms(q, joint, noise, temperature=0.5),
    ):
        for a, b in zip(found, hard, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-14, atol=1e-14)
    soft = gumbel_softmax.terms(q, joint, noise, temperature=0.5)
    relaxed = joint(q.relaxed(noise, 0.5))[0]
    torch.testing.assert_close(soft.log_likelihood, relaxed, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(soft.log_posterior, hard[2], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("module", RELAXED)
@pytest.mark.parametrize("temperature", [0, -0.5, torch.ones(2)])
def test_a_temperature_that_is_none_is_refused(module, temperature):
    toy = problem("bernoulli")
    q, joint = toy.posterior(toy.params), toy.log_joint(toy.params)
    with pytest.raises(ValueError, match="temperature"):
        module.terms(q, joint, {"z": toys.normal(4, 1, 2, 6)}, temperature=temperature)


@pytest.mark.parametrize("module", RELAXED)
def test_the_temperature_may_be_a_tensor_that_follows_a_schedule(module):
    toy = problem("categorical")
    q, joint = toy.posterior(toy.params), toy.log_joint(toy.params)
    noise = {"z": toys.normal(4, *q.noise_shapes(3)["z"])}
    number = module.terms(q, joint, noise, temperature=0.5)
    tensor = module.terms(q, joint, noise, temperature=torch.tensor(0.5))
    assert all(torch.equal(a, b) for a, b in zip(number, tensor, strict=True))
