"""The linear-Gaussian model of Rainforth et al. (2018), near its optimum.

"Tighter Variational Bounds are Not Necessarily Better", section 4: z ~ N(mu, I), x|z ~ N(z, I),
q(z|x) = N(A x + b, (2/3) I) with D = 20. The data come from mu_true ~ N(0, I). At the optimum
mu = mean(x), A = I/2 and b = mu/2; the true posterior has covariance I/2, so q is never exact.
All parameters are moved off it by 0.01 N(0, 1).
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from paper_repro.contracts import Tensors
from paper_repro.distributions.gaussian import DiagonalGaussian, normal_log_prob
from paper_repro.distributions.posterior import Reparameterised
from paper_repro.estimators.terms import LogJoint
from paper_repro.gradients.draws import estimate, gradient_draws
from paper_repro.gradients.moments import Moments, moments
from paper_repro.studies.sticking_the_landing.tasks.toys import Toy, normal

VARIANCE, PERTURBATION = 2 / 3, 0.01
# Elements of one [draws, K, points, D] tensor that a chunk may hold (8 MB in float64): more
# would fall out of the processor's cache, less would be all overhead.
CHUNK_ELEMENTS = 1_000_000


def toy(generator: Generator, *, points: int, dim: int, device: str) -> Toy:
    """The model with parameters "encoder" (b, [D]) and "decoder" (mu, [D]); float64."""
    true_mean = normal(generator, dim)
    x = true_mean + math.sqrt(2) * normal(generator, points, dim)
    mu = x.mean(0)
    slope = 0.5 * torch.eye(dim, dtype=x.dtype) + PERTURBATION * normal(generator, dim, dim)
    params = {
        "encoder": mu / 2 + PERTURBATION * normal(generator, dim),
        "decoder": mu + PERTURBATION * normal(generator, dim),
    }
    params = {name: tensor.to(device) for name, tensor in params.items()}
    x, projected = x.to(device), (x @ slope.T).to(device)
    log_scale = torch.full_like(x, 0.5 * math.log(VARIANCE))
    unit = torch.zeros_like(x)

    def model(params: Tensors) -> tuple[Reparameterised, LogJoint]:
        def log_joint(z: Tensor) -> tuple[Tensor, Tensor]:
            return normal_log_prob(x, z, unit), normal_log_prob(z, params["decoder"], unit[0])

        return DiagonalGaussian(projected + params["encoder"], log_scale), log_joint

    return Toy(params, model)


def iwae_moments(
    toy: Toy, estimators: tuple[str, ...], generator: Generator, *, k: int, draws: int
) -> dict[str, dict[str, Moments]]:
    """`moments` of the K-sample IWAE bound, summed over points, per estimator."""
    shapes = toy.noise_shapes(k)
    values = {name: estimate(toy.model, name, "iwae") for name in estimators}
    chunk = max(1, CHUNK_ELEMENTS // math.prod(shapes["z"]))
    return moments(gradient_draws(values, toy.params, shapes, generator, draws=draws, chunk=chunk))
