"""Every gradient estimator against exact gradients: bias, variance, direction, promises, cost.

For one family of posteriors: the problems of `problems`, the exact gradients of `exact`, and all
estimators in `compare` on the same draws of noise with the same number of samples per draw, so
that a difference between two rows is the estimators' alone. The encoder's and the decoder's
parameters are reported apart (coordinate `group`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from torch import Generator

from paper_repro import registry
from paper_repro.cell import Cell
from paper_repro.contracts import Tensors
from paper_repro.gradients.draws import Gradients, Value, gradient_draws
from paper_repro.gradients.moments import (
    MeanCosine,
    Moments,
    bias,
    covariance_trace,
    flat,
    largest_z,
    moments,
    relative,
)
from paper_repro.rows import Row, coordinates
from paper_repro.studies.conformance import costs, measure
from paper_repro.studies.conformance.exact import computable, exact_gradient
from paper_repro.studies.conformance.problems import PROBLEMS, ExactProblem, problem
from paper_repro.training.measurement import measurement
from paper_repro.training.memory import Memory
from paper_repro.training.problem import Problem
from paper_repro.training.streams import stream

PARAMS = {
    "compare": {"type": "array", "items": {"type": "string"}},  # the estimators
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
CHUNK = 5000


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
    values = {e: measure.estimate(target, e, objective, k, generator) for e in estimators}
    cosine = MeanCosine(exact, target.encoder)
    batches = batches_of(values, target, k, generator, p["draws"])
    for estimator, found in moments(map(cosine.watch, batches)).items():
        for group, names in (("encoder", target.encoder), ("decoder", target.decoder)):
            numbers = bias_and_variance({name: found[name] for name in names}, exact)
            where = coordinates(**at, group=group)
            for metric, (value, unit) in numbers.items():
                yield Row(metric, value, unit, at=where, estimator=estimator)
        same = measure.repeats_identical(values[estimator], target, k, generator)
        here = coordinates(**at)
        yield Row("cosine", cosine.mean(estimator), "1", at=here, estimator=estimator)
        yield Row("repeat_identical", float(same), "1", at=here, estimator=estimator)


def bias_and_variance(found: dict[str, Moments], exact: Tensors) -> dict[str, tuple[float, str]]:
    """Metric -> value and unit: bias in standard errors (largest entry) and relative to the exact
    gradient's length, with the length that sampling error alone would give; trace of covariance,
    also relative to the squared length of the exact gradient (noise to signal, 1 / SNR^2)."""
    trace, count = covariance_trace(found), next(iter(found.values())).count
    length = flat(exact, found).norm()
    ratios = relative(trace, bias(found, exact).norm(), length, count)
    return {
        "bias_z_max": (abs(largest_z(found, exact)), "1"),
        "relative_bias": (ratios["relative_bias"], "1"),
        "relative_bias_noise": (ratios["relative_bias_noise"], "1"),
        "gradient_variance": (trace, "nats^2"),
        "relative_variance": (ratios["relative_variance"], "1"),
    }


def batches_of(
    values: Mapping[str, Value], target: ExactProblem, k: int, generator: Generator, count: int
) -> Iterator[Gradients]:
    """`count` gradients of all `values` on common noise of K = k."""
    shapes = target.noise_shapes(k)
    return gradient_draws(values, target.params, shapes, generator, draws=count, chunk=CHUNK)


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
        f"{e} {t:g}": measure.estimate(target, e, "elbo", p["k"], generator, temperature=t)
        for e in relaxed
        for t in p["temperatures"]
    }
    for label, found in moments(batches_of(values, target, p["k"], generator, p["draws"])).items():
        estimator, temperature = label.split()
        at = coordinates(problem=name, temperature=temperature)
        numbers = bias_and_variance({n: found[n] for n in target.encoder}, exact)
        for metric in ("relative_bias", "relative_variance"):
            value = numbers[metric][0]
            yield Row(f"temperature_{metric}", value, "1", at=at, estimator=estimator)


def at_the_optimum(p: Any, seed: int) -> Iterator[Row]:
    """Variance of the encoder's ELBO gradient where the target is q itself."""
    name = p["latent"]
    target = measure.own_target(problem(name, seed))
    generator = stream(seed, "evaluation", "optimum", name)
    chosen = [e for e in p["compare"] if measure.serves(e, name, "elbo")]
    values = {e: measure.estimate(target, e, "elbo", p["k"], generator) for e in chosen}
    for estimator, found in moments(batches_of(values, target, p["k"], generator, 2000)).items():
        trace, at = covariance_trace(found), coordinates(problem=name, k=p["k"])
        yield Row("variance_at_optimum", trace, "nats^2", at=at, estimator=estimator)
