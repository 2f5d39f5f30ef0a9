"""The linear VAE x | z ~ N(W z + b, variance), q(z | x) = N(A x + a, scale^2), and its optimum.

Data have an empirical covariance of chosen eigenvalues. All integrands are quadratic in the
latent noise, so a mean over the 2 d cubature points +-sqrt(d) e_i is the expectation, and its
gradient is exact: the components under test are evaluated as they are, on these points for noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from paper_repro.distributions.gaussian import DiagonalGaussian, standard_normal_log_prob
from paper_repro.estimators import total
from paper_repro.estimators.terms import Terms
from paper_repro.likelihoods import gaussian

Params = dict[str, Tensor]


def directions(pixels: int) -> Tensor:
    """A fixed random rotation; its columns are the principal directions of `data`."""
    generator = torch.Generator().manual_seed(pixels)
    return torch.linalg.qr(torch.randn(pixels, pixels, generator=generator, dtype=torch.float64))[0]


def data(spectrum: Tensor, centre: float = 0.3) -> Tensor:
    """[2 D, D]: mean `centre` in every pixel and covariance of these D eigenvalues, exactly."""
    arms = directions(len(spectrum)) * (len(spectrum) * spectrum).sqrt()
    return centre + torch.cat([arms.T, -arms.T])


def cubature(latents: int, *batch: int) -> Mapping[str, Tensor]:
    """Standard-normal noise [2 d, *batch, d] whose plain mean is exact to the third degree."""
    points = math.sqrt(latents) * torch.eye(latents, dtype=torch.float64)
    points = torch.cat([points, -points])
    shape = (2 * latents, *[1] * len(batch), latents)
    return {"z": points.reshape(shape).expand(-1, *batch, -1)}


def optimum(spectrum: Tensor, latents: int, variance: float, beta: float = 1.0) -> Params:
    """Where the beta-ELBO is largest: squared columns l - beta v, posterior variances beta v / l.

    Tipping and Bishop, "Probabilistic Principal Component Analysis" (1999), for beta = 1; a latent
    whose eigenvalue l is below beta v is switched off.
    """
    kept, level = spectrum.sort(descending=True)[0][:latents], beta * variance
    axes = directions(len(spectrum))[:, spectrum.argsort(descending=True)[:latents]]
    columns = (kept - level).clamp(min=0).sqrt()
    encoder = (columns / kept.clamp(min=level))[:, None] * axes.T
    centre = torch.full((len(spectrum),), 0.3, dtype=torch.float64)
    return {
        "decoder": axes * columns,
        "centre": centre,
        "encoder": encoder,
        "offset": -encoder @ centre,
        "log_scale": 0.5 * (level / kept.clamp(min=level)).log(),
    }


def random_params(pixels: int, latents: int, seed: int, scale: float = 0.5) -> Params:
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "decoder": (pixels, latents),
        "centre": (pixels,),
        "encoder": (latents, pixels),
        "offset": (latents,),
        "log_scale": (latents,),
    }
    return {
        name: scale * torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }


def posterior(params: Params, x: Tensor) -> DiagonalGaussian:
    mean = x @ params["encoder"].T + params["offset"]
    return DiagonalGaussian(mean, params["log_scale"].expand_as(mean))


def decode(params: Params, z: Tensor) -> Tensor:
    return z @ params["decoder"].T + params["centre"]


def objective(
    bound: Callable[..., Tensor],
    params: Params,
    x: Tensor,
    *,
    likelihood: Callable[..., Tensor] = gaussian.log_likelihood,
    estimator: Callable[..., Terms] = total.terms,
    **options: float,
) -> Tensor:
    """The exact objective per example, averaged over the data.

    `options` go to the likelihood, which is called as (x, output, params, **options).
    """
    q = posterior(params, x)

    def log_joint(z: Tensor) -> tuple[Tensor, Tensor]:
        output = decode(params, z)
        return likelihood(x, output, params, **options), standard_normal_log_prob(z)

    noise = cubature(q.mean.shape[-1], len(x))
    return bound(estimator(q, log_joint, noise), q).mean()


def ppca_log_evidence(spectrum: Tensor, latents: int, variance: float) -> float:
    """The largest mean log p(x) of a linear decoder with this variance (Tipping and Bishop)."""
    eigenvalues = spectrum.sort(descending=True)[0]
    model = torch.full_like(eigenvalues, variance)
    model[:latents] = eigenvalues[:latents].clamp(min=variance)
    return float(-0.5 * ((2 * math.pi * model).log() + eigenvalues / model).sum())


def gradients(value: Callable[[Params], Tensor], params: Params) -> Params:
    live = {name: p.detach().clone().requires_grad_() for name, p in params.items()}
    found = torch.autograd.grad(value(live), list(live.values()), allow_unused=True)
    return {
        name: torch.zeros_like(p) if g is None else g
        for (name, p), g in zip(live.items(), found, strict=True)
    }


def steepest(value: Callable[[Params], Tensor], params: Params) -> float:
    """The largest entry of the gradient, in absolute value: zero at a stationary point."""
    return max(float(g.abs().max()) for g in gradients(value, params).values())


def maximise(value: Callable[[Params], Tensor], params: Params, iterations: int = 500) -> Params:
    """L-BFGS from `params`."""
    live = {name: p.detach().clone().requires_grad_() for name, p in params.items()}
    optimizer = torch.optim.LBFGS(
        live.values(),
        max_iter=iterations,
        tolerance_grad=1e-10,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = -value(live)
        loss.backward()
        return loss

    optimizer.step(closure)
    return {name: p.detach() for name, p in live.items()}
