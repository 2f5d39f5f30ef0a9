"""Sampled gradients of a linear decoder against the silent one: error, bias and variance.

For Shao, Liu and Van den Broeck, "Silent Gradients" (arXiv 2508.03587): the mean of R gradients
of an unbiased estimator approaches the silent gradient like R^-1/2; relaxed and straight-through
estimators keep an offset. Gradients are those of the posterior's parameters, of log p(x | z) in
expectation minus the divergence, summed over images.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from paper_repro import contracts
from paper_repro.gradients.draws import estimate, gradient, gradient_draws
from paper_repro.gradients.moments import bias, covariance_trace, flat, largest_z, moments, relative
from paper_repro.rows import Row, coordinates
from paper_repro.studies.silent_gradients.tasks import variances
from paper_repro.studies.silent_gradients.tasks.small_models import SmallModel, Tensors

ESTIMATORS = {
    "gaussian": ("exact_kl", "score_function", "reinforce", "rloo"),
    "bernoulli": (
        "score_function",
        "reinforce",
        "rloo",
        "gumbel_softmax",
        "gumbel_softmax_st",
        "straight_through",
    ),
}
ESTIMATORS["categorical"] = ESTIMATORS["bernoulli"]
VALUES = 500_000  # pixels decoded at a time: what a cache holds
BLOCKS = 16  # means of which the error at the largest R is averaged


def rows(model: SmallModel, draws: int, generator: Generator) -> Iterator[Row]:
    """All rows of one model, every estimator with `draws` draws of its own."""
    exact = silent_gradient(model)
    length = float(flat(exact, exact).norm())
    here = coordinates(latent=model.latent)
    for name in ESTIMATORS[model.latent]:
        found = draw_gradients(model, name, draws, generator)
        stats = moments([{name: found}])[name]
        yield Row("bias_z_max", abs(largest_z(stats, exact)), "1", at=here, estimator=name)
        offset = float(bias(stats, exact).norm())
        numbers = relative(covariance_trace(stats), offset, length, draws)
        share, noise = numbers["relative_bias"], numbers["relative_bias_noise"]
        yield Row("relative_offset", share, "1", at=here, estimator=name)
        yield Row("relative_offset_noise", noise, "1", at=here, estimator=name)
        errors = root_mean_square_errors(found, exact)
        for size, error in errors.items():
            at = coordinates(latent=model.latent, draws=size)
            yield Row("relative_error", error / length, "1", at=at, estimator=name)
        yield Row("unbiased_slope", slope(errors), "1", at=here, estimator=name)
        for parameter, variance in theory(model, name).items():
            ratio, noise = variance_ratio(found[parameter], variance)
            at = coordinates(latent=model.latent, parameter=parameter)
            yield Row("variance_ratio", ratio, "1", at=at, estimator=name)
            yield Row("variance_ratio_noise", noise, "1", at=at, estimator=name)


def silent_gradient(model: SmallModel) -> Tensors:
    """The gradient of estimator `silent`, which reads no noise."""
    value = estimate(model.model, "silent")
    return gradient(lambda params: value(params, {}), model.params)


def draw_gradients(model: SmallModel, estimator: str, draws: int, generator: Generator) -> Tensors:
    """One gradient per draw, each of the fewest samples the estimator takes, {name: [S, ...]}.

    Its own OPTIONS hold; a moving average is the number it settles at.
    """
    part = contracts.estimator(estimator)
    baseline = variances.mean_reward(model)
    settled: dict[str, Any] = {"reward": baseline, "weight": 1.0} if part.STATE else {}
    values = {estimator: estimate(model.model, estimator, **settled)}
    shapes = model.posterior(model.params).noise_shapes(part.MIN_SAMPLES)
    chunk = VALUES // (part.MIN_SAMPLES * model.x.numel())
    batches = list(
        gradient_draws(values, model.params, shapes, generator, draws=draws, chunk=chunk)
    )
    return {name: torch.cat([b[estimator][name] for b in batches]) for name in model.params}


def root_mean_square_errors(found: Tensors, exact: Tensors) -> dict[int, float]:
    """R -> root mean square distance to the exact gradient of means of R draws; R = 1, 4, 16, ...

    The draws are cut into blocks of R, so that small R are averaged over many blocks and the
    largest over `BLOCKS` at least.
    """
    flat = torch.cat([(found[name] - g).flatten(1) for name, g in exact.items()], -1)
    errors = {}
    count = 1
    while count * BLOCKS <= len(flat):
        blocks = len(flat) // count
        means = flat[: blocks * count].reshape(blocks, count, -1).mean(1)
        errors[count] = math.sqrt(float(means.square().sum(-1).mean()))
        count *= 4
    return errors


def slope(errors: dict[int, float]) -> float:
    """Least-squares slope of log error against log R: -1/2 without bias, towards 0 with one."""
    counts, values = (np.log(list(part)) for part in (errors.keys(), errors.values()))
    return float(np.polyfit(counts, values, 1)[0])


def variance_ratio(draws: Tensor, exact: Tensor) -> tuple[float, float]:
    """Summed variances of draws [S, ...] over the exact sum, and the ratio's standard error."""
    squares = (draws - draws.mean(0)).square().flatten(1).sum(-1) / exact.sum()
    ratio = float(squares.sum()) / (len(squares) - 1)
    return ratio, float(squares.std()) / math.sqrt(len(squares))


def theory(model: SmallModel, estimator: str) -> Tensors:
    """Exact variances of one draw's gradient, where they are known."""
    if estimator == "exact_kl":
        return variances.reparameterised(model)
    if estimator == "score_function":
        return variances.score_function(model, 0.0)
    if estimator == "reinforce":
        return variances.score_function(model, variances.mean_reward(model))
    return {}
