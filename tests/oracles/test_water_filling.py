"""GECO on the linear-Gaussian VAE finds the Gaussian rate-distortion curve: reverse water-filling.

Rezende and Viola, "Taming VAEs" (2018), as a unit test of their algorithm: at the multiplier lambda
the directions of eigenvalue l_j keep the error d_j = min(l_j, theta), theta = 1 / (2 lambda), and
the rate is 1/2 sum log(l_j / d_j); the water level theta is where sum d_j = D kappa^2.

The spectrum is ours: geometric, with 64 directions and a total variance of 4.484.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scipy import optimize
from torch import Tensor

from paper_repro.distributions.gaussian import DiagonalGaussian, standard_normal_log_prob
from paper_repro.estimators import total
from paper_repro.objectives import geco
from tests.oracles import linear_vae

PIXELS = 64
SPECTRUM = 0.9 ** torch.arange(PIXELS, dtype=torch.float64)
SPECTRUM = 4.484 * SPECTRUM / SPECTRUM.sum()
KAPPAS = (0.06, 0.08, 0.10, 0.125, 0.175)


def water_filling(kappa: float) -> tuple[float, float]:
    """(KL in nats, multiplier) at an RMS error of kappa per pixel."""
    theta = optimize.brentq(
        lambda level: float(SPECTRUM.clamp(max=level).sum()) - PIXELS * kappa**2, 1e-9, 4.0
    )
    return float(0.5 * (SPECTRUM / theta).clamp(min=1).log().sum()), 1 / (2 * theta)


def train(
    kappas: tuple[float, ...],
    bound: Callable[..., Tensor] = geco.bound,
    advance: Callable[..., geco.State] = geco.advance,
    steps: int = 4000,
) -> tuple[Tensor, Tensor, Tensor]:
    """KL, multiplier and RMS error of one model per kappa, trained together.

    In the principal basis the model falls into one latent per direction and, by symmetry, one
    observation sqrt(l_j): "images" are [kappa, direction] with a single pixel. Each model has its
    own constraint, and a row of violations that is zero for the others.
    """
    x = SPECTRUM.sqrt().reshape(1, PIXELS, 1).expand(len(kappas), -1, -1)
    target = torch.tensor(kappas, dtype=torch.float64)
    own = torch.eye(len(kappas), dtype=torch.float64)[:, None, :, None]
    state = geco.init_state(len(kappas))
    state = {k: v.double() if v.is_floating_point() else v for k, v in state.items()}
    noise = linear_vae.cubature(1, *x.shape[:-1])
    params = [torch.full_like(x, start).requires_grad_() for start in (0.3, 0.3, 0.0)]
    encoder, decoder, log_scale = params
    optimizer = torch.optim.Adam(params, lr=0.01)

    for _ in range(steps):
        q = DiagonalGaussian(encoder * x, log_scale)
        joint = geco.ConstrainedJoint(
            lambda z: own * ((x - decoder * z).square().sum(-1) - target[:, None] ** 2),
            standard_normal_log_prob,
            geco.multipliers(state),
        )
        loss = -bound(total.terms(q, joint, noise), q).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        violations = joint.seen.mean(1).sum((1, 2))  # expectation; summed over directions
        state = advance(state, violations, PIXELS * target**2)

    mse = (violations + PIXELS * target**2) / PIXELS
    return q.kl_standard().sum(-1).detach(), geco.multipliers(state), mse.sqrt()


def relative_errors(kappas: tuple[float, ...], **settings: object) -> Tensor:
    """Of KL, multiplier and RMS error against theory: [3, kappas]."""
    exact = torch.tensor([[*water_filling(kappa), kappa] for kappa in kappas]).T
    return torch.stack(train(kappas, **settings)) / exact - 1


def misses_the_curve(**parts: Callable) -> bool:
    """True unless KL, multiplier and error at the coarsest kappa are within 2 percent of theory."""
    return not bool((relative_errors(KAPPAS[-1:], steps=1500, **parts).abs() < 0.02).all())


def test_geco_is_within_two_percent_of_reverse_water_filling_at_five_kappas():
    errors = relative_errors(KAPPAS)
    assert (errors.abs() < 0.02).all(), errors


def test_the_rate_falls_with_kappa_at_the_slope_given_by_the_multiplier():
    kappas = torch.linspace(0.05, 0.18, 14, dtype=torch.float64).tolist()
    for kappa in kappas:
        (low, _), (high, _) = (water_filling(kappa * factor) for factor in (1 - 1e-5, 1 + 1e-5))
        change = PIXELS * kappa**2 * 4e-5
        assert (low - high) / change == pytest.approx(water_filling(kappa)[1], rel=1e-4)
