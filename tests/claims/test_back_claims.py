"""The facts of there_and_back_again on rows of its own tasks: they hold, and turned ones fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from paper_repro import grid, registry
from paper_repro.cell import Cell
from paper_repro.claims.names import read as load_claims
from paper_repro.claims.verdicts import evaluate
from paper_repro.drawing import style
from paper_repro.drawing.tables import as_markdown
from paper_repro.results.frames import Results
from paper_repro.rows import Row
from paper_repro.studies.there_and_back_again import figures_theory, tables_derived
from tests.figures.reading import texts
from tests.results.made_runs import results
from tests.studies.there_and_back_again.back_runs import STUDY, TASKS

FOLDER = registry.STUDIES / STUDY
FACTS = [claim.id for claim in load_claims(FOLDER / "claims.yaml", STUDY)]
Change = Callable[[Row], Row | None]
# one metric for each claim, and a value of it that cannot be
WRONG = {
    "back-T1": ("optimal_decoder_error", 1e-3),
    "back-T2": ("decoder_outside", 0.01),
    "back-T3": ("stationary_variance_error", 0.01),
    "back-T4": ("linear_evidence_difference", 0.01),
    "back-T5": ("penalty_ratio", 1.3),
    "back-T7": ("sampled_elbo_difference", 1.0),
    "back-T8": ("scale_gradient_error", 0.1),
    "back-T9": ("largest_gradient_over_bound", 1.1),
    "back-T11": ("flow_error_ratio", 0.5),
    "back-T13": ("riemannian_hessian_error", 0.3),
    "back-T14": ("least_flow_rise", -1e-3),
}


@pytest.fixture(scope="module")
def cells() -> list[Cell]:
    return [cell for cell in grid.expand(STUDY, "smoke") if cell.experiment in TASKS]


@pytest.fixture(scope="module")
def measured(cells) -> dict[str, list[Row]]:
    return {
        cell.id: registry.load("tasks", cell.task, STUDY).build(cell, 0, "cpu").evaluate({}, {}, 0)
        for cell in cells
    }


def found(path: Path, cells: list[Cell], measured: dict, change: Change = lambda row: row):
    def make(cell: Cell, seed: int) -> Iterator[Row]:
        return filter(None, map(change, measured[cell.id]))

    return results(path, cells, make, "smoke")


def verdicts(rows: Results) -> pd.Series:
    said = evaluate(rows, STUDY, FOLDER)
    return said[said["check"] == ""].set_index("claim")["verdict"]


def test_all_facts_hold_on_measured_rows(tmp_path, cells, measured):
    said = verdicts(found(tmp_path, cells, measured))
    assert [said[name] for name in WRONG] == ["supported"] * len(WRONG)
    assert set(WRONG) <= set(FACTS)


@pytest.mark.parametrize("claim", WRONG)
def test_a_wrong_number_fails_its_claim_and_a_lost_one_leaves_it_open(
    claim, tmp_path, cells, measured
):
    metric, value = WRONG[claim]
    turned = found(
        tmp_path / "turned", cells, measured,
        lambda row: replace(row, value=value) if row.metric == metric else row,
    )  # fmt: skip
    said = verdicts(turned)
    assert said[claim] == "contradicted"
    assert all(said[name] == "supported" for name in WRONG if name != claim)
    lost = found(
        tmp_path / "lost", cells, measured, lambda row: None if row.metric == metric else row
    )
    assert verdicts(lost)[claim] in ("inconclusive", "not run")


def test_figure_and_table_show_what_was_measured(tmp_path, cells, measured):
    rows = found(tmp_path, cells, measured)
    with style.settings():
        drawn = figures_theory.theory(rows)
    assert "not run" not in texts(drawn)
    gap = {row.at: row.value for row in measured["evidence"] if row.metric == "evidence_gap"}
    marks = [line for line in drawn.axes[0].lines if line.get_marker() == "o"]
    assert sorted(marks[0].get_ydata()) == pytest.approx(sorted(gap.values()))
    text = as_markdown(tables_derived.derived(rows))
    assert "| 1.9 bound on the gradient, A, s2 = 1, I = 3 | 10.03 | 10.03 (n = 1)" in text
    assert "12 points, free variances, sigma 0.2 | 0.0986 | not run" in text  # smoke has 24
    assert "differs" not in text.split("Stated numbers")[0].replace("difference", "")
