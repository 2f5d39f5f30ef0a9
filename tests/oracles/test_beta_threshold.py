"""The beta-ELBO with a learned variance keeps its code for beta < d / r and loses it beyond.

Dai, Wenliang and Wipf, "On the Value of Infinite Gradients in VAE Models" (NeurIPS 2021), section
2.3: with r directions of data in d pixels the minimised loss, in the scale of their eq. (3), has
the slope d - beta r against log gamma once gamma is small.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from paper_repro.likelihoods import gaussian_gamma
from paper_repro.objectives import beta_elbo
from tests.oracles import linear_vae
from tests.oracles.linear_vae import Params

PIXELS, RANK = 12, 3
SPECTRUM = torch.tensor([1.5, 1.0, 0.6] + [0.0] * (PIXELS - RANK), dtype=torch.float64)
X = linear_vae.data(SPECTRUM)


def slope_errors(
    bound: Callable[..., Tensor],
    likelihood: Callable[..., Tensor] = gaussian_gamma.log_likelihood,
) -> list[float]:
    """|dL/dlog gamma - (d - beta r)| and the gradient in all else, at the optimum given gamma."""
    errors = []
    for beta in (1.0, 2.0, 3.0, 5.0):
        for gamma in (1e-1, 1e-3, 1e-5):
            params = linear_vae.optimum(SPECTRUM, RANK, gamma, beta)
            params["log_gamma"] = torch.tensor(gamma, dtype=torch.float64).log()

            def loss(params: Params, beta: float = beta) -> Tensor:  # twice, as in their eq. (3)
                return -2 * linear_vae.objective(
                    lambda terms, q: bound(terms, q, beta=beta), params, X, likelihood=likelihood
                )

            found = linear_vae.gradients(loss, params)
            errors.append(abs(float(found.pop("log_gamma")) - (PIXELS - beta * RANK)))
            errors += [
                float(g.abs().max()) * gamma for g in found.values()
            ]  # curvature ~ 1 / gamma
    return errors


def test_the_slope_of_the_loss_against_log_gamma_is_d_minus_beta_r():
    assert max(slope_errors(beta_elbo.bound)) < 1e-7


@pytest.mark.parametrize("beta", [1.0, 2.0, 3.0, 5.0])
def test_the_minimised_loss_is_the_closed_form_in_gamma(beta):
    for gamma in (1e-4, 0.05, 0.3):
        params = linear_vae.optimum(SPECTRUM, 5, gamma, beta)  # two latents have nothing to carry
        params["log_gamma"] = torch.tensor(gamma, dtype=torch.float64).log()
        loss = -2 * linear_vae.objective(
            lambda terms, q: beta_elbo.bound(terms, q, beta=beta),
            params,
            X,
            likelihood=gaussian_gamma.log_likelihood,
        )
        active = beta * gamma < SPECTRUM
        exact = PIXELS * math.log(2 * math.pi * gamma) + SPECTRUM[~active].sum() / gamma
        exact += beta * (1 + (SPECTRUM[active] / (beta * gamma)).log()).sum()
        torch.testing.assert_close(loss, exact, rtol=1e-10, atol=1e-10)


def test_trained_models_lose_the_code_beyond_d_over_r_and_drive_gamma_to_zero_below():
    pixels, rank, latents = 10, 2, 3  # isotropic: the switch is at exactly d / r = 5
    x = linear_vae.data(torch.tensor([1.0] * rank + [0.0] * (pixels - rank), dtype=torch.float64))
    beta = torch.tensor([1.0, 3.0, 4.5, 5.5, 8.0], dtype=torch.float64)
    start = linear_vae.random_params(pixels, latents, 1) | {"centre": x.mean(0)}
    start["log_gamma"] = torch.zeros((), dtype=torch.float64)
    params = {n: p.expand(len(beta), *p.shape).clone().requires_grad_() for n, p in start.items()}

    def loss(params: Params, beta: Tensor) -> Tensor:
        return -linear_vae.objective(
            lambda terms, q: beta_elbo.bound(terms, q, beta=beta),
            params,
            x,
            likelihood=gaussian_gamma.log_likelihood,
        )

    optimizer = torch.optim.Adam(params.values(), lr=0.02)
    for _ in range(1000):
        optimizer.zero_grad()
        torch.vmap(loss)(params, beta).sum().backward()
        optimizer.step()

    log_gamma, below = params["log_gamma"].detach(), beta < pixels / rank
    # A latent that carries code keeps less than a hundredth of the prior's variance. One that does
    # not may for some steps keep an eighth: Adam's steps are long where gamma is all but zero.
    active = (params["log_scale"].detach() < 0.5 * math.log(0.05)).sum(-1)
    assert (log_gamma[below] < -6).all()  # and falling: there is no minimum
    assert active.tolist() == [rank, rank, rank, 0, 0]
    collapsed = torch.full((2,), rank / pixels, dtype=torch.float64).log()  # tr(Cov) / d
    torch.testing.assert_close(log_gamma[~below], collapsed, rtol=0, atol=1e-3)
