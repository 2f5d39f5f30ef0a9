"""Figures of the trained experiments of "There and Back Again" show what the rows say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from paper_repro.claims.filters import pick
from paper_repro.drawing import style
from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again import (
    arrival,
    figures,
    figures_memorising,
    figures_samples,
    methods,
    trained_panels,
)
from paper_repro.studies.there_and_back_again.methods import BAGGINS, BOTH, LOOKS, VAE
from tests.figures.reading import line, require_labels_on_page
from tests.studies.there_and_back_again import back_trained

NAMES = ("elbo", "convergence", "scale", "hessian", "gap", "samples", "memorising", "bits")
LOST = {("bits", 1): "diverged", ("memorising", 0): "missing"}
SETS = ["mnist", "fashion_mnist", "cifar10", "celeba_half_32"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return back_trained.results(tmp_path_factory.mktemp("paper"), seeds=2, lost=LOST)


@pytest.fixture(scope="module")
def drawn(results: Results) -> dict[str, Figure]:
    with style.settings():
        return {name: figures.FIGURES[name](results) for name in NAMES}


def titled(figure: Figure, title: str) -> Axes:
    (found,) = [a for a in figure.axes if a.get_title(loc="left").replace("\n", " ") == title]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_one_column_wide_and_no_text_is_small(
    name: str, drawn: Mapping[str, Figure]
) -> None:
    figure = drawn[name]
    with style.settings():
        require_labels_on_page(figure)
    written = [text for text in figure.findobj(Text) if text.get_text().strip()]
    assert figure.get_figwidth() == 3.25
    assert min(text.get_fontsize() for text in written) >= 7
    assert "(ours)" in figure.get_label()


def test_lost_runs_are_seen_in_the_footer(drawn: Mapping[str, Figure]) -> None:
    assert "diverged" in drawn["bits"].get_supxlabel()
    assert "missing" in drawn["memorising"].get_supxlabel()
    assert "diverged" not in drawn["elbo"].get_supxlabel()


@pytest.mark.parametrize("name", NAMES)
def test_runs_that_are_planned_and_missing_leave_figures_that_say_so(
    name: str, tmp_path: Path
) -> None:
    every = {(experiment, seed): "missing" for experiment in back_trained.MINE for seed in (0, 1)}
    with style.settings():
        figure = figures.FIGURES[name](back_trained.results(tmp_path, seeds=2, lost=every))
    assert "missing" in figure.get_label()
    assert all(re.search("not run|missing", text) for text in _said(figure))


def _said(figure: Figure) -> list[str]:
    """What each panel says."""
    return [" ".join(text.get_text() for text in axes.texts) for axes in figure.axes]


def test_every_trained_run_has_a_method(results: Results) -> None:
    frame = methods.finals(results, "elbo", "elbo", evaluation="native")
    assert methods.methods(frame) == list(LOOKS)
    assert methods.datasets(frame) == SETS
    assert frame.groupby("method").size().tolist() == [8] * 6


def test_differences_to_the_vae_stand_side_by_side(drawn: Mapping[str, Figure]) -> None:
    panels = drawn["elbo"].axes
    assert len(panels) == 8
    for place, axes in enumerate(panels):
        marks = [float(bar.lines[0].get_xdata()[0]) for bar in axes.containers]  # type: ignore[attr-defined]
        apart = [both[place % 2] for name, both in back_trained.APART.items() if name != VAE]
        assert marks == pytest.approx(apart, abs=2e-3)


def test_a_data_set_whose_vae_moves_on_is_marked_cut_short(
    results: Results, drawn: Mapping[str, Figure]
) -> None:
    assert arrival.cut_short(results) == ["cifar10"]
    shown = [axes.get_title(loc="left") for axes in drawn["elbo"].axes[::2]]
    assert shown == ["MNIST", "Fashion-MNIST", "CIFAR-10 (cut short)", "CelebA 32x32 (half)"]
    ended = arrival.remaining(results, "mnist")
    ended = ended[ended["kind"] == "final"]
    assert ended["value"].mean() == pytest.approx(-1, abs=1)  # nats per image
    assert len(ended) == 2


def test_the_end_lies_within_the_band_where_the_vae_has_arrived(
    drawn: Mapping[str, Figure],
) -> None:
    for name, limit, inside in (("MNIST", 3, True), ("CIFAR-10", 0.005, False)):
        axes = titled(drawn["convergence"], name)
        (band,) = axes.patches
        assert band.get_y() == -limit  # type: ignore[attr-defined]
        end = float(axes.containers[0].lines[0].get_ydata()[-1])  # type: ignore[attr-defined]
        assert (abs(end) <= limit) is inside


def test_units_coincide_for_baggins_alone(drawn: Mapping[str, Figure]) -> None:
    vae, baggins, both = drawn["scale"].axes
    for axes, alike in ((vae, False), (baggins, True), (both, True)):
        first = [line(axes, f"c = {c}")[1][0] for c in ("1/255", "0.1", "1", "10", "255")]
        assert bool(max(first) - min(first) < 0.01) is alike


def test_variances_stand_against_inverse_curvature_and_unused_latents_are_grey(
    drawn: Mapping[str, Figure],
) -> None:
    axes = titled(drawn["hessian"], "MNIST")
    unused, used, identity = axes.lines
    assert len(used.get_xdata()) == 50 * 15  # type: ignore[arg-type]
    assert len(unused.get_xdata()) == 50  # type: ignore[arg-type]
    np.testing.assert_allclose(np.log(used.get_ydata()) - np.log(used.get_xdata()), 0, atol=0.6)
    np.testing.assert_array_equal(identity.get_xdata(), identity.get_ydata())
    assert titled(drawn["hessian"], "MNIST, binarised").lines


def test_spreads_of_vae_and_bilbo_stand_beside_each_other(drawn: Mapping[str, Figure]) -> None:
    axes = drawn["hessian"].axes[-1]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [
        "MNIST",
        "Fashion-MNIST",
        "CIFAR-10",
        "CelebA 32x32 (half)",
        "MNIST, binarised",
    ]
    marks = [float(bar.lines[0].get_xdata()[0]) for bar in axes.containers]  # type: ignore[attr-defined]
    assert marks == pytest.approx([2, 0.5] * 5, rel=0.5)


def test_the_gap_is_drawn_at_marks_and_at_the_end(drawn: Mapping[str, Figure]) -> None:
    axes = titled(drawn["gap"], "CIFAR-10")
    x, y = line(axes, BOTH)
    assert x.tolist() == [1000, 2500, 5000, 10000, 20000, 35000, 50000]
    np.testing.assert_allclose(y[-1] / y[0], 2 / 1.02)


def test_pictures_are_of_the_first_seed_and_no_photograph_is_reprinted(
    drawn: Mapping[str, Figure],
) -> None:
    greys = [np.unique(axes.images[0].get_array()).tolist() for axes in drawn["samples"].axes]
    mine = []
    for name in SETS:
        below = [100, 255] if name == "celeba_half_32" else [100, 200, 255]
        mine += [[150, 255]] * 2 + [below] * 2
    assert greys == mine


def test_a_mosaic_has_pictures_in_rows() -> None:
    pictures = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1) * np.ones((1, 3, 2, 2), np.uint8)
    found = figures_samples.mosaic(pictures, 2)
    assert found.shape == (5, 5, 3)
    expected = [[0, 0, 255, 1, 1], [255] * 5, [2, 2, 255, 3, 3]]
    np.testing.assert_array_equal(found[[0, 2, 3], :, 0], expected)


def test_gamma_of_baggins_follows_from_its_distortion(results: Results) -> None:
    solved = figures_memorising.solved(results)
    assert methods.methods(solved) == [BAGGINS, BOTH]
    ends = solved[solved["step"] == solved["steps"]]
    np.testing.assert_allclose(np.log(ends["value"]), np.log(1.1e-5), atol=0.5)
    floor = back_trained.SPREAD / (2**16 - 1)
    assert figures_memorising.smallest(results) == pytest.approx(floor)


def test_the_sweep_of_bits_ends_with_baggins_of_e1(
    results: Results, drawn: Mapping[str, Figure]
) -> None:
    axes = titled(drawn["bits"], "test ELBO, clean data")
    first = axes.containers[0].lines[0]  # type: ignore[attr-defined]
    assert list(first.get_xdata()) == [2, 4, 6, 8]
    frame = methods.finals(results, "elbo", "elbo_per_value", evaluation="native")
    mine = pick(frame, dataset="mnist", method=BAGGINS)
    assert first.get_ydata()[-1] == pytest.approx(mine["value"].mean())


def test_names_keep_their_distance_and_move_no_further_than_they_must() -> None:
    assert trained_panels.spread([0.1, 0.5, 0.9], 0.1) == pytest.approx([0.1, 0.5, 0.9])
    assert trained_panels.spread([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])
    assert trained_panels.spread([0.98, 0.99, 1.0], 0.2) == pytest.approx([0.6, 0.8, 1.0])
    draw = np.random.default_rng(0)
    for _ in range(50):
        wanted = np.sort(draw.random(6))
        found = np.array(trained_panels.spread(wanted.tolist(), 0.12))
        assert (np.diff(found) >= 0.12 - 1e-12).all()
        assert found[0] >= -1e-12
        assert found[-1] <= 1 + 1e-12
