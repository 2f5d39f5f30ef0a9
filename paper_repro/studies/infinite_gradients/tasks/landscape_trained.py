"""Slices through the loss of a trained nonlinear VAE: one latent scaled, at several gammas.

A second look at Figure 3 of Dai, Wenliang and Wipf (NeurIPS 2021), after the way in which their
first author's earlier public code (ScaleSdVae) drew landscapes: a VAE with ReLU layers is trained
with learned gamma; then everything that makes latent i (the head's weights and biases of its mean
and of its log standard deviation, and its row of the decoder's first layer) is multiplied by s. At
s = 1 the latent is as trained; at s = 0 its mean is 0, its deviation 1 and it carries nothing. The
loss is looked at with the gamma that training reached and, with the same weights, larger ones.
Data are ours: x = tanh(c G0) G1, scaled to unit variance, c ~ N(0, I) of `rank` dimensions, without
noise, drawn afresh for every batch. Training minimises half of eq. (3); slices are of eq. (3).

Arrays: scale [S], times [G] (gamma over the gamma reached), used [kappa] (1 where a latent is
active) and curves [kappa, G, S] (nats, each minus its minimum).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.func import functional_call

from paper_repro.cell import Cell
from paper_repro.distributions import gaussian
from paper_repro.likelihoods import gaussian_gamma
from paper_repro.models import mlp
from paper_repro.rows import Row, coordinates
from paper_repro.training.problem import Problem, Tensors
from paper_repro.training.streams import stream

PARAMS = {
    "pixels": {"type": "integer", "minimum": 2, "default": 400},
    "rank": {"type": "integer", "minimum": 1, "default": 20},
    "latents": {"type": "integer", "minimum": 1, "default": 30},
    "hidden": {"type": "integer", "minimum": 1, "default": 200},
    "batch_size": {"type": "integer", "minimum": 1, "default": 100},
    "samples": {"type": "integer", "minimum": 1, "default": 20},  # of z per image
    "lr": {"type": "number", "exclusiveMinimum": 0, "default": 0.001},
    "steps": {"type": "integer", "minimum": 1, "default": 100000},
    "images": {"type": "integer", "minimum": 1, "default": 500},  # of a slice
}
SCALES = tuple(round(-0.5 + 0.05 * i, 2) for i in range(41))
TIMES = (1, 10, 100, 1000)
WIDTH = 64  # of the tanh layer that makes the data
ACTIVE = 0.5  # a latent is in use where its mean posterior variance is below
ENCODER, DECODER, LIKELIHOOD = "encoder.", "decoder.", "likelihood."
Model = tuple[Tensor, gaussian.DiagonalGaussian, Tensor]  # x [B, d], q(z|x), output [K, B, d]


def build(cell: Cell, seed: int, device: str) -> Problem:
    """Train one VAE; its last evaluation looks at the slices."""
    p = cell.params
    shape = (1, 1, p["pixels"])
    init, noise = stream(seed, "init", "manifold"), stream(seed, "noise", "manifold", device=device)
    sizes: dict[str, Any] = {"hidden": [p["hidden"]], "activation": "relu", "weights": "he"}
    encoder = mlp.encoder(shape, 2 * p["latents"], init, **sizes).to(device)
    decoder = mlp.decoder(p["latents"], shape, 1, init, **sizes).to(device)
    data = manifold(p["rank"], p["pixels"], init)
    params = {
        **{ENCODER + name: value.detach() for name, value in encoder.named_parameters()},
        **{DECODER + name: value.detach() for name, value in decoder.named_parameters()},
        LIKELIHOOD + "log_gamma": torch.zeros((), device=device),
    }

    def model(params: Tensors, state: Tensors, batch: Tensors) -> Model:
        x = images(batch["c"], state)
        q = gaussian.from_head(functional_call(encoder, part(params, ENCODER), x))
        return x, q, functional_call(decoder, part(params, DECODER), q.rsample(batch))

    def loss(params: Tensors, state: Tensors, batch: Tensors) -> tuple[Tensor, Tensors, Tensors]:
        x, q, output = model(params, state, batch)
        density = gaussian_gamma.log_likelihood(x, output, part(params, LIKELIHOOD))
        found = (q.kl_standard() - density.mean(0)).mean()
        gamma = params[LIKELIHOOD + "log_gamma"].detach()
        return found, state, {"elbo": -found.detach(), "log_gamma": gamma}

    def looked_at(params: Tensors, state: Tensors) -> Tensors:
        generator = stream(seed, "evaluation", "manifold", device=device)
        batch = draw_batch(p, p["images"], generator)
        return slices(p["latents"], params, lambda scaled: model(scaled, state, batch))

    def evaluate(params: Tensors, state: Tensors, step: int) -> list[Row]:
        return list(rows(p, looked_at(params, state)))

    def arrays(ended: Tensors) -> dict[str, NDArray[Any]]:
        found = looked_at(ended, ended)
        above = found["loss"] - found["loss"].min(-1, keepdim=True).values
        return {
            "scale": np.array(SCALES),
            "times": np.array(TIMES),
            "used": found["used"].cpu().numpy(),
            "curves": above.cpu().numpy().astype(np.float32),
        }

    return Problem(
        params=params,
        loss=loss,
        draw=lambda step: draw_batch(p, p["batch_size"], noise),
        evaluate=evaluate,
        arrays=arrays,
        generators={"noise": noise},
        state={name: tensor.to(device) for name, tensor in data.items()},
        optimizer={"name": "adam", "lr": p["lr"]},
        log_units={"elbo": "nats", "log_gamma": "nats"},
    )


def manifold(rank: int, pixels: int, init: Generator) -> Tensors:
    """The two maps behind the data, the second scaled so that the data's variance is 1 a pixel."""
    first = torch.randn(rank, WIDTH, generator=init) / rank**0.5
    second = torch.randn(WIDTH, pixels, generator=init) / WIDTH**0.5
    many = torch.tanh(torch.randn(10000, rank, generator=init) @ first) @ second
    return {"data.first": first, "data.second": second / many.var().sqrt()}


def images(c: Tensor, state: Tensors) -> Tensor:
    """Points of the manifold for coordinates c [B, rank]: [B, pixels]."""
    return torch.tanh(c @ state["data.first"]) @ state["data.second"]


def draw_batch(p: Mapping[str, Any], count: int, generator: Generator) -> Tensors:
    """Coordinates of `count` images, and the posterior's noise."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=generator.device)

    return {"c": normal(count, p["rank"]), "z": normal(p["samples"], count, p["latents"])}


def part(params: Tensors, prefix: str) -> Tensors:
    """The entries under `prefix`, without it."""
    return {name.removeprefix(prefix): t for name, t in params.items() if name.startswith(prefix)}


def scaled(params: Tensors, latent: int, latents: int, scale: float) -> Tensors:
    """`params` with all that makes latent `latent` multiplied by `scale`."""
    factor = torch.ones(2 * latents, device=params[ENCODER + "head.bias"].device)
    factor[[latent, latents + latent]] = scale
    changed = {
        ENCODER + "head.weight": params[ENCODER + "head.weight"] * factor[:, None],
        ENCODER + "head.bias": params[ENCODER + "head.bias"] * factor,
        # torch keeps weights as [outputs, inputs]: the decoder's row of a latent is a column
        DECODER + "body.0.weight": params[DECODER + "body.0.weight"] * factor[:latents],
    }
    return params | changed


def slices(latents: int, params: Tensors, model: Callable[[Tensors], Model]) -> Tensors:
    """Eq. (3) [kappa, G, S] on one batch, which latents are `used` [kappa], the gamma reached and
    the best one by eq. (6)."""
    x, q, output = model(params)
    pixels = x.shape[-1]
    used = (2 * q.log_scale).exp().mean(0) < ACTIVE
    best = (x - output).square().mean()
    log_gamma = params[LIKELIHOOD + "log_gamma"] + torch.tensor(TIMES, device=x.device).log()
    curves = []
    for latent in range(latents):
        error, rate = [], []
        for scale in SCALES:
            x, q, output = model(scaled(params, latent, latents, scale))
            error.append((x - output).square().sum(-1).mean())
            rate.append(2 * q.kl_standard().mean() + latents)
        data = torch.stack(error) * (-log_gamma)[:, None].exp() + pixels * log_gamma[:, None]
        curves.append(data + torch.stack(rate))
    gamma = params[LIKELIHOOD + "log_gamma"].exp()
    return {"loss": torch.stack(curves), "used": used, "gamma": gamma, "best": best}


def rows(p: Mapping[str, Any], found: Tensors) -> Iterator[Row]:
    """What the network reached, and per gamma how its latents' slices look."""
    gamma, used = float(found["gamma"]), found["used"]
    yield Row("gamma", gamma, "1")
    yield Row("gamma_over_best", gamma / float(found["best"]), "1")
    yield Row("active_dims", int(used.sum()), "1")
    loss = found["loss"]
    slope = (loss.diff(dim=-1) / (SCALES[1] - SCALES[0])).abs().max(-1).values
    inner, before, after = loss[..., 1:-1], loss[..., :-2], loss[..., 2:]
    minima = ((inner < before) & (inner < after)).sum(-1)
    scales = torch.tensor(SCALES, device=loss.device)
    minimiser = scales[loss.argmin(-1)]
    for kind, chosen in (("used", used), ("unused", ~used)):
        if not bool(chosen.any()):
            continue
        for place, times in enumerate(TIMES):
            at = coordinates(latents=kind, gamma_times=times)
            for metric, value, unit in (
                ("slice_local_minima", minima[chosen, place].float().mean(), "1"),
                ("slice_multimodal_share", (minima[chosen, place] > 1).float().mean(), "1"),
                ("slice_minimiser", minimiser[chosen, place].mean(), "1"),
                ("slice_largest_slope", slope[chosen, place].mean(), "nats"),
            ):
                yield Row(metric, float(value), unit, at=at)
