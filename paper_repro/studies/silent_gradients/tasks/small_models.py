"""Linear decoders with few latents, on real images, whose expectations are sums over all states.

The decoders of "Silent Gradients" (Shao, Liu and Van den Broeck, arXiv 2508.03587), with weights
drawn at random: coins (in both codes) and dice are enumerated, Gaussians summed over Gauss-Hermite
nodes, which for polynomials is exact. Densities and probabilities are written out here rather
than taken from the classes that are measured against them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Generator, Tensor

from paper_repro.distributions.bernoulli import Bernoulli
from paper_repro.distributions.categorical import Categorical
from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.estimators.analytic_kl import Family
from paper_repro.estimators.linear_joint import LinearJoint

Tensors = dict[str, Tensor]
LATENTS = ("gaussian", "bernoulli", "bernoulli_01", "categorical")
GAUSSIANS, NODES = 3, 10  # exact for polynomials up to degree 19 in each latent
COINS = 8
DICE, FACES = 3, 3
SPREAD = 0.5  # length of a pixel's row of V: how much its log-precision depends on z


@dataclass(frozen=True)
class SmallModel:
    """Images x [B, P], the parameters of their posteriors and of a linear decoder (float64)."""

    latent: str  # one of LATENTS
    x: Tensor
    params: Tensors
    decoder: Tensors
    variance: float

    def posterior(self, params: Tensors) -> Family:
        """q(z|x) of all images."""
        if self.latent == "gaussian":
            return DiagonalGaussian(params["mean"], params["log_scale"])
        if self.latent == "categorical":
            return Categorical(params["logits"])
        return Bernoulli(params["logits"], signed=self.latent == "bernoulli")

    def joint(self, params: Tensors, variant: str = "fixed") -> LinearJoint:
        """The package's own log joint, with its closed form; `params` may hold a decoder's."""
        weights = {name: params.get(name, w) for name, w in self.decoder.items()}
        if variant == "SQ":  # of the same precision at z = 0, and of the same slope there
            root = (0.5 * weights["scale_bias"]).exp()
            weights["scale_weight"] = 0.5 * root.unsqueeze(-1) * weights["scale_weight"]
            weights["scale_bias"] = root
        variance = self.variance if variant == "fixed" else None
        log_prior = self.posterior(params).log_prior
        return LinearJoint(self.x, weights, variant, log_prior, variance=variance)

    def model(self, params: Tensors) -> tuple[Family, LinearJoint]:
        """q and log joint of the fixed variance."""
        return self.posterior(params), self.joint(params)

    def states(self, params: Tensors) -> tuple[Tensor, Tensor]:
        """All z [S, B, D] and their probabilities [S, B]."""
        return STATES[self.latent](params)

    def expectation(self, params: Tensors, values: Tensor) -> Tensor:
        """E_q of values [S, B, ...] at all states: [B, ...]."""
        return torch.einsum("sb,sb...->b...", self.states(params)[1], values)


def small_model(latent: str, x: Tensor, variance: float, generator: Generator) -> SmallModel:
    """A model of images x [B, P] with random posteriors and weights.

    A latent's noise costs about a nat, as at the start of E1, and the bias is the mean of x.
    """

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(shape, generator=generator, dtype=torch.float64)

    images, pixels = x.shape
    if latent == "gaussian":
        params = {
            "mean": normal(images, GAUSSIANS),
            "log_scale": normal(images, GAUSSIANS, scale=0.3) - 0.5,
        }
    elif latent == "categorical":
        params = {"logits": normal(images, DICE, FACES)}
    else:
        params = {"logits": normal(images, COINS)}
    dim = {"gaussian": GAUSSIANS, "categorical": DICE * FACES}.get(latent, COINS)
    directions = normal(pixels, dim)
    decoder = {
        "weight": normal(pixels, dim, scale=math.sqrt(2 * variance / pixels)),
        "bias": x.mean(0),
        "scale_weight": SPREAD * directions / directions.norm(dim=-1, keepdim=True),
        "scale_bias": -math.log(variance) + normal(pixels, scale=0.2),
    }
    return SmallModel(latent, x, params, decoder, variance)


def _gaussian_states(params: Tensors) -> tuple[Tensor, Tensor]:
    nodes, weights = (torch.as_tensor(a) for a in np.polynomial.hermite_e.hermegauss(NODES))
    mean = params["mean"]
    grid = torch.cartesian_prod(*[nodes] * mean.shape[-1]).unsqueeze(1)
    weight = torch.cartesian_prod(*[weights / weights.sum()] * mean.shape[-1]).prod(-1)
    return mean + params["log_scale"].exp() * grid, weight.unsqueeze(1).expand(-1, len(mean))


def _coin_states(params: Tensors, signed: bool) -> tuple[Tensor, Tensor]:
    logits = params["logits"]
    bits = _tensor(product((0.0, 1.0), repeat=logits.shape[-1])).unsqueeze(1)
    up = 1 / (1 + (-logits).exp())
    z = (2 * bits - 1 if signed else bits).expand(-1, len(logits), -1)
    return z, (bits * up + (1 - bits) * (1 - up)).prod(-1)


def _dice_states(params: Tensors) -> tuple[Tensor, Tensor]:
    logits = params["logits"]
    _, dice, faces = logits.shape
    onehot = torch.eye(faces, dtype=torch.float64)[
        _tensor(product(range(faces), repeat=dice)).long()
    ]
    probs = logits.exp() / logits.exp().sum(-1, keepdim=True)
    weights = (onehot.unsqueeze(1) * probs).sum(-1).prod(-1)
    return onehot.flatten(1).unsqueeze(1).expand(-1, len(logits), -1), weights


def _tensor(rows: Iterable[tuple[float, ...]]) -> Tensor:
    return torch.tensor(list(rows), dtype=torch.float64)


STATES: dict[str, Callable[[Tensors], tuple[Tensor, Tensor]]] = {
    "gaussian": _gaussian_states,
    "bernoulli": lambda params: _coin_states(params, signed=True),
    "bernoulli_01": lambda params: _coin_states(params, signed=False),
    "categorical": _dice_states,
}
