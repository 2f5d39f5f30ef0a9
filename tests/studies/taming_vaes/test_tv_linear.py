"""The linear VAE's expectations against samples and against water-filling; GECO's step rules."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from paper_repro import parameters
from paper_repro.cell import Cell
from paper_repro.metrics.spectrum import spectrum as eigenvalues
from paper_repro.metrics.water_filling import water_filling
from paper_repro.objectives import geco
from paper_repro.rows import Row
from paper_repro.studies.taming_vaes.tasks import linear
from paper_repro.studies.taming_vaes.tasks import water_filling as bound
from paper_repro.training import checkpoint
from paper_repro.training.bundle import Bundle
from paper_repro.training.loop import stepper
from paper_repro.training.problem import Problem
from paper_repro.vae import data as images

KAPPAS = [0.06, 0.08, 0.1, 0.125, 0.175]


def build(**params: Any) -> Problem:
    full = parameters.complete("taming_vaes", "linear", params, "test")
    return linear.build(Cell("taming_vaes", "x", "x", "smoke", "linear", full, (0,)), 0, "cpu")


def trained(**params: Any) -> dict[tuple[str, str, float], float]:
    problem = build(**params)
    bundle = Bundle([problem], [checkpoint.fresh(problem)], False)
    step = stepper(bundle)
    for _ in range(params["steps"]):
        step()
    member = bundle.member(0, bundle.params), bundle.member(0, bundle.state)
    return by_member(problem.evaluate(*member, params["steps"]))


def by_member(rows: list[Row]) -> dict[tuple[str, str, float], float]:
    at = [dict(part.split("=") for part in row.at.split(",")) for row in rows]
    return {
        (r.metric, a["rule"], float(a["kappa"])): r.value for r, a in zip(rows, at, strict=True)
    }


def test_expectations_are_those_of_samples():
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    encoder, decoder, log_scale = 0.3 * normal(4, 6), 0.3 * normal(6, 4), 0.3 * normal(4)
    factor = normal(6, 6)
    x = normal(200_000, 6) @ factor.T
    z = x @ encoder.T + log_scale.exp() * normal(len(x), 4)
    error = (x - z @ decoder.T).square().sum(1)
    posterior = torch.distributions.Normal(x @ encoder.T, log_scale.exp().expand(len(x), 4))
    prior = torch.distributions.Normal(torch.zeros(4).double(), torch.ones(4).double())
    rate = torch.distributions.kl_divergence(posterior, prior).sum(1)
    params = {"encoder": encoder, "decoder": decoder, "log_scale": log_scale}
    exact = linear.terms(params, factor @ factor.T)
    for sampled, expected in zip((rate, error), exact, strict=True):
        off = float((sampled.mean() - expected) / (sampled.std() / len(x) ** 0.5))
        assert abs(off) < 6


def test_water_filling_is_what_the_best_linear_vae_reaches():
    values = linear.spectrum(8)
    found = water_filling(values, 8 * 0.1**2)
    kept = values.clamp(min=found.level)
    variance = (found.level / kept).clamp(max=1)
    params = {
        "encoder": torch.diag((1 - variance) * (kept - found.level).clamp(min=1e-30).rsqrt()),
        "decoder": torch.diag((kept - found.level).sqrt()),
        "log_scale": 0.5 * variance.log(),
    }
    rate, error = linear.terms(params, torch.diag(values))
    assert float(rate) == pytest.approx(found.rate, rel=1e-9)
    assert float(error) == pytest.approx(8 * 0.1**2, rel=1e-9)


def test_our_spectrum_has_the_total_variance_and_the_numbers_of_the_specification():
    values = linear.spectrum(64)
    assert float(values.sum()) == pytest.approx(4.484)
    derived = [(67.92, 138.89), (49.79, 74.44), (36.78, 43.20), (25.21, 24.09), (11.02, 9.16)]
    for kappa, (rate, multiplier) in zip(KAPPAS, derived, strict=True):
        found = water_filling(values, 64 * kappa**2)
        assert found.rate == pytest.approx(rate, rel=5e-3)
        assert found.multiplier == pytest.approx(multiplier, rel=5e-3)


def off_by(found: dict[tuple[str, str, float], float]) -> float:
    gaps = ("rate_gap", "multiplier_gap", "sse_gap")
    return max(value for (metric, _, _), value in found.items() if metric in gaps)


LR = {"schedule": "exponential", "from": 0.01, "to": 0.0003, "start": 0.5}


def test_geco_reaches_water_filling_with_its_default_step():
    found = trained(pixels=4, kappas=[0.1, 0.175], rules=["relative_clipped"], steps=2500, lr=LR)
    assert off_by(found) < 0.02
    assert 0 < found["slope_position", "relative_clipped", 0.1] < 1
    assert found["crossing", "relative_clipped", 0.1] < 600


def test_a_multiplier_moved_the_wrong_way_is_caught(monkeypatch):
    real = geco.advance

    def flipped(state: Any, violations: torch.Tensor, scale: Any, **options: float) -> Any:
        return real(state, -violations, scale, **options)

    monkeypatch.setattr(geco, "advance", flipped)
    found = trained(pixels=4, kappas=[0.1], rules=["relative_clipped"], steps=600, lr=LR)
    assert off_by(found) > 0.02
    assert ("crossing", "relative_clipped", 0.1) not in found


def test_cells_may_name_the_rules_that_there_are():
    assert linear.PARAMS["rules"]["items"]["enum"] == list(linear.RULES)
    assert linear.RULES["relative_clipped"][1:] == (5e-3, 0.02)  # what geco.advance defaults to


def test_rules_start_alike_in_their_own_unit_and_move_as_they_say():
    problem = build(pixels=4, kappas=[0.1], rules=["mean_1", "sum_0.01", "relative"], steps=1)
    start = geco.multipliers(problem.state)
    assert start.tolist() == pytest.approx([0.25, 1.0, 1.0])
    violation = torch.full((3,), 0.08, dtype=torch.float64)
    p = {"pixels": 4, "kappas": [0.1], "rules": ["mean_1", "sum_0.01", "relative"]}
    after = linear.moved(problem.state, violation, torch.full((3,), 0.04).double(), p)
    steps = (geco.multipliers(after) / start).log().tolist()
    assert steps == pytest.approx([0.08 / 4, 0.01 * 0.08, 0.005 * 2])


def test_the_literal_rule_overshoots_and_the_clip_limits_it():
    found = trained(pixels=4, kappas=[0.1], rules=["mean_1", "relative_clipped"], steps=600, lr=LR)
    peaks = [found["peak_multiplier", rule, 0.1] for rule in ("mean_1", "relative_clipped")]
    assert peaks[0] > 2 * peaks[1]


def test_bounds_of_a_data_set_are_those_of_its_spectrum():
    params = {"dataset": "digits", "train_images": 500, "kappas": KAPPAS}
    cell = Cell("taming_vaes", "w", "w", "smoke", "water_filling", params, (0,))
    rows = bound.build(cell, 0, "cpu").evaluate({}, {}, 0)
    data = images.load("digits", "unit", "cpu")
    values = eigenvalues(data.train[:500], data.levels)
    assert rows[0].value == pytest.approx(float(values.sum()))
    rates = [row.value for row in rows if row.metric == "water_filling_rate"]
    assert rates == [water_filling(values, 64 * kappa**2).rate for kappa in KAPPAS]
    assert rates == sorted(rates, reverse=True)
    assert not any(math.isnan(row.value) for row in rows)
