"""The rate at which a linear VAE meets each threshold on a data set: reverse water-filling.

A reference for the information plane of Rezende and Viola, "Taming VAEs" (arXiv 1810.00597), Figure
4 (derived by us; `metrics.water_filling`): with pixels in [0, 1], D values an image and the
eigenvalues of the training images' covariance, the least average KL of a linear VAE at a squared
error of D kappa^2. A network that reaches kappa at a higher KL is under-trained. Every seed has the
same numbers: nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from paper_repro.cell import Cell
from paper_repro.metrics.spectrum import spectrum
from paper_repro.metrics.water_filling import water_filling
from paper_repro.rows import Row, coordinates
from paper_repro.training.measurement import measurement
from paper_repro.training.problem import Problem
from paper_repro.vae import data as pixels

PARAMS = {
    "dataset": {"type": "string"},
    "train_images": {"type": "integer", "minimum": 2, "default": 60000},  # the first so many
    "kappas": {  # RMS errors per pixel
        "type": "array",
        "minItems": 1,
        "items": {"type": "number", "exclusiveMinimum": 0},
    },
}


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Measure once, on the CPU."""
    data = pixels.load(cell.params["dataset"], "unit", "cpu")
    images = data.train[: cell.params["train_images"]]
    values = spectrum(images, data.levels)
    return measurement(
        lambda: list(rows(values, cell.params["kappas"])), fingerprint=data.fingerprint
    )


def rows(values: Tensor, kappas: Sequence[float]) -> Iterator[Row]:
    """Total variance and, per kappa, rate and multiplier for eigenvalues [D]."""
    yield Row("total_variance", float(values.sum()), "sse/image", "train")
    for kappa in kappas:
        at = coordinates(kappa=float(kappa))
        found = water_filling(values, len(values) * kappa**2)
        yield Row("water_filling_rate", found.rate, "nats/image", "train", at)
        yield Row("water_filling_multiplier", found.multiplier, "1", "train", at)
