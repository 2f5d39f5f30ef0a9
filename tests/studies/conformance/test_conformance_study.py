"""The conformance study covers every estimator, and its task measures what it says."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch

from paper_repro import grid, registry
from paper_repro.gradients.draws import unbiased
from paper_repro.gradients.moments import Moments
from paper_repro.studies.conformance import costs, measure
from paper_repro.studies.conformance.problems import PROBLEMS
from paper_repro.studies.conformance.tasks import conformance
from paper_repro.training.memory import Memory

SMALL = {"k": 2, "draws": 4000, "temperatures": [0.2, 1.0], "cost_repeats": 3}
KINDS = list(dict.fromkeys(PROBLEMS.values()))


def served(kind: str) -> set[str]:
    """Estimators that say they serve a posterior, under a bound with a known gradient."""
    return {
        name
        for name in registry.names("estimators")
        if kind in registry.constant("estimators", name, "SUPPORTS")
        and set(measure.FAMILIES) & set(registry.constant("estimators", name, "OBJECTIVES"))
    }


@pytest.mark.parametrize("tier", grid.TIERS)
def test_the_grid_compares_every_estimator_on_every_latent_it_serves(tier):
    cells = {cell.params["latent"]: cell for cell in grid.expand("conformance", tier)}
    assert set(cells) == set(KINDS)
    for kind, cell in cells.items():
        assert set(cell.params["compare"]) == served(kind), f"grid.yaml: compare of {kind}"
        assert len(set(cell.params["compare"])) == len(cell.params["compare"])


def test_an_edit_of_an_estimator_reaches_the_cells_that_measure_it():
    cells = {cell.params["latent"]: cell for cell in grid.expand("conformance", "smoke")}
    silent, partial = (registry.path_of("estimators", n).resolve() for n in ("silent", "partial"))
    assert silent in grid.sources(cells["bernoulli"])
    assert silent not in grid.sources(cells["flow"])
    assert partial in grid.sources(cells["mixture"])


@pytest.fixture(scope="module", params=KINDS)
def measured(request) -> pd.DataFrame:
    p = {**SMALL, "latent": request.param, "compare": sorted(served(request.param))}
    rows = list(conformance.rows(p, 1, Memory()))
    frame = pd.DataFrame([vars(row) for row in rows])
    at = [dict(part.split("=") for part in text.split(",")) for text in frame.pop("at")]
    return frame.join(pd.DataFrame(at)).assign(latent=request.param)


def test_every_estimator_has_every_number_and_each_is_finite(measured):
    assert measured["value"].map(math.isfinite).all()
    kind = measured["latent"][0]
    biased = measured[measured["metric"] == "bias_z_max"]
    for name, toy in ((n, t) for n in served(kind) for t in PROBLEMS if PROBLEMS[t] == kind):
        mine = biased[(biased["estimator"] == name) & (biased["problem"] == toy)]
        if measure.serves(name, toy, "elbo"):
            assert list(mine[mine["bound"] == "elbo"]["group"]) == ["encoder", "decoder"]
    keys = ["metric", "problem", "bound", "group", "estimator", "temperature"]
    known = [key for key in keys if key in measured]
    assert not measured.fillna("").duplicated(known).any()


def test_unbiased_estimators_are_within_six_standard_errors(measured):
    biased = measured[measured["metric"] == "bias_z_max"]
    for row in biased.itertuples():
        if unbiased(row.estimator, row.bound, k=2):
            assert row.value < 6, row


def test_only_silent_gradients_repeat_bit_by_bit(measured):
    found = measured[measured["metric"] == "repeat_identical"]
    assert set(found[found["value"] == 1]["estimator"]) <= {"silent"}
    silent = found[found["estimator"] == "silent"]
    assert (silent["value"] == 1).all()
    assert len(silent) == (measured["latent"][0] in ("gaussian", "bernoulli", "categorical"))


def test_at_the_optimum_path_has_no_variance_and_total_has(measured):
    found = measured[measured["metric"] == "variance_at_optimum"].set_index("estimator")["value"]
    if measured["latent"][0] in conformance.CONTINUOUS:
        assert found["path"] < 1e-20 < 1e-3 < found["total"]
    else:
        assert found.empty


def test_costs_are_relative_to_the_plainest_unbiased_estimator(measured):
    found = measured[measured["metric"] == "cost_ratio"]
    for (_, bound), block in found.groupby(["problem", "bound"]):
        ratios = block.set_index("estimator")["value"]
        reference = next(name for name in costs.REFERENCES if name in ratios)
        assert ratios[reference] == 1
        assert unbiased(reference, str(bound), 2)
        assert (ratios > 0.05).all()


def test_a_seed_gives_its_numbers_again_but_for_the_seconds():
    p = {**SMALL, "draws": 1000, "latent": "mixture", "compare": ["total", "path"]}
    first, again, other = (list(conformance.rows(p, seed, Memory())) for seed in (1, 1, 2))
    timed = {"seconds_per_gradient", "cost_ratio"}
    first, again, other = (
        [row for row in rows if row.metric not in timed] for rows in (first, again, other)
    )
    assert first == again
    assert all(a.value != b.value for a, b in zip(first, other, strict=True) if a.value)


def test_bias_and_variance_of_known_moments():
    exact = {"a": torch.tensor([3.0, 0.0]), "b": torch.tensor([4.0])}
    found = {
        "a": Moments(100, torch.tensor([3.0, 1.0]), torch.tensor([1.0, 4.0])),
        "b": Moments(100, torch.tensor([4.0]), torch.tensor([20.0])),
    }
    values = {m: v for m, (v, _) in conformance.bias_and_variance(found, exact).items()}
    assert values == pytest.approx(
        {
            "bias_z_max": 1 / 0.2,
            "relative_bias": 1 / 5,
            "relative_bias_noise": 0.5 / 5,
            "gradient_variance": 25.0,
            "relative_variance": 1.0,
        }
    )


def test_reported_numbers_are_none_under_the_suite_s_columns():
    folders = (registry.STUDIES / name / "reported.csv" for name in grid.study_names())
    own = pd.read_csv(registry.STUDIES / "conformance" / "reported.csv")
    assert own.empty
    coordinates = {"layers", "objective", "k", "estimator"}  # a study has those of its own claims
    shared = set(own.columns) - coordinates
    assert all(shared <= set(pd.read_csv(path).columns) for path in folders)
