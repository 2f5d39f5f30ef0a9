"""The linear VAE of Dai, Wenliang and Wipf (NeurIPS 2021): its loss without sampling, its minimum.

x has mean zero and covariance F F^T, p(x|z) = N(W z, gamma I), q(z|x) = N(A x, diag(s)^2). The loss
is their eq. (3), twice the negative ELBO in nats without its constants, with the KL part times
beta. Its expectation over data and posterior is a formula, and so is its minimum over W, A and s
(our derivation; for beta = 1 Tipping and Bishop, "Probabilistic Principal Component Analysis",
1999): directions of variance l > beta gamma are kept, with |w|^2 = l - beta gamma and
s^2 = beta gamma / l, all others are switched off, w = 0 and s = 1. Below the least l / beta the
slope against log gamma is d - beta r exactly.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

Tensors = dict[str, Tensor]


def rotation(pixels: int, columns: int, generator: Generator) -> Tensor:
    """Random orthonormal columns [pixels, columns], float64, drawn on the CPU."""
    normal = torch.randn(pixels, columns, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(normal)[0]


def error(params: Tensors, factor: Tensor) -> Tensor:
    """E ||x - W z||^2 over data and posterior: [...].

    decoder W [..., d, kappa], encoder A [..., kappa, d], log_scale [..., kappa], factor F [d, r].
    """
    decoder = params["decoder"]
    residual = factor - decoder @ (params["encoder"] @ factor)
    noise = (2 * params["log_scale"]).exp() * decoder.square().sum(-2)
    return residual.square().sum((-2, -1)) + noise.sum(-1)


def rate(params: Tensors, factor: Tensor) -> Tensor:
    """E ||s||^2 - log |diag(s)^2| + E ||A x||^2, twice the KL divergence plus kappa: [...]."""
    code = (params["encoder"] @ factor).square().sum(-1)
    variance = (2 * params["log_scale"]).exp()
    return (variance - 2 * params["log_scale"] + code).sum(-1)


def loss(params: Tensors, factor: Tensor, beta: float | Tensor = 1.0) -> Tensor:
    """Eq. (3) with the KL part times `beta`, in expectation: [...]; log_gamma is [...]."""
    log_gamma = params["log_gamma"]
    data = error(params, factor) * (-log_gamma).exp() + len(factor) * log_gamma
    return data + beta * rate(params, factor)


def optimum(axes: Tensor, spectrum: Tensor, latents: int, gamma: float, beta: float) -> Tensors:
    """Where the loss of the covariance axes diag(spectrum) axes^T is least for this gamma.

    axes [d, r] orthonormal, spectrum [r] positive, latents >= r.
    """
    level = beta * gamma
    spare = latents - len(spectrum)
    weight = (spectrum - level).clamp(min=0).sqrt()
    encoder = (weight / spectrum)[:, None] * axes.T
    log_scale = 0.5 * (level / spectrum.clamp(min=level)).log()
    return {
        "decoder": torch.cat([axes * weight, axes.new_zeros(len(axes), spare)], 1),
        "encoder": torch.cat([encoder, axes.new_zeros(spare, len(axes))]),
        "log_scale": torch.cat([log_scale, log_scale.new_zeros(spare)]),
        "log_gamma": torch.tensor(gamma, dtype=axes.dtype).log(),
    }


def minimised_loss(
    spectrum: Tensor, pixels: int, latents: int, beta: float, log_gamma: Tensor
) -> Tensor:
    """The loss's minimum over everything but gamma, for log_gamma [...]: [...]."""
    gamma = log_gamma.exp()[..., None]
    kept = beta * (2 + (spectrum / (beta * gamma)).log())
    lost = spectrum / gamma + beta
    parts = torch.where(spectrum > beta * gamma, kept, lost).sum(-1)
    return pixels * log_gamma + parts + (latents - len(spectrum)) * beta


def active(spectrum: Tensor, beta: float, gamma: float) -> int:
    """Latents in use at the minimum for this gamma."""
    return int((spectrum > beta * gamma).sum())


def line_slope(x: Tensor, y: Tensor) -> Tensor:
    """Least-squares slope of y [..., n] on x [n]."""
    centred = x - x.mean()
    return (y * centred).sum(-1) / centred.square().sum()
