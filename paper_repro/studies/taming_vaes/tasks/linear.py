"""GECO on a linear-Gaussian VAE, where the solution is known: the acceptance test of the optimiser.

Rezende and Viola, "Taming VAEs" (arXiv 1810.00597), Algorithm 1, with z ~ N(W x, diag s^2) and g(z)
= V z on data of covariance S and the constraint E||x - g||^2 <= D kappa^2. KL and error are exact
expectations: no data and no z are drawn, so that what is left is the optimiser. The solution is
reverse water-filling (`metrics.water_filling`; derived by us).

`rules` are ways to step log lambda; the paper leaves the proportionality constant open. The
covariance is ours: eigenvalues exp(-(j-1) / (12 D / 64)) + 0.0055, scaled to a mean of 4.484 / 64.
One run trains all rules and kappas side by side; Adam is elementwise, so none sees another.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from paper_repro.cell import Cell
from paper_repro.metrics.water_filling import water_filling
from paper_repro.objectives import geco
from paper_repro.rows import Row, coordinates
from paper_repro.training import schedules
from paper_repro.training.problem import Problem, Tensors
from paper_repro.training.streams import stream


class Rule(NamedTuple):
    """What a violation is divided by (`D`, `1` or `D kappa^2`), rate and clip of `geco.advance`."""

    per: str
    rate: float
    clip: float


RULES = {
    "mean_1": Rule("mean", **geco.LITERAL),
    "mean_0.1": Rule("mean", 0.1, math.inf),
    "sum_0.001": Rule("sum", 1e-3, math.inf),
    "sum_0.01": Rule("sum", 1e-2, math.inf),
    "relative": Rule("relative", 5e-3, math.inf),
    "relative_clipped": Rule("relative", 5e-3, 0.02),  # the defaults of geco.advance
}
PARAMS = {
    "pixels": {"type": "integer", "minimum": 2, "default": 64},
    "kappas": {"type": "array", "minItems": 1, "items": {"type": "number", "exclusiveMinimum": 0}},
    "rules": {  # of RULES
        "type": "array",
        "minItems": 1,
        "items": {
            "enum": ["mean_1", "mean_0.1", "sum_0.001", "sum_0.01", "relative", "relative_clipped"]
        },
    },
    "lr": {"type": "number", "exclusiveMinimum": 0, "schedule": True, "default": 0.003},
    "steps": {"type": "integer", "minimum": 1},
}
VARIANCE = 4.484 / 64  # mean eigenvalue
START = 0.1  # of the weights, times 1 / sqrt(D)
MOVED = ("log_multiplier", "violation_average")  # of geco's state, [members]


def build(cell: Cell, seed: int, device: str) -> Problem:
    """All rules and kappas from the same random start; a seed is another start and rotation."""
    p = cell.params
    members = list(itertools.product(p["rules"], p["kappas"]))
    pixels, kappas = p["pixels"], torch.tensor([kappa for _, kappa in members]).double()
    targets = pixels * kappas.square()
    init = stream(seed, "init", "linear")
    values = spectrum(pixels)
    axes = torch.linalg.qr(_normal((pixels, pixels), init)).Q
    params = {
        name: (START / pixels**0.5 * _normal((pixels, pixels), init)).repeat(len(members), 1, 1)
        for name in ("decoder", "encoder")
    }
    params["log_scale"] = torch.zeros(len(members), pixels, dtype=torch.float64)
    state = {"covariance": axes * values @ axes.T, "step": torch.zeros(())}
    starts = [1 / pixels if RULES[rule].per == "mean" else 1.0 for rule, _ in members]
    state |= {name: t.double() for name, t in geco.init_state(len(members)).items()}
    state["started"] = state["started"].bool()
    state["log_multiplier"] = torch.tensor(starts).double().log()
    state |= {name: torch.zeros_like(targets) for name in ("peak_multiplier", "peak_rate")}
    state["crossing"] = torch.full_like(targets, math.inf)
    names = [f"{rule}_{kappa:g}" for rule, kappa in members]

    def loss(params: Tensors, state: Tensors, batch: Tensors) -> tuple[Tensor, Tensors, Tensors]:
        rate, error = terms(params, state["covariance"])
        violation = error - targets.to(error)
        multiplier = geco.multipliers(state)
        found = (rate + multiplier * violation).sum()
        rate, error, violation = (t.detach() for t in (rate, error, violation))
        step = state["step"] + 1
        seen = {
            "step": step,
            "peak_multiplier": state["peak_multiplier"].maximum(multiplier),
            "peak_rate": state["peak_rate"].maximum(rate),
            "crossing": state["crossing"].minimum(
                torch.where(violation <= 0, step, torch.inf).double()
            ),
        }
        logs = {f"multiplier_{name}": m for name, m in zip(names, multiplier, strict=True)}
        logs |= {f"rate_{name}": r for name, r in zip(names, rate, strict=True)}
        return found, state | moved(state, violation, targets.to(error), p) | seen, logs

    def evaluate(params: Tensors, state: Tensors, step: int) -> list[Row]:
        return list(rows(members, values, *terms(params, state["covariance"]), state))

    units = {f"multiplier_{name}": "1" for name in names}
    return Problem(
        params={name: t.to(device) for name, t in params.items()},
        loss=loss,
        draw=lambda step: {},
        evaluate=evaluate,
        state={name: t.to(device) for name, t in state.items()},
        optimizer={"name": "adam", "lr": 1.0},
        learning_rate=schedules.curve("lr", p["lr"], p["steps"]),
        log_units=units | {f"rate_{name}": "nats/image" for name in names},
        progress=f"rate_{names[0]}",
    )


def spectrum(pixels: int) -> Tensor:
    """Falling eigenvalues [pixels] of the data, of mean VARIANCE."""
    place = torch.arange(pixels, dtype=torch.float64)
    values = (-place / (12 * pixels / 64)).exp() + 0.0055
    return VARIANCE * values / values.mean()


def terms(params: Tensors, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """KL to N(0, I) and squared error, nats and sum over pixels per image, each [members]:
    1/2 sum_k ((W S W^T)_kk + s_k^2 - 1 - ln s_k^2) and tr (I - V W) S (I - V W)^T + sum_k s_k^2
    |v_k|^2, for encoders W [..., K, D] and decoders V [..., D, K]."""
    encoder, decoder, log_scale = params["encoder"], params["decoder"], params["log_scale"]
    code = encoder @ covariance
    variance = (2 * log_scale).exp()
    signal = (code * encoder).sum(-1)
    rate = 0.5 * (signal + variance - 1 - 2 * log_scale).sum(-1)
    cross = (decoder.mT * code).sum((-2, -1))
    explained = ((decoder @ code) * (decoder @ encoder)).sum((-2, -1))
    noise = (variance * decoder.square().sum(-2)).sum(-1)
    return rate, covariance.diagonal(dim1=-2, dim2=-1).sum(-1) - 2 * cross + explained + noise


def moved(state: Tensors, violation: Tensor, targets: Tensor, p: Mapping[str, Any]) -> Tensors:
    """The multipliers' state after a step: `geco.advance` with each member's rule."""
    size = len(p["kappas"])
    pixels = float(p["pixels"])
    parts = []
    for place, name in enumerate(p["rules"]):
        own = slice(place * size, (place + 1) * size)
        rule = RULES[name]
        scales: dict[str, float | Tensor] = {"mean": pixels, "sum": 1.0, "relative": targets[own]}
        now, scale = state | {key: state[key][own] for key in MOVED}, scales[rule.per]
        parts.append(geco.advance(now, violation[own], scale, rate=rule.rate, clip=rule.clip))
    return parts[0] | {key: torch.cat([part[key] for part in parts]) for key in MOVED}


def rows(
    members: list[tuple[str, float]], values: Tensor, rate: Tensor, error: Tensor, state: Tensors
) -> Iterator[Row]:
    """What every member reached beside water-filling, its peaks, its first step within the
    constraint; per pair of neighbouring kappas of a rule where minus the slope of the rate lies
    between the two multipliers (0: at the larger kappa's, 1: at the smaller's)."""
    multiplier = geco.multipliers(state)
    for i, (rule, kappa) in enumerate(members):
        at = coordinates(rule=rule, kappa=kappa)
        target = len(values) * kappa**2
        exact = water_filling(values, target)
        got = {"rate": float(rate[i]), "multiplier": float(multiplier[i]), "sse": float(error[i])}
        yield Row("rate", got["rate"], "nats/image", at=at)
        yield Row("multiplier", got["multiplier"], "1", at=at)
        yield Row("rmse", math.sqrt(got["sse"] / len(values)), "rmse/pixel", at=at)
        yield Row("water_filling_rate", exact.rate, "nats/image", at=at)
        yield Row("water_filling_multiplier", exact.multiplier, "1", at=at)
        for name, expected in (
            ("rate", exact.rate),
            ("multiplier", exact.multiplier),
            ("sse", target),
        ):
            yield Row(f"{name}_gap", abs(got[name] / expected - 1), "1", at=at)
        yield Row("peak_multiplier", float(state["peak_multiplier"][i]), "1", at=at)
        yield Row("peak_rate", float(state["peak_rate"][i]), "nats/image", at=at)
        if bool(state["crossing"][i].isfinite()):
            yield Row("crossing", float(state["crossing"][i]), "1", at=at)
        if i + 1 < len(members) and members[i + 1][0] == rule:
            slope = float((rate[i] - rate[i + 1]) / (error[i + 1] - error[i]))
            low, high = float(multiplier[i + 1]), float(multiplier[i])
            yield Row("slope", slope, "1", at=at)
            yield Row("slope_position", (slope - low) / (high - low), "1", at=at)


def _normal(shape: tuple[int, ...], generator: Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)
