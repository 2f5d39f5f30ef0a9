"""The importance bound against the exact evidence of a linear-Gaussian model."""

import math

import pytest
import torch
from torch import Generator, Tensor

from paper_repro.distributions.gaussian import DiagonalGaussian, standard_normal_log_prob
from paper_repro.metrics.importance import LogWeights, log_likelihood_bound
from paper_repro.metrics.units import active_units

N, DIM = 12, 3
X = torch.randn(N, DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
# p(z) = N(0, I), p(x|z) = N(z, I): evidence N(0, 2 I), posterior N(x/2, I/2).
EVIDENCE = -0.25 * X.square().sum(-1) - 0.5 * DIM * math.log(4 * math.pi)


def weights_of(mean_scale: float, variance: float) -> LogWeights:
    def weights(x: Tensor, k: int, generator: Generator) -> Tensor:
        q = DiagonalGaussian(mean_scale * x, torch.full_like(x, 0.5 * math.log(variance)))
        z = q.rsample({"z": torch.randn(k, *x.shape, generator=generator, dtype=x.dtype)})
        likelihood = standard_normal_log_prob(x - z)
        return likelihood + standard_normal_log_prob(z) - q.log_prob(z)

    return weights


@pytest.mark.parametrize(("samples", "rows"), [(7, 3), (7, 1000), (64, 10)])
def test_with_the_exact_posterior_every_bound_is_the_evidence(samples: int, rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    bound = log_likelihood_bound(weights_of(0.5, 0.5), X, samples, generator, rows)
    torch.testing.assert_close(bound, EVIDENCE, rtol=1e-12, atol=1e-12)


def test_chunking_over_samples_and_images_keeps_all_samples() -> None:
    """The bound of K samples in chunks is the log-mean-exp of the K weights."""
    drawn: list[Tensor] = []

    def recording(x: Tensor, k: int, generator: Generator) -> Tensor:
        drawn.append(weights_of(0.4, 0.8)(x, k, generator))
        return drawn[-1]

    bound = log_likelihood_bound(recording, X[:1], 100, torch.Generator().manual_seed(0), 30)
    assert [len(part) for part in drawn] == [30, 30, 30, 10]
    expected = torch.cat(drawn).logsumexp(0) - math.log(100)
    torch.testing.assert_close(bound, expected)


def test_with_a_wrong_posterior_the_bound_lies_below_and_closes_with_samples() -> None:
    gaps = []
    for samples in (1, 10, 1000):
        generator = torch.Generator().manual_seed(0)
        many = X.repeat(200, 1)
        bound = log_likelihood_bound(weights_of(0.4, 0.8), many, samples, generator, 100_000)
        gaps.append(float((EVIDENCE.repeat(200) - bound).mean()))
    assert gaps[0] > gaps[1] > gaps[2] > 0
    assert gaps[2] < 0.01


def test_active_units_are_those_whose_mean_varies_over_images() -> None:
    means = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    means = means * torch.tensor([1.0, 0.05, 0.2]) + 7
    assert active_units(means).tolist() == [True, False, True]
    with pytest.raises(ValueError, match="means: need"):
        active_units(means[0])
