"""The Bernoulli likelihood against torch.distributions."""

import pytest
import torch

from paper_repro.likelihoods.bernoulli import log_likelihood


def test_it_is_the_sum_over_pixels_of_the_bernoulli_log_probability() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(3, 5, 7, generator=generator, dtype=torch.float64)
    x = (torch.rand(5, 7, generator=generator) < 0.5).double()
    expected = torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(-1)
    torch.testing.assert_close(log_likelihood(x, logits), expected)


def test_extreme_logits_stay_finite() -> None:
    x = torch.tensor([[1.0, 0.0]])
    assert log_likelihood(x, torch.tensor([[1e4, -1e4]])).item() == 0
    assert log_likelihood(x, torch.tensor([[-1e4, 1e4]])).item() == -2e4


def test_a_different_number_of_pixels_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="logits: 1 pixels, but x has 7"):
        log_likelihood(torch.zeros(5, 7), torch.zeros(5, 1))
