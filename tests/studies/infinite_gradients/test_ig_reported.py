"""The reported numbers are complete, unique and say where they come from."""

from __future__ import annotations

import pandas as pd
import pytest

from paper_repro import registry
from paper_repro.studies.infinite_gradients import gamma_rows
from paper_repro.units import UNITS

FOLDER = registry.STUDIES / "infinite_gradients"
COLUMNS = [
    *("study", "id", "dataset", "model", "run", "metric"),
    *("value", "unit", "error", "source", "sourced"),
]


def _reported() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "reported.csv", keep_default_na=False)


def test_every_reported_number_has_a_unit_and_a_source() -> None:
    reported = _reported()
    assert list(reported.columns) == COLUMNS
    assert set(reported["study"]) == {"infinite_gradients"}
    assert set(reported["unit"]) <= UNITS
    assert set(reported["sourced"]) <= {"yes", "memory"}
    assert reported["source"].str.len().min() > 10
    assert reported["id"].is_unique


def test_figure_4_has_both_runs_and_the_ratios_that_the_text_reads_from_it() -> None:
    value = {
        (metric, run): gamma_rows.reported(metric, run, "celeba128")
        for metric in ("sse", "mmd_times_1000")
        for run in ("learned", "fixed")
    }
    ratios = {m: value[m, "fixed"] / value[m, "learned"] for m in ("sse", "mmd_times_1000")}
    assert ratios == {
        "sse": pytest.approx(0.992, abs=5e-4),
        "mmd_times_1000": pytest.approx(3.13, abs=5e-3),
    }
    assert gamma_rows.reported("sse", "learned", "faces") is None


def test_units_that_we_read_into_the_table_are_called_so() -> None:
    table = _reported()
    table = table[table["dataset"] == "celeba128"]
    assert len(table) == 4
    assert table["source"].str.contains("our reading").all()
    # Read as a sum over 128 x 128 x 3 pixels in [0, 1], the error is ordinary: gamma* 0.0072.
    assert table[table["metric"] == "sse"]["value"].iloc[0] / (128 * 128 * 3) == pytest.approx(
        0.00718, abs=1e-5
    )
