"""Entropy, divergence and moments of any posterior: exact where possible, else Monte Carlo.

Which of the two it was is part of the answer: a Monte Carlo value comes with its standard error.
These are numbers to report, without gradient; training goes through `estimators`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from paper_repro.distributions.gaussian import standard_normal_log_prob
from paper_repro.distributions.moments import CentralMoments
from paper_repro.distributions.posterior import Latent, Noise, Posterior

T = TypeVar("T", Tensor, CentralMoments)
NORMAL_PRIOR = ("mixture", "flow")  # kinds whose standard prior N(0, I) has no closed-form KL


@dataclass(frozen=True)
class Quantity(Generic[T]):
    """A value, and its standard error where it is a Monte Carlo estimate (None: exact)."""

    value: T
    standard_error: T | None = None

    @property
    def exact(self) -> bool:
        """Whether the value is a closed form."""
        return self.standard_error is None


def entropy(posterior: Posterior, noise: Noise | None = None) -> Quantity[Tensor]:
    """H[q] in nats: [*batch]. `noise` (K samples) is read where there is no closed form."""
    if closed := _closed_form(posterior, "entropy"):
        return Quantity(closed().detach())
    with torch.no_grad():
        z = _draw(posterior, noise, "entropy")
        return _average(posterior.expect(-posterior.log_prob(z)))


def kl(
    posterior: Posterior,
    log_prior: Callable[[Latent], Tensor] | None = None,
    noise: Noise | None = None,
) -> Quantity[Tensor]:
    """KL(q || p) in nats: [*batch].

    `log_prior` maps z to log p(z), of the shape of log q(z); None is the family's standard prior:
    N(0, I) for the continuous families, fair coins, uniform groups. A layered posterior has none.
    `noise` (K samples) is read where there is no closed form, so always with a `log_prior`.
    """
    if log_prior is None:
        if closed := _closed_form(posterior, "kl_standard"):
            return Quantity(closed().detach())
        if posterior.kind not in NORMAL_PRIOR:
            raise ValueError(f"log_prior: a {posterior.kind!r} posterior has no standard prior")
        log_prior = standard_normal_log_prob
    with torch.no_grad():
        z = _draw(posterior, noise, "divergence")
        log_q, log_p = posterior.log_prob(z), log_prior(z)
        if log_p.shape != log_q.shape:
            raise ValueError(
                f"log_prior: its value has shape {list(log_p.shape)}, "
                f"expected {list(log_q.shape)} as log q(z)"
            )
        return _average(posterior.expect(log_q - log_p))


def moments(posterior: Posterior, noise: Noise | None = None) -> Quantity[CentralMoments]:
    """Mean and central moments of every dimension: each [*batch, D], layers one after the other.

    Monte Carlo moments are those of the sample, with the standard errors of their linearisation;
    their bias of order 1/K is below these.
    """
    if closed := _closed_form(posterior, "central_moments"):
        exact = closed()
        names = ("mean", "second", "third", "fourth")
        return Quantity(CentralMoments(*(getattr(exact, name).detach() for name in names)))
    with torch.no_grad():
        z = _draw(posterior, noise, "moments")
        z = torch.cat(z, -1) if isinstance(z, tuple) else z
        mean = z.mean(0)
        centred = z - mean
        powers = [centred**n for n in (2, 3, 4)]
        second, third, fourth = (power.mean(0) for power in powers)
        # The mean is estimated too, which takes n E(z - mean)^(n-1) (z - mean) off each power.
        slopes = (0.0, 3 * second, 4 * third)
        influences = (p - s * centred for p, s in zip(powers, slopes, strict=True))
        return Quantity(
            CentralMoments(mean, second, third, fourth),
            CentralMoments(*(_standard_error(v) for v in (z, *influences))),
        )


def _closed_form(posterior: Posterior, name: str) -> Callable[[], Any] | None:
    return getattr(posterior, name, None)


def _draw(posterior: Posterior, noise: Noise | None, quantity: str) -> Latent:
    if noise is None:
        raise ValueError(
            f"noise: no closed form for this {quantity} of a {posterior.kind!r} posterior; "
            "give the noise of K samples (see noise_shapes)"
        )
    draw = getattr(posterior, "rsample" if hasattr(posterior, "rsample") else "sample")
    return draw(noise)


def _average(values: Tensor) -> Quantity[Tensor]:
    """Mean of values [K, ...] over their samples, and its standard error."""
    return Quantity(values.mean(0), _standard_error(values))


def _standard_error(values: Tensor) -> Tensor:
    if len(values) < 2:
        raise ValueError(f"noise: a standard error needs at least 2 samples, got {len(values)}")
    return values.std(0) / len(values) ** 0.5
