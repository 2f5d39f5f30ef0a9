"""Figures and tables of the theory of "Taming VAEs" show what the rows say, or what was not run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib.figure import Figure

from paper_repro import registry
from paper_repro.cell import Cell
from paper_repro.drawing import style
from paper_repro.drawing.tables import as_markdown
from paper_repro.results.collect import collect
from paper_repro.results.frames import Results, load
from paper_repro.rows import Row, coordinates
from paper_repro.studies.taming_vaes import figures_theory, tables_theory
from paper_repro.studies.taming_vaes.tasks.linear import RULES
from tests.figures.reading import texts
from tests.results.made_runs import cell, write_run

STUDY = "taming_vaes"
FIGURES = {
    "figure1": figures_theory.figure1,
    "figure2": figures_theory.figure2,
    "figure2_random": figures_theory.figure2_random,
    "step_size": figures_theory.step_size,
    "water_filling": figures_theory.water_filling,
}
KAPPAS = (0.1, 0.125)


def made_rows(rules: tuple[str, ...], kappas: tuple[float, ...], seed: int) -> Iterator[Row]:
    """Made-up rows of task `linear`; sum_0.001 never meets its constraint."""
    for place, rule in enumerate(rules):
        for kappa in kappas:
            at = coordinates(rule=rule, kappa=kappa)
            yield Row("water_filling_rate", 3 / kappa, "nats/image", at=at)
            yield Row("water_filling_multiplier", 0.43 / kappa**2, "1", at=at)
            yield Row("rate", 3.1 / kappa + 0.01 * seed, "nats/image", at=at)
            yield Row("multiplier", 0.44 / kappa**2, "1", at=at)
            yield Row("rmse", kappa, "rmse/pixel", at=at)
            for metric in ("rate_gap", "multiplier_gap", "sse_gap"):
                yield Row(metric, 0.0123, "1", at=at)
            yield Row("peak_multiplier", 100.0 + place, "1", at=at)
            yield Row("peak_rate", 77.0, "nats/image", at=at)
            if rule != "sum_0.001":
                yield Row("crossing", 249.0, "1", at=at)
            name = f"{rule}_{kappa:g}"
            for step in (1, 10, 100):
                for metric in ("multiplier", "rate"):
                    yield Row(f"{metric}_{name}", 5.0 + step, "1", step=step, kind="curve")
        if len(kappas) > 1:
            at = coordinates(rule=rule, kappa=kappas[0])
            yield Row("slope", 33.0, "1", at=at)
            yield Row("slope_position", 0.4, "1", at=at)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    root = tmp_path_factory.mktemp("theory")
    cells = []
    for task, id, params in (
        ("schematic", "schematic", {}),
        ("phases", "phases-hierarchical", {"points": "hierarchical", "shown": [5.0, 0.2]}),
    ):
        found = {"betas": 40, **params}
        one = cell(task, id, study=STUDY, tier="quick", seeds=1, steps=0, **params)
        module = registry.load("tasks", task, STUDY)
        problem = module.build(Cell(STUDY, task, id, "quick", task, found), 0, "cpu")
        rows = problem.evaluate({}, {}, 0)
        write_run(root / "runs", one, 0, rows, arrays=problem.arrays({}))
        cells.append(one)
    for name, rules, kappas in (
        ("linear", ("relative_clipped",), KAPPAS),
        ("step_size", tuple(RULES), KAPPAS[:1]),
    ):
        one = cell(name, name, study=STUDY, tier="quick", seeds=2)
        for seed in one.seeds:
            write_run(root / "runs", one, seed, made_rows(rules, kappas, seed))
        cells.append(one)
    collect(cells, root / "runs", root / "out", "quick")
    return load(root / "out")


def drawn(name: str, results: Results) -> Figure:
    with style.settings():
        return FIGURES[name](results)


def test_point_sets_are_drawn_apart(results):
    assert "not run" in texts(drawn("figure2_random", results))  # only the others were run


def test_figure2_marks_the_spikes_of_the_run(results):
    arrays = results.arrays(STUDY, "phases-hierarchical", 0)
    curvature = drawn("figure2", results).axes[-1]
    (marks,) = [line for line in curvature.lines if line.get_marker() == "v"]
    np.testing.assert_allclose(marks.get_xdata(), arrays["spike"])


def test_every_step_rule_has_a_line_and_a_row(results):
    assert set(figures_theory.RULES) == set(tables_theory.RULES) == set(RULES)
    axes = drawn("step_size", results).axes[0]
    labels = {line.get_label() for line in axes.lines}
    assert labels == {"solution (water-filling)", *(v[0] for v in figures_theory.RULES.values())}
    text = as_markdown(tables_theory.step_size(results))
    assert text.count("not reached") == 1
    assert "105 ± 0" in text  # peak of the last rule


def test_the_rule_table_says_what_the_task_does():
    for name, rule in RULES.items():
        per, rate, clip, start = tables_theory.RULES[name]
        words = {"mean": "D (mean)", "sum": "1 (sum)", "relative": "D kappa²"}
        assert per.split(",")[0] == words[rule.per]
        assert float(rate) == rule.rate
        assert clip == ("none" if rule.clip == float("inf") else f"{rule.clip:g}")
        assert start == ("1 / D" if rule.per == "mean" else "1")


def test_the_linear_table_has_what_the_rows_say(results):
    rows = {str(row[0]): row for row in tables_theory.linear(results).rows}
    assert rows["0.1"][3] == "30"
    assert rows["0.125"][6] == "1.2e-02"
    text = as_markdown(tables_theory.propositions(results))
    assert "kappa 0.1 to 0.125 | linear VAE | between 28.16 and 44" in text
