"""The bracket of the marginal KL where the aggregate posterior is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from paper_repro.distributions.flow import Flow, init_params
from paper_repro.distributions.gaussian import (
    DiagonalGaussian,
    normal_log_prob,
    standard_normal_log_prob,
)
from paper_repro.metrics import marginal_kl


def normal(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def encoders(images: int, dims: int, scale: float, spread: float, seed: int) -> DiagonalGaussian:
    """Means N(0, spread^2), constant scale: q(z) = N(0, spread^2 + scale^2)."""
    mean = spread * normal(seed, images, dims)
    return DiagonalGaussian(mean, torch.full_like(mean, math.log(scale)))


def codes(q: DiagonalGaussian, seed: int) -> Tensor:
    return q.rsample({"z": normal(seed, 1, *q.mean.shape)})[0]


def high_side(q: DiagonalGaussian, seed: int) -> Tensor:
    log_encoders = marginal_kl.gaussian_encoders(q.mean, q.log_scale)
    return marginal_kl.high(
        codes(q, seed), log_encoders, standard_normal_log_prob, encoders=len(q.mean)
    )


def true_kl(dims: int, variance: float) -> float:
    return 0.5 * dims * (variance - 1 - math.log(variance))


def test_pairwise_densities_are_those_of_each_encoder() -> None:
    mean, log_scale, z = normal(0, 6, 3), normal(1, 6, 3) - 2, normal(2, 4, 3)
    found = marginal_kl.gaussian_encoders(mean, log_scale)(z)
    expected = normal_log_prob(z.unsqueeze(1), mean, log_scale)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_a_few_dimensional_bracket_is_tight_and_holds_the_truth() -> None:
    """Two dimensions, q(z) = N(0, 0.5 I), low side from a flow that is exact."""
    q, fresh = encoders(2000, 2, 0.5, 0.5, seed=3), encoders(2000, 2, 0.5, 0.5, seed=4)
    low = marginal_kl.low(
        codes(fresh, 5),
        lambda z: standard_normal_log_prob(z / 0.5**0.5) - math.log(0.5),
        standard_normal_log_prob,
    )
    found = marginal_kl.bracket(low, high_side(q, 6), float(q.kl_standard().mean()), 2000)
    truth = true_kl(2, 0.5)
    assert found.low - 6 * found.low_error < truth < found.high + 6 * found.high_error
    assert found.high - found.low < 0.05
    assert found.floor < truth


def test_a_misfit_density_falls_below_the_truth_by_the_misfit() -> None:
    """q(z) = N(0, I) and r = N(0, 2 I): low = -KL(q || r)."""
    z = normal(7, 20_000, 3)
    values = marginal_kl.low(
        z,
        lambda z: standard_normal_log_prob(z / 2**0.5) - 1.5 * math.log(2),
        standard_normal_log_prob,
    )
    misfit = 3 * 0.5 * (0.5 - 1 + math.log(2))
    assert abs(float(values.mean()) + misfit) < 6 * float(values.std()) / 20_000**0.5


def test_the_high_side_is_above_the_truth_and_falls_with_more_encoders() -> None:
    truth = true_kl(4, 0.5)
    found = []
    for images in (20, 200, 2000):
        values = high_side(encoders(images, 4, 0.3, 0.41**0.5, seed=8), 9)
        found.append(float(values.mean()))
        assert found[-1] > truth - 6 * float(values.std()) / images**0.5
    assert found[0] > found[1] > found[2]


def test_in_16_dimensions_the_mixture_reports_the_number_of_images_and_not_the_truth() -> None:
    """Truth 0, average KL 25.8, M = 4000: the mixture alone says about 17.5, its floor 17.46; the
    identity flow, which is q(z) here, says 0."""
    scale, images = 0.2, 4000
    q = encoders(images, 16, scale, (1 - scale**2) ** 0.5, seed=10)
    average = float(q.kl_standard().mean())
    assert average == pytest.approx(25.8, abs=0.15)
    flow = Flow(init_params(torch.Generator(), dim=16, layers=2, hidden=4, scale=0.0))
    fresh = codes(encoders(images, 16, scale, (1 - scale**2) ** 0.5, seed=11), 12).float()
    low = marginal_kl.low(fresh, flow.log_prob, standard_normal_log_prob)
    found = marginal_kl.bracket(low, high_side(q, 13), average, images)
    assert found.low == pytest.approx(0, abs=1e-5)
    assert found.high == pytest.approx(17.53, abs=0.25)
    assert found.floor < found.high < found.floor + 0.25


def test_bad_input_is_refused_by_name() -> None:
    q = encoders(5, 2, 0.5, 0.5, seed=14)
    z = codes(q, 15)
    log_encoders = marginal_kl.gaussian_encoders(q.mean, q.log_scale)
    with pytest.raises(ValueError, match="z: need"):
        marginal_kl.low(z[0], standard_normal_log_prob, standard_normal_log_prob)
    with pytest.raises(ValueError, match="log_density: shape"):
        marginal_kl.low(z, lambda z: z, standard_normal_log_prob)
    with pytest.raises(ValueError, match="log_prior: 5 of 5"):
        marginal_kl.low(z, standard_normal_log_prob, lambda z: z[:, 0] * math.nan)
    with pytest.raises(ValueError, match="log_encoders: shape"):
        marginal_kl.high(z, log_encoders, standard_normal_log_prob, encoders=6)
    with pytest.raises(ValueError, match="log_scale: shape"):
        marginal_kl.gaussian_encoders(q.mean, q.log_scale[:1])
    with pytest.raises(ValueError, match="low: need"):
        marginal_kl.bracket(z[:1, 0], z[:, 0], 1.0, 5)
