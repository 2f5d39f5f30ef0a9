"""The look of every figure: sizes, colours fixed per estimator, marks, deterministic files.

Colours are those of seaborn's ``colorblind`` palette (after Okabe & Ito, "Color Universal Design",
2008); an estimator keeps its colour, dash and marker in every figure. Figures are as wide as the
text column of the papers (5.5 inches) and are meant to be read at that size. Files hold no dates
and no version strings: equal data give equal bytes under the same matplotlib on one machine.
"""

from __future__ import annotations

import io
import textwrap
import zlib
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from paper_repro import atomic
from paper_repro.drawing.labels import NOT_RUN

WIDTH = 5.5  # inches: the text column of the papers
GREY = "#6b6b6b"
COLOURS = sns.color_palette("colorblind").as_hex()
BLUE, AMBER, GREEN, RED, PINK, BROWN, _, _, _, SKY = COLOURS

SETTINGS: dict[str, Any] = {
    **sns.axes_style("ticks"),
    **sns.plotting_context("paper"),
    "font.family": ["DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 1.8,
    "ytick.minor.size": 1.8,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.8,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "svg.hashsalt": "paper_repro",
}


class Look(NamedTuple):
    """How one estimator is drawn."""

    label: str
    colour: str
    dash: Any
    marker: str


LOOKS = {
    "total": Look("total", RED, "-", "o"),
    "path": Look("path (STL)", BLUE, "-", "s"),
    "path_code": Look("path, released code", SKY, (0, (3, 1)), "D"),
    "exact_entropy": Look("exact entropy", "#000000", (0, (2.5, 2.5)), "x"),
    "exact_kl": Look("exact KL", AMBER, (0, (5, 1, 1, 1)), "^"),
    "dreg": Look("DReG", GREEN, (0, (4, 1.2)), "^"),
    "partial": Look("partial", PINK, (0, (4, 1.2)), "v"),
    "control_variate": Look("control variate", BROWN, (0, (1.2, 1.2)), "P"),
    "optimal_c": Look("optimal c", BROWN, (0, (1.2, 1.2)), "P"),
    "score": Look("score", GREY, (0, (1.2, 1.2)), "v"),
    "silent": Look("silent (analytic)", GREEN, "-", "*"),
    "score_function": Look("score function", GREY, "-", "<"),
    "reinforce": Look("REINFORCE", SKY, "-", "v"),
    "rloo": Look("RLOO", RED, (0, (5, 1, 1, 1)), "^"),
    "gumbel_softmax": Look("Gumbel-Softmax", PINK, (0, (4, 1.2)), "o"),
    "gumbel_softmax_st": Look("Gumbel-Softmax ST", BROWN, (0, (1.2, 1.2)), "D"),
    "straight_through": Look("straight-through", "#000000", (0, (1, 1.5)), "X"),
    "annealed": Look("annealed mixture", BLUE, (0, (3, 1)), "P"),
}


def look(estimator: str | Look) -> Look:
    """Colour, dash and marker of an estimator; one not listed gets a colour by its name. What is no
    estimator has a look in its study, which is returned as it is."""
    if isinstance(estimator, Look):
        return estimator
    if estimator in LOOKS:
        return LOOKS[estimator]
    pick = zlib.crc32(estimator.encode()) % len(COLOURS)
    return Look(estimator.replace("_", " "), COLOURS[pick], (0, (5, 1, 1, 1, 1, 1)), "d")


def settings() -> AbstractContextManager[None]:
    """Context in which figures are made and saved, whatever the user's matplotlibrc says."""
    defaults = {k: v for k, v in mpl.rcParamsDefault.items() if not k.startswith("backend")}
    return mpl.rc_context({**defaults, **SETTINGS})  # type: ignore[dict-item]


def canvas(height: float, width: float = WIDTH) -> Figure:
    """An empty figure, sizes in inches, known to no global state."""
    made = Figure(figsize=(width, height), layout="constrained")
    made.get_layout_engine().set(w_pad=0.06, h_pad=0.05)  # type: ignore[union-attr, call-arg]
    return made


def figure(rows: int, columns: int, height: float, width: float = WIDTH) -> tuple[Figure, Any]:
    """A figure and its axes as an array of shape [rows, columns]."""
    made = canvas(height, width)
    return made, made.subplots(rows, columns, squeeze=False)


def caption(made: Figure, text: str) -> Figure:
    """Attach the caption that the report prints; it is not drawn."""
    made.set_label(" ".join(text.split()))
    return made


def origin(frame: DataFrame, unfinished: DataFrame) -> str:
    """Where numbers come from: ``tier reduced, n = 20 seeds, 1 run diverged``.

    `unfinished` are the runs planned for the figure that left no numbers.
    """
    parts = [lost_text(unfinished)]
    if frame["value"].notna().any():
        parts = [f"tier {' + '.join(sorted(set(frame['tier'])))}", seeds_text(frame), *parts]
    return ", ".join(filter(None, parts)) or NOT_RUN


def lost_text(lost: DataFrame) -> str:
    """``1 run diverged, 2 runs missing``, of a row per lost run; "" for none."""
    counts = lost["status"].value_counts().sort_index()
    return ", ".join(f"{n} run{'s' * (n != 1)} {status}" for status, n in counts.items())


def mark(made: Figure, frame: DataFrame, lost: DataFrame, note: str = "") -> str:
    """Small footer: that the numbers are ours, their `origin`, which is returned for the caption,
    and whatever `note` adds."""
    return footer(made, origin(frame, lost), note)


def footer(made: Figure, where: str, note: str = "") -> str:
    """As `mark`, of an origin in words."""
    text = "  ·  ".join(part for part in ("our runs", where, note) if part)
    made.supxlabel(text, x=0.995, ha="right", fontsize=6.2, color=GREY)
    return where


def seeds_text(frame: DataFrame) -> str:
    """``n = 20 seeds``, or a range where the cells of `frame` have different numbers of seeds."""
    counts = frame.dropna(subset="value").groupby("cell")["seed"].nunique()
    if counts.empty:
        return "n = 0 seeds"
    low, high = int(counts.min()), int(counts.max())
    if low == high == 1:
        return "n = 1 seed"
    return f"n = {low} seeds" if low == high else f"n = {low}-{high} seeds"


def legend(made: Figure, panels: Iterable[Axes], columns: int = 6) -> None:
    """One legend above all panels, each label once."""
    handles: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        made.legend(
            handles.values(),
            handles.keys(),
            loc="outside upper center",
            ncols=columns,
            columnspacing=1.4,
        )


def not_run(axes: Axes, what: str) -> None:
    """Fill a panel with the plain statement that its rows do not exist."""
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.set_facecolor("#f6f6f6")
    for spine in axes.spines.values():
        spine.set(visible=True, linestyle=(0, (3, 3)), color="#a0a0a0")
    text = f"{NOT_RUN}:\n{textwrap.fill(what, 24, break_long_words=False)}"
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)


def lay_out(made: Figure) -> None:
    """Draw a figure for the first time and fix where everything is, so that all files are alike."""
    if made.get_layout_engine() is None:
        return  # done before
    made.draw_without_rendering()
    # None, where "none" would leave a place-holder for which matplotlib draws the figure again
    # before it is saved.
    made.set_layout_engine(None)


def as_bytes(made: Figure, kind: str) -> bytes:
    """A figure that is laid out, as a ``pdf`` or ``png`` file without dates or versions."""
    nothing = dict.fromkeys(("Creator", "Producer", "CreationDate"))
    buffer = io.BytesIO()
    made.savefig(buffer, format=kind, metadata=nothing if kind == "pdf" else {"Software": None})
    return buffer.getvalue()


def save(made: Figure, path_without_suffix: Path) -> list[Path]:
    """Write a figure as ``.pdf`` and ``.png``; returns the two paths."""
    lay_out(made)
    written = []
    for kind in ("pdf", "png"):
        path = path_without_suffix.with_name(f"{path_without_suffix.name}.{kind}")
        atomic.write_bytes(path, as_bytes(made, kind))
        written.append(path)
    return written
