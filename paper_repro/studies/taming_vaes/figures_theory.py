"""Figures of what theory fixes: overlap and holes, phase transitions, the linear VAE.

Rezende and Viola, "Taming VAEs" (arXiv 1810.00597). `figure1` and `figure2` repeat the panels of
the paper's; `step_size` and `water_filling` are ours.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paper_repro.claims.filters import pick
from paper_repro.drawing import panels, style
from paper_repro.drawing.labels import METRICS
from paper_repro.drawing.study_rows import StudyRows
from paper_repro.results.frames import Results

STUDY = "taming_vaes"
COLOURS = (style.BLUE, style.AMBER, style.GREEN)
SHADE = "#e8e8e8"
DOTTED = (0, (1, 1.5))
DASHED = (0, (4, 2))
RULES = {  # rule -> label, colour, dash
    "mean_1": ("mean, rate 1 (literal)", style.RED, "-"),
    "mean_0.1": ("mean, rate 0.1", style.PINK, (0, (4, 1.2))),
    "sum_0.001": ("sum, rate 0.001", style.BROWN, (0, (1.2, 1.2))),
    "sum_0.01": ("sum, rate 0.01", style.AMBER, (0, (5, 1, 1, 1))),
    "relative": ("relative, rate 0.005", style.SKY, (0, (3, 1))),
    "relative_clipped": ("relative, clipped (ours)", style.BLUE, "-"),
}


def figure1(results: Results) -> Figure:
    """Posteriors over z, and the decoder that is best for them."""
    frame, lost = StudyRows(results, STUDY).with_lost("schematic")
    arrays = StudyRows(results, STUDY).arrays(frame)
    made, grid = style.figure(2, 1, 3.9)
    top, bottom = grid[:, 0]
    top.set_title("Posteriors over z")
    bottom.set_title("Best decoder g(z)")
    if not arrays:
        for axes in (top, bottom):
            style.not_run(axes, "schematic")
    else:
        _posteriors(top, arrays)
        _decoder(bottom, arrays)
        made.align_ylabels([top, bottom])
    where = style.mark(made, frame, lost, "closed form")
    text = f"""Top: three Gaussian posteriors over a one-dimensional z and the prior. Bottom: the
    decoder of least squared error, g(z) = sum of w_i(z) x_i (Proposition 1). Where two posteriors
    overlap g mixes their points, with the average (ring) where both weigh the same: blur. Where
    none has mass (grey: the posteriors' average density is below 1 % of the prior's) g is
    undetermined: 0.001 added to every density (dotted) moves it there, while nothing changes where
    training takes its samples. Points and posteriors are ours ({where})."""
    return style.caption(made, text)


def _shade(axes: Axes, arrays: dict[str, np.ndarray]) -> None:
    z, hole = arrays["z"], arrays["hole"] > 0
    axes.fill_between(z, 0, 1, where=hole, transform=axes.get_xaxis_transform(), color=SHADE,
                      linewidth=0, zorder=0)  # fmt: skip
    axes.set_xlim(z[0], z[-1])


def _posteriors(axes: Axes, arrays: dict[str, np.ndarray]) -> None:
    z = arrays["z"]
    _shade(axes, arrays)
    axes.plot(z, arrays["prior"], color="black", linestyle=DASHED, linewidth=1)
    for i, density in enumerate(arrays["posterior"]):
        axes.fill_between(z, 0, density, color=COLOURS[i], alpha=0.18, linewidth=0)
        axes.plot(z, density, color=COLOURS[i])
        peak = int(density.argmax())
        axes.annotate(f"$q(z|x_{i + 1})$", (z[peak], density[peak]), xytext=(0, 2),
                      textcoords="offset points", ha="center", color=COLOURS[i])  # fmt: skip
    axes.annotate("prior", (-2.55, 0.06), xytext=(0, 3), textcoords="offset points", ha="center")
    inside = z[(arrays["hole"] > 0) & (np.abs(z) < 2)]
    for place, text in ((-1.3, "overlap"), (float(inside.mean()), "hole")):
        axes.annotate(text, (place, 2.05), ha="center", fontsize=7, color=style.GREY)
    axes.set(ylabel="density", ylim=(0, 2.3))


def _decoder(axes: Axes, arrays: dict[str, np.ndarray]) -> None:
    z, weights = arrays["z"], arrays["posterior"] / arrays["posterior"].sum(0)
    _shade(axes, arrays)
    axes.plot(z, arrays["decoder"], color=style.RED, label="exact tails decide")
    axes.plot(z, arrays["floored"], color="black", linestyle=DOTTED, label="density + 0.001")
    half = int(np.abs(weights[0] - weights[1])[z < 0].argmin())
    axes.plot(z[half], arrays["decoder"][half], "o", color="black", markerfacecolor="none")
    axes.annotate("average of $x_1$ and $x_2$", (z[half], arrays["decoder"][half]),
                  xytext=(7, -7), textcoords="offset points")  # fmt: skip
    for i, x in enumerate(_levels(arrays)):
        axes.axhline(x, color=COLOURS[i], linewidth=0.8, linestyle=DASHED, zorder=1)
        axes.annotate(f"$x_{i + 1}$", (1, x), xycoords=axes.get_yaxis_transform(), xytext=(3, 0),
                      textcoords="offset points", va="center", color=COLOURS[i])  # fmt: skip
    axes.set(xlabel="latent z", ylabel="pixel value", ylim=(0, 1))
    axes.legend(loc=(0.62, 0.2))


def _levels(arrays: dict[str, np.ndarray]) -> list[float]:
    """The points: g at each posterior's mode is one of them but for the overlap, so solve for all
    from g = sum_i w_i x_i by least squares."""
    weights = arrays["posterior"] / arrays["posterior"].sum(0)
    found = np.linalg.lstsq(weights.T, arrays["decoder"], rcond=None)[0]
    return [float(x) for x in found]


def figure2(results: Results) -> Figure:
    """Phase transitions of the hierarchical points."""
    return _phases(results, "hierarchical", "eight points in pairs of pairs of pairs")


def figure2_random(results: Results) -> Figure:
    """The same of random points."""
    return _phases(results, "random", "ten normal points")


def _phases(results: Results, points: str, what: str) -> Figure:
    frame, lost = StudyRows(results, STUDY).with_lost("phases")
    frame = pick(frame, points=points)
    arrays = StudyRows(results, STUDY).arrays(frame)
    made = style.canvas(4.3)
    grid = made.add_gridspec(2, 4, height_ratios=[1, 1.25])
    top = [made.add_subplot(grid[0, i]) for i in range(4)]
    left, right = made.add_subplot(grid[1, :2]), made.add_subplot(grid[1, 2:])
    left.set_title(r"Error $E(\beta)$")
    right.set_title(r"$|d^2E/d\beta^2|$")
    if not arrays:
        for axes in (*top, left, right):
            style.not_run(axes, f"phases ({points})")
    else:
        for place, axes in enumerate(top):
            _paths(axes, arrays, place)
        _energy(left, arrays)
        _curvature(right, arrays)
        style.legend(made, [top[0], left, right], 5)
    where = style.mark(made, frame, lost if len(frame) else lost.iloc[:0], "drawn: one seed")
    text = f"""Fixed points of a beta-VAE whose latent space is cut into 32 tiles, on {what} (ours).
    Top: 32 random starts of psi = g(z) move along the fixed-point equations (grey) to fixed points
    (red rings) among the data (blue); their number grows as beta falls. Below, with psi followed
    from hot to cold: the mean squared error E and the size of its second derivative, with its three
    maxima that are highest when multiplied by beta, jumps of dE/dbeta (marks), and, as dashed
    lines, the beta just above each at which theory says that a cluster must split, the largest
    eigenvalue of the covariance of a cluster. beta = 1 / (2 lambda) ({where})."""
    return style.caption(made, text)


def _paths(axes: Axes, arrays: dict[str, np.ndarray], place: int) -> None:
    if place >= len(arrays["shown"]):
        axes.axis("off")
        return
    axes.set_title(rf"$\beta$ = {arrays['shown'][place]:g}")
    path, ends = arrays["path"][place], arrays["end"][place]
    for one in path.swapaxes(0, 1):
        axes.plot(*one.T, color="#9a9a9a", linewidth=0.6, zorder=1)
    axes.plot(*arrays["points"].T, "o", color=style.BLUE, markersize=3, label="data", zorder=2)
    axes.plot(*ends.T, "o", color=style.RED, markerfacecolor="none", markersize=5.5,
              label="fixed points", zorder=3)  # fmt: skip
    reach = 1.2 * float(np.abs(arrays["points"]).max())
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="$x_1$")
    axes.set_ylabel("$x_2$" if place == 0 else "")
    axes.tick_params(labelleft=place == 0)


def _energy(axes: Axes, arrays: dict[str, np.ndarray]) -> None:
    axes.plot(arrays["beta"], arrays["error"], color="black")
    for critical in arrays["critical"]:
        axes.axvline(critical, color=style.AMBER, linestyle=DASHED, linewidth=1,
                     label="predicted critical β")  # fmt: skip
    axes.set(xscale="log", xlabel=r"$\beta$", ylabel="squared error per point")
    axes.set_xlim(0.8 * arrays["beta"].min(), 1.25 * arrays["beta"].max())
    axes.set_ylim(0, 1.05 * float(arrays["error"].max()))


def _curvature(axes: Axes, arrays: dict[str, np.ndarray]) -> None:
    beta, curvature = arrays["beta"], arrays["curvature"]
    kept = curvature > 1e-4
    axes.plot(beta[kept], curvature[kept], color="black", linewidth=0.9)
    for critical in arrays["critical"]:
        axes.axvline(critical, color=style.AMBER, linestyle=DASHED, linewidth=1)
    places = [int(np.abs(beta - spike).argmin()) for spike in arrays["spike"]]
    axes.plot(beta[places], curvature[places], "v", color=style.RED, label="top three spikes")
    for k, side in zip(places, ("left", "center", "right"), strict=False):  # hottest first
        axes.annotate(f"{beta[k]:.3g}", (beta[k], curvature[k]), xytext=(0, 5),
                      textcoords="offset points", ha=side, fontsize=6.5,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4})  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel=r"$\beta$")
    axes.set_ylabel(r"error per point / $\beta^2$")
    axes.set_xlim(0.8 * beta.min(), 1.25 * beta.max())
    axes.set_ylim(float(curvature[kept].min()), 8 * float(curvature.max()))


def step_size(results: Results) -> Figure:
    """Multiplier and KL over the iterations per step rule."""
    frame, lost = StudyRows(results, STUDY).with_lost("step_size")
    curves = results.frame(STUDY, "step_size", kind="curve")
    made, (row,) = style.figure(1, 2, 2.9)
    for axes, metric, name, log in (
        (row[0], "multiplier", r"$\lambda$", True),
        (row[1], "rate", METRICS["rate"], False),
    ):
        axes.set_title(r"Multiplier $\lambda$" if log else "KL")
        exact = pick(frame, metric=f"water_filling_{metric}")
        if exact.empty or curves.empty:
            style.not_run(axes, "step_size")
            continue
        for rule, (label, colour, dash) in RULES.items():
            mine = pick(curves, metric=f"{metric}_{rule}_{exact['kappa'].iloc[0]:g}")
            if len(mine):
                x, values = panels.by_seed(mine, "step")
                axes.plot(x, panels.student(values, log)[0], color=colour, linestyle=dash,
                          label=label, linewidth=1.1)  # fmt: skip
        axes.axhline(exact["value"].iloc[0], color="black", linewidth=0.8, linestyle=DOTTED,
                     label="solution (water-filling)", zorder=1)  # fmt: skip
        axes.set(xscale="log", xlabel="iteration", ylabel=name)
        if log:
            axes.set_yscale("log")
    style.legend(made, row, 3)
    where = style.mark(made, frame, lost)
    text = f"""GECO on a linear-Gaussian VAE (exact expectations, kappa = 0.1) with different steps
    of log lambda, which Algorithm 1 leaves open: rate times the violation as a mean over pixels, a
    sum, or relative to the threshold. All have the same solution (dotted); a step that is free of
    scale or clip sends lambda, and with it the KL, far beyond it while the network is still
    untrained, and a careful one takes thousands of iterations. lambda is in nats per unit of the
    summed squared error; lines are means over seeds ({where})."""
    return style.caption(made, text)


def water_filling(results: Results) -> Figure:
    """Where GECO ends on the linear VAE, on the rate-distortion curve."""
    frame, lost = StudyRows(results, STUDY).with_lost("linear")
    made, (row,) = style.figure(1, 2, 2.8)
    for axes, metric, name in (
        (row[0], "rate", METRICS["rate"]),
        (row[1], "multiplier", r"$\lambda$ (nats per unit of error)"),
    ):
        axes.set_title("Rate" if metric == "rate" else r"Multiplier $\lambda$")
        exact, found = pick(frame, metric=f"water_filling_{metric}"), pick(frame, metric=metric)
        if exact.empty:
            style.not_run(axes, "linear")
            continue
        x, values = panels.by_seed(exact, "kappa")
        axes.plot(x, values.mean(1), color="black", linewidth=1, label="reverse water-filling")
        axes.plot(found["kappa"], found["value"], "o", color=style.BLUE, markerfacecolor="none",
                  label="GECO")  # fmt: skip
        axes.set(xscale="log", xlabel=r"$\kappa$ (RMS error per pixel)", ylabel=name)
        axes.set_xticks(x)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        if metric == "multiplier":
            axes.set_yscale("log")
        axes.legend()
    where = style.mark(made, frame, lost)
    text = f"""Linear-Gaussian VAEs trained with GECO at five thresholds (rings, one per seed)
    against reverse water-filling, the rate-distortion function of the data (lines join its values
    at these thresholds). KL falls with kappa; lambda is minus the slope of the KL in the squared
    error. Covariance and dimensions are ours ({where})."""
    return style.caption(made, text)
