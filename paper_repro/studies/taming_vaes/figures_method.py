"""What GECO is sensitive to, and the networks it trains (our Figures 10 and 11)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from paper_repro.claims.curve_summaries import reduced
from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing import panels, style, ticks
from paper_repro.drawing.labels import METRICS
from paper_repro.drawing.study_rows import RUN, Setting, of
from paper_repro.results.frames import Results
from paper_repro.studies.taming_vaes import plane_rows
from paper_repro.studies.taming_vaes.plane_rows import LOOKS

OPTIONS = ("decay", "rate", "clip")
SHOWN = {"decay": r"$\alpha$", "rate": "rate", "clip": "clip"}
PLAIN = {"decay": "alpha", "rate": "rate", "clip": "clip"}
DEFAULT, LITERAL = "defaults", "Algorithm 1 read literally"
DEFAULTS = "alpha 0.99, rate 0.005, clip 0.02, on violations relative to the threshold"


def variants(results: Results) -> tuple[list[tuple[str, pd.DataFrame]], Setting | None]:
    """One row per run of each variant with `ratio` (RMS error over kappa), `peak` and `multiplier`
    (the largest lambda and the one at the end) and `rate`; what `sweep` uses comes first."""
    other = plane_rows.points(results, "sensitivity")
    setting = next(iter(plane_rows.settings(other)), None)
    if setting is None:
        return [], None
    other = of(other, setting)
    kappa = plane_rows.kappas(other)[0]
    usual = pick(of(plane_rows.points(results, "sweep"), setting), kappa=kappa)
    usual = usual[usual["steps"].isin(set(other["steps"]))]
    peaks = pd.concat(
        [
            reduced(plane_rows.curves(results, name, "multiplier_RE"), {}, "highest")
            for name in ("sweep", "sensitivity")
        ]
    )[[*RUN, "value"]].rename(columns={"value": "peak"})
    named = _named_variants(other)
    if len(usual):
        named.insert(0, (f"{variant(usual.iloc[0].to_dict()) or DEFAULT} (sweep)", usual))
    found = [
        (
            name,
            frame.merge(peaks, on=RUN, how="left").assign(ratio=frame["rmse"] / kappa),
        )
        for name, frame in ((name, frame.reset_index(drop=True)) for name, frame in named)
        if len(frame)
    ]
    return found, setting


def _named_variants(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Runs by the options that their cells set, as ``rate 0.02``."""
    names = [variant(row) for row in frame.to_dict("records")]
    order = dict.fromkeys(sorted(names, key=lambda n: (n == LITERAL, n)))
    return [(name, frame[np.array(names) == name]) for name in order]


def variant(settings: Mapping[Any, Any]) -> str:
    """A run's name by the options that its cell sets."""
    given = {name: settings.get(f"objective_options.{name}") for name in (*OPTIONS, "scale")}
    known = {name: value for name, value in given.items() if value == value and value is not None}
    if "scale" in known:
        return LITERAL
    return ", ".join(f"{PLAIN[name]} {value:g}" for name, value in known.items())


def figure10(results: Results) -> Figure:
    """Figure 10 (ours): the step of lambda and its moving average."""
    found, setting = variants(results)
    lost = plane_rows.lost(results, "sensitivity")
    made, grid = style.figure(1, 3, 0.85 + 0.24 * max(5, len(found)))
    columns = {
        "ratio": r"RMS error / $\kappa$",
        "peak": r"largest $\lambda$",
        "rate": METRICS["rate"],
    }
    for axes, (column, label) in zip(grid[0], columns.items(), strict=True):
        if not found:
            style.not_run(axes, f"sensitivity ({column})")
            continue
        for place, (_, frame) in enumerate(found):
            panels.rows(axes, [place], frame[column].dropna().to_numpy(float)[None], LOOKS["geco"])
        names = [name.replace("read literally", "\nread literally") for name, _ in found]
        names = [name.replace("alpha", SHOWN["decay"]) for name in names]
        panels.listed(axes, names if axes is grid[0, 0] else [""] * len(found))
        axes.set_xlabel(label)
        axes.margins(x=0.12)
        if column == "peak":
            axes.set_xscale("log")
            low, high = axes.get_xlim()
            if high < 30 * low:  # over more than that, powers of ten leave room between them
                ticks.few(axes.xaxis, low, high)
    if found:
        for end in (0.95, 1.0, 1.05):
            dash = (0, (1, 1)) if end != 1 else "-"
            grid[0, 0].axvline(end, color=style.GREY, linewidth=0.8, linestyle=dash, zorder=1)
        grid[0, 0].set_title(str(setting))
    every = pd.concat([frame for _, frame in found]) if found else pd.DataFrame()
    rows = every.assign(value=every["ratio"]) if found else plane_rows.finals(results, "sweep", "")
    where = style.mark(made, rows, lost)
    text = f"""Figure 10. GECO with other moving averages (alpha), rates and clips of log lambda
    than in the sweep (first row), and as Algorithm 1 may be read literally: violations per pixel,
    rate 1, no clip. What a row does not name is as by default ({DEFAULTS}). RMS error over kappa
    (dotted: 5 %) and KL are means over the last 5 % of training, lambda is that of the error summed
    over pixels at its largest. Dots: seeds; intervals: 95 % t ({where}). The paper gives neither
    alpha nor rate."""
    return style.caption(made, text)


# The parts of an architecture from image to image, and what is drawn from where.
DIAGRAMS: dict[str, Sequence[tuple[str, str]]] = {
    "VAE+NVP": (
        ("data", "x"),
        ("net", "encoder\n(conv or MLP)"),
        ("latent", "z"),
        ("net", "decoder\n(mirror)"),
        ("data", "g(z)\nsigmoid"),
    ),
    "VAE": (
        ("data", "x"),
        ("net", "encoder\n(MLP)"),
        ("latent", "z"),
        ("net", "decoder\n(MLP)"),
        ("data", "g(z)\nsigmoid"),
    ),
    "ConvDRAW": (
        ("data", "x\n(condition)"),
        ("net", "inference\nconv-LSTM"),
        ("latent", "$z_t$"),
        ("net", "generator\nconv-LSTM"),
        ("data", "canvas\nsigmoid"),
    ),
}
PRIORS = {
    "VAE+NVP": "prior: N(0, I) through a RealNVP",
    "VAE": "prior: N(0, I)",
    "ConvDRAW": "prior and inference of step t+1 see the generator's state; T steps",
}
FILL = {"data": "#f2f2f2", "net": "#d7e6f2", "latent": "#fbe8cf"}


def figure11(results: Results) -> Figure:
    """Figure 11 (ours): the architectures and their sizes."""
    names = ("sweep", "trajectory", "marginal_elbo")
    rows = pd.concat(
        [plane_rows.finals(results, name, "parameters", split="") for name in names],
        ignore_index=True,
    )
    made, grid = style.figure(3, 1, 4.6)
    for axes, (name, parts) in zip(grid[:, 0], DIAGRAMS.items(), strict=True):
        _diagram(axes, name, parts)
        axes.text(
            0.0, -0.02, _sizes(rows, name), transform=axes.transAxes, fontsize=6.5, va="bottom"
        )
    where = style.mark(made, rows, plane_rows.lost(results, *names))
    text = f"""Figure 11. The three architectures, and the number of weights of the models as they
    were trained ({where}). A RealNVP as prior is our reading of VAE+NVP, which may mean a
    posterior; the paper's sizes are not known to us, and all sizes are ours."""
    return style.caption(made, text)


def _diagram(axes: Axes, name: str, parts: Sequence[tuple[str, str]]) -> None:
    axes.set(xlim=(0, 10), ylim=(0, 3.2), xticks=[], yticks=[])
    axes.axis("off")
    axes.set_title(name if name != "VAE" else "MLP VAE, standard prior")
    left = [0.1 + 2.05 * place for place in range(len(parts))]
    for x, (kind, text) in zip(left, parts, strict=True):
        _box(axes, x, 1.2, 1.5, 1.0, text, FILL[kind])
    for one, other in itertools.pairwise(left):
        _arrow(axes, (one + 1.55, 1.7), (other - 0.05, 1.7))
    axes.text(left[2] + 0.75, 2.75, PRIORS[name], ha="center", va="center", fontsize=6.5)
    _arrow(axes, (left[2] + 0.75, 2.6), (left[2] + 0.75, 2.25))
    if name == "ConvDRAW":  # the generator's state goes back to the next step
        low = 0.95
        axes.plot([left[3] + 0.75] * 2, [1.17, low], color=style.GREY, linewidth=0.8)
        axes.plot([left[3] + 0.75, left[1] + 0.75], [low, low], color=style.GREY, linewidth=0.8)
        _arrow(axes, (left[1] + 0.75, low), (left[1] + 0.75, 1.17))


def _box(axes: Axes, x: float, y: float, wide: float, high: float, text: str, fill: str) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (x, y), wide, high, boxstyle="round,pad=0.04", facecolor=fill, edgecolor=style.GREY,
            linewidth=0.7,
        )
    )  # fmt: skip
    axes.text(x + wide / 2, y + high / 2, text, ha="center", va="center", fontsize=6.5)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=6, color=style.GREY, linewidth=0.8,
            shrinkA=0, shrinkB=0,
        )
    )  # fmt: skip


def _sizes(rows: pd.DataFrame, name: str) -> str:
    """``weights: MNIST 1,234,567, digits (MLP) 12,345`` of the models of one kind."""
    listed = []
    for setting in plane_rows.settings(rows):
        if setting.model.removeprefix("conditional ").removeprefix("MLP ") != name:
            continue
        counts = sorted({int(n) for n in of(rows, setting)["value"].dropna()})
        note = " (MLP)" if setting.model == "MLP VAE+NVP" else ""
        listed += [f"{shown(setting.dataset)}{note} {count:,}" for count in counts]
    half = -(-len(listed) // 2) if len(listed) > 4 else len(listed)
    lines = [", ".join(listed[:half]), ", ".join(listed[half:])]
    return "weights: " + ("\n".join(filter(None, lines)) if listed else "not run")
