"""BAGGINS, our reading: its properties H1 to H6 of invariance and boundedness, in each variant."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from paper_repro.likelihoods import baggins

BATCH, PIXELS, CHANNELS = 64, 12, 3
LN2 = math.log(2)


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# Three channels of four pixels, of variances about 1, 4 and 0.01.
X = draw(0, BATCH, PIXELS) * torch.tensor([1.0, 2.0, 0.1]).double().repeat_interleave(4)
F = 0.7 * X + 0.1 * draw(1, BATCH, PIXELS)


def unit_data(batch: int, pixels: int, seed: int = 2) -> Tensor:
    """Every pixel with batch variance exactly one."""
    x = draw(seed, batch, pixels)
    return (x - x.mean(0)) / x.std(0, unbiased=False)


def distortion(x: Tensor, f: Tensor, **options) -> Tensor:
    """Mean over the batch of the distortion per image, in nats."""
    return -baggins.log_likelihood(x, f, **options).mean()


def slope(x: Tensor, f: Tensor, **options) -> Tensor:
    """B dL/df: the gradient of the batch mean per value of one image."""
    f = f.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(distortion(x, f, **options), f)
    return len(x) * gradient


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [2.0, 8.0])
def test_variant_a_is_the_logarithm_of_residual_plus_minimum_and_so_is_its_gradient(channels, bits):
    """Written out with gamma attached: 1/2 sum_d ln(2 pi e (r2_d + gamma_min,d))."""
    f = F.clone().requires_grad_()
    s2 = X.var(0, unbiased=False).reshape(channels, -1).mean(1)
    r2 = (X - f).square().mean(0).reshape(channels, -1).mean(1)
    gamma = r2 + s2 / (math.exp(2 * bits * LN2) - 1)
    expected = 0.5 * PIXELS / channels * (2 * math.pi * math.e * gamma).log().sum()
    found = distortion(X, f, bits=bits, channels=channels)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    slopes = [torch.autograd.grad(v, f)[0] for v in (found, expected)]
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("scale", [0.1, 1e-3])
def test_variant_b_is_the_density_of_clean_data_at_the_larger_variance(scale):
    """Above the bound (scale .1) and below it (1e-3); the gradient is that of gamma attached."""
    f = (X + scale * draw(3, BATCH, PIXELS)).requires_grad_()
    r2, s2 = (X - f).square().mean(), X.var(0, unbiased=False).mean()
    gamma = torch.maximum(r2, s2 / (2**10 - 1))
    assert (r2 > s2 / (2**10 - 1)) == (scale == 0.1)
    clean = 0.5 * PIXELS * ((2 * math.pi * gamma).log() + r2 / gamma)
    found = distortion(X, f, variant="B", bits=5.0)
    torch.testing.assert_close(found, clean, rtol=1e-12, atol=1e-12)
    slopes = [torch.autograd.grad(v, f)[0] for v in (found, clean)]
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [0.1, 2.0, 8.0, 16.0])
def test_variant_c_solves_for_the_total_information_without_the_residual(channels, bits):
    gamma = baggins.variance(X, F, variant="C", bits=bits, channels=channels)
    assert gamma.shape == (channels,)
    assert len(set(gamma.tolist())) == 1
    s2 = baggins.data_variance(X, channels).repeat_interleave(PIXELS // channels)
    total = 0.5 * torch.log1p(s2 / gamma[0]).sum().item()
    assert total == pytest.approx(PIXELS * bits * LN2, rel=1e-12)
    assert torch.equal(baggins.variance(X, 9 * F, variant="C", bits=bits, channels=channels), gamma)


def test_newtons_method_of_variant_c_converges_for_channels_of_any_spread():
    for ratio in (1.0, 1e-3, 1e-8, 1e-16, 0.0):
        for bits in (0.01, 1.0, 8.0, 24.0):
            s2 = torch.tensor([2.0, 2.0 * ratio, 0.3], dtype=torch.float64)
            gamma = baggins.total_variance(s2, bits)
            information = 0.5 * torch.log1p(s2 / gamma).mean().item()
            assert information == pytest.approx(bits * LN2, rel=1e-12)


@pytest.mark.parametrize("variant", baggins.VARIANTS)
@pytest.mark.parametrize("c", [1 / 255, 0.1, 10.0, 255.0])
def test_h1_scaling_the_data_shifts_the_distortion_by_its_jacobian_only(variant, c):
    options = {"variant": variant, "bits": 4.0, "channels": CHANNELS}
    shift = distortion(c * X, c * F, **options) - distortion(X, F, **options)
    assert shift.item() == pytest.approx(PIXELS * math.log(c), rel=1e-10)


@pytest.mark.parametrize("variant", baggins.VARIANTS)
@pytest.mark.parametrize("c", [1 / 255, 0.1, 10.0, 255.0])
def test_h2_scaling_the_data_leaves_relative_gradients_as_they_are(variant, c):
    options = {"variant": variant, "bits": 4.0, "channels": CHANNELS}
    found, expected = c * slope(c * X, c * F, **options), slope(X, F, **options)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_h3_gradients_per_value_are_bounded_where_they_would_be_one_over_the_residual():
    """Data of variance one at 3 nats: at most 1 / (2 sqrt(gamma_min)) = 10.03, reached where the
    residual has the variance gamma_min; without a bound it is 1 / rms."""
    x, bits = unit_data(BATCH, PIXELS), 3 / LN2
    gamma_min = 1 / (math.exp(6) - 1)
    bound = 1 / (2 * math.sqrt(gamma_min))
    assert bound == pytest.approx(10.03, abs=0.005)
    found = {}
    for rms in (1e-6, 1e-3, 0.3 * gamma_min**0.5, gamma_min**0.5, 3 * gamma_min**0.5, 0.5):
        sign = draw(4, BATCH, PIXELS).sign()
        gradient = slope(x, x + rms * sign, bits=bits)
        found[rms] = gradient.abs().max().item()
        assert found[rms] == pytest.approx(rms / (rms**2 + gamma_min), rel=1e-9)
        assert found[rms] <= bound * (1 + 1e-12)
        hard = slope(x, x + rms * sign, bits=bits, variant="B").abs().max().item()
        assert hard <= 2 * bound * (1 + 1e-12)
    assert found[gamma_min**0.5] == pytest.approx(bound, rel=1e-9)
    assert 1e4 * bound < 1 / 1e-6  # what the unbounded profile likelihood would give


@pytest.mark.parametrize("bits", [0.5, 2.0, 8.0])
def test_h4_the_minimum_variance_carries_exactly_the_bound(bits):
    s2 = baggins.data_variance(X, CHANNELS)
    gamma_min = baggins.minimum_variance(s2, bits)
    information = 0.5 * torch.log1p(s2 / gamma_min) / LN2
    torch.testing.assert_close(information, torch.full_like(s2, bits), rtol=1e-12, atol=0)


def test_h4_eight_bits_of_mnist_come_to_its_rounding_noise():
    gamma_min = baggins.minimum_variance(torch.tensor(0.067, dtype=torch.float64), 8.0).item()
    assert gamma_min == pytest.approx(0.067 / 65535)
    assert gamma_min**0.5 == pytest.approx(0.00101, rel=2e-3)
    assert gamma_min**0.5 == pytest.approx(1 / 255 / 12**0.5, rel=0.12)


def test_h5_the_noise_of_variant_a_is_integrated_out():
    """Mean NLL of x + sqrt(gamma_min) eps over draws of eps, at the same detached gamma."""
    bits, draws = 1.0, 20_000
    gamma = baggins.variance(X, F, bits=bits)
    noise = baggins.minimum_variance(baggins.data_variance(X), bits).sqrt()
    r2 = (X - F).square().mean()
    torch.testing.assert_close(gamma[0], r2 + noise[0] ** 2, rtol=1e-12, atol=0)
    x, f = X[0], F[0]
    noisy = x + noise * draw(5, draws, PIXELS)
    log_density = torch.distributions.Normal(f, gamma.sqrt()).log_prob(noisy).sum(-1)
    expected = baggins.log_likelihood(X, F, bits=bits)[0]
    error = log_density.std() / draws**0.5
    assert abs(log_density.mean() - expected) < 6 * error
    clean = baggins.frozen_log_likelihood(X, F, gamma)[0]
    assert abs(log_density.mean() - clean) > 6 * error


@pytest.mark.parametrize(("variant", "constant"), [("A", math.e), ("B", 1.0)])
def test_h6_the_distortion_is_bounded_below_where_the_residual_vanishes(variant, constant):
    """1/2 ln(2 pi e gamma_min) per value for A. B has no e: its data are clean."""
    x = unit_data(BATCH, PIXELS)
    bound = 0.5 * math.log(2 * math.pi * constant / (2**16 - 1))
    for rms in (0.0, 1e-6, 1e-3, 1e-1):
        per_value = distortion(x, x + rms, variant=variant).item() / PIXELS
        assert per_value >= bound - 1e-12
    assert distortion(x, x, variant=variant).item() / PIXELS == pytest.approx(bound, rel=1e-12)


@pytest.mark.parametrize("variant", baggins.VARIANTS)
def test_members_under_vmap_solve_each_their_own_variance(variant):
    options = {"variant": variant, "bits": 4.0, "channels": CHANNELS}
    x, f = torch.stack([X, 3 * X.flip(-1)]), torch.stack([F, X])
    together = torch.vmap(lambda a, b: baggins.log_likelihood(a, b, **options))(x, f)
    alone = torch.stack([baggins.log_likelihood(x[i], f[i], **options) for i in range(2)])
    torch.testing.assert_close(together, alone, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("variant", baggins.VARIANTS)
def test_constant_pixels_do_no_harm(variant):
    """A border that never changes and is reconstructed exactly, as in MNIST."""
    border = torch.zeros(BATCH, 20, dtype=torch.float64)
    x, f = torch.cat([X, border], -1), torch.cat([F, border], -1)
    value = baggins.log_likelihood(x, f, variant=variant)
    assert value.isfinite().all()
    assert slope(x, f, variant=variant).isfinite().all()
    expected = X.var(0, unbiased=False).sum() / 32  # diluted, not zero
    torch.testing.assert_close(baggins.data_variance(x)[0], expected, rtol=1e-12, atol=0)


def test_frozen_moments_give_the_clean_likelihood_of_the_trap_list():
    """1/2 ln(2 pi gamma) + r2 / (2 gamma) per value; A's own distortion is above it by
    gamma_min / (2 gamma)."""
    gamma = baggins.variance(X, F, bits=2.0, channels=CHANNELS)
    r2 = (X - F).square().mean(0).reshape(CHANNELS, -1).mean(1)
    per_value = 0.5 * (2 * math.pi * gamma).log() + r2 / (2 * gamma)
    clean = -baggins.frozen_log_likelihood(X, F, gamma).mean()
    torch.testing.assert_close(clean, 4 * per_value.sum(), rtol=1e-12, atol=1e-12)
    gamma_min = baggins.minimum_variance(baggins.data_variance(X, CHANNELS), 2.0)
    above = distortion(X, F, bits=2.0, channels=CHANNELS) - clean
    torch.testing.assert_close(above, 4 * (gamma_min / (2 * gamma)).sum(), rtol=1e-10, atol=0)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^variant: 'D' is not one of A, B, C"):
        baggins.log_likelihood(X, F, variant="D")
    for variant in baggins.VARIANTS:
        for bits in (0.0, -1.0, math.nan):
            with pytest.raises(ValueError, match=r"^bits: must be positive"):
                baggins.log_likelihood(X, F, variant=variant, bits=bits)
        with pytest.raises(ValueError, match=r"^channels: 5 do not divide 12 values"):
            baggins.log_likelihood(X, F, variant=variant, channels=5)
    with pytest.raises(ValueError, match=r"^x: needs a batch of at least 2"):
        baggins.log_likelihood(X[:1], F[:1])
