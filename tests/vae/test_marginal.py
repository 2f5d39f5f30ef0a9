"""The bracket of the marginal KL of a model whose codes have a known distribution."""

from __future__ import annotations

import math

import pytest
import torch

from paper_repro.distributions import flow
from paper_repro.errors import UserError
from paper_repro.vae.interface import entries
from tests.vae import constrained, tiny

SIZES = {"steps": 80, "codes": 1347, "encoders": 300}


def bracket(bias: list[float], **changes: object) -> dict[str, float]:
    """Both sides, their errors and the floor where every code is drawn from the one Gaussian whose
    means and log-scales are `bias`."""
    problem = constrained.build(marginal=SIZES, **changes)
    weights = constrained.silenced(problem)
    weights["encoder.head.bias"] = torch.tensor(bias)
    found = constrained.rows_of(problem, **weights)
    return {
        "low": found["marginal_kl", "test", "side=low"],
        "low_error": found["marginal_kl_error", "test", "side=low"],
        "high": found["marginal_kl", "test", "side=high"],
        "high_error": found["marginal_kl_error", "test", "side=high"],
        "floor": found["marginal_kl_floor", "test", ""],
    }


@pytest.mark.parametrize("changes", [{}, constrained.FLOW], ids=["standard", "flow"])
def test_an_encoder_that_equals_the_prior_leaves_no_marginal_kl(changes: dict) -> None:
    """All encoders are N(0, I), so that their mixture is the prior; of the flow prior, one of
    zeros, which is the identity."""
    found = bracket([0.0, 0.0, 0.0, 0.0], **changes)
    assert found["high"] == pytest.approx(0, abs=1e-5)
    assert -0.1 < found["low"] < 6 * found["low_error"]
    assert found["low"] <= found["high"] + 6 * found["low_error"]
    assert found["floor"] == pytest.approx(-math.log(300), abs=1e-5)


def test_the_bracket_is_taken_against_the_flow_where_that_is_the_prior() -> None:
    """A flow that only shifts: N(m, I), which is nothing from codes N(m, I), and m^2 / 2 from
    codes N(0, I)."""
    problem = constrained.build(marginal=SIZES, **constrained.FLOW)
    weights = constrained.silenced(problem)
    shift = torch.tensor([0.0, 0.0, 0.6, -0.9])  # log-scales and shifts of both layers
    weights["prior.bias_out"] = shift.expand_as(weights["prior.bias_out"]).clone()
    mean = flow.Flow(entries("prior", weights)).forward(torch.zeros(1, 2))[0][0]
    assert mean.abs().tolist() == pytest.approx([0.6, 0.9])
    far = constrained.rows_of(problem, **weights)
    weights["encoder.head.bias"] = torch.cat([mean, torch.zeros(2)])
    near = constrained.rows_of(problem, **weights)
    for side in ("low", "high"):
        value, error = (
            far[name, "test", f"side={side}"] for name in ("marginal_kl", "marginal_kl_error")
        )
        assert value == pytest.approx((0.36 + 0.81) / 2, abs=6 * error)
        assert near["marginal_kl", "test", f"side={side}"] == pytest.approx(0, abs=0.1)


def test_a_marginal_away_from_the_prior_has_its_closed_form_between_the_sides() -> None:
    """q(z) = N(m, s^2 I) whatever the image: KL = sum (m^2 + s^2 - 1 - ln s^2) / 2."""
    mean, log_scale = 0.4, -0.5
    truth = mean**2 + math.exp(2 * log_scale) - 1 - 2 * log_scale
    found = bracket([mean, mean, log_scale, log_scale])
    assert truth == pytest.approx(0.528, abs=1e-3)
    assert found["high"] == pytest.approx(truth, abs=6 * found["high_error"])
    assert truth - 0.15 < found["low"] < truth + 6 * found["low_error"]
    assert found["low"] < found["high"] + 6 * found["high_error"]
    # one Gaussian for all images: the average KL is the marginal one, and the floor ln M below
    sampled = found["floor"] + math.log(300)
    assert sampled == pytest.approx(found["high"], abs=1e-4)


def test_a_low_side_that_is_not_fitted_says_nothing_and_a_fitted_one_does() -> None:
    """Wrong on purpose: a flow left at its start is the prior and reports 0 for any codes."""
    bias = [0.4, 0.4, -0.5, -0.5]
    unfitted = constrained.build(marginal=SIZES | {"steps": 0})
    weights = constrained.silenced(unfitted) | {"encoder.head.bias": torch.tensor(bias)}
    start = constrained.rows_of(unfitted, **weights)["marginal_kl", "test", "side=low"]
    assert abs(start) < 0.1
    assert bracket(bias)["low"] > start + 0.2


def test_high_is_above_low_for_a_network_that_tells_images_apart() -> None:
    problem = constrained.build(marginal=SIZES)
    weights = {name: p.detach() for name, p in problem.params.items()}
    found = constrained.rows_of(problem, **weights)
    low, high = (found["marginal_kl", "test", f"side={side}"] for side in ("low", "high"))
    errors = [found["marginal_kl_error", "test", f"side={side}"] for side in ("low", "high")]
    assert high > low - 6 * max(errors)
    # convexity: neither side exceeds the average KL
    assert max(low - 6 * errors[0], high - 6 * errors[1]) < found["rate", "test", ""] + 0.1


def test_the_chain_of_gaussians_of_convdraw_is_refused_before_it_trains() -> None:
    with pytest.raises(UserError, match="marginal: needs a Gaussian posterior"):
        tiny.checked(constrained.cell(marginal=SIZES, **constrained.DRAW))
