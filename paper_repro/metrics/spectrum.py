"""Principal axes of images and their variances, exact, in float64 (Pearson 1901, Hotelling 1933).

The covariance is divided by N and the mean taken off, so the eigenvalues are the variances along
the axes, in squares of what the pixels are divided by.
"""

from __future__ import annotations

import torch
from torch import Tensor

CHUNK = 5000  # images: bounds the memory for pixels in float64


def spectrum(images: Tensor, levels: int) -> Tensor:
    """Falling eigenvalues [D] of the covariance (divided by N) of images [N, D] / levels.

    Those that are zero but for rounding are set to zero.
    """
    _, covariance = _moments(images)
    return _cleared(torch.linalg.eigvalsh(covariance / levels**2).flip(0))


def principal_axes(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [D], falling eigenvalues [D] and axes [D, D], a column each, of images [N, D]."""
    mean, covariance = _moments(images)
    found, axes = torch.linalg.eigh(covariance)
    return mean, _cleared(found.flip(0)), axes.flip(1)


def components_needed(eigenvalues: Tensor, explained: float) -> int:
    """The least number of axes that carry the fraction `explained` of the variance."""
    share = eigenvalues.cumsum(0) / eigenvalues.sum()
    return int((share < explained).sum()) + 1


def _moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [D] and covariance [D, D] (divided by N) of images [N, D]."""
    total = torch.zeros(images.shape[1], dtype=torch.float64)
    for part in images.split(CHUNK):
        total += part.double().sum(0)
    mean = total / len(images)
    scatter = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for part in images.split(CHUNK):
        centred = part.double() - mean
        scatter += centred.mT @ centred
    return mean, scatter / len(images)


def _cleared(eigenvalues: Tensor) -> Tensor:
    return torch.where(
        eigenvalues > 1e-12 * eigenvalues[0], eigenvalues, torch.zeros_like(eigenvalues)
    )
