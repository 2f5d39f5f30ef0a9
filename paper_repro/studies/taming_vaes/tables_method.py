"""Tables of the method: GECO and the ELBO at equal error, and other steps of the multiplier.

Numbers are means over seeds with the half width of their 95 % t interval; training numbers are
means over the last 5 % of a run (`plane_rows.points`).
"""

from __future__ import annotations

from paper_repro.claims.filters import pick
from paper_repro.data.names import shown
from paper_repro.drawing import style
from paper_repro.drawing.labels import METRICS
from paper_repro.drawing.study_rows import of
from paper_repro.drawing.tables import NONE, Entry, Table, estimate
from paper_repro.results.frames import Results
from paper_repro.studies.taming_vaes import plane_rows
from paper_repro.studies.taming_vaes.figures_method import DEFAULTS, variants

PAIR = {"ELBO": "elbo", "GECO": "geco"}


def same_error(results: Results) -> Table:
    """Figure 5 as numbers: ELBO and GECO at equal error."""
    frames = {n: plane_rows.points(results, f"same_error_{e}") for n, e in PAIR.items()}
    lost = plane_rows.lost(results, *(f"same_error_{e}" for e in PAIR.values()))
    rows: list[list[Entry]] = []
    for setting in plane_rows.settings(*frames.values(), lost):
        mine = {name: of(frame, setting) for name, frame in frames.items()}
        for name, frame in mine.items():
            gone = pick(of(lost, setting), experiment=f"same_error_{PAIR[name]}")
            failed = list(gone["status"])
            entries = [estimate(frame[c], failed) for c in ("mse", "rmse", "rate")]
            rows.append([str(setting), name, *entries])
        elbo, geco = (frame.set_index("seed") for frame in mine.values())
        ratios = [estimate((geco[c] / elbo[c]).dropna()) for c in ("mse", "rmse")]
        rows.append([str(setting), "GECO / ELBO, by seed", *ratios, NONE])
        difference = estimate((elbo["rate"] - geco["rate"]).dropna())
        rows.append([str(setting), "ELBO - GECO, by seed", NONE, NONE, difference])
    titles = ["setting", "method", METRICS["mse"], "RMS error", METRICS["rate"]]
    notes = [
        "GECO's kappa is the RMS error with which the ELBO run of the same seed, with one learned "
        "variance, ended. That end is a stationary point of GECO: no difference in KL is the null."
    ]
    return Table(titles, rows, notes)


def table2(results: Results) -> Table:
    """Table 2: average and marginal KL of ELBO and GECO at matched error."""
    lost = plane_rows.lost(results, *(f"marginal_{e}" for e in PAIR.values()))
    columns = {
        "RMS error": ("rmse", {"z": "sampled"}),
        "average KL": ("rate", {}),
        "marginal KL, low": ("marginal_kl", {"side": "low"}),
        "marginal KL, high": ("marginal_kl", {"side": "high"}),
    }
    frames = {
        name: [
            plane_rows.finals(results, f"marginal_{e}", metric, **at)
            for metric, at in columns.values()
        ]
        for name, e in PAIR.items()
    }
    rows: list[list[Entry]] = []
    for setting in plane_rows.settings(*(f[1] for f in frames.values()), lost):
        seeds = {}
        for name, parts in frames.items():
            gone = pick(of(lost, setting), experiment=f"marginal_{PAIR[name]}")
            mine = [of(part, setting).set_index("seed")["value"] for part in parts]
            seeds[name] = mine
            entries = [estimate(values, list(gone["status"])) for values in mine]
            rows.append([shown(setting.dataset), setting.model, name, *entries])
        elbo, geco = seeds["ELBO"], seeds["GECO"]
        gaps = [elbo[0] / geco[0] - 1, elbo[1] - geco[1], elbo[2] - geco[3], elbo[3] - geco[2]]
        entries = [estimate(gap.dropna()) for gap in gaps]
        label = "ELBO - GECO, by seed"
        rows.append([shown(setting.dataset), setting.model, label, *entries])
    titles = ["data set", "model", "method", *columns]
    notes = [
        "KL in nats per image, of test images. Marginal KL: KL of the aggregate posterior to the "
        "prior; low, a RealNVP fitted to codes; high, a mixture of the encoders of test images, "
        "never below average KL - ln M. Which estimator the paper uses is not known.",
        "Last row of a setting: relative difference of the errors; difference of average KL; "
        "ELBO's low side minus GECO's high side (above 0: the brackets are apart, and GECO's is "
        "lower); ELBO's high minus GECO's low (below 0: apart the other way).",
    ]
    return Table(titles, rows, notes)


def sensitivity(results: Results) -> Table:
    """Figure 10 as numbers."""
    found, setting = variants(results)
    rows: list[list[Entry]] = [
        [name, *(estimate(frame[c].dropna()) for c in ("ratio", "peak", "multiplier", "rate"))]
        for name, frame in found
    ]
    titles = [
        *("options", "RMS error / kappa", "largest lambda", "lambda at the end"),
        METRICS["rate"],
    ]
    notes = [f"{setting}. " if setting else ""]
    notes[0] += f"The first row is the sweep's. Unless a row says otherwise: {DEFAULTS}."
    lost = plane_rows.lost(results, "sensitivity")
    if len(lost):
        notes.append(f"Of the other options {style.lost_text(lost)}.")
    return Table(titles, rows, notes)
