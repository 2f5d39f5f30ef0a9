"""Table 1 of Rezende and Viola (2018): the constraints, and what came of each.

Formulas and thresholds are ours; the paper's table is known by its rows' names alone.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from paper_repro.data.names import shown
from paper_repro.drawing.labels import NOT_RUN
from paper_repro.drawing.study_rows import Setting, of
from paper_repro.drawing.tables import Entry, Estimate, Table, estimate
from paper_repro.results.frames import Results
from paper_repro.studies.taming_vaes import constraint_rows, plane_rows
from paper_repro.studies.taming_vaes.constraint_rows import EXPERIMENT, FORMULAS, REACHED


def table1(results: Results) -> Table:
    """One row per constraint of a run: formula, threshold, what test images reach, multiplier."""
    rate = plane_rows.finals(results, EXPERIMENT, "rate")
    reached = {
        name: plane_rows.finals(results, EXPERIMENT, metric)
        for name, (metric, _) in REACHED.items()
    }
    accuracy = plane_rows.finals(results, EXPERIMENT, "accuracy")
    brightness = plane_rows.finals(results, EXPERIMENT, "brightness_error")
    ends = {n: plane_rows.ends(results, EXPERIMENT, f"multiplier_{n}") for n in REACHED}
    lost = plane_rows.lost(results, EXPERIMENT)
    rows: list[list[Entry]] = []
    for setting in plane_rows.settings(rate, lost):
        gone = of(lost, setting)
        for wanted in constraint_rows.groups(of(rate, setting), gone):
            values = partial(_values, setting=setting, wanted=wanted)
            failed = list(constraint_rows.under(gone, wanted)["status"])
            error = estimate(np.sqrt(values(reached["RE"])), failed)
            for name, kappa in wanted.entries:
                number = values(reached[name])
                number = np.sqrt(number) if REACHED[name][1] else number
                found = estimate(number, failed)
                verdict = NOT_RUN
                if isinstance(found, Estimate):
                    verdict = "met" if constraint_rows.met(name, kappa, found.mean) else "not met"
                rows.append(
                    [shown(setting.dataset), str(wanted), name, FORMULAS[name],
                     f"{kappa:g}", found, verdict, estimate(values(ends[name]), failed),
                     estimate(values(rate), failed), error, estimate(values(accuracy), failed),
                     estimate(values(brightness), failed)]
                )  # fmt: skip
    titles = [
        *("data set", "trained under", "constraint", "formula", "kappa", "reached", "met"),
        *("lambda at the end", "KL", "RMS error", "accuracy", "brightness error"),
    ]
    notes = [
        "Of test images at a sampled z; lambda is the mean over the last 5 % of training, for RE "
        "of the error summed over pixels, KL in nats per image. Errors are RMS, those of FRE "
        "relative to the RMS of the features. Met: an error within 5 % of kappa or below, a "
        "probability or correlation of at least kappa - 0.02.",
        "Accuracy: of the frozen classifier on reconstructions. Brightness error: mean absolute "
        "difference of an image's mean, which PNCC does not see. f: both convolutional layers of "
        "that classifier. Formulas, patches, networks and thresholds are our choice.",
    ]
    return Table(titles, rows, notes)


def _values(frame: pd.DataFrame, setting: Setting, wanted: constraint_rows.Bounds) -> pd.Series:
    return constraint_rows.under(of(frame, setting), wanted)["value"]
