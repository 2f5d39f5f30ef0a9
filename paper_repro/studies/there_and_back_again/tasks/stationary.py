"""Posterior variance and the decoder's Hessian where the ELBO is stationary (T3, T13).

Fyffe, "There and Back Again" (arXiv 1912.10309), names the topic in its abstract; the formulas
are our derivation. By Price's theorem ("A useful theorem for nonlinear devices having Gaussian
inputs", 1958), dE_q[g]/dV = 1/2 E_q[g''], the ELBO is stationary in the covariance V of q where

    V^-1 = H,   H = P0 + E_q[ d^2/dz^2 (-ln p(x|z)) ],   P0 the prior's precision,

and in a diagonal V where 1 / V_jj = H_jj, the diagonal of H, not 1 / (H^-1)_jj. With any
likelihood of Fisher metric G in its natural parameters, here Bernoulli logits l(z) of Jacobian J,
H = P0 + J^T G J exactly at every z if the logits are linear in z.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, Tensor
from torch.func import jacrev

from paper_repro.rows import Row, coordinates
from paper_repro.studies.there_and_back_again.tasks.maximise import (
    Tensors,
    hermite,
    maximise,
    normal,
)

EXAMPLES, PIXELS, LATENTS, HIDDEN = 6, 3, 2, 4
SIGMA = 0.3
NODES = 24
BERNOULLI_PIXELS, BERNOULLI_LATENTS = 20, 3


class Decoder:
    """f(z) = A sin(B z + b), random, with examples x [N, D] around f at prior draws."""

    def __init__(self, generator: Generator) -> None:
        self.outer = normal(generator, PIXELS, HIDDEN)
        self.inner = normal(generator, HIDDEN, LATENTS)
        self.bias = 0.5 * normal(generator, HIDDEN)
        z = normal(generator, EXAMPLES, LATENTS)
        self.x = self(z) + SIGMA * normal(generator, EXAMPLES, PIXELS)
        self.start = z

    def __call__(self, z: Tensor) -> Tensor:
        return (z @ self.inner.T + self.bias).sin() @ self.outer.T

    def loss(self, z: Tensor, x: Tensor) -> Tensor:
        """-ln p(x|z) without its constant."""
        return (x - self(z)).square().sum(-1) / (2 * SIGMA**2)


def factor(p: Tensors, full: bool) -> Tensor:
    """L [N, k, k] with V = L L^T: a diagonal, or a triangle."""
    diagonal = torch.diag_embed(p["log_scale"].exp())
    return diagonal + p["below"].tril(-1) if full else diagonal


def stationary_point(decoder: Decoder, full: bool) -> tuple[Tensor, Tensor]:
    """Means [N, k] and covariances [N, k, k] at which the ELBO of every example is largest."""
    points, weights = hermite(NODES, LATENTS)

    def value(p: Tensors) -> Tensor:
        root = factor(p, full)
        z = p["mean"] + torch.einsum("njk,sk->snj", root, points)
        distortion = weights @ decoder.loss(z, decoder.x)
        second = p["mean"].square().sum(-1) + root.square().sum((-2, -1))
        return (-distortion - 0.5 * second + p["log_scale"].sum(-1)).sum()

    start = {
        "mean": decoder.start,
        "log_scale": torch.full_like(decoder.start, -1.5),
        "below": torch.zeros(EXAMPLES, LATENTS, LATENTS, dtype=torch.float64),
    }
    if not full:
        del start["below"]
    found, _ = maximise(value, start)
    root = factor(found, full)
    return found["mean"], root @ root.mT


def mean_hessian(decoder: Decoder, mean: Tensor, covariance: Tensor) -> Tensor:
    """H = I + E_q of the Hessian of -ln p(x|z): [N, k, k]."""
    points, weights = hermite(NODES, LATENTS)
    root = torch.linalg.cholesky(covariance)
    z = mean + torch.einsum("njk,sk->snj", root, points)
    one = jacrev(jacrev(decoder.loss))
    at_nodes = torch.vmap(torch.vmap(one), in_dims=(0, None))(z, decoder.x)
    expected = torch.einsum("s,snjk->njk", weights, at_nodes)
    return expected + torch.eye(LATENTS, dtype=torch.float64)


def bernoulli_hessians(
    weight: Tensor, bias: Tensor, x: Tensor, z: Tensor, bend: float
) -> tuple[Tensor, Tensor]:
    """Hessian of -ln p(x, z) by differentiation, and I + J^T G J, at z [S, k]: [S, k, k] each.

    The logits W z + b are bent by `bend` times the sine of z's sum.
    """

    def logits(z: Tensor) -> Tensor:
        return weight @ z + bias + bend * z.sum(-1, keepdim=True).sin()

    def loss(z: Tensor) -> Tensor:
        at = logits(z)
        return (torch.nn.functional.softplus(at) - x * at).sum() + 0.5 * z.square().sum()

    exact = torch.vmap(jacrev(jacrev(loss)))(z)
    jacobian = torch.vmap(jacrev(logits))(z)
    p = torch.vmap(logits)(z).sigmoid()
    metric = (p * (1 - p)).unsqueeze(-1)
    return exact, jacobian.mT @ (metric * jacobian) + torch.eye(z.shape[-1], dtype=z.dtype)


def rows(generator: Generator) -> Iterator[Row]:
    """T3 on a random decoder, then T13 on random logits."""
    decoder = Decoder(generator)
    for name in ("diagonal", "full"):
        mean, covariance = stationary_point(decoder, full=name == "full")
        hessian = mean_hessian(decoder, mean, covariance)
        product = covariance @ hessian
        unit = torch.eye(LATENTS, dtype=torch.float64)
        at = coordinates(posterior=name)
        if name == "diagonal":
            product = torch.diag_embed(product.diagonal(dim1=-2, dim2=-1))
            inverse = torch.linalg.inv(hessian).diagonal(dim1=-2, dim2=-1)
            other = inverse / covariance.diagonal(dim1=-2, dim2=-1) - 1
            yield Row("inverse_diagonal_gap", float(other.max()), "1", at=at)
        off = float((product - unit).abs().max())
        yield Row("stationary_variance_error", off, "1", at=at)

    weight = normal(generator, BERNOULLI_PIXELS, BERNOULLI_LATENTS)
    bias = normal(generator, BERNOULLI_PIXELS)
    x = (normal(generator, BERNOULLI_PIXELS) > 0).double()
    z = normal(generator, 50, BERNOULLI_LATENTS)
    for name, bend in (("linear", 0.0), ("bent", 0.5)):
        exact, formula = bernoulli_hessians(weight, bias, x, z, bend)
        off = float(((exact - formula).abs().amax((-2, -1)) / exact.abs().amax((-2, -1))).max())
        yield Row("riemannian_hessian_error", off, "1", at=coordinates(logits=name))
