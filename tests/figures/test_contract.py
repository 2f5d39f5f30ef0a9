"""Facts about every figure and every table of every study, on the shipped rows and on none."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from matplotlib.figure import Figure

from paper_repro import registry
from paper_repro.drawing import draw, style
from paper_repro.drawing.tables import NOT_RUN, as_csv, as_markdown, tables_of
from paper_repro.results.frames import Results, load
from tests import synthetic_results as synthetic
from tests.figures.reading import require_labels_on_page, texts

SHIPPED = registry.PACKAGE.parent / "results" / "published"
STUDIES = sorted(path.parent.name for path in registry.STUDIES.glob("*/figures.py"))


FIGURES = [(study, name) for study in STUDIES for name in draw.figures_of(study)]
TABLES = [(study, name) for study in STUDIES for name in tables_of(study)]
MEASURES_NOTHING = {("silent_gradients", "f1_method")}  # a diagram, and the schedules of the grid


@functools.cache
def shipped_rows() -> Results:
    return load(SHIPPED)


@pytest.fixture(scope="module")
def shipped() -> Callable[[str, str], Figure]:
    """Figures of the rows in results/published, each drawn once."""

    @functools.cache
    def drawn(study: str, name: str) -> Figure:
        with style.settings():
            return draw.figures_of(study)[name](shipped_rows())

    return drawn


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return load(synthetic.empty(tmp_path_factory.mktemp("nothing")))


@pytest.mark.parametrize("study", STUDIES)
def test_the_ids_that_the_workflow_reads_are_those_that_are_made(study: str) -> None:
    folder = registry.STUDIES / study
    assert registry.keys(folder / "figures.py", "FIGURES") == list(draw.figures_of(study))
    assert registry.keys(folder / "tables.py", "TABLES") == list(tables_of(study))


def test_figures_and_tables_import_no_torch() -> None:
    modules = [f"paper_repro.studies.{s}.{kind}" for s in STUDIES for kind in ("figures", "tables")]
    script = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    path = {"PYTHONPATH": str(registry.PACKAGE.parent)}
    subprocess.run([sys.executable, "-c", script], env={**os.environ, **path}, check=True)


@pytest.mark.parametrize(("study", "name"), FIGURES)
def test_captions_say_tier_and_n_or_that_nothing_was_run(
    study: str, name: str, shipped: Callable[[str, str], Figure]
) -> None:
    caption = shipped(study, name).get_label()
    known = r"tier \w+" if (study, name) in MEASURES_NOTHING else r"tier \w+( \+ \w+)*, n = \d+"
    assert re.search(rf"{known}|{NOT_RUN}|runs? missing", caption)
    assert not re.search(r"\bnan\b", caption)
    assert len(caption) > 100


@pytest.mark.parametrize(("study", "name"), FIGURES)
def test_figures_fit_a_column_and_no_label_is_cut_off(
    study: str, name: str, shipped: Callable[[str, str], Figure]
) -> None:
    figure = shipped(study, name)
    assert figure.get_figwidth() <= style.WIDTH
    assert figure.get_figheight() <= 10
    with style.settings():
        require_labels_on_page(figure)


@pytest.mark.parametrize(("study", "name"), FIGURES)
def test_without_rows_every_panel_says_what_was_not_run(
    study: str, name: str, nothing: Results
) -> None:
    with style.settings():
        figure = draw.figures_of(study)[name](nothing)
        figure.draw_without_rendering()
    assert f"our runs  ·  {NOT_RUN}" in texts(figure)
    assert NOT_RUN in figure.get_label()
    for axes in figure.axes[(study, name) in MEASURES_NOTHING :]:
        assert any(NOT_RUN in text.get_text() for text in axes.texts)
        for text in axes.texts:
            if text.get_text().startswith(f"{NOT_RUN}:\n"):
                assert axes.bbox.x0 <= text.get_window_extent().x0
                assert text.get_window_extent().x1 <= axes.bbox.x1
                assert not axes.get_xlabel() + axes.get_ylabel()


@pytest.mark.parametrize(("study", "name"), TABLES)
def test_without_rows_tables_say_not_run(study: str, name: str, nothing: Results) -> None:
    table = tables_of(study)[name](nothing)
    assert NOT_RUN in as_markdown(table).lower()
    assert "nan" not in as_csv(table)
    assert all(len(row) == len(table.columns) for row in table.rows)


@pytest.mark.parametrize(("study", "name"), TABLES)
def test_tables_of_the_shipped_rows_hold_no_nan(study: str, name: str) -> None:
    assert not re.search(r"\bnan\b", as_csv(tables_of(study)[name](shipped_rows())))
