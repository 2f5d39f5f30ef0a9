"""An ELBO solution of learned variance solves GECO; hand annealing keeps what passes 0.49.

Rezende and Viola, "Taming VAEs" (2018): for the linear VAE both follow in closed form.
"""

from __future__ import annotations

import torch
from torch import Tensor

from paper_repro.distributions.gaussian import DiagonalGaussian, standard_normal_log_prob
from paper_repro.estimators import total
from paper_repro.likelihoods import gaussian, gaussian_gamma
from paper_repro.objectives import constraints, elbo, geco, gqn
from tests.oracles import linear_vae
from tests.oracles.linear_vae import Params

SPECTRUM = torch.tensor([2.0, 0.8, 0.6, 0.52, 0.46, 0.2, 0.1], dtype=torch.float64)
LATENTS = 3
X = linear_vae.data(SPECTRUM)
PIXELS = len(SPECTRUM)


def test_a_learned_variance_is_the_mean_discarded_eigenvalue_and_the_mean_squared_error():
    discarded = float(SPECTRUM[LATENTS:].mean())
    solution = linear_vae.optimum(SPECTRUM, LATENTS, discarded)
    solution["log_gamma"] = torch.tensor(discarded, dtype=torch.float64).log()

    def value(params: Params) -> Tensor:
        return linear_vae.objective(elbo.bound, params, X, likelihood=gaussian_gamma.log_likelihood)

    assert linear_vae.steepest(value, solution) < 1e-12
    mse = float(_expected_error(solution).mean()) / PIXELS
    assert abs(mse - discarded) < 1e-12


def test_an_elbo_solution_with_learned_variance_is_a_stationary_point_of_geco():
    mse = float(SPECTRUM[LATENTS:].mean())
    solution = linear_vae.optimum(SPECTRUM, LATENTS, mse)
    state = geco.init_state(1, multiplier=1 / (2 * mse))
    state = {k: v.double() if v.is_floating_point() else v for k, v in state.items()}
    kappa = mse**0.5
    seen = []

    def lagrangian(params: Params) -> Tensor:
        q = linear_vae.posterior(params, X)
        joint = geco.ConstrainedJoint(
            lambda z: constraints.reconstruction(
                X, linear_vae.decode(params, z), kappa=kappa
            ).unsqueeze(0),
            standard_normal_log_prob,
            geco.multipliers(state),
        )
        terms = total.terms(q, joint, linear_vae.cubature(LATENTS, len(X)))
        seen.append(joint.seen.mean((1, 2)))
        return geco.bound(terms, q).mean()

    assert linear_vae.steepest(lagrangian, solution) < 1e-6  # the multiplier is kept in float32
    after = geco.advance(state, seen[-1], PIXELS * kappa**2)
    torch.testing.assert_close(after["log_multiplier"], state["log_multiplier"], rtol=1e-12, atol=0)
    beta = 1 / (2 * mse * geco.multipliers(state))  # of the beta-VAE that weighs alike
    torch.testing.assert_close(beta, torch.ones(1).double(), rtol=1e-6, atol=0)


def test_hand_annealing_ends_with_exactly_the_directions_of_variance_above_049():
    precision = 0.7**-2  # what the annealing ends with
    x = SPECTRUM.sqrt().reshape(-1, 1)  # one latent for each principal direction

    def value(params: Params) -> Tensor:
        q = DiagonalGaussian(params["encoder"] * x, params["log_scale"])

        def log_joint(z: Tensor) -> tuple[Tensor, Tensor]:
            likelihood = gaussian.log_likelihood(x, params["decoder"] * z, variance=1.0)
            return likelihood, standard_normal_log_prob(z)

        terms = total.terms(q, log_joint, linear_vae.cubature(1, len(x)))
        return gqn.bound(terms, q, precision=precision).sum()

    small = torch.full_like(x, 0.1)
    trained = linear_vae.maximise(
        value, {"encoder": small, "decoder": small, "log_scale": 0 * small}, 1000
    )
    surviving = trained["decoder"].square().squeeze(-1)
    expected = (SPECTRUM - 0.49).clamp(min=0)
    torch.testing.assert_close(surviving, expected, rtol=0, atol=1e-4)
    assert (surviving > 0.01).tolist() == (SPECTRUM > 0.49).tolist()


def _expected_error(params: Params) -> Tensor:
    q = linear_vae.posterior(params, X)
    z = q.rsample(linear_vae.cubature(LATENTS, len(X)))
    return (X - linear_vae.decode(params, z)).square().sum(-1).mean(0)
