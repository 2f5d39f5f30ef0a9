"""Settings that change over a run, as pure functions of the step: rates, temperatures, weights.

A setting is a number, or ``{"schedule": shape, "from": a, "to": b, "start": s, "end": e}`` with
times in fractions of the run, so that a tier may change the number of steps: it is a up to s, b
from e on, and in between, with t rising from 0 to 1,

- linear: a + (b - a) t;
- exponential: a (b / a)^t;
- cosine: b + (a - b) (1 + cos(pi t)) / 2 (Loshchilov and Hutter, SGDR, ICLR 2017, equation 5);
- gqn: a precision whose standard deviation 1 / sqrt(value) is linear in t (Eslami et al., Neural
  scene representation and rendering, Science 2018; there sigma falls from 2.0 to 0.7).

``{"schedule": "halve", "from": a, "every": f}`` is halved after each fraction f of the run (Dai and
Wipf, Diagnosing and Enhancing VAE Models, ICLR 2019, for the learning rate).

``{"schedule": "burda", "stages": n}`` is the learning rate of Burda, Grosse and Salakhutdinov,
Importance Weighted Autoencoders, ICLR 2016, section 5: stage i = 0..7 lasts 3^i epochs, 3,280 in
all, at 1e-3 10^(-i/7), which their code rounds to 10, 7.2, 5.2, 3.7, 2.7, 1.9, 1.4 and 1.0 times
1e-4. Fewer stages, or a run that is not 3,280 epochs, keep these proportions (our choice).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from paper_repro.errors import UserError, unknown, unknown_key

Curve = Callable[[int], float]

SHAPES: dict[str, Callable[[float, float, float], float]] = {
    "linear": lambda a, b, t: a + (b - a) * t,
    "exponential": lambda a, b, t: a * (b / a) ** t,
    "cosine": lambda a, b, t: b + (a - b) * (1 + math.cos(math.pi * t)) / 2,
    "gqn": lambda a, b, t: (a**-0.5 + (b**-0.5 - a**-0.5) * t) ** -2,
}
POSITIVE = ("exponential", "gqn")


def is_schedule(value: object) -> bool:
    """Whether a parameter's value is one of the objects above."""
    return isinstance(value, Mapping) and "schedule" in value


def curve(name: str, value: Any, steps: int) -> Curve:
    """The setting `name` as a function of the step 0..steps.

    `value` is a number or a schedule. UserError naming the setting and the key that is wrong.
    """
    if isinstance(value, Mapping) and not is_schedule(value):
        raise UserError(f"{name}: a number, or a schedule with its shape under `schedule`")
    if not is_schedule(value):
        constant = _number(name, value)
        return lambda step: constant
    shape = value["schedule"]
    if shape == "halve":
        _refuse_others(name, value, {"from", "every"})
        a, every = (_number(f"{name}.{key}", value.get(key)) for key in ("from", "every"))
        if every <= 0:
            raise UserError(f"{name}.every: a positive fraction of the run, got {every:g}")
        return lambda step: a * 0.5 ** math.floor(step / (every * steps))
    if shape == "burda":
        _refuse_others(name, value, {"stages"})
        stages = value.get("stages")
        if not isinstance(stages, int) or not 1 <= stages <= 8:
            raise UserError(f"{name}.stages: expected 1 to 8, got {stages!r}")
        return lambda step: _burda(step, steps, stages)
    if not isinstance(shape, str) or shape not in SHAPES:
        raise UserError(unknown(f"{name}.schedule", shape, [*SHAPES, "halve", "burda"]))
    _refuse_others(name, value, {"from", "to", "start", "end"})
    a, b, start, end = (
        _number(f"{name}.{key}", {"start": 0, "end": 1, **value}.get(key))
        for key in ("from", "to", "start", "end")
    )
    if not 0 <= start < end <= 1:
        raise UserError(f"{name}: needs 0 <= start < end <= 1, got {start:g} and {end:g}")
    if shape in POSITIVE and min(a, b) <= 0:
        raise UserError(f"{name}: the schedule {shape!r} needs positive numbers")
    between = SHAPES[shape]

    def at(step: int) -> float:
        t = (step / steps - start) / (end - start)
        return a if t <= 0 else b if t >= 1 else between(a, b, t)

    return at


def _burda(step: int, steps: int, stages: int) -> float:
    position = (step + 0.5) / steps * (3**stages - 1) / 2
    stage = next(i for i in range(stages) if position <= (3 ** (i + 1) - 1) / 2)
    return round(10 * 10 ** (-stage / 7), 1) * 1e-4


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{name}: expected a finite number, got {value!r}")
    return float(value)


def _refuse_others(name: str, value: Mapping[str, Any], allowed: set[str]) -> None:
    if others := sorted(value.keys() - {"schedule", *allowed}):
        raise UserError(unknown_key(f"{name}: schedule", others[0], sorted(allowed)))
