"""The registry's estimators on problems with exact gradients: what the study and the tests share.

An estimator is run as training runs it: the same `terms`, the same `bound`, its own OPTIONS.
Estimators with a running state (a moving-average baseline) are measured with that state settled
and then held fixed, which is what one step of training sees.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Generator

from paper_repro import contracts, registry
from paper_repro.contracts import Tensors
from paper_repro.estimators.terms import Terms
from paper_repro.gradients import draws
from paper_repro.gradients.draws import Value
from paper_repro.studies.conformance.problems import PROBLEMS, ExactProblem, with_standard_prior

FAMILIES = ("elbo", "iwae")  # objectives whose exact gradient is known; others are LIKE one of them
REPEATS = 10


def serves(estimator: str, problem: str, family: str) -> bool:
    """Whether `estimator` declares that it serves the problem's posterior and decoder, and the
    objective `family`, and whether that objective is defined for the posterior."""

    def declared(key: str) -> Any:
        return registry.constant("estimators", estimator, key)

    models = declared("MODELS")
    return (
        PROBLEMS[problem] in declared("SUPPORTS")
        and family in declared("OBJECTIVES")
        and PROBLEMS[problem] in registry.constant("objectives", family, "SUPPORTS")
        and (not models or problem.endswith("_linear") or "mlp" in models)
    )


def estimate(
    problem: ExactProblem,
    estimator: str,
    objective: str,
    k: int,
    generator: Generator,
    **options: Any,
) -> Value:
    """The bound with the gradient of a registered estimator, its running state settled."""
    part = contracts.estimator(estimator)

    def terms(**options: Any) -> Terms:
        return part.terms(*problem.model(problem.params), problem.noise(k, generator), **options)

    like = next(iter(problem.params.values()))
    chosen = draws.settled(part, terms, like, **options)
    return draws.value_of(problem.model, part.terms, objective, **chosen)


def own_target(problem: ExactProblem) -> ExactProblem:
    """The problem whose target is q itself, unnormalised: q = p with evidence exp(-3.7)."""
    params = {name: problem.params[name] for name in problem.encoder}
    target = problem.posterior(params).log_prob
    joint = with_standard_prior(lambda z: target(z) - 3.7, problem.kind)
    return replace(problem, params=params, log_joint=lambda _: joint)


def repeats_identical(value: Value, problem: ExactProblem, k: int, generator: Generator) -> bool:
    """Whether gradients on REPEATS different draws of noise are equal bit by bit."""

    def take() -> Tensors:
        noise = problem.noise(k, generator)
        return draws.gradient(lambda params: value(params, noise), problem.params)

    return draws.repeats(lambda: take().values(), REPEATS)[0]
