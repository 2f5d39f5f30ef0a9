"""The ceiling is the largest log evidence of a linear decoder, on the very images it is for."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from paper_repro.cell import Cell
from paper_repro.data import catalogue
from paper_repro.errors import UserError
from paper_repro.metrics import spectrum
from paper_repro.studies.silent_gradients.tasks import ceiling as task
from tests.oracles import linear_vae

LEVELS = 16
DIGITS = catalogue.load("digits").train.flatten(1)
SPECTRUM = task.spectrum(DIGITS, LEVELS)


def fitted(images: Tensor, latents: int, variance: float) -> tuple[Tensor, Tensor]:
    """Mean [D] and covariance [D, D] of x under the pPCA solution of uint8 images [N, D]."""
    x = images.double() / LEVELS
    lam, axes = torch.linalg.eigh(torch.cov(x.T, correction=0))
    columns = (lam.flip(0)[:latents] - variance).clamp_min(0).sqrt() * axes.flip(1)[:, :latents]
    return x.mean(0), columns @ columns.T + variance * torch.eye(x.shape[1], dtype=x.dtype)


def evidence(images: Tensor, latents: int, variance: float, on: Tensor) -> float:
    """Mean log p(x) on images `on` of the pPCA solution of `images`."""
    model = torch.distributions.MultivariateNormal(*fitted(images, latents, variance))
    return float(model.log_prob(on.double() / LEVELS).mean())


def misses_the_density(
    ceiling: Callable[[Tensor, int, float], float] = task.ceiling,
    spectrum: Callable[[Tensor, int], Tensor] = task.spectrum,
) -> bool:
    lam = spectrum(DIGITS, LEVELS)
    return any(
        abs(ceiling(lam, d, v) / evidence(DIGITS, d, v, DIGITS) - 1) > 1e-9
        for d, v in ((0, 0.1), (8, 0.1), (16, 0.1), (16, 0.02), (32, 0.02))
    )


def test_the_ceiling_is_the_mean_log_density_of_the_ppca_solution():
    assert not misses_the_density()


def test_wrong_ceilings_are_caught():
    def unfloored(lam: Tensor, latents: int, variance: float) -> float:
        """Every latent used, even where that takes a weight of negative square."""
        model = torch.cat([lam[:latents], torch.full_like(lam[latents:], variance)])
        return float(-0.5 * ((2 * math.pi * model).log() + lam / model).sum())

    def sample_covariance(images: Tensor, levels: int) -> Tensor:
        """Divided by N - 1."""
        return task.spectrum(images, levels) * len(images) / (len(images) - 1)

    def uncentred(images: Tensor, levels: int) -> Tensor:
        return task.spectrum(torch.cat([images.int(), -images.int()]), levels)

    assert misses_the_density(ceiling=unfloored)
    assert misses_the_density(spectrum=sample_covariance)
    assert misses_the_density(spectrum=uncentred)


@pytest.mark.parametrize("latents", [0, 2, 3, 6])
def test_it_is_the_oracle_that_trained_linear_vaes_attain(latents):
    lam = torch.tensor([3.0, 1.4, 0.6, 0.25, 0.1, 0.02], dtype=torch.float64)
    exact = linear_vae.ppca_log_evidence(lam, latents, 0.3)
    assert task.ceiling(lam, latents, 0.3) == pytest.approx(exact, rel=1e-12)


def test_the_spectrum_does_not_depend_on_how_images_are_read(monkeypatch):
    exact = torch.linalg.eigvalsh(torch.cov(DIGITS.double().T / LEVELS, correction=0)).flip(0)
    for size in (5000, 100):
        monkeypatch.setattr(spectrum, "CHUNK", size)
        found = task.spectrum(DIGITS, LEVELS)
        torch.testing.assert_close(found, exact, rtol=1e-9, atol=1e-14)
        assert (found.diff() <= 0).all()
        assert (found >= 0).all()


def test_a_latent_more_never_lowers_it_and_raises_it_only_above_the_variance():
    for variance in (0.02, 0.1, 1.0):
        values = [task.ceiling(SPECTRUM, d, variance) for d in range(64)]
        active = task.active_latents(SPECTRUM, 63, variance)
        gains = torch.tensor(values).diff()
        assert 0 <= active < 63
        assert (gains[:active] > 0).all()
        assert (gains[active:] == 0).all()


def test_a_model_of_all_images_can_pass_the_ceiling_of_all_on_a_part_but_not_that_of_the_part():
    total = task.ceiling(SPECTRUM, 8, 0.1)
    passed = 0
    for start in range(0, 1300, 100):
        part = DIGITS[start : start + 100]
        found = evidence(DIGITS, 8, 0.1, on=part)
        assert found < task.ceiling(task.spectrum(part, LEVELS), 8, 0.1)
        passed += found > total
    assert passed > 0


def test_the_learned_variance_is_the_best_one():
    best = task.learned_variance(SPECTRUM, 8)
    value = task.ceiling(SPECTRUM, 8, best)
    assert all(task.ceiling(SPECTRUM, 8, f * best) < value for f in (0.5, 0.99, 1.01, 2.0))


def cell(**params) -> Cell:
    defaults = {"dataset": "digits", "variances": [0.1, 1], "dims": [4, 8], "train_images": 100}
    return Cell("silent_gradients", "ceiling", "ceiling", "smoke", "ceiling", defaults | params)


def test_rows_of_both_sets_of_images_and_the_spectra_for_the_figure():
    problem = task.build(cell(), 0, "cpu")
    rows = problem.evaluate({}, {}, 0)
    found = {(row.metric, row.at): row.value for row in rows}
    assert len(found) == len(rows)
    assert {row.split for row in rows} == {"train"}
    assert found["ceiling_images", "images=evaluated"] == 100
    assert found["ceiling_images", "images=all"] == len(DIGITS)
    part = task.spectrum(DIGITS[:100], LEVELS)
    for name, lam in (("evaluated", part), ("all", SPECTRUM)):
        at = f"variance=0.1,dim=8,images={name}"
        assert found["ceiling_elbo", at] == task.ceiling(lam, 8, 0.1)
        empty = found["ceiling_empty", f"variance=0.1,images={name}"]
        assert empty == task.ceiling(lam, 0, 0.1) < found["ceiling_elbo", at]
        assert found["active_latents", f"variance=1,dim=8,images={name}"] == 0
    spectra = problem.arrays({})
    torch.testing.assert_close(torch.from_numpy(spectra["spectrum_evaluated"]), part)
    assert problem.fingerprint


def test_images_in_a_plane_have_no_ceiling_once_the_variance_is_learned():
    few = task.spectrum(DIGITS[:5], LEVELS)
    metrics = {row.metric for row in task.rows({"all": few}, {"all": 5}, [0.1], [4])}
    assert "ceiling_elbo" in metrics
    assert not any("learned" in metric for metric in metrics)


def test_as_many_latents_as_pixels_are_refused():
    with pytest.raises(UserError, match="dims: 64 latents, but 64 pixels"):
        task.build(cell(dims=[8, 64]), 0, "cpu")
