"""Scheduled settings take the values their formulas give, and mistakes name the setting."""

from __future__ import annotations

from typing import Any

import pytest

from paper_repro.errors import UserError
from paper_repro.training.schedules import curve


def test_a_number_stays_what_it_is() -> None:
    assert {curve("beta", 4, 10)(step) for step in range(11)} == {4.0}


@pytest.mark.parametrize(
    ("shape", "middle"),
    [
        ("linear", 1.125),
        ("exponential", 0.25 * 8**0.5),
        ("cosine", 1.125),
        ("gqn", (0.5 * (0.25**-0.5 + 2**-0.5)) ** -2),
    ],
)
def test_a_schedule_runs_from_one_value_to_the_other(shape: str, middle: float) -> None:
    spec = {"schedule": shape, "from": 0.25, "to": 2.0, "start": 0.2, "end": 0.6}
    at = curve("precision", spec, 1000)
    assert [at(0), at(200), at(600), at(1000)] == [0.25, 0.25, 2.0, 2.0]
    assert at(400) == pytest.approx(middle, rel=1e-12)
    values = [at(step) for step in range(1001)]
    assert values == sorted(values)


def test_a_cosine_leaves_and_arrives_flat_and_a_line_does_not() -> None:
    cosine, line = (
        curve("lr", {"schedule": shape, "from": 1.0, "to": 0.0}, 1000)
        for shape in ("cosine", "linear")
    )
    assert 1 - cosine(1) < 1e-5 < 1e-3 == pytest.approx(1 - line(1))
    assert cosine(999) < 1e-5


def test_gqn_reproduces_the_published_standard_deviations() -> None:
    """sigma_t = max(0.7 + 1.3 (1 - t / 200,000), 0.7): 2.0, 1.35 at half way, 0.7 from the end."""
    spec = {"schedule": "gqn", "from": 2.0**-2, "to": 0.7**-2, "end": 0.1}
    at = curve("precision", spec, 2_000_000)
    assert [at(t) ** -0.5 for t in (0, 100_000, 200_000, 10**6)] == pytest.approx(
        [2.0, 1.35, 0.7, 0.7], rel=1e-12
    )


def test_halving_falls_in_steps() -> None:
    at = curve("lr", {"schedule": "halve", "from": 1e-4, "every": 0.375}, 400)
    assert [at(step) for step in (0, 149, 150, 299, 300, 399)] == pytest.approx(
        [1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5, 2.5e-5]
    )


def test_the_rates_of_burda_et_al_are_those_of_the_released_code() -> None:
    epochs = sum(3**i for i in range(8))
    at = curve("lr", {"schedule": "burda", "stages": 8}, epochs)
    rates = [at(epoch) for epoch in range(epochs)]
    counts = {rate: rates.count(rate) for rate in rates}
    expected = [1e-3, 7.2e-4, 5.2e-4, 3.7e-4, 2.7e-4, 1.9e-4, 1.4e-4, 1e-4]
    assert list(counts) == pytest.approx(expected)
    assert list(counts.values()) == [1, 3, 9, 27, 81, 243, 729, 2187]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0.5", "beta: expected a finite number, got '0.5'"),
        (float("nan"), "beta: expected a finite number, got nan"),
        (True, "beta: expected a finite number, got True"),
        ({"schedule": "step", "from": 0, "to": 1}, "beta.schedule: 'step' is not one of"),
        ({"schedule": "linear", "from": 0}, "beta.to: expected a finite number, got None"),
        (
            {"schedule": "linear", "from": 0, "to": 1, "upto": 1},
            "beta: schedule: unknown key 'upto'",
        ),
        (
            {"schedule": "linear", "from": 0, "to": 1, "start": 0.5, "end": 0.5},
            "beta: needs 0 <= start < end <= 1",
        ),
        ({"schedule": "exponential", "from": 0, "to": 1}, "beta: .*needs positive numbers"),
        ({"schedule": "halve", "from": 1, "every": 0}, "beta.every: a positive fraction"),
        ({"schedule": "burda", "stages": 9}, "beta.stages: expected 1 to 8, got 9"),
    ],
)
def test_a_mistake_names_the_setting(value: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        curve("beta", value, 100)
