"""Small problems with exact answers, one per posterior family, for the estimator tests.

Parameters are flat dicts of float64 tensors. `theta` belongs to the decoder, everything else to
the posterior. The exact gradient of the ELBO is autograd through Gauss-Hermite quadrature over the
noise, which has nothing random in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from paper_repro import registry
from paper_repro.distributions.flow import Flow, init_params
from paper_repro.distributions.gaussian import (
    DiagonalGaussian,
    normal_log_prob,
    standard_normal_log_prob,
)
from paper_repro.distributions.mixture import GaussianMixture
from paper_repro.distributions.two_layer import TwoLayer
from paper_repro.estimators.terms import Terms

Params = Mapping[str, Tensor]
OPTIONS = {"control_variate": {"c": 0.3}}
X = torch.tensor([[0.8, -0.3], [-1.1, 0.4]], dtype=torch.float64)  # a batch of two
LOG_NOISE = torch.tensor([-0.2, 0.1], dtype=torch.float64)


@dataclass(frozen=True)
class Toy:
    params: dict[str, Tensor]
    posterior: Callable[[Params], object]
    log_joint: Callable[[Params], Callable]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def observe(params: Params, z: Tensor) -> tuple[Tensor, Tensor]:
    """x | z ~ N(z + theta, noise), z ~ N(0, I), for two observations of two dimensions."""
    return normal_log_prob(X, z + params["theta"], LOG_NOISE), standard_normal_log_prob(z)


def affine_tanh(params: Params, h1: Tensor) -> tuple[Tensor, Tensor]:
    output = torch.tanh(h1 @ params["w1"]) @ params["w2"] + params["b2"]
    mean, log_scale = output.chunk(2, -1)
    return mean, log_scale


def _gaussian() -> Toy:
    params = {"mean": normal(1, 2, 2), "log_scale": normal(2, 2, 2, scale=0.3)}
    return Toy(
        params | {"theta": normal(3, 2, scale=0.5)},
        lambda p: DiagonalGaussian(p["mean"], p["log_scale"]),
        lambda p: lambda z: observe(p, z),
    )


def _mixture() -> Toy:
    params = {
        "logits": normal(4, 2, 3),
        "means": normal(5, 2, 3, 2),
        "log_scales": normal(6, 2, 3, 2, scale=0.2),
        "theta": normal(7, 2, scale=0.5),
    }
    return Toy(
        params,
        lambda p: GaussianMixture(p["logits"], p["means"], p["log_scales"]),
        lambda p: lambda z: observe(p, z),
    )


def _two_layer() -> Toy:
    params = {
        "mean": normal(8, 2, 2),
        "log_scale": normal(9, 2, 2, scale=0.3),
        "w1": normal(10, 2, 3, scale=0.7),
        "w2": normal(11, 3, 2, scale=0.5),
        "b2": normal(12, 2, scale=0.3),
        "theta": normal(13, 2, scale=0.5),
    }

    def posterior(p: Params) -> TwoLayer:
        weights = {name: p[name] for name in ("w1", "w2", "b2")}
        return TwoLayer(DiagonalGaussian(p["mean"], p["log_scale"]), affine_tanh, weights, 1)

    def log_joint(p: Params) -> Callable:
        def densities(z: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            h1, h2 = z
            prior = standard_normal_log_prob(h2) + normal_log_prob(h1, h2, torch.zeros_like(h1))
            return normal_log_prob(X, h1 + p["theta"], LOG_NOISE), prior

        return densities

    return Toy(params, posterior, log_joint)


def _flow() -> Toy:
    flow = init_params(generator(14), dim=2, layers=2, hidden=4, scale=0.7, dtype=torch.float64)
    return Toy(
        flow | {"theta": normal(15, 2, scale=0.5)},
        lambda p: Flow({name: p[name] for name in flow}, batch=(2,)),
        lambda p: lambda z: observe(p, z),
    )


TOYS = {
    "gaussian": _gaussian(),
    "mixture": _mixture(),
    "two_layer": _two_layer(),
    "flow": _flow(),
}


def pairs(objective: str) -> list[tuple[str, str]]:
    """Every (estimator, posterior kind) that may be used with `objective`."""
    kinds = registry.constant("objectives", objective, "SUPPORTS")
    return [
        (name, kind)
        for name in registry.names("estimators")
        if objective in registry.constant("estimators", name, "OBJECTIVES")
        for kind in registry.constant("estimators", name, "SUPPORTS")
        if kind in kinds
    ]


def terms_of(name: str) -> Callable[..., Terms]:
    """The estimator `name` with the options of these tests filled in."""
    module, options = registry.load("estimators", name), OPTIONS.get(name, {})
    return lambda posterior, log_joint, noise: module.terms(posterior, log_joint, noise, **options)


def bound(terms: Callable[..., Terms], objective: str, toy: Toy) -> Callable[..., Tensor]:
    """(params, noise) -> the objective, summed over the batch."""
    module = registry.load("objectives", objective)
    return lambda params, noise: module.bound(
        terms(toy.posterior(params), toy.log_joint(params), noise)
    ).sum()


def draw_noise(toy: Toy, samples: int, seed: int, draws: int | None = None) -> dict[str, Tensor]:
    """Standard normal noise for K = samples, with a leading axis of `draws` where given."""
    rng, lead = generator(seed), () if draws is None else (draws,)
    shapes = toy.posterior(toy.params).noise_shapes(samples)
    return {
        name: torch.randn((*lead, *shape), generator=rng, dtype=torch.float64)
        for name, shape in shapes.items()
    }


def flatten(gradient: Params, lead: int = 0) -> Tensor:
    return torch.cat([g.flatten(lead) for g in gradient.values()], dim=-1)


def gradient_draws(
    function: Callable[..., Tensor], params: Params, noise: Params
) -> dict[str, Tensor]:
    """Per-draw gradients of function(params, noise) along the leading axis of the noise."""
    gradient = torch.func.grad(function)
    return torch.func.vmap(lambda draw: gradient(dict(params), draw))(dict(noise))


def z_scores(draws: Tensor, exact: Tensor) -> Tensor:
    """(mean - exact) in standard errors; infinite where a wrong value does not vary."""
    error = draws.std(0) / len(draws) ** 0.5
    difference = draws.mean(0) - exact
    return torch.where(difference.abs() < 1e-9, 0.0, difference / error)


def exact_elbo_gradient(kind: str, nodes: int = 40) -> Tensor:
    """Gradient of the ELBO, summed over the batch, by quadrature over each observation's noise."""
    toy = TOYS[kind]
    shapes = toy.posterior(toy.params).noise_shapes(1)
    shapes.pop("component", None)
    dims = sum(shape[-1] for shape in shapes.values())
    nodes = {2: nodes, 3: 16}[dims]
    points, weights = (torch.as_tensor(a) for a in np.polynomial.hermite_e.hermegauss(nodes))
    grid = torch.cartesian_prod(*[points] * dims)
    weight = torch.cartesian_prod(*[weights / weights.sum()] * dims).prod(-1)
    columns = grid.split([shape[-1] for shape in shapes.values()], dim=-1)
    noise = {
        name: part.unsqueeze(1).expand(len(grid), *shape[-2:])
        if kind != "mixture"
        else part[None, :, None].expand(shape[0], len(grid), *shape[-2:])
        for (name, shape), part in zip(shapes.items(), columns, strict=True)
    }

    def elbo(params: Params) -> Tensor:
        posterior = toy.posterior(params)
        z = posterior.rsample(noise)
        likelihood, prior = toy.log_joint(params)(z)
        integrand = likelihood + prior - posterior.log_prob(z)
        if kind == "mixture":  # written out, so that `expect` is under test as well
            integrand = torch.einsum("bc,ckb->kb", params["logits"].softmax(-1), integrand)
        return weight @ integrand.sum(-1)

    return flatten(torch.func.grad(elbo)(dict(toy.params)))
