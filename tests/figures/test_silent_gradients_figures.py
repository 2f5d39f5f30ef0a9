"""Figures of the study Silent Gradients show what the rows say, and what the rows do not say."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paper_repro import grid
from paper_repro.cell import Cell
from paper_repro.drawing import draw, style
from paper_repro.results.frames import Results
from paper_repro.rows import Row
from tests.figures.reading import bars, line, texts
from tests.results.made_runs import collected, made_run
from tests.studies.silent_gradients.silent_runs import CEILING, EMPTY, STUDY, arrays, rows

FIGURES = draw.figures_of(STUDY)
MARKS = (0.05, 0.2, 0.5, 1.0)
NOT_COMPUTED = 64  # latents: no row has this ceiling
AHEAD = {0.05: -0.2, 0.2: -0.1, 0.5: 0.02}  # bits/dim of annealed runs, beyond their final gain
Change = Callable[[Cell, int, Row], Row | str | None]


def kept(cell: Cell) -> bool:
    """One learning rate for all methods, two for the reparameterised one of E1, no silent only."""
    rate, estimator = cell.params.get("lr"), cell.params.get("estimator")
    if cell.experiment == "fixed_variance":
        return rate == 0.001 or (rate == 0.003 and estimator == "exact_kl")
    if cell.experiment == "learned_variance":
        return rate == 0.001 and cell.params["estimator_options"].get("alpha") != 1
    return cell.experiment in ("ceiling", "gradients", "exactness")


@functools.cache
def cells(tier: str = "paper") -> tuple[Cell, ...]:
    """Cells of tier paper with two seeds; for another tier, these with embedded data."""
    if tier == "paper":
        every = grid.expand(STUDY, tier)
        return tuple(dataclasses.replace(c, seeds=(0, 1)) for c in every if kept(c))
    smaller = {"": "", "mnist": "digits", "cifar10": "patches"}
    return tuple(
        dataclasses.replace(c, tier=tier, params={**c.params, "dataset": name})
        for c in cells()
        if (name := smaller.get(c.params["dataset"])) is not None
    )


def shaped(cell: Cell, seed: int, row: Row) -> Row | None:
    """Rows without the ceiling at one number of latents; the rate 0.003 best on validation images
    of MNIST; in E2 other gains on the way than at the end, and the best step that of 50 %."""
    if row.metric == "ceiling_elbo" and f"dim={NOT_COMPUTED}," in row.at:
        return None
    if cell.experiment == "fixed_variance" and row.metric == "elbo" and cell.params["lr"] == 0.003:
        return dataclasses.replace(row, value=row.value + 2)
    if cell.experiment == "learned_variance" and row.metric == "bits_per_dim":
        mark = row.step / cell.params["steps"]
        if row.split == "validation":
            return dataclasses.replace(row, value=row.value - 2 * (mark == 0.5))
        if cell.params["estimator"] == "annealed":
            return dataclasses.replace(row, value=row.value + AHEAD.get(mark, 0))
    return row


def made(root: Path, change: Change = shaped, tier: str = "paper") -> Results:
    """Results in which `change` alters a row, drops it, or ends its run by returning a status."""
    runs = []
    for cell in cells(tier):
        for seed in cell.seeds:
            changed = [change(cell, seed, row) for row in rows(cell, seed)]
            status = next((row for row in changed if isinstance(row, str)), "ok")
            if status == "missing":
                continue
            ended = [row for row in changed if isinstance(row, Row)] if status == "ok" else ()
            saved = arrays(cell, seed) if status == "ok" else None
            runs.append((cell, seed, made_run(cell, seed, ended, status, saved)))
    return collected(root, cells(tier), runs, tier)


def values(cell: Cell, metric: str, split: str, at: str, mark: float = 1.0) -> np.ndarray:
    """What the rows of a cell say at a mark, one value per seed."""
    step = round(mark * cell.params["steps"])
    found = [
        row.value
        for seed in cell.seeds
        for one in rows(cell, seed)
        if (row := shaped(cell, seed, one)) is not None
        if (row.metric, row.split, row.at, row.step) in (
            (metric, split, at, step), (metric, split, at, -1 if mark == 1.0 else step))
    ]  # fmt: skip
    assert len(found) == len(cell.seeds)
    return np.array(found)


def elbos(cell: Cell, split: str, mark: float = 1.0) -> np.ndarray:
    """The ELBOs by their closed form."""
    return values(cell, "elbo", split, "estimate=closed_form", mark)


def one(experiment: str, **wanted: object) -> Cell:
    """The one cell with these parameters."""
    (found,) = [
        c for c in cells() if c.experiment == experiment and wanted.items() <= c.params.items()
    ]
    return found


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return made(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def drawn(results: Results) -> dict[str, Figure]:
    with style.settings():
        return {name: function(results) for name, function in FIGURES.items()}


def nominal(elbo: np.ndarray | float) -> np.ndarray | float:
    return (-elbo / 784 + np.log(256)) / np.log(2)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """One seed of one method, at a tier with embedded data."""

    def only(cell: Cell, seed: int, row: Row) -> Row | str:
        fits = cell.params.get("latent") == "gaussian" and seed == 0
        return row if fits and cell.params["estimator"] == "exact_kl" else "missing"

    return made(tmp_path_factory.mktemp("alone"), only, tier="quick")


@pytest.mark.parametrize("name", FIGURES)
def test_with_one_method_alone_every_figure_is_drawn(name: str, alone: Results) -> None:
    with style.settings():
        figure = FIGURES[name](alone)
    if name not in ("f1_method", "f4_imagenet"):
        assert "missing" in texts(figure)


MNIST = {"dataset": "mnist", "latent": "gaussian", "dim": 32, "k": 1}


def test_curves_are_the_closed_forms_at_the_rate_best_on_validation_images(
    drawn: Mapping[str, Figure],
) -> None:
    figure = drawn["fixed_variance_curves"]
    gaussian, validation = figure.axes[0], figure.axes[3]
    best, other = (one("fixed_variance", **MNIST, estimator="exact_kl", lr=r) for r in (3e-3, 1e-3))
    assert elbos(best, "validation").mean() > elbos(other, "validation").mean()
    for axes, expected in (
        (gaussian, lambda m: np.exp(np.log(CEILING - elbos(best, "train", m)).mean())),
        (validation, lambda m: nominal(elbos(best, "validation", m)).mean()),
    ):
        progress, found = line(axes, "reparam")
        assert set(MARKS) <= set(progress)
        for mark in MARKS:
            np.testing.assert_allclose(found[list(progress).index(mark)], expected(mark))
    _, level = line(validation, "ceiling")
    np.testing.assert_allclose(level, nominal(CEILING))


def test_where_no_ceiling_was_computed_it_follows_from_the_eigenvalues(
    drawn: Mapping[str, Figure],
) -> None:
    cell = one("fixed_variance", latent="bernoulli", estimator="silent", dim=NOT_COMPUTED)
    progress, found = line(drawn["fixed_variance_curves"].axes[1], "silent")
    for mark in MARKS:
        expected = np.exp(np.log(CEILING - elbos(cell, "train", mark)).mean())
        np.testing.assert_allclose(found[list(progress).index(mark)], expected)
    dims, curve = line(drawn["ceiling"].axes[0], "ceiling")
    np.testing.assert_allclose(curve, np.where(dims == 0, EMPTY, CEILING))


def test_a_training_elbo_above_its_ceiling_is_called_out(
    drawn: Mapping[str, Figure], tmp_path: Path
) -> None:
    def lifted(cell: Cell, seed: int, row: Row) -> Row | str | None:
        if cell.experiment not in ("fixed_variance", "ceiling"):
            return "missing"
        ours = cell.params.get("estimator") == "silent" and cell.params["latent"] == "gaussian"
        if ours and seed == 0 and row.metric == "elbo" and row.kind == "final":
            return dataclasses.replace(row, value=CEILING + 0.01)
        return shaped(cell, seed, row)

    results = made(tmp_path, lifted)
    with style.settings():
        curves, ceiling = (FIGURES[n](results) for n in ("fixed_variance_curves", "ceiling"))
    assert "1 values above it, not drawn" in texts(curves)
    assert "1 runs above the ceiling" in texts(ceiling)
    assert "above it" not in texts(drawn["fixed_variance_curves"])
    assert "above the ceiling" not in texts(drawn["ceiling"])


def test_ceiling_marks_are_training_elbos_and_shares_of_the_gap(
    drawn: Mapping[str, Figure],
) -> None:
    left, right = drawn["ceiling"].axes
    found = elbos(one("fixed_variance", **MNIST, estimator="silent"), "train")
    dims, level = line(left, "G: silent")
    np.testing.assert_allclose((dims[0], level[0]), (32, found.mean()))
    names = [text.get_text() for text in right.get_yticklabels()]
    expected = 100 * (CEILING - found).mean() / (CEILING - EMPTY)
    np.testing.assert_allclose(bars(right)[names.index("silent")], expected)


def test_differences_are_paired_and_taken_at_marks_end_and_best_validation_score(
    drawn: Mapping[str, Figure],
) -> None:
    titles = [axes.get_title(loc="left") for axes in drawn["learned_variance"].axes]
    assert titles == ["MNIST", "Tiny-ImageNet 32x32", "CIFAR-10"]
    for axes, dataset in zip(
        drawn["learned_variance"].axes, ("mnist", "tiny_imagenet32", "cifar10"), strict=True
    ):
        expected = []
        for base in ("exact_kl", "gumbel_softmax_st", "reinforce"):
            alone = one("learned_variance", dataset=dataset, estimator=base)
            wanted = {"estimator": "annealed", "dataset": dataset}
            (helped,) = [c for c in cells() if wanted.items() <= c.params.items()
                         if c.params["estimator_options"]["second"] == base]  # fmt: skip
            for mark in (*MARKS, 0.5):
                sides = [values(c, "bits_per_dim", "test", "samples=16", mark)
                         for c in (helped, alone)]  # fmt: skip
                expected.append((sides[0] - sides[1]).mean())
        found = [bars(axes)[place] for place in axes.get_yticks()]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_gradients_show_zero_for_silent_and_hollow_marks_where_no_bias_is_seen(
    drawn: Mapping[str, Figure],
) -> None:
    variance, bias, _ = drawn["gradients"].axes[3:]
    assert [text.get_text() for text in variance.texts] == ["0"] * 3
    by_label = {bar.get_label(): bar.lines[0] for bar in variance.containers}
    values = np.sqrt(10.0**6 * 1.0 * 10.0**6 * 1.1) * np.array([1, 1.5, 2])
    np.testing.assert_allclose(by_label["score function"].get_ydata(), values)
    hollow = [one for one in bias.lines if one.get_markerfacecolor() == "white"]
    assert len(hollow) == 3  # reinforce, rloo, score function
    np.testing.assert_allclose(np.concatenate([one.get_ydata() for one in hollow]), 0.1)


def images(axes: Axes) -> set[int]:
    return {int(image.get_array().max()) for image in axes.images}


def test_pictures_are_those_of_the_first_seed_with_the_mse_of_all(
    drawn: Mapping[str, Figure],
) -> None:
    for name, originals in (("f2_fixed_variance", 1), ("f3_mnist", 1), ("f5_cifar10", 1)):
        panels = drawn[name].axes
        assert images(panels[0]) == {200}
        for axes in panels[originals:]:
            assert images(axes) == {100}
            label, number = (text.get_text() for text in axes.texts)
            mean = 0.01 if "Gaussian" in label else 0.015
            mean *= 0.98 if label.startswith("silent\n") else 1
            assert abs(float(number.split()[1]) - mean) < 1e-4
            assert "\n±" in number


def test_of_two_relaxations_figure_2_shows_the_better(drawn: Mapping[str, Figure]) -> None:
    labels = [axes.texts[0].get_text() for axes in drawn["f2_fixed_variance"].axes]
    assert "Gumbel-Softmax\n(Bernoulli)" in labels  # it is closer to the ceiling here
    assert "Gumbel-Softmax ST\n(Bernoulli)" not in labels


def test_no_original_of_tiny_imagenet_is_drawn_even_if_one_was_saved(
    results: Results, drawn: Mapping[str, Figure]
) -> None:
    saved = [c for c in cells() if c.params.get("dataset") == "tiny_imagenet32"]
    assert "originals_test" in results.arrays(STUDY, saved[0].id, 0)
    panels = drawn["f4_imagenet"].axes
    assert len(panels) == 6
    assert set().union(*map(images, panels)) == {100}
    assert "originals" not in texts(drawn["f4_imagenet"])


def test_embedded_sets_stand_in_under_their_own_names(alone: Results) -> None:
    with style.settings():
        titles = [FIGURES[n](alone)._suptitle.get_text() for n in ("f3_mnist", "f5_cifar10")]
        fourth = FIGURES["f4_imagenet"](alone)
    assert titles[0] == "digits in place of MNIST, test images"
    assert titles[1] == "patches in place of CIFAR-10, test images"
    assert not any(axes.images for axes in fourth.axes)
    assert texts(fourth).count("not run") == 7


def test_diverged_runs_are_seen_in_panels_footer_and_caption(tmp_path: Path) -> None:
    def lost(cell: Cell, seed: int, row: Row) -> Row | str:
        if cell.experiment != "learned_variance" or cell.params["dataset"] != "mnist":
            return "missing"
        return "diverged" if cell.params["estimator"] == "reinforce" else row

    results = made(tmp_path, lost)
    with style.settings():
        third, differences = (FIGURES[name](results) for name in ("f3_mnist", "learned_variance"))
    strip = next(axes for axes in third.axes if axes.texts[0].get_text().startswith("REINFORCE\n"))
    assert strip.texts[1].get_text() == "2 runs diverged"
    assert "2 runs diverged" in third.get_label()
    assert "2 runs diverged" in [text.get_text() for text in differences.axes[0].texts]
    assert "2 runs diverged" in differences._supxlabel.get_text()


def test_the_weight_in_figure_1_is_that_of_the_schedule_in_the_grid(
    drawn: Mapping[str, Figure],
) -> None:
    default = drawn["f1_method"].axes[1].lines[0]
    progress, weight = default.get_xdata(), default.get_ydata()
    np.testing.assert_allclose(weight, np.clip((0.2 - progress) / 0.15, 0, 1), atol=1e-12)
