"""Every gradient estimator against exact gradients: bias, variance, direction, promises, cost.

For one family of posteriors: the problems of `problems`, the exact gradients of `exact`, and all
estimators in `compare` on the same draws of noise with the same number of samples per draw, so
that a difference between two rows is the estimators' alone. The encoder's and the decoder's
parameters are reported apart (coordinate `group`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from paper_repro import registry
from paper_repro.cell import Cell
from paper_repro.metrics.gradient_stats import Moments, covariance_trace, z_scores
from paper_repro.rows import Row, coordinates
from paper_repro.studies.conformance import costs, measure
from paper_repro.studies.conformance.exact import computable, exact_gradient
from paper_repro.studies.conformance.problems import PROBLEMS, ExactProblem, problem
from paper_repro.training.measurement import measurement
from paper_repro.training.memory import Memory
from paper_repro.training.problem import Problem, Tensors
from paper_repro.training.streams import stream

PARAMS = {
    "latent": {"enum": ["gaussian", "mixture", "two_layer", "flow", "bernoulli", "categorical"]},
    "k": {"type": "integer", "minimum": 2, "maximum": 2, "default": 2},
    "draws": {"type": "integer", "minimum": 1000, "default": 100000},
    "temperatures": {
        "type": "array",
        "items": {"type": "number", "exclusiveMinimum": 0},
        "default": [0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5],
    },
    "cost_repeats": {"type": "integer", "minimum": 3, "default": 60},
}
POSTERIOR = {"latent": {
    "gaussian": "gaussian",
    "mixture": "mixture",
    "two_layer": "two_layer",
    "flow": "flow",
    "bernoulli": "bernoulli",
    "categorical": "categorical",
}}  # fmt: skip
OBJECTIVES = ("elbo", "iwae")
CONTINUOUS = ("gaussian", "mixture", "two_layer", "flow")


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Measure once, on the CPU in float64 whatever the device: the problems are tiny."""
    memory = Memory()
    return measurement(lambda: list(rows(cell.params, seed, memory)), memory=memory)


def rows(p: Any, seed: int, memory: Memory) -> Iterator[Row]:
    """All rows of one family of posteriors."""
    for name in (name for name, kind in PROBLEMS.items() if kind == p["latent"]):
        target = problem(name, seed)
        for objective in OBJECTIVES:
            chosen = [e for e in p["compare"] if measure.serves(e, name, objective)]
            if chosen and computable(target.kind, objective, p["k"]):
                own = (name, objective, chosen)
                yield from memory.rows(
                    f"{name} {objective}", partial(against_exact, target, *own, p, seed)
                )
                yield from memory.rows(
                    f"{name} {objective} costs",
                    partial(costs.rows, *own, p["k"], p["cost_repeats"], seed),
                )
        yield from memory.rows(
            f"{name} temperatures", partial(temperature_sweep, target, name, p, seed)
        )
    if p["latent"] in CONTINUOUS:
        yield from memory.rows("optimum", partial(at_the_optimum, p, seed))


def against_exact(
    target: ExactProblem, name: str, objective: str, estimators: list[str], p: Any, seed: int
) -> Iterator[Row]:
    """Bias, variance, cosine and repeatability of every estimator of one objective."""
    k, at = p["k"], {"problem": name, "bound": objective, "k": p["k"]}
    generator = stream(seed, "evaluation", "conformance", name, objective)
    exact = exact_gradient(target, objective, k)
    values = {e: measure.value_of(e, target, objective, k, generator) for e in estimators}
    cosine = Cosine(exact, target.encoder)
    batches = measure.gradients(values, target, k, generator, draws=p["draws"])
    for estimator, found in measure.gradient_moments(map(cosine.watch, batches)).items():
        for group, parameters in groups(target).items():
            for metric, value, unit in bias_and_variance(found, exact, parameters):
                where = coordinates(**at, group=group)
                yield Row(metric, value, unit, at=where, estimator=estimator)
        same = measure.repeats_identical(values[estimator], target, k, generator)
        here = coordinates(**at)
        yield Row("cosine", cosine.mean(estimator), "1", at=here, estimator=estimator)
        yield Row("repeat_identical", float(same), "1", at=here, estimator=estimator)


def groups(target: ExactProblem) -> dict[str, list[str]]:
    """Names of the encoder's and of the decoder's parameters."""
    return {"encoder": target.encoder, "decoder": target.decoder}


def bias_and_variance(
    found: dict[str, Moments], exact: Tensors, names: list[str]
) -> list[tuple[str, float, str]]:
    """Metric, value and unit: bias in standard errors (largest entry) and relative to the exact
    gradient's length, with the length that sampling error alone would give; trace of covariance,
    also relative to the squared length of the exact gradient (noise to signal, 1 / SNR^2)."""
    chosen = {name: found[name] for name in names}
    z = max(float(z_scores(m, exact[name]).abs().max()) for name, m in chosen.items())
    means = {name: m.mean for name, m in chosen.items()}
    truth = measure.flat(exact, names)
    bias = measure.flat(means, names) - truth
    trace, count = covariance_trace(chosen), next(iter(chosen.values())).count
    length = truth.norm()
    return [
        ("bias_z_max", z, "1"),
        ("relative_bias", float(bias.norm() / length), "1"),
        ("relative_bias_noise", float((trace / count) ** 0.5 / length), "1"),
        ("gradient_variance", trace, "nats^2"),
        ("relative_variance", float(trace / length**2), "1"),
    ]


class Cosine:
    """Mean cosine between single-draw gradients and the exact one, gathered batch by batch."""

    def __init__(self, exact: Tensors, names: list[str]) -> None:
        self.names, self.exact = names, measure.flat(exact, names)
        self.sums: dict[str, tuple[float, int]] = {}

    def watch(self, batch: dict[str, Tensors]) -> dict[str, Tensors]:
        """Count the batch's gradients, label -> parameter -> [S, *shape], and return it."""
        for label, found in batch.items():
            draws = measure.flat(found, self.names, 1)
            cosines = torch.cosine_similarity(draws, self.exact.unsqueeze(0), -1)
            total, count = self.sums.get(label, (0.0, 0))
            self.sums[label] = total + float(cosines.sum()), count + len(draws)
        return batch

    def mean(self, label: str) -> float:
        """The mean over all draws seen."""
        total, count = self.sums[label]
        return total / count


def temperature_sweep(target: ExactProblem, name: str, p: Any, seed: int) -> Iterator[Row]:
    """Bias and variance of the encoder's ELBO gradient against the temperature of a relaxation."""
    relaxed = [
        e
        for e in p["compare"]
        if "temperature" in (registry.constant("estimators", e, "OPTIONS") or {})
        and measure.serves(e, name, "elbo")
    ]
    if not relaxed:
        return
    generator = stream(seed, "evaluation", "temperature", name)
    exact = exact_gradient(target)
    values = {
        f"{e} {t:g}": measure.value_of(e, target, "elbo", p["k"], generator, temperature=t)
        for e in relaxed
        for t in p["temperatures"]
    }
    batches = measure.gradients(values, target, p["k"], generator, draws=p["draws"])
    for label, found in measure.gradient_moments(batches).items():
        estimator, temperature = label.split()
        at = coordinates(problem=name, temperature=temperature)
        numbers = {m: v for m, v, _ in bias_and_variance(found, exact, target.encoder)}
        for metric in ("relative_bias", "relative_variance"):
            value = numbers[metric]
            yield Row(f"temperature_{metric}", value, "1", at=at, estimator=estimator)


def at_the_optimum(p: Any, seed: int) -> Iterator[Row]:
    """Variance of the encoder's ELBO gradient where the target is q itself."""
    name = p["latent"]
    target = measure.own_target(problem(name, seed))
    generator = stream(seed, "evaluation", "optimum", name)
    chosen = [e for e in p["compare"] if measure.serves(e, name, "elbo")]
    values = {e: measure.value_of(e, target, "elbo", p["k"], generator) for e in chosen}
    batches = measure.gradients(values, target, p["k"], generator, draws=2000)
    for estimator, found in measure.gradient_moments(batches).items():
        trace, at = covariance_trace(found), coordinates(problem=name, k=p["k"])
        yield Row("variance_at_optimum", trace, "nats^2", at=at, estimator=estimator)
