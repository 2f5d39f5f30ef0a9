"""Figure 4 in miniature: vectors of 100 numbers with five true dimensions, at three noise levels.

Our construction; here the number of latent dimensions that a model needs is known.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from paper_repro.drawing import style
from paper_repro.results.frames import Results
from paper_repro.studies.infinite_gradients import gamma_rows
from paper_repro.studies.infinite_gradients.gamma_panels import (
    ACTIVE,
    MMD,
    STATISTICS,
    progress,
    rows,
    scores,
    true_dims,
)
from paper_repro.studies.infinite_gradients.gamma_rows import CLOSED, FIXED, LEARNED, MMD_NOTE

SHOWN = (LEARNED, FIXED, CLOSED)
LEVELS = 3  # of noise


def miniature(results: Results) -> Figure:
    """Reconstruction, MMD, active dimensions and gradient norms, a row per noise level."""
    error, mmd, active = (
        scores(results, "miniature", SHOWN, name) for name in ("sse", "mmd", "informative_units")
    )
    norms = gamma_rows.curves(results, "miniature", SHOWN, "grad_z")
    lost = gamma_rows.lost(results, "miniature", SHOWN)
    found = gamma_rows.settings(error, lost)
    made, grid = style.figure(len(found) or LEVELS, 4, 0.6 + 1.35 * (len(found) or LEVELS))
    for row, setting in zip(grid, found, strict=False):
        columns = ((error, "squared error"), (mmd, MMD), (active, ACTIVE))
        for axes, (frame, name) in zip(row, columns, strict=False):
            rows(axes, frame, lost, setting, SHOWN, name, labels=False)
        true_dims(row[2])
        progress(row[3], norms, lost, setting, SHOWN, "gradient norm", log=False)
        row[0].set_title(str(setting))
    for axes in grid[len(found) :].reshape(-1):
        style.not_run(axes, "miniature")
    style.legend(made, grid[:, 3], 3)
    where = style.mark(made, error, lost)
    text = f"""Figure 4 in miniature: x = tanh(c G0) G1 / sd + noise with c in R^5, twenty latent
    dimensions, gamma learned, fixed at the value it was learned to have, and optimal in each batch;
    rows are noise levels. Squared error summed over the 100 numbers of a test vector, at a sampled
    z; MMD; dimensions whose posterior variance is below 0.5 on average (dotted: the five of the
    data); mean per-vector norm of the gradient of the negative ELBO at z. {STATISTICS} ({where}).
    {MMD_NOTE}."""
    return style.caption(made, text)
