"""Small random problems whose exact gradient can be computed, for every family of posteriors.

Two observations, two to four pixels, at most nine latent units: few enough to integrate over all
noise or all codes (see `exact`). The decoder is either a small tanh network (``mlp``) or linear
with Gaussian noise (``linear``), the model of the analytic gradients of Shao, Liu and Van den
Broeck, "Silent Gradients" (arXiv 2508.03587). A seed is a problem: its data, its decoder and its
place of q away from the optimum. Our choice throughout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from paper_repro.contracts import Tensors
from paper_repro.distributions import bernoulli, categorical, flow
from paper_repro.distributions.gaussian import (
    DiagonalGaussian,
    normal_log_prob,
    standard_normal_log_prob,
)
from paper_repro.distributions.mixture import GaussianMixture
from paper_repro.distributions.posterior import Latent
from paper_repro.distributions.two_layer import TwoLayer
from paper_repro.estimators.linear_joint import LinearJoint
from paper_repro.estimators.terms import LogJoint
from paper_repro.training.streams import standard_normal, stream

Params = Mapping[str, Tensor]

# Name of a problem -> kind of its posterior. Those with a linear decoder end in _linear.
PROBLEMS = {
    "gaussian": "gaussian",
    "gaussian_linear": "gaussian",
    "mixture": "mixture",
    "two_layer": "two_layer",
    "flow": "flow",
    "bernoulli": "bernoulli",
    "bernoulli_linear": "bernoulli",
    "categorical": "categorical",
    "categorical_linear": "categorical",
}
BATCH, HIDDEN, PIXELS = 2, 3, 3
UNITS, GROUPS, CLASSES = 6, 3, 3
VARIANCE = 1.0  # of the Gaussian noise on pixels


@dataclass(frozen=True)
class ExactProblem:
    """Float64 parameters, and the posterior and log joint that they define.

    Parameters whose names begin with ``theta`` belong to the decoder, all others to the posterior.
    `codes` are all values of a discrete latent, [S, D], and `code_log_probs(params)` their
    log-probabilities under q, [S, B], written apart from the posterior's own; None for a
    continuous one.
    """

    kind: str
    params: Tensors
    posterior: Callable[[Params], Any]
    log_joint: Callable[[Params], LogJoint]
    codes: Tensor | None = None
    code_log_probs: Callable[[Params], Tensor] | None = None

    def model(self, params: Params) -> tuple[Any, LogJoint]:
        """The posterior and the log joint at `params`."""
        return self.posterior(params), self.log_joint(params)

    def noise_shapes(self, samples: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the noise of one draw with K = samples."""
        found: dict[str, tuple[int, ...]] = self.posterior(self.params).noise_shapes(samples)
        return found

    def noise(self, samples: int, generator: Generator, count: int | None = None) -> Tensors:
        """Noise of one draw with K = samples, or of `count` along a new leading axis."""
        dtype = next(iter(self.params.values())).dtype
        return standard_normal(self.noise_shapes(samples), generator, count, dtype)

    @property
    def encoder(self) -> list[str]:
        """Names of the posterior's parameters."""
        return [name for name in self.params if not name.startswith("theta")]

    @property
    def decoder(self) -> list[str]:
        """Names of the decoder's parameters."""
        return [name for name in self.params if name.startswith("theta")]


def problem(name: str, seed: int = 0) -> ExactProblem:
    """The problem `name` of PROBLEMS, drawn from `seed`; KeyError for any other name."""
    kind = PROBLEMS[name]
    generator = stream(seed, "init", "conformance", name)
    return MAKERS[kind](generator, name.endswith("_linear"))


def normal(generator: Generator, *shape: int, scale: float = 1.0) -> Tensor:
    """scale N(0, 1), float64."""
    return scale * torch.randn(shape, generator=generator, dtype=torch.float64)


def with_standard_prior(log_density: Callable[[Latent], Tensor], kind: str) -> LogJoint:
    """A target density split into p(x|z) p(z), p(z) being the standard prior of `kind`, as
    estimators with an exact divergence require."""

    def log_joint(z: Latent) -> tuple[Tensor, Tensor]:
        prior = log_prior(z, kind)
        return log_density(z) - prior, prior

    return log_joint


def linear_joint(x: Tensor, params: Params, kind: str, variance: float) -> LinearJoint:
    """x ~ N(theta_weight z + theta_bias, variance) with the standard prior of `kind`."""
    theta = {"weight": params["theta_weight"], "bias": params["theta_bias"]}
    return LinearJoint(x, theta, "fixed", lambda z: log_prior(z, kind), variance=variance)


def log_prior(z: Latent, kind: str) -> Tensor:
    """log p(z) in nats: N(0, I), fair coins or fair dice; [K, *batch]."""
    if isinstance(z, tuple):
        return sum(map(standard_normal_log_prob, z), start=torch.zeros((), dtype=z[0].dtype))
    if kind == "bernoulli":
        return torch.full_like(z[..., 0], -z.shape[-1] * math.log(2))
    if kind == "categorical":
        return torch.full_like(z[..., 0], -(z.shape[-1] // CLASSES) * math.log(CLASSES))
    return standard_normal_log_prob(z)


def _decoder(
    generator: Generator, kind: str, units: int, linear: bool, scale: float = 0.5
) -> tuple[dict[str, Tensor], Callable[[Params], LogJoint]]:
    """Parameters and log joint of a decoder of z with the standard prior, and its data.

    Pixels are Gaussian, but binary under a network that decodes a discrete latent.
    """
    x = normal(generator, BATCH, PIXELS)
    if linear:
        theta = {
            "theta_weight": normal(generator, PIXELS, units, scale=scale),
            "theta_bias": normal(generator, PIXELS, scale=0.5),
        }
        return theta, lambda p: linear_joint(x, p, kind, VARIANCE)
    theta = {
        "theta_in": normal(generator, units, HIDDEN, scale=scale),
        "theta_out": normal(generator, HIDDEN, PIXELS, scale=0.8),
        "theta_bias": normal(generator, PIXELS, scale=0.5),
    }
    log_scale = torch.full((PIXELS,), 0.5 * math.log(VARIANCE), dtype=torch.float64)
    binary = (x > 0).to(x.dtype)

    def log_joint(p: Params) -> LogJoint:
        def densities(z: Tensor) -> tuple[Tensor, Tensor]:
            output = torch.tanh(z @ p["theta_in"]) @ p["theta_out"] + p["theta_bias"]
            if kind in ("bernoulli", "categorical"):
                signs = 2 * binary - 1
                likelihood = torch.nn.functional.logsigmoid(signs * output).sum(-1)
            else:
                likelihood = normal_log_prob(x, output, log_scale)
            return likelihood, log_prior(z, kind)

        return densities

    return theta, log_joint


def _gaussian(generator: Generator, linear: bool) -> ExactProblem:
    theta, log_joint = _decoder(generator, "gaussian", 2, linear)
    params = {
        "mean": normal(generator, BATCH, 2),
        "log_scale": normal(generator, BATCH, 2, scale=0.3) - 0.5,
    }
    return ExactProblem(
        "gaussian",
        params | theta,
        lambda p: DiagonalGaussian(p["mean"], p["log_scale"]),
        log_joint,
    )


def _mixture(generator: Generator, linear: bool) -> ExactProblem:
    theta, log_joint = _decoder(generator, "mixture", 2, linear)
    params = {
        "logits": normal(generator, BATCH, 3),
        "means": normal(generator, BATCH, 3, 2),
        "log_scales": normal(generator, BATCH, 3, 2, scale=0.2) - 0.5,
    }
    return ExactProblem(
        "mixture",
        params | theta,
        lambda p: GaussianMixture(p["logits"], p["means"], p["log_scales"]),
        log_joint,
    )


def _flow(generator: Generator, linear: bool) -> ExactProblem:
    theta, log_joint = _decoder(generator, "flow", 2, linear)
    params = flow.init_params(generator, dim=2, layers=2, hidden=4, scale=0.5, dtype=torch.float64)
    return ExactProblem(
        "flow",
        params | theta,
        lambda p: flow.Flow({name: p[name] for name in params}, (BATCH,)),
        log_joint,
    )


def _two_layer(generator: Generator, linear: bool) -> ExactProblem:
    """h2 ~ N(0, I) in one dimension, h1 | h2 ~ N(h2, I) in two, x | h1 a Gaussian network."""
    theta, decode = _decoder(generator, "gaussian", 2, linear)
    second = {
        "w_in": normal(generator, 2, HIDDEN, scale=0.4),
        "w_out": normal(generator, HIDDEN, 2, scale=0.5),
        "bias": normal(generator, 2, scale=0.3),
    }
    params = {
        "mean": normal(generator, BATCH, 2),
        "log_scale": normal(generator, BATCH, 2, scale=0.3) - 0.5,
    }

    def net(p: Params, h1: Tensor) -> tuple[Tensor, Tensor]:
        output = torch.tanh(h1 @ p["w_in"]) @ p["w_out"] + p["bias"]
        mean, log_scale = output.chunk(2, -1)
        return mean, log_scale

    def posterior(p: Params) -> TwoLayer:
        weights = {name: p[name] for name in second}
        return TwoLayer(DiagonalGaussian(p["mean"], p["log_scale"]), net, weights, 1)

    def log_joint(p: Params) -> LogJoint:
        def densities(z: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            h1, h2 = z
            prior = standard_normal_log_prob(h2) + normal_log_prob(h1, h2, torch.zeros_like(h1))
            return decode(p)(h1)[0], prior

        return densities

    return ExactProblem("two_layer", params | second | theta, posterior, log_joint)


def _bernoulli(generator: Generator, linear: bool) -> ExactProblem:
    """Six coins: {0, 1} into the network, {-1, +1} into the linear decoder."""
    theta, log_joint = _decoder(generator, "bernoulli", UNITS, linear)
    params = {"logits": normal(generator, BATCH, UNITS)}
    bits = torch.cartesian_prod(*[torch.arange(2, dtype=torch.float64)] * UNITS)

    def code_log_probs(p: Params) -> Tensor:
        ones = p["logits"].sigmoid().log()
        zeros = (1 - p["logits"].sigmoid()).log()
        return (bits[:, None] * ones + (1 - bits[:, None]) * zeros).sum(-1)

    return ExactProblem(
        "bernoulli",
        params | theta,
        lambda p: bernoulli.Bernoulli(p["logits"], signed=linear),
        log_joint,
        2 * bits - 1 if linear else bits,
        code_log_probs,
    )


def _categorical(generator: Generator, linear: bool) -> ExactProblem:
    """Three groups of three classes."""
    theta, log_joint = _decoder(generator, "categorical", GROUPS * CLASSES, linear)
    params = {"logits": normal(generator, BATCH, GROUPS, CLASSES)}
    chosen = torch.cartesian_prod(*[torch.arange(CLASSES)] * GROUPS)
    one_hot = torch.nn.functional.one_hot(chosen, CLASSES).double()  # [S, G, C]

    def code_log_probs(p: Params) -> Tensor:
        return (one_hot[:, None] * p["logits"].softmax(-1).log()).sum((-2, -1))

    return ExactProblem(
        "categorical",
        params | theta,
        lambda p: categorical.Categorical(p["logits"]),
        log_joint,
        one_hot.flatten(1),
        code_log_probs,
    )


MAKERS: dict[str, Callable[[Generator, bool], ExactProblem]] = {
    "gaussian": _gaussian,
    "mixture": _mixture,
    "two_layer": _two_layer,
    "flow": _flow,
    "bernoulli": _bernoulli,
    "categorical": _categorical,
}
