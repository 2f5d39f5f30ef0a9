"""The ceiling of a linear decoder: log evidence of probabilistic PCA (Tipping and Bishop 1999).

"Probabilistic Principal Component Analysis" (Journal of the Royal Statistical Society B 61). With
prior N(0, I) and x | z ~ N(W z + b, s2 I) no mean ELBO over given images exceeds

    L* = -1/2 sum_i [log 2 pi v_i + lam_i / v_i],   v_i = max(lam_i, s2) for i <= d, else s2,

where lam_i are the falling eigenvalues of the covariance (divided by N) of these very images; a
diagonal Gaussian posterior attains it, and a latent is used only where lam_i > s2. Where s2 is
learned, its optimum is the mean of the D - d discarded eigenvalues. Every seed has the same
numbers: nothing is drawn.

`images=evaluated` are the first `train_images` training images, those on which runs measure their
training ELBO: a model fitted to all of them can exceed, on a part, the ceiling of the whole
(`images=all`), never that of the part.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from paper_repro.cell import Cell
from paper_repro.errors import UserError
from paper_repro.metrics.spectrum import spectrum
from paper_repro.rows import Row, coordinates
from paper_repro.training.measurement import measurement
from paper_repro.training.problem import Problem
from paper_repro.vae import data as images

PARAMS = {
    "dataset": {"type": "string"},
    "variances": {
        "type": "array",
        "items": {"type": "number", "exclusiveMinimum": 0},
        "minItems": 1,
    },
    "dims": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1},
    "train_images": {"type": "integer", "minimum": 2, "default": 10000},
}
BELOW_PIXELS = {"dims": 1}
SHOWN = 200  # eigenvalues kept for the figure


def build(cell: Cell, seed: int, device: str) -> Problem:
    """The ceilings of both sets of images, on the CPU in float64.

    UserError where a number of latents reaches that of the pixels.
    """
    p = cell.params
    data = images.load(p["dataset"], "unit", "cpu")
    if max(p["dims"]) >= data.train.shape[1]:
        raise UserError(f"dims: {max(p['dims'])} latents, but {data.train.shape[1]} pixels")
    sets = {"evaluated": data.train[: p["train_images"]], "all": data.train}
    spectra = {name: spectrum(images, data.levels) for name, images in sets.items()}
    counts = {name: len(images) for name, images in sets.items()}
    return measurement(
        lambda: list(rows(spectra, counts, p["variances"], p["dims"])),
        lambda: {f"spectrum_{name}": lam[:SHOWN].numpy() for name, lam in spectra.items()},
        data.fingerprint,
    )


def rows(
    spectra: Mapping[str, Tensor],
    counts: Mapping[str, int],
    variances: Sequence[float],
    dims: Sequence[int],
) -> Iterator[Row]:
    """Ceilings and numbers of useful latents of every set of images."""
    for name, lam in spectra.items():
        yield row("ceiling_images", counts[name], "1", images=name)
        for variance in variances:
            empty = ceiling(lam, 0, variance)
            yield row("ceiling_empty", empty, "nats/image", variance=variance, images=name)
            for dim in dims:
                at = {"variance": variance, "dim": dim, "images": name}
                yield row("ceiling_elbo", ceiling(lam, dim, variance), "nats/image", **at)
                yield row("active_latents", active_latents(lam, dim, variance), "1", **at)
        for dim in dims:
            variance = learned_variance(lam, dim)
            if variance > 0:  # else the images lie in a plane, and there is no ceiling
                at = {"dim": dim, "images": name}
                yield row("ceiling_learned_variance", variance, "mse/pixel", **at)
                best = ceiling(lam, dim, variance)
                yield row("ceiling_learned_elbo", best, "nats/image", **at)


def row(metric: str, value: float, unit: str, **at: object) -> Row:
    """A row of the training split; variances are written as in the grid."""
    return Row(metric, float(value), unit, split="train", at=coordinates(**at))


def ceiling(lam: Tensor, latents: int, variance: float) -> float:
    """L* in nats per image for falling eigenvalues lam [D] and so many latents."""
    model = torch.full_like(lam, variance)
    model[:latents] = lam[:latents].clamp_min(variance)
    return float(-0.5 * (math.log(2 * math.pi) + model.log() + lam / model).sum())


def active_latents(lam: Tensor, latents: int, variance: float) -> int:
    """How many latents pay for themselves at the optimum."""
    return int((lam[:latents] > variance).sum())


def learned_variance(lam: Tensor, latents: int) -> float:
    """The variance at which L* is largest: the mean of the eigenvalues left out."""
    return float(lam[latents:].mean())
