"""Figures of the study Silent Gradients show what the rows say, and what the rows do not say."""

from __future__ import annotations

import dataclasses
import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paper_repro import grid, registry
from paper_repro.analysis import draw, style
from paper_repro.analysis.collect import collect
from paper_repro.analysis.results import Results, load
from paper_repro.cell import Cell
from paper_repro.rows import Row, coordinates
from tests import synthetic_results as synthetic
from tests.analysis.made_runs import write_run
from tests.figures.labels import require_labels_on_page

STUDY = "silent_gradients"
FIGURES = draw.figures_of(STUDY)
AGAIN = ("f1_method", "f2_fixed_variance")  # drawn a second time by another process
MARKS = (0.05, 0.2, 0.5, 1.0)
TOP, EMPTY = 100.0, 20.0  # the ceiling at every number of latents, and the value without any
NOT_COMPUTED = 64  # latents: no row has this ceiling
GAPS = {"silent": 1.0, "exact_kl": 2.0, "gumbel_softmax": 4.0, "gumbel_softmax_st": 3.0}
SCRIPT = """
import sys
from pathlib import Path
from paper_repro.analysis import draw, style
from paper_repro.analysis.results import load
results, out, names = load(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3:]
for name in names:
    with style.settings():
        style.save(draw.figures_of("silent_gradients")[name](results), out / name)
assert "torch" not in sys.modules
"""
Change = Callable[[Cell, int, Row], Row | str]


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


def gap(cell: Cell, seed: int, mark: float) -> float:
    """How far the training ELBO of E1 is below the ceiling."""
    own = GAPS.get(cell.params["estimator"], 5.0) + 0.5 * (cell.params.get("k", 1) == 1)
    return (own - 0.4 * (cell.params["lr"] == 0.003) + 0.1 * seed) / mark


def bits(cell: Cell, seed: int, mark: float) -> float:
    """Test bits/dim of E2: a helped method is ahead early and behind, by less, at the end."""
    helped = {0.05: -0.2, 0.2: -0.1, 0.5: 0.02, 1.0: 0.004}[mark] * (1 + 0.1 * seed)
    late = 0.3 if mark == 1.0 else 0.0  # all overfit: the best step is that of 50 %
    annealed = cell.params["estimator"] == "annealed"
    return 4 - 0.5 * np.log10(20 * mark) + 0.03 * seed + late + helped * annealed


def rows(cell: Cell, seed: int) -> Iterator[Row]:
    if cell.experiment in ("fixed_variance", "learned_variance"):
        for mark in MARKS:
            yield from trained(cell, seed, mark)
    elif cell.experiment == "ceiling":
        for images, variance in (("evaluated", 0.1), ("all", 0.1), ("evaluated", 0.02)):
            where = {"variance": variance, "images": images}
            top = TOP if images == "evaluated" and variance == 0.1 else 999.0
            low = coordinates(**where)
            yield Row("ceiling_empty", EMPTY, "nats/image", "train", low)
            for dim in sorted({*cell.params["dims"]} - {NOT_COMPUTED}):
                at = coordinates(variance=variance, dim=dim, images=images)
                yield Row("ceiling_elbo", top, "nats/image", "train", at)
    elif cell.experiment == "gradients":
        for mark in (0.0, 0.5, 1.0):
            for place, name in enumerate(cell.params["compare"]):
                yield from gradients(cell, seed, mark, name, place)
    else:
        yield from exact(seed)


def trained(cell: Cell, seed: int, mark: float) -> Iterator[Row]:
    steps = cell.params["steps"]
    when = {"step": round(mark * steps), "kind": "final" if mark == 1.0 else "curve"}
    gaussian = cell.params["latent"] == "gaussian"
    for split in cell.params["splits"]:
        unseen = {"train": 0.0, "validation": 2.0, "test": 3.0}[split]
        if cell.experiment == "fixed_variance":
            value = TOP - unseen - gap(cell, seed, mark)
            closed = coordinates(estimate="closed_form")
            yield Row("elbo", value, "nats/image", split, closed, **when)
            yield Row("elbo", value + 9, "nats/image", split, "samples=16", **when)
        else:
            value = bits(cell, seed, mark) + 0.01 * unseen
            yield Row("bits_per_dim", value, "bits/dim", split, "samples=16", **when)
            other = coordinates(likelihood="refitted", samples=16)
            yield Row("bits_per_dim", 9.0, "bits/dim", split, other, **when)
        for z in ("mean", "sampled") if gaussian else ("sampled",):
            error = 0.01 + 0.001 * seed + 0.005 * (z == "sampled")
            yield Row("mse", error, "mse/pixel", split, coordinates(z=z), **when)


def gradients(cell: Cell, seed: int, mark: float, name: str, place: int) -> Iterator[Row]:
    relaxed = name.startswith(("gumbel", "straight"))
    silent = name == "silent"
    found = {
        "relative_variance": 0.0 if silent else 10.0**place * (1 + 0.1 * seed) * (1 + mark),
        "relative_bias": 0.0 if silent else 0.5 if relaxed else 0.1,
        "relative_bias_noise": 0.0 if silent else 0.09,
        "cosine": 1.0 if silent else 0.9 - 0.1 * place,
    }
    step = round(mark * cell.params["steps"])
    kind = "final" if mark == 1.0 else "curve"
    for metric, value in found.items():
        metric = f"encoder_gradient_{metric}"
        yield Row(metric, value, "1", "train", estimator=name, step=step, kind=kind)


def exact(seed: int) -> Iterator[Row]:
    for latent, names in {
        "gaussian": ("exact_kl", "reinforce"),
        "bernoulli": ("reinforce", "gumbel_softmax"),
    }.items():
        for name in names:
            floor = 0.3 if name.startswith("gumbel") else 0.0
            for draws in (1, 4, 16, 64):
                at = coordinates(latent=latent, draws=draws)
                value = np.hypot(2 * draws**-0.5, floor) * (1 + 0.05 * seed)
                yield Row("relative_error", value, "1", at=at, estimator=name)
            at = coordinates(latent=latent, parameter="mean")
            yield Row("variance_ratio", 1.01 + 0.01 * seed, "1", at=at, estimator=name)
        for formula in ("fixed", "EXP"):
            at = coordinates(formula=formula, latent=latent)
            yield Row("closed_form_relative_error", 1e-15, "1", at=at)


def pictures(cell: Cell, seed: int) -> dict[str, np.ndarray] | None:
    if cell.experiment == "ceiling":  # one eigenvalue closes the whole gap, the others do not pay
        ratio = 200.0
        for _ in range(50):
            ratio = 2 * (TOP - EMPTY) + 1 + np.log(ratio)
        return {"spectrum_evaluated": 0.1 * np.append(ratio, np.full(99, 0.5))}
    if not cell.params.get("pictures"):
        return None
    channels = 1 if cell.params["dataset"] in ("mnist", "digits", "patches") else 3
    shape = (12, channels, 8, 8)
    found = {}
    for split in ("test", "validation"):
        found[f"originals_{split}"] = np.full(shape, 200, dtype=np.uint8)
        found[f"pictures_{split}"] = np.full(shape, 100 + seed, dtype=np.uint8)
    return found


def made(root: Path, change: Change = lambda cell, seed, row: row, tier: str = "paper") -> Results:
    """Results in which `change` alters a row, or ends its run by returning a status."""
    for cell in cells(tier):
        for seed in cell.seeds:
            changed = [change(cell, seed, row) for row in rows(cell, seed)]
            status = next((row for row in changed if isinstance(row, str)), "ok")
            if status == "missing":
                continue
            ended = changed if status == "ok" else ()
            arrays = pictures(cell, seed) if status == "ok" else None
            write_run(root / "runs", cell, seed, ended, status, arrays)
    collect(cells(tier), root / "runs", root / "out", tier)
    return load(root / "out")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return made(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def drawn(results: Results) -> dict[str, Figure]:
    with style.settings():
        return {name: function(results) for name, function in FIGURES.items()}


def texts(figure: Figure) -> str:
    found = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return "\n".join(artist.get_text() for artist in found)


def line(axes: Axes, label: str) -> tuple[np.ndarray, np.ndarray]:
    (found,) = [one for one in axes.lines if one.get_label() == label]
    return np.asarray(found.get_xdata(), float), np.asarray(found.get_ydata(), float)


def nominal(elbo: float) -> float:
    return (-elbo / 784 + np.log(256)) / np.log(2)


def bars(axes: Axes) -> dict[float, float]:
    """Means drawn with `panels.rows`: place -> value."""
    return {
        float(bar.lines[0].get_ydata()[0]): float(bar.lines[0].get_xdata()[0])
        for bar in axes.containers
    }


def test_the_ids_that_the_workflow_reads_are_those_that_are_drawn() -> None:
    assert registry.keys(registry.STUDIES / STUDY / "figures.py", "FIGURES") == list(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_captions_say_tier_and_n_and_what_is_ours(name: str, drawn: Mapping[str, Figure]) -> None:
    caption = drawn[name].get_label()
    assert "tier paper" in caption
    if name != "f1_method":  # measures nothing
        assert "tier paper, n = " in caption
    assert "nan" not in caption


def test_another_process_draws_the_same_bytes_without_torch(
    results: Results, drawn: Mapping[str, Figure], tmp_path: Path
) -> None:
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: 20\nsavefig.dpi: 50\n")
    for name in AGAIN:
        with style.settings():
            style.save(FIGURES[name](results), tmp_path / "here" / name)
    command = [sys.executable, "-c", SCRIPT, str(results.root), str(tmp_path / "there"), *AGAIN]
    changed = {"PYTHONHASHSEED": "7", "PYTHONPATH": str(registry.PACKAGE.parent)}
    subprocess.run(command, cwd=tmp_path, env={**os.environ, **changed}, check=True)
    for name in AGAIN:
        for kind in ("pdf", "png"):
            here, there = (tmp_path / where / f"{name}.{kind}" for where in ("here", "there"))
            assert here.read_bytes() == there.read_bytes(), f"{name}.{kind}"


@pytest.mark.parametrize("name", FIGURES)
def test_without_rows_every_figure_says_what_was_not_run(name: str, tmp_path: Path) -> None:
    with style.settings():
        figure = FIGURES[name](load(synthetic.empty(tmp_path)))
        figure.draw_without_rendering()
    assert "our runs  ·  not run" in texts(figure)
    panels = figure.axes[1:] if name == "f1_method" else figure.axes
    for axes in panels:
        assert any("not run" in text.get_text() for text in axes.texts)


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


@pytest.mark.parametrize("name", FIGURES)
def test_no_label_is_cut_off(name: str, drawn: Mapping[str, Figure]) -> None:
    require_labels_on_page(drawn[name])


def test_curves_are_the_closed_forms_at_the_rate_best_on_validation_images(
    drawn: Mapping[str, Figure],
) -> None:
    figure = drawn["fixed_variance_curves"]
    gaussian, validation = figure.axes[0], figure.axes[3]
    found = {c.params["lr"]: c for c in cells() if c.id.startswith("fixed_variance-mnist-gaussian")
             and c.params["estimator"] == "exact_kl" and c.params["k"] == 1}  # fmt: skip
    assert sorted(found) == [0.001, 0.003]
    best = found[0.003]
    for axes, expected in (
        (gaussian, lambda mark: np.sqrt(gap(best, 0, mark) * gap(best, 1, mark))),
        (
            validation,
            lambda mark: np.mean([nominal(TOP - 2 - gap(best, s, mark)) for s in (0, 1)]),
        ),
    ):
        progress, values = line(axes, "reparam")
        np.testing.assert_allclose(progress, MARKS)
        np.testing.assert_allclose(values, [expected(mark) for mark in MARKS])
    _, level = line(validation, "ceiling")
    np.testing.assert_allclose(level, nominal(TOP))


def test_where_no_ceiling_was_computed_it_follows_from_the_eigenvalues(
    drawn: Mapping[str, Figure],
) -> None:
    wanted = {"latent": "bernoulli", "estimator": "silent", "dim": NOT_COMPUTED}
    (cell,) = [c for c in cells() if c.experiment == "fixed_variance"
               and wanted.items() <= c.params.items()]  # fmt: skip
    _, values = line(drawn["fixed_variance_curves"].axes[1], "silent")
    expected = [np.sqrt(gap(cell, 0, mark) * gap(cell, 1, mark)) for mark in MARKS]
    np.testing.assert_allclose(values, expected)
    dims, curve = line(drawn["ceiling"].axes[0], "ceiling")
    np.testing.assert_allclose(curve, np.where(dims == 0, EMPTY, TOP))


def test_a_training_elbo_above_its_ceiling_is_called_out(
    drawn: Mapping[str, Figure], tmp_path: Path
) -> None:
    def lifted(cell: Cell, seed: int, row: Row) -> Row | str:
        if cell.experiment not in ("fixed_variance", "ceiling"):
            return "missing"
        ours = cell.params.get("estimator") == "silent" and cell.params["latent"] == "gaussian"
        if ours and seed == 0 and row.metric == "elbo" and row.kind == "final":
            return dataclasses.replace(row, value=TOP + 0.01)
        return row

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
    dims, values = line(left, "G: silent")
    np.testing.assert_allclose((dims[0], values[0]), (32, TOP - np.mean([1.5, 1.6])))
    names = [text.get_text() for text in right.get_yticklabels()]
    shares = bars(right)
    expected = 100 * np.mean([1.5, 1.6]) / (TOP - EMPTY)
    np.testing.assert_allclose(shares[names.index("silent")], expected)


def test_differences_are_paired_and_taken_at_marks_end_and_best_validation_score(
    drawn: Mapping[str, Figure],
) -> None:
    titles = [axes.get_title(loc="left") for axes in drawn["learned_variance"].axes]
    assert titles == ["MNIST", "Tiny-ImageNet 32x32", "CIFAR-10"]
    for axes in drawn["learned_variance"].axes:
        places = list(axes.get_yticks())
        found = [bars(axes)[place] for place in places]
        expected = 1.05 * np.array([-0.2, -0.1, 0.02, 0.004, 0.02])
        np.testing.assert_allclose(found, np.tile(expected, 3), atol=1e-12)


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
            mean = 0.0105 if "Gaussian" in label else 0.0155
            assert number.startswith(f"MSE {mean:.4f}\n±")


def test_of_two_relaxations_figure_2_shows_the_better(drawn: Mapping[str, Figure]) -> None:
    labels = [axes.texts[0].get_text() for axes in drawn["f2_fixed_variance"].axes]
    assert "Gumbel-Softmax ST\n(Bernoulli)" in labels  # it is closer to the ceiling here
    assert "Gumbel-Softmax\n(Bernoulli)" not in labels


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
