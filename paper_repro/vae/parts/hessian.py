"""Posterior variances against the decoder: the Hessian that they are to invert at an optimum.

Fyffe, "There and Back Again" (arXiv 1912.10309), by its abstract; the formulas are ours. Where the
ELBO is stationary in a diagonal V, 1 / V_jj is the diagonal of H = P0 + E_q[J^T G J], but for terms
that vanish with the residual: P0 is the precision of the prior, J the Jacobian of E[x|z], G the
Fisher metric of p(x|z) there (1 / gamma of a Gaussian, 1 / (p (1 - p)) of a Bernoulli pixel; a
variance head adds J_s^T J_s / 2 of its log-precision). One V for all images costs

    1/2 (ln det E_x H - E_x ln det H) >= 0

nats an image against a V for each, in this approximation: it is the spread of the Hessian.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paper_repro.likelihoods import normal
from paper_repro.rows import Row, coordinates
from paper_repro.vae.evaluations import Evaluation
from paper_repro.vae.whole_set import Reader

COMPONENT = "part"
NAMED_BY = ("hessian_images",)
DRAWS = 8  # of q, over which H is averaged
INFORMED = 0.5  # of the prior's variance: a latent with less on average is in use
PART = 50  # images whose Jacobians are held at a time


def rows(reader: Reader, native: Evaluation, images: int) -> list[Row]:
    """Of the first training images, whose bound the encoder was trained for, and of test images, at
    the posterior mean and over draws (coordinate ``z``):
    ``variance_error``, the median over images and used latents of the absolute V_jj H_jj - 1, NaN
    where none is used; ``curvature_penalty``, the cost above in nats/image; and how many latents
    are ``used``, those whose mean V_jj is below half of the prior's variance."""
    return [row for split in ("train", "test") for row in _rows(reader, native, split, images)]


def _rows(reader: Reader, native: Evaluation, split: str, images: int) -> list[Row]:
    found = []
    for at, variance, hessian in _measured(reader, native, split, images):
        used = _used(variance, native)
        error = (variance * hessian.diagonal(dim1=-2, dim2=-1) - 1).abs()[:, used]
        median = float(error.median()) if error.numel() else float("nan")
        spread = hessian.mean(0).logdet() - hessian.logdet().mean()
        z = coordinates(z=at)
        found += [
            Row("variance_error", median, "1", split=split, at=z),
            Row("curvature_penalty", 0.5 * float(spread), "nats/image", split=split, at=z),
            Row("used", float(used.sum()), "1", split=split, at=z),
        ]
    return found


def arrays(reader: Reader, native: Evaluation, images: int) -> dict[str, np.ndarray]:
    """``posterior_variance`` and ``inverse_curvature``, 1 / H_jj over draws, float32 [n, k], of
    training images."""
    _, (_, variance, hessian) = _measured(reader, native, "train", images)
    inverse = hessian.diagonal(dim1=-2, dim2=-1).reciprocal()
    pairs = {"posterior_variance": variance, "inverse_curvature": inverse}
    return {name: values.float().cpu().numpy() for name, values in pairs.items()}


def _used(variance: Tensor, native: Evaluation) -> Tensor:
    """Which latents carry information: bool [k]."""
    factor = torch.linalg.inv(native.prior.whiten.double())
    return variance.mean(0) < INFORMED * (factor @ factor.T).diagonal()


def _measured(
    reader: Reader, native: Evaluation, split: str, images: int
) -> list[tuple[str, Tensor, Tensor]]:
    """Coordinate, V [n, k] and H [n, k, k], in float64."""
    blocks = list(reader.blocks(split, images))
    variance = torch.cat([(2 * q.log_scale).exp() for _, q, _ in blocks]).double()
    precision = (native.prior.whiten.T @ native.prior.whiten).double()
    points = {
        "mean": [q.mean[None] for _, q, _ in blocks],
        "sampled": [reader.draws(q, DRAWS, name, "hessian") for _, q, name in blocks],
    }
    found = []
    for at, parts in points.items():
        mean = torch.stack([curvature(reader, native.variance, z) for z in torch.cat(parts, 1)])
        found.append((at, variance, precision + mean.mean(0)))
    return found


def curvature(reader: Reader, variance: Tensor | None, z: Tensor) -> Tensor:
    """J^T G J in float64 at z [n, k]: [n, k, k]."""
    return torch.cat([_curvature(reader, variance, part) for part in z.split(PART)])


def _curvature(reader: Reader, variance: Tensor | None, z: Tensor) -> Tensor:
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        output = reader.decode(z)
        mean = reader.mean(output)
        head = reader.model.likelihood.OUTPUTS == 2
        log_precision = clamped(reader, output) if head else mean[:, :0]
        jacobian = jacobians(torch.cat([mean, log_precision], -1), z).double()
    mean, log_precision = mean.detach().double(), log_precision.detach().double()
    if variance is not None:
        metric = normal.per_pixel(variance.double(), mean.shape[-1]).reciprocal().expand_as(mean)
    elif head:
        metric = torch.cat([log_precision.exp(), torch.full_like(log_precision, 0.5)], -1)
    else:  # a probability
        metric = (mean * (1 - mean)).reciprocal()
    return jacobian.transpose(-1, -2) @ (metric.unsqueeze(-1) * jacobian)


def jacobians(output: Tensor, z: Tensor) -> Tensor:
    """dy/dz [n, m, k] of outputs y [n, m], each a function of its own z [n, k] in their graph.

    Column by column, as the derivative with respect to u of the pullback J^T u, which is linear in
    u: k backward passes for all images and outputs, and no forward-mode differentiation.
    """
    u = torch.zeros_like(output, requires_grad=True)
    (pulled,) = torch.autograd.grad(output, z, u, create_graph=True)
    columns = [torch.autograd.grad(c.sum(), u, retain_graph=True)[0] for c in pulled.unbind(-1)]
    return torch.stack(columns, -1)


def clamped(reader: Reader, output: Tensor) -> Tensor:
    """The log-precisions of a variance head, [n, 2 D] -> [n, D]."""
    options: Mapping[str, Any] = {
        **reader.model.likelihood.OPTIONS,
        **reader.model.likelihood_options,
    }
    low, high = options["clamp"]
    return normal.split(output)[1].clamp(low, high)
