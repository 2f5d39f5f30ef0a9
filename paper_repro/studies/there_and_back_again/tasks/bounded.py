"""What BAGGINS promises: scale invariance and bounds (T8, T9; H1 to H6).

Our reading of the bounded Gaussian likelihood of Fyffe, "There and Back Again" (arXiv 1912.10309);
see `likelihoods/baggins.py`, of which the promises are checked here on random data:

    H1  x -> c x, f -> c f moves the distortion by D ln c and nothing else,
    H2  and divides its gradient in f by c,
    H3  the root mean square of dL/df over the values that share a variance is at most
        1 / (2 sqrt gamma_min) for A and 1 / sqrt gamma_min for B, where L sums over images,
    H4  1/2 ln(1 + s2 / gamma_min) = I,   H5  E (x + noise - f)^2 = r2 + gamma_min for A,
    H6  the distortion per value is at least 1/2 ln(2 pi e gamma_min) for A, without e for B.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from paper_repro.likelihoods import baggins
from paper_repro.rows import Row, coordinates
from paper_repro.studies.there_and_back_again.tasks.maximise import normal

BATCH, PIXELS, CHANNELS = 32, 12, 3
SCALES = (1 / 255, 0.1, 10.0, 255.0)
BITS = (2.0, 4.0, 6.0, 8.0)
NATS = 3.0  # of H3
RESIDUALS = tuple(10.0 ** (e / 4) for e in range(-24, 5))  # root mean squares
MNIST_VARIANCE = 0.067  # mean over pixels of their variance, rounded
LEVELS = 255
BOUNDED = ("A", "B")


def distortion(x: Tensor, output: Tensor, variant: str, bits: float, channels: int = 1) -> Tensor:
    """Mean over images, nats/image."""
    found = baggins.log_likelihood(x, output, variant=variant, bits=bits, channels=channels)
    return -found.mean()


def gradient(x: Tensor, output: Tensor, variant: str, bits: float, channels: int = 1) -> Tensor:
    """Of the distortion summed over images, in the output."""
    live = output.clone().requires_grad_()
    total = len(x) * distortion(x, live, variant, bits, channels)
    return torch.autograd.grad(total, live)[0]


def rows(generator: Generator) -> Iterator[Row]:
    """All promises, at worst over what is tried."""
    x = normal(generator, BATCH, PIXELS) * normal(generator, PIXELS)
    output = x + 0.2 * normal(generator, BATCH, PIXELS)
    for variant in baggins.VARIANTS:
        for c in SCALES:
            yield from scaled(x, output, variant, c)
    yield from information(x)
    unit = x - x.mean(0)
    unit = unit / unit.std(0, correction=0)  # s2 = 1
    noise = normal(generator, BATCH, PIXELS)
    for variant in BOUNDED:
        yield from bounded(unit, noise / noise.square().mean().sqrt(), variant)
    yield from eight_bits()


def scaled(x: Tensor, output: Tensor, variant: str, c: float) -> Iterator[Row]:
    """H1 in nats, H2 relative to the largest gradient; one variance per channel, all BITS."""
    shifts, slopes = [], []
    for bits in BITS:
        at = (variant, bits, CHANNELS)
        moved = distortion(c * x, c * output, *at) - distortion(x, output, *at)
        shifts.append(abs(float(moved) - PIXELS * math.log(c)))
        own = gradient(x, output, *at)
        other = c * gradient(c * x, c * output, *at)
        slopes.append(float((other - own).abs().max() / own.abs().max()))
    where = coordinates(variant=variant, c=c)
    yield Row("scale_shift_error", max(shifts), "nats/image", at=where)
    yield Row("scale_gradient_error", max(slopes), "1", at=where)


def information(x: Tensor) -> Iterator[Row]:
    """H4 in nats; H5, with noise of two values, relative."""
    s2 = baggins.data_variance(x, CHANNELS)
    off, noisy = [], []
    for bits in BITS:
        least = baggins.minimum_variance(s2, bits)
        off.append(float((0.5 * torch.log1p(s2 / least) - bits * math.log(2)).abs().max()))
        output = 0.9 * x
        sides = [(x + sign * _per_pixel(least).sqrt() - output).square() for sign in (1, -1)]
        mean = torch.stack(sides).mean((0, 1)).reshape(CHANNELS, -1).mean(-1)
        found = baggins.variance(x, output, variant="A", bits=bits, channels=CHANNELS)
        noisy.append(float((found / mean - 1).abs().max()))
    yield Row("bound_error", max(off), "nats")
    yield Row("noisy_sample_error", max(noisy), "1")


def bounded(x: Tensor, direction: Tensor, variant: str) -> Iterator[Row]:
    """H3 and H6 for data of variance one at NATS nats and residuals r times `direction`."""
    bits = NATS / math.log(2)
    least = float(baggins.minimum_variance(baggins.data_variance(x), bits))
    bound = (0.5 if variant == "A" else 1.0) / math.sqrt(least)
    floor = 0.5 * math.log(2 * math.pi * least * (math.e if variant == "A" else 1.0))
    at = coordinates(variant=variant)
    yield Row("gradient_bound", bound, "1", at=at)
    yield Row("distortion_floor", floor, "nats", at=at)
    steep, single, low = [], [], []
    for r in (*RESIDUALS, math.sqrt(least)):
        slopes = gradient(x, x + r * direction, variant, bits)
        steep.append(float(slopes.square().mean().sqrt()))
        single.append(float(slopes.abs().max()))
        low.append(float(distortion(x, x + r * direction, variant, bits)) / PIXELS)
    yield Row("largest_gradient_over_bound", max(steep) / bound, "1", at=at)
    yield Row("largest_single_gradient_over_bound", max(single) / bound, "1", at=at)
    yield Row("unbounded_gradient_over_bound", 1 / min(RESIDUALS) / bound, "1", at=at)
    yield Row("least_distortion_over_floor", min(low) - floor, "nats", at=at)
    empty = float(distortion(x, x, variant, bits)) / PIXELS
    yield Row("floor_error", abs(empty - floor), "nats", at=at)


def eight_bits() -> Iterator[Row]:
    """The bound of 8 bits in numbers, and what it comes to on MNIST in [0, 1]."""
    yield Row("bound", 8 * math.log(2), "nats", at=coordinates(bits=8))
    s2 = torch.tensor([1.0, MNIST_VARIANCE], dtype=torch.float64)
    least = baggins.minimum_variance(s2, 8.0)
    yield Row("variance_over_minimum", float(s2[0] / least[0]), "1", at=coordinates(bits=8))
    at = coordinates(bits=8, s2=MNIST_VARIANCE)
    yield Row("minimum_sd", float(least[1].sqrt()), "1", at=at)
    yield Row("rounding_sd", 1 / LEVELS / math.sqrt(12), "1", at=coordinates(levels=LEVELS + 1))


def _per_pixel(variance: Tensor) -> Tensor:
    return variance.repeat_interleave(PIXELS // CHANNELS)
