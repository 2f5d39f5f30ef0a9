"""The three log-densities of a bound, and the small tools that estimators share.

An estimator returns `Terms` whose VALUES are always those of log p(x | z), log p(z) and
log q(z | x) at the same samples; what distinguishes it is the GRADIENT that autograd finds when
an objective of these terms is differentiated. So any estimator composes with any objective that
it declares, and logged bounds are comparable between estimators.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from paper_repro.distributions.posterior import Latent, Posterior

LogJoint = Callable[[Latent], tuple[Tensor, Tensor]]


@runtime_checkable
class ExpectedLogJoint(Protocol):
    """A log joint whose likelihood has a closed-form expectation under the posterior."""

    def __call__(self, z: Latent) -> tuple[Tensor, Tensor]:
        """(log p(x | z), log p(z)), each [K, *batch]."""

    def expected_log_likelihood(self, posterior: Posterior) -> Tensor:
        """E_q log p(x | z) in nats: [*batch]."""


class Terms(NamedTuple):
    """log p(x | z), log p(z) and log q(z | x) in nats, each [K, *batch]."""

    log_likelihood: Tensor
    log_prior: Tensor
    log_posterior: Tensor


def assemble(
    posterior: Posterior, log_joint: tuple[Tensor, Tensor], log_posterior: Tensor
) -> Terms:
    """Terms with a mixture's component axis integrated out; shapes checked as in `checked`."""
    return Terms(*map(posterior.expect, checked(log_joint, log_posterior)))


def checked(log_joint: tuple[Tensor, Tensor], log_posterior: Tensor) -> Terms:
    """Terms as they are; ValueError where they have not all one shape, for example because a
    likelihood was not summed over pixels."""
    log_likelihood, log_prior = log_joint
    for name, term in (("log_likelihood", log_likelihood), ("log_prior", log_prior)):
        if term.shape != log_posterior.shape:
            raise ValueError(
                f"log_joint: its {name} has shape {list(term.shape)}, "
                f"expected {list(log_posterior.shape)} as log q(z | x)"
            )
    return Terms(log_likelihood, log_prior, log_posterior)


def require_kind(estimator: str, supports: tuple[str, ...], posterior: Posterior) -> None:
    """ValueError naming estimator and posterior where the estimator is not defined for it."""
    if posterior.kind not in supports:
        raise ValueError(
            f"estimator {estimator!r} does not support posterior {posterior.kind!r}; "
            f"it supports {', '.join(supports)}"
        )


def with_gradient(value: Tensor, source: Tensor) -> Tensor:
    """`value`, exactly, with the gradient of `source` instead of its own."""
    return value.detach() + (source - source.detach())
