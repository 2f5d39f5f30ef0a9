"""Test log-likelihood by importance sampling.

log p(x) >= E log (1/K) sum_k p(x, z_k) / q(z_k|x) (Burda, Grosse and Salakhutdinov, 2016,
arXiv 1509.00519, eq. 8); the usual report takes K = 5,000.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

LogWeights = Callable[[Tensor, int, Generator], Tensor]


def log_likelihood_bound(
    log_weights: LogWeights, x: Tensor, samples: int, generator: Generator, rows: int
) -> Tensor:
    """The K-sample bound on log p(x) of each image, [N], in nats/image.

    log_weights(x [B, D], k, generator) -> [k, B] log importance weights of fresh draws;
    samples: K. Works on at most `rows` decoder rows (images x samples) at a time, and visits
    images and samples in a fixed order, so that the draws depend only on the generator and `rows`.
    """
    images = max(1, min(len(x), rows // samples)) if samples <= rows else 1
    bounds = []
    for part in x.split(images):
        total = torch.full((len(part),), -math.inf, dtype=part.dtype, device=part.device)
        done = 0
        while done < samples:
            k = min(samples - done, max(1, rows // len(part)))
            weights = log_weights(part, k, generator)
            total = torch.logaddexp(total, weights.logsumexp(0))
            done += k
        bounds.append(total - math.log(samples))
    return torch.cat(bounds)
