"""A VAE at fixed weights, as a density model of images that it was not trained on.

What training takes from the minibatch is fitted once, to training images: the variance of a
likelihood that solves for it (Dai, Wenliang and Wipf, NeurIPS 2021, equation 6; BAGGINS), and the
prior that BILBO fits (Fyffe, arXiv 1912.10309). A minibatch of the test images would flatter both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from paper_repro.contracts import Objective
from paper_repro.distributions.gaussian import normal_log_prob
from paper_repro.training import streams
from paper_repro.vae.interface import Weights, entries
from paper_repro.vae.model import EncoderDecoder

VALUES = {"cpu": 4_000_000, "cuda": 200_000_000}  # pixels decoded at a time: cache or memory


def limit(pixels: int, device: torch.device) -> int:
    """How many images of so many pixels are decoded at a time."""
    return max(1, VALUES[device.type] // pixels)


class Draws(NamedTuple):
    """Means over the draws of z for each image, [N] in float64, and one of the draws, [N, D].

    log_likelihood, log_ratio = log q(z|x) - log p(z) and log_evidence, the importance bound on
    log p(x), in nats/image; sse in sse/image.
    """

    log_likelihood: Tensor
    log_ratio: Tensor
    log_evidence: Tensor
    sse: Tensor
    z: Tensor


class Trained:
    """The functions of a model at `weights`, within ``model.evaluating()``.

    `limit`: how many images are encoded or decoded at a time. After `settle`, `variance` ([] or
    [C]) and `prior` (a log-scale [D]) hold what the training images settle, or None.
    """

    def __init__(self, model: EncoderDecoder, weights: Weights, limit: int) -> None:
        self.model, self.weights, self.limit = model, weights, limit
        self.variance: Tensor | None = None
        self.prior: Tensor | None = None
        self.fitted: Objective | None = None

    def posterior(self, x: Tensor) -> Any:
        """q(z|x) of images x [N, pixels]."""
        heads = [self.model.encode(self.weights, part) for part in x.split(self.limit)]
        return self.model.family_of(torch.cat(heads))

    def mean(self, z: Tensor) -> Tensor:
        """E[x|z] at z [N, D]: [N, pixels]."""
        return torch.cat([self.model.mean(self.weights, part) for part in z.split(self.limit)])

    def fit_on_train(self, objective: Objective, train: Tensor, noise: Generator) -> Tensor:
        """Fit variance and prior to training images [N, pixels]; returns their mean squared
        error per pixel, 0-d, at one draw of z each."""
        posterior, options = self.posterior(train), self.model.likelihood_options
        z = posterior.sample(standard_normal(posterior, 1, noise)).squeeze(0)
        parts = [self.model.decode(self.weights, part) for part in z.split(self.limit)]
        output = torch.cat(parts)
        if self.model.likelihood.SOLVES_VARIANCE:
            self.variance = self.model.likelihood.variance(train, output, **options)
        if objective.FITS_PRIOR:
            variances = (2 * posterior.log_scale).exp()
            self.prior, self.fitted = objective.fitted_prior(posterior.mean, variances), objective
        return (train - self.model.likelihood.mean(output, **options)).square().mean()

    def rate(self, posterior: Any) -> Tensor | None:
        """KL(q(z|x) || p(z)) in nats/image [N], or None where it has no closed form."""
        if self.fitted and self.prior is not None:
            return self.fitted.rate(posterior, self.prior)
        return None if self.model.has_flow else posterior.kl_standard()

    def closed_distortion(self, x: Tensor, posterior: Any) -> Tensor | None:
        """-E_q log p(x|z) in nats/image [N] of a linear decoder, None for any other."""
        if not self.model.has_linear_joint:
            return None
        joint: Any = self.model.log_joint(self.weights, x, posterior)
        found: Tensor = -joint.expected_log_likelihood(posterior)
        return found

    def draw(self, x: Tensor, samples: int, noise: Generator) -> Draws:
        """`samples` draws for each of the images x [N, pixels], in a fixed order."""
        parts = [
            self._draw(part, samples, noise) for part in x.split(max(1, self.limit // samples))
        ]
        return Draws(*map(torch.cat, zip(*parts, strict=True)))

    def _draw(self, x: Tensor, samples: int, noise: Generator) -> Draws:
        model, posterior = self.model, self.model.posterior(self.weights, x)
        log_joint = self._log_joint(x, posterior)
        sums, kept = torch.zeros(3, len(x), dtype=torch.float64, device=x.device), None
        evidence = torch.full_like(sums[0], -math.inf)
        for k in _chunks(samples, max(1, self.limit // len(x))):
            z = posterior.sample(standard_normal(posterior, k, noise))
            kept = z[0] if kept is None else kept
            output = model.decode(self.weights, z)
            log_likelihood, log_prior = log_joint(z, output)
            log_ratio = posterior.log_prob(z) - log_prior
            error = x - model.likelihood.mean(output, **model.likelihood_options)
            found = torch.stack([log_likelihood, log_ratio, error.square().sum(-1)]).double()
            sums += found.sum(1)
            evidence = torch.logaddexp(evidence, (found[0] - found[1]).logsumexp(0))
        means = sums / samples
        assert kept is not None
        return Draws(means[0], means[1], evidence - math.log(samples), means[2], kept)

    def _log_joint(
        self, x: Tensor, posterior: Any
    ) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """z and the decoder's output there -> (log p(x|z), log p(z)), using the fitted variance
        and prior."""
        model, variance, prior = self.model, self.variance, self.prior
        scalars = entries("likelihood", self.weights)
        log_prior = model.log_prior(self.weights, posterior)

        def joint(z: Tensor, output: Tensor) -> tuple[Tensor, Tensor]:
            if model.has_linear_joint:
                log_likelihood = model.log_joint(self.weights, x, posterior)(z)[0]
            elif variance is not None:
                link = model.likelihood_options.get("link", "identity")
                log_likelihood = model.likelihood.frozen_log_likelihood(
                    x, output, variance, link=link
                )
            else:
                log_likelihood = model.likelihood.log_likelihood(
                    x, output, scalars, **model.likelihood_options
                )
            if prior is not None:
                return log_likelihood, normal_log_prob(z, torch.zeros_like(prior), prior)
            return log_likelihood, log_prior(z)

        return joint


def standard_normal(posterior: Any, k: int, generator: Generator) -> dict[str, Tensor]:
    """Noise for K draws of a posterior, on the generator's device."""
    shapes = posterior.noise_shapes(k)
    return streams.standard_normal(shapes, generator, dtype=torch.get_default_dtype())


def _chunks(count: int, largest: int) -> list[int]:
    whole, rest = divmod(count, largest)
    return [largest] * whole + [rest] * (rest > 0)
