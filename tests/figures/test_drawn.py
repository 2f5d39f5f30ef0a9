"""The record of a figure tells another picture from the same one drawn elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from paper_repro.drawing import drawn, style

X = np.linspace(0.1, 10.0, 40)
Change = Callable[[Axes], Any]


def nothing(axes: Axes) -> None:
    """Leave the figure as it is."""


def made(change: Change = nothing, settings: dict[str, Any] | None = None) -> tuple[Any, bytes]:
    """Record and PNG of a figure with one of everything the studies draw."""
    with style.settings():
        style.mpl.rcParams.update(settings or {})
        figure, ((first, second),) = style.figure(1, 2, 2.0)
        first.set(xscale="log", yscale="log", xlabel="step", ylabel="KL", title="panel")
        first.plot(X, X**2, "-o", label="total")
        first.fill_between(X, 0.9 * X**2, 1.1 * X**2, alpha=0.3)
        first.axhline(3.0)
        first.text(1.0, 30.0, "a word")
        first.legend()
        second.imshow(np.arange(64.0).reshape(8, 8), aspect="auto", extent=(0, 8, 0, 8))
        second.scatter(X, X, c=X)
        second.bar([1, 2, 3], [3, 2, 1])
        second.set_xticks([1, 2, 3], ["one", "two", "three"])
        style.footer(figure, "tier smoke, n = 3 seeds")
        change(first)
        change_second = getattr(change, "second", None)
        if change_second:
            change_second(second)
        style.lay_out(figure)
        return drawn.record(figure), style.as_bytes(figure, "png")


def second(change: Change) -> Change:
    """A change of the second panel."""

    def first(axes: Axes) -> None:
        """Leave the first panel as it is."""

    first.second = change  # type: ignore[attr-defined]
    return first


def move_one(axes: Axes) -> None:
    x, y = axes.lines[0].get_data()
    axes.lines[0].set_data(x, np.where(np.arange(len(y)) == 20, 1.05 * y, y))


def move_a_mark(axes: Axes) -> None:
    points = axes.collections[0].get_offsets()
    points[7] += 0.1
    axes.collections[0].set_offsets(points)


def exchange_two(axes: Axes) -> None:
    x, y = axes.lines[0].get_data()
    axes.lines[0].set_data(x, y[[1, 0, *range(2, len(y))]])


def brighten_a_pixel(axes: Axes) -> None:
    array = axes.images[0].get_array().copy()
    array[3, 3] += 10
    axes.images[0].set_data(array)


CHANGES: dict[str, Change] = {
    "a point moved": move_one,
    "two points exchanged": exchange_two,
    "a mark moved": second(move_a_mark),
    "a pixel brightened": second(brighten_a_pixel),
    "a bar taller": second(lambda axes: axes.patches[0].set_height(3.1)),
    "a label changed": lambda axes: axes.set_ylabel("KL (nats)"),
    "a title changed": lambda axes: axes.set_title("Panel"),
    "a word changed": lambda axes: axes.texts[0].set_text("a work"),
    "a tick label changed": second(lambda axes: axes.set_xticks([1, 2, 3], ["one", "two", "3"])),
    "a legend changed": lambda axes: axes.get_legend().get_texts()[0].set_text("path"),
    "limits changed": lambda axes: axes.set_xlim(0.1, 11),
    "a scale changed": lambda axes: axes.set_yscale("linear"),
    "a line added": lambda axes: axes.axvline(2.0),
    "a line removed": lambda axes: axes.lines[1].remove(),
    "units changed": second(lambda axes: axes.images[0].set_extent((0, 8000, 0, 8))),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_is_really_different_is_told_by_its_numbers_or_texts(change: Change) -> None:
    assert not drawn.same(made()[0], made(change)[0])


def test_text_of_another_width_moves_panels_and_changes_nothing() -> None:
    """As another version of matplotlib, or of its fonts, does."""
    (one, picture), (other, moved) = made(), made(settings={"font.size": 7.9})
    assert drawn.same(one, other)
    assert not drawn.same_picture(picture, moved)


def test_numbers_that_differ_by_rounding_are_the_same_picture() -> None:
    def jitter(axes: Axes) -> None:
        x, y = axes.lines[0].get_data()
        axes.lines[0].set_data(x * (1 + 1e-9), y * (1 - 1e-9))

    (one, picture), (other, again) = made(), made(jitter)
    assert drawn.same(one, other)
    assert drawn.same_picture(picture, again)


@pytest.mark.parametrize(
    "change",
    [
        lambda axes: axes.lines[0].set_color("black"),
        lambda axes: axes.lines[0].set_linewidth(2.6),
        lambda axes: axes.lines[0].set_marker("s"),
        lambda axes: axes.lines[0].set_linestyle(":"),
        lambda axes: axes.set_ylabel("kl"),
    ],
)
def test_another_look_is_another_picture(change: Change) -> None:
    assert not drawn.same_picture(made()[1], made(change)[1])


def test_a_record_survives_being_written_and_read() -> None:
    one = made()[0]
    assert drawn.same(json.loads(json.dumps(one)), one)
