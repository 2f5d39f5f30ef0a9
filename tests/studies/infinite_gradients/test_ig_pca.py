"""Principal components against a singular value decomposition and hand-made planes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from paper_repro.cell import Cell
from paper_repro.errors import UserError
from paper_repro.metrics.spectrum import components_needed, principal_axes, spectrum
from paper_repro.studies.infinite_gradients.tasks import pca
from paper_repro.vae import data as images

DIGITS = images.load("digits", "unit", "cpu")


def by_svd(train: Tensor, test: Tensor, dim: int) -> Tensor:
    """||x - reconstruction||^2 by projecting on the right singular vectors."""
    mean = train.double().mean(0)
    kept = torch.linalg.svd(train.double() - mean, full_matrices=False).Vh[:dim]
    centred = test.double() - mean
    return (centred - centred @ kept.T @ kept).square().sum(-1)


def misses(axes_of: Any, dims: tuple[int, ...] = (1, 2, 10, 40)) -> bool:
    train, test = (x.float() / 16 for x in (DIGITS.train, DIGITS.test))
    found = pca.residuals(test, axes_of(train), dims)
    return any(
        not torch.allclose(errors, by_svd(train, test, dim), rtol=1e-8, atol=1e-12)
        for errors, dim in zip(found, dims, strict=True)
    )


def test_errors_are_those_of_the_singular_vectors() -> None:
    assert not misses(principal_axes)


def test_wrong_axes_are_caught() -> None:
    def uncentred(train: Tensor) -> pca.Axes:
        mean, values, axes = principal_axes(torch.cat([train, -train]))
        return mean, values, axes

    def rising(train: Tensor) -> pca.Axes:
        mean, values, axes = principal_axes(train)
        return mean, values, axes.flip(1)

    def rows_for_columns(train: Tensor) -> pca.Axes:
        mean, values, axes = principal_axes(train)
        return mean, values, axes.T

    assert misses(uncentred)
    assert misses(rising)
    assert misses(rows_for_columns)


def test_in_the_inliers_plane_two_components_leave_nothing_to_rank() -> None:
    """Figure 1: an arc in a plane of R^5, outliers all over its disc; rounding is not ranked."""
    generator = torch.Generator().manual_seed(0)
    plane = torch.linalg.qr(torch.randn(5, 2, generator=generator)).Q
    t = 4.7 * torch.rand(400, generator=generator)
    arc = torch.stack([t.cos(), t.sin()], 1)
    disc = 0.6 * torch.randn(300, 2, generator=generator)
    inliers, outliers = arc @ plane.T, disc @ plane.T
    found = principal_axes(inliers)
    errors = {n: pca.residuals(x, found, [1, 2]) for n, x in
              (("inliers", inliers), ("outliers", outliers))}  # fmt: skip
    assert (errors["inliers"][1] == 0).all()
    assert (errors["outliers"][1] == 0).all()
    rows = {(r.metric, r.at): r.value for r in pca.rows(found[1], errors, [1, 2], [0.9])}
    assert rows["auroc", "dim=2,score=sse"] == 0.5
    assert rows["sse", "dim=1"] > 0.01
    assert rows["components_needed", "explained=0.9"] == 2


def test_components_needed_is_the_first_number_that_reaches_the_fraction() -> None:
    values = torch.tensor([4.0, 3.0, 2.0, 1.0], dtype=torch.float64)
    for fraction, count in ((0.1, 1), (0.4, 1), (0.41, 2), (0.7, 2), (0.75, 3), (0.99, 4)):
        assert components_needed(values, fraction) == count


def test_axes_belong_to_the_spectrum_in_any_unit() -> None:
    _, values, axes = principal_axes(DIGITS.train.float())
    torch.testing.assert_close(values / 256, spectrum(DIGITS.train, 16), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(axes.T @ axes, torch.eye(64, dtype=axes.dtype))


def cell(**params: Any) -> Cell:
    defaults = {"dataset": "digits", "outliers": "manifold", "preprocessing": "unit",
                "dims": [2, 64], "explained": [0.9], "test_images": 50, "steps": 0}  # fmt: skip
    return Cell("infinite_gradients", "screening_pca", "x", "smoke", "pca", defaults | params)


def test_rows_and_arrays_of_a_cell() -> None:
    problem = pca.build(cell(), 0, "cpu")
    rows = {(r.metric, r.at): r.value for r in problem.evaluate({}, {}, 0)}
    assert rows["sse", "dim=64"] == rows["outlier_sse", "dim=64"] == 0  # as many as pixels
    assert rows["auroc", "dim=64,score=sse"] == 0.5
    assert 0 < rows["sse", "dim=2"] < rows["outlier_sse", "dim=2"]
    assert problem.arrays is not None
    found = problem.arrays({})
    assert found["score_outliers_2"].sum() == found["score_inliers_64"].sum() == 50
    assert np.all(np.diff(found["spectrum"]) <= 0)
    assert "points_inliers" not in found  # images are no points to draw


def test_without_outliers_there_are_only_errors_and_counts() -> None:
    problem = pca.build(cell(outliers=""), 0, "cpu")
    metrics = {row.metric for row in problem.evaluate({}, {}, 0)}
    assert metrics == {"total_variance", "components_needed", "sse"}


def test_more_components_than_pixels_are_refused() -> None:
    with pytest.raises(UserError, match="dims: 65 components, but 64 pixels"):
        pca.build(cell(dims=[65]), 0, "cpu")
