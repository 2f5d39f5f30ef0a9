"""The reported numbers have a unit and a source, and only what we could read is among them."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from paper_repro import registry
from paper_repro.units import UNITS


def test_the_one_number_of_the_paper_has_a_unit_and_a_source():
    table = pd.read_csv(registry.STUDIES / "taming_vaes" / "reported.csv", keep_default_na=False)
    assert set(table["study"]) == {"taming_vaes"}
    assert set(table["unit"]) <= UNITS
    assert set(table["sourced"]) == {"yes"}
    assert table["id"].is_unique
    assert table["source"].str.contains("our reading").all()
    assert math.sqrt(table["value"].item()) == pytest.approx(0.01703, abs=1e-5)
