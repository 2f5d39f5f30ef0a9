"""Closed forms of E_q log p(x | z) against sums over all states (Shao, Liu, Van den Broeck 2025).

"Silent Gradients", arXiv 2508.03587; the paper's own equations are not known to us, these are our
derivations of what its abstract describes (`likelihoods.expected`). EXP2, and SQ of discrete
latents, are surrogates: they are compared with what they are defined as, and, apart from that,
with the expectation they stand for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from paper_repro.gradients.draws import gradient
from paper_repro.rows import Row, coordinates
from paper_repro.studies.silent_gradients.tasks.small_models import SmallModel, Tensors

FORMULAS = ("fixed", "L0", "EXP", "EXP2", "SQ")
LOG_2PI = math.log(2 * math.pi)
SERIES = 1500  # terms of a Poisson series of rate up to several hundred
WORST_SPREAD = 0.45  # largest variance of a log-precision at which EXP2 is examined
Value = Callable[[Tensors], Tensor]


def rows(model: SmallModel) -> Iterator[Row]:
    """Relative errors of values and gradients, and what surrogates are off by."""
    for formula in FORMULAS:
        at = coordinates(formula=formula, latent=model.latent)
        found, meant = closed_form(model, formula), definition(model, formula)
        worst = relative_error(found, meant, model)
        yield Row("closed_form_relative_error", worst, "1", at=at)
        slope = gradient_error(found, meant, model)
        yield Row("closed_form_gradient_error", slope, "1", at=at)
        if is_surrogate(model, formula):
            off = relative_error(meant, truth(model, formula), model)
            yield Row("surrogate_relative_error", off, "1", at=at)
    at = coordinates(latent=model.latent, spread=WORST_SPREAD)
    yield Row("surrogate_worst_pixel", worst_pixel(model, WORST_SPREAD), "1", at=at)


def is_surrogate(model: SmallModel, formula: str) -> bool:
    """Whether a closed form is not the expectation of its log-density."""
    return formula == "EXP2" or (formula == "SQ" and model.latent != "gaussian")


def closed_form(model: SmallModel, formula: str) -> Value:
    """Parameters of posterior and decoder -> the package's closed form [B]."""
    return lambda p: model.joint(p, formula).expected_log_likelihood(model.posterior(p))


def definition(model: SmallModel, formula: str) -> Value:
    """The same as a sum over states, surrogates as they are defined."""

    def value(p: Tensors) -> Tensor:
        error, scale = errors_and_scales(model, p, formula)

        def mean(values: Tensor) -> Tensor:
            return model.expectation(p, values)

        if formula == "EXP2":
            centre = mean(scale)
            rest = scale - centre
            weighted = centre.exp() * mean(error.square() * (1 + rest + rest.square() / 2))
            return log_likelihood(centre, weighted)
        if formula != "SQ":
            return log_likelihood(mean(scale), mean(error.square() * scale.exp()))
        precision = scale.square()
        if model.latent == "gaussian":
            centre = mean(scale)
            log_precision = log_square_series(centre, mean((scale - centre).square()))
        else:
            level = mean(precision)
            spread = mean((precision - level).square())
            log_precision = level.log() - spread / (2 * level.square())
        return log_likelihood(log_precision, mean(error.square() * precision))

    return value


def truth(model: SmallModel, formula: str) -> Value:
    """E_q log p(x | z) of the density that a surrogate stands for."""

    def value(p: Tensors) -> Tensor:
        error, scale = errors_and_scales(model, p, formula)
        log_precision = scale.square().log() if formula == "SQ" else scale
        inner = log_precision - LOG_2PI - error.square() * log_precision.exp()
        return model.expectation(p, 0.5 * inner.sum(-1))

    return value


def errors_and_scales(model: SmallModel, p: Tensors, formula: str) -> tuple[Tensor, Tensor]:
    """x - W z - b and s(z), [S, B, P] each, at all states; s is a log-precision but for SQ."""
    z, _ = model.states(p)
    weights = model.joint(p, formula).params
    error = model.x - z @ weights["weight"].mT - weights["bias"]
    if formula == "fixed":
        return error, torch.full_like(error, -math.log(model.variance))
    if formula == "L0":
        return error, weights["scale_bias"].expand_as(error)
    return error, z @ weights["scale_weight"].mT + weights["scale_bias"]


def log_likelihood(log_precision: Tensor, weighted: Tensor) -> Tensor:
    """-1/2 sum over pixels of log 2 pi - E log tau + R: [B]."""
    return 0.5 * (log_precision - LOG_2PI - weighted).sum(-1)


def log_square_series(centre: Tensor, variance: Tensor) -> Tensor:
    """E log s^2 for s ~ N(centre, variance): log s^2 of a noncentral chi-square variable, a Poisson
    mixture of those of central ones."""
    rate = (centre.square() / (2 * variance)).unsqueeze(-1)
    j = torch.arange(SERIES, dtype=centre.dtype)
    weight = (torch.xlogy(j, rate) - rate - torch.lgamma(j + 1)).exp()
    return (2 * variance).log() + (weight * torch.digamma(j + 0.5)).sum(-1)


def relative_error(found: Value, expected: Value, model: SmallModel) -> float:
    """Length of the difference of values [B] in units of the exact ones' (one image's may be close
    to zero)."""
    p = model.params | model.decoder
    exact = expected(p)
    return float((found(p) - exact).norm() / exact.norm())


def gradient_error(found: Value, expected: Value, model: SmallModel) -> float:
    """Length of the difference of gradients in units of the exact one's; the largest over the
    parameters of posterior and decoder."""

    def slope(value: Value) -> Tensors:
        return gradient(lambda p: value(p).sum(), model.params | model.decoder)

    ours, exact = slope(found), slope(expected)
    return max(
        float((ours[name] - g).norm() / g.norm()) for name, g in exact.items() if g.norm() > 0
    )


def worst_pixel(model: SmallModel, spread: float) -> float:
    """The largest relative error over images and pixels of EXP2's R = E[(x - mu)^2 tau], with V
    scaled so that the largest variance of a log-precision is `spread`."""
    p = model.params | model.decoder
    _, scale = errors_and_scales(model, p, "EXP")
    centre = model.expectation(p, scale)
    variance = model.expectation(p, (scale - centre).square())
    factor = math.sqrt(spread / float(variance.max()))
    p = p | {"scale_weight": factor * p["scale_weight"]}
    error, scale = errors_and_scales(model, p, "EXP")
    centre = model.expectation(p, scale)
    rest = scale - centre
    exact = model.expectation(p, error.square() * rest.exp())
    found = model.expectation(p, error.square() * (1 + rest + rest.square() / 2))
    return float((found / exact - 1).abs().max())
