"""E4: how far the evidence is above the ELBO along training (ours; an importance bound)."""

from __future__ import annotations

from matplotlib.figure import Figure

from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing import style
from paper_repro.results.frames import Results
from paper_repro.studies.there_and_back_again import methods, trained_panels
from paper_repro.studies.there_and_back_again.methods import LOOKS


def gap(results: Results) -> Figure:
    """The importance bound less the ELBO against steps, a panel per data set."""
    frame = methods.progress(results, "elbo", "gap", evaluation="native")
    lost = methods.lost(results, "elbo")
    sets = methods.datasets(frame, lost)
    made, grid = trained_panels.figure(max(1, len(sets)), 1, 0.5 + 1.2 * max(1, len(sets)))
    if not sets:
        style.not_run(grid[0, 0], "elbo (gap)")
    for axes, dataset in zip(grid[:, 0], sets, strict=False):
        mine = pick(frame, dataset=dataset)
        if mine.empty:
            style.not_run(axes, f"elbo (gap), {shown(dataset)}")
            continue
        ends = trained_panels.lines(axes, trained_panels.by_method(mine, LOOKS), log=True)
        axes.set(title=shown(dataset), ylabel="nats/image")
        trained_panels.logarithmic(axes, "y")
        trained_panels.steps(axes, label=dataset == sets[-1])
        trained_panels.name_ends(axes, ends)
    where = trained_panels.sign(made, frame, lost)
    samples = sorted(set(frame["importance_samples"])) if len(frame) else []
    draws = " or ".join(f"{int(n):,}" for n in samples) or "no"
    text = f"""E4 (ours): the importance bound on log p(x) of {draws} draws less the ELBO of these
    draws, on test images, under each method's own prior and variance: a lower bound on the evidence
    gap, in nats per image, at marks of training and at its end; {trained_panels.INTERVALS} of the
    logarithm ({where})."""
    return style.caption(made, text)
