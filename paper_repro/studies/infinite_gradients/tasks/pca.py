"""Principal components as a screen for outliers and a measure of dimension, exact in float64.

Dai, Wenliang and Wipf, "On the Value of Infinite Gradients in VAE Models" (NeurIPS 2021): Figure 1
shows outliers inside the plane of the inliers, which two components reconstruct as well as the
inliers; section 3.3 says that on MNIST about 100 components do the work of about 15 informative
latent dimensions, without saying what explained variance is meant (we report three).

The axes are those of the training images; the score of a test image with `dim` components is what
they leave of it, ||x - m||^2 minus the squares of its first `dim` coordinates. Every seed has the
same numbers: nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from paper_repro.cell import Cell
from paper_repro.errors import UserError
from paper_repro.metrics.auroc import auroc
from paper_repro.metrics.score_histogram import histograms
from paper_repro.metrics.spectrum import components_needed, principal_axes
from paper_repro.rows import Row, coordinates
from paper_repro.training.measurement import measurement
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream
from paper_repro.vae import data as images
from paper_repro.vae.data import Pixels
from paper_repro.vae.parts import outliers as screening

PARAMS = {
    "dataset": {"type": "string"},
    "outliers": {"type": "string", "default": ""},
    "preprocessing": {"enum": ["unit", "none"], "default": "unit"},
    "dims": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1},
    "explained": {  # fractions of the variance
        "type": "array",
        "items": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "default": [0.9, 0.95, 0.99],
    },
    "test_images": {"type": "integer", "minimum": 2, "default": 10000},
}
BELOW_PIXELS = {"dims": 0}
ROUNDING = 1e-10  # of the total variance: a smaller error is none, so that noise is not ranked
SHOWN = 400  # eigenvalues kept for the figure

Axes = tuple[Tensor, Tensor, Tensor]  # mean [D], falling variances [D], axes [D, D] in columns


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Axes and scores, on the CPU. UserError where there are more components than pixels."""
    p = cell.params
    data = images.load(p["dataset"], p["preprocessing"], "cpu")
    outliers = screening.load(p["outliers"], data)
    pixels = data.train.shape[1]
    if max(p["dims"]) > pixels:
        raise UserError(f"dims: {max(p['dims'])} components, but {pixels} pixels")
    found = principal_axes(_seen(data, data.train))
    sets = {"inliers": _seen(data, data.test[: p["test_images"]])}
    if outliers is not None:
        sets["outliers"] = _seen(outliers, outliers.test[: p["test_images"]])
    errors = {name: residuals(x, found, p["dims"]) for name, x in sets.items()}
    return measurement(
        lambda: list(rows(found[1], errors, p["dims"], p["explained"])),
        lambda: _arrays(found, sets, errors, p["dims"]),
        screening.fingerprint(data, outliers),
    )


def residuals(x: Tensor, found: Axes, dims: Sequence[int]) -> Tensor:
    """||x - its reconstruction||^2 of points x [N, D] with so many components: [len(dims), N].

    Errors below ROUNDING of the total variance are set to zero.
    """
    mean, variances, axes = found
    squares = ((x.double() - mean) @ axes).square()
    left = torch.cat([squares.flip(1).cumsum(1).flip(1), squares.new_zeros(len(x), 1)], 1)
    errors = left[:, list(dims)].T.contiguous()
    return torch.where(errors > ROUNDING * variances.sum(), errors, torch.zeros_like(errors))


def rows(
    variances: Tensor,
    errors: Mapping[str, Tensor],
    dims: Sequence[int],
    explained: Sequence[float],
) -> Iterator[Row]:
    """The total variance and the components needed for each fraction of it, then errors and AUROC
    per number."""
    yield Row("total_variance", float(variances.sum()), "sse/image", "train")
    for fraction in explained:
        count = components_needed(variances, fraction)
        yield Row("components_needed", count, "1", "train", coordinates(explained=fraction))
    for place, dim in enumerate(dims):
        for name, metric in (("inliers", "sse"), ("outliers", "outlier_sse")):
            if name in errors:
                mean = float(errors[name][place].mean())
                yield Row(metric, mean, "sse/image", "test", coordinates(dim=dim))
        if "outliers" in errors:
            area = auroc(errors["inliers"][place], errors["outliers"][place])
            yield Row("auroc", area, "1", "test", coordinates(dim=dim, score="sse"))


def _arrays(
    found: Axes, sets: Mapping[str, Tensor], errors: Mapping[str, Tensor], dims: Sequence[int]
) -> dict[str, np.ndarray]:
    """``spectrum``, a histogram ``score_<set>_<dim>`` of every error, and of points of few
    coordinates the first of each set with their reconstructions, ``mapped_<set>_<dim>``."""
    mean, variances, axes = found
    made = {"spectrum": variances[:SHOWN].numpy()}
    made |= histograms(
        {f"{name}_{d}": e[i] for name, e in errors.items() for i, d in enumerate(dims)}
    )
    if len(mean) <= screening.COORDINATES:
        for name, x in sets.items():
            points = x[: screening.POINTS].double()
            made[f"points_{name}"] = points.float().numpy()
            for dim in dims:
                kept = axes[:, :dim]
                mapped = mean + (points - mean) @ kept @ kept.T
                made[f"mapped_{name}_{dim}"] = mapped.float().numpy()
    return made


def _seen(data: Pixels, images: Tensor) -> Tensor:
    """What a model sees of images [N, D]: there is no noise in it."""
    return data.preprocess(images, stream(0, "evaluation", data.name, "pixels"))
