"""Evidence and ELBO of finite data under the decoder that is best for their posteriors (T4).

Points x = (2 t, sin 2t), t even in [-1.5, 1.5]; one latent on a grid; sigma held. For any means
and variances of the posteriors the decoder is the optimal one (`optimal_decoder`), and the ELBO
is maximised over them through it. The ELBO is that of the model it makes, so the gap to this
model's log evidence is what the posteriors, normal ones, miss. Toy and formulas are ours; the topic
is that of Fyffe, "There and Back Again" (arXiv 1912.10309).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from paper_repro.rows import Row, coordinates
from paper_repro.studies.there_and_back_again.tasks.curve import LOG_2PI
from paper_repro.studies.there_and_back_again.tasks.maximise import Tensors, maximise

SIGMAS = (0.4, 0.2)
POSTERIORS = ("free", "constant")  # a variance for each point, or one for all
ENDS, EDGE, NODES = 1.5, 5.0, 401
STEP = 2 * EDGE / (NODES - 1)
LATENT = torch.linspace(-EDGE, EDGE, NODES, dtype=torch.float64)
SHOWN_SIGMA = 0.2


class Model(NamedTuple):
    """Decoder [Z, 2] on the grid, ELBO and log evidence [N] of the points in nats."""

    decoder: Tensor
    elbo: Tensor
    evidence: Tensor


def points(count: int) -> Tensor:
    """x: [N, 2]."""
    t = torch.linspace(-ENDS, ENDS, count, dtype=torch.float64)
    return torch.stack([2 * t, (2 * t).sin()], -1)


def model(x: Tensor, mean: Tensor, log_scale: Tensor, sigma: float) -> Model:
    """What posteriors N(mean, exp(log_scale)^2), [N] or [1] each, make of points x [N, 2]."""
    log_scale = log_scale.expand(len(x))
    off = (LATENT - mean.unsqueeze(-1)) / log_scale.exp().unsqueeze(-1)
    log_q = -0.5 * (off.square() + LOG_2PI) - log_scale.unsqueeze(-1)  # [N, Z]
    decoder = log_q.softmax(0).T @ x
    square = (x.unsqueeze(-2) - decoder).square().sum(-1)
    log_likelihood = -square / (2 * sigma**2) - 2 * math.log(sigma) - LOG_2PI
    rate = 0.5 * (mean.square() + (2 * log_scale).exp() - 1) - log_scale
    elbo = STEP * (log_q.exp() * log_likelihood).sum(-1) - rate
    log_prior = -0.5 * (LATENT.square() + LOG_2PI)
    evidence = (log_likelihood + log_prior).logsumexp(-1) + math.log(STEP)
    return Model(decoder, elbo, evidence)


def fit(count: int, sigma: float, posterior: str) -> tuple[Model, Tensors]:
    """The model of largest ELBO, from means that are the points' t, and its posteriors."""
    x = points(count)
    start = {
        "mean": x[:, 0] / 2,
        "log_scale": torch.full((1 if posterior == "constant" else count,), math.log(sigma / 3)),
    }
    start = {name: tensor.double() for name, tensor in start.items()}
    found, _ = maximise(lambda p: model(x, p["mean"], p["log_scale"], sigma).elbo.sum(), start)
    return model(x, found["mean"], found["log_scale"], sigma), found


def rows(counts: Sequence[int], arrays: dict[str, np.ndarray] | None = None) -> Iterator[Row]:
    """The gap per number of points, sigma and kind of posterior.

    `arrays`, if given, gets of the last number of points at SHOWN_SIGMA: latent [Z], data [N, 2],
    and per kind of posterior the decoder [Z, 2], its means and its scales [N].
    """
    for count in counts:
        for posterior in POSTERIORS:
            for sigma in SIGMAS:
                made, found = fit(count, sigma, posterior)
                at = coordinates(count=count, sigma=sigma, posterior=posterior)
                gap = float((made.evidence - made.elbo).mean())
                yield Row("finite_data_gap", gap, "nats", at=at)
                if arrays is not None and sigma == SHOWN_SIGMA:
                    arrays |= {
                        "latent": LATENT.numpy(),
                        "data": points(count).numpy(),
                        f"decoder_{posterior}": made.decoder.numpy(),
                        f"code_{posterior}": found["mean"].numpy(),
                        f"scale_{posterior}": found["log_scale"].exp().expand(count).numpy(),
                    }
