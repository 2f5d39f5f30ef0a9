"""Fixed points of the tiled beta-VAE: descent, stationarity, and where clusters split."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from paper_repro.cell import Cell
from paper_repro.studies.taming_vaes.tasks import fixed_points as fp
from paper_repro.studies.taming_vaes.tasks import phases, schematic
from paper_repro.studies.taming_vaes.tasks.fixed_points import Array

WEIGHTS = np.full(5, 0.2)
X = np.random.default_rng(0).standard_normal((7, 2))
PSI = np.random.default_rng(1).standard_normal((5, 2))
HIERARCHICAL = phases.points("hierarchical", torch.Generator())


def free_energy(psi: torch.Tensor, beta: float) -> torch.Tensor:
    squares = torch.cdist(torch.tensor(X), psi).square()
    return -torch.logsumexp(torch.tensor(WEIGHTS).log() - squares / (2 * beta), 1).mean()


def test_the_objective_at_the_best_q_is_the_free_energy_and_its_gradient_autograds():
    psi = torch.tensor(PSI, requires_grad=True)
    expected = free_energy(psi, 0.4)
    soft = fp.soft_step(X, PSI, WEIGHTS, 0.4)
    assert soft.objective == pytest.approx(expected.item(), abs=1e-12)
    assert fp.objective(soft.q, soft.squares, WEIGHTS, 0.4) == pytest.approx(expected.item())
    expected.backward()
    np.testing.assert_allclose(fp.gradient(X, PSI, WEIGHTS, 0.4), psi.grad, atol=1e-12)


def rises(average: Callable[[Array, Array], Array], monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(fp, "average_step", average)
    return fp.converge(X, PSI, WEIGHTS, 0.4).increase > 1e-10


def test_half_steps_never_increase_the_objective(monkeypatch):
    assert not rises(fp.average_step, monkeypatch)


def test_a_step_that_is_too_long_is_caught(monkeypatch):
    exact = fp.average_step
    assert rises(lambda x, q: 3.5 * exact(x, q), monkeypatch)


def test_updates_end_where_the_gradient_vanishes():
    found = fp.converge(X, PSI, WEIGHTS, 0.4)
    assert found.met
    assert np.abs(fp.gradient(X, found.psi, WEIGHTS, 0.4)).max() < 1e-8
    assert not fp.converge(X, PSI, WEIGHTS, 0.4, cap=2).met


def test_coinciding_psi_split_below_the_largest_variance_and_not_above():
    top = np.linalg.eigvalsh(np.cov(X.T, bias=True))[-1]
    together = np.tile(X.mean(0), (5, 1))
    assert fp.largest_variance(X, together, WEIGHTS, 1.0) == pytest.approx(top)
    for factor, count in ((1.05, 1), (0.95, 2)):
        found = fp.converge(X, together + 1e-4 * PSI, WEIGHTS, factor * top, cap=20000)
        assert (fp.distinct(found.psi, 1e-2) >= 2) == (count == 2)


def test_kernels_of_another_temperature_are_caught():
    """With exp(-|.|^2 / beta) all critical values double."""
    top = np.linalg.eigvalsh(np.cov(X.T, bias=True))[-1]
    together = np.tile(X.mean(0), (5, 1))
    found = fp.converge(X, together + 1e-4 * PSI, WEIGHTS, 1.05 * top / 2, cap=20000)
    assert fp.distinct(found.psi, 1e-2) > 1


@pytest.fixture(scope="module")
def sweep() -> phases.Sweep:
    return phases.Sweep(
        HIERARCHICAL, np.geomspace(phases.HOT, phases.COLD, 260), torch.Generator().manual_seed(0)
    )


def test_the_points_have_the_numbers_of_the_specification(sweep):
    rows = {(row.metric, row.at): row.value for row in sweep.rows()}
    spiked = [rows["spike_beta", f"spike={i}"] for i in (1, 2, 3)]
    critical = [rows["critical_beta", f"spike={i}"] for i in (1, 2, 3)]
    assert critical == pytest.approx([4.040, 0.573, 0.0500], rel=1e-3)
    assert spiked == pytest.approx([4.038, 0.582, 0.0502], rel=0.03)  # a grid step is 2.8 %
    assert [int(at.split("=")[1]) for metric, at in rows if metric == "appears_at_beta"] == [
        *(1, 2, 4, 8)
    ]
    assert rows["error_hot", ""] == pytest.approx(4.6125)
    assert rows["error_cold", ""] < 1e-6
    assert rows["objective_increase", ""] < 1e-10
    assert rows["gradient", ""] < 1e-8
    assert rows["distinct_growth", ""] == 0
    assert rows["distinct_cold_share", ""] == 1
    assert rows["kl_cold", ""] == pytest.approx(rows["kl_tiling", ""])
    assert rows["kl_over_log_points", ""] > 1 - 1e-9


def test_spikes_are_ranked_by_the_jump_of_the_slope():
    betas = np.geomspace(8, 0.005, 260)
    curvature = np.ones(260)
    for k, jump in ((20, 5.0), (100, 4.0), (200, 3.0), (150, 0.5)):
        curvature[k] += jump / betas[k]
    assert phases.spikes(curvature, betas).tolist() == [20, 100, 200]


def test_arrays_are_those_of_the_figure(sweep):
    found = sweep.arrays([5.0, 0.2], torch.Generator().manual_seed(0))
    assert found["path"].shape == (2, phases.PATH + 1, phases.TILES, 2)
    assert np.abs(found["end"][0] - HIERARCHICAL.mean(0)).max() < 1e-6  # one fixed point when hot
    assert len(found["beta"]) == len(found["error"]) == len(found["curvature"])


def test_the_onset_of_the_first_split_follows_the_gram_matrix(monkeypatch):
    monkeypatch.setattr(phases, "SETS", 3)
    monkeypatch.setattr(phases, "SPLIT", 400)
    rows = list(phases.spectral_rows(torch.Generator().manual_seed(1)))
    onset = [row.value for row in rows if row.metric == "split_correlation"]
    assert onset
    assert min(onset) > 0.99


def test_a_direction_other_than_the_leading_one_is_caught():
    x = X - X.mean(0)
    _, vectors = np.linalg.eigh(x @ x.T)
    top = np.linalg.eigvalsh(x.T @ x / len(x))[-1]
    psi = 0.1 * np.linalg.svd(x, full_matrices=False)[2][1] * np.array([1, -1, 1, -1, 1])[:, None]
    coordinate = phases.first_split(x, psi, WEIGHTS, top)
    assert abs(np.corrcoef(coordinate, vectors[:, -1])[0, 1]) < 0.95


def test_overlap_averages_and_a_hole_is_undetermined():
    rows = {(row.metric, row.at): row.value for row in schematic.rows(schematic.Z)}
    assert rows["average_gap", ""] < 1e-12
    assert rows["blur", "point=1"] > 100 * rows["blur", "point=3"]
    assert rows["moved_in_hole", ""] > 0.1
    assert rows["moved_outside", ""] < 2e-3
    assert rows["posterior_mass_in_hole", ""] < 0.01 < rows["hole_mass", ""]


def test_cells_build_with_their_defaults():
    cell = Cell("taming_vaes", "schematic", "x", "smoke", "schematic", {}, (0,))
    problem = schematic.build(cell, 0, "cpu")
    assert problem.arrays is not None
    assert set(problem.arrays({})) >= {"z", "prior", "posterior", "decoder", "hole"}
    params = {"points": "hierarchical", "betas": 60, "shown": [5.0]}
    cell = Cell("taming_vaes", "phases", "x", "smoke", "phases", params, (0,))
    metrics = {row.metric for row in phases.build(cell, 0, "cpu").evaluate({}, {}, 0)}
    assert "critical_gap" in metrics
    assert "split_correlation" not in metrics  # of random data alone
