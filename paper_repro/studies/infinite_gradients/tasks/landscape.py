"""Figure 3: one-dimensional slices of the VAE's loss sharpen and split as gamma falls.

Dai, Wenliang and Wipf (NeurIPS 2021), Figure 3: a linear VAE on data of a random low-dimensional
subspace, slices built so that the optimal sparse representation sits at 0. Dimensions and
directions are ours, the paper is silent. For every decoder the encoder is at its optimum, where
eq. (3) is

    L(W) = tr(S (gamma I + W W^T)^-1) + sum_j log(gamma + |w_j|^2) + (d - kappa) log gamma + kappa.

d = 20, kappa = 5, r = 2; S = a1 a1^T + a2 a2^T with |a1|^2 = 1, |a2|^2 = 0.5 along random
orthonormal directions; W(t) = W0 + t (W1 - W0), t in [-0.5, 1.5]. W0 = [a1, a2, 0, 0, 0]; W1
reconstructs as well with three latents: panel a [0, 0, a1/sqrt2, a1/sqrt2, a2], panel b
[0, a2, a1/sqrt2, a1/sqrt2, 0]. The slope is dL/dt.

How special is that choice? `random` replaces W1 by [a1, a2] Q with random orthonormal rows Q
[2, kappa] (as good a reconstruction, all latents in use) and by a Gaussian matrix of W0's norm, and
counts the slices with more than one minimum (ours; no part of the paper's figure).

Arrays: t [T], gamma [G] and, per panel, curve_a and curve_b [G, T] (nats, each minus its minimum).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from paper_repro.cell import Cell
from paper_repro.rows import Row, coordinates
from paper_repro.studies.infinite_gradients.tasks.linear_theory import rotation
from paper_repro.training.measurement import measurement
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream

PARAMS = {
    "points": {"type": "integer", "minimum": 101, "default": 4001},
    "random_slices": {"type": "integer", "minimum": 0, "default": 200},
}
PIXELS, LATENTS = 20, 5
SPECTRUM = (1.0, 0.5)
GAMMAS = (1.0, 0.1, 0.01, 0.001)
RANGE = (-0.5, 1.5)
SHOWN = 401  # points of a curve that are kept
PANELS: dict[str, tuple[tuple[int, float], ...]] = {
    # column of W1: (which of a1, a2, times what); (0, 0) is an unused latent
    "a": ((0, 0.0), (0, 0.0), (0, 0.5**0.5), (0, 0.5**0.5), (1, 1.0)),
    "b": ((0, 0.0), (1, 1.0), (0, 0.5**0.5), (0, 0.5**0.5), (0, 0.0)),
}
COARSE = 401  # points of a random slice
RANDOM = ("rotated", "gaussian")


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Measure once, on the CPU; every seed has another rotation of the data."""
    p = cell.params
    init = stream(seed, "init", "landscape")
    arms = rotation(PIXELS, len(SPECTRUM), init) * torch.tensor(SPECTRUM).double().sqrt()
    t = grid(p["points"])
    curves = {name: slice_loss(arms, end(arms, name), t) for name in PANELS}
    generator = stream(seed, "evaluation", "landscape")

    def rows() -> list[Row]:
        found = [
            row for name, (loss, slope) in curves.items() for row in panel(name, t, loss, slope)
        ]
        return found + list(random_rows(arms, p["random_slices"], generator))

    return measurement(rows, lambda: arrays(t, curves))


def grid(points: int) -> Tensor:
    """Evenly spaced t over RANGE, exactly 0 where 0 is among them: [points]."""
    low, high = RANGE
    return low + (high - low) * torch.arange(points, dtype=torch.float64) / (points - 1)


def start(arms: Tensor) -> Tensor:
    """W0 [d, kappa], the optimal sparse representation as gamma -> 0; arms are [a1, a2] [d, r]."""
    spare = arms.new_zeros(len(arms), LATENTS - arms.shape[1])
    return torch.cat([arms, spare], 1)


def end(arms: Tensor, name: str) -> Tensor:
    """W1 [d, kappa] of a panel."""
    return torch.stack([scale * arms[:, which] for which, scale in PANELS[name]], 1)


def minimised_encoder(decoder: Tensor, arms: Tensor, gamma: Tensor) -> Tensor:
    """L(W) of the module's docstring for decoders [..., d, kappa] and gamma [...]: nats.

    By Woodbury's identity the inverse is of kappa x kappa matrices.
    """
    pixels, latents = decoder.shape[-2:]
    code = decoder.mT @ arms
    inner = decoder.mT @ decoder + gamma[..., None, None] * torch.eye(latents, dtype=arms.dtype)
    explained = (torch.linalg.solve(inner, code) * code).sum((-2, -1))
    data = (arms.square().sum() - explained) / gamma
    used = (gamma[..., None] + decoder.square().sum(-2)).log().sum(-1)
    return data + used + (pixels - latents) * gamma.log() + latents


def line_loss(arms: Tensor, other: Tensor, t: Tensor) -> Tensor:
    """Loss [G, T] along the straight line from `start` (t = 0) to `other` (t = 1)."""
    gammas = torch.tensor(GAMMAS, dtype=torch.float64)[:, None].expand(-1, len(t))
    return minimised_encoder(start(arms) + t[:, None, None] * (other - start(arms)), arms, gammas)


def slice_loss(arms: Tensor, other: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """`line_loss` and its derivative dL/dt, each [G, T]."""
    where = t.clone().requires_grad_()
    loss = line_loss(arms, other, where)
    slopes = [torch.autograd.grad(row.sum(), where, retain_graph=True)[0] for row in loss]
    return loss.detach(), torch.stack(slopes)


def minima(loss: Tensor) -> Tensor:
    """Indices of the points of a curve [T] below both neighbours; ends do not count."""
    inner = (loss[1:-1] < loss[:-2]) & (loss[1:-1] < loss[2:])
    return inner.nonzero()[:, 0] + 1


def panel(name: str, t: Tensor, loss: Tensor, slope: Tensor) -> Iterator[Row]:
    """Per gamma: minima, minimiser, largest slope, and the loss at both ends of the line; per pair
    of gammas a decade apart the ratio of their largest slopes."""
    steepest = slope.abs().max(-1).values
    for i, gamma in enumerate(GAMMAS):
        at = coordinates(slice=name, gamma=gamma)
        found = minima(loss[i])
        yield Row("local_minima", len(found), "1", at=at)
        yield Row("minimiser", float(t[loss[i].argmin()]), "1", at=at)
        yield Row("largest_slope", float(steepest[i]), "nats", at=at)
        for place in (0.0, 1.0):
            nearest = int((t - place).abs().argmin())
            at_t = coordinates(slice=name, gamma=gamma, t=place)
            yield Row("slice_loss", float(loss[i, nearest]), "nats", at=at_t)
        if i:
            ratio = float(steepest[i] / steepest[i - 1])
            yield Row("slope_ratio", ratio, "1", at=at)


def random_rows(arms: Tensor, count: int, generator: Generator) -> Iterator[Row]:
    """Of `count` random lines, the share with several minima and the mean distance of the
    minimiser from the sparse solution."""
    t = grid(COARSE)
    for kind in RANDOM if count else ():
        several = torch.zeros(len(GAMMAS))
        distance = torch.zeros(len(GAMMAS))
        for _ in range(count):
            loss = line_loss(arms, random_end(arms, kind, generator), t)
            several += torch.tensor([len(minima(row)) > 1 for row in loss]).float()
            distance += t[loss.argmin(-1)].abs().float()
        for i, gamma in enumerate(GAMMAS):
            at = coordinates(slice=kind, gamma=gamma)
            yield Row("multimodal_share", float(several[i]) / count, "1", at=at)
            yield Row("minimiser_distance", float(distance[i]) / count, "1", at=at)


def random_end(arms: Tensor, kind: str, generator: Generator) -> Tensor:
    """W1 of the kind `rotated` or `gaussian`: [d, kappa]."""
    if kind == "rotated":
        return arms @ rotation(LATENTS, arms.shape[1], generator).T
    normal = torch.randn(len(arms), LATENTS, generator=generator, dtype=torch.float64)
    return normal * arms.norm() / normal.norm()


def arrays(t: Tensor, curves: dict[str, tuple[Tensor, Tensor]]) -> dict[str, NDArray[Any]]:
    """See the module's docstring."""
    stride = max(1, (len(t) - 1) // (SHOWN - 1))
    found = {"t": t[::stride].numpy(), "gamma": np.array(GAMMAS)}
    for name, (loss, _) in curves.items():
        above = loss - loss.min(-1, keepdim=True).values
        found[f"curve_{name}"] = above[:, ::stride].numpy().astype(np.float32)
    return found
