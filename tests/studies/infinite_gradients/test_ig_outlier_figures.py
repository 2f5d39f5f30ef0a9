"""Figures and tables of the screens: which run is which, what they lack, and nothing at all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from paper_repro.cell import Cell
from paper_repro.drawing import style
from paper_repro.drawing.tables import Estimate, as_markdown
from paper_repro.results.frames import Results
from paper_repro.rows import Row, coordinates
from paper_repro.studies.infinite_gradients import figures, outlier_rows, tables_outliers
from tests.results import made_runs

STUDY = "infinite_gradients"
FIGURES = tuple(figures.FIGURES[name] for name in ("figure1", "screening", "informative"))
TABLES = (tables_outliers.figure1, tables_outliers.screening, tables_outliers.informative)
VAE = {"model": "mlp", "objective": "elbo", "likelihood": "gaussian_gamma"}
PLAIN = {"model": "mlp", "objective": "autoencoder", "likelihood": "squared_error", "rates": {}}
AREAS = {"learned": 0.9, "one": 0.7, "plain": 0.8, "pca": 0.6}  # what each kind of run is given


def cells() -> list[Cell]:
    made = []
    for family, data in (("curve", "curve"), ("screening", "fashion_mnist")):
        sets = {"dataset": data, "outliers": "mnist"}
        kinds = {"learned": VAE | {"rates": {"likelihood": 2}},
                 "one": VAE | {"rates": {"likelihood": 0}}, "plain": PLAIN}  # fmt: skip
        for kind, params in kinds.items():
            for dim in (2, 64):
                made.append(made_runs.cell(family, f"{family}-{kind}-{dim}", study=STUDY,
                                           seeds=2, **sets, **params, dim=dim))  # fmt: skip
        made.append(made_runs.cell(f"{family}_pca", f"{family}_pca-pca-0", study=STUDY, seeds=1,
                                   **sets, dims=[1, 2, 64]))  # fmt: skip
    made.append(made_runs.cell("informative_dims", "informative_dims-learned-64", study=STUDY,
                               seeds=2, dataset="mnist", dim=64, **VAE))  # fmt: skip
    made.append(made_runs.cell("informative_pca", "informative_pca-pca-0", study=STUDY, seeds=1,
                               dataset="mnist", dims=[1, 2, 64]))  # fmt: skip
    return made


def rows(cell: Cell, seed: int) -> Iterator[Row]:
    _, kind, _ = cell.id.split("-")
    for dim in cell.params.get("dims", [None]):
        own = {} if dim is None else {"dim": dim}
        area = AREAS[kind] + 0.001 * seed
        yield Row("auroc", area, "1", "test", coordinates(**own, score="sse"))
        yield Row("outlier_sse", 9.0, "sse/image", "test", coordinates(**own or {"z": "mean"}))
        yield Row("sse", 3.0 if dim in (None, 64) else 4.0, "sse/image", "test",
                  coordinates(**own or {"z": "mean"}))  # fmt: skip
    if kind == "pca":
        yield Row("total_variance", 50.0, "sse/image", "train")
        yield Row("components_needed", 87, "1", "train", coordinates(explained=0.9))
        return
    for threshold in (0.1, 0.5, 0.9):
        yield Row("informative_units", 12, "1", "test", coordinates(threshold=threshold))
    if kind != "plain":
        yield Row("sse", 5.0, "sse/image", "test", coordinates(z="sampled"))
        yield Row("auroc", 0.5, "1", "test", coordinates(score="elbo"))
        yield Row("gamma", 0.01, "mse/pixel", "test")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return made_runs.results(tmp_path_factory.mktemp("full"), cells(), rows)


@pytest.fixture(scope="module")
def missing(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return made_runs.results(tmp_path_factory.mktemp("none"), cells(), lambda cell, seed: None)


def test_every_run_has_its_name(full: Results) -> None:
    area = outlier_rows.finals(full, "screening", "auroc", score="sse")
    means = area.groupby("run")["value"].min()
    expected = {outlier_rows.LEARNED: 0.9, outlier_rows.ONE: 0.7, outlier_rows.PLAIN: 0.8,
                outlier_rows.PCA: 0.6}  # fmt: skip
    assert means.to_dict() == pytest.approx(expected)
    assert outlier_rows.dims(area, outlier_rows.PCA) == [1, 2, 64]
    assert outlier_rows.dims(area, outlier_rows.LEARNED) == [2, 64]


def test_the_table_holds_what_a_kind_of_run_has_and_dashes_for_the_rest(full: Results) -> None:
    table = tables_outliers.screening(full)
    found = {tuple(row[:2]): dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert len(found) == 2 + 2 + 2 + 3
    vae, plain = found["VAE, gamma learned", "64"], found["autoencoder", "64"]
    assert isinstance(vae["AUROC (error)"], Estimate)
    assert vae["AUROC (error)"].mean == pytest.approx(0.9005)
    assert vae["AUROC (negative ELBO)"].mean == 0.5
    assert vae["error, inliers"].mean == 3  # not that of a sampled z
    assert plain["AUROC (negative ELBO)"] == plain["active dims"] == plain["gamma"] == "—"
    assert found["PCA", "2"]["error, inliers"].mean == 4


def test_components_for_the_vaes_error_are_the_fewest_that_reach_it(full: Results) -> None:
    text = as_markdown(tables_outliers.informative(full))
    assert "components for the VAE's error (of those measured) | 64 |" in text
    assert "components for 90 % | 87" in text


def test_histograms_are_shares_over_all_seeds(
    full: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    edges = np.logspace(-6, 4, 201)
    counts = {0: np.eye(200)[40].astype(int), 1: 3 * np.eye(200)[43].astype(int)}

    def saved(self: Results, study: str, cell: str, seed: int) -> dict[str, np.ndarray]:
        made = {"score_inliers": counts[seed], "score_outliers": counts[seed][::-1]}
        return {"score_edges": edges} | made

    monkeypatch.setattr(Results, "arrays", saved)
    area = outlier_rows.finals(full, "screening", "auroc", score="sse")
    found = outlier_rows.histogram(full, outlier_rows.of(area, outlier_rows.LEARNED, 64))
    assert len(found["edges"]) == 51
    assert found["edges"][10] == pytest.approx(1e-4)
    assert found["inliers"][10] == 1
    assert found["outliers"].sum() == pytest.approx(1)


@pytest.mark.parametrize("number", range(3))
def test_figures_and_tables_can_do_without_any_run(number: int, missing: Results) -> None:
    with style.settings():
        made = FIGURES[number](missing)
    assert "not run" in made.get_label() or "missing" in made.get_label()
    assert "not run" in as_markdown(TABLES[number](missing))
