"""Learning rates: chosen on validation images, one a method; those of E1 are the chosen ones."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from paper_repro import grid
from paper_repro.results.collect import collect
from paper_repro.results.frames import Results, load
from paper_repro.rows import Row
from paper_repro.studies.there_and_back_again import methods, rates
from paper_repro.studies.there_and_back_again.methods import BILBO, VAE
from tests.results.made_runs import cell, results
from tests.studies.there_and_back_again.back_runs import STUDY

PUBLISHED = Path(__file__).parents[3] / "results/published/studies" / STUDY
PARAMS = {
    VAE: {"objective": "elbo", "likelihood": "gaussian_channel"},
    BILBO: {
        "objective": "bilbo",
        "likelihood": "gaussian_channel",
        "latent_options": {"scale": 1.0},
    },
}
DATA = ("mnist", "cifar10")


def raced(root: Path, scores: dict[tuple[str, float], tuple[object, object]]) -> Results:
    """Results of methods and rates with these validation scores on the two data sets."""
    cells, of_cell = [], {}
    for (method, lr), values in scores.items():
        for dataset, value in zip(DATA, values, strict=True):
            schedule = {"schedule": "cosine", "from": lr, "to": 1e-5}
            name = f"{method}-{lr}-{dataset}".replace(" ", "")
            params = {**PARAMS[method], "dataset": dataset, "lr": schedule}
            cells.append(cell("learning_rates", name, study=STUDY, seeds=1, **params))
            of_cell[name] = value

    def rows(one, seed):
        value = of_cell[one.id]
        return value if value in (None, "diverged") else list(scored(value))

    return results(root, cells, rows)


def scored(value: float):
    yield Row("elbo_per_value", value, "nats/value", "validation", "evaluation=native")
    yield Row("elbo_per_value", -value, "nats/value", "validation", "evaluation=common")
    yield Row("elbo_per_value", -value, "nats/value", "test", "evaluation=native")


def test_the_best_mean_over_the_data_sets_is_chosen(tmp_path):
    found = rates.candidates(
        raced(
            tmp_path,
            {
                (VAE, 0.001): (1.0, 2.0),
                (VAE, 0.003): (1.4, 1.5),  # best on one set, not in the mean
                (BILBO, 0.001): (1.0, 1.0),
                (BILBO, 0.003): (0.5, 1.5),  # as good: the smaller rate
                (BILBO, 0.01): (1.0, 0.9),
            },
        )
    )
    assert rates.chosen(found) == {VAE: 0.001, BILBO: 0.001}
    assert found[0].mean == pytest.approx(1.5)


@pytest.mark.parametrize("failed", ["diverged", None, math.nan, math.inf])
def test_a_candidate_that_failed_on_one_data_set_is_out_of_the_race(tmp_path, failed):
    scores = {(VAE, 0.001): (1.0, 1.0), (VAE, 0.003): (9.0, failed), (BILBO, 0.01): (failed, 1.0)}
    found = rates.candidates(raced(tmp_path, scores))
    assert [math.isnan(one.mean) for one in found] == [False, True, True]
    assert rates.chosen(found) == {VAE: 0.001}


@pytest.fixture(scope="module")
def planned(tmp_path_factory) -> Results:
    """The grid of tier reduced, of which nothing has run."""
    root = tmp_path_factory.mktemp("planned")
    collect(grid.expand(STUDY, "reduced"), root / "runs", root / "out", "reduced")
    return load(root / "out")


def test_every_method_of_e1_has_one_rate_that_was_a_candidate(planned):
    offered = {(one.method, one.rate) for one in rates.candidates(planned)}
    of_e1 = rates.of_e1(planned)
    assert list(of_e1) == list(methods.LOOKS)
    for method, own in of_e1.items():
        assert len(own) == 1, method
        assert (method, own[0]) in offered


def test_twice_as_long_is_with_the_same_rate(planned):
    long = rates.rate(planned.settings(STUDY, "twice"))
    assert set(long) == set(rates.of_e1(planned)[VAE])


def test_the_rates_of_e1_follow_from_the_published_rows(planned):
    published = load(PUBLISHED)
    if methods.finals(published, "learning_rates", **rates.SCORE).empty:
        pytest.skip("learning_rates of there_and_back_again: no published rows yet")
    found = rates.candidates(published)
    offered = [(one.method, one.rate) for one in rates.candidates(planned)]
    assert [(one.method, one.rate) for one in found] == offered
    lost = [status for one in found for gone in one.lost.values() for status in gone]
    assert set(lost) <= {"diverged"}
    best = rates.chosen(found)
    assert rates.of_e1(planned) == {method: [best[method]] for method in methods.LOOKS}
