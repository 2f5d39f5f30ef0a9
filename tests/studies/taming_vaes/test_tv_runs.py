"""Runs of task `constrained_vae`: seeds alone and together, pairs, resumption, ends, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from paper_repro.data import catalogue
from paper_repro.errors import UserError
from paper_repro.studies.taming_vaes.tasks import constrained_vae
from paper_repro.training.problem import Problem, Tensors
from tests.studies.taming_vaes import tv_cells as tv
from tests.training import composed, problems

CLASSIFIED = {"classifier_steps": 20, "constraints": {"CLA": 0.9}}


@pytest.mark.parametrize(
    "changes",
    [
        tv.ELBO,
        tv.ELBO | {"likelihood": "gaussian_gamma"},
        {"kappa": 0.1},
        CLASSIFIED,
        {"estimator": "exact_kl"},
        tv.FLOW,
    ],
)
def test_methods_of_a_seed_share_start_images_and_noise(changes: dict[str, Any]) -> None:
    first, second, other = tv.build(3), tv.build(3, **changes), tv.build(4, **changes)
    for name, weight in first.params.items():
        assert torch.equal(weight, second.params[name])
    assert not torch.equal(
        second.params["encoder.head.weight"], other.params["encoder.head.weight"]
    )
    for step in range(3):
        a, b, c = (problem.draw(step) for problem in (first, second, other))
        assert torch.equal(a["x"], b["x"])
        assert torch.equal(a["z"], b["z"])
        assert not torch.equal(a["x"], c["x"])


def test_a_batch_holds_each_rotated_digit_with_its_own_condition() -> None:
    problem, data = tv.build(**tv.DRAW), catalogue.load("digits_rotate")
    pictures, numbers = data.conditions["train"]
    for step in range(2):
        batch = problem.draw(step)
        condition = batch["condition"].unflatten(1, (3, 8, 8))
        for x, (picture, sine, cosine) in zip(batch["x"], condition, strict=True):
            same = (data.train.flatten(1) == (16 * x).round()).all(1).nonzero()[:, 0].tolist()
            shown = [i for i in same if torch.equal(pictures[i, 0], (16 * picture).round().byte())]
            assert len(shown) == 1
            assert torch.equal(sine, numbers[shown[0], 0].expand(8, 8))
            assert torch.equal(cosine, numbers[shown[0], 1].expand(8, 8))


HANDED = (0.1, 0.3)  # thresholds of two seeds, each from a giver of its own


def with_its_own_kappa(changes: dict[str, Any]) -> Callable[[int], Problem]:
    return lambda seed: tv.build(seed, **changes | {"kappa": HANDED[seed]})


def with_a_kappa_that_the_loss_knows(seed: int) -> Problem:
    """Wrong: the threshold is closed over, so that all members get the first one's."""
    problem = with_its_own_kappa({})(seed)
    loss, kappa = problem.loss, problem.state["objective.kappa"]

    def knowing(params: Tensors, state: Tensors, batch: Tensors) -> Any:
        found, after, logs = loss(params, state | {"objective.kappa": kappa}, batch)
        return found, after | {"objective.kappa": state["objective.kappa"]}, logs

    problem.loss = knowing
    return problem


@pytest.mark.parametrize(
    "changes",
    [{}, tv.FLOW, tv.DRAW, CLASSIFIED, CLASSIFIED | {"constraints": {"FRE": 0.5}}],
    ids=["mlp", "flow", "conditional convdraw", "CLA", "FRE"],
)
def test_seeds_of_different_thresholds_get_together_what_they_get_alone(
    changes: dict[str, Any],
) -> None:
    assert composed.agrees_with_its_members(with_its_own_kappa(changes))


def test_a_threshold_that_the_loss_closes_over_is_caught() -> None:
    assert not composed.agrees_with_its_members(with_a_kappa_that_the_loss_knows)


@pytest.mark.parametrize("changes", [{"constraints": {"PNCC": 0.5}}, tv.DRAW])
def test_resumed_from_a_checkpoint_it_changes_no_number(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    whole, resumed = composed.whole_and_resumed(lambda: tv.build(**changes), tmp_path)
    assert torch.equal(whole.sums, resumed.sums)
    for ours, theirs in ((whole.params, resumed.params), (whole.state, resumed.state)):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert whole.state["objective.log_multiplier"].abs().min() > 0


def test_training_ends_at_the_threshold() -> None:
    """Mean of the last 50 of 700 steps: within 2 percent of the RMS error asked for."""
    rule = {"rate": 0.05, "clip": 0.05, "decay": 0.5, "multiplier": 10}
    sizes = {"hidden": [64]}
    problem = tv.build(
        dim=8, kappa=0.15, steps=700, lr=0.01, batch_size=64, objective_options=rule, sizes=sizes
    )
    live = composed.bundle(problem)
    found = []
    for count in (50, 600, 50):
        live.sums.zero_()
        composed.steps(live, count)
        found.append(dict(zip(problem.log_units, (live.sums[1:] / count).tolist(), strict=True)))
    assert found[0]["relative_mse"] > 1.5
    assert math.sqrt(found[2]["relative_mse"]) == pytest.approx(1, abs=0.02)
    assert found[2]["rate"] > 5


@pytest.mark.parametrize("name", ["digits", "sprites"])
def test_a_threshold_that_nothing_can_meet_is_flagged(name: str) -> None:
    problem = tv.build(dataset=name, kappa=1e-4, constraints={"PNCC": 0.5})
    flags = tv.rows_of(problem)
    assert [flags[f"infeasible_{n}", "", ""] for n in ("RE", "PNCC")] == [0, 0]
    problem.state["objective.log_multiplier"] = torch.tensor([math.log(1e6), 0.0])
    flags = tv.rows_of(problem)
    assert [flags[f"infeasible_{n}", "", ""] for n in ("RE", "PNCC")] == [1, 0]


def test_the_taker_of_a_run_that_diverged_diverges(tmp_path: Path) -> None:
    cell = tv.cell(kappa=0.1)
    cell = replace(cell, params={**cell.params, "kappa": math.nan})  # as `handed` settles it
    out = problems.train(cell, tmp_path, build=constrained_vae.build)
    assert problems.record(out)["status"] == "diverged"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "digits_rotate"}, "model: 'mlp' takes no condition, and digits_rotate has"),
        (tv.DRAW | {"prior": "flow"}, "prior: ConvDRAW brings its own"),
        (tv.DRAW | {"sizes": {"width": 3}}, "sizes: .*width"),
        (tv.DRAW | {"dataset": "curve"}, "preprocessing: 'unit', but curve holds vectors"),
        ({"constraints": {"FRE": 0.5}}, "classifier_steps: 0, but FRE need one"),
        ({"constraints": {"FRE": 0.5, "CLA": 0.9}}, "classifier_steps: 0, but CLA and FRE need"),
        (
            {"dataset": "sprites", "classifier_steps": 5, "constraints": {"CLA": 0.9}},
            "dataset sprites: .*no labels",
        ),
        ({"objective": "elbo"}, "kappa, constraints: objective 'elbo' takes none"),
        (tv.ELBO | {"constraints": {"PNCC": 0.5}}, "kappa, constraints: objective 'elbo' takes"),
        ({"kappa": 0}, "constraints: the objective 'geco' needs at least one"),
        ({"kappa": -0.1}, "kappa: -0.1 is less than the minimum of 0"),
        ({"likelihood": "gaussian_gamma"}, "likelihood: nothing trains 'gaussian_gamma' under"),
        (
            {"constraints": {"PNCC": 0.5}, "patch": {"patch": 9}},
            "patch: 9 exceeds images of side 8",
        ),
        ({"objective_options": {"beta": 1}}, "objective_options.beta: geco takes multiplier"),
        (tv.ELBO | {"objective_options": {"beta": 1}}, "objective_options.beta: elbo has no such"),
        ({"prior_options": {"layers": 2}}, "prior_options: the standard prior has none"),
        ({"objective": "bilbo"}, "objective: .*'bilbo' is not one of"),
        ({"constraints": {"RE": 0.1}}, "constraints: .*'RE' is not one of"),
        ({"constraints": {"CLA": -1}}, "constraints.CLA: "),
        ({"patch": {"size": 5}}, "patch: unknown key 'size'"),
        ({"marginal": {"images": 5}}, "marginal: unknown key 'images'"),
        ({"targets": [0.1, 0]}, "targets"),
        ({"batch_size": 2000}, "batch_size: 2000 exceeds the 1347 training images"),
    ],
)
def test_a_mistake_is_named_before_anything_trains(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tv.build(**changes)
