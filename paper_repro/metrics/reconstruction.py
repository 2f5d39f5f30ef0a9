"""Reconstruction errors, each per what its name and unit say.

The five papers report the same error in different units: summed over the image (Dai, Wenliang
and Wipf, NeurIPS 2021, Figure 4), as its mean per pixel, or as the root of that mean, which is
the unit of kappa in Rezende and Viola, "Taming VAEs" (2018). Pixels are on [0, 1].
"""

from __future__ import annotations

from torch import Tensor

from paper_repro.metrics.checks import require_finite, require_same_shape


def sse(x: Tensor, mean: Tensor) -> Tensor:
    """Squared error summed over the last axis, of each image: [..., P] -> [...], sse/image."""
    require_same_shape("mean", mean, "x", x)
    require_finite("x", x)
    require_finite("mean", mean)
    return (x - mean).square().sum(-1)


def mse(x: Tensor, mean: Tensor) -> Tensor:
    """Squared error averaged over images and pixels, 0-d, in mse/pixel."""
    return sse(x, mean).mean() / x.shape[-1]


def rmse(x: Tensor, mean: Tensor) -> Tensor:
    """Root of `mse`, 0-d, in rmse/pixel: the root comes after the mean over images."""
    return mse(x, mean).sqrt()
