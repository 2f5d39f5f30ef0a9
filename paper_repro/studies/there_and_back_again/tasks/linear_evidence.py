"""The largest BILBO and ELBO of a linear VAE are the log evidence of probabilistic PCA (T4).

Fyffe, "There and Back Again" (arXiv 1912.10309), claims that at stationary points the ELBO is the
log evidence. That is exact where ln p(x, z) is quadratic in z, and for the linear VAE the evidence
is known (Tipping and Bishop, "Probabilistic Principal Component Analysis", 1999). All expectations
are formulas: no data beyond the sample and no z are drawn. Set-up and derivation are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Generator, Tensor

from paper_repro.objectives.bilbo import batch_information
from paper_repro.rows import Row, coordinates
from paper_repro.studies.there_and_back_again.tasks.curve import LOG_2PI
from paper_repro.studies.there_and_back_again.tasks.maximise import Tensors, maximise, normal

POINTS, PIXELS, LATENTS = 100, 6, 2
SCALES, NOISE = (2.0, 1.0), 0.3  # standard deviations of the data along two directions, and about
ITERATIONS = 500


def data(generator: Generator) -> Tensor:
    """Random x [N, D], not centred."""
    axes = torch.linalg.qr(normal(generator, PIXELS, LATENTS))[0]
    directions = (axes * torch.tensor(SCALES, dtype=torch.float64)).T
    signal = normal(generator, POINTS, LATENTS) @ directions
    return signal + NOISE * normal(generator, POINTS, PIXELS) + normal(generator, PIXELS)


def ppca_log_evidence(x: Tensor) -> float:
    """Largest mean ln p(x) over N(b, W W^T + gamma I), in nats per point."""
    centred = x - x.mean(0)
    spectrum = torch.linalg.eigvalsh(centred.T @ centred / len(x)).flip(0)
    variance = spectrum.clone()
    variance[LATENTS:] = spectrum[LATENTS:].mean()
    return -0.5 * float((variance.log() + spectrum / variance + LOG_2PI).sum())


def distortion(p: Tensors, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Mean of -E_q ln N(x; W z + b, gamma I) for q = N(mean, diag(variance)), variance [k], at the
    best b and gamma, which are formulas."""
    off = x - mean @ p["decoder"].T
    square = (off - off.mean(0)).square().sum(-1).mean()
    gamma = (square + (variance * p["decoder"].square()).sum()) / PIXELS
    return 0.5 * PIXELS * (1 + LOG_2PI + gamma.log())


def whitened(x: Tensor) -> Tensor:
    """x in coordinates of zero mean and unit covariance. An encoder that is linear in them is
    linear in x, and found in fewer steps."""
    spectrum, axes = torch.linalg.eigh(torch.cov(x.T, correction=0))
    return (x - x.mean(0)) @ axes / spectrum.sqrt()


def bilbo(p: Tensors, x: Tensor, white: Tensor) -> Tensor:
    """Posterior variance one, prior fitted to the means' second moments about zero."""
    mean = white @ p["encoder"].T + p["offset"]
    rate = batch_information(mean, torch.ones_like(mean))
    return -rate - distortion(p, x, mean, torch.ones(LATENTS, dtype=x.dtype))


def elbo(p: Tensors, x: Tensor, white: Tensor) -> Tensor:
    """Prior N(0, I), a learned variance per latent."""
    mean, variance = white @ p["encoder"].T + p["offset"], (2 * p["log_scale"]).exp()
    rate = 0.5 * (mean.square().mean(0) + variance - 1 - 2 * p["log_scale"]).sum()
    return -rate - distortion(p, x, mean, variance)


def rows(generator: Generator) -> Iterator[Row]:
    """Largest bound less the evidence, in nats per point, from a random start."""
    x = data(generator)
    white = whitened(x)
    evidence = ppca_log_evidence(x)
    yield Row("ppca_log_evidence", evidence, "nats")
    start = {
        "decoder": NOISE * normal(generator, PIXELS, LATENTS),
        "encoder": normal(generator, LATENTS, PIXELS),
        "offset": 0.1 * normal(generator, LATENTS),
    }
    scales = {"log_scale": torch.full((LATENTS,), -1.0, dtype=torch.float64)}
    for name, bound, first in (("bilbo", bilbo, start), ("elbo", elbo, start | scales)):
        value = partial(bound, x=x, white=white)
        found, _ = maximise(value, first, ITERATIONS)
        gap = float(value(found)) - evidence
        yield Row("linear_evidence_difference", gap, "nats", at=coordinates(bound=name))
