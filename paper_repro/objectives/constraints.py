"""Reconstruction constraints of GECO, as violations that are positive where they do not hold.

Rezende and Viola, "Taming VAEs" (2018): RE, FRE, CLA and PNCC. The names are the paper's; formulas
and units are our reading. kappa of RE is a root-mean-square error per pixel, the only reading that
fits the paper's values 0.06 to 0.175 for images in [0, 1]; its violation is summed over pixels, so
that its multiplier is 1 / (2 sigma^2) of a Gaussian likelihood. Functions map the decoder's mean
[..., B, D] to violations [..., B]; kappa is a number or a 0-d tensor. The `threshold` of a
constraint is the number its violation is measured against, and the scale for `geco.advance`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Network = Callable[[Tensor], Tensor]
Number = float | Tensor


def reconstruction(x: Tensor, mean: Tensor, *, kappa: Number) -> Tensor:
    """RE: sum over pixels of (x - mean)^2, minus D kappa^2, the threshold.

    x is [B, D], mean [..., B, D]; kappa is an RMS error per pixel. ValueError if pixels differ or
    kappa is not positive.
    """
    _require(x, mean, kappa)
    return (x - mean).square().sum(-1) - x.shape[-1] * kappa**2


def feature_reconstruction(x: Tensor, mean: Tensor, *, kappa: Number, features: Network) -> Tensor:
    """FRE: mean over features of (f(x) - f(mean))^2, minus kappa^2, the threshold.

    `features` maps [..., B, D] to [..., B, F]; it should divide features by their RMS over the
    data, so that kappa is a relative error.
    """
    _require(x, mean, kappa)
    return (features(x) - features(mean)).square().mean(-1) - kappa**2


def classification(
    labels: Tensor, mean: Tensor, *, kappa: Number, probabilities: Network
) -> Tensor:
    """CLA: kappa, the threshold, minus the probability a classifier gives to the right class.

    `labels` [B, classes] is one-hot; `probabilities` maps [..., B, D] to [..., B, classes].
    ValueError if the classes differ or kappa is not positive.
    """
    found = probabilities(mean)
    if found.shape[-2:] != labels.shape:
        raise ValueError(
            f"labels: shape {list(labels.shape)}, but the classifier's output ends in "
            f"{list(found.shape[-2:])}"
        )
    _require_kappa(kappa)
    return kappa - (labels * found).sum(-1)


def patch_correlation(
    x: Tensor,
    mean: Tensor,
    *,
    kappa: Number,
    shape: tuple[int, int, int],
    patch: int = 7,
    stride: int = 3,
    floor: float = 1e-3,
) -> Tensor:
    """PNCC: kappa, the threshold, minus the normalised cross-correlation, averaged over patches.

    Images of `shape` (channels, height, width) are flattened to D; patches of side `patch`, one
    channel each, have their mean removed and are divided by their norm plus `floor` (patch 7,
    stride 3, floor and "per channel" are ours). ValueError if `shape` is not that of the images or
    too small for a patch.
    """
    _require(x, mean, kappa)
    channels, height, width = shape
    if channels * height * width != x.shape[-1]:
        raise ValueError(f"shape: {shape} has not the {x.shape[-1]} values of an image")
    if patch > min(height, width):
        raise ValueError(f"patch: {patch} exceeds the image {height} x {width}")
    first, second = (_patches(images, shape, patch, stride, floor) for images in (x, mean))
    return kappa - (first * second).sum(-1).flatten(-3).mean(-1)


def _patches(
    images: Tensor, shape: tuple[int, int, int], patch: int, stride: int, floor: float
) -> Tensor:
    """Normalised patches: [..., D] -> [..., channels, rows, columns, patch^2]."""
    grid = images.unflatten(-1, shape)
    patches = grid.unfold(-2, patch, stride).unfold(-2, patch, stride).flatten(-2)
    centred = patches - patches.mean(-1, keepdim=True)
    return centred / (torch.linalg.vector_norm(centred, dim=-1, keepdim=True) + floor)


def _require(x: Tensor, mean: Tensor, kappa: Number) -> None:
    if mean.shape[-2:] != x.shape:
        raise ValueError(f"mean: shape {list(mean.shape)} must end in x's {list(x.shape)}")
    _require_kappa(kappa)


def _require_kappa(kappa: Number) -> None:
    if isinstance(kappa, float | int) and not kappa > 0:  # tensors: see vae.parts.constraints
        raise ValueError(f"kappa: {kappa} is not positive")
