"""Lemmas 2 and 3: what is left of the VAE's loss as its variances vanish (Dai et al. 2021).

The generic objective of their eq. (7) is g(mean squared error) + 1/d sum_k h(mean square of code
row k). Lemma 2: a linear decoder, constant posterior scales and gamma -> 0 leave h = log and no
error allowed. Lemma 3: vanishing posterior scales, with a log on every code row, leave g = h = log.

Checked on several pairs of a decoder with columns of unit norm and a code: up to a constant that
all pairs share, loss and objective must agree in the limit. Under h = sqrt or identity they do
not, which shows that the comparison can fail. What is minimised over is in closed form (ours): for
a code row of mean square m, stretched by t against its decoder column, q = 1/t^2 at its best is
(m + sqrt(m^2 + 4 m gamma)) / 2, and the posterior variance gamma / (gamma + q).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from paper_repro.likelihoods import gaussian_closed_form
from paper_repro.likelihoods.normal import LOG_2PI
from paper_repro.objectives.autoencoder import penalty
from paper_repro.rows import Row, coordinates
from paper_repro.studies.infinite_gradients.tasks import linear_theory

PIXELS, RANK, PAIRS = 8, 3, 5
EXPONENTS = (1, 2, 3, 4, 5, 6, 7)  # gamma, and squared posterior scales, from 1e-1 to 1e-7
PENALTIES = ("log", "sqrt", "identity")
ERROR = 0.1  # of a pixel in the first pair of Lemma 3, twice that in the second, ...


def rows(generator: Generator) -> Iterator[Row]:
    """Largest disagreement of two pairs, per penalty h and value of what vanishes."""
    factor, pairs = exact_pairs(generator)
    errors = ERROR * torch.arange(1, PAIRS + 1, dtype=torch.float64)
    for exponent in EXPONENTS:
        small = 10.0**-exponent
        vae = torch.stack([vanishing_gamma(*pair, factor, small) for pair in pairs])
        logs = torch.stack(
            [
                vanishing_scales(*pair, factor, small, error) + row_penalty("log", pair[1])
                for pair, error in zip(pairs, errors, strict=True)
            ]
        )
        for h in PENALTIES:
            code = torch.stack([row_penalty(h, code) for _, code in pairs])
            at = coordinates(h=h, gamma=small)
            yield Row("lemma2_gap", spread(vae - code), "nats", at=at)
            generic = PIXELS * penalty("log", errors.square()) + code
            at = coordinates(h=h, posterior_variance=small)
            yield Row("lemma3_gap", spread(logs - generic), "nats", at=at)


def exact_pairs(generator: Generator) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Data F [d, r] on a subspace, and decoders [d, r] of unit columns with codes [r, r] that
    reproduce them."""
    basis = linear_theory.rotation(PIXELS, RANK, generator)
    factor = basis * torch.tensor([1.5, 1.0, 0.6], dtype=torch.float64)
    pairs = []
    for _ in range(PAIRS):
        normal = torch.randn(RANK, RANK, generator=generator, dtype=torch.float64)
        skew = (0.5 * normal).triu(1) + torch.eye(RANK, dtype=torch.float64)
        mix = linear_theory.rotation(RANK, RANK, generator) @ skew  # far from singular
        decoder = basis @ (mix / mix.norm(dim=0))
        pairs.append((decoder, torch.linalg.pinv(decoder) @ factor))
    return factor, pairs


def row_penalty(h: str, code: Tensor) -> Tensor:
    """sum_k h(mean square of row k), d times the code part of eq. (7)."""
    return penalty(h, code.square().sum(-1)).sum()


def vanishing_gamma(decoder: Tensor, code: Tensor, factor: Tensor, gamma: float) -> Tensor:
    """Eq. (3) at this gamma, least over posterior scales and over the scale of each code row."""
    mean_square = code.square().sum(-1)
    best = (mean_square + (mean_square.square() + 4 * mean_square * gamma).sqrt()) / 2
    params = {
        "decoder": decoder * best.sqrt(),
        "encoder": torch.linalg.pinv(decoder) / best.sqrt()[:, None],
        "log_scale": 0.5 * (gamma / (gamma + best)).log(),
        "log_gamma": torch.tensor(gamma, dtype=torch.float64).log(),
    }
    return linear_theory.loss(params, factor)


def vanishing_scales(
    decoder: Tensor, code: Tensor, factor: Tensor, variance: float, error: Tensor
) -> Tensor:
    """The data part of eq. (3) at the best gamma, minus d, for a posterior of this variance and
    reconstructions that are off by `error` in every pixel.

    The suite's own likelihood, at +- sqrt(r) sd e_k for noise: its squared error is exact.
    """
    count = code.shape[0]
    arms = (count * variance) ** 0.5 * torch.eye(count, dtype=torch.float64)
    noise = torch.cat([arms, -arms])[:, None]  # [2 r, 1, r]
    output = (code.T + noise) @ decoder.T + error
    density = gaussian_closed_form.log_likelihood(factor.T, output)
    return -2 * density.mean() - PIXELS * LOG_2PI - PIXELS


def spread(values: Tensor) -> float:
    """Largest minus least."""
    return float(values.max() - values.min())
