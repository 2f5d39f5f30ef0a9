"""The reported numbers are complete, unique and say where they come from."""

from __future__ import annotations

import pandas as pd

from paper_repro import registry
from paper_repro.units import UNITS

FOLDER = registry.STUDIES / "sticking_the_landing"
COLUMNS = [
    *("study", "id", "dataset", "layers", "objective", "k", "estimator"),
    *("metric", "value", "unit", "error", "source", "sourced"),
]


def _reported() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "reported.csv")


def test_every_reported_number_has_a_unit_and_a_source() -> None:
    reported = _reported()
    assert list(reported.columns) == COLUMNS
    assert set(reported["unit"]) <= UNITS
    assert set(reported["sourced"]) <= {"yes", "memory"}
    assert reported["source"].str.len().min() > 10
    assert reported["id"].is_unique


def test_burda_s_table_is_there_for_both_data_sets() -> None:
    burda = _reported().query("id.str.startswith('burda2016-')", engine="python")
    grid = burda.pivot_table("value", ["dataset", "layers"], ["objective", "k"])
    assert grid.shape == (4, 5)
    assert grid.notna().all(axis=None)
    assert ((grid > 80) & (grid < 110)).all(axis=None)
    for layers in (1, 2):  # a tighter bound was never reported to be worse
        for data in ("mnist", "omniglot"):
            row = grid.loc[(data, layers)]
            assert row["iwae", 50] < row["iwae", 5] < row["elbo", 1]
