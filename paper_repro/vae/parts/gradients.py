"""Gradient estimators side by side on one minibatch of a VAE that is training (Shao et al. 2025).

After the question of Shao, Liu and Van den Broeck, "Silent Gradients" (arXiv 2508.03587): how far
is a sampled gradient from the one without noise? The gradient is the encoder's, of the minibatch's
mean ELBO, at weights held fixed. All estimators see the same draws, each with its own OPTIONS and
the fewest samples it works with; a running baseline is settled beforehand and then held fixed.
Exact is the closed form of a linear decoder, else the mean over all draws of the first unbiased
estimator, whose own bias is then zero by construction and means nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial, reduce
from typing import Any, cast

import torch
from torch import Generator, Tensor

from paper_repro import contracts
from paper_repro.contracts import Estimator
from paper_repro.distributions.posterior import Noise
from paper_repro.errors import UserError
from paper_repro.estimators import silent
from paper_repro.estimators.terms import Terms
from paper_repro.gradients.draws import Gradients, chunks, settled, unbiased
from paper_repro.gradients.moments import MeanCosine, covariance_trace, moments, relative
from paper_repro.rows import Row, coordinates
from paper_repro.training.memory import Memory
from paper_repro.training.streams import standard_normal, stream
from paper_repro.vae.data import Pixels
from paper_repro.vae.interface import VAE, naming
from paper_repro.vae.model import EncoderDecoder

COMPONENT = "part"
NAMED_BY = ("compare",)
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
    x = data.preprocess(data.train[: p["batch_size"]], stream(0, *where, device=device))
    noise = stream(seed, *where, str(step), device=device)
    rows = compare(model, params, buffers, x, p["compare"], p["gradient_draws"], noise)
    return [replace(row, kind="final" if step == p["steps"] else "curve") for row in rows]


def check(model: EncoderDecoder, data: Pixels, p: Mapping[str, Any]) -> None:
    """Compare on two images with two draws; UserError for what cannot be compared."""
    if p["objective"] != "elbo":
        raise UserError(f"compare: gradients are of the ELBO, not of {p['objective']!r}")
    noise = stream(0, "rehearsal", device=data.train.device)
    x = data.preprocess(data.train[:2], noise)
    with naming("compare"):
        compare(
            model, model.parameters_by_name(), model.buffers_by_name(), x, p["compare"], 2, noise
        )


def gradient_variance(
    model: VAE,
    weights: Mapping[str, Tensor],
    x: Tensor,
    p: Mapping[str, Any],
    generator: Generator,
    memory: Memory,
) -> list[Row]:
    """Trace of the covariance of the encoder's gradient, in nats^2, for each of `compare`, from
    `gradient_draws` draws for one fixed batch x [B, pixels]; rows of kind "curve"."""
    batch = _Minibatch(model, weights, {}, x, p["compare"], generator)

    def trace_of(name: str) -> float:
        batches = batch.batches(name, p["gradient_draws"])
        return covariance_trace(moments({"": {"": draws}} for draws in batches)[""])

    traces = {n: memory.part(f"gradient {n}", partial(trace_of, n)) for n in p["compare"]}
    return [
        Row("encoder_gradient_variance", trace, "nats^2", estimator=name, kind="curve")
        for name, trace in traces.items()
    ]


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
    batch = _Minibatch(model, params, buffers, x, names, generator)
    if _has_closed_form(model, batch.posterior):
        exact = batch.gradient(cast(Estimator, silent), {}, {})
        at = coordinates(exact="closed_form")
    else:
        exact = batch.mean(_first_unbiased(names), draws)
        at = coordinates(exact="mean")
    return [
        Row(f"encoder_gradient_{metric}", value, "1", "train", at, name)
        for name in names
        for metric, value in _statistics(batch.batches(name, draws), exact).items()
    ]


class _Minibatch:
    """The mean ELBO of images x [B, pixels] as a function of the encoder's weights alone, and draws
    of its gradient, the same for every named estimator."""

    def __init__(
        self,
        model: VAE,
        params: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        x: Tensor,
        names: Sequence[str],
        generator: Generator,
    ) -> None:
        self.weights = {name: t.detach().clone() for name, t in {**params, **buffers}.items()}
        encoder = [self.weights[name] for name in params if name.startswith("encoder")]
        self.encoder = [weight.requires_grad_() for weight in encoder]
        self.model, self.x, self.generator = model, x, generator
        self.posterior = model.posterior(self.weights, x)  # every draw shares it and its graph
        self.estimators = {name: contracts.estimator(name) for name in names}
        most = max(estimator.MIN_SAMPLES for estimator in self.estimators.values())
        self.shapes = model.noise_shapes(most, len(x))
        self.options = {
            name: settled(estimator, partial(self._new_terms, estimator), x)
            for name, estimator in self.estimators.items()
        }
        self.start = generator.get_state()

    def batches(self, name: str, draws: int) -> Iterator[Tensor]:
        """`draws` gradients of an estimator, at most CHUNK at a time, [S, weights] in float64."""
        self.generator.set_state(self.start)
        for count in chunks(draws, CHUNK):
            yield torch.stack([self._draw(name) for _ in range(count)])

    def mean(self, name: str, draws: int) -> Tensor:
        """Their mean, summed one by one."""
        return reduce(torch.add, (g for batch in self.batches(name, draws) for g in batch)) / draws

    def gradient(self, estimator: Estimator, noise: Noise, options: Mapping[str, Any]) -> Tensor:
        """The encoder's gradient at this noise, [weights] in float64."""
        terms = self._terms(estimator, noise, options)
        elbo = (terms.log_likelihood + terms.log_prior - terms.log_posterior).mean()
        found = torch.autograd.grad(elbo, self.encoder, retain_graph=True)
        return torch.cat([g.double().flatten() for g in found])

    def _draw(self, name: str) -> Tensor:
        return self.gradient(self.estimators[name], self._noise(), self.options[name])

    def _noise(self) -> Noise:
        return standard_normal(self.shapes, self.generator, dtype=self.x.dtype)

    def _new_terms(self, estimator: Estimator, **options: Any) -> Terms:
        return self._terms(estimator, self._noise(), options)

    def _terms(self, estimator: Estimator, noise: Noise, options: Mapping[str, Any]) -> Terms:
        joint = self.model.log_joint(self.weights, self.x, self.posterior)
        own = {name: draws[: estimator.MIN_SAMPLES] for name, draws in noise.items()}
        return estimator.terms(self.posterior, joint, own, **options)


def _has_closed_form(model: EncoderDecoder, posterior: Any) -> bool:
    """Whether `silent` is exact here; EXP2, and SQ of a discrete z, are surrogates."""
    exact = ("fixed", "L0", "EXP", "SQ") if posterior.kind == "gaussian" else ("fixed", "L0", "EXP")
    return model.has_linear_joint and model.form in exact and not model.has_flow


def _statistics(batches: Iterable[Tensor], exact: Tensor) -> dict[str, float]:
    """From draws of a gradient, [S, weights] at a time, by name as in `Row.metric`."""
    cosine = MeanCosine({"": exact}, [""])

    def errors() -> Iterator[Gradients]:
        for batch in batches:
            cosine.watch({"draw": {"": batch}})
            yield {"error": {"": batch - exact}}

    found = moments(errors())["error"]
    bias, length, count = found[""].mean.norm(), exact.norm(), found[""].count
    numbers = relative(covariance_trace(found), float(bias), float(length), count)
    return numbers | {"cosine": cosine.mean("draw")}


def _first_unbiased(names: Sequence[str]) -> str:
    for name in names:
        if name != "silent" and unbiased(name, "elbo"):
            return name
    raise UserError("compare: without a closed form one of the estimators must be unbiased")
