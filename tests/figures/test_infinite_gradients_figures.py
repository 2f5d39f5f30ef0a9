"""Figures and tables of the runs that differ in gamma show what the rows say, or that none are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from paper_repro.drawing import style
from paper_repro.drawing.tables import Estimate, Table
from paper_repro.results.frames import Results
from paper_repro.studies.infinite_gradients import figures, tables
from paper_repro.studies.infinite_gradients.gamma_rows import LOOKS, NAMES, SIZES, SPEEDS
from tests.figures.reading import bars
from tests.results.infinite_gradients_rows import STUDY, cells, kind, rows
from tests.results.made_runs import collected, made_run

FIGURES = (
    *("figure4", "gradient_conventions", "miniature", "anneal"),
    *("over_regularised", "celeba_pictures"),
)
LOST = {("celeba_anneal", 1): "diverged", ("celeba_over", 0): "missing"}
PAPER = {352.8, 349.9, 93.3, 291.8}


def made(root: Path, tier: str, seeds: int, lost: Mapping[tuple[str, int], str]) -> Results:
    """Results of the study's own cells; `lost` names the fate of seeds of an experiment."""
    chosen, runs = cells(tier, seeds), []
    for cell in chosen:
        for seed in cell.seeds:
            status = lost.get((cell.experiment, seed), "ok")
            if status == "missing":
                continue
            shape = (4, 3, 8, 8)
            pictures = {
                "pictures_test": np.full(shape, 100 + seed, dtype=np.uint8),
                "originals_test": np.full(shape, 200, dtype=np.uint8),
            }
            arrays = pictures if cell.params["pictures"] else None
            found = rows(cell, seed) if status == "ok" else ()
            runs.append((cell, seed, made_run(cell, seed, found, status, arrays)))
    return collected(root, chosen, runs, tier)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return made(tmp_path_factory.mktemp("paper"), "paper", 2, LOST)


@pytest.fixture(scope="module")
def drawn(results: Results) -> dict[str, Figure]:
    with style.settings():
        return {name: figures.FIGURES[name](results) for name in FIGURES}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """One seed of the smallest tier, and no run with gamma fixed."""
    lost = {(f"{family}_fixed", 0): "missing" for family in ("celeba", "miniature")}
    return made(tmp_path_factory.mktemp("smoke"), "smoke", 1, lost)


def values(experiment: str, metric: str, what: str, at: str = "", dataset: str = "") -> list[float]:
    """What the rows say, one value per seed that was not lost."""
    return [
        row.value
        for cell in cells("paper", 2)
        if cell.experiment == experiment and kind(cell) == what
        if cell.params["model"] in ("resnet", "mlp") and dataset in ("", cell.params["dataset"])
        for seed in cell.seeds
        if (experiment, seed) not in LOST
        for row in rows(cell, seed)
        if (row.metric, row.split, row.at) == (metric, "test", at)
    ]


@pytest.mark.parametrize("name", ["figure4", "miniature", "anneal", "celeba_pictures"])
def test_one_seed_without_its_partner_is_drawn_and_what_lacks_is_said(
    name: str, alone: Results
) -> None:
    with style.settings():
        figure = figures.FIGURES[name](alone)
    assert "missing" in figure._supxlabel.get_text()
    assert "n = 1 seed" in figure.get_label()


def test_figure_4_has_means_of_seeds_and_the_papers_numbers_beneath(
    drawn: Mapping[str, Figure], alone: Results
) -> None:
    error, mmd, norm = drawn["figure4"].axes[:3]
    for place, what in enumerate(("learned", "fixed")):
        sse = values(f"celeba_{what}", "sse", what, "z=sampled")
        assert len(sse) == 2
        np.testing.assert_allclose(bars(error)[place], np.mean(sse))
        distance = values(f"celeba_{what}", "mmd", what)
        np.testing.assert_allclose(bars(mmd)[place], 1000 * np.mean(distance))
    grey = [line for axes in (error, mmd) for line in axes.lines if line.get_marker() == "D"]
    assert {float(line.get_xdata()[0]) for line in grey} == PAPER
    assert {to_hex(line.get_color()) for line in grey} == {style.GREY}
    assert norm.get_yscale() == "linear"
    with style.settings():
        faces = figures.FIGURES["figure4"](alone)
    assert not any(line.get_marker() == "D" for axes in faces.axes for line in axes.lines)


def test_learned_and_fixed_have_their_colours_in_every_figure(drawn: Mapping[str, Figure]) -> None:
    for name in ("figure4", "gradient_conventions", "miniature", "anneal"):
        colours: dict[str, set[str]] = {}
        for axes in drawn[name].axes:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                line = handle if hasattr(handle, "get_color") else handle.lines[0]
                colours.setdefault(label, set()).add(to_hex(line.get_color()))
        for run in ("gamma_learned", "gamma_fixed"):
            assert colours[LOOKS[run].label] == {LOOKS[run].colour}, name


def test_ratios_of_gradient_norms_are_paired_by_seed(drawn: Mapping[str, Figure]) -> None:
    panel = drawn["gradient_conventions"].axes[5]
    lines = [line for line in panel.lines if line.get_label().startswith("ratio")]
    assert len(lines) == 4
    by_kind = {
        what: [
            [r.value for r in rows(cell, seed) if r.metric == "grad_z"]
            for cell in cells("paper", 2)
            if cell.experiment == f"celeba_{what}" and cell.params["model"] == "resnet"
            for seed in cell.seeds
        ]
        for what in ("learned", "fixed")
    }
    ratio = np.array(by_kind["fixed"]) / np.array(by_kind["learned"])
    np.testing.assert_allclose(lines[0].get_ydata(), np.exp(np.log(ratio).mean(0)))


def test_gamma_of_each_batch_follows_from_the_distortion(drawn: Mapping[str, Figure]) -> None:
    panel = drawn["anneal"].axes[3]
    curves = {line.get_label(): np.asarray(line.get_ydata(), float) for line in panel.lines}
    closed = curves[LOOKS["gamma_closed"].label]
    expected = [v / 100 for v in values("miniature_anneal", "sse", "closed", "z=sampled")]
    np.testing.assert_allclose(closed, np.exp(np.mean(np.log(expected))), rtol=1e-9)


def test_diverged_and_missing_runs_are_seen_where_they_lack(drawn: Mapping[str, Figure]) -> None:
    mmd = drawn["anneal"].axes[1]
    said = {text.xy[1]: text.get_text() for text in mmd.texts}
    gone = [i for i, name in enumerate(SPEEDS) if name not in ("gamma_learned", "gamma_fixed")]
    assert said == {i: "1 run diverged" if i in gone else "" for i in range(len(SPEEDS))}
    colours = {text.xy[1]: to_hex(text.get_color()) for text in mmd.texts}
    assert colours == {i: LOOKS[name].colour for i, name in enumerate(SPEEDS)}
    error = drawn["over_regularised"].axes[0]
    said = {text.xy[1]: text.get_text() for text in error.texts}
    assert [said[i] for i in range(len(SIZES))] == ["", "", "1 run missing", "1 run missing"]
    assert "3 runs diverged" in drawn["anneal"]._supxlabel.get_text()
    assert "2 runs missing" in drawn["over_regularised"]._supxlabel.get_text()


def test_no_original_of_celeba_is_drawn_even_if_one_was_saved(
    results: Results, drawn: Mapping[str, Figure]
) -> None:
    (learned,) = [c for c in cells("paper", 2) if c.id.startswith("celeba_learned-celeba128-resn")]
    assert "originals_test" in results.arrays(STUDY, learned.id, 0)
    shown = [
        {int(image.get_array().max()) for image in axes.images}
        for axes in drawn["celeba_pictures"].axes
    ]
    assert shown == [{100}, {100}, {101}, {101}]  # the first seed that ended well


def entry(table: Table, run: str, column: str) -> Estimate:
    row = next(r for r in table.rows if r[1] == run)
    found = row[list(table.columns).index(column)]
    assert isinstance(found, Estimate)
    return found


def test_tables_hold_means_of_the_seeds_left_and_ratios_of_pairs(results: Results) -> None:
    table = tables.TABLES["figure4"](results)
    ratios = np.divide(
        values("celeba_fixed", "mmd", "fixed"), values("celeba_learned", "mmd", "learned")
    )
    assert entry(table, "fixed / learned, by seed", "MMD x 1000").mean == pytest.approx(
        ratios.mean()
    )
    assert [row[4] for row in table.rows if row[1].startswith("paper")] == ["352.8", "349.9"]
    over = tables.TABLES["over_regularised"](results)
    found = entry(over, NAMES["gamma_10"], "sum of squares")
    (left,) = values("celeba_over", "sse", "times 10", "z=sampled")
    assert (found.mean, found.n, found.lost) == (pytest.approx(left), 1, 1)
    norms = tables.TABLES["gradient_norms"](results)
    start, fixed = (entry(norms, NAMES[f"gamma_{n}"], "d/dz, start") for n in ("learned", "fixed"))
    assert start.mean < 10 < fixed.mean
