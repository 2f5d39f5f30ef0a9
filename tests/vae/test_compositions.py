"""Every combination of parts that may be asked for trains: a walk that covers all pairs of values.

The product of the axes has thousands of valid points. A greedy cover takes points until every pair
of values (an estimator with a likelihood, a latent with a decoder, ...) that occurs in any valid
point has been trained once. What is valid is computed from the literals that the parts declare
and agrees with what the grid accepts; what the grid accepts and the task refuses is listed here.
"""

from __future__ import annotations

import itertools
import math
from functools import cache
from typing import Any

import pytest
import torch

from paper_repro import registry
from paper_repro.errors import UserError
from paper_repro.vae import task
from tests.vae import tiny

DECODERS = ("mlp", "linear", "infogan", "wae", "resnet", "conv")
ELSEWHERE = ("bilbo_centred", "bilbo_full")  # measured by protocol frozen alone
AXES = {
    "estimator": registry.names("estimators"),
    "objective": [n for n in registry.names("objectives") if n not in ELSEWHERE],
    "latent": ("gaussian", "bernoulli", "categorical"),
    "likelihood": registry.names("likelihoods"),
    "decoder": DECODERS,
    "prior": ("standard", "flow"),
}
SIZES: dict[str, dict[str, Any]] = {
    "infogan": {"base_dim": 2, "fc_dim": 8},
    "wae": {"base_dim": 2, "stages": 2},
    "resnet": {"base_dim": 2, "num_scale": 2},
    "conv": {"widths": [4], "groups": 2},
}
PREPROCESSING = {"bernoulli": "binarised", "gaussian_pixel": "dequantised"}
CLOSED_FORMS = ("gaussian", "gaussian_gamma", "gaussian_pixel")

Point = tuple[str, ...]


@cache
def literal(room: str, name: str, key: str) -> tuple[str, ...] | None:
    value = registry.constant(room, name, key)
    return tuple(value) if isinstance(value, list | tuple) else value


def valid(point: Point) -> bool:
    """Whether each part serves the others, by what they declare."""
    estimator, objective, latent, likelihood, decoder, prior = point
    served = {
        "SUPPORTS": latent,
        "OBJECTIVES": literal("objectives", objective, "LIKE") or objective,
        "LIKELIHOODS": likelihood,
        "PRIORS": prior,
        "MODELS": decoder,
    }
    for room, name in (("estimators", estimator), ("objectives", objective)):
        for key, value in served.items():
            allowed = literal(room, name, key)
            if allowed and value not in allowed:
                return False
    return True


def refused(point: Point) -> bool:
    """Whether the task must refuse a valid point."""
    estimator, objective, latent, likelihood, _, prior = point
    if prior == "flow" and (latent != "gaussian" or objective in ("bilbo", "autoencoder")):
        return True
    if objective == "geco" and likelihood != "gaussian":
        return True
    return estimator == "silent" and (objective == "geco" or likelihood not in CLOSED_FORMS)


def pairs(point: Point) -> set[tuple[str, str, str, str]]:
    return {
        (a, x, b, y) for (a, x), (b, y) in itertools.combinations(zip(AXES, point, strict=True), 2)
    }


def cover(points: list[Point]) -> list[Point]:
    """A few of the points that hold every pair which any of them holds, greedily."""
    held = {point: pairs(point) for point in points}
    missing = set().union(*held.values())
    chosen: list[Point] = []
    while missing:
        best = max(points, key=lambda point: len(held[point] & missing))
        chosen.append(best)
        missing -= held[best]
    return chosen


def settings(point: Point) -> dict[str, Any]:
    """The cell's parameters at a point."""
    changes: dict[str, Any] = dict(zip(AXES, point, strict=True))
    if changes["decoder"] in SIZES:
        changes["sizes"] = tiny.TINY["sizes"] | SIZES[changes["decoder"]]
    changes["preprocessing"] = PREPROCESSING.get(changes["likelihood"], "unit")
    changes["k"] = 2 if changes["estimator"] == "rloo" else 1
    if changes["latent"] == "categorical":
        changes["latent_options"] = {"classes": 3}
    if changes["prior"] == "flow":
        changes["prior_options"] = {"layers": 2, "hidden": 8}
    if changes["objective"] == "geco":
        changes["kappa"] = tiny.GECO["kappa"]
    return changes


PRODUCT = [point for point in itertools.product(*AXES.values()) if valid(point)]
TRAINED = cover([point for point in PRODUCT if not refused(point)])


def test_the_walk_meets_every_value_of_every_axis() -> None:
    for i, (axis, values) in enumerate(AXES.items()):
        unmet = set(values) - {point[i] for point in TRAINED}
        # the two kinds of q that this task does not build have estimators of their own
        assert unmet <= {"partial", "path_code"}, axis


@pytest.mark.parametrize("point", TRAINED, ids="-".join)
def test_a_combination_trains_every_parameter_and_is_measured(point: Point) -> None:
    changes = settings(point)
    problem = task.build(tiny.checked(tiny.cell(**changes)), 0, "cpu")
    before = {name: p.detach().clone() for name, p in problem.params.items()}
    live = tiny.steps(tiny.bundle(problem), 2)
    assert live.finite() == [True]
    unmoved = [name for name, p in live.params.items() if torch.equal(p, before[name])]
    assert not unmoved
    rows = problem.evaluate(live.member(0, live.params), live.member(0, live.state), 2)
    assert all(math.isfinite(row.value) for row in rows)
    assert {"mse", "rmse", "sse", "active_units"} <= {row.metric for row in rows}


REFUSED = cover([point for point in PRODUCT if refused(point)])


@pytest.mark.parametrize("point", REFUSED, ids="-".join)
def test_what_no_literal_excludes_but_cannot_be_trained_is_refused(point: Point) -> None:
    with pytest.raises(UserError, match=r"^(test: )?(likelihood|objective|prior|estimator)"):
        task.build(tiny.checked(tiny.cell(**settings(point))), 0, "cpu")
