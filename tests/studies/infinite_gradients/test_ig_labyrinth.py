"""Which penalties leave two tiny latents for one long one, on the path that is drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from torch import Tensor

from paper_repro.studies.infinite_gradients.tasks import labyrinth as task
from tests.studies.infinite_gradients.ig_runs import build, measured, only

Moments = Callable[[float, int], tuple[Tensor, Tensor]]


def sampled(eps: float, count: int) -> tuple[float, float, float]:
    """Mean squares of x, y and arc length at 400,001 evenly spaced points of the path itself."""
    path, arc = task.snake(count)
    where = np.linspace(0, arc[-1], 400_001)
    x, y = (eps * np.interp(where, arc, path[:, i]) for i in (0, 1))
    return (x**2).mean(), (y**2).mean(), ((eps * where) ** 2).mean()


@pytest.mark.parametrize("count", [7, 40])
def test_moments_are_means_along_the_path(count):
    plane, arc = task.moments(0.1, count)
    found = sampled(0.1, count)
    assert [*plane.tolist(), float(arc[0])] == pytest.approx(found, rel=1e-4)
    assert float(arc[1]) == 0
    assert task.snake(count)[1][-1] * 0.1 == pytest.approx(task.path_length(0.1, count))


def preferences(moments: Moments) -> dict[tuple[str, float], list[bool]]:
    """Per penalty whether the labyrinth is cheaper at every eps."""
    found: dict[tuple[str, float], list[bool]] = {}
    for name, constant in task.PENALTIES:
        pairs = [moments(eps, round(task.LENGTH / eps)) for eps in task.EPS]
        costs = [[task.code_cost(m, name, constant) for m in pair] for pair in pairs]
        found[name, constant] = [plane > arc for plane, arc in costs]
    return found


EXPECTED = {
    ("identity", 1.0): [False] * 4,
    ("saturating", 1.0): [False] * 4,
    ("log1p", 1.0): [False] * 4,
    ("log1p", 1e-12): [True, True, False, False],
    ("sqrt", 1.0): [False] * 4,
    ("power", 0.03): [True] * 4,
    ("power", 0.057): [True, True, False, False],
    ("power", 0.059): [True, False, False, False],
    ("shifted_log", 1e-30): [True] * 4,
}


def test_preferences_are_those_of_the_specification():
    assert preferences(task.moments) == EXPECTED
    found = measured("labyrinth", steps=0)
    for (name, constant), expected in EXPECTED.items():
        rows = only(found, "labyrinth_preferred", penalty=name, constant=constant)
        assert rows.astype(bool).tolist() == expected
        ratio = only(found, "cost_ratio", penalty=name, constant=constant)
        assert (ratio > 1).tolist() == expected
    assert only(found, "path_length", eps=0.01).item() == pytest.approx(4.01)
    assert only(found, "critical_power", eps=0.01).item() == pytest.approx(0.0578, abs=5e-5)


def test_a_decoder_that_may_shrink_its_code_makes_every_penalty_sparse():
    def shrunk(eps: float, count: int) -> tuple[Tensor, Tensor]:
        plane, arc = task.moments(eps, count)
        return plane, arc * (eps / 4) ** 2  # the arc length squeezed into [0, eps]

    found = preferences(shrunk)
    assert found != EXPECTED
    assert all(all(sparse) for sparse in found.values())


def test_what_is_drawn_is_what_was_measured():
    problem = build("labyrinth", steps=0)
    assert problem.arrays is not None
    arrays = problem.arrays({})
    assert arrays["path"].min() == 0
    assert arrays["path"].max() == 1
    assert arrays["penalty"].tolist()[3] == "log1p 1e-12"
    at = int(np.abs(arrays["u"] - 1e-12).argmin())
    assert arrays["h"][3, at] == pytest.approx(np.log1p(arrays["u"][at] / 1e-12))
