"""Figures of theory: slopes of the loss, the beta threshold, Lemmas 2 and 3, and Figure 2.

Dai, Wenliang and Wipf (NeurIPS 2021), sections 2.3 and 3. Only `figure2` is a figure of the paper,
a sketch there; the other two draw statements of its text. Losses are those of eq. (3), twice the
negative ELBO without constants.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.drawing import panels, style
from paper_repro.drawing.study_rows import StudyRows
from paper_repro.results.frames import Results

STUDY = "infinite_gradients"
GAMMA = r"$\gamma$"
DOTTED = (0, (1, 1.5))
PALETTE = (style.BLUE, style.GREEN, style.AMBER, style.RED, style.PINK, style.BROWN, style.SKY)
MARKERS = "osD^vPX"
HS = {"log": "h = log", "sqrt": "h = sqrt", "identity": "h = identity"}
# penalty and constant -> what is written beside it
PENALTIES = {
    ("identity", 1.0): "u",
    ("saturating", 1.0): "u / (1 + u)",
    ("log1p", 1.0): "log(1 + u)",
    ("log1p", 1e-12): "log(1 + u/1e-12)",
    ("sqrt", 1.0): "√u",
    ("power", 0.03): "u$^{0.03}$",
    ("shifted_log", 1e-30): "log(u + 1e-30)",
}


def slope(results: Results) -> Figure:
    """The least loss against gamma and its slope against beta (infinite-A2), gaps of Lemmas 2 and
    3 (infinite-A14)."""
    frame, lost = StudyRows(results, STUDY).with_lost("closed_forms", "linear_vae")
    made, grid = style.figure(2, 2, 4.7)
    _losses(grid[0, 0], frame)
    _slopes(grid[0, 1], frame)
    for axes, lemma, x, meaning in (
        (grid[1, 0], 2, "gamma", GAMMA),
        (grid[1, 1], 3, "posterior_variance", "posterior variance"),
    ):
        axes.set_title(f"Lemma {lemma}")
        _gaps(axes, pick(frame, metric=f"lemma{lemma}_gap"), x, meaning)
    where = style.mark(made, frame, lost, "lines: closed form, marks: trained")
    text = f"""Top left: the loss (eq. 3 with the KL part times beta) of a linear VAE on r = 3 of d
    = 12 directions, at its least for every gamma. Lines are the closed form, marks what Adam
    reaches with gamma held. Top right: least-squares slopes of both against log gamma, and d - beta
    r (dotted). Bottom: how far two codes disagree on the difference between the VAE's loss and the
    generic objective, eq. (7); it vanishes for h = log, as Lemmas 2 and 3 say, and for no other h.
    Marks of trained models are means over seeds with 95 % t intervals ({where})."""
    return style.caption(made, text)


def _losses(axes: Axes, frame: DataFrame) -> None:
    exact, trained = pick(frame, metric="minimised_loss"), pick(frame, metric="trained_loss")
    axes.set_title("Minimised loss")
    if exact.empty and trained.empty:
        style.not_run(axes, "closed_forms, linear_vae")
        return
    for place, beta in enumerate(sorted(pd.concat([exact, trained])["beta"].dropna().unique())):
        colour, marker = PALETTE[place % len(PALETTE)], MARKERS[place % len(MARKERS)]
        if len(mine := pick(exact, beta=beta)):
            x, values = panels.by_seed(mine, "gamma")
            axes.plot(x, values.mean(-1), color=colour, label=f"β = {beta:g}")
        if len(mine := pick(trained, beta=beta)):
            _marked(axes, *panels.by_seed(mine, "gamma"), colour, marker)
    axes.set(xscale="log", xlabel=GAMMA, ylabel="loss (nats, eq. 3)")
    axes.legend(loc="lower right", ncols=2, columnspacing=1.0, handlelength=1.5)


def _slopes(axes: Axes, frame: DataFrame) -> None:
    axes.set_title(f"Slope against log {GAMMA}")
    exact, trained = pick(frame, metric="loss_slope"), pick(frame, metric="trained_loss_slope")
    if exact.empty and trained.empty:
        style.not_run(axes, "closed_forms, linear_vae (slopes)")
        return
    theory = pick(frame, metric="loss_slope_theory")
    if len(theory):
        x, values = panels.by_seed(theory, "beta")
        axes.plot(x, values.mean(-1), color=style.GREY, linestyle=DOTTED, label="d - β r")
    for rows, colour, marker, label in (
        (exact, "black", "x", "closed form"),
        (trained, style.BLUE, "o", "trained"),
    ):
        if len(rows):
            _marked(axes, *panels.by_seed(rows, "beta"), colour, marker, label, hollow=True)
    axes.axhline(0, color=style.GREY, linewidth=0.6)
    axes.set(xlabel="β", ylabel=f"dL / d log {GAMMA}")
    axes.legend(loc="upper right")


def _gaps(axes: Axes, frame: DataFrame, x: str, meaning: str) -> None:
    if frame.empty:
        style.not_run(axes, "closed_forms (lemmas)")
        return
    for place, (h, label) in enumerate(HS.items()):
        where, values = panels.by_seed(pick(frame, h=h), x)
        colour, marker = PALETTE[place], MARKERS[place]
        axes.plot(where, values.mean(-1), marker=marker, color=colour, label=label)
    axes.set(xscale="log", yscale="log", xlabel=meaning, ylabel="largest gap (nats)")
    axes.set_ylim(top=300 * frame["value"].max())
    axes.legend(loc="upper left", ncols=3, columnspacing=0.8, handlelength=1.4, fontsize=6.3)


def beta_threshold(results: Results) -> Figure:
    """Final log gamma, active dimensions, error against beta in units of d / r (infinite-A3)."""
    frame, lost = StudyRows(results, STUDY).with_lost("closed_forms", "beta_threshold")
    made, (row,) = style.figure(1, 3, 2.5)
    shown = (
        ("log_gamma", "minimiser_log_gamma", f"final log {GAMMA}"),
        ("active_dims", "minimiser_active_dims", "active dimensions"),
        ("relative_error", "", "error / variance of data"),
    )
    for axes, (metric, exact, label) in zip(row, shown, strict=True):
        trained, theory = pick(frame, metric=metric), pick(frame, metric=exact)
        if trained.empty and theory.empty:
            style.not_run(axes, f"beta_threshold ({metric})")
            continue
        if len(theory):
            x, values = panels.by_seed(theory, "ratio")
            axes.plot(x, values.mean(-1), "_", color="black", markersize=7, label="closed form")
        if len(trained):
            log = metric == "relative_error"
            _marked(axes, *panels.by_seed(trained, "ratio"), style.BLUE, "o", "trained", log=log)
        axes.axvline(1, color=style.GREY, linewidth=0.8, linestyle=DOTTED, label="β = d / r")
        axes.set(xlabel="β / (d / r)", ylabel=label)
        if metric == "relative_error":
            axes.set_yscale("log")
        if metric == "active_dims":  # an interval over seeds may reach beyond what there are
            axes.set_ylim(-0.4, 0.4 + float(pd.concat([trained, theory])["value"].max()))
    style.legend(made, row, 3)
    where = style.mark(made, frame, lost)
    text = f"""Linear VAEs on isotropic data of r = 2 of d = 10 directions with learned gamma, for a
    range of beta. Bars: minimiser of the closed form in log gamma from -12 to 4; where it is -12,
    the lower end, the loss has no minimum and falls on as gamma goes to zero. Marks: trained models
    after a fixed number of steps (log gamma is still falling on the left), means over seeds with 95
    % t intervals. Dotted: beta = d / r, beyond which the code is lost ({where})."""
    return style.caption(made, text)


def figure2(results: Results) -> Figure:
    """The snake, the penalties, and which code each prefers as the square shrinks."""
    frame, lost = StudyRows(results, STUDY).with_lost("labyrinth")
    arrays = StudyRows(results, STUDY).arrays(frame)
    made, (row,) = style.figure(1, 3, 2.9)
    for axes, title in zip(row, ("Labyrinth", "Penalties h", "Preference"), strict=True):
        axes.set_title(title)
    if not arrays:
        style.not_run(row[0], "labyrinth")
        style.not_run(row[1], "labyrinth (h)")
    else:
        _snake(row[0], arrays["path"])
        _penalties(row[1], arrays)
    _preference(row[2], pick(frame, metric="cost_ratio"))
    _key(made, frame)
    where = style.mark(made, frame, lost, "exact: one run is all there is")
    text = f"""Left: a path that fills a square of side eps (12 rows here, a total length of 4 in
    the comparison); a decoder of unit speed reads it off two latents no larger than eps, or off
    one, the length along the path. Middle: penalties h of the mean square u of a latent, scaled to
    h(0) = 0 and h(1) = 1. Right: cost of the two-latent code over that of the labyrinth code, both
    above that of an empty code; above 1 the sparse code is preferred. A bounded slope, however
    steep, loses once eps is small; √u, with an unbounded one, loses too; a logarithm does not. The
    snake and the penalties but for the logarithm are our choice ({where})."""
    return style.caption(made, text)


def _snake(axes: Axes, path: np.ndarray) -> None:
    axes.plot(path[:, 0], path[:, 1], color=style.RED, linewidth=1.2, clip_on=False)
    axes.set(xticks=[0, 1], yticks=[0, 1], xlabel="$z_1'$", ylabel="$z_2'$", aspect="equal")
    axes.set_xticklabels(["0", "ε"])
    axes.set_yticklabels(["0", "ε"])
    axes.grid(False)


def _penalties(axes: Axes, arrays: dict[str, np.ndarray]) -> None:
    u = arrays["u"]
    names = [f"{name} {constant:g}" for name, constant in PENALTIES]
    for index, h in zip(arrays["penalty"].tolist(), arrays["h"], strict=True):
        if index in names:
            colour = PALETTE[names.index(index)]
            at_one = float(np.interp(1.0, u, h))
            axes.plot(u, (h - h[0]) / (at_one - h[0]), color=colour)
    axes.set(xlim=(-0.03, 1), ylim=(0, 1.05), xlabel="mean square u", ylabel="h, scaled")


def _preference(axes: Axes, frame: DataFrame) -> None:
    if frame.empty:
        style.not_run(axes, "labyrinth (cost_ratio)")
        return
    for rank, (name, constant) in enumerate(PENALTIES):
        mine = pick(frame, penalty=name, constant=constant).sort_values("eps")
        axes.plot(mine["eps"], mine["value"], color=PALETTE[rank], marker=MARKERS[rank])
    axes.axhline(1, color="black", linewidth=0.8, linestyle=DOTTED)
    axes.set(xscale="log", xlabel="ε", ylabel="cost, two latents / labyrinth", ylim=(-0.1, 2.1))
    for text, place, side in (("labyrinth", 1.03, "bottom"), ("two latents", 0.97, "top")):
        axes.annotate(text, (1.1e-1, place), ha="right", va=side, fontsize=6, color=style.GREY)


def _key(made: Figure, frame: DataFrame) -> None:
    if len(frame):
        handles = [
            Line2D([], [], color=colour, marker=marker, label=label)
            for colour, marker, label in zip(PALETTE, MARKERS, PENALTIES.values(), strict=True)
        ]
        made.legend(handles=handles, loc="outside upper center", ncols=4, columnspacing=1.4)


def _marked(
    axes: Axes,
    x: panels.Array,
    values: panels.Array,
    colour: str,
    marker: str,
    label: str = "",
    hollow: bool = False,
    log: bool = False,
) -> None:
    """Means over seeds with their intervals, no line."""
    panels.bars(axes, x, values, log=log, fmt=marker, color=colour, label=label or None,
                mfc="none" if hollow else colour, **panels.BARS)  # fmt: skip
