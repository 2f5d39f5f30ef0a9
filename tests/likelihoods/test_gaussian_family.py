"""The Gaussian likelihoods against torch.distributions and the theory of their variance."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from paper_repro import registry
from paper_repro.likelihoods import (
    baggins,
    gaussian,
    gaussian_closed_form,
    gaussian_gamma,
    gaussian_pixel,
    normal,
    squared_error,
)

SAMPLES, BATCH, PIXELS = 3, 5, 6


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, F = draw(0, BATCH, PIXELS), draw(1, SAMPLES, BATCH, PIXELS)
LINKED = {"identity": F, "sigmoid": F.sigmoid()}


@pytest.mark.parametrize("link", LINKED)
def test_fixed_variance_is_a_normal_density_summed_over_pixels(link):
    expected = Normal(LINKED[link], 0.7**0.5).log_prob(X).sum(-1)
    found = gaussian.log_likelihood(X, F, variance=0.7, link=link)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(gaussian.mean(F, variance=0.7, link=link), LINKED[link])


@pytest.mark.parametrize("link", LINKED)
def test_learned_gamma_is_a_variance(link):
    params = {"log_gamma": torch.tensor(math.log(0.7), dtype=torch.float64)}
    expected = Normal(LINKED[link], 0.7**0.5).log_prob(X).sum(-1)
    found = gaussian_gamma.log_likelihood(X, F, params, link=link)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    assert gaussian_gamma.init_params()["log_gamma"].exp().item() == 1


def test_learned_gamma_is_half_of_the_papers_loss_with_half_its_gradient():
    """Eq. 3 is ||x - f||^2 / gamma + d log gamma, without the constant d log 2 pi."""
    log_gamma = torch.tensor(-0.4, dtype=torch.float64, requires_grad=True)
    loss = -gaussian_gamma.log_likelihood(X, F, {"log_gamma": log_gamma}).mean()
    paper = ((X - F).square().sum(-1) / log_gamma.exp() + PIXELS * log_gamma).mean()
    constant = PIXELS * math.log(2 * math.pi)
    torch.testing.assert_close(2 * loss, paper + constant, rtol=1e-12, atol=0)
    slopes = [torch.autograd.grad(v, log_gamma)[0] for v in (loss, paper)]
    torch.testing.assert_close(2 * slopes[0], slopes[1], rtol=1e-12, atol=0)


def test_at_gamma_star_the_slope_in_log_gamma_vanishes():
    gamma = gaussian_closed_form.variance(X, F)
    log_gamma = gamma.log().requires_grad_()
    value = gaussian_gamma.log_likelihood(X, F, {"log_gamma": log_gamma}).mean()
    (slope,) = torch.autograd.grad(value, log_gamma)
    assert slope.abs() < 1e-12 * PIXELS
    torch.testing.assert_close(
        gaussian_closed_form.log_likelihood(X, F).mean(), value.detach(), rtol=1e-12, atol=0
    )


def test_detached_gamma_star_has_value_and_gradient_of_the_profile_likelihood():
    """The profile is d/2 log(2 pi e gamma*(f)), differentiated through gamma*."""
    f = F.clone().requires_grad_()
    value = -gaussian_closed_form.log_likelihood(X, f).mean()
    profile = 0.5 * PIXELS * (2 * math.pi * math.e * (X - f).square().mean()).log()
    torch.testing.assert_close(value, profile, rtol=1e-12, atol=0)
    slopes = [torch.autograd.grad(v, f)[0] for v in (value, profile)]
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-12, atol=1e-14)


def test_frozen_variance_is_the_density_of_clean_data():
    variance = torch.tensor([0.2, 0.9], dtype=torch.float64)  # two channels of three pixels
    scale = variance.sqrt().repeat_interleave(3)
    expected = Normal(F, scale).log_prob(X).sum(-1)
    for module in (baggins, gaussian_closed_form):
        found = module.frozen_log_likelihood(X, F, variance)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_per_pixel_precision_is_a_normal_density_inside_the_clamp():
    raw = draw(2, SAMPLES, BATCH, PIXELS)
    found = gaussian_pixel.log_likelihood(X, torch.cat([F, raw], -1))
    expected = Normal(F, (-raw.clamp_min(-2) / 2).exp()).log_prob(X).sum(-1)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(gaussian_pixel.mean(torch.cat([F, raw], -1)), F)


def test_per_pixel_precision_is_bounded_and_has_no_gradient_beyond_the_clamp():
    raw = torch.tensor([[-50.0, 50.0]]).requires_grad_()
    output = torch.cat([torch.zeros(1, 2), raw], -1)
    value = gaussian_pixel.log_likelihood(torch.zeros(1, 2), output)
    assert value.item() == pytest.approx(-math.log(2 * math.pi) + (12 - 2) / 2)
    value.sum().backward()
    assert not raw.grad.any()


def test_squared_error_is_a_gaussian_of_variance_one_half_but_for_a_constant():
    difference = gaussian.log_likelihood(X, F, variance=0.5) - squared_error.log_likelihood(X, F)
    constant = torch.full_like(difference, -0.5 * PIXELS * math.log(math.pi))
    torch.testing.assert_close(difference, constant, rtol=1e-12, atol=1e-12)


NAMES = registry.names("likelihoods")


def inputs(name: str) -> tuple[dict[str, Tensor], Tensor]:
    module = registry.load("likelihoods", name)
    params = module.init_params() if hasattr(module, "init_params") else {}
    parts = [F, draw(3, SAMPLES, BATCH, PIXELS)][: module.OUTPUTS]
    return {n: p.double() for n, p in params.items()}, torch.cat(parts, -1)


def test_every_likelihood_is_listed():
    assert set(NAMES) == {
        "baggins",
        "bernoulli",
        "gaussian",
        "gaussian_channel",
        "gaussian_closed_form",
        "gaussian_gamma",
        "gaussian_pixel",
        "squared_error",
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_likelihood_keeps_the_contract(name):
    """Called with its own defaults: values [K, B], means [K, B, D], gradients everywhere."""
    module = registry.load("likelihoods", name)
    params, output = inputs(name)
    params = {n: p.requires_grad_() for n, p in params.items()}
    output.requires_grad_()
    value = module.log_likelihood(X, output, params, **module.OPTIONS)
    assert value.shape == (SAMPLES, BATCH)
    assert module.mean(output, **module.OPTIONS).shape == (SAMPLES, BATCH, PIXELS)
    slopes = torch.autograd.grad(value.sum(), [output, *params.values()])
    assert all(slope.isfinite().all() and slope.any() for slope in slopes)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_declared_are_the_defaults_used(name):
    module = registry.load("likelihoods", name)
    params, output = inputs(name)
    assert torch.equal(
        module.log_likelihood(X, output, params),
        module.log_likelihood(X, output, params, **module.OPTIONS),
    )


@pytest.mark.parametrize("name", NAMES)
def test_members_under_vmap_get_what_each_gets_alone(name):
    module = registry.load("likelihoods", name)
    params, output = inputs(name)
    x = torch.stack([X, 2 * X])
    outputs = torch.stack([output, output - 0.3])
    stacked = {n: torch.stack([p, p + 0.2]) for n, p in params.items()}

    def slope(x: Tensor, output: Tensor, params: dict[str, Tensor]) -> Tensor:
        function = lambda f: module.log_likelihood(x, f, params, **module.OPTIONS).sum()  # noqa: E731
        return torch.func.grad(function)(output)

    together = torch.vmap(slope)(x, outputs, stacked)
    for member in range(2):
        alone = slope(x[member], outputs[member], {n: p[member] for n, p in stacked.items()})
        torch.testing.assert_close(together[member], alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_shapes_that_do_not_match_are_refused_by_name(name):
    module = registry.load("likelihoods", name)
    params, output = inputs(name)
    argument = "logits" if name == "bernoulli" else "output"
    with pytest.raises(ValueError, match=f"^{argument}: {output.shape[-1]} pixels, but x has 5"):
        module.log_likelihood(X[:, :5], output, params)
    with pytest.raises(
        ValueError, match=rf"^{argument}: batch axes \[3, 5\] must end in x's \[4\]"
    ):
        module.log_likelihood(X[:4], output, params)
    with pytest.raises(
        ValueError, match=rf"^{argument}: batch axes \[3, 1\] must end in x's \[5\]"
    ):
        module.log_likelihood(X, output[:, :1], params)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "bernoulli"])
def test_an_unknown_link_is_refused(name):
    module = registry.load("likelihoods", name)
    params, output = inputs(name)
    with pytest.raises(ValueError, match=r"^link: 'tanh' is not one of identity, sigmoid"):
        module.log_likelihood(X, output, params, link="tanh")


def test_bad_values_are_refused_by_name():
    for variance in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=r"^variance: must be positive"):
            gaussian.log_likelihood(X, F, variance=variance)
    with pytest.raises(ValueError, match=r"^params: no entry 'log_gamma'"):
        gaussian_gamma.log_likelihood(X, F, {})
    with pytest.raises(ValueError, match=r"^params\['log_gamma'\]: must be 0-d"):
        gaussian_gamma.log_likelihood(X, F, {"log_gamma": torch.zeros(6)})
    with pytest.raises(ValueError, match=r"^clamp: needs low < high"):
        gaussian_pixel.log_likelihood(X, torch.cat([F, F], -1), clamp=(3.0, 3.0))
    with pytest.raises(ValueError, match=r"^variance: 4 channels do not divide 6"):
        normal.frozen_log_likelihood(X, F, torch.ones(4))


def test_the_likelihoods_room_imports_nothing_but_itself():
    for path in Path(normal.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("paper_repro"):
                assert node.module.startswith("paper_repro.likelihoods")
