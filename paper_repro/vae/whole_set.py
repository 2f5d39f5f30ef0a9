"""What the whole training set settles, read once in parts: a fitted prior's moments, and gamma's.

Batch moments flatter a small batch (BILBO's rate by about (snr / (1 + snr))^2 / (2 B) nats a
latent; derived by us of Fyffe, "There and Back Again", arXiv 1912.10309), so that bounds are
measured with moments of all training images. These are sums in float64, and noise is drawn block by
block from streams of their own: no number depends on how many images are worked on at a time, but
for rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from paper_repro.contracts import Objective
from paper_repro.distributions import aggregate
from paper_repro.distributions.aggregate import Aggregate, NormalPrior
from paper_repro.distributions.gaussian import DiagonalGaussian
from paper_repro.likelihoods import normal
from paper_repro.training.streams import stream
from paper_repro.vae.data import Pixels
from paper_repro.vae.interface import Weights, entries
from paper_repro.vae.model import EncoderDecoder
from paper_repro.vae.trained import standard_normal

BLOCK = 500  # images whose noise comes from one stream

Likelihood = Callable[[Tensor, Tensor], Tensor]
"""Images [B, D] and the decoder's output [..., B, D] -> log p(x|z) in nats, [..., B]."""


class FitsPrior(Protocol):
    """An objective that is a bound under a prior fitted to the training set."""

    def prior(self, codes: Aggregate) -> NormalPrior:
        """The prior of a whole set's moments."""


class Solves(Protocol):
    """A likelihood whose variance per channel is solved for, from mean squared residual `r2` and
    variance of the data `s2`, [C] each; floor, steepest and data_variance where it is bounded."""

    data_variance: Callable[..., Tensor]
    floor: Callable[..., Tensor]
    steepest: Callable[..., Tensor]

    def solved(self, r2: Tensor, s2: Tensor, **options: Any) -> Tensor:
        """gamma [C]."""


@dataclass(frozen=True)
class Reader:
    """A model at fixed weights, with data of which at most `limit` images are decoded at a time.

    `seed` and `step` name the noise of z; that of the pixels is the same for every run. `units` is
    the unit of the data, in pixels.
    """

    model: EncoderDecoder
    weights: Weights
    data: Pixels
    seed: int
    step: int
    limit: int
    units: float = 1.0

    def blocks(self, split: str, images: int) -> Iterator[tuple[Tensor, DiagonalGaussian, str]]:
        """The first images of a split: data [B, D] in their unit, q(z|x), and the block's name."""
        pixels = getattr(self.data, split)[:images]
        for i, part in enumerate(pixels.split(BLOCK)):
            name = f"{split} {i}"
            fixed = stream(0, "evaluation", self.data.name, "pixels", name, device=pixels.device)
            x = self.data.preprocess(part, fixed)
            heads = [self.model.encode(self.weights, few) for few in x.split(self.limit)]
            yield self.units * x, self.model.family_of(torch.cat(heads)), name

    def draws(self, posterior: DiagonalGaussian, samples: int, *name: str) -> Tensor:
        """z [K, B, D] of the block that is called so."""
        device = posterior.mean.device
        names = ("evaluation", self.data.name, str(self.step), *name)
        noise = stream(self.seed, *names, device=device)
        return posterior.sample(standard_normal(posterior, samples, noise))

    def decode(self, z: Tensor) -> Tensor:
        """The likelihood's parameters at z [..., D]."""
        flat = z.flatten(0, -2)
        parts = [self.model.decode(self.weights, few) for few in flat.split(self.limit)]
        return torch.cat(parts).unflatten(0, z.shape[:-1])

    def own(self, x: Tensor, output: Tensor) -> Tensor:
        """log p(x|z) of a likelihood that solves for nothing, in nats."""
        scalars = entries("likelihood", self.weights)
        options = self.model.likelihood_options
        return self.model.likelihood.log_likelihood(x, output, scalars, **options)

    def mean(self, output: Tensor) -> Tensor:
        """E[x|z], in the data's unit."""
        return self.model.likelihood.mean(output, **self.model.likelihood_options)


@dataclass(frozen=True)
class Whole:
    """Of all images of the training set, in float64 and the data's unit: moments of their codes;
    per channel, mean squared residual at one draw of z, and variance as `baggins.data_variance`
    has it, [C] each; mean log p(x|z), nats/image, NaN where the variance is solved for; and how far
    the sampled log q(z|x) / p(z) is from its closed form, mean and standard error in nats/image."""

    codes: Aggregate
    residual: Tensor
    spread: Tensor
    log_likelihood: float
    gap: float
    gap_error: float

    def plain(self) -> list[Any]:
        """What a checkpoint may hold of it, from which `of` makes it again."""
        first, *rest = vars(self).values()
        return [list(vars(first).values()), *rest]

    @staticmethod
    def of(plain: list[Any]) -> Whole:
        """The inverse of `plain`."""
        first, *rest = plain
        return Whole(Aggregate(*first), *rest)


def read(reader: Reader, fit: Callable[[Aggregate], NormalPrior], images: int) -> Whole:
    """One pass over the first `images` training images; `fit` makes the prior of their moments."""
    channels = reader.model.shape[0]
    solves = reader.model.likelihood.SOLVES_VARIANCE
    posteriors, drawn = list[DiagonalGaussian](), list[Tensor]()
    sums: dict[str, Tensor] = {}

    def accumulate(**values: Tensor) -> None:
        for name, value in values.items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + value

    for x, posterior, name in reader.blocks("train", images):
        z = reader.draws(posterior, 1, name)
        output = reader.decode(z)[0]
        seen, error = x.double(), (x - reader.mean(output)).double()
        squared = normal.by_channel(error.square(), channels).mean(-1)
        accumulate(residual=squared.sum(0), x=seen.sum(0), square=seen.square().sum(0))
        if not solves:
            accumulate(log_likelihood=reader.own(x, output).double().sum())
        posteriors.append(posterior)
        drawn.append(z[0])
    codes = aggregate.aggregate(*posteriors)
    variance = sums["square"] / codes.count - (sums["x"] / codes.count).square()
    gaps = torch.cat([_gap(fit(codes), q, z) for q, z in zip(posteriors, drawn, strict=True)])
    found = sums.get("log_likelihood")
    return Whole(
        codes,
        sums["residual"] / codes.count,
        normal.by_channel(variance, channels).mean(-1),
        math.nan if found is None else float(found) / codes.count,
        float(gaps.mean()),
        float(gaps.std() / math.sqrt(len(gaps))),
    )


def prior(objective: Objective) -> Callable[[Aggregate], NormalPrior]:
    """The prior that an objective is a bound with: what it fits, or N(0, I)."""
    if hasattr(objective, "prior"):
        return cast(FitsPrior, objective).prior
    return lambda codes: aggregate.standard(codes.means)


def gamma(reader: Reader, whole: Whole) -> Tensor | None:
    """The variance of p(x|z) in float64, [C] or 0-d: what the training set settles where the
    likelihood solves for it, what was learned, what is fixed; None where it is none of these."""
    likelihood, options = reader.model.likelihood, reader.model.likelihood_options
    if likelihood.SOLVES_VARIANCE:
        solve = cast(Solves, likelihood).solved
        return solve(whole.residual, whole.spread, **solver_options(options))
    learned = reader.weights.get("likelihood.log_gamma")
    if learned is not None:
        return learned.double().exp()
    fixed = {**likelihood.OPTIONS, **options}.get("variance")
    return None if fixed is None else torch.full_like(whole.residual[0], fixed)


def solver_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a likelihood's options that its `solved` takes."""
    return {name: value for name, value in options.items() if name in ("variant", "bits")}


def frozen(model: EncoderDecoder, variance: Tensor) -> Likelihood:
    """Gaussian log p(x|z) of clean data around E[x|z], at a variance per channel, [C] or 0-d."""

    def log_likelihood(x: Tensor, output: Tensor) -> Tensor:
        mean = model.likelihood.mean(output, **model.likelihood_options)
        return normal.frozen_log_likelihood(x, mean, variance.to(x))

    return log_likelihood


def _gap(prior: NormalPrior, posterior: DiagonalGaussian, z: Tensor) -> Tensor:
    """log q(z|x) / p(z) at the draws z [B, D], less its mean in closed form: [B] in float64."""
    exact = DiagonalGaussian(posterior.mean.double(), posterior.log_scale.double())
    z = z.double()
    return exact.log_prob(z) - prior.log_prob(z) - prior.kl(exact)
