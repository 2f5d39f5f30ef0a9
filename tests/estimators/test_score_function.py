"""Score-function estimators: exact means and variances, by enumeration of all codes."""

from __future__ import annotations

import pytest
import torch

from paper_repro.estimators import reinforce, rloo, score, score_function
from paper_repro.estimators.terms import Terms, with_gradient
from paper_repro.studies.conformance.exact import exact_gradient, product_rule
from paper_repro.studies.conformance.problems import problem
from tests.estimators import codes, toys

DISCRETE = ["bernoulli", "bernoulli_linear", "categorical", "categorical_linear"]
STATE = {"reward": torch.tensor(-21.0), "weight": torch.tensor(3.0)}


def is_exact(terms, name: str, k: int = 1, **options) -> bool:
    toy = problem(name)
    found, exact = codes.expected_gradient(terms, toy, k, **options), exact_gradient(toy)
    return all(torch.allclose(found[n], exact[n], rtol=1e-9, atol=1e-9) for n in exact)


@pytest.mark.parametrize("name", DISCRETE)
def test_forcing_noise_draws_every_code_once(name):
    toy = problem(name)
    noise = {"z": codes.draws(toy, 1)["z"][:, 0]}
    drawn = toy.posterior(toy.params).sample(noise)
    assert torch.equal(drawn, toy.codes[:, None].expand_as(drawn))
    assert len(drawn.unique(dim=0)) == len(drawn)


@pytest.mark.parametrize("name", DISCRETE)
def test_the_score_function_has_the_exact_gradient_in_the_mean(name):
    assert is_exact(score_function.terms, name)


@pytest.mark.parametrize("name", DISCRETE)
def test_reinforce_has_it_with_any_baseline_of_earlier_steps(name):
    assert is_exact(reinforce.terms, name, **STATE)


@pytest.mark.parametrize("name", DISCRETE)
def test_rloo_has_it_over_all_pairs_of_codes(name):
    assert is_exact(rloo.terms, name, k=2)


def test_the_score_function_of_a_gaussian_has_the_exact_gradient_by_quadrature():
    toy = problem("gaussian")
    grid, weight = product_rule(48, 2)
    noise = {"z": grid[:, None].expand(-1, 2, -1)}

    def value(params):
        t = score_function.terms(toy.posterior(params), toy.log_joint(params), noise)
        return weight @ (t.log_likelihood + t.log_prior - t.log_posterior).sum(-1)

    found, exact = torch.func.grad(value)(dict(toy.params)), exact_gradient(toy)
    for name, gradient in exact.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["bernoulli", "categorical"])
def test_its_gradient_is_reward_less_baseline_times_score(name):
    """REINFORCE of a logit: (log p(x|z) - B) (z - p), less the gradient of the divergence."""
    toy = problem(name)
    q, every = toy.posterior(toy.params), codes.draws(toy, 1)
    reward = toy.log_joint(toy.params)(toy.codes[:, None].expand(-1, 2, -1))[0]
    logits = toy.params["logits"].clone().requires_grad_()
    divergence = toy.posterior({"logits": logits}).kl_standard().sum()
    slope = torch.autograd.grad(divergence, logits)[0].flatten(1)
    step = (reward + 7)[..., None] * (toy.codes[:, None] - q.mean_z()) - slope
    weight = every["weight"][..., None]
    mean = (weight * step).sum(0)
    variance = (weight * (step - mean).square()).sum(0)
    found = codes.logit_moments(reinforce.terms, toy, **STATE)
    torch.testing.assert_close(found[0].flatten(1), mean, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found[1].flatten(1), variance, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", DISCRETE)
def test_baselines_reduce_the_exact_variance(name):
    toy = problem(name)
    reward = toy.log_joint(toy.params)(toy.codes[:, None].expand(-1, 2, -1))[0]
    mean = (codes.draws(toy, 1)["weight"] * reward).sum(0).mean()
    settled = {"reward": mean, "weight": torch.tensor(1.0)}
    plain = codes.logit_moments(score_function.terms, toy)[1].sum()
    moving = codes.logit_moments(reinforce.terms, toy, **settled)[1].sum()
    pair = codes.logit_moments(score_function.terms, toy, k=2)[1].sum()
    left_out = codes.logit_moments(rloo.terms, toy, k=2)[1].sum()
    torch.testing.assert_close(pair, plain / 2)
    assert moving < plain
    assert left_out < pair


def test_the_baseline_is_a_weighted_mean_of_the_rewards_so_far():
    state = {"reward": torch.tensor(0.0), "weight": torch.tensor(0.0)}
    rewards = [torch.full((2, 3), r, dtype=torch.float64) for r in (-100.0, -50.0, -80.0)]
    found = []
    for reward in rewards:
        state = reinforce.advance(Terms(reward, reward, reward), **state)
        found.append((state["reward"] / state["weight"]).item())
    second = (0.9 * -100 - 50) / 1.9
    third = (0.81 * -100 + 0.9 * -50 - 80) / 2.71
    assert found == pytest.approx([-100, second, third], rel=1e-6)


def test_reinforce_begins_as_the_score_function():
    toy, noise = problem("bernoulli"), {"z": toys.normal(1, 4, 2, 6)}
    start = {name: torch.tensor(value) for name, value in reinforce.STATE.items()}

    def gradient(terms, **options):
        value = codes.elbo(terms, toy, **options)
        return torch.func.grad(lambda p: value(p, noise).sum())(dict(toy.params))

    first, plain = gradient(reinforce.terms, **start), gradient(score_function.terms)
    later = gradient(reinforce.terms, **STATE)
    assert all(torch.equal(first[name], plain[name]) for name in plain)
    assert not torch.equal(later["logits"], plain["logits"])


def test_values_are_those_of_the_densities_at_the_draws():
    for name in ("gaussian", "bernoulli", "categorical"):
        toy = problem(name)
        noise = {"z": toys.normal(2, *toy.posterior(toy.params).noise_shapes(3)["z"])}
        q, joint = toy.posterior(toy.params), toy.log_joint(toy.params)
        z = q.sample(noise)
        expected = Terms(*joint(z), q.log_prob(z))
        for found in (score_function.terms(q, joint, noise), rloo.terms(q, joint, noise)):
            for a, b in zip(found, expected, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-14, atol=1e-14)


def test_rloo_refuses_a_single_sample():
    toy = problem("bernoulli")
    noise = {"z": toys.normal(3, 1, 2, 6)}
    with pytest.raises(ValueError, match="noise: estimator 'rloo' needs K >= 2 samples, got K = 1"):
        rloo.terms(toy.posterior(toy.params), toy.log_joint(toy.params), noise)


def wrong_sign(posterior, log_joint, noise):
    return score.score_terms(posterior, log_joint, noise, lambda reward: -reward)


def own_reward_in_the_baseline(posterior, log_joint, noise):
    return score.score_terms(posterior, log_joint, noise, lambda r: r - r.mean(0))


def detached_decoder(posterior, log_joint, noise):
    found = rloo.terms(posterior, log_joint, noise)
    z = posterior.sample(noise)
    reward = rloo._less_the_others(found.log_likelihood.detach())
    score_alone = with_gradient(found.log_likelihood, reward * posterior.log_prob(z))
    return found._replace(log_likelihood=score_alone)


@pytest.mark.parametrize("wrong", [wrong_sign, own_reward_in_the_baseline, detached_decoder])
@pytest.mark.parametrize("name", ["bernoulli", "categorical"])
def test_wrong_score_functions_are_caught(wrong, name):
    assert not is_exact(wrong, name, k=2)


def test_a_baseline_that_has_seen_the_current_draw_is_caught():
    def eager(posterior, log_joint, noise):
        found = reinforce.terms(posterior, log_joint, noise, **STATE)
        return reinforce.terms(posterior, log_joint, noise, **reinforce.advance(found, **STATE))

    assert not is_exact(eager, "bernoulli")
