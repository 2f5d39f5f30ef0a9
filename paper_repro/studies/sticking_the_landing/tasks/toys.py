"""Toy posteriors whose true posterior is known, each placed exactly on it (q = p).

Roeder et al. (2017) prove that the path derivative vanishes there sample by sample; these are the
places where that can be checked. All are drawn on the CPU in float64 and then cast and moved, so
that precisions and devices meet the same problem.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from paper_repro.contracts import Tensors
from paper_repro.distributions import flow as flows
from paper_repro.distributions.flow import Flow
from paper_repro.distributions.gaussian import (
    DiagonalGaussian,
    normal_log_prob,
    standard_normal_log_prob,
)
from paper_repro.distributions.mixture import GaussianMixture
from paper_repro.distributions.posterior import Reparameterised
from paper_repro.distributions.two_layer import TwoLayer
from paper_repro.estimators.terms import LogJoint
from paper_repro.gradients.draws import Model
from paper_repro.studies.sticking_the_landing.tasks.gaussian_theory import random_target

# Two-layer toy: prior scale of h1 given h2 and noise scale of x given h1, as variances.
LAYER_VARIANCE, OBSERVATION_VARIANCE = 0.5, 1.2


@dataclass(frozen=True)
class Toy:
    """Parameters and the model they define: `model(params)` is (q, log p(x, z))."""

    params: Tensors
    model: Model

    def noise_shapes(self, samples: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the noise of one draw with K = samples."""
        found: dict[str, tuple[int, ...]] = self.model(self.params)[0].noise_shapes(samples)
        return found


def normal(generator: Generator, *shape: int) -> Tensor:
    """Standard normal float64 tensor on the CPU."""
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def place(tensors: Tensors, dtype: torch.dtype, device: str) -> Tensors:
    """All tensors in `dtype` on `device`."""
    return {name: tensor.to(device, dtype) for name, tensor in tensors.items()}


def with_standard_prior(log_density: Callable[[Tensor], Tensor]) -> LogJoint:
    """A target density split as p(x|z) p(z) with p(z) = N(0, I), as `exact_kl` requires."""

    def log_joint(z: Tensor) -> tuple[Tensor, Tensor]:
        prior = standard_normal_log_prob(z)
        return log_density(z) - prior, prior

    return log_joint


def gaussian_model(target: Tensors) -> Model:
    """q = N(mean, exp(log_scale)^2) against a Gaussian target of the same layout."""
    log_joint = with_standard_prior(
        lambda z: normal_log_prob(z, target["mean"], target["log_scale"])
    )
    return lambda params: (DiagonalGaussian(params["mean"], params["log_scale"]), log_joint)


def mixture_model(log_density: Callable[[Tensor], Tensor]) -> Model:
    """q = mixture of Gaussians (logits, means, log_scales) against any density."""
    log_joint = with_standard_prior(log_density)

    def model(params: Tensors) -> tuple[Reparameterised, LogJoint]:
        return GaussianMixture(params["logits"], params["means"], params["log_scales"]), log_joint

    return model


def flow_model(log_density: Callable[[Tensor], Tensor]) -> Model:
    """q = flow with the parameters of `flow.init_params` against any density."""
    log_joint = with_standard_prior(log_density)
    return lambda params: (Flow(params), log_joint)


def random_mixture(generator: Generator, components: int, dim: int) -> Tensors:
    """Means 2 N(0, I), log-scales 0.2 N(0, I), logits N(0, I); our choice (paper silent)."""
    return {
        "logits": normal(generator, components),
        "means": 2 * normal(generator, components, dim),
        "log_scales": 0.2 * normal(generator, components, dim),
    }


def gaussian(generator: Generator, dtype: torch.dtype, device: str, dim: int = 3) -> Toy:
    """Diagonal Gaussian posterior at a Gaussian target."""
    target = place(random_target(dim, generator), dtype, device)
    return Toy(target, gaussian_model(target))


def mixture(generator: Generator, dtype: torch.dtype, device: str) -> Toy:
    """Mixture of three Gaussians in two dimensions at a target of the same family."""
    target = place(random_mixture(generator, 3, 2), dtype, device)
    return Toy(target, mixture_model(GaussianMixture(**target).log_prob))


def flow(generator: Generator, dtype: torch.dtype, device: str) -> Toy:
    """Flow of four coupling layers in four dimensions at a target of the same family."""
    target = flows.init_params(generator, dim=4, layers=4, hidden=8, dtype=torch.float64)
    target = place(target, dtype, device)
    return Toy(target, flow_model(Flow(target).log_prob))


def vae_linear(generator: Generator, dtype: torch.dtype, device: str, images: int = 4) -> Toy:
    """VAE with a linear decoder, whose amortised linear encoder is the exact posterior.

    x|z ~ N(W z + b, s^2 I), z ~ N(0, I); the columns of W are orthogonal, so that the posterior
    N(P^-1 W'(x - b)/s^2, P^-1), P = I + W'W/s^2, is diagonal.
    """
    pixels, latents, variance = 6, 3, 0.5
    basis, _ = torch.linalg.qr(normal(generator, pixels, latents))
    decoder = basis * (1 + normal(generator, latents).abs())
    offset, x = normal(generator, pixels), 2 * normal(generator, images, pixels)
    precision = 1 + decoder.square().sum(0) / variance
    weight = decoder.T / (variance * precision[:, None])
    encoder = {"weight": weight, "bias": -weight @ offset, "log_scale": -0.5 * precision.log()}
    fixed = place({"decoder": decoder, "offset": offset, "x": x}, dtype, device)
    log_scale = torch.full_like(fixed["offset"], 0.5 * math.log(variance))

    def log_joint(z: Tensor) -> tuple[Tensor, Tensor]:
        mean = z @ fixed["decoder"].T + fixed["offset"]
        return normal_log_prob(fixed["x"], mean, log_scale), standard_normal_log_prob(z)

    def model(params: Tensors) -> tuple[Reparameterised, LogJoint]:
        mean = fixed["x"] @ params["weight"].T + params["bias"]
        return DiagonalGaussian(mean, params["log_scale"].expand_as(mean)), log_joint

    return Toy(place(encoder, dtype, device), model)


def two_layer(generator: Generator, dtype: torch.dtype, device: str) -> Toy:
    """Linear-Gaussian chain h2 -> h1 -> x, one dimension each, with its exact posterior.

    Layer 1 is q(h1|x) = N(mean, exp(log_scale)^2), layer 2 q(h2|h1) = N(slope h1 + bias, ...).
    """
    inner, outer = LAYER_VARIANCE, OBSERVATION_VARIANCE
    x = normal(generator, 1).to(device, dtype)
    precision1 = 1 / (1 + inner) + 1 / outer
    precision2 = 1 + 1 / inner
    params = {
        "mean": x / (outer * precision1),
        "log_scale": torch.full_like(x, -0.5 * math.log(precision1)),
        "slope": torch.full_like(x, 1 / (inner * precision2)),
        "bias": torch.zeros_like(x),
        "log_scale2": torch.full_like(x, -0.5 * math.log(precision2)),
    }

    def log_joint(z: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h1, h2 = z
        scale1, scale_x = (torch.full_like(h1, 0.5 * math.log(v)) for v in (inner, outer))
        prior = normal_log_prob(h1, h2, scale1) + standard_normal_log_prob(h2)
        return normal_log_prob(x, h1, scale_x), prior

    def net(weights: Tensors, h1: Tensor) -> tuple[Tensor, Tensor]:
        mean = weights["slope"] * h1 + weights["bias"]
        return mean, weights["log_scale2"].expand_as(mean)

    def model(params: Tensors) -> tuple[Reparameterised, LogJoint]:
        first = DiagonalGaussian(params["mean"], params["log_scale"])
        second = {name: params[name] for name in ("slope", "bias", "log_scale2")}
        return TwoLayer(first, net, second, 1), log_joint  # type: ignore[arg-type]

    return Toy(params, model)
