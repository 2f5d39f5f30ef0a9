"""Tables of theory: what closed forms say and what was measured; Figures 2 and 3 in numbers."""

from __future__ import annotations

from pandas import DataFrame

from paper_repro.claims.filters import pick
from paper_repro.drawing.labels import NOT_RUN
from paper_repro.drawing.tables import NONE, Entry, Table, estimate, mean, measured_at, origin
from paper_repro.results.frames import Results

STUDY = "infinite_gradients"


def theory(results: Results) -> Table:
    """Quantity, its closed form, what was measured, and how far apart they are."""
    exact, trained, learned = (
        results.finals(STUDY, name) for name in ("closed_forms", "linear_vae", "beta_threshold")
    )
    rows: list[list[Entry]] = [
        _row(
            "infinite-A1: dL/dlog gamma / d at eq. (6)", 0.0, pick(exact, metric="gamma_star_slope")
        )
    ]
    for beta in measured_at(exact, "loss_slope_theory", "beta"):
        formula = pick(exact, metric="loss_slope_theory", beta=beta)["value"].mean()
        for how, frame, metric in (
            ("at the closed minimum", exact, "loss_slope"),
            ("trained", trained, "trained_loss_slope"),
        ):
            found = pick(frame, metric=metric, beta=beta)
            rows.append(
                _row(f"infinite-A2: slope in log gamma, beta {beta:g}, {how}", formula, found)
            )
    for ratio in measured_at(learned, "log_gamma", "ratio"):
        what = f"infinite-A3: beta = {ratio:g} d/r"
        if ratio < 1:
            found = pick(learned, metric="log_gamma", ratio=ratio)
            rows.append([f"{what}, log gamma", "no minimum", estimate(found["value"]), NONE])
            found = pick(learned, metric="relative_error", ratio=ratio)
            rows.append([f"{what}, error / variance", "to 0", estimate(found["value"]), NONE])
        else:
            found = pick(learned, metric="gamma_over_pixel_variance", ratio=ratio)
            rows.append(_row(f"{what}, gamma / (tr Cov / d)", 1.0, found))
        expected = 2.0 if ratio < 1 else 0.0
        found = pick(learned, metric="active_dims", ratio=ratio)
        rows.append(_row(f"{what}, active dimensions", expected, found))
    for lemma, small in ((2, "gamma"), (3, "posterior_variance")):
        gaps = pick(exact, metric=f"lemma{lemma}_gap", h="log")
        for value in measured_at(exact, f"lemma{lemma}_gap", small)[:1]:
            found = pick(gaps, **{small: value})
            name = f"infinite-A14: gap of Lemma {lemma} at {small.replace('_', ' ')} {value:g}"
            rows.append(_row(name, 0.0, found))
    return Table(
        ["quantity", "closed form", "measured", "largest difference"],
        rows,
        [
            "Losses are those of eq. (3), twice the negative ELBO without constants, the KL part "
            "times beta. Trained models are linear; below d/r their gamma is still falling when "
            "they stop.",
            origin(exact, trained, learned),
        ],
    )


def labyrinth(results: Results) -> Table:
    """Cost of the two-latent code over that of the labyrinth, per penalty and eps."""
    frame = results.finals(STUDY, "labyrinth")
    ratios = pick(frame, metric="cost_ratio")
    sides = sorted(measured_at(frame, "cost_ratio", "eps"), reverse=True)
    names = ratios[["penalty", "constant"]].drop_duplicates() if len(ratios) else ratios
    rows: list[list[Entry]] = []
    for name, constant in names.itertuples(index=False) if len(ratios) else ():
        of = pick(ratios, penalty=name, constant=constant)
        cells = [mean(pick(of, eps=side)) for side in sides]
        rows.append([str(name), f"{constant:g}", *cells])
    powers = [mean(pick(frame, metric="critical_power", eps=side)) for side in sides]
    if powers:
        rows.append(["u^p: p at which it turns", NONE, *powers])
    return Table(
        ["penalty", "constant", *(f"eps {side:g}" for side in sides)],
        rows,
        [
            "Above 1 the labyrinth, one latent, is the cheaper code. Costs are taken above that "
            "of an empty code. identity u, saturating u/(c + u), log1p log(1 + u/c), power u^c, "
            "shifted_log log(u + c). Exact: one run is all there is.",
            origin(frame),
        ],
    )


def landscape(results: Results) -> Table:
    """Figure 3 in numbers: minima, minimiser and slope per slice and gamma."""
    frame = results.finals(STUDY, "landscape")
    columns = ("local_minima", "minimiser", "largest_slope")
    rows: list[list[Entry]] = []
    for name in ("a", "b"):
        for gamma in sorted(measured_at(frame, "local_minima", "gamma"), reverse=True):
            mine = pick(frame, slice=name, gamma=gamma)
            found = [mean(pick(mine, metric=metric)) for metric in columns]
            ends = [mean(pick(mine, metric="slice_loss", t=t)) for t in (0.0, 1.0)]
            rows.append([f"panel {name}", f"{gamma:g}", *found, *ends, NONE])
    for name in ("rotated", "gaussian"):
        for gamma in sorted(measured_at(frame, "multimodal_share", "gamma"), reverse=True):
            share = pick(frame, metric="multimodal_share", slice=name, gamma=gamma)
            row: list[Entry] = [f"random, {name}", f"{gamma:g}", *[NONE] * 5]
            rows.append([*row, estimate(share["value"])])
    return Table(
        [
            *("slice", "gamma", "local minima", "minimiser t", "largest slope (nats)"),
            *("loss at t = 0 (nats)", "loss at t = 1 (nats)", "slices with several minima"),
        ],
        rows,
        [
            "t = 0 is the optimal sparse representation. Panels: t = 1 reconstructs as well with "
            "three latents; the numbers are the same for every rotation of the data. Random "
            "slices: t = 1 is another decoder that reconstructs (rotated) or one that does not "
            "(gaussian).",
            origin(frame),
        ],
    )


def _row(name: str, formula: float, found: DataFrame) -> list[Entry]:
    if found.empty:
        return [name, f"{formula:g}", NOT_RUN, NOT_RUN]
    worst = float((found["value"] - formula).abs().max())
    return [name, f"{formula:g}", estimate(found["value"]), f"{worst:.1e}"]
