"""Figure 1: how the silent gradient trains an encoder (after Shao, Liu and Van den Broeck, 2025).

Drawn by us from the roles that the paper gives the two decoders. The parameters of q(z|x) go
straight to the linear decoder, whose expected log-likelihood has a closed form; samples go to the
nonlinear one. Nothing is measured here; the schedules are those of the cells that were planned.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from pandas import DataFrame

from paper_repro.drawing import style
from paper_repro.results.frames import Results
from paper_repro.studies.silent_gradients import methods

STUDY = "silent_gradients"
ALPHA = "estimator_options.alpha"
DIAGRAM = (103.0, 54.0)  # extent of the diagram, in units of its own
Point = tuple[float, float]


def f1_method(results: Results) -> Figure:
    """The two decoders, what flows between them and the encoder, and the weight that anneals."""
    made = style.canvas(2.6)
    diagram, schedule = made.subplots(1, 2, width_ratios=[3.1, 1])
    _diagram(diagram)
    planned = _windows(results)
    _schedule(schedule, planned)
    tiers = " + ".join(sorted(set(planned["tier"]))) if len(planned) else ""
    origin = f"schedules of tier {tiers}" if tiers else "not run"
    style.footer(made, origin)
    text = f"""The method, drawn by us. The encoder E gives the parameters of q(z|x). They go
    straight to a linear decoder, where the expected log-likelihood is a closed formula of the
    moments of q: its gradient has no sampling noise (silent, green). Samples z' go to the nonlinear
    decoder, whose gradient reaches the encoder through the estimator of the baseline (orange). The
    encoder receives the first times alpha, the second times 1 - alpha, and the KL divergence once;
    each decoder receives its own gradient in full. After training only E and the nonlinear decoder
    (grey area) are used. Right: alpha in our runs over the training time, the default window drawn
    thick ({origin}); the form of the schedule and its times are our choice, the paper's are not
    known to us. With a linear decoder of fixed variance alone (the first experiment) the upper
    branch is the whole model."""
    return style.caption(made, text)


def _diagram(axes: Axes) -> None:
    width, height = DIAGRAM
    axes.set(xlim=(0, width), ylim=(0, height), xticks=[], yticks=[], aspect="equal", anchor="W")
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    silent, sampled = style.look("silent").colour, style.AMBER
    used = FancyBboxPatch((0.5, 1), 77.5, 30, boxstyle="round,pad=0,rounding_size=3",
                          facecolor="#ececec", edgecolor="none", zorder=0)  # fmt: skip
    axes.add_patch(used)
    axes.text(3, 2.5, "used after training", fontsize=6, color=style.GREY, va="bottom")

    _circle(axes, 6, "x", "black")
    _box(axes, (14.5, 11), (11, 16), "E", "encoder", "black")
    _box(axes, (30.5, 11), (14, 16), "q(z|x)", "parameters", "black", corners=4)
    _circle(axes, 57, "z'", sampled, dash="--")
    _box(axes, (65.5, 11), (11, 16), "D$_{nl}$", "nonlinear", sampled)
    _box(axes, (51, 38), (15, 14), "D$_{lin}$", "linear", silent)
    for start, end in (((10.5, 19), (14.5, 19)), ((25.5, 19), (30.5, 19)),
                       ((44.5, 19), (52.5, 19)), ((61.5, 19), (65.5, 19)), ((76.5, 19), (82, 19)),
                       ((66, 45), (82, 45)), ((44.5, 24), (82, 32))):  # fmt: skip
        _arrow(axes, start, end, "black")
    _arrow(axes, (38.5, 27), (51, 43), "black", bend=-0.25)
    axes.text(48.2, 17.6, "sample", fontsize=5.5, ha="center", va="top", color=style.GREY)
    axes.text(37.6, 34.5, "moments,\nno samples", fontsize=5.5, ha="right", va="center",
              color=style.GREY)  # fmt: skip

    losses = ((45, silent, "-E$_q$ log p$_{lin}$(x|z)", "closed form"),
              (32, "black", "KL(q ‖ prior)", "closed form"),
              (19, sampled, "-log p$_{nl}$(x|z')", "one sample"))  # fmt: skip
    for y, colour, text, how in losses:
        axes.text(83, y + 1.2, text, fontsize=6.3, ha="left", va="center", color=colour)
        axes.text(83, y - 2.8, how, fontsize=5.5, ha="left", va="center", color=style.GREY)

    _arrow(axes, (51, 49), (19, 27.5), silent, gradient=True, bend=0.3)
    axes.text(24, 48, r"gradient $\times\;\alpha$", fontsize=6.5, ha="center", color=silent)
    _arrow(axes, (70, 10.5), (21, 10.5), sampled, gradient=True, bend=-0.14)
    axes.text(
        45.5, 2.2, r"gradient $\times\;(1 - \alpha)$", fontsize=6.5, ha="center", color=sampled
    )


def _circle(axes: Axes, x: float, name: str, edge: str, dash: str = "-") -> None:
    axes.add_patch(Circle((x, 19), 4.5, facecolor="white", edgecolor=edge, linestyle=dash))
    axes.text(x, 19, name, ha="center", va="center", fontsize=8, style="italic")


def _box(
    axes: Axes, corner: Point, size: Point, name: str, what: str, edge: str, corners: int = 1
) -> None:
    (x, y), (width, height) = corner, size
    shape = f"round,pad=0,rounding_size={corners}"
    axes.add_patch(
        FancyBboxPatch(corner, width, height, boxstyle=shape, facecolor="white", edgecolor=edge,
                       linewidth=1)
    )  # fmt: skip
    axes.text(x + width / 2, y + 0.66 * height, name, ha="center", va="center", fontsize=8)
    axes.text(x + width / 2, y + 0.28 * height, what, ha="center", va="center", fontsize=5.5,
              color=style.GREY)  # fmt: skip


def _arrow(
    axes: Axes, start: Point, end: Point, colour: str, *, gradient: bool = False, bend: float = 0.0
) -> None:
    """An arrow of values, or, thick and dashed, of a gradient on its way back."""
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=7, color=colour,
                        linewidth=1.6 if gradient else 0.8, shrinkA=0, shrinkB=0,
                        linestyle=(0, (3, 1.4)) if gradient else "-",
                        connectionstyle=f"arc3,rad={bend}", zorder=3)
    )  # fmt: skip


def _windows(results: Results) -> DataFrame:
    """Planned cells whose weight moves, one per window, that of most cells (the default) first."""
    rows = results.frame(STUDY)
    if f"{ALPHA}.schedule" not in rows:
        return rows.iloc[:0]
    rows = rows[rows[f"{ALPHA}.schedule"].notna()].drop_duplicates("cell")
    rows = rows.assign(window=methods.window(rows))
    often = rows["window"].map(rows["window"].value_counts())
    rows = rows.assign(often=often).sort_values(["often", "window"], ascending=[False, True])
    return rows.drop_duplicates("window")


def _schedule(axes: Axes, planned: DataFrame) -> None:
    """The weight of the silent gradient over a run, every window that was planned."""
    if planned.empty:
        style.not_run(axes, "schedules of learned_variance")
        return
    t = np.linspace(0, 1, 401)
    for place, (_, cell) in enumerate(planned.iterrows()):
        axes.plot(
            t,
            weight(cell, t),
            color=style.look("silent").colour if place == 0 else style.GREY,
            linewidth=2.2 if place == 0 else 0.8,
            zorder=3 if place == 0 else 2,
        )
    axes.set(xlim=(0, 1), ylim=(-0.03, 1.06), xlabel="share of training", title=r"Weight $\alpha$")
    axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.set_box_aspect(1.35)


def weight(cell: Any, t: np.ndarray) -> np.ndarray:
    """Alpha at the fractions `t` of a run by the cell's own schedule (linear or cosine)."""
    high, low, start, end = (
        float(cell[f"{ALPHA}.{name}"]) for name in ("from", "to", "start", "end")
    )
    share = np.clip((t - start) / (end - start), 0, 1)
    if cell[f"{ALPHA}.schedule"] == "cosine":
        share = (1 - np.cos(math.pi * share)) / 2
    return high + (low - high) * share
