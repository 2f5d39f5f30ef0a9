"""Mistakes in BAGGINS that look right, and the formulas that tell."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from paper_repro.likelihoods import baggins
from tests.oracles.test_there_and_back_again import misses_the_distortion
from tests.wrong_on_purpose.case import Case


def nats_for_bits(x: Tensor, output: Tensor, *, bits: float, **options: Any) -> Tensor:
    return baggins.log_likelihood(x, output, bits=bits / math.log(2), **options)


def a_moment_per_pixel(x: Tensor, output: Tensor, *, channels: int, **options: Any) -> Tensor:
    """Minus infinity on a constant pixel, too."""
    return baggins.log_likelihood(x, output, channels=x.shape[-1], **options)


def one_moment_for_all_channels(
    x: Tensor, output: Tensor, *, channels: int, **options: Any
) -> Tensor:
    return baggins.log_likelihood(x, output, channels=1, **options)


def the_clean_density_of_a(x: Tensor, output: Tensor, **options: Any) -> Tensor:
    """At A's gamma, but without the noise that the example is read with."""
    gamma = baggins.variance(x, output, **options).detach()
    return baggins.frozen_log_likelihood(x, output, gamma)


def detached_and_forgotten(x: Tensor, output: Tensor, **options: Any) -> Tensor:
    """1/2 sum_d ln(2 pi e gamma) of a detached gamma: its value is right, nothing trains."""
    gamma = baggins.variance(x, output, **options).detach()
    each = (2 * math.pi * math.e * gamma).log().mean()
    return 0 * output.sum(-1) - 0.5 * x.shape[-1] * each


WRONG = {
    "bits taken as nats": nats_for_bits,
    "a moment per pixel": a_moment_per_pixel,
    "one moment for all channels": one_moment_for_all_channels,
    "the clean density in place of A's": the_clean_density_of_a,
    "a profile of a detached variance": detached_and_forgotten,
}
CASES = [
    Case(
        f"BAGGINS with {name}",
        baggins.log_likelihood,
        wrong,
        lambda likelihood: misses_the_distortion(likelihood, "A"),
    )
    for name, wrong in WRONG.items()
]
