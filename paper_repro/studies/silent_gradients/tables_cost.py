"""T9: what a step costs with and without silent gradients, and what reaching a score costs."""

from __future__ import annotations

import pandas as pd

from paper_repro.claims.selection import COMMON
from paper_repro.drawing.tables import NONE, Entry, Table, estimate
from paper_repro.results.frames import FINISHED, Results
from paper_repro.studies.silent_gradients import methods, scores
from paper_repro.studies.silent_gradients.scores import FIXED, LEARNED, STUDY

PAIR = [*COMMON, "device_name"]  # times of two machines do not compare


def cost(results: Results) -> Table:
    """Time and memory of E1 and E2, each method against a reference."""
    rows: list[list[Entry]] = []
    used = []
    for title, experiment in (("E1", FIXED), ("E2", LEARNED)):
        every, gone = scores.tuned(results, experiment), scores.lost(results, experiment)
        validation = scores.judged(results, experiment, split="validation")
        times = _milliseconds(results, experiment)
        used.append(scores.last(validation))
        for cell in scores.in_order(every):
            of_e1 = "" if cell["method"] == methods.SILENT else methods.SILENT
            reference = of_e1 if experiment == FIXED else cell["baseline"]
            other = scores.partner(every, cell, reference)
            mine, costs = scores.of(times, cell), scores.of(results.costs, cell)
            row = [title, *scores.head(cell, "dataset", "model", "family", "dim", "method")]
            row += [", ".join(dict.fromkeys(mine["device_name"])) or NONE]
            row += [scores.measured(times, cell, gone)]
            row += [_largest(costs["peak_memory_mib"]), _flops(costs, cell), reference or NONE]
            if other is None:
                row += [NONE] * 3
            else:
                found = scores.reached(results, experiment, validation, cell, other)
                row += [estimate(_ratio(mine, scores.of(times, other)))]
                row += [scores.time_to(found["progress"])]
                row += [scores.time_to(found["seconds"] / found["own"])]
            rows.append(row)
    return Table(
        [
            *("experiment", "data set", "encoder", "latents", "number", "method", "device"),
            *("ms / step", "peak MiB", "MFLOP / step", "reference", "time per step / reference's"),
            *("as good as the reference after (of its run)", "seconds to there / reference's all"),
        ],
        rows,
        [
            "Reference: in E1 the silent gradient, in E2 the method without it that it anneals "
            "to. Time per step: of training alone, runs trained together share it; on a shared "
            "machine it is no more than indicative. MFLOP: matrix products of a step, counted for "
            "runs of a minute or more.",
            "As good: the validation score reaches the reference's final one; measured at marks "
            "only, so late by up to the distance of two. Seconds: of training, up to there and of "
            "the reference's whole run.",
            scores.origin(*used),
        ],
    )


def _milliseconds(results: Results, experiment: str) -> pd.DataFrame:
    """Time per step of every finished run, as `value`."""
    runs = results.runs
    ours = (runs["study"] == STUDY) & (runs["experiment"] == experiment)
    done = runs[ours & (runs["status"] == FINISHED) & (runs["steps_per_second"] > 0)]
    return done.assign(value=1000 / done["steps_per_second"])


def _ratio(mine: pd.DataFrame, other: pd.DataFrame) -> pd.Series:
    sides = [side.set_index(PAIR)["value"] for side in (mine, other)]
    return (sides[0] / sides[1]).dropna()


def _largest(values: pd.Series) -> Entry:
    return f"{values.max():.4g}" if values.notna().any() else NONE


def _flops(costs: pd.DataFrame, cell: pd.Series) -> Entry:
    steps = costs["runs"] * float(cell["steps"])
    counted = costs[(costs["flops"] > 0) & (steps > 0)]
    return f"{(counted['flops'] / steps).mean() / 1e6:.4g}" if len(counted) else NONE
