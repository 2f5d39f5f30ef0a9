"""Figures and tables of the runs of "Taming VAEs" show what the rows say, or that none are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paper_repro.drawing import style
from paper_repro.drawing.tables import Estimate, Table
from paper_repro.results.frames import Results
from paper_repro.studies.taming_vaes import constraint_rows, figures, plane_rows, tables
from tests.figures.reading import line
from tests.studies.taming_vaes import tv_runs

FIGURES = tuple(f"figure{n}" for n in range(3, 12))
LOST = {("baselines", 1): "diverged", ("sensitivity", 0): "missing"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return tv_runs.results(tmp_path_factory.mktemp("paper"), seeds=2, lost=LOST)


@pytest.fixture(scope="module")
def drawn(results: Results) -> dict[str, Figure]:
    with style.settings():
        return {name: figures.FIGURES[name](results) for name in FIGURES}


def panel(figure: Figure, setting: str) -> Axes:
    (found,) = [axes for axes in figure.axes if axes.get_title(loc="left") == setting]
    return found


def of_cells(experiment: str, metric: str, split: str = "train", **params: object) -> list[float]:
    """Final numbers of the rows of cells with these parameters, of seeds that were not lost."""
    return [
        row.value
        for cell in tv_runs.cells("paper", 2)
        if cell.experiment == experiment
        and all(cell.params.get(name) == value for name, value in params.items())
        for seed in cell.seeds
        if (experiment, seed) not in LOST
        for row in tv_runs.rows(cell, seed)
        if (row.metric, row.split, row.kind) == (metric, split, "final")
    ]


@pytest.mark.parametrize("name", FIGURES)
def test_captions_begin_with_the_number(name: str, drawn: Mapping[str, Figure]) -> None:
    assert drawn[name].get_label().startswith(f"Figure {name.removeprefix('figure')}.")


def test_lost_runs_are_seen_in_the_footer(drawn: Mapping[str, Figure]) -> None:
    assert "diverged" in drawn["figure4"]._supxlabel.get_text()
    assert "missing" in drawn["figure10"]._supxlabel.get_text()
    assert "diverged" not in drawn["figure5"]._supxlabel.get_text()


def test_the_trajectory_has_beta_as_one_over_lambda_and_the_nll_of_the_error(
    drawn: Mapping[str, Figure],
) -> None:
    nll, beta, error = drawn["figure3"].axes[:3]
    (cell,) = [c for c in tv_runs.cells("paper", 2) if c.experiment == "trajectory"]
    curves: dict[str, list[list[float]]] = {}
    for seed in cell.seeds:
        for name in ("rate", "mse", "multiplier_RE"):
            rows = [r for r in tv_runs.rows(cell, seed) if (r.metric, r.kind) == (name, "curve")]
            curves.setdefault(name, []).append([r.value for r in rows])
    rate, mse, multiplier = (np.array(curves[n]).T for n in ("rate", "mse", "multiplier_RE"))
    expected = 0.5 * tv_runs.PIXELS * np.log(2 * np.pi * np.e * mse)
    drawn_points = [axes.collections[0].get_offsets().data for axes in (nll, beta, error)]
    np.testing.assert_allclose(drawn_points[0][:, 0], rate.mean(1))
    np.testing.assert_allclose(drawn_points[0][:, 1], expected.mean(1))
    np.testing.assert_allclose(drawn_points[1][:, 1], np.exp(-np.log(multiplier).mean(1)))
    np.testing.assert_allclose(drawn_points[2][:, 1], np.exp(0.5 * np.log(mse).mean(1)))
    dotted = [one for one in error.lines if one.get_linestyle() == ":" or len(one.get_xdata()) == 2]
    crossing = 25000  # the first point whose error is below kappa
    assert crossing in {float(np.asarray(one.get_xdata())[0]) for one in dotted}


def test_geco_points_are_joined_where_the_runs_ended(drawn: Mapping[str, Figure]) -> None:
    axes = panel(drawn["figure4"], "MNIST\nVAE+NVP")
    kl, error = line(axes, "GECO")
    assert len(kl) == 5
    for kappa, x, y in zip((0.06, 0.08, 0.1, 0.125, 0.175), kl, error, strict=True):
        where = {"dataset": "mnist", "model": "conv", "kappa": kappa}
        assert x == pytest.approx(np.mean(of_cells("sweep", "rate", **where)))
        mse = of_cells("sweep", "mse", **where)
        assert y == pytest.approx(math.exp(0.5 * np.mean(np.log(mse))))
    x, y = line(axes, "ELBO, annealed by hand")
    (left,) = of_cells("baselines", "rate", dataset="mnist", model="conv", objective="gqn")
    assert x[0] == pytest.approx(left)  # the seed that did not diverge
    assert axes.get_yscale() == "log"


def test_the_bound_lies_beneath_and_only_where_data_have_one(
    drawn: Mapping[str, Figure],
) -> None:
    kl, error = line(
        panel(drawn["figure4"], "MNIST\nConvDRAW"), plane_rows.LOOKS["water_filling"].label
    )
    np.testing.assert_allclose(kl, [1.3 * tv_runs.rate("mnist", k) for k in error], rtol=1e-5)
    conditional = panel(drawn["figure4"], "MNIST-rotate\nconditional ConvDRAW")
    assert "PCA bound" not in [one.get_label() for one in conditional.lines]
    floor = line(panel(drawn["figure4"], "CIFAR-10\nConvDRAW"), plane_rows.LOOKS["capacity"].label)[
        1
    ]
    np.testing.assert_allclose(floor, 0.07, rtol=0.02)


def test_elbo_is_green_geco_blue_and_the_null_stands_in_both_panels(
    drawn: Mapping[str, Figure],
) -> None:
    upper, lower = drawn["figure5"].axes
    for axes in (upper, lower):
        colours = {one.get_label(): one.get_color() for one in axes.lines}
        assert (colours["ELBO"], colours["GECO"]) == (style.GREEN, style.BLUE)
    end = np.mean(of_cells("same_error_elbo", "rate"))
    np.testing.assert_allclose(line(upper, "ELBO at the end")[1], end)


def test_pictures_are_of_the_first_seed_with_samples_beside_them(
    drawn: Mapping[str, Figure],
) -> None:
    greys = [[int(i.get_array().max()) for i in axes.images] for axes in drawn["figure6"].axes]
    assert greys[0] == [200] * 5
    assert greys[1] == [100] * 5 + [255] + [150] * 5
    strips = [[int(i.get_array().max()) for i in axes.images] for axes in drawn["figure9"].axes]
    assert strips == [[150] * 10] * 11  # two of each of five thresholds, and no original


def test_coverage_is_that_within_twice_the_runs_own_threshold(
    drawn: Mapping[str, Figure],
) -> None:
    upper = drawn["figure7"].axes[2]  # VAE+NVP
    assert upper.get_title(loc="left") == "VAE+NVP"
    bars = {bar.get_label(): bar for bar in upper.containers}
    drawn_means = np.asarray(bars["MNIST"].lines[0].get_ydata(), float)
    where = {"dataset": "mnist", "model": "conv"}
    for place, kappa in enumerate((0.06, 0.08, 0.1, 0.125, 0.175)):
        every = of_cells("sweep", "coverage", "test", kappa=kappa, **where)
        assert drawn_means[place] == pytest.approx(np.mean(every[place::5]))


def test_violations_are_relative_to_thresholds(results: Results) -> None:
    setting = plane_rows.Setting("color_mnist", "VAE+NVP")
    bounds = constraint_rows.Bounds((("RE", 0.1),))
    found = constraint_rows.relative_violation(results, "RE", bounds, setting)
    relative = plane_rows.of(plane_rows.curves(results, "constraints", "relative_mse"), setting)
    relative = constraint_rows.under(relative, bounds)
    np.testing.assert_allclose(found["value"], relative["value"] - 1, atol=1e-9)


def test_variants_are_named_by_what_differs_from_the_defaults(
    drawn: Mapping[str, Figure],
) -> None:
    first = drawn["figure10"].axes[0]
    names = [label.get_text() for label in first.get_yticklabels()]
    assert names[0] == "defaults (sweep)"
    assert names[-1].startswith("Algorithm 1")
    assert "rate 0.02" in names


def test_the_architectures_have_the_weights_that_the_rows_count(
    drawn: Mapping[str, Figure],
) -> None:
    shown = [next(t.get_text() for t in a.texts if "weights" in t.get_text())
             for a in drawn["figure11"].axes]  # fmt: skip
    assert "MNIST 1,234,572" in shown[0]
    assert "CIFAR-10 1,234,574" in shown[1]
    assert "MNIST-rotate 1,234,579" in shown[2]


def entry(table: Table, column: str, *beginning: str) -> object:
    (row,) = [r for r in table.rows if tuple(map(str, r[: len(beginning)])) == beginning]
    return row[list(table.columns).index(column)]


def test_the_plane_as_a_table_says_which_thresholds_are_met_and_why_not(results: Results) -> None:
    table = tables.TABLES["plane"](results)
    for dataset, kappa, status in (
        ("MNIST", "0.06", "met"),
        ("CIFAR-10", "0.06", "infeasible (lowest error 0.0"),
        ("CIFAR-10", "0.08", "met"),
    ):
        found = entry(table, "status", dataset, "VAE+NVP", "GECO", kappa)
        assert isinstance(found, str)
        assert found.startswith(status)
    beta = entry(table, "beta = 1/lambda", "MNIST", "VAE+NVP", "GECO", "0.1")
    assert isinstance(beta, Estimate)
    assert beta.mean == pytest.approx(1 / tv_runs.multiplier("mnist", 0.1), rel=0.05)
    lost = entry(table, "KL", "MNIST", "VAE+NVP", "ELBO, annealed by hand")
    assert isinstance(lost, Estimate)
    assert (lost.n, lost.lost) == (1, 1)


def test_an_error_above_a_threshold_that_the_network_could_meet_is_not_called_infeasible(
    tmp_path: Path,
) -> None:
    def worse(row, cell, seed):  # type: ignore[no-untyped-def]
        missed = cell.experiment == "sweep" and cell.params["kappa"] == 0.06
        return replace(row, value=1.3 * row.value) if missed and row.metric == "mse" else row

    found = tv_runs.results(tmp_path, seeds=1, change=worse, only=("sweep", "floor"))
    table = tables.TABLES["plane"](found)
    assert entry(table, "status", "MNIST", "VAE+NVP", "GECO", "0.06") == "above"


def test_baselines_are_compared_at_their_own_error(results: Results) -> None:
    table = tables.TABLES["annealing"](results)
    gap = entry(table, "KL above GECO's at this error", "MNIST, VAE+NVP", "ELBO, annealed by hand")
    assert isinstance(gap, Estimate)
    assert gap.mean == pytest.approx(6, abs=1)  # what the rows add to GECO's curve
    beyond = entry(table, "runs without one", "MNIST, VAE+NVP", "ELBO")
    assert beyond == "1 beyond the largest kappa"


def test_brackets_of_the_marginal_kl_are_subtracted_side_against_side(results: Results) -> None:
    table = tables.TABLES["table2"](results)
    difference = ("MNIST", "MLP VAE", "ELBO - GECO, by seed")
    low, high = (entry(table, f"marginal KL, {side}", *difference) for side in ("low", "high"))
    assert isinstance(low, Estimate)
    assert isinstance(high, Estimate)
    assert low.mean == pytest.approx(1.5 - 0.7, abs=0.2)  # ELBO's low - GECO's high
    assert high.mean == pytest.approx(1.5 + 0.7, abs=0.2)


def test_tuning_has_the_largest_distance_over_settings(results: Results) -> None:
    table = tables.TABLES["tuning"](results)
    *settings, last = table.rows
    for column in range(1, len(table.columns)):
        largest = max(row[column].mean for row in settings if isinstance(row[column], Estimate))
        assert isinstance(last[column], Estimate)
        assert last[column].mean >= largest - 1e-12


def test_a_constraint_is_met_from_its_own_side() -> None:
    assert constraint_rows.met("RE", 0.1, 0.104)
    assert not constraint_rows.met("RE", 0.1, 0.106)
    assert constraint_rows.met("RE", 0.1, 0.02)
    assert constraint_rows.met("CLA", 0.9, 0.885)
    assert not constraint_rows.met("PNCC", 0.9, 0.87)
