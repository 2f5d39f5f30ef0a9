"""The facts of there_and_back_again on rows of its own tasks: they hold, and turned ones fail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paper_repro import grid, registry
from paper_repro.cell import Cell
from paper_repro.claims.borders import CONTRADICTED, INCONCLUSIVE, NOT_RUN, SUPPORTED
from paper_repro.claims.check import FACT
from paper_repro.claims.names import read as load_claims
from paper_repro.drawing import style
from paper_repro.drawing.tables import as_markdown
from paper_repro.results.frames import Results
from paper_repro.rows import Row
from paper_repro.studies.there_and_back_again import figures_theory, tables_derived
from tests.claims.deletion import verdicts
from tests.figures.reading import texts
from tests.results import there_and_back_again_rows as made
from tests.results.made_runs import results
from tests.studies.there_and_back_again.back_runs import STUDY, TASKS

CLAIMS = load_claims(registry.STUDIES / STUDY / "claims.yaml", STUDY)
FACTS = [claim for claim in CLAIMS if claim.kind == FACT]
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
def measured() -> dict[str, list[Row]]:
    """Rows of the study's own tasks at tier smoke, by cell."""
    return {
        cell.id: registry.load("tasks", cell.task, STUDY).build(cell, 0, "cpu").evaluate({}, {}, 0)
        for cell in grid.expand(STUDY, "smoke")
        if cell.experiment in TASKS
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory, measured) -> Results:
    """These, and made-up ones of trained networks, of which some facts are too."""
    cells = [c for c in grid.expand(STUDY, "smoke") if c.id in measured]

    def make(cell: Cell, seed: int) -> list[Row]:
        return measured.get(cell.id) or [*made.rows(cell, seed)]

    trained = made.cells("smoke", ("elbo",))
    return results(tmp_path_factory.mktemp("back"), [*cells, *trained], make, "smoke")


def test_all_facts_hold_on_measured_rows(found):
    assert set(verdicts(found, FACTS).values()) == {SUPPORTED}
    assert {claim.id for claim in FACTS} == {*WRONG, "back-T12"}


@pytest.mark.parametrize("claim", WRONG)
def test_a_wrong_number_fails_its_claim_and_a_lost_one_leaves_it_open(claim, found):
    metric, value = WRONG[claim]
    rows = found.metrics
    asked = rows["metric"] == metric
    turned = replace(found, metrics=rows.assign(value=rows["value"].mask(asked, value)))
    (own,) = (one for one in FACTS if one.id == claim)
    assert verdicts(turned, [own]) == {claim: CONTRADICTED}
    lost = replace(found, metrics=rows[~asked])
    assert verdicts(lost, [own])[claim] in (INCONCLUSIVE, NOT_RUN)


def test_figure_and_table_show_what_was_measured(found, measured):
    with style.settings():
        drawn = figures_theory.theory(found)
    assert "not run" not in texts(drawn)
    gap = {row.at: row.value for row in measured["evidence"] if row.metric == "evidence_gap"}
    marks = [line for line in drawn.axes[0].lines if line.get_marker() == "o"]
    assert sorted(marks[0].get_ydata()) == pytest.approx(sorted(gap.values()))
    text = as_markdown(tables_derived.derived(found))
    assert "| 1.9 bound on the gradient, A, s2 = 1, I = 3 | 10.03 | 10.03 (n = 1)" in text
    assert "12 points, free variances, sigma 0.2 | 0.0986 | not run" in text  # smoke has 24
    assert "differs" not in text.split("Stated numbers")[0].replace("difference", "")
