"""Where the labels of a figure lie."""

from __future__ import annotations

from matplotlib.figure import Figure


def require_labels_on_page(figure: Figure) -> None:
    """Fail where a label, a title or a legend of the figure is cut off by the page's edge."""
    figure.draw_without_rendering()
    page = figure.bbox.padded(2)
    labels = [figure._supxlabel, figure._suptitle, *figure.legends]
    for axes in figure.axes:
        labels += [axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title, *axes.texts]
    for label in filter(None, labels):
        box = label.get_window_extent()
        if box.width > 1:
            assert page.x0 <= box.x0, label
            assert box.x1 <= page.x1, label
            assert page.y0 <= box.y0, label
            assert box.y1 <= page.y1, label
