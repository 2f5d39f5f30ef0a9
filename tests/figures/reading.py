"""What a drawn figure shows, read back from it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray


def texts(figure: Figure) -> str:
    """Every text in the figure, a line each."""
    found = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return "\n".join(artist.get_text() for artist in found)  # type: ignore[attr-defined]


def line(axes: Axes, label: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates of the one line of that label."""
    (found,) = [one for one in axes.lines if one.get_label() == label]
    return np.asarray(found.get_xdata(), float), np.asarray(found.get_ydata(), float)


def bars(axes: Axes) -> dict[float, float]:
    """Means drawn with `panels.rows`: place -> value."""
    drawn = [bar.lines[0] for bar in axes.containers]  # type: ignore[attr-defined]
    return {float(one.get_ydata()[0]): float(one.get_xdata()[0]) for one in drawn}


def require_labels_on_page(figure: Figure) -> None:
    """Fail where a label, a title or a legend of the figure is cut off by the page's edge."""
    figure.draw_without_rendering()
    page = figure.bbox.padded(2)
    labels = [figure._supxlabel, figure._suptitle, *figure.legends]  # type: ignore[attr-defined]
    for axes in figure.axes:
        if axes.name != "3d":  # its labels are placed by the projection
            labels += [axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title]  # type: ignore[attr-defined]
            labels += axes.texts
    for label in filter(None, labels):
        box = label.get_window_extent()
        if box.width > 1:
            assert page.x0 <= box.x0, label
            assert box.x1 <= page.x1, label
            assert page.y0 <= box.y0, label
            assert box.y1 <= page.y1, label
