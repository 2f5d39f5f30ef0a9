"""ELBO, rate, distortion, bits per dimension and reconstruction errors against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from paper_repro.distributions.gaussian import DiagonalGaussian, standard_normal_log_prob
from paper_repro.metrics.bounds import bits_per_dim, distortion, elbo, rate
from paper_repro.metrics.reconstruction import mse, rmse, sse

# p(z) = N(0, 1), p(x|z) = N(z, 1) per dimension: evidence N(0, 2), posterior N(x/2, 1/2).
X = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
EXACT = DiagonalGaussian(X / 2, torch.full_like(X, 0.5 * math.log(0.5)))
DRAWS = 40_000


def terms(q: DiagonalGaussian, draws: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    z = q.rsample({"z": torch.randn(draws, *X.shape, generator=generator, dtype=X.dtype)})
    return standard_normal_log_prob(X - z), standard_normal_log_prob(z), q.log_prob(z)


def test_at_the_exact_posterior_the_elbo_is_the_evidence_from_every_draw() -> None:
    evidence = (-0.25 * X.square() - 0.5 * math.log(4 * math.pi)).sum(-1)
    torch.testing.assert_close(elbo(*terms(EXACT, 1)), evidence, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(elbo(*terms(EXACT, 7)), evidence, rtol=1e-12, atol=1e-12)


def test_rate_is_the_divergence_and_distortion_the_expected_loss() -> None:
    q = DiagonalGaussian(0.3 * X, torch.full_like(X, -0.4))
    likelihood, prior, posterior = terms(q, DRAWS)
    error = 6 * (posterior - prior).std(0) / DRAWS**0.5
    assert bool(((rate(prior, posterior) - q.kl_standard()).abs() < error).all())
    expected = 0.5 * ((0.7 * X).square() + math.exp(-0.8) + math.log(2 * math.pi)).sum(-1)
    error = 6 * likelihood.std(0) / DRAWS**0.5
    assert bool(((distortion(likelihood) - expected).abs() < error).all())


def test_elbo_is_minus_rate_minus_distortion() -> None:
    likelihood, prior, posterior = terms(EXACT, 3)
    total = -(rate(prior, posterior) + distortion(likelihood))
    torch.testing.assert_close(elbo(likelihood, prior, posterior), total)


def test_a_likelihood_not_summed_over_pixels_is_refused() -> None:
    likelihood, prior, posterior = terms(EXACT, 3)
    with pytest.raises(ValueError, match="log_likelihood: shape"):
        elbo(likelihood.unsqueeze(-1).expand(3, 5, 5), prior, posterior)
    with pytest.raises(ValueError, match="log_prior: shape"):
        rate(prior[0], posterior)


def test_nan_is_refused_by_name() -> None:
    likelihood, prior, posterior = terms(EXACT, 3)
    with pytest.raises(ValueError, match=r"log_prior: 15 of 15 values are NaN"):
        elbo(likelihood, prior * math.nan, posterior)
    with pytest.raises(ValueError, match="log_likelihood: empty"):
        distortion(torch.empty(0, 2))


def test_a_uniform_density_on_256_levels_costs_eight_bits() -> None:
    assert bits_per_dim(0.0, 784) == pytest.approx(8, rel=1e-12)
    found = bits_per_dim(torch.zeros(3, dtype=torch.float64), 784)
    torch.testing.assert_close(found, torch.full((3,), 8.0, dtype=torch.float64))


def test_bits_do_not_depend_on_the_scale_of_the_pixels() -> None:
    """Stretching [0, 1] to [-1, 1] divides the density by 2 per dimension."""
    on_unit = -1234.5
    stretched = on_unit - 784 * math.log(2)
    assert bits_per_dim(stretched, 784, bin_width=2 / 256) == pytest.approx(
        bits_per_dim(on_unit, 784), rel=1e-12
    )


def test_bits_of_a_probability_are_its_nats_over_ln_two() -> None:
    assert bits_per_dim(-10 * math.log(2), 10, bin_width=1) == pytest.approx(1, rel=1e-12)


def test_bits_bound_the_entropy_of_dequantised_levels() -> None:
    """256 levels with probabilities p, uniform noise, the exact density: the entropy of p."""
    p = torch.rand(256, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    p = p / p.sum()
    expected_log_density = float((p * (p * 256).log()).sum())
    entropy = float(-(p * p.log2()).sum())
    assert bits_per_dim(expected_log_density, 1) == pytest.approx(entropy, rel=1e-12)


@pytest.mark.parametrize(
    ("bound", "dims", "width", "named"),
    [(0.0, 0, 1 / 256, "dims"), (0.0, 1, 0.0, "bin_width"), (math.nan, 1, 1.0, "bound")],
)
def test_bits_of_nonsense_are_refused(bound: float, dims: int, width: float, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        bits_per_dim(bound, dims, bin_width=width)


def test_reconstruction_errors_differ_by_what_they_are_per() -> None:
    x = torch.zeros(2, 4)
    mean = torch.tensor([[1.0, 1.0, 1.0, 1.0], [3.0, 3.0, 3.0, 3.0]])
    assert sse(x, mean).tolist() == [4, 36]
    assert float(mse(x, mean)) == 5
    assert float(rmse(x, mean)) == pytest.approx(5**0.5)  # not the mean of the roots, 2


def test_reconstructions_of_another_shape_or_nan_are_refused() -> None:
    x = torch.zeros(2, 4)
    with pytest.raises(ValueError, match="mean: shape"):
        mse(x, torch.zeros(1, 4))
    with pytest.raises(ValueError, match="x: 8 of 8"):
        sse(x * math.nan, x)
