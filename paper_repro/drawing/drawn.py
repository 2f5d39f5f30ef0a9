"""What a figure shows, as numbers: the same on any machine, where files and pixels are not.

Another version of matplotlib sets text a little wider, so every panel moves by a pixel or two and
no tolerance in pixels tells that from a change. What is drawn does not move within its panel: the
record of a figure holds, panel by panel, the limits of its axes and sums over everything drawn, in
fractions of the panel, and a hash of its texts. Pictures are compared as well where one version of
matplotlib (and of FreeType) drew both.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import ft2font
from matplotlib.axes import Axes
from matplotlib.category import StrCategoryLocator
from matplotlib.cm import ScalarMappable
from matplotlib.collections import Collection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.ticker import FixedLocator
from matplotlib.transforms import IdentityTransform, Transform
from numpy.typing import ArrayLike, NDArray

from paper_repro.results.keeping import RELATIVE

LIBRARY = f"matplotlib {mpl.__version__}, FreeType {ft2font.__freetype_version__}"
# Panels are about 300 pixels wide: a point that moves by a third of a pixel moves a sum by this.
# Between versions and CPUs no sum moved by more than 1e-5.
MOVED = 1e-3
WEIGHTS = (0.0, 0.6180339887, 0.7548776662)  # irrational steps: sums that see an exchange of points
# A pixel is another one if nothing within a pixel of it has its colour, to a quarter of the range.
COLOUR = 0.25
PIXELS = 20  # of some 800,000; CPUs differed in none, one point moved or recoloured in more

Record = dict[str, Any]


def record(made: Figure) -> Record:
    """What a figure shows; it must have been drawn (`Figure.draw_without_rendering`).

    ``texts`` is a hash; of every panel ``limits`` are those of its axes, ``points`` counts the
    finite and the other coordinates and colours drawn, ``sums`` are taken over them.
    """
    panels = made.findobj(Axes)
    texts = "\n".join(_texts(made, panels))
    return {
        "library": LIBRARY,
        "texts": hashlib.sha256(texts.encode()).hexdigest()[:16],
        "panels": [_panel(axes) for axes in panels],
    }


def same(old: Record, new: Record) -> bool:
    """Whether two records are of the same picture: same texts, no point visibly elsewhere."""
    return (
        old["texts"] == new["texts"]
        and len(old["panels"]) == len(new["panels"])
        and all(_same_panel(a, b) for a, b in zip(old["panels"], new["panels"], strict=True))
    )


def same_picture(old: bytes, new: bytes) -> bool:
    """Whether two PNG files look the same: of one size, and at most `PIXELS` pixels that have no
    like within one pixel in the other."""
    ours, theirs = (imread(io.BytesIO(raw), format="png")[..., :3] for raw in (old, new))
    if ours.shape != theirs.shape:
        return False
    apart = (_farthest(ours, theirs) > COLOUR) | (_farthest(theirs, ours) > COLOUR)
    return int(apart.sum()) <= PIXELS


def _farthest(picture: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Per pixel [H, W] of `picture`, the least distance in colour (largest of the channels) to the
    nine of `other` around it."""
    height, width, _ = picture.shape
    around = np.pad(other, ((1, 1), (1, 1), (0, 0)), mode="edge")
    found = np.full((height, width), np.inf, np.float32)
    for i in range(3):
        for j in range(3):
            there = around[i : i + height, j : j + width]
            np.minimum(found, np.abs(picture - there).max(axis=-1), out=found)
    return found


def _same_panel(old: Record, new: Record) -> bool:
    ours, theirs = (np.array(panel["limits"], float) for panel in (old, new))
    if old["points"] != new["points"] or ours.shape != theirs.shape:
        return False
    size = np.abs(ours.reshape(-1, 2)).max(axis=1).repeat(2)
    limits = np.abs(ours - theirs) <= RELATIVE * size
    sums = np.abs(np.subtract(old["sums"], new["sums"])) <= MOVED
    return bool(limits.all() and sums.all())


def _panel(axes: Axes) -> Record:
    parts: list[NDArray[np.float64]] = [
        np.ravel(np.ma.filled(np.ma.asarray(part, float), np.nan)) for part in _shown(axes)
    ]
    values = np.concatenate([np.empty(0), *parts])
    finite = np.isfinite(values)
    # What lies outside the panel is not seen; it counts as lying at its edge.
    seen = np.clip(np.where(finite, values, 0.0), -0.1, 1.1)
    order = np.arange(len(seen))
    weights = [1 + order * step % 1 for step in WEIGHTS]
    named = [axis.get_view_interval() for axis in axes._axis_map.values()]
    return {
        "limits": [float(f"{limit:.8g}") for limits in named for limit in limits],
        "points": [int(finite.sum()), int((~finite).sum())],
        "sums": [round(float((weight * seen).sum()), 5) for weight in weights],
    }


def _shown(axes: Axes) -> Iterator[ArrayLike]:
    """Coordinates as fractions of the panel, and colours as fractions of their scale."""

    def within(points: ArrayLike, transform: Transform) -> ArrayLike:
        return (transform - axes.transAxes).transform(np.ma.filled(np.ma.asarray(points), np.nan))

    for line in axes.lines:
        yield within(line.get_path().vertices, line.get_transform())
    for patch in axes.patches:
        if type(patch).__name__ != "FancyArrowPatch":  # its outline is made of pixels
            yield within(patch.get_path().vertices, patch.get_transform())
    for many in axes.collections:
        yield from (within(points, transform) for points, transform in _points(many))
        if many.get_array() is not None:
            yield _colours(many)
    for image in axes.images:
        yield within(np.reshape(image.get_extent(), (2, 2)).T, axes.transData)
        yield _colours(image)


def _points(many: Collection) -> Iterator[tuple[ArrayLike, Transform]]:
    """Points of a collection and the transform that they go through."""
    if isinstance(many, QuadMesh):
        yield np.reshape(many.get_coordinates(), (-1, 2)), many.get_transform()
    elif not isinstance(many.get_offset_transform(), IdentityTransform):
        yield many.get_offsets(), many.get_offset_transform()  # marks, each about a point
    else:
        for path in many.get_paths():
            yield path.vertices, many.get_transform()


def _colours(mapped: ScalarMappable) -> ArrayLike:
    """What is shown in colours: fractions of the colour scale, or of full intensity."""
    array: Any = np.ma.asarray(mapped.get_array())
    if array.ndim == 3:  # RGB(A), integers up to 255 or fractions
        return array / 255 if array.dtype.kind in "iu" else array
    return mapped.norm(array)


def _texts(made: Figure, panels: list[Axes]) -> Iterator[str]:
    """Every text that somebody wrote; numbers at ticks that matplotlib chose are left out, since
    their choice follows from the size of the panel."""
    named = [made._suptitle, made._supxlabel, made._supylabel, *made.texts]  # type: ignore[attr-defined]
    legends: list[Any] = [*made.legends]
    for axes in panels:
        named += [axes._left_title, axes.title, axes._right_title, *axes.texts]  # type: ignore[attr-defined]
        legends += [axes.get_legend()]
        for axis in axes._axis_map.values():
            named.append(axis.label)
            if isinstance(axis.get_major_locator(), FixedLocator | StrCategoryLocator):
                named += axis.get_ticklabels()
    for legend in filter(None, legends):
        named += [legend.get_title(), *legend.get_texts()]
    yield from (text.get_text() for text in named if text is not None)
