"""With k > 1 samples the path derivative of the IWAE bound is biased and DReG is not.

Tucker et al. (ICLR 2019). One-dimensional, so that the expectation over k samples is a
k-dimensional quadrature: no Monte Carlo error.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from paper_repro import registry
from paper_repro.distributions.gaussian import (
    DiagonalGaussian,
    normal_log_prob,
    standard_normal_log_prob,
)
from paper_repro.studies.conformance.problems import ExactProblem
from tests.estimators import toys

ONE = torch.ones(1, dtype=torch.float64)


def toy_at(mean: float, variance: float) -> ExactProblem:
    """x = 1, x | z ~ N(z, 1), z ~ N(0, 1); the posterior is N(1/2, 1/2)."""
    return toys.toy(
        {"mean": mean * ONE, "log_scale": 0.5 * math.log(variance) * ONE},
        lambda p: DiagonalGaussian(p["mean"], p["log_scale"]),
        lambda p: lambda z: (normal_log_prob(ONE, z, 0 * ONE), standard_normal_log_prob(z)),
    )


def _product(values: Tensor, k: int) -> Tensor:
    """All k-tuples of `values`: [k, len(values)^k]."""
    return torch.stack(torch.meshgrid(*[values] * k, indexing="ij")).flatten(1)


def expected_gradient(name: str, toy: ExactProblem, k: int, nodes: int) -> Tensor:
    points, weights = (torch.as_tensor(a) for a in np.polynomial.hermite_e.hermegauss(nodes))
    grid = _product(points, k).unsqueeze(-1)
    weight = _product(weights / weights.sum(), k).prod(0)

    def objective(params: toys.Params) -> Tensor:
        # every grid point is one row of a batch whose posteriors are equal
        batch = {name: p.expand(len(weight), 1) for name, p in params.items()}
        terms = toys.terms_of(name)(toy.posterior(batch), toy.log_joint(batch), {"z": grid})
        return weight @ registry.load("objectives", "iwae").bound(terms, None)

    return toys.flatten(torch.func.grad(objective)(toy.params))


@pytest.mark.parametrize(("k", "nodes", "tolerance"), [(2, 60, 1e-4), (4, 20, 1e-3)])
def test_expected_dreg_is_the_gradient_of_the_iwae_bound_and_expected_path_is_not(
    k, nodes, tolerance
):
    toy = toy_at(mean=-0.5, variance=1.0)
    exact = expected_gradient("total", toy, k, nodes)
    dreg = expected_gradient("dreg", toy, k, nodes)
    path = expected_gradient("path", toy, k, nodes)
    torch.testing.assert_close(dreg, exact, rtol=0, atol=tolerance)
    assert (path / exact)[0] > 1.3  # the path derivative overshoots
    assert ((path - exact).abs() > 20 * tolerance).all()


def test_near_the_optimum_the_path_derivative_overshoots_by_a_factor_that_grows_with_k():
    toy = toy_at(mean=0.5 + 1e-3, variance=0.55)
    ratio = {
        k: expected_gradient("path", toy, k, 24)[0] / expected_gradient("dreg", toy, k, 24)[0]
        for k in (1, 2, 4)
    }
    assert ratio[1] == pytest.approx(1, abs=1e-12)
    assert 1.3 < ratio[2] < ratio[4]


def test_monte_carlo_sees_the_bias_of_path_and_none_in_dreg_at_four_samples():
    toy, n = toy_at(mean=-0.5, variance=1.0), 50_000
    noise = toys.draw_noise(toy, 4, seed=400, draws=n)
    draws = {
        name: toys.flatten(
            toys.gradient_draws(toys.bound(toys.terms_of(name), "iwae", toy), toy.params, noise), 1
        )
        for name in ("total", "path", "dreg")
    }
    zero = torch.zeros(2, dtype=torch.float64)
    assert toys.z_scores(draws["dreg"] - draws["total"], zero).abs().max() < 6
    assert toys.z_scores(draws["path"] - draws["total"], zero).abs().min() > 8
