"""Pictures and curves under each constraint (our Figures 6 and 8).

The paper's Figures 6 to 11 are not known to us, nor on which data each constraint was tried.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from paper_repro.data.names import shown
from paper_repro.drawing import panels, style, ticks
from paper_repro.drawing import picture_rows as strips
from paper_repro.drawing.labels import METRICS, NOT_RUN
from paper_repro.drawing.study_rows import Setting, StudyRows, of
from paper_repro.results.frames import Results
from paper_repro.studies.taming_vaes import constraint_rows, plane_rows
from paper_repro.studies.taming_vaes.constraint_rows import EXPERIMENT, LOOKS, NAMES, Bounds
from paper_repro.studies.taming_vaes.plane_rows import STUDY

EACH = 5  # reconstructions, and samples, a row
Pictures = NDArray[np.uint8]


def figure6(results: Results) -> Figure:
    """Figure 6 (ours): reconstructions and samples per constraint."""
    error = plane_rows.finals(results, EXPERIMENT, "mse", z="sampled")
    rate = plane_rows.finals(results, EXPERIMENT, "rate")
    lost = plane_rows.lost(results, EXPERIMENT)
    rows, drawn = StudyRows(results, STUDY), []
    for setting in plane_rows.settings(error, lost):
        mine, gone = of(error, setting), of(lost, setting)
        name = shown(setting.dataset)
        if len(originals := rows.pictures(mine, "originals_test", EACH)):
            drawn.append(strips.Strip(f"{name}\noriginals", originals, ""))
        for wanted in constraint_rows.groups(mine, gone):
            runs = constraint_rows.under(mine, wanted)
            pictures = side_by_side(rows, runs)
            kl = constraint_rows.under(of(rate, setting), wanted)["value"]
            text = style.lost_text(constraint_rows.under(gone, wanted)) or NOT_RUN
            if len(pictures):
                text = f"RMS {np.sqrt(runs['value'].mean()):.3f}\nKL {kl.mean():.1f} nats"
            label = str(wanted).replace(" + ", ", ")
            drawn.append(strips.Strip(f"{name}\n{label}", pictures, text))
    blank = [strips.Strip(name, strips.NOTHING, f"not run: {EXPERIMENT}") for name in NAMES]
    made = strips.figure(drawn or blank, "test images reconstructed (left), samples (right)")
    where = style.mark(made, error, lost)
    text = f"""Figure 6. Five test images reconstructed at a sampled z and five draws from the prior
    after training under each constraint and its threshold (RE: an RMS error per pixel; FRE: an
    error relative to the RMS of a classifier's features; CLA: the probability of the right class;
    PNCC: a correlation of patches). Pictures of the first seed; RMS error and KL are of test
    images, means over seeds ({where}). The paper's Figure 6 is not known to us: data, thresholds
    and networks are ours."""
    return style.caption(made, text)


def figure8(results: Results) -> Figure:
    """Figure 8 (ours): violation, multiplier and KL over training, per constraint."""
    rate = plane_rows.curves(results, EXPERIMENT, "rate")
    lost = plane_rows.lost(results, EXPERIMENT)
    found: list[Setting | None] = [*plane_rows.settings(rate, lost)] or [None]
    made, grid = style.figure(len(found), 3, 0.7 + 1.6 * len(found))
    for axes_row, setting in zip(grid, found, strict=True):
        mine = of(rate, setting) if setting else rate
        chosen = constraint_rows.singles(constraint_rows.groups(mine)) if len(mine) else {}
        if setting is None or not chosen:
            for axes, what in zip(axes_row, ("violation", "lambda", "KL"), strict=True):
                style.not_run(axes, f"{EXPERIMENT} ({what})")
            continue
        _progress(results, axes_row, setting, chosen, mine)
        axes_row[0].set_title(shown(setting.dataset))
    style.legend(made, grid[:, 0], 4)
    where = style.mark(made, rate, lost)
    text = f"""Figure 8. Training under one constraint at a time: violation over the threshold's
    size (0, dotted: met; below: more than met), multiplier lambda (RE: of the error summed over
    pixels), and KL in nats per image. Where several thresholds were run, the middle one. Lines:
    means over seeds (geometric ones of lambda); bands: 95 % t intervals, cut where they leave the
    panel ({where}). The paper's Figure 8 is not known to us."""
    return style.caption(made, text)


def _progress(
    results: Results,
    axes_row: NDArray[np.object_],
    setting: Setting,
    chosen: dict[str, Bounds],
    rate: pd.DataFrame,
) -> None:
    left, middle, right = axes_row
    for name, wanted in chosen.items():
        label = str(wanted)
        violation = constraint_rows.relative_violation(results, name, wanted, setting)
        multiplier = plane_rows.curves(results, EXPERIMENT, f"multiplier_{name}")
        multiplier = constraint_rows.under(of(multiplier, setting), wanted)
        panels.line(left, violation, LOOKS[name], log=False, label=label)
        panels.line(middle, multiplier, LOOKS[name], log=True, label=label)
        rates = constraint_rows.under(rate, wanted)
        panels.line(right, rates, LOOKS[name], log=False, label=label)
    left.axhline(0, color="black", linewidth=0.8, linestyle=(0, (1, 1)), zorder=1)
    # Untrained, an error is many times its threshold: linear about 0, logarithmic further out.
    left.set_yscale("symlog", linthresh=0.5)
    top = max(1.0, left.dataLim.y1) * 1.3
    left.set(ylabel="violation / threshold", yticks=[-1, -0.4, 0, 0.4, 1, 10, 100])
    left.set_ylim(-1.2, top)
    left.yaxis.set_major_formatter("{x:g}")
    middle.set(ylabel=r"multiplier $\lambda$", yscale="log")
    middle.set_ylim(*(end * factor for end, factor in zip(_drawn(middle), (0.5, 2), strict=True)))
    # An encoder that breaks for some steps has a KL thousands of times that of the others.
    right.set_yscale("symlog", linthresh=1)
    right.set(ylabel=METRICS["rate"], ylim=(0, 2 * max(1, _drawn(right)[1])))
    ticks.few(middle.yaxis, *middle.get_ylim())
    for axes in axes_row:
        axes.set(xlabel="iteration", xlim=(0, None))
        ticks.iterations(axes.xaxis)
        axes.yaxis.set_minor_formatter(NullFormatter())


def _drawn(axes: Axes) -> tuple[float, float]:
    """The lowest and the highest point of the lines, whatever their bands."""
    heights = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.lines])
    return float(np.nanmin(heights)), float(np.nanmax(heights))


def side_by_side(rows: StudyRows, runs: pd.DataFrame) -> Pictures:
    """Reconstructions, a white picture, and samples, of the first run that saved them."""
    left, right = (rows.pictures(runs, name, EACH) for name in ("pictures_test", "samples"))
    if not len(left) or not len(right):
        return strips.NOTHING
    return np.concatenate([left, np.full_like(left[:1], 255), right])
