"""Gradient estimators side by side on one minibatch of a VAE that is training (Shao et al. 2025).

After the question of Shao, Liu and Van den Broeck, "Silent Gradients" (arXiv 2508.03587): how far
is a sampled gradient from the one without noise? The gradient is the encoder's, of the minibatch's
mean ELBO, at weights held fixed. All estimators see the same draws, each with its own OPTIONS and
the fewest samples it works with; a running baseline is settled beforehand and then held fixed.
Exact is the closed form of a linear decoder, else the mean over all draws of the first unbiased
estimator, whose own bias is then zero by construction and means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import islice
from types import ModuleType
from typing import Any

import torch
from torch import Generator, Tensor

from paper_repro import registry
from paper_repro.errors import UserError
from paper_repro.estimators import silent
from paper_repro.estimators.terms import Terms
from paper_repro.metrics.gradient_stats import chunks, covariance_trace, moments
from paper_repro.rows import Row, coordinates
from paper_repro.training.streams import stream
from paper_repro.vae.data import Pixels
from paper_repro.vae.interface import naming
from paper_repro.vae.model import EncoderDecoder

Noise = dict[str, Tensor]
COMPONENT = "part"
NAMED_BY = ("compare",)
WARM_UP = 50  # draws that settle a running baseline
CHUNK = 8  # gradients held at a time


def at_mark(
    model: EncoderDecoder,
    params: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    data: Pixels,
    p: Mapping[str, Any],
    seed: int,
    step: int,
) -> list[Row]:
    """`compare` as the cell's parameters p ask for it, on the first `batch_size` training images
    with one pixel noise for all runs; of kind "curve" before the last step."""
    device, where = data.train.device, ("evaluation", data.name, "gradients")
    x = data.seen(data.train[: p["batch_size"]], stream(0, *where, device=device))
    noise = stream(seed, *where, str(step), device=device)
    rows = compare(model, params, buffers, x, p["compare"], p["gradient_draws"], noise)
    return [replace(row, kind="final" if step == p["steps"] else "curve") for row in rows]


def check(model: EncoderDecoder, data: Pixels, p: Mapping[str, Any]) -> None:
    """Compare on two images with two draws; UserError for what cannot be compared."""
    if bool(p["compare"]) != (p["gradient_draws"] >= 2):
        raise UserError("gradient_draws: 2 or more go with `compare`, and 0 without")
    if not p["compare"]:
        return
    if p["objective"] != "elbo":
        raise UserError(f"compare: gradients are of the ELBO, not of {p['objective']!r}")
    noise = stream(0, "rehearsal", device=data.train.device)
    x = data.seen(data.train[:2], noise)
    with naming("compare"):
        compare(
            model, model.parameters_by_name(), model.buffers_by_name(), x, p["compare"], 2, noise
        )


def compare(
    model: EncoderDecoder,
    params: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    x: Tensor,
    names: Sequence[str],
    draws: int,
    generator: Generator,
) -> list[Row]:
    """Statistics of each named estimator over `draws` >= 2 draws, for images x [B, pixels].

    All of unit 1: the trace of a draw's covariance relative to the exact gradient's squared length,
    the length of (mean - exact) and of its sampling error, sqrt(trace / draws), relative to that
    length, and the mean cosine of a draw to exact. Not finite where the exact gradient is zero or
    overflows. The model is in training mode; `params` and `buffers` stay as they are. UserError
    where nothing among `names` is exact or unbiased.
    """
    batch = _Minibatch(model, params, buffers, x)
    modules = {name: registry.load("estimators", name) for name in names}
    most = max(_samples(module) for module in modules.values())
    shapes = model.noise_shapes(most, len(x))

    def draw() -> Noise:
        return {
            name: torch.randn(shape, generator=generator, device=x.device)
            for name, shape in shapes.items()
        }

    options = {name: _options(batch, module, draw) for name, module in modules.items()}
    start = generator.get_state()

    def gradients(name: str) -> Iterator[Tensor]:
        generator.set_state(start)
        for _ in range(draws):
            yield batch.gradient(modules[name], draw(), options[name])

    if batch.has_closed_form():
        exact, at = batch.gradient(silent, {}, {}), coordinates(exact="closed_form")
    else:
        exact = reduce(torch.add, gradients(_unbiased(modules))) / draws
        at = coordinates(exact="mean")
    return [
        Row(f"encoder_gradient_{metric}", value, "1", "train", at, name)
        for name in names
        for metric, value in _statistics(gradients(name), exact, draws).items()
    ]


class _Minibatch:
    """The mean ELBO of images x, as a function of the encoder's weights alone."""

    def __init__(
        self,
        model: EncoderDecoder,
        params: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        x: Tensor,
    ) -> None:
        self.weights = {name: t.detach().clone() for name, t in {**params, **buffers}.items()}
        encoder = [self.weights[name] for name in params if name.startswith("encoder.")]
        self.encoder = [weight.requires_grad_() for weight in encoder]
        self.model, self.x = model, x
        self.head = model.encode(self.weights, x)  # every draw shares it and its graph

    def has_closed_form(self) -> bool:
        """Whether `silent` is exact here; EXP2, and SQ of a discrete z, are surrogates."""
        model, exact = self.model, ["fixed", "L0", "EXP"]
        if model.family_of(self.head).kind == "gaussian":
            exact.append("SQ")
        return model.has_linear_joint and model.form in exact and not model.has_flow

    def terms(self, estimator: ModuleType, noise: Noise, options: Mapping[str, Any]) -> Terms:
        posterior = self.model.family_of(self.head)
        joint = self.model.log_joint(self.weights, self.x, posterior)
        own = {name: draws[: _samples(estimator)] for name, draws in noise.items()}
        found: Terms = estimator.terms(posterior, joint, own, **options)
        return found

    def gradient(self, estimator: ModuleType, noise: Noise, options: Mapping[str, Any]) -> Tensor:
        """One draw of the encoder's gradient, [weights] in float64."""
        terms = self.terms(estimator, noise, options)
        elbo = (terms.log_likelihood + terms.log_prior - terms.log_posterior).mean()
        found = torch.autograd.grad(elbo, self.encoder, retain_graph=True)
        return torch.cat([g.double().flatten() for g in found])


def _statistics(found: Iterator[Tensor], exact: Tensor, draws: int) -> dict[str, float]:
    """From single draws of a gradient, by name as in `Row.metric`."""
    length, cosines = float(exact.norm()), []

    def errors() -> Iterator[dict[str, Tensor]]:
        for count in chunks(draws, CHUNK):
            part = torch.stack(list(islice(found, count)))
            cosines.append(part @ exact / (part.norm(dim=1) * length))
            yield {"error": part - exact}

    stats = moments(errors())
    trace, bias = covariance_trace(stats), float(stats["error"].mean.norm())
    values = {
        "relative_variance": (trace, length**2),
        "relative_bias": (bias, length),
        "relative_bias_noise": ((trace / draws) ** 0.5, length),
    }
    ratios = {name: a / b if b else float("nan") for name, (a, b) in values.items()}
    return ratios | {"cosine": float(torch.cat(cosines).mean())}


def _options(batch: _Minibatch, estimator: ModuleType, draw: Callable[[], Noise]) -> dict[str, Any]:
    """An estimator's own OPTIONS and its running state, settled on the minibatch."""
    options = dict(getattr(estimator, "OPTIONS", {}))
    device = batch.x.device
    state = {n: torch.tensor(v, device=device) for n, v in getattr(estimator, "STATE", {}).items()}
    with torch.no_grad():
        for _ in range(WARM_UP if state else 0):
            state = estimator.advance(batch.terms(estimator, draw(), options | state), **state)
    return options | state


def _samples(estimator: ModuleType) -> int:
    return int(getattr(estimator, "MIN_SAMPLES", 1))


def _unbiased(modules: Mapping[str, ModuleType]) -> str:
    for name, module in modules.items():
        if name != "silent" and "elbo" in getattr(module, "UNBIASED", module.OBJECTIVES):
            return name
    raise UserError("compare: without a closed form one of the estimators must be unbiased")
