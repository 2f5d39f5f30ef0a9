"""GECO's multipliers step by step, and its Lagrangian; tests/oracles has what it converges to."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from paper_repro.distributions.gaussian import DiagonalGaussian, standard_normal_log_prob
from paper_repro.estimators import exact_kl, total
from paper_repro.objectives import geco

F64 = torch.float64


def state(*multipliers: float) -> geco.State:
    return {
        "log_multiplier": torch.tensor(multipliers, dtype=F64).log(),
        "violation_average": torch.zeros(len(multipliers), dtype=F64),
        "started": torch.tensor(False),
    }


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=F64)


def test_multipliers_start_at_one_and_the_average_with_the_first_violation():
    start = geco.init_state(2)
    assert geco.multipliers(start).tolist() == [1, 1]
    after = geco.advance(start, torch.tensor([3.0, -2.0]), 1.0)
    assert after["violation_average"].tolist() == [3, -2]
    again = geco.advance(after, torch.tensor([1.0, 0.0]), 1.0)
    torch.testing.assert_close(again["violation_average"], torch.tensor([2.98, -1.98]))


def test_a_multiplier_follows_its_own_relative_violation_and_no_other():
    scale = tensor(10.0, 2.0, 4.0)
    after = geco.advance(state(1.0, 2.0, 3.0), tensor(5.0, -1.0, 0.0), scale)
    expected = tensor(1.0, 2.0, 3.0).log() + tensor(0.0025, -0.0025, 0.0)
    torch.testing.assert_close(after["log_multiplier"], expected)


def test_a_multiplier_rises_where_the_constraint_is_violated_and_falls_where_it_holds():
    for violation in (0.3, -0.3):
        found = state(1.0)
        for _ in range(10):
            found = geco.advance(found, tensor(violation), 1.0)
        change = float(found["log_multiplier"])
        assert change == pytest.approx(10 * 5e-3 * violation)


def test_a_step_is_clipped_and_a_multiplier_stays_within_its_bounds():
    found = geco.advance(state(1.0, 1.0), tensor(1e9, -1e9), 1.0)
    torch.testing.assert_close(found["log_multiplier"], tensor(0.02, -0.02))
    found = geco.advance(state(1e6, 1e-6), tensor(1e9, -1e9), 1.0)
    torch.testing.assert_close(geco.multipliers(found), tensor(1e6, 1e-6))


def test_a_constraint_that_nothing_can_meet_is_flagged_and_no_other():
    found = geco.init_state(3)
    for _ in range(800):
        found = geco.advance(found, torch.tensor([5.0, 0.0, -5.0]), 1.0)
    assert geco.infeasible(found).tolist() == [True, False, False]
    assert found["log_multiplier"].isfinite().all()


def test_the_literal_algorithm_multiplies_by_the_exponential_of_the_mean_violation():
    pixels = 64
    found = geco.init_state(1, 1 / pixels)  # one, in units of the mean
    assert float(pixels * geco.multipliers(found)) == pytest.approx(1, rel=1e-6)
    found = geco.advance(found, torch.tensor([5.0 * pixels]), pixels, **geco.LITERAL)
    assert float(pixels * geco.multipliers(found)) == pytest.approx(math.exp(5), rel=1e-5)


def test_the_update_has_no_gradient_and_leaves_its_argument_alone():
    start, violation = state(1.0), tensor(2.0).requires_grad_()
    kept = {name: value.clone() for name, value in start.items()}
    after = geco.advance(start, violation, 1.0)
    assert not any(value.requires_grad for value in after.values())
    assert all(torch.equal(start[name], kept[name]) for name in kept)


X = torch.tensor([[0.8, -0.3], [-1.1, 0.4], [0.2, 0.9]], dtype=F64)


def posterior(params: dict[str, Tensor]) -> DiagonalGaussian:
    return DiagonalGaussian(params["mean"], params["log_scale"])


def params() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(3, 2, generator=generator, dtype=F64).requires_grad_()
        for name in ("mean", "log_scale", "decoder")
    }


def joint(p: dict[str, Tensor], multipliers: Tensor) -> geco.ConstrainedJoint:
    """Two constraints: squared error, and absolute error."""

    def violations(z: Tensor) -> Tensor:
        error = X - z * p["decoder"]
        return torch.stack([error.square().sum(-1) - 0.1, error.abs().sum(-1) - 0.2])

    return geco.ConstrainedJoint(violations, standard_normal_log_prob, multipliers)


NOISE = {"z": torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(1), dtype=F64)}


@pytest.mark.parametrize("estimator", [total, exact_kl])
def test_the_bound_is_minus_the_lagrangian_in_value_and_gradient(estimator):
    p, weights = params(), tensor(0.7, 3.0)
    log_joint = joint(p, weights)
    q = posterior(p)
    bound = geco.bound(estimator.terms(q, log_joint, NOISE), q).sum()
    z = q.rsample(NOISE)
    energy = torch.einsum("c,ckb->kb", weights, log_joint.violations(z)).mean(0).sum()
    if estimator is total:
        divergence = (q.log_prob(z) - standard_normal_log_prob(z)).mean(0).sum()
        torch.testing.assert_close(bound, -(energy + divergence))
    else:
        divergence = q.kl_standard().sum()
    found = torch.autograd.grad(bound, list(p.values()), retain_graph=True)
    expected = torch.autograd.grad(-(energy + divergence), list(p.values()))
    torch.testing.assert_close(found, expected)


def test_violations_seen_are_those_of_the_sample_detached():
    p = params()
    log_joint = joint(p, tensor(1.0, 1.0))
    assert log_joint.seen is None
    z = posterior(p).rsample(NOISE)
    log_joint(z)
    assert not log_joint.seen.requires_grad
    torch.testing.assert_close(log_joint.seen, log_joint.violations(z).detach())


def test_members_trained_together_take_the_steps_of_a_loop():
    def step(p: dict[str, Tensor], s: geco.State) -> tuple[Tensor, geco.State]:
        q, log_joint = posterior(p), joint(p, geco.multipliers(s))
        loss = -geco.bound(total.terms(q, log_joint, NOISE), q).sum()
        return loss, geco.advance(s, log_joint.seen.mean((1, 2)), tensor(0.1, 0.2))

    members = [
        ({n: v.detach() + m for n, v in params().items()}, state(1.0 + m, 2.0)) for m in (0, 1)
    ]
    members[1][1]["started"] = torch.tensor(True)
    stacked = [{n: torch.stack([m[i][n] for m in members]) for n in members[0][i]} for i in (0, 1)]
    loss, after = torch.vmap(step)(*stacked)
    for index, member in enumerate(members):
        alone, alone_after = step(*member)
        torch.testing.assert_close(loss[index], alone)
        for name, value in alone_after.items():
            torch.testing.assert_close(after[name][index], value)


def test_bad_input_is_refused_by_name():
    with pytest.raises(ValueError, match="constraints"):
        geco.init_state(0)
    with pytest.raises(ValueError, match="multiplier"):
        geco.init_state(1, 0.0)
    with pytest.raises(ValueError, match="violations"):
        geco.advance(geco.init_state(2), torch.zeros(3), 1.0)
    with pytest.raises(ValueError, match="violations"):
        joint(params(), tensor(1.0))(posterior(params()).rsample(NOISE))
