"""Bits per dimension against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from paper_repro.metrics.bounds import bits_per_dim


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
