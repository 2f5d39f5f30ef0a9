"""Does a trained decoder become the one that is best for its posteriors? (E6; T1 and T2)

Fyffe, "There and Back Again" (arXiv 1912.10309), abstract; the experiment is ours. A VAE of two
latents, one perceptron each way, a Gaussian posterior of diagonal covariance and one learned
variance gamma of the likelihood is trained on `points` points by one draw of z per point and step.
At the marks and at the end its decoder is held against

    f*(z) = sum_i q(z|x_i) x_i / sum_j q(z|x_j)

of the posteriors that its own encoder gives all training points (`optimal_decoder`), in float64, on
an even grid over the latent plane. What counts is where the training points' aggregate posterior
q(z) = mean_i q(z|x_i) is above 1 % of its maximum: elsewhere training hardly ever asks the decoder.

Data are ours, drawn anew for every seed: a sheet in the shape of an S, as scikit-learn's S-curve,

    x = (sin t, sign(t) (cos t - 1), v) + NOISE e,   t ~ U(-3 pi / 2, 3 pi / 2), v ~ U(-1, 1).

Two latents can lay the sheet flat, and have no room for the noise: f* is an average over
neighbours, and it turns around twice.

Arrays (float32): grid [G, 2], optimal and trained [G, 3], density [G] over its maximum, mean [N, 2]
and scale [N, 2] of the posteriors, data [N, 3].
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor
from torch.func import functional_call

from paper_repro.cell import Cell
from paper_repro.distributions import gaussian
from paper_repro.likelihoods import gaussian_gamma
from paper_repro.models import mlp
from paper_repro.rows import Row
from paper_repro.studies.there_and_back_again.tasks import optimal_decoder
from paper_repro.studies.there_and_back_again.tasks.optimal_decoder import Posteriors
from paper_repro.training.problem import Problem, Tensors
from paper_repro.training.schedules import curve
from paper_repro.training.streams import stream
from paper_repro.vae.interface import entries, prefixed

PARAMS = {
    "points": {"type": "integer", "minimum": 3, "default": 500},
    "hidden": {"type": "integer", "minimum": 1, "default": 128},  # width of two layers
    "batch_size": {"type": "integer", "minimum": 1, "default": 100},
    "lr": {"type": "number", "exclusiveMinimum": 0, "schedule": True, "default": 1e-3},
    "steps": {"type": "integer", "minimum": 1},
    "nodes": {"type": "integer", "minimum": 2, "default": 61},  # of the grid, along each latent
    # evaluations before the last one, as fractions of the steps
    "marks": {
        "type": "array",
        "items": {"type": "number", "minimum": 0, "maximum": 1},
        "default": [],
    },
}
LATENTS, PIXELS = 2, 3
END = 1.5 * math.pi  # of the S; it starts at -END
NOISE = 0.1
LEAST = 0.01  # of the largest density of q(z): below, a node does not count
MARGIN = 3.0  # standard deviations that the grid goes beyond the posteriors' means


class Compared(NamedTuple):
    """Nodes z [G, 2], f* and the trained decoder [G, D] there, and the density of the aggregate
    posterior over its largest one [G]; all float64."""

    z: Tensor
    optimal: Tensor
    trained: Tensor
    density: Tensor


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Train one VAE on a sample of points of its own."""
    p = cell.params
    shape = (1, 1, PIXELS)
    sizes: dict[str, Any] = {"hidden": [p["hidden"], p["hidden"]], "activation": "gelu"}
    init = {part: stream(seed, "init", "sheet", part) for part in ("data", "encoder", "decoder")}
    noise = stream(seed, "noise", "sheet", device=device)
    networks = {
        "encoder": mlp.encoder(shape, 2 * LATENTS, init["encoder"], **sizes).to(device),
        "decoder": mlp.decoder(LATENTS, shape, 1, init["decoder"], **sizes).to(device),
    }
    params = {"likelihood.log_gamma": torch.zeros((), device=device)}
    for part, network in networks.items():
        params |= prefixed(part, {n: w.detach() for n, w in network.named_parameters()})

    def call(part: str, params: Tensors, value: Tensor) -> Tensor:
        # no network shares weights, and looking for such takes a tenth of a small step
        found: Tensor = functional_call(
            networks[part], entries(part, params), (value,), tie_weights=False
        )
        return found

    def posterior(params: Tensors, x: Tensor) -> gaussian.DiagonalGaussian:
        return gaussian.from_head(call("encoder", params, x))

    def draw(step: int) -> Tensors:
        size = min(p["batch_size"], p["points"])
        rows = torch.randperm(p["points"], generator=noise, device=device)[:size]
        return {"rows": rows, "z": torch.randn(1, size, LATENTS, generator=noise, device=device)}

    def loss(params: Tensors, state: Tensors, batch: Tensors) -> tuple[Tensor, Tensors, Tensors]:
        x = state["data.x"][batch["rows"]]
        q = posterior(params, x)
        output = call("decoder", params, q.rsample(batch))
        density = gaussian_gamma.log_likelihood(x, output, entries("likelihood", params))
        found = (q.kl_standard() - density[0]).mean()
        gamma = params["likelihood.log_gamma"].detach()
        return found, state, {"elbo": -found.detach(), "log_gamma": gamma}

    def looked_at(params: Tensors, state: Tensors) -> tuple[Posteriors, Compared]:
        x = state["data.x"]
        with torch.no_grad():
            q = exact(x, posterior(params, x))
            nodes = grid(q, p["nodes"])
            return q, compare(q, nodes, call("decoder", params, nodes.to(x)).double())

    def evaluate(params: Tensors, state: Tensors, step: int) -> list[Row]:
        kind = "final" if step == p["steps"] else "curve"
        return [replace(row, kind=kind) for row in rows(*looked_at(params, state))]

    def arrays(ended: Tensors) -> dict[str, np.ndarray]:
        q, found = looked_at(ended, ended)
        scale = q.covariance.diagonal(dim1=-2, dim2=-1).sqrt()
        kept = {"grid": found.z, **found._asdict(), "mean": q.mean, "scale": scale, "data": q.x}
        del kept["z"]
        return {name: tensor.cpu().numpy().astype(np.float32) for name, tensor in kept.items()}

    rate = curve("lr", p["lr"], p["steps"])
    return Problem(
        params=params,
        loss=loss,
        draw=draw,
        evaluate=evaluate,
        arrays=arrays,
        generators={"noise": noise},
        state={"data.x": sheet(p["points"], init["data"]).to(device)},
        optimizer={"name": "adam", "lr": rate(0)},
        learning_rate=rate,
        log_units={"elbo": "nats", "log_gamma": "nats"},
        evaluate_at=tuple(round(mark * p["steps"]) for mark in p["marks"]),
    )


def sheet(count: int, generator: Generator) -> Tensor:
    """Points of the sheet with their noise: [count, 3]."""
    u = torch.rand(count, LATENTS, generator=generator)
    t, v = END * (2 * u[:, 0] - 1), 2 * u[:, 1] - 1
    clean = torch.stack([t.sin(), t.sign() * (t.cos() - 1), v], -1)
    return clean + NOISE * torch.randn(count, PIXELS, generator=generator)


def exact(x: Tensor, q: gaussian.DiagonalGaussian) -> Posteriors:
    """Points [N, D] and their posteriors in float64."""
    variance = (2 * q.log_scale.double()).exp()
    return Posteriors(x.double(), q.mean.double(), torch.diag_embed(variance))


def grid(q: Posteriors, nodes: int) -> Tensor:
    """An even grid [nodes^2, 2], the last latent fastest, over all means and MARGIN standard
    deviations around each."""
    reach = MARGIN * q.covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    low, high = (q.mean - reach).amin(0), (q.mean + reach).amax(0)
    even = torch.linspace(0, 1, nodes, dtype=q.x.dtype, device=q.x.device)
    return torch.cartesian_prod(*(a + (b - a) * even for a, b in zip(low, high, strict=True)))


def compare(q: Posteriors, z: Tensor, trained: Tensor) -> Compared:
    """`trained` [G, D], a decoder's output at the nodes z [G, 2], beside the best one for q."""
    log_q = optimal_decoder.log_densities(q, z)
    log_density = log_q.logsumexp(-1)
    density = (log_density - log_density.max()).exp()
    return Compared(z, optimal_decoder.decoder(q, z), trained, density)


def distance(x: Tensor, difference: Tensor, weights: Tensor) -> float:
    """Root mean square of `difference` [G, D] over nodes of `weights` [G] and values, over the
    root mean variance of the data x [N, D]."""
    square = (weights / weights.sum()) @ difference.square()
    return float((square.mean() / x.var(0, correction=0).mean()).sqrt())


def rows(q: Posteriors, c: Compared) -> Iterator[Row]:
    """How far the trained decoder is from f*, on average over the nodes that count and over all
    nodes by density; how far f* is there from its best affine function of z (a decoder that cannot
    bend); over how many points it averages, 1 / sum w^2 in the median; and how far it leaves the
    data's range anywhere on the grid, at most 0."""
    counts = (c.density > LEAST).to(c.density)
    off = c.trained - c.optimal
    yield Row("decoder_distance", distance(q.x, off, counts), "1")
    yield Row("decoder_distance_by_density", distance(q.x, off, c.density), "1")
    affine = torch.cat([torch.ones_like(c.z[:, :1]), c.z], 1) * counts[:, None]
    fitted = affine @ torch.linalg.lstsq(affine, c.optimal * counts[:, None]).solution
    yield Row("optimal_decoder_bend", distance(q.x, c.optimal - fitted, counts), "1")
    shares = optimal_decoder.weights(q, c.z[counts > 0])
    yield Row("averaged_points", float((1 / shares.square().sum(-1)).median()), "1")
    outside = torch.maximum(c.optimal - q.x.amax(0), q.x.amin(0) - c.optimal)
    yield Row("decoder_outside", float(outside.max()), "1")
