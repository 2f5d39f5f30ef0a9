"""Seconds per gradient of every estimator in one small VAE: 64-128-128-16 on a batch of digits.

What an estimator costs shows only where the networks have a real size. All estimators of a latent
take turns in one process (`gradients.timing`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from statistics import median
from typing import Any

import torch
from torch import Generator, Tensor

from paper_repro.data import embedded
from paper_repro.distributions import bernoulli, categorical, flow
from paper_repro.distributions.gaussian import DiagonalGaussian, normal_log_prob
from paper_repro.distributions.gaussian import standard_normal_log_prob as standard
from paper_repro.distributions.mixture import GaussianMixture
from paper_repro.distributions.two_layer import TwoLayer
from paper_repro.estimators.terms import LogJoint
from paper_repro.gradients.draws import Value
from paper_repro.gradients.timing import in_turns
from paper_repro.rows import Row, coordinates
from paper_repro.studies.conformance import measure
from paper_repro.studies.conformance.problems import (
    CLASSES,
    PROBLEMS,
    ExactProblem,
    Params,
    linear_joint,
    log_prior,
)
from paper_repro.training.streams import stream

PIXELS, WIDTH, LATENT, BATCH = 64, 128, 16, 100
WARM_UP = 3  # rounds that do not count
COMPONENTS, GROUPS = 3, 8
VARIANCE = 0.1
# Cost 1 is the plainest unbiased estimator there is: the first of these that was measured.
REFERENCES = ("exact_kl", "total", "score_function")


def rows(
    name: str, objective: str, estimators: list[str], k: int, repeats: int, seed: int
) -> Iterator[Row]:
    """Seconds per gradient, and as a multiple of the reference's, on the VAE with the latent and
    the decoder of problem `name`."""
    found = times(vae(name, seed), objective, estimators, k, repeats, seed)
    reference = next(found[e] for e in REFERENCES if e in found)
    at = coordinates(problem=name, bound=objective, k=k)
    for estimator, seconds in found.items():
        ratios = [a / b for a, b in zip(seconds, reference, strict=True)]  # round by round
        yield Row("seconds_per_gradient", median(seconds), "s", at=at, estimator=estimator)
        yield Row("cost_ratio", median(ratios), "1", at=at, estimator=estimator)


def times(
    model: ExactProblem, objective: str, estimators: list[str], k: int, repeats: int, seed: int
) -> dict[str, list[float]]:
    """Seconds of one forward and backward pass in each of `repeats` rounds of all estimators."""
    generator = stream(seed, "evaluation", "cost")
    noise = model.noise(k, generator)
    values = {e: measure.estimate(model, e, objective, k, generator) for e in estimators}
    steps = {e: _step(model, value, noise) for e, value in values.items()}
    return in_turns(steps, repeats, WARM_UP)


def _step(model: ExactProblem, value: Value, noise: dict[str, Tensor]) -> Callable[[], object]:
    leaves = {name: p.clone().requires_grad_() for name, p in model.params.items()}
    return lambda: torch.autograd.grad(
        value(leaves, noise), list(leaves.values()), allow_unused=True
    )


@cache
def _images() -> Tensor:
    pool = embedded.digits()
    return torch.as_tensor(pool.images[:BATCH].reshape(BATCH, PIXELS) / pool.levels).float()


def vae(name: str, seed: int) -> ExactProblem:
    """A float32 VAE on digits with the latent and the kind of decoder of problem `name`.

    The flow is one for all images, as everywhere in this suite, so it has no encoder.
    """
    kind, linear = PROBLEMS[name], name.endswith("_linear")
    generator, x = stream(seed, "init", "cost", name), _images()
    units = GROUPS * CLASSES if kind == "categorical" else LATENT
    if kind == "flow":
        params = flow.init_params(generator, dim=LATENT, layers=4, hidden=32)
    else:
        heads = {"mixture": COMPONENTS * (1 + 2 * LATENT), "bernoulli": units, "categorical": units}
        params = _mlp("encoder", generator, PIXELS, heads.get(kind, 2 * LATENT))
    if kind == "two_layer":
        params |= _mlp("second", generator, LATENT, 2 * LATENT)
    if linear:
        theta = _layer("theta", generator, PIXELS, units)
    else:
        theta = _mlp("theta", generator, units, PIXELS)
    flow_names = set(params)

    def posterior(p: Params) -> Any:
        if kind == "flow":
            return flow.Flow({n: p[n] for n in flow_names}, (BATCH,))
        head = _apply("encoder", p, x)
        if kind == "gaussian":
            return DiagonalGaussian(*head.chunk(2, -1))
        if kind == "two_layer":
            second = {n: p[n] for n in p if n.startswith("second")}
            return TwoLayer(DiagonalGaussian(*head.chunk(2, -1)), _net, second, LATENT)
        if kind == "mixture":
            parts = head.split([COMPONENTS, COMPONENTS * LATENT, COMPONENTS * LATENT], -1)
            shape = (BATCH, COMPONENTS, LATENT)
            return GaussianMixture(parts[0], parts[1].reshape(shape), parts[2].reshape(shape))
        if kind == "bernoulli":
            return bernoulli.Bernoulli(head, signed=linear)
        return categorical.Categorical(head.reshape(BATCH, GROUPS, CLASSES))

    def log_joint(p: Params) -> LogJoint:
        if linear:
            return linear_joint(x, p, kind, VARIANCE)

        def densities(z: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            below = z[0] if isinstance(z, tuple) else z
            output = _apply("theta", p, below)
            scale = output.new_full((PIXELS,), 0.5 * math.log(VARIANCE))
            prior = log_prior(z, kind)
            if isinstance(z, tuple):  # h1 given h2 is N(h2, I)
                prior = standard(z[1]) + normal_log_prob(z[0], z[1], torch.zeros_like(z[1]))
            return normal_log_prob(x, output, scale), prior

        return densities

    return ExactProblem(kind, params | theta, posterior, log_joint)


def _net(p: Params, h1: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_scale = _apply("second", p, h1).chunk(2, -1)
    return mean, log_scale


def _layer(name: str, generator: Generator, rows: int, columns: int) -> dict[str, Tensor]:
    weight = torch.randn(rows, columns, generator=generator) / columns**0.5
    return {f"{name}_weight": weight, f"{name}_bias": torch.zeros(rows)}


def _mlp(name: str, generator: Generator, inputs: int, outputs: int) -> dict[str, Tensor]:
    """inputs-128-128-outputs, tanh."""
    sizes = [inputs, WIDTH, WIDTH, outputs]
    layers = enumerate(zip(sizes[1:], sizes, strict=False))
    return {
        n: p for i, (to, of) in layers for n, p in _layer(f"{name}_{i}", generator, to, of).items()
    }


def _apply(name: str, p: Params, x: Tensor) -> Tensor:
    for i in range(3):
        x = torch.nn.functional.linear(x, p[f"{name}_{i}_weight"], p[f"{name}_{i}_bias"])
        x = torch.tanh(x) if i < 2 else x
    return x
