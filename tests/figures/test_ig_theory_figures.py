"""Figures and tables of theory show what the rows say, and say what was not run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib.figure import Figure

from paper_repro.drawing import style
from paper_repro.drawing.tables import as_markdown
from paper_repro.results.collect import collect
from paper_repro.results.frames import Results, load
from paper_repro.rows import Row, coordinates
from paper_repro.studies.infinite_gradients import (
    figures_landscape,
    figures_theory,
    tables_theory,
)
from tests.results.made_runs import cell, write_run
from tests.studies.infinite_gradients import ig_runs

FIGURES = {
    "slope": figures_theory.slope,
    "beta_threshold": figures_theory.beta_threshold,
    "figure2": figures_theory.figure2,
    "figure3": figures_landscape.figure3,
    "figure3_trained": figures_landscape.figure3_trained,
}
TABLES = (tables_theory.theory, tables_theory.labyrinth, tables_theory.landscape)
MEASURED = {"closed_forms": {}, "labyrinth": {}, "landscape": {"points": 401, "random_slices": 2}}
SLOPES = {1.0: 9.1, 5.0: -2.9}  # of made-up trained models


def made_rows(experiment: str, seed: int) -> Iterator[Row]:
    """Made-up rows of trained models."""
    if experiment == "linear_vae":
        for beta, slope in SLOPES.items():
            at = coordinates(beta=beta)
            yield Row("trained_loss_slope", slope + 0.01 * seed, "1", at=at)
            for gamma in (1e-3, 1e-8):
                at = coordinates(beta=beta, gamma=gamma)
                yield Row("trained_loss", slope * np.log(gamma), "nats", at=at)
    elif experiment == "beta_threshold":
        for ratio in (0.5, 1.1):
            at = coordinates(beta=5 * ratio, ratio=ratio)
            values = {"log_gamma": -9.0, "active_dims": 2, "relative_error": 1e-3}
            for metric, value in values.items():
                yield Row(metric, value + 1e-4 * seed, "1", at=at)
            yield Row("gamma_over_pixel_variance", 1.01, "1", at=at)
    else:
        yield Row("gamma", 0.1, "1")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    root = tmp_path_factory.mktemp("theory")
    cells = []
    for task, params in MEASURED.items():
        one = cell(task, task, study=ig_runs.STUDY, tier="quick", seeds=1, steps=0)
        problem = ig_runs.build(task, steps=0, **params)
        rows = problem.evaluate({}, {}, 0)
        write_run(root / "runs", one, 0, rows, arrays=problem.arrays and problem.arrays({}))
        cells.append(one)
    scale = np.linspace(-0.5, 1.5, 41)
    slices = np.abs(scale - 1) * np.ones((3, 4, 1))
    arrays = {"scale": scale, "times": np.array([1, 10, 100, 1000]), "curves": slices}
    for task in ("linear_vae", "beta_threshold", "landscape_trained"):
        one = cell(task, task, study=ig_runs.STUDY, tier="quick", seeds=2)
        extra = arrays | {"used": np.array([True, True, False])}
        for seed in one.seeds:
            kept = extra if task == "landscape_trained" else None
            write_run(root / "runs", one, seed, made_rows(task, seed), arrays=kept)
        cells.append(one)
    collect(cells, root / "runs", root / "out", "quick")
    return load(root / "out")


@pytest.fixture(scope="module")
def drawn(results: Results) -> dict[str, Figure]:
    with style.settings():
        return {name: function(results) for name, function in FIGURES.items()}


@pytest.mark.parametrize("name", FIGURES)
def test_no_panel_is_empty(name, drawn):
    for axes in drawn[name].axes:
        assert axes.lines
        assert not any("not run" in text.get_text() for text in axes.texts)


def test_trained_slopes_are_drawn_at_their_means(drawn):
    points = [line for line in drawn["slope"].axes[1].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(points[0].get_ydata(), [s + 0.005 for s in SLOPES.values()])


def test_curves_of_figure_3_rest_on_zero_and_minimisers_are_dashed(drawn):
    for axes in drawn["figure3"].axes:
        curves = [line for line in axes.lines if len(line.get_xdata()) > 2]
        dashed = [line for line in axes.lines if len(line.get_xdata()) == 2]
        assert len(curves) == len(dashed) == 4
        for curve, line in zip(curves, dashed, strict=True):
            lowest = curve.get_xdata()[np.argmin(curve.get_ydata())]
            assert line.get_xdata()[0] == pytest.approx(lowest, abs=0.006)
            assert curve.get_ydata().min() == pytest.approx(0, abs=1e-3)


def test_tables_hold_the_numbers(results):
    theory, labyrinth, landscape = (as_markdown(table(results)) for table in TABLES)
    assert "| infinite-A2: slope in log gamma, beta 1, trained | 9 | 9.105" in theory
    assert "| log1p | 1e-12 | 1.495 | 1.182 | 0.8679 | 0.5536 |" in labyrinth
    assert "| panel a | 0.001 | 2 | 0 |" in landscape
